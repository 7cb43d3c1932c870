/* Task Bench on OpenMP tasks with `depend`: one thread creates them while all run them, as the model has it. */
#include "task_graph.h"

static void run(const sweep *s, int **before, stamp *stamps, unsigned iterations) {
    int width = s->width;
#pragma omp parallel
#pragma omp single
    for (int step = 0; step < s->steps; step++) {
        stamp *from = stamps + (step + 1) % 2 * width, *here = stamps + step % 2 * width;
        for (int point = 0; point < width; point++) {
            int *list = before[step * width + point];
#pragma omp task depend(iterator(int i = 1 : list[0] + 1), in : from[list[i]]) depend(out : here[point]) \
    firstprivate(step, point, from, here, list)
            {
                for (int i = 1; i <= list[0]; i++) check_stamp(from[list[i]], step - 1, list[i]);
                kernel(iterations);
                here[point].step = (uint64_t)step;
                here[point].point = (uint64_t)point;
            }
        }
    }
}

int main(int count, char **words) {
    sweep s = parse(count, words);
    int **before = all_dependencies(&s);
    stamp *stamps = (stamp *)calloc(2 * s.width, sizeof *stamps);
    for (int round = 0; round < s.rounds; round++) {
        for (int i = 0; i < s.sizes; i++) {
            double begin = now();
            run(&s, before, stamps, s.iterations[i]);
            keep_shortest(&s.seconds[i], now() - begin);
        }
    }
    report(s);
}
