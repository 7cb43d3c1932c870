//! Runs of elements, reduced in lanes: the loops of `fold.rs`.
//!
//! Order: a run is cut into blocks of 1024 elements; a block is combined in 32 lanes, and these pairwise; the elements
//! of runs of 2, 4, 8 or 16 pairwise; those of other runs below 32 one after the other.

use super::real::Real;
use super::vector::{self, Loop};
use crate::dtype::DType;
use bytemuck::cast_slice;
use std::ops::Range;

const BLOCK: usize = 1024;
/// Runs of at least so many elements are combined in as many lanes.
pub(crate) const LANES: usize = 32;

/// What lanes, a power of two of them, leave when each half combines with the other.
#[inline(always)]
fn halved<const N: usize, A: Copy>(mut lanes: [A; N], combine: &impl Fn(A, A) -> A) -> A {
    let mut width = N / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = combine(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Reduces every run; the last one may be shorter.
pub(super) fn each_run<T: Copy, A: Copy>(
    values: &[T],
    run: usize,
    identity: A,
    widen: impl Fn(T) -> A + Copy,
    combine: impl Fn(A, A) -> A + Copy,
    push: impl FnMut(A),
) {
    match run {
        2 => vector::run(ShortRuns::<2, _, _, _, _, _> { values, identity, widen, combine, push }),
        4 => vector::run(ShortRuns::<4, _, _, _, _, _> { values, identity, widen, combine, push }),
        8 => vector::run(ShortRuns::<8, _, _, _, _, _> { values, identity, widen, combine, push }),
        16 => vector::run(ShortRuns::<16, _, _, _, _, _> { values, identity, widen, combine, push }),
        _ => vector::run(Runs { line: Widened { values, identity, widen, combine }, run, push }),
    }
}

/// Runs of N elements, each combined pairwise.
struct ShortRuns<'a, const N: usize, T, A, W, C, P> {
    values: &'a [T],
    identity: A,
    widen: W,
    combine: C,
    push: P,
}

impl<const N: usize, T: Copy, A: Copy, W: Fn(T) -> A, C: Fn(A, A) -> A, P: FnMut(A)> Loop
    for ShortRuns<'_, N, T, A, W, C, P>
{
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let (whole, rest) = self.values.as_chunks::<N>();
        for values in whole {
            let mut lanes = [self.identity; N];
            for (lane, &value) in lanes.iter_mut().zip(values) {
                *lane = (self.widen)(value);
            }
            (self.push)((self.combine)(self.identity, halved(lanes, &self.combine)));
        }
        if !rest.is_empty() {
            let all = rest.iter().fold(self.identity, |all, &value| (self.combine)(all, (self.widen)(value)));
            (self.push)(all);
        }
    }
}

/// Elements in a row, and how they combine.
trait Line {
    type Word: Copy;

    fn length(&self) -> usize;

    fn identity(&self) -> Self::Word;

    fn word(&self, at: usize) -> Self::Word;

    fn combine(&self, left: Self::Word, right: Self::Word) -> Self::Word;

    /// The lanes of a block.
    fn lanes(&self, block: Range<usize>) -> [Self::Word; LANES];
}

/// Runs of a line, each reduced by itself.
struct Runs<L, P> {
    line: L,
    run: usize,
    push: P,
}

impl<L: Line, P: FnMut(L::Word)> Loop for Runs<L, P> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let length = self.line.length();
        let mut start = 0;
        while start < length {
            let end = (start + self.run).min(length);
            let word = self.one(start..end);
            (self.push)(word);
            start = end;
        }
    }
}

impl<L: Line, P> Runs<L, P> {
    #[inline(always)]
    fn one(&self, elements: Range<usize>) -> L::Word {
        let line = &self.line;
        if elements.len() < LANES {
            let mut all = line.identity();
            for at in elements {
                all = line.combine(all, line.word(at));
            }
            return all;
        }
        let mut end = (elements.start + BLOCK).min(elements.end);
        let mut all = self.block(elements.start..end);
        while end < elements.end {
            let start = end;
            end = (start + BLOCK).min(elements.end);
            all = line.combine(all, self.block(start..end));
        }
        all
    }

    #[inline(always)]
    fn block(&self, elements: Range<usize>) -> L::Word {
        halved(self.line.lanes(elements), &|left, right| self.line.combine(left, right))
    }
}

/// Values that widen to words before they combine.
struct Widened<'a, T, A, W, C> {
    values: &'a [T],
    identity: A,
    widen: W,
    combine: C,
}

impl<T: Copy, A: Copy, W: Fn(T) -> A, C: Fn(A, A) -> A> Line for Widened<'_, T, A, W, C> {
    type Word = A;

    #[inline(always)]
    fn length(&self) -> usize {
        self.values.len()
    }

    #[inline(always)]
    fn identity(&self) -> A {
        self.identity
    }

    #[inline(always)]
    fn word(&self, at: usize) -> A {
        (self.widen)(self.values[at])
    }

    #[inline(always)]
    fn combine(&self, left: A, right: A) -> A {
        (self.combine)(left, right)
    }

    #[inline(always)]
    fn lanes(&self, block: Range<usize>) -> [A; LANES] {
        let mut lanes = [self.identity; LANES];
        let (whole, rest) = self.values[block].as_chunks::<LANES>();
        for values in whole {
            for (lane, &value) in lanes.iter_mut().zip(values) {
                *lane = (self.combine)(*lane, (self.widen)(value));
            }
        }
        for (lane, &value) in lanes.iter_mut().zip(rest) {
            *lane = (self.combine)(*lane, (self.widen)(value));
        }
        lanes
    }
}

/// Sums every run, as `fold::runs` does, of the products of two slices of float32 or float64.
///
/// Runs have at least [`LANES`] elements, but for the last. Cost: two operations and two reads an element.
pub(crate) fn runs_of_products(dtype: DType, left: &[u8], right: &[u8], run: usize, partials: &mut Vec<u64>) {
    match dtype {
        DType::Float64 => products_real::<f64>(cast_slice(left), cast_slice(right), run, partials),
        DType::Float32 => products_real::<f32>(cast_slice(left), cast_slice(right), run, partials),
        _ => unreachable!("products of {dtype} are summed as others are"),
    }
}

fn products_real<T: Real>(left: &[T], right: &[T], run: usize, partials: &mut Vec<u64>) {
    vector::run(Runs { line: Products { left, right }, run, push: |word: f64| partials.push(word.to_bits()) });
}

/// Products of two slices of one length, to be summed.
struct Products<'a, T> {
    left: &'a [T],
    right: &'a [T],
}

impl<T: Real> Line for Products<'_, T> {
    type Word = f64;

    #[inline(always)]
    fn length(&self) -> usize {
        self.left.len()
    }

    #[inline(always)]
    fn identity(&self) -> f64 {
        0.0
    }

    #[inline(always)]
    fn word(&self, at: usize) -> f64 {
        (self.left[at] * self.right[at]).wide()
    }

    #[inline(always)]
    fn combine(&self, left: f64, right: f64) -> f64 {
        left + right
    }

    #[inline(always)]
    fn lanes(&self, block: Range<usize>) -> [f64; LANES] {
        let mut lanes = [0.0_f64; LANES];
        let (left, left_rest) = self.left[block.clone()].as_chunks::<LANES>();
        let (right, right_rest) = self.right[block].as_chunks::<LANES>();
        for (left, right) in left.iter().zip(right) {
            for lane in 0..LANES {
                lanes[lane] += (left[lane] * right[lane]).wide();
            }
        }
        for (lane, (&left, &right)) in left_rest.iter().zip(right_rest).enumerate() {
            lanes[lane] += (left * right).wide();
        }
        lanes
    }
}

#[cfg(test)]
mod tests {
    use super::super::fold::{Fold, runs};
    use super::*;

    fn noise(length: usize) -> Vec<f64> {
        (0..length).map(|i| ((i * 7919) % 1009) as f64 / 7.0 - 60.0).collect()
    }

    #[test]
    fn sums_of_products_have_the_bits_of_products_summed() {
        for (length, run) in
            [(100, 32), (1000, 32), (9000, 600), (2048, 2048), (5000, 1500), (65, 40), (1, 64), (0, 64)]
        {
            let (left, right) = (noise(length), noise(length + 1)[1..].to_vec());
            let products: Vec<f64> = left.iter().zip(&right).map(|(left, right)| left * right).collect();
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            runs(Fold::Sum, DType::Float64, cast_slice(&products), run, &mut expected);
            runs_of_products(DType::Float64, cast_slice(&left), cast_slice(&right), run, &mut found);
            assert_eq!(found, expected, "{length} elements in runs of {run}");
        }
    }

    #[test]
    fn short_runs_are_summed_with_the_last_one_shorter() {
        for run in 1..40 {
            for length in [0, 1, run, 3 * run + 1, 4 * run - 1] {
                let values: Vec<i64> = (0..length as i64).map(|i| i * i - 50).collect();
                let mut partials = Vec::new();
                runs(Fold::Sum, DType::Int64, cast_slice(&values), run, &mut partials);
                let expected: Vec<u64> = values.chunks(run).map(|run| run.iter().sum::<i64>() as u64).collect();
                assert_eq!(partials, expected, "runs of {run} in {length}");
            }
        }
    }
}
