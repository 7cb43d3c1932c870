/* The bandwidth that arrays are compared with: STREAM's triad, a = b + s*c, on all threads, best of several rounds. */
#include <omp.h>
#include <stddef.h>

/* Seconds of the fastest round. */
double triad(double *a, const double *b, const double *c, ptrdiff_t n, int rounds)
{
    double best = 1e30;
    for (int round = 0; round < rounds; round++) {
        double begin = omp_get_wtime();
#pragma omp parallel for schedule(static)
        for (ptrdiff_t i = 0; i < n; i++)
            a[i] = b[i] + 3.0 * c[i];
        double seconds = omp_get_wtime() - begin;
        best = seconds < best ? seconds : best;
    }
    return best;
}
