/* Task Bench's graphs for the peers in C: `task_graph.rs` in C, with the options they share.
 *
 * usage of a peer: taskbench_NAME PATTERN RADIX WIDTH STEPS ROUNDS ITERATIONS...
 * It prints `iterations seconds` for each size, the shortest of all rounds. */
#include <float.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __cplusplus
extern "C"
#endif
double taskbench_compute(unsigned iterations);

typedef struct { uint64_t step, point; } stamp;

typedef struct {
    const char *pattern;
    int radix, width, steps, rounds, sizes;
    unsigned *iterations;
    double *seconds;
} sweep;

static volatile double sink;

static inline void kernel(unsigned iterations) {
    if (iterations > 0) sink = taskbench_compute(iterations);
}

static inline void check_stamp(stamp found, int step, int point) {
    if (found.step != (uint64_t)step || found.point != (uint64_t)point) {
        fprintf(stderr, "found (%d, %d) where (%d, %d) writes\n", (int)found.step, (int)found.point, step, point);
        abort();
    }
}

static inline double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

static inline sweep parse(int count, char **words) {
    if (count < 7) {
        fprintf(stderr, "usage: %s PATTERN RADIX WIDTH STEPS ROUNDS ITERATIONS...\n", words[0]);
        exit(2);
    }
    sweep s = {words[1], atoi(words[2]), atoi(words[3]), atoi(words[4]), atoi(words[5]), count - 6, NULL, NULL};
    s.iterations = (unsigned *)malloc(s.sizes * sizeof *s.iterations);
    s.seconds = (double *)malloc(s.sizes * sizeof *s.seconds);
    for (int i = 0; i < s.sizes; i++) {
        s.iterations[i] = (unsigned)atoi(words[6 + i]);
        s.seconds[i] = DBL_MAX;
    }
    return s;
}

static inline void keep_shortest(double *seconds, double found) {
    if (found < *seconds) *seconds = found;
}

static inline void report(sweep s) {
    for (int i = 0; i < s.sizes; i++) printf("%u %.9f\n", s.iterations[i], s.seconds[i]);
}

/* True if task (step, point) reads (step - 1, from). */
static inline int depends(const sweep *s, int step, int point, int from) {
    if (step == 0) return 0;
    int radix = s->radix, width = s->width;
    if (!strcmp(s->pattern, "trivial")) return 0;
    if (!strcmp(s->pattern, "stencil_1d")) return abs(from - point) <= 1;
    if (!strcmp(s->pattern, "dom")) return from == point || from == point - 1;
    if (!strcmp(s->pattern, "all_to_all")) return 1;
    if (!strcmp(s->pattern, "nearest")) return from >= point - (radix - 1) / 2 && from <= point + radix / 2;
    if (!strcmp(s->pattern, "spread")) {
        for (int part = 0; part < radix; part++)
            if ((point + part * width / radix + (part > 0 ? step - 1 : 0)) % width == from) return 1;
        return 0;
    }
    if (!strcmp(s->pattern, "fft")) {
        int levels = 0;
        while (1 << levels < width) levels++;
        int distance = 1 << (step - 1) % (levels > 0 ? levels : 1);
        return from == point || from == point - distance || from == point + distance;
    }
    fprintf(stderr, "no pattern %s here\n", s->pattern);
    exit(2);
}

/* The points of `step - 1` that (step, point) reads, ascending, behind their number. */
static inline int *dependencies(const sweep *s, int step, int point) {
    int *list = (int *)malloc((s->width + 1) * sizeof *list);
    list[0] = 0;
    for (int from = 0; from < s->width; from++)
        if (depends(s, step, point, from)) list[++list[0]] = from;
    return list;
}

/* Those lists for all tasks; task (step, point) is number step * width + point. */
static inline int **all_dependencies(const sweep *s) {
    int **lists = (int **)malloc((size_t)s->steps * s->width * sizeof *lists);
    for (int task = 0; task < s->steps * s->width; task++)
        lists[task] = dependencies(s, task / s->width, task % s->width);
    return lists;
}
