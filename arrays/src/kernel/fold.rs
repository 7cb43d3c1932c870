//! Reductions of slices to words of 64 bits: `f64` for floating-point elements, two of them for complex ones, and
//! `i64` or `u64` for the others.
//!
//! Order: a run is cut into blocks of 1024 elements; a block is summed in 32 lanes, whose results combine
//! pairwise; so do the elements of runs of 2, 4, 8 or 16. So the bits follow from the values and the length of the run
//! alone.
//! Error of a sum: that of 32 + 5 additions in `f64` within a block, whatever the type of the elements.
//! Never here: which elements make a run, and how runs combine.

use super::cast::cast;
use super::complex;
use super::float::has_nan;
use super::lanes::each_run;
use super::place;
use super::real::Real;
use super::vector::{self, Loop};
use crate::dtype::{DType, Kind};
use bytemuck::{Pod, cast_slice, cast_slice_mut};
use num_complex::Complex;
use std::borrow::Cow;

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
    /// The first place of the least, or of NaN if there is one; of numbers that are not complex.
    FirstMin,
    /// The first place of the greatest, or of NaN if there is one; of numbers that are not complex.
    FirstMax,
}

/// Words in which a value of this type is combined. Cost: none.
pub(crate) fn unit(fold: Fold, dtype: DType) -> usize {
    if dtype.is_complex() || fold.is_place() { 2 } else { 1 }
}

/// The type of words: what elements widen to before they combine. Cost: none.
pub(crate) fn word_type(dtype: DType) -> DType {
    match dtype.kind() {
        Kind::Bool | Kind::Signed => DType::Int64,
        Kind::Unsigned => DType::Uint64,
        Kind::Float => DType::Float64,
        Kind::Complex => DType::Complex128,
    }
}

impl Fold {
    /// The words that change nothing: as many as [`unit`] says, the rest zero.
    pub(crate) fn identity(self, dtype: DType) -> [u64; 2] {
        let float = match self {
            Fold::Sum | Fold::Any => 0.0,
            Fold::Product | Fold::All => 1.0,
            Fold::Min | Fold::FirstMin => f64::INFINITY,
            Fold::Max | Fold::FirstMax => f64::NEG_INFINITY,
        };
        let signed = match self {
            Fold::Sum | Fold::Any => 0_i64,
            Fold::Product | Fold::All => 1,
            Fold::Min | Fold::FirstMin => i64::MAX,
            Fold::Max | Fold::FirstMax => i64::MIN,
        };
        let unsigned = match self {
            Fold::Min | Fold::FirstMin => u64::MAX,
            Fold::Max | Fold::FirstMax => 0,
            _ => signed as u64,
        };
        // The place behind all places.
        let place = if self.is_place() { u64::MAX } else { 0 };
        match word_type(dtype) {
            DType::Float64 => [float.to_bits(), place],
            // Of complex numbers the least has an infinite imaginary part, too.
            DType::Complex128 if float.is_infinite() => [float.to_bits(); 2],
            DType::Complex128 => [float.to_bits(), 0],
            DType::Uint64 => [unsigned, place],
            _ => [signed as u64, place],
        }
    }

    /// Whether values are elements with their places.
    pub(crate) fn is_place(self) -> bool {
        matches!(self, Fold::FirstMin | Fold::FirstMax)
    }

    /// Fills words with what changes nothing.
    pub(crate) fn clear(self, dtype: DType, words: &mut [u64]) {
        let identity = self.identity(dtype);
        words.chunks_mut(unit(self, dtype)).for_each(|words| words.copy_from_slice(&identity[..words.len()]));
    }
}

/// Calls `$call!` with the combining function of a fold on words of a type.
macro_rules! with_fold {
    (f64, $fold:expr, $call:ident) => {
        match $fold {
            Fold::Sum | Fold::Any => $call!(|a: f64, b: f64| a + b),
            Fold::Product | Fold::All => $call!(|a: f64, b: f64| a * b),
            Fold::Min => $call!(|a: f64, b: f64| if b < a || b.is_nan() { b } else { a }),
            Fold::Max => $call!(|a: f64, b: f64| if b > a || b.is_nan() { b } else { a }),
            Fold::FirstMin | Fold::FirstMax => unreachable!("places combine with their elements"),
        }
    };
    (i64, $fold:expr, $call:ident) => {
        match $fold {
            Fold::Sum => $call!(|a: i64, b: i64| a.wrapping_add(b)),
            Fold::Product => $call!(|a: i64, b: i64| a.wrapping_mul(b)),
            Fold::Min | Fold::All => $call!(|a: i64, b: i64| a.min(b)),
            Fold::Max | Fold::Any => $call!(|a: i64, b: i64| a.max(b)),
            Fold::FirstMin | Fold::FirstMax => unreachable!("places combine with their elements"),
        }
    };
    (u64, $fold:expr, $call:ident) => {
        match $fold {
            Fold::Sum => $call!(|a: u64, b: u64| a.wrapping_add(b)),
            Fold::Product => $call!(|a: u64, b: u64| a.wrapping_mul(b)),
            Fold::Min | Fold::All => $call!(|a: u64, b: u64| a.min(b)),
            Fold::Max | Fold::Any => $call!(|a: u64, b: u64| a.max(b)),
            Fold::FirstMin | Fold::FirstMax => unreachable!("places combine with their elements"),
        }
    };
    (complex, $fold:expr, $call:ident) => {
        match $fold {
            Fold::Sum | Fold::Any => $call!(|a: Words, b: Words| Complex { re: a.re + b.re, im: a.im + b.im }),
            Fold::Product | Fold::All => $call!(|a: Words, b: Words| complex::multiply(a, b)),
            Fold::Min => {
                $call!(|a: Words, b: Words| if complex::less(b, a) || (complex::is_nan(b) && !complex::is_nan(a)) {
                    b
                } else {
                    a
                })
            }
            Fold::FirstMin | Fold::FirstMax => unreachable!("complex numbers have no places"),
            Fold::Max => {
                $call!(|a: Words, b: Words| if complex::less(a, b) || (complex::is_nan(b) && !complex::is_nan(a)) {
                    b
                } else {
                    a
                })
            }
        }
    };
}

pub(super) use with_fold;

/// The two words of a complex number.
pub(super) type Words = Complex<f64>;

/// Elements in a type that the loops below are compiled for: short ones widened.
fn widened(dtype: DType, values: &[u8]) -> (DType, Cow<'_, [u64]>, Option<&[u8]>) {
    use DType::{Bool, Complex128, Float32, Float64, Int64, Uint64};
    if matches!(dtype, Bool | Float32 | Float64 | Int64 | Uint64 | Complex128) {
        return (dtype, Cow::Borrowed(&[]), Some(values));
    }
    let to = word_type(dtype);
    let mut room = vec![0_u64; values.len() / dtype.bytes() * unit(Fold::Sum, dtype)];
    cast(dtype, to, values, cast_slice_mut(&mut room));
    (to, Cow::Owned(room), None)
}

/// Reduces every run of `run` elements to words, added to `partials`; the last run may be shorter.
///
/// Cost: one operation and one read an element; short types are first widened, a buffer at a time.
pub(crate) fn runs(fold: Fold, dtype: DType, values: &[u8], run: usize, partials: &mut Vec<u64>) {
    let (dtype, room, direct) = widened(dtype, values);
    let values = direct.unwrap_or_else(|| cast_slice(&room));
    if fold.is_place() {
        return values.chunks(run * dtype.bytes()).for_each(|run| partials.extend(place::first(fold, dtype, run)));
    }
    partials.reserve(values.len() / (run * dtype.bytes()).max(1) + 1);
    match dtype {
        DType::Float64 => runs_real::<f64>(fold, cast_slice(values), run, partials),
        DType::Float32 => runs_real::<f32>(fold, cast_slice(values), run, partials),
        DType::Int64 => runs_integer::<i64>(fold, cast_slice(values), run, partials),
        DType::Bool => runs_bool(fold, values, run, partials),
        DType::Uint64 => runs_unsigned(fold, cast_slice(values), run, partials),
        _ => runs_complex(fold, cast_slice(values), run, partials),
    }
}

/// As [`runs`] of a fold of places, for runs whose words all combine: only runs that are more extreme than all before,
/// of which `best` keeps the word, are looked through for a place; others get the place behind all places.
///
/// Cost: one read an element, and another for the few runs that lead.
pub(crate) fn leading_runs(
    fold: Fold,
    dtype: DType,
    values: &[u8],
    run: usize,
    best: &mut Option<u64>,
    partials: &mut Vec<u64>,
) {
    let (dtype, room, direct) = widened(dtype, values);
    place::leading(fold, dtype, direct.unwrap_or_else(|| cast_slice(&room)), run, best, partials);
}

fn runs_real<T: Real>(fold: Fold, values: &[T], run: usize, partials: &mut Vec<u64>) {
    if matches!(fold, Fold::Min | Fold::Max) {
        let part = run * (NEAR / run).max(1);
        return values.chunks(part).for_each(|values| extremes(fold, values, run, partials));
    }
    let identity = f64::from_bits(fold.identity(DType::Float64)[0]);
    macro_rules! call {
        ($combine:expr) => {
            each_run(values, run, identity, T::wide, $combine, |word| partials.push(word.to_bits()))
        };
    }
    with_fold!(f64, fold, call);
}

/// Elements that are looked at twice at least cost: both times in the nearest cache.
const NEAR: usize = 2048;

/// The least or the greatest of every run: one instruction an element where none is NaN.
fn extremes<T: Real>(fold: Fold, values: &[T], run: usize, partials: &mut Vec<u64>) {
    let identity = f64::from_bits(fold.identity(DType::Float64)[0]);
    let push = |word: f64| partials.push(word.to_bits());
    match (fold, has_nan(values)) {
        (Fold::Min, false) => each_run(values, run, identity, T::wide, |a, b| if b < a { b } else { a }, push),
        (Fold::Min, true) => {
            each_run(values, run, identity, T::wide, |a, b| if b < a || b.is_nan() { b } else { a }, push);
        }
        (_, false) => each_run(values, run, identity, T::wide, |a, b| if b > a { b } else { a }, push),
        (_, true) => each_run(values, run, identity, T::wide, |a, b| if b > a || b.is_nan() { b } else { a }, push),
    }
}

fn runs_integer<T: Pod + Into<i64>>(fold: Fold, values: &[T], run: usize, partials: &mut Vec<u64>) {
    let identity = fold.identity(DType::Int64)[0] as i64;
    macro_rules! call {
        ($combine:expr) => {
            each_run(values, run, identity, Into::into, $combine, |word| partials.push(word as u64))
        };
    }
    with_fold!(i64, fold, call);
}

/// Truth values, which are bytes of 0 and 1, without widening them.
fn runs_bool(fold: Fold, values: &[u8], run: usize, partials: &mut Vec<u64>) {
    for values in values.chunks(run) {
        partials.push(match fold {
            Fold::Sum => values.chunks(BYTES_SUMMED).map(|bytes| u64::from(vector::run(CountBytes { bytes }))).sum(),
            Fold::Any | Fold::Max => u64::from(values.contains(&1)),
            Fold::All | Fold::Product | Fold::Min => u64::from(!values.contains(&0)),
            Fold::FirstMin | Fold::FirstMax => unreachable!("places combine with their elements"),
        });
    }
}

/// So many bytes of 0 and 1 have a sum that is a byte.
const BYTES_SUMMED: usize = 128;

struct CountBytes<'a> {
    bytes: &'a [u8],
}

impl Loop for CountBytes<'_> {
    type Output = u8;

    #[inline(always)]
    fn run(self) -> u8 {
        self.bytes.iter().fold(0, |sum, &byte| sum.wrapping_add(byte))
    }
}

fn runs_unsigned(fold: Fold, values: &[u64], run: usize, partials: &mut Vec<u64>) {
    let identity = fold.identity(DType::Uint64)[0];
    macro_rules! call {
        ($combine:expr) => {
            each_run(values, run, identity, |value| value, $combine, |word| partials.push(word))
        };
    }
    with_fold!(u64, fold, call);
}

fn runs_complex(fold: Fold, values: &[Words], run: usize, partials: &mut Vec<u64>) {
    let [re, im] = fold.identity(DType::Complex128).map(f64::from_bits);
    macro_rules! call {
        ($combine:expr) => {
            each_run(
                values,
                run,
                Complex { re, im },
                |value| value,
                $combine,
                |word| {
                    partials.extend([word.re.to_bits(), word.im.to_bits()]);
                },
            )
        };
    }
    with_fold!(complex, fold, call);
}

/// Combines words with elements, one by one: `words[i] ← words[i] ∘ values[i]`, and so with each row of as many
/// elements that follows.
///
/// Cost: one operation, two reads and a write an element; as [`runs`] for short types.
pub(crate) fn accumulate(fold: Fold, dtype: DType, values: &[u8], words: &mut [u64]) {
    let (dtype, room, direct) = widened(dtype, values);
    let values = direct.unwrap_or_else(|| cast_slice(&room));
    match dtype {
        DType::Float64 => accumulate_real::<f64>(fold, cast_slice(values), cast_slice_mut(words)),
        DType::Float32 => accumulate_real::<f32>(fold, cast_slice(values), cast_slice_mut(words)),
        DType::Int64 => accumulate_integer::<i64>(fold, cast_slice(values), cast_slice_mut(words)),
        DType::Bool => accumulate_integer::<u8>(fold, values, cast_slice_mut(words)),
        DType::Uint64 => accumulate_unsigned(fold, cast_slice(values), words),
        _ => accumulate_complex(fold, cast_slice(values), cast_slice_mut(words)),
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

fn accumulate_unsigned(fold: Fold, values: &[u64], words: &mut [u64]) {
    macro_rules! call {
        ($combine:expr) => {
            vector::run(Accumulate { words, values, widen: |value| value, combine: $combine })
        };
    }
    with_fold!(u64, fold, call);
}

fn accumulate_complex(fold: Fold, values: &[Words], words: &mut [Words]) {
    macro_rules! call {
        ($combine:expr) => {
            vector::run(Accumulate { words, values, widen: |value| value, combine: $combine })
        };
    }
    with_fold!(complex, fold, call);
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
        for values in self.values.chunks(self.words.len().max(1)) {
            for (word, &value) in self.words.iter_mut().zip(values) {
                *word = (self.combine)(*word, (self.widen)(value));
            }
        }
    }
}

/// Combines words with words: `left[i] ← left[i] ∘ right[i]`.
///
/// Cost: one operation, two reads and a write a word.
pub(crate) fn combine(fold: Fold, dtype: DType, left: &mut [u64], right: &[u64]) {
    if fold.is_place() {
        return place::combine(fold, word_type(dtype), left, right);
    }
    accumulate(fold, word_type(dtype), cast_slice(right), left);
}

/// Writes words of elements of type `dtype` as elements of `out_dtype`, divided by `divisor` if there is one.
///
/// Cost: at most one division, a read and a write a word.
pub(crate) fn finish(fold: Fold, words: &[u64], dtype: DType, divisor: Option<f64>, out_dtype: DType, out: &mut [u8]) {
    if fold.is_place() {
        let places: Vec<u64> = words.chunks_exact(2).map(|words| words[1]).collect();
        return cast(DType::Uint64, out_dtype, cast_slice(&places), out);
    }
    let from = word_type(dtype);
    let Some(divisor) = divisor else {
        return cast(from, out_dtype, cast_slice(words), out);
    };
    let mut floats = vec![0.0_f64; words.len()];
    match from {
        DType::Int64 => floats.iter_mut().zip(words).for_each(|(float, &word)| *float = word as i64 as f64),
        DType::Uint64 => floats.iter_mut().zip(words).for_each(|(float, &word)| *float = word as f64),
        _ => floats.copy_from_slice(cast_slice(words)),
    }
    floats.iter_mut().for_each(|float| *float /= divisor);
    let from = if from == DType::Complex128 { from } else { DType::Float64 };
    cast(from, out_dtype, cast_slice(&floats), out);
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
    fn words_accumulate_element_by_element() {
        let mut words = [0; 3];
        Fold::Max.clear(DType::Bool, &mut words);
        accumulate(Fold::Max, DType::Bool, &[0, 1, 0], &mut words);
        accumulate(Fold::Max, DType::Bool, &[0, 0, 1], &mut words);
        assert_eq!(words, [0, 1, 1]);
    }

    #[test]
    fn short_integers_are_summed_in_64_bits() {
        let values = vec![-100_i8; 5000];
        let mut partials = Vec::new();
        runs(Fold::Sum, DType::Int8, cast_slice(&values), 5000, &mut partials);
        assert_eq!(partials, [(-500_000_i64) as u64]);
        let mut out = [0_u16];
        finish(Fold::Sum, &partials, DType::Int8, None, DType::Uint16, cast_slice_mut(&mut out));
        assert_eq!(out, [(-500_000_i64) as u16]);
    }

    #[test]
    fn complex_numbers_are_words_of_two() {
        let values: Vec<Complex<f32>> = (0..100).map(|i| Complex { re: (i % 7) as f32, im: i as f32 }).collect();
        let mut partials = Vec::new();
        for fold in [Fold::Sum, Fold::Max, Fold::Min] {
            runs(fold, DType::Complex64, cast_slice(&values), 100, &mut partials);
        }
        let found: Vec<f64> = partials.into_iter().map(f64::from_bits).collect();
        assert_eq!(found, [295.0, 4950.0, 6.0, 97.0, 0.0, 0.0]);
    }
}
