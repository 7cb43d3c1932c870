/* What `communication.rs` does on girih, on MPI alone: loops, an all-reduce beside computation, Jacobi sweeps.
 *
 * usage: communication_mpi loop WORDS COUNT ROUNDS
 *        communication_mpi all-reduce STYLE BYTES PIECES ITERATIONS ROUNDS
 *        communication_mpi halo STYLE PLANES SIDE SWEEPS ROUNDS
 * STYLE: blocking; non-blocking, which waits at the end; tested, which also tests between pieces of the computation.
 * Rank 0 prints one line a round, as `communication.rs` does, and the field's checksum. */
#define _POSIX_C_SOURCE 200809L
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double taskbench_compute(unsigned iterations);

static int rank, ranks;
static volatile double sink;

typedef struct { double wall, used; } cost;

/* Processor time of this process so far. */
static double processor_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

static cost timed(void (*run)(int work, int message, void *plan), int work, int message, void *plan) {
    cost most, mine;
    MPI_Barrier(MPI_COMM_WORLD);
    mine = (cost){-MPI_Wtime(), -processor_seconds()};
    run(work, message, plan);
    mine = (cost){mine.wall + MPI_Wtime(), mine.used + processor_seconds()};
    MPI_Allreduce(&mine, &most, 2, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return most;
}

static void print_round(cost work, cost message, cost both) {
    if (rank > 0) return;
    printf("%.9f %.9f %.9f ", work.wall, message.wall, both.wall);
    printf("%.9f %.9f %.9f\n", work.used, message.used, both.used);
}

static void in_turns(void (*run)(int, int, void *), void *plan, int rounds) {
    for (int round = 0; round <= rounds; round++) {
        cost work = timed(run, 1, 0, plan), message = timed(run, 0, 1, plan), both = timed(run, 1, 1, plan);
        if (round > 0) print_round(work, message, both);
    }
}

static void loop(int words, int count, int rounds) {
    int64_t *data = malloc((words + 1) * sizeof *data);
    for (int round = 0; round <= rounds; round++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double longest, mine = -MPI_Wtime();
        for (int i = 0; i < count; i++) {
            for (int w = 0; w <= words; w++) data[w] = 1;
            MPI_Allreduce(MPI_IN_PLACE, data, words + 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
            if (data[0] != ranks) MPI_Abort(MPI_COMM_WORLD, 1);
        }
        mine += MPI_Wtime();
        MPI_Allreduce(&mine, &longest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
        if (rank == 0 && round > 0) printf("%.3f\n", longest * 1e6 / count);
    }
}

typedef struct { const char *style; int words, pieces; unsigned iterations; int64_t *data; } beside;

static void run_beside(int work, int message, void *plan) {
    beside *b = plan;
    MPI_Request request = MPI_REQUEST_NULL;
    int done, blocking = !strcmp(b->style, "blocking"), tested = !strcmp(b->style, "tested");
    if (message && blocking)
        MPI_Allreduce(MPI_IN_PLACE, b->data, b->words, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
    else if (message)
        MPI_Iallreduce(MPI_IN_PLACE, b->data, b->words, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD, &request);
    for (int piece = 0; work && piece < b->pieces; piece++) {
        sink = taskbench_compute(b->iterations);
        if (tested) MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    }
    MPI_Wait(&request, MPI_STATUS_IGNORE);
}

typedef struct { const char *style; int planes, side, sweeps; double *field[2]; } jacobi;

/* Planes -1 and `planes` are the neighbours' or, at a wall, copies of the plane at it. */
static double *plane_of(jacobi *j, int version, int plane) {
    return j->field[version] + (size_t)(plane + 1) * j->side * j->side;
}

static void relax(jacobi *j, int version, int plane) {
    int side = j->side;
    const double *centre = plane_of(j, version, plane), *below = plane_of(j, version, plane - 1);
    const double *above = plane_of(j, version, plane + 1);
    double *restrict out = plane_of(j, !version, plane);
    memcpy(out, centre, side * sizeof *out);
    memcpy(out + side * (side - 1), centre + side * (side - 1), side * sizeof *out);
    for (int row = 1; row < side - 1; row++) {
        const double *here = centre + row * side, *under = below + row * side, *over = above + row * side;
        double *restrict to = out + row * side;
        to[0] = here[0];
        to[side - 1] = here[side - 1];
        for (int x = 1; x < side - 1; x++)
            to[x] = (here[x - 1] + here[x + 1] + here[x - side] + here[x + side] + under[x] + over[x] + 2.0 * here[x]) * 0.125;
    }
}

static void run_jacobi(int work, int message, void *plan) {
    jacobi *j = plan;
    int size = j->side * j->side, last = j->planes - 1, done;
    int blocking = !strcmp(j->style, "blocking"), tested = !strcmp(j->style, "tested");
    for (int sweep = 0; sweep < j->sweeps; sweep++) {
        int version = sweep % 2, posted = 0;
        MPI_Request requests[4];
        int down = message && rank > 0, up = message && rank + 1 < ranks;
        /* Without a neighbour the plane beyond is the plane itself. */
        if (!down) memcpy(plane_of(j, version, -1), plane_of(j, version, 0), size * sizeof(double));
        if (!up) memcpy(plane_of(j, version, last + 1), plane_of(j, version, last), size * sizeof(double));
        if (down) {
            MPI_Irecv(plane_of(j, version, -1), size, MPI_DOUBLE, rank - 1, 0, MPI_COMM_WORLD, &requests[posted++]);
            MPI_Isend(plane_of(j, version, 0), size, MPI_DOUBLE, rank - 1, 1, MPI_COMM_WORLD, &requests[posted++]);
        }
        if (up) {
            MPI_Irecv(plane_of(j, version, last + 1), size, MPI_DOUBLE, rank + 1, 1, MPI_COMM_WORLD, &requests[posted++]);
            MPI_Isend(plane_of(j, version, last), size, MPI_DOUBLE, rank + 1, 0, MPI_COMM_WORLD, &requests[posted++]);
        }
        if (blocking) MPI_Waitall(posted, requests, MPI_STATUSES_IGNORE);
        for (int plane = 1; work && plane < last; plane++) {
            relax(j, version, plane);
            if (tested) MPI_Testall(posted, requests, &done, MPI_STATUSES_IGNORE);
        }
        MPI_Waitall(posted, requests, MPI_STATUSES_IGNORE);
        if (work) relax(j, version, 0);
        if (work && last > 0) relax(j, version, last);
    }
}

static void halo(jacobi j, int rounds) {
    size_t size = (size_t)j.side * j.side;
    int64_t mine = 0, all;
    for (int version = 0; version < 2; version++) j.field[version] = calloc((j.planes + 2) * size, sizeof(double));
    double *start = plane_of(&j, 0, 0);
    for (int plane = 0; plane < j.planes; plane++)
        for (size_t i = 0; i < size; i++) start[plane * size + i] = ((plane + (size_t)rank * j.planes) * 31 + i * 17) % 1024;
    double *both = malloc(j.planes * size * sizeof(double));
    for (int round = 0; round <= rounds; round++) {
        /* The field goes on where the sweeps with messages left it. */
        memcpy(both, start, j.planes * size * sizeof(double));
        cost work = timed(run_jacobi, 1, 0, &j), message = timed(run_jacobi, 0, 1, &j);
        memcpy(start, both, j.planes * size * sizeof(double));
        cost together = timed(run_jacobi, 1, 1, &j);
        if (j.sweeps % 2) memcpy(start, plane_of(&j, 1, 0), j.planes * size * sizeof(double));
        if (round > 0) print_round(work, message, together);
    }
    for (size_t i = 0; i < j.planes * size; i++) {
        int64_t bits;
        memcpy(&bits, &start[i], sizeof bits);
        mine = (int64_t)((uint64_t)mine + (uint64_t)bits);
    }
    MPI_Allreduce(&mine, &all, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0) printf("checksum %lld\n", (long long)all);
}

int main(int count, char **words) {
    MPI_Init(&count, &words);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (count == 5 && !strcmp(words[1], "loop")) {
        loop(atoi(words[2]), atoi(words[3]), atoi(words[4]));
    } else if (count == 7 && !strcmp(words[1], "all-reduce")) {
        beside b = {words[2], atoi(words[3]) / 8, atoi(words[4]), (unsigned)atol(words[5]), NULL};
        b.data = malloc(b.words * sizeof *b.data);
        for (int i = 0; i < b.words; i++) b.data[i] = (int64_t)i * (1 + rank);
        in_turns(run_beside, &b, atoi(words[6]));
    } else if (count == 7 && !strcmp(words[1], "halo")) {
        jacobi j = {words[2], atoi(words[3]), atoi(words[4]), atoi(words[5]), {NULL, NULL}};
        halo(j, atoi(words[6]));
    } else {
        fprintf(stderr, "see the head of communication_mpi.c\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    MPI_Finalize();
}
