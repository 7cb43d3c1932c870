/* Task Bench on plain MPI, non-blocking: points divided by blocks, one message for each point and rank that reads it.
 *
 * What is sent where is worked out before the clock starts; a step waits for its messages, computes, posts the next. */
#include "task_graph.h"
#include <mpi.h>

typedef struct { int point, rank; } message;
typedef struct { message *sends, *receives; int send_count, receive_count; } exchange;

static int rank, ranks;

static int owner(const sweep *s, int point) { return (int)((long)point * ranks / s->width); }

/* The messages between `step` and the next. */
static exchange plan(const sweep *s, int step) {
    exchange e = {(message *)malloc(s->width * ranks * sizeof(message)), (message *)malloc(s->width * sizeof(message)), 0, 0};
    for (int from = 0; from < s->width && step + 1 < s->steps; from++) {
        for (int to = 0; to < ranks; to++) {
            int needed = 0;
            for (int point = 0; point < s->width; point++)
                needed |= owner(s, point) == to && depends(s, step + 1, point, from);
            if (!needed || owner(s, from) == to) continue;
            if (owner(s, from) == rank) e.sends[e.send_count++] = (message){from, to};
            if (to == rank) e.receives[e.receive_count++] = (message){from, owner(s, from)};
        }
    }
    return e;
}

static void run(const sweep *s, int **before, const exchange *plans, stamp *stamps, MPI_Request *requests, unsigned n) {
    int posted = 0, first = 0, behind = s->width;
    while (first < s->width && owner(s, first) < rank) first++;
    while (behind > 0 && owner(s, behind - 1) > rank) behind--;
    for (int step = 0; step < s->steps; step++) {
        MPI_Waitall(posted, requests, MPI_STATUSES_IGNORE);
        stamp *from = stamps + (step + 1) % 2 * s->width, *here = stamps + step % 2 * s->width;
#ifdef POINTS_ARE_A_PARALLEL_LOOP
#pragma omp parallel for schedule(static)
#endif
        for (int point = first; point < behind; point++) {
            int *list = before[step * s->width + point];
            for (int i = 1; i <= list[0]; i++) check_stamp(from[list[i]], step - 1, list[i]);
            kernel(n);
            here[point] = (stamp){(uint64_t)step, (uint64_t)point};
        }
        posted = 0;
        for (int i = 0; i < plans[step].receive_count; i++) {
            message m = plans[step].receives[i];
            MPI_Irecv(&here[m.point], sizeof(stamp), MPI_BYTE, m.rank, m.point, MPI_COMM_WORLD, &requests[posted++]);
        }
        for (int i = 0; i < plans[step].send_count; i++) {
            message m = plans[step].sends[i];
            MPI_Isend(&here[m.point], sizeof(stamp), MPI_BYTE, m.rank, m.point, MPI_COMM_WORLD, &requests[posted++]);
        }
    }
}

int main(int count, char **words) {
    MPI_Init(&count, &words);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    sweep s = parse(count, words);
    int **before = all_dependencies(&s);
    exchange *plans = (exchange *)malloc(s.steps * sizeof *plans);
    for (int step = 0; step < s.steps; step++) plans[step] = plan(&s, step);
    stamp *stamps = (stamp *)calloc(2 * s.width, sizeof *stamps);
    MPI_Request *requests = (MPI_Request *)malloc((size_t)s.width * (ranks + 1) * sizeof *requests);
    for (int round = 0; round < s.rounds; round++) {
        for (int i = 0; i < s.sizes; i++) {
            MPI_Barrier(MPI_COMM_WORLD);
            double begin = now(), longest;
            run(&s, before, plans, stamps, requests, s.iterations[i]);
            double mine = now() - begin;
            MPI_Allreduce(&mine, &longest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
            keep_shortest(&s.seconds[i], longest);
        }
    }
    if (rank == 0) report(s);
    MPI_Finalize();
}
