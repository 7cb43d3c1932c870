//! Rates of the nearest-centre kernel on one core: `cargo run --release -p girih-arrays --example nearest`.
//!
//! Shapes may be given as arguments: `-- 200000,128,256`. A rate counts 2·n·k·d flops for each pass. The best of
//! several passes is shown: the machine may be shared.

#![allow(clippy::print_stdout, reason = "the output is the purpose")]

use girih_arrays::kernel::nearest::{
    Centres, FixedPoint, Layout, Pass, Real, Scale, Scratch, assign, lower_and_measure, lower_closest,
};
use std::time::Instant;

const SHAPES: [(usize, usize, usize); 6] = [
    (273_280, 3, 64),
    (1_000_000, 16, 32),
    (200_000, 128, 256),
    (100_000, 64, 1000),
    (20_000, 1024, 256),
    (2_000_000, 2, 8),
];

fn main() {
    println!(
        "n d k type: assign | with sums | with inertia, ms (GFLOP/s) | a centre and seven candidates, a centre, ms"
    );
    let given: Vec<_> = std::env::args().skip(1).map(|shape| parsed(&shape)).collect();
    for &shape in if given.is_empty() { &SHAPES[..] } else { &given } {
        measure::<f32>("f32", shape);
        measure::<f64>("f64", shape);
    }
}

fn parsed(shape: &str) -> (usize, usize, usize) {
    let numbers: Vec<usize> = shape.split(',').map(|number| number.parse().expect("n,d,k")).collect();
    (numbers[0], numbers[1], numbers[2])
}

fn measure<T: Real + Default>(name: &str, (n, d, k): (usize, usize, usize)) {
    let mut state = 1_u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    let middles: Vec<f64> = (0..k * d).map(|_| uniform()).collect();
    let mut rows = Vec::with_capacity(n * d);
    for _ in 0..n {
        let middle = ((uniform() + 0.5) * k as f64) as usize;
        rows.extend((0..d).map(|j| T::narrow(middles[middle * d + j] + 0.5 * uniform())));
    }
    let origin = vec![T::narrow(0.01); d];
    let centres = &rows[..k * d];
    let mut memory = vec![T::ZERO; Centres::<T>::memory_len(k, d)];
    let centres = Centres::pack(centres, d, &mut memory);
    let fixed = FixedPoint::new(&vec![1.0; d], n as u64, FixedPoint::limbs_for::<T>(n as u64));
    let inertia = Some(fixed.inertia(centres.reach()));
    let mut words = vec![0; Layout::new(k, &fixed).words()];
    let mut labels = vec![-1; n];
    let mut scratch = Scratch::new();

    let flops = 2.0 * (n * d * k) as f64;
    let shown = |seconds: f64| format!("{:8.2} ({:5.1})", seconds * 1e3, flops / seconds * 1e-9);
    let alone = best(|| assign(&rows, &origin, &centres, &mut labels, &mut scratch));
    let mut pass = Pass { origin: &origin, centres, fixed: &fixed, inertia: None, changes: false };
    let summed = best(|| pass.assign_and_add(&rows, None, &mut labels, &mut words, &mut scratch));
    pass.inertia = inertia;
    let whole = best(|| pass.assign_and_add(&rows, None, &mut labels, &mut words, &mut scratch));

    let scale = Scale::new(d as f64 * 4.0, n as u64);
    let mut closest = vec![f64::INFINITY; n];
    let one = best(|| _ = lower_closest(&rows, &rows[..d], &mut closest, &mut scratch));
    let seven = best(|| {
        let (centres, distances) = ((&rows[..], &rows[..d]), (&mut closest[..], None));
        _ = lower_and_measure(centres, &rows[d..8 * d], distances, &scale, &mut [0; 14], &mut scratch);
    });
    println!(
        "{n:7} {d:4} {k:4} {name}: {} | {} | {} | {:7.2} {:7.2}",
        shown(alone),
        shown(summed),
        shown(whole),
        seven * 1e3,
        one * 1e3
    );
}

fn best(mut pass: impl FnMut()) -> f64 {
    let runs = (0..9).map(|_| {
        let start = Instant::now();
        pass();
        start.elapsed().as_secs_f64()
    });
    runs.fold(f64::INFINITY, f64::min)
}
