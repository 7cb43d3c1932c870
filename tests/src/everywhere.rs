//! Programs run at awkward rank counts, and what they are compared with.

use girih_arrays::Result;
use girih_runtime::world::World;
use std::fmt::Debug;

const RANKS: [usize; 5] = [1, 2, 3, 4, 6];

/// Runs a program at all rank counts and one and two threads; its result must be the same on every rank of all.
///
/// # Panics
/// If it is not, or the program fails.
#[track_caller]
pub fn same_everywhere<T: Send + PartialEq + Debug>(program: impl Fn(&World) -> Result<T> + Sync) -> T {
    let mut first: Option<T> = None;
    for ranks in RANKS {
        for threads in [1, 2] {
            let seed = (ranks * 10 + threads) as u64;
            for result in girih_runtime::local::run(ranks, threads, seed, |world| program(world)).unwrap() {
                let result = result.unwrap_or_else(|error| panic!("{ranks} ranks × {threads} threads: {error}"));
                match &first {
                    None => first = Some(result),
                    Some(first) => assert!(*first == result, "{ranks} ranks × {threads} threads differ"),
                }
            }
        }
    }
    first.unwrap()
}

/// Values without a pattern that a wrong index could hide in.
pub fn noise(length: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    (0..length).map(|_| next()).collect()
}

/// What must be equal where values are to have the same bits.
pub fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Compares values within a tolerance, relative where they are large.
///
/// # Panics
/// If they differ by more.
#[track_caller]
pub fn check_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()) || (a.is_nan() && b.is_nan()), "{i}: {a}, not {b}");
    }
}
