//! First places of least and greatest elements: words of two, an element and its place.
//!
//! NaN counts as less than the least and greater than the greatest. Of equal elements the one of the smaller place
//! stays, so the order in which words combine leaves no trace.

use super::fold::{Fold, runs, word_type};
use super::vector::{self, Loop};
use crate::dtype::DType;
use bytemuck::cast_slice;

/// Elements that are looked at together.
const BLOCK: usize = 128;

/// The word of the extreme element of a run and its place in it; of a type that folds are compiled for.
///
/// Cost: two reads an element, the second from the nearest cache.
pub(super) fn first(fold: Fold, dtype: DType, values: &[u8]) -> [u64; 2] {
    let mut word = Vec::with_capacity(1);
    runs(extreme(fold), dtype, values, (values.len() / dtype.bytes()).max(1), &mut word);
    let Some(&word) = word.first() else { return fold.identity(dtype) };
    [word, place(dtype, values, word)]
}

/// The words of runs of elements, as [`first`] finds them, but that a place behind all places stands for the true one
/// where an earlier run has an element as extreme: of all runs together the same place comes out.
///
/// Cost: one read an element, and another for runs that are more extreme than all before.
pub(super) fn leading(fold: Fold, dtype: DType, values: &[u8], run: usize, best: &mut Option<u64>, out: &mut Vec<u64>) {
    let mut extremes = Vec::new();
    runs(extreme(fold), dtype, values, run, &mut extremes);
    for (values, word) in values.chunks(run * dtype.bytes()).zip(extremes) {
        let mut words = [best.unwrap_or(word), 0];
        combine(fold, word_type(dtype), &mut words, &[word, u64::MAX]);
        let leads = best.is_none() || words[1] == u64::MAX;
        if leads {
            *best = Some(word);
        }
        out.extend([word, if leads { place(dtype, values, word) } else { u64::MAX }]);
    }
}

fn extreme(fold: Fold) -> Fold {
    if fold == Fold::FirstMin { Fold::Min } else { Fold::Max }
}

/// The first place of an element, which is there.
fn place(dtype: DType, values: &[u8], word: u64) -> u64 {
    let float = f64::from_bits(word);
    let place = match dtype {
        DType::Float64 if float.is_nan() => find(cast_slice(values), |value: f64| value.is_nan()),
        DType::Float32 if float.is_nan() => find(cast_slice(values), |value: f32| value.is_nan()),
        DType::Float64 => find(cast_slice(values), |value: f64| value == float),
        DType::Float32 => find(cast_slice(values), |value: f32| f64::from(value) == float),
        DType::Bool => find(values, |value: u8| u64::from(value) == word),
        _ => find(cast_slice(values), |value: u64| value == word),
    };
    place as u64
}

/// The place of the first element for which `wanted` is true, of which there is one.
fn find<T: Copy>(values: &[T], wanted: impl Fn(T) -> bool + Copy) -> usize {
    let block = values.chunks(BLOCK).position(|values| vector::run(Search { values, wanted })).expect("one is wanted");
    let within = values[block * BLOCK..].iter().position(|&value| wanted(value)).expect("one of the block is wanted");
    block * BLOCK + within
}

/// Whether some element is wanted.
struct Search<'a, T, W> {
    values: &'a [T],
    wanted: W,
}

impl<T: Copy, W: Fn(T) -> bool> Loop for Search<'_, T, W> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        self.values.iter().fold(false, |found, &value| found | (self.wanted)(value))
    }
}

/// Combines words with words; `dtype` is that of the words of elements.
///
/// Cost: a comparison, two reads and a write for each value.
pub(super) fn combine(fold: Fold, dtype: DType, left: &mut [u64], right: &[u64]) {
    for (left, right) in left.chunks_exact_mut(2).zip(right.chunks_exact(2)) {
        let (before, equal) = match dtype {
            DType::Float64 => {
                let (a, b) = (f64::from_bits(left[0]), f64::from_bits(right[0]));
                let beyond = if fold == Fold::FirstMin { b < a } else { b > a };
                (!a.is_nan() && (beyond || b.is_nan()), a == b || (a.is_nan() && b.is_nan()))
            }
            DType::Uint64 => (beyond(fold, left[0], right[0]), left[0] == right[0]),
            _ => (beyond(fold, left[0] as i64, right[0] as i64), left[0] == right[0]),
        };
        if before || (equal && right[1] < left[1]) {
            left.copy_from_slice(right);
        }
    }
}

fn beyond<T: Ord>(fold: Fold, left: T, right: T) -> bool {
    if fold == Fold::FirstMin { right < left } else { right > left }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Pod;

    #[track_caller]
    fn check<T: Pod>(fold: Fold, dtype: DType, values: &[T], expected: u64) {
        for cut in [1, 2, 3, values.len()] {
            let mut words = fold.identity(dtype);
            for (part, values) in values.chunks(cut).enumerate().collect::<Vec<_>>().into_iter().rev() {
                let [word, place] = first(fold, dtype, cast_slice(values));
                combine(fold, word_type(dtype), &mut words, &[word, place + (part * cut) as u64]);
            }
            assert_eq!(words[1], expected, "{fold:?} in parts of {cut}");
        }
    }

    #[test]
    fn the_first_of_equal_elements_is_found() {
        check(Fold::FirstMax, DType::Float64, &[1.0, 3.0, 3.0, -7.0, -7.0], 1);
        check(Fold::FirstMin, DType::Float64, &[1.0, 3.0, 3.0, -7.0, -7.0], 3);
        check(Fold::FirstMax, DType::Float64, &[f64::NEG_INFINITY; 4], 0);
        check(Fold::FirstMin, DType::Int64, &[i64::MAX; 4], 0);
        check(Fold::FirstMin, DType::Float32, &[2.0_f32, -0.0, 0.0], 1);
        check(Fold::FirstMax, DType::Uint64, &[0_u64, u64::MAX, 5], 1);
        check(Fold::FirstMin, DType::Int64, &[0_i64, -1, 5, -1], 1);
        check(Fold::FirstMax, DType::Bool, &[0_u8, 0, 1, 1], 2);
    }

    #[test]
    fn nan_comes_before_all() {
        for fold in [Fold::FirstMin, Fold::FirstMax] {
            check(fold, DType::Float64, &[1.0, f64::NAN, f64::INFINITY, f64::NAN, f64::NEG_INFINITY], 1);
        }
    }

    #[test]
    fn long_runs_are_looked_through_in_blocks() {
        let mut values = vec![0.0_f32; 1000];
        for at in [999, 600, 128, 127, 0] {
            values[at] = 1.0;
            check(Fold::FirstMax, DType::Float32, &values, at as u64);
        }
    }
}
