//! Running results along an axis: sums, products, extremes.
//!
//! Order: steps follow one another, and results are kept in the words of folds, so that short types neither round
//! nor wrap before they are written.

use super::cast::cast;
use super::complex;
use super::fold::{Fold, Words, unit, with_fold, word_type};
use crate::dtype::DType;
use bytemuck::{cast_slice, cast_slice_mut};
use num_complex::Complex;

/// Elements that are widened, scanned and narrowed together: few enough for the nearest caches.
const CHUNK: usize = 2048;

/// Scans `values`, steps of `inner` elements, from the words in `state`, and leaves those of the last step there.
///
/// Cost: one operation, a read and a write an element, and a conversion each way for short types.
pub(crate) fn scan(
    fold: Fold,
    (dtype, inner): (DType, usize),
    values: &[u8],
    state: &mut [u64],
    (result, out): (DType, &mut [u8]),
) {
    let words = word_type(dtype);
    let together = (CHUNK / inner.max(1)).max(1) * inner;
    let mut room = vec![0_u64; together.min(values.len() / dtype.bytes()) * unit(fold, dtype)];
    let chunks = values.chunks(together.max(1) * dtype.bytes());
    for (values, out) in chunks.zip(out.chunks_mut(together.max(1) * result.bytes())) {
        let count = values.len() / dtype.bytes();
        let room = &mut room[..count * unit(fold, dtype)];
        cast(dtype, words, values, cast_slice_mut(room));
        in_words(fold, words, inner, room, state);
        cast(words, result, cast_slice(room), out);
    }
}

fn in_words(fold: Fold, words: DType, inner: usize, room: &mut [u64], state: &mut [u64]) {
    macro_rules! call {
        ($combine:expr) => {
            steps(cast_slice_mut(room), inner, cast_slice_mut(state), $combine)
        };
    }
    match words {
        DType::Float64 => with_fold!(f64, fold, call),
        DType::Int64 => with_fold!(i64, fold, call),
        DType::Uint64 => with_fold!(u64, fold, call),
        _ => with_fold!(complex, fold, call),
    }
}

fn steps<T: Copy>(values: &mut [T], inner: usize, state: &mut [T], combine: impl Fn(T, T) -> T) {
    if let [state] = state {
        for value in values {
            *state = combine(*state, *value);
            *value = *state;
        }
        return;
    }
    for step in values.chunks_exact_mut(inner) {
        for (state, value) in state.iter_mut().zip(step) {
            *state = combine(*state, *value);
            *value = *state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fold: Fold, inner: usize, values: &[i8], expected: &[i64]) {
        let mut state = vec![0; inner];
        fold.clear(DType::Int8, &mut state);
        let mut out = vec![0_i64; values.len()];
        scan(fold, (DType::Int8, inner), cast_slice(values), &mut state, (DType::Int64, cast_slice_mut(&mut out)));
        assert_eq!(out, expected, "{fold:?}");
    }

    #[test]
    fn steps_of_one_and_of_several_elements() {
        check(Fold::Sum, 1, &[100, 100, -1], &[100, 200, 199]);
        check(Fold::Sum, 2, &[1, 10, 2, 20, 3, 30], &[1, 10, 3, 30, 6, 60]);
        check(Fold::Product, 1, &[100, 100, -1], &[100, 10_000, -10_000]);
        check(Fold::Max, 1, &[-5, 3, 1], &[-5, 3, 3]);
        check(Fold::Min, 3, &[1, 2, 3, 3, 2, 1], &[1, 2, 3, 1, 2, 1]);
    }

    #[test]
    fn long_scans_go_on_from_chunk_to_chunk() {
        let values = vec![1.0_f32; 3 * CHUNK + 5];
        let (mut state, mut out) = (vec![0], vec![0.0_f32; values.len()]);
        scan(
            Fold::Sum,
            (DType::Float32, 1),
            cast_slice(&values),
            &mut state,
            (DType::Float32, cast_slice_mut(&mut out)),
        );
        assert!(out.iter().enumerate().all(|(i, &sum)| sum == (i + 1) as f32));
        assert_eq!(f64::from_bits(state[0]), values.len() as f64);
    }

    #[test]
    fn nan_stays() {
        let values = [1.0, f64::NAN, 0.0];
        for fold in [Fold::Sum, Fold::Max, Fold::Min] {
            let (mut state, mut out) = (vec![0], [0.0_f64; 3]);
            fold.clear(DType::Float64, &mut state);
            let into = (DType::Float64, cast_slice_mut(&mut out));
            scan(fold, (DType::Float64, 1), cast_slice(&values), &mut state, into);
            assert!(out[0] == 1.0 && out[1].is_nan() && out[2].is_nan(), "{fold:?}");
        }
    }
}
