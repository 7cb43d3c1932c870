//! What is known of columns: bounds, means and spreads, as integers that do not depend on the order of rows.
//!
//! Invariant: the words of parts combine to the words of the whole, by maxima for `add_bounds`, else by sums.
//! Never here: messages, the choice of an origin.

use super::Real;
use super::fixed::{FixedPoint, Scale, head, split};
use super::simd::{Isa, Widening, Work};

/// Entries looked at in one loop, about: whole rows, so that narrow tables fill vectors too.
const ENTRIES: usize = 128;

/// Lowers and raises the bounds of columns: for each column the complement of its lowest value's place in the order of
/// all numbers, then the places of the highest, then whether there is a NaN.
///
/// Shapes: `rows` m×d in C order, `words` 2·d + 1, at first `i64::MIN`. Cost: one read of `rows`.
pub fn add_bounds<T: Real>(rows: &[T], columns: usize, words: &mut [i64]) {
    assert_eq!(words.len(), 2 * columns + 1, "two bounds for each column, and a word");
    if !rows.is_empty() {
        T::dispatch(Isa::best(), Bounds { rows, columns, words });
    }
}

/// Lowest and highest value of each column, and whether there is a NaN; infinities of no rows.
///
/// Cost: 2·d operations.
pub fn bounds_of(words: &[i64]) -> (Vec<f64>, Vec<f64>, bool) {
    let columns = words.len() / 2;
    let none = |words: &[i64]| words.iter().all(|&word| word == i64::MIN);
    if none(&words[..columns]) {
        return (vec![f64::INFINITY; columns], vec![f64::NEG_INFINITY; columns], words[2 * columns] == 1);
    }
    let lowest = words[..columns].iter().map(|&word| value(!word)).collect();
    let highest = words[columns..2 * columns].iter().map(|&word| value(word)).collect();
    (lowest, highest, words[2 * columns] == 1)
}

/// Adds rows to the heads of their columns' sums, of which `mean_of_heads` makes means.
///
/// Shapes: `rows` m×d in C order, `words` d. Cost: one read of `rows`.
pub fn add_heads<T: Real>(rows: &[T], fixed: &FixedPoint, words: &mut [i64]) {
    assert_eq!(words.len(), fixed.columns(), "a sum for each column");
    T::dispatch(Isa::best(), Heads { rows, factors: fixed.factors(), words });
}

/// The scales of a column's distances from its origin, and of their squares, for a bound of the former.
#[derive(Clone, Copy, Debug)]
pub struct Deviation {
    near: Scale,
    square: Scale,
}

impl Deviation {
    /// For at most `rows` rows.
    pub fn new(bound: f64, rows: u64) -> Deviation {
        Deviation { near: Scale::new(bound, rows), square: Scale::new((bound * bound).min(f64::MAX), rows) }
    }

    /// The sums of absolute deviations and of their squares.
    pub fn sums(&self, words: [i64; 3]) -> (f64, f64) {
        (self.near.value([words[0], 0]), self.square.value([words[1], words[2]]))
    }
}

/// Adds the rows' deviations from `origin`: for each column a word of their absolute values, and two of their squares.
///
/// Shapes: `rows` m×d in C order, `origin` and `scales` d, `words` 3·d. Cost: one read of `rows`.
pub fn add_deviations<T: Real>(rows: &[T], origin: &[T], scales: &[Deviation], words: &mut [i64]) {
    assert!(words.len() == 3 * origin.len() && scales.len() == origin.len(), "three words for each column");
    T::dispatch(Isa::best(), Deviations { rows, origin, scales, words });
}

/// Numbers in the order of their places; NaN has none.
fn place(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

fn value(place: i64) -> f64 {
    f64::from_bits((place ^ ((place >> 63) as u64 >> 1) as i64) as u64)
}

fn rows_at_once(columns: usize) -> usize {
    ENTRIES.div_ceil(columns)
}

struct Bounds<'a, T> {
    rows: &'a [T],
    columns: usize,
    words: &'a mut [i64],
}

impl<T: Real> Work<T> for Bounds<'_, T> {
    #[inline(always)]
    fn run<S: Widening<T>>(self, _: S) {
        let width = rows_at_once(self.columns) * self.columns;
        let (mut lowest, mut highest) = (vec![f64::INFINITY; width], vec![f64::NEG_INFINITY; width]);
        // What a value leaves of itself: zero, but NaN of what is not finite.
        let mut rest = vec![0.0; width];
        for rows in self.rows.chunks(width) {
            let bounds = lowest.iter_mut().zip(highest.iter_mut()).zip(rest.iter_mut());
            for (value, ((low, high), rest)) in rows.iter().zip(bounds) {
                let value = value.widen();
                *low = if value < *low { value } else { *low };
                *high = if value > *high { value } else { *high };
                #[expect(clippy::eq_op, reason = "zero, or NaN, as said above")]
                let left = value - value;
                *rest += left;
            }
        }
        for at in 0..width {
            let column = at % self.columns;
            let (low, high) = self.words.split_at_mut(self.columns);
            low[column] = low[column].max(!place(lowest[at]));
            high[column] = high[column].max(place(highest[at]));
        }
        let unsure = rest.iter().any(|rest| rest.is_nan());
        if unsure && self.rows.iter().any(|value| value.widen().is_nan()) {
            self.words[2 * self.columns] = 1;
        }
    }
}

struct Heads<'a, T> {
    rows: &'a [T],
    factors: &'a [f64],
    words: &'a mut [i64],
}

impl<T: Real> Work<T> for Heads<'_, T> {
    #[inline(always)]
    fn run<S: Widening<T>>(self, _: S) {
        let columns = self.words.len();
        let width = rows_at_once(columns) * columns;
        let factors: Vec<f64> = self.factors.iter().copied().cycle().take(width).collect();
        let mut sums = vec![0_i64; width];
        for rows in self.rows.chunks(width) {
            for ((sum, factor), value) in sums.iter_mut().zip(&factors).zip(rows) {
                *sum = sum.wrapping_add(head(value.widen(), *factor));
            }
        }
        sums.iter().enumerate().for_each(|(at, &sum)| {
            let word = &mut self.words[at % columns];
            *word = word.wrapping_add(sum);
        });
    }
}

struct Deviations<'a, T> {
    rows: &'a [T],
    origin: &'a [T],
    scales: &'a [Deviation],
    words: &'a mut [i64],
}

impl<T: Real> Work<T> for Deviations<'_, T> {
    #[inline(always)]
    fn run<S: Widening<T>>(self, _: S) {
        let columns = self.origin.len();
        let width = rows_at_once(columns) * columns;
        let cycle = |of: &dyn Fn(usize) -> f64| (0..width).map(|at| of(at % columns)).collect::<Vec<f64>>();
        let origin = cycle(&|column| self.origin[column].widen());
        let near = cycle(&|column| self.scales[column].near.factor());
        let square = cycle(&|column| self.scales[column].square.factor());
        let tail = self.scales[0].square.tail();
        let mut sums = [vec![0_i64; width], vec![0_i64; width], vec![0_i64; width]];
        for rows in self.rows.chunks(width) {
            let [nears, heads, tails] = &mut sums;
            let scales = origin.iter().zip(&near).zip(&square);
            let sums = nears.iter_mut().zip(heads).zip(tails);
            for ((value, ((origin, near), square)), ((sum, head_sum), tail_sum)) in rows.iter().zip(scales).zip(sums) {
                let apart = (value.widen() - origin).abs();
                let [head_word, tail_word] = split((apart * apart).min(f64::MAX), *square, tail);
                *sum = sum.wrapping_add(head(apart, *near));
                *head_sum = head_sum.wrapping_add(head_word);
                *tail_sum = tail_sum.wrapping_add(tail_word);
            }
        }
        for at in 0..width {
            for (word, sums) in self.words[at % columns * 3..].iter_mut().zip(&sums) {
                *word = word.wrapping_add(sums[at]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize, columns: usize) -> Vec<f32> {
        (0..count * columns).map(|at| ((at * 7919 + 13) % 1009) as f32 / 16.0 - 20.0).collect()
    }

    #[track_caller]
    fn check(count: usize, columns: usize) {
        let rows = rows(count, columns);
        let column = |column: usize| rows.iter().skip(column).step_by(columns).map(|&value| f64::from(value));
        let mut words = vec![i64::MIN; 2 * columns + 1];
        add_bounds(&rows, columns, &mut words);
        let (lowest, highest, nan) = bounds_of(&words);
        let bounds: Vec<f64> = lowest.iter().zip(&highest).map(|(low, high)| low.abs().max(high.abs())).collect();
        let fixed = FixedPoint::new(&bounds, count as u64, 1);
        let mut heads = vec![0; columns];
        add_heads(&rows, &fixed, &mut heads);
        let origin: Vec<f32> = (0..columns).map(|column| column as f32 / 4.0).collect();
        let scales: Vec<Deviation> = bounds.iter().map(|bound| Deviation::new(bound + 99.0, count as u64)).collect();
        let mut deviations = vec![0; 3 * columns];
        let (front, back) = rows.split_at(count / 2 * columns);
        add_deviations(front, &origin, &scales, &mut deviations);
        add_deviations(back, &origin, &scales, &mut deviations);
        assert!(!nan);
        for at in 0..columns {
            assert_eq!(lowest[at], column(at).fold(f64::INFINITY, f64::min));
            assert_eq!(highest[at], column(at).fold(f64::NEG_INFINITY, f64::max));
            let mean = column(at).sum::<f64>() / count as f64;
            assert!((fixed.mean(at, heads[at], 0, count as i128) - mean).abs() < 1e-9);
            let (near, square) = scales[at].sums([0, 1, 2].map(|word| deviations[3 * at + word]));
            let own = f64::from(origin[at]);
            assert!((near - column(at).map(|value| (value - own).abs()).sum::<f64>()).abs() < 1e-6);
            assert!((square - column(at).map(|value| (value - own).powi(2)).sum::<f64>()).abs() < 1e-6);
        }
    }

    #[test]
    fn columns_are_known_as_a_plain_loop_knows_them() {
        check(1, 1);
        check(77, 3);
        check(1000, 16);
        check(5, 200);
    }

    #[test]
    fn what_is_no_number_is_found() {
        let mut rows = rows(50, 3);
        rows[31] = f32::NAN;
        let mut words = [i64::MIN; 7];
        add_bounds(&rows, 3, &mut words);
        assert!(bounds_of(&words).2);
        rows[31] = f32::NEG_INFINITY;
        words = [i64::MIN; 7];
        add_bounds(&rows, 3, &mut words);
        let (lowest, _, nan) = bounds_of(&words);
        assert!(!nan && lowest[1] == f64::NEG_INFINITY);
    }
}
