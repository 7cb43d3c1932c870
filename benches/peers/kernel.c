/* The compute-bound kernel of all drivers: per iteration 64 multiply-adds, 8 chains of 8 lanes, in registers.
 *
 * After the published definition of Task Bench (Slaughter et al., SC20); compiled once for each vector width. */

typedef double lanes __attribute__((vector_size(64)));

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
double taskbench_compute(unsigned iterations) {
    const lanes start = {1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9};
    lanes a = start * 0.1, b = start * 0.2, c = start * 0.3, d = start * 0.4;
    lanes e = start * 0.15, f = start * 0.25, g = start * 0.35, h = start * 0.45;
    for (unsigned i = 0; i < iterations; i++) {
        a = a * a + a; b = b * b + b; c = c * c + c; d = d * d + d;
        e = e * e + e; f = f * f + f; g = g * g + g; h = h * h + h;
    }
    lanes sum = a + b + c + d + e + f + g + h;
    return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}
