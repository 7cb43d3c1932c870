//! Reductions of slices to words: `f64` for floating-point elements, `i64` for the others.
//!
//! Order: a run is cut into blocks of 1024 elements; a block is summed in 32 lanes, whose results combine
//! pairwise. So the bits follow from the values and the length of the run alone.
//! Error of a sum: that of 32 + 5 additions in `f64` within a block, whatever the type of the elements.
//! Never here: which elements make a run, and how runs combine.

use super::real::Real;
use super::vector::{self, Loop};
use crate::dtype::DType;
use bytemuck::{Pod, cast_slice, cast_slice_mut};

const BLOCK: usize = 1024;
const LANES: usize = 32;

/// How elements combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fold {
    /// Addition.
    Sum,
    /// Multiplication.
    Product,
    /// The least, or NaN if there is one.
    Min,
    /// The greatest, or NaN if there is one.
    Max,
    /// Whether all are true; on bool.
    All,
    /// Whether any is true; on bool.
    Any,
}

impl Fold {
    /// The word that changes nothing.
    pub(crate) fn identity(self, dtype: DType) -> u64 {
        let float = match self {
            Fold::Sum | Fold::Any => 0.0,
            Fold::Product | Fold::All => 1.0,
            Fold::Min => f64::INFINITY,
            Fold::Max => f64::NEG_INFINITY,
        };
        let integer = match self {
            Fold::Sum | Fold::Any => 0_i64,
            Fold::Product | Fold::All => 1,
            Fold::Min => i64::MAX,
            Fold::Max => i64::MIN,
        };
        if dtype.is_float() { float.to_bits() } else { integer as u64 }
    }
}

/// Calls `$call!(combining function of f64)` or `$call!(that of i64)` for a fold.
macro_rules! with_fold {
    (f64, $fold:expr, $call:ident) => {
        match $fold {
            Fold::Sum | Fold::Any => $call!(|a: f64, b: f64| a + b),
            Fold::Product | Fold::All => $call!(|a: f64, b: f64| a * b),
            Fold::Min => $call!(|a: f64, b: f64| if b < a || b.is_nan() { b } else { a }),
            Fold::Max => $call!(|a: f64, b: f64| if b > a || b.is_nan() { b } else { a }),
        }
    };
    (i64, $fold:expr, $call:ident) => {
        match $fold {
            Fold::Sum => $call!(|a: i64, b: i64| a.wrapping_add(b)),
            Fold::Product => $call!(|a: i64, b: i64| a.wrapping_mul(b)),
            Fold::Min | Fold::All => $call!(|a: i64, b: i64| a.min(b)),
            Fold::Max | Fold::Any => $call!(|a: i64, b: i64| a.max(b)),
        }
    };
}

/// Reduces every run of `run` elements to a word, added to `partials`; the last run may be shorter.
///
/// Cost: one operation and one read an element.
pub(crate) fn runs(fold: Fold, dtype: DType, values: &[u8], run: usize, partials: &mut Vec<u64>) {
    match dtype {
        DType::Float64 => runs_real::<f64>(fold, cast_slice(values), run, partials),
        DType::Float32 => runs_real::<f32>(fold, cast_slice(values), run, partials),
        DType::Int64 => runs_integer::<i64>(fold, cast_slice(values), run, partials),
        DType::Bool => runs_integer::<u8>(fold, values, run, partials),
    }
}

fn runs_real<T: Real>(fold: Fold, values: &[T], run: usize, partials: &mut Vec<u64>) {
    let identity = f64::from_bits(fold.identity(DType::Float64));
    macro_rules! call {
        ($combine:expr) => {
            for values in values.chunks(run) {
                partials.push(one_run(values, identity, T::wide, $combine).to_bits());
            }
        };
    }
    with_fold!(f64, fold, call);
}

fn runs_integer<T: Pod + Into<i64>>(fold: Fold, values: &[T], run: usize, partials: &mut Vec<u64>) {
    let identity = fold.identity(DType::Int64) as i64;
    macro_rules! call {
        ($combine:expr) => {
            for values in values.chunks(run) {
                partials.push(one_run(values, identity, Into::into, $combine) as u64);
            }
        };
    }
    with_fold!(i64, fold, call);
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
        let mut width = LANES / 2;
        while width > 0 {
            for lane in 0..width {
                lanes[lane] = (self.combine)(lanes[lane], lanes[lane + width]);
            }
            width /= 2;
        }
        lanes[0]
    }
}

/// Combines words with elements, one by one: `words[i] ← words[i] ∘ values[i]`.
///
/// Cost: one operation, two reads and a write an element.
pub(crate) fn accumulate(fold: Fold, dtype: DType, values: &[u8], words: &mut [u64]) {
    match dtype {
        DType::Float64 => accumulate_real::<f64>(fold, cast_slice(values), cast_slice_mut(words)),
        DType::Float32 => accumulate_real::<f32>(fold, cast_slice(values), cast_slice_mut(words)),
        DType::Int64 => accumulate_integer::<i64>(fold, cast_slice(values), cast_slice_mut(words)),
        DType::Bool => accumulate_integer::<u8>(fold, values, cast_slice_mut(words)),
    }
}

fn accumulate_real<T: Real>(fold: Fold, values: &[T], words: &mut [f64]) {
    macro_rules! call {
        ($combine:expr) => {
            vector::run(Accumulate { words, values, widen: T::wide, combine: $combine })
        };
    }
    with_fold!(f64, fold, call);
}

fn accumulate_integer<T: Pod + Into<i64>>(fold: Fold, values: &[T], words: &mut [i64]) {
    macro_rules! call {
        ($combine:expr) => {
            vector::run(Accumulate { words, values, widen: Into::into, combine: $combine })
        };
    }
    with_fold!(i64, fold, call);
}

struct Accumulate<'a, T, A, W, C> {
    words: &'a mut [A],
    values: &'a [T],
    widen: W,
    combine: C,
}

impl<T: Copy, A: Copy, W: Fn(T) -> A, C: Fn(A, A) -> A> Loop for Accumulate<'_, T, A, W, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (word, &value) in self.words.iter_mut().zip(self.values) {
            *word = (self.combine)(*word, (self.widen)(value));
        }
    }
}

/// Combines words with words: `left[i] ← left[i] ∘ right[i]`.
///
/// Cost: one operation, two reads and a write a word.
pub(crate) fn combine(fold: Fold, dtype: DType, left: &mut [u64], right: &[u64]) {
    let words = if dtype.is_float() { DType::Float64 } else { DType::Int64 };
    accumulate(fold, words, cast_slice(right), left);
}

/// Combines the words of pieces of one run pairwise, as they come.
#[derive(Debug, Default)]
pub(crate) struct Pairwise {
    /// Words with the number of pieces behind each, a power of two.
    stack: Vec<(usize, u64)>,
}

impl Pairwise {
    /// Adds the word of the next piece.
    pub(crate) fn push(&mut self, fold: Fold, dtype: DType, word: u64) {
        let (mut pieces, mut word) = (1, [word]);
        while let Some((_, left)) = self.stack.pop_if(|(left, _)| *left == pieces) {
            let mut left = [left];
            combine(fold, dtype, &mut left, &word);
            word = left;
            pieces *= 2;
        }
        self.stack.push((pieces, word[0]));
    }

    /// The word of all pieces; ready for another run.
    pub(crate) fn finish(&mut self, fold: Fold, dtype: DType) -> u64 {
        let mut word = [fold.identity(dtype)];
        for (_, left) in self.stack.drain(..).rev() {
            let mut left = [left];
            combine(fold, dtype, &mut left, &word);
            word = left;
        }
        word[0]
    }
}

/// Writes words as elements of `out_dtype`, divided by `divisor` if there is one.
///
/// Cost: at most one division, a read and a write a word.
pub(crate) fn finish(words: &[u64], float: bool, divisor: Option<f64>, out_dtype: DType, out: &mut [u8]) {
    let float_of = |word: u64| if float { f64::from_bits(word) } else { word as i64 as f64 };
    let scaled = |word: u64| divisor.map_or(float_of(word), |divisor| float_of(word) / divisor);
    match out_dtype {
        DType::Float64 => write(words, cast_slice_mut(out), scaled),
        DType::Float32 => write(words, cast_slice_mut(out), |word| scaled(word) as f32),
        DType::Int64 => write(words, cast_slice_mut(out), |word| word as i64),
        DType::Bool => write(words, out, |word| u8::from(word != 0)),
    }
}

fn write<R>(words: &[u64], out: &mut [R], convert: impl Fn(u64) -> R) {
    for (out, &word) in out.iter_mut().zip(words) {
        *out = convert(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum_of(values: &[f32]) -> f64 {
        let mut partials = Vec::new();
        runs(Fold::Sum, DType::Float32, cast_slice(values), values.len().max(1), &mut partials);
        partials.first().map_or(0.0, |&word| f64::from_bits(word))
    }

    #[test]
    fn a_sum_of_floats_is_accumulated_in_double() {
        for length in [0, 1, 31, 32, 33, 1023, 1024, 1025, 5000] {
            let values = vec![0.1_f32; length];
            let exact = f64::from(0.1_f32) * length as f64;
            assert!((sum_of(&values) - exact).abs() <= 1e-13 * exact, "{length} elements");
        }
    }

    #[test]
    fn nan_propagates_from_any_place() {
        for at in [0, 5, 40, 1030] {
            let mut values = vec![1.0_f64; 1100];
            values[at] = f64::NAN;
            for fold in [Fold::Min, Fold::Max] {
                let mut partials = Vec::new();
                runs(fold, DType::Float64, cast_slice(&values), 1100, &mut partials);
                assert!(f64::from_bits(partials[0]).is_nan(), "{fold:?} at {at}");
            }
        }
    }

    #[test]
    fn pieces_combine_pairwise() {
        for pieces in 0..20_i64 {
            let mut pairwise = Pairwise::default();
            (0..pieces).for_each(|piece| pairwise.push(Fold::Sum, DType::Int64, piece as u64));
            assert_eq!(pairwise.finish(Fold::Sum, DType::Int64), (pieces * (pieces - 1) / 2) as u64);
            assert_eq!(pairwise.finish(Fold::Sum, DType::Int64), 0);
        }
    }

    #[test]
    fn words_accumulate_element_by_element() {
        let mut words = [Fold::Max.identity(DType::Bool); 3];
        accumulate(Fold::Max, DType::Bool, &[0, 1, 0], &mut words);
        accumulate(Fold::Max, DType::Bool, &[0, 0, 1], &mut words);
        assert_eq!(words, [0, 1, 1]);
    }
}
