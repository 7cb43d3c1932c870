//! Numbers as multiples of a power of two, so that their sums do not depend on the order of adding.
//!
//! A value v is split as v·2^s = head + tail·2^−b, two integers whose sums over all rows stay below 2^62. The scale
//! follows from a bound of |v| and the number of rows alone, so all ranks that know both use the same.
//! Invariant: splitting is a function of the value; adding and subtracting a split value are exact inverses.
//! Never here: clusters, buffers.

/// Adding it to |v| ≤ 2^51 rounds v to the nearest integer, ties to even, and leaves that integer in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 · 2^52
/// Bits of a head or a tail, if the rows are few enough.
const BITS_MAX: u32 = 51;

/// The scale of one sum of values with a known bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    factor: f64,
    exponent: i32,
    bits: u32,
}

impl Scale {
    /// For at most `rows` values of at most `bound` in absolute value; an infinite bound counts as the largest number.
    ///
    /// Error: a value is off by at most 2^−2b of the power of two above `bound`, where b = min(51, 62 − log₂ rows);
    /// nothing is lost from values that are multiples of that, but digits below 2^−1022−b are.
    pub fn new(bound: f64, rows: u64) -> Scale {
        assert!(bound >= 0.0, "a bound of absolute values is not {bound}");
        let bits = bits(rows);
        let exponent = (bits as i32 - exponent_above(bound.min(f64::MAX))).clamp(-1022, 1022);
        Scale { factor: power(exponent), exponent, bits }
    }

    /// A value as head and tail.
    #[inline(always)]
    pub fn split(&self, value: f64) -> [i64; 2] {
        split(value, self.factor, power(self.bits as i32))
    }

    /// The power of two by which values are multiplied.
    pub(super) fn factor(&self) -> f64 {
        self.factor
    }

    /// The power of two by which what a head leaves is multiplied.
    pub(super) fn tail(&self) -> f64 {
        power(self.bits as i32)
    }

    /// The exact sum of the heads and tails, in units of `unit`.
    #[inline(always)]
    pub fn total(&self, words: [i64; 2]) -> i128 {
        (i128::from(words[0]) << self.bits) + i128::from(words[1])
    }

    /// The sum of values that was added up in `words`.
    pub fn value(&self, words: [i64; 2]) -> f64 {
        self.value_of_total(self.total(words))
    }

    /// The same for a `total`.
    pub fn value_of_total(&self, total: i128) -> f64 {
        scaled(total as f64, -self.exponent - self.bits as i32)
    }

    /// Adds a value to the head and tail of a sum.
    #[inline(always)]
    pub fn add(&self, sum: &mut [i64; 2], value: f64) {
        let words = self.split(value);
        *sum = [sum[0].wrapping_add(words[0]), sum[1].wrapping_add(words[1])];
    }
}

/// The scales of the columns of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedPoint {
    rows: u64,
    limbs: usize,
    bits: u32,
    bounds: Vec<f64>,
    exponents: Vec<i32>,
    factors: Vec<f64>,
    /// For each column two powers of two whose product brings the mean of scaled values back.
    units: [Vec<f64>; 2],
    weights: Option<Weights>,
}

/// The scale of sums of weights, and the bound it follows from.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Weights {
    scale: Scale,
    bound: f64,
}

impl FixedPoint {
    /// Scales for sums over `rows` rows (of all ranks) whose centred columns are bounded by `bounds`.
    ///
    /// `limbs` is 1 (heads only) or 2 (heads and tails); `limbs_for` chooses.
    /// Error: with one limb an entry is off by at most 2^−b of the power of two above its column's bound, with two
    /// by 2^−2b, where b = min(51, 62 − log₂ rows).
    pub fn new(bounds: &[f64], rows: u64, limbs: usize) -> FixedPoint {
        assert!(limbs == 1 || limbs == 2, "a sum has one or two limbs, not {limbs}");
        let scales: Vec<Scale> = bounds.iter().map(|&bound| Scale::new(bound, rows)).collect();
        FixedPoint {
            rows,
            limbs,
            bits: bits(rows),
            bounds: bounds.to_vec(),
            exponents: scales.iter().map(|scale| scale.exponent).collect(),
            factors: scales.iter().map(|scale| scale.factor).collect(),
            units: [Vec::new(), Vec::new()],
            weights: None,
        }
        .with_units()
    }

    /// The same columns for rows that count as often as their weights say, of at most `bound` in absolute value.
    ///
    /// Two limbs, for weights may spread over many powers of two.
    /// Error: a weight is off by at most 2^−2b of the power of two above `bound`, an entry times its weight by as much
    /// of the power of two above the product of their bounds.
    pub fn weighted(&self, bound: f64) -> FixedPoint {
        // Rounding of a product must not lift it over the bound.
        let products = self.bounds.iter().map(|own| (own * bound).min(f64::MAX / 2.0) * (1.0 + 1e-6));
        let products = FixedPoint::new(&products.collect::<Vec<f64>>(), self.rows, 2);
        let weights = Some(Weights { scale: Scale::new(bound, self.rows), bound });
        FixedPoint { bounds: self.bounds.clone(), weights, ..products }.with_units()
    }

    fn with_units(self) -> FixedPoint {
        let unit = self.weights.map_or(-(self.bits as i32), |weights| weights.scale.exponent);
        let steps = |exponent: &i32| steps(unit - exponent);
        let units = self.exponents.iter().map(steps).unzip();
        FixedPoint { units: [units.0, units.1], ..self }
    }

    /// The scale of sums of weights; none if all rows count once.
    pub fn weights(&self) -> Option<&Scale> {
        self.weights.as_ref().map(|weights| &weights.scale)
    }

    /// The bound of the weights' absolute values: 1 without weights.
    pub fn weight_bound(&self) -> f64 {
        self.weights.map_or(1.0, |weights| weights.bound)
    }

    /// The limbs that keep means as exact as the data: 1 for `f32` up to 2^30 rows, else 2.
    pub fn limbs_for<T>(rows: u64) -> usize {
        if size_of::<T>() == 4 && bits(rows) >= 32 { 1 } else { 2 }
    }

    /// The scale for a sum of squared distances between the rows and centres of at most `reach`, by column.
    pub fn inertia<T: super::Real>(&self, reach: &[T]) -> Scale {
        assert_eq!(reach.len(), self.columns(), "a reach for each column");
        let squares = self.bounds.iter().zip(reach).map(|(&bound, reach)| (bound + reach.widen()).powi(2));
        // Rounding of the distances must not lift them over the bound.
        Scale::new(squares.sum::<f64>() * self.weight_bound() * 1.000_001, self.rows)
    }

    /// The bounds of the centred columns' absolute values.
    pub fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.factors.len()
    }

    /// Words of a column's sum.
    pub fn limbs(&self) -> usize {
        self.limbs
    }

    /// Powers of two by which the columns are multiplied.
    #[inline(always)]
    pub(super) fn factors(&self) -> &[f64] {
        &self.factors
    }

    /// The power of two by which what a head leaves is multiplied.
    #[inline(always)]
    pub(super) fn tail(&self) -> f64 {
        power(self.bits as i32)
    }

    /// The mean of a column's values whose heads and tails were summed, for the total of their counts or weights.
    pub fn mean(&self, column: usize, head: i64, tail: i64, weight: i128) -> f64 {
        self.mean_by(column, head, tail, weight as f64)
    }

    #[inline(always)]
    pub(super) fn mean_by(&self, column: usize, head: i64, tail: i64, weight: f64) -> f64 {
        // Without a tail the shift changes no digit, so a narrower sum is rounded alike.
        let total = match tail {
            0 => head as f64 * self.tail(),
            _ => ((i128::from(head) << self.bits) + i128::from(tail)) as f64,
        };
        // Divided first: the sum of large values may not be a number, the mean always is.
        total / weight * self.units[0][column] * self.units[1][column]
    }

    /// The same for all columns, of sums without tails.
    #[inline(always)]
    pub(super) fn means_by<T: super::Real>(&self, heads: &[i64], weight: f64, means: &mut [T]) {
        let columns = self.columns();
        let [steps, rests] = &self.units;
        let (heads, steps, rests) = (&heads[..columns], &steps[..columns], &rests[..columns]);
        for (column, mean) in means[..columns].iter_mut().enumerate() {
            let total = heads[column] as f64 * self.tail();
            *mean = T::narrow(total / weight * steps[column] * rests[column]);
        }
    }
}

/// Head and tail of `value` for the powers of two `factor` and `tail`.
#[inline(always)]
pub(super) fn split(value: f64, factor: f64, tail: f64) -> [i64; 2] {
    let scaled = value * factor;
    let rounded = scaled + ROUND;
    // The rest of rounding to an integer is exact, and so is its product with a power of two.
    [integer(rounded), integer((scaled - (rounded - ROUND)) * tail + ROUND)]
}

/// The head alone.
#[inline(always)]
pub(super) fn head(value: f64, factor: f64) -> i64 {
    integer(value * factor + ROUND)
}

#[inline(always)]
fn integer(rounded: f64) -> i64 {
    (rounded.to_bits() as i64).wrapping_sub(ROUND.to_bits() as i64)
}

/// Bits of a head such that `rows` of them stay within 2^62.
fn bits(rows: u64) -> u32 {
    let rows_log2 = rows.max(1).next_power_of_two().trailing_zeros();
    (62 - rows_log2.min(62)).min(BITS_MAX)
}

/// The least e with `bound` ≤ 2^e; 0 for zero.
fn exponent_above(bound: f64) -> i32 {
    let raw = bound.to_bits();
    let (exponent, fraction) = ((raw >> 52) as i32, raw & ((1 << 52) - 1));
    match (exponent, fraction) {
        (0, 0) => 0,
        (0, fraction) => fraction.next_power_of_two().trailing_zeros() as i32 - 1074,
        (exponent, fraction) => exponent - 1023 + i32::from(fraction != 0),
    }
}

/// 2^exponent for a normal number.
#[inline(always)]
fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// value · 2^exponent, for any exponent; a subnormal result is rounded.
fn scaled(value: f64, exponent: i32) -> f64 {
    let (step, rest) = steps(exponent);
    value * step * rest
}

/// Two powers of two whose product is 2^exponent.
fn steps(exponent: i32) -> (f64, f64) {
    let step = exponent.clamp(-1022, 1022);
    (power(step), power((exponent - step).clamp(-1022, 1022)))
}
