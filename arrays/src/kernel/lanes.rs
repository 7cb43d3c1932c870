//! Runs of elements, reduced in lanes: the loops of `fold.rs`.
//!
//! Order: a run is cut into blocks of 1024 elements; a block is combined in 32 lanes, and these pairwise; the elements
//! of runs of 2, 4, 8 or 16 pairwise; those of other runs below 32 one after the other.

use super::real::Real;
use super::vector::{self, Loop};
use crate::dtype::DType;
use bytemuck::cast_slice;

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

/// Reduces every run; short ones of a usual length all at once.
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
        _ => values.chunks(run).map(|values| one_run(values, identity, widen, combine)).for_each(push),
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

fn one_run<T: Copy, A: Copy>(
    values: &[T],
    identity: A,
    widen: impl Fn(T) -> A + Copy,
    combine: impl Fn(A, A) -> A + Copy,
) -> A {
    if values.len() < LANES {
        return values.iter().fold(identity, |all, &value| combine(all, widen(value)));
    }
    let block = |values: &[T]| vector::run(Lanes { values, identity, widen, combine });
    let (first, rest) = values.split_at(BLOCK.min(values.len()));
    rest.chunks(BLOCK).fold(block(first), |all, values| combine(all, block(values)))
}

struct Lanes<'a, T, A, W, C> {
    values: &'a [T],
    identity: A,
    widen: W,
    combine: C,
}

impl<T: Copy, A: Copy, W: Fn(T) -> A, C: Fn(A, A) -> A> Loop for Lanes<'_, T, A, W, C> {
    type Output = A;

    #[inline(always)]
    fn run(self) -> A {
        let mut lanes = [self.identity; LANES];
        let (whole, rest) = self.values.as_chunks::<LANES>();
        for values in whole {
            for (lane, &value) in lanes.iter_mut().zip(values) {
                *lane = (self.combine)(*lane, (self.widen)(value));
            }
        }
        for (lane, &value) in lanes.iter_mut().zip(rest) {
            *lane = (self.combine)(*lane, (self.widen)(value));
        }
        halved(lanes, &self.combine)
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
    for (left, right) in left.chunks(run).zip(right.chunks(run)) {
        if left.len() < LANES {
            let products = left.iter().zip(right).map(|(&left, &right)| (left * right).wide());
            partials.push(products.fold(0.0, |all, product| all + product).to_bits());
            continue;
        }
        let block = |(left, right): (&[T], &[T])| vector::run(ProductLanes { left, right });
        let mut blocks = left.chunks(BLOCK).zip(right.chunks(BLOCK));
        let first = blocks.next().map_or(0.0, block);
        partials.push(blocks.fold(first, |all, both| all + block(both)).to_bits());
    }
}

/// As `Lanes`, of products.
struct ProductLanes<'a, T> {
    left: &'a [T],
    right: &'a [T],
}

impl<T: Real> Loop for ProductLanes<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let mut lanes = [0.0_f64; LANES];
        let (left, left_rest) = self.left.as_chunks::<LANES>();
        let (right, right_rest) = self.right.as_chunks::<LANES>();
        for (left, right) in left.iter().zip(right) {
            for lane in 0..LANES {
                lanes[lane] += (left[lane] * right[lane]).wide();
            }
        }
        for (lane, (&left, &right)) in left_rest.iter().zip(right_rest).enumerate() {
            lanes[lane] += (left * right).wide();
        }
        halved(lanes, &|a, b| a + b)
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
        for (length, run) in [(100, 32), (2048, 2048), (5000, 1500), (65, 40), (1, 64), (0, 64)] {
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
