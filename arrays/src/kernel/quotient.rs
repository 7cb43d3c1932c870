//! Quotients of 64-bit integers, rounded down, by the floating-point unit where that is exact.
//!
//! Of whole numbers below 2⁵¹ the quotient a/b is at least 1/|b| away from the next whole number unless it is one, and
//! its rounding error is below 1/(4·|b|), so rounding down gives the exact result. Larger numbers are divided as such.

use super::vector::{self, Loop};

/// Elements that are looked at together for large numbers.
const CHUNK: usize = 256;
/// Below this both conversions by [`SHIFT`] are exact.
const EXACT: i64 = 1 << 51;
/// Added to a whole number of at most 51 bits, it leaves that number in the lowest bits of its fraction.
const SHIFT: f64 = 6_755_399_441_055_744.0;
const SHIFT_BITS: i64 = SHIFT.to_bits() as i64;

/// `out[i] = ⌊a[i]/b[i]⌋`, or what that leaves of `a[i]`; 0 where `b[i]` is 0.
pub(super) fn divide(a: &[i64], b: &[i64], out: &mut [i64], remainder: bool, plain: impl Fn(i64, i64) -> i64) {
    vector::run(Quotients { a, b, out, remainder, plain });
}

struct Quotients<'a, F> {
    a: &'a [i64],
    b: &'a [i64],
    out: &'a mut [i64],
    remainder: bool,
    plain: F,
}

impl<F: Fn(i64, i64) -> i64> Loop for Quotients<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let pairs = self.a.chunks(CHUNK).zip(self.b.chunks(CHUNK));
        for ((a, b), out) in pairs.zip(self.out.chunks_mut(CHUNK)) {
            let beyond = |sum: u64, &value: &i64| sum | (value.wrapping_add(EXACT) as u64 >> 52);
            if a.iter().fold(0, beyond) | b.iter().fold(0, beyond) != 0 {
                for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                    *out = (self.plain)(a, b);
                }
            } else if self.remainder {
                for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                    *out = if b == 0 { 0 } else { a.wrapping_sub(quotient(a, b).wrapping_mul(b)) };
                }
            } else {
                for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                    *out = if b == 0 { 0 } else { quotient(a, b) };
                }
            }
        }
    }
}

#[inline(always)]
fn quotient(a: i64, b: i64) -> i64 {
    let float = |value: i64| f64::from_bits(value.wrapping_add(SHIFT_BITS) as u64) - SHIFT;
    let down = (float(a) / float(b)).floor();
    ((down + SHIFT).to_bits() as i64).wrapping_sub(SHIFT_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_exact_up_to_the_largest_numbers() {
        let edge = [0, 1, -1, 2, 3, -7, 1000, EXACT - 1, EXACT, -EXACT, 1 - EXACT, EXACT + 1, i64::MAX, i64::MIN + 1];
        let near = (1..40).map(|step| (EXACT - 1) / step * step);
        let values: Vec<i64> = edge.into_iter().chain(near.flat_map(|n| [n - 1, n, n + 1])).collect();
        for &b in &values {
            let all = vec![b; values.len()];
            for remainder in [false, true] {
                // One by one as well, so that a large number beside it does not decide how a small one is divided.
                for (a, b) in [(&values[..], &all[..])].into_iter().chain(values.chunks(1).zip(all.chunks(1))) {
                    let mut found = vec![0; a.len()];
                    divide(a, b, &mut found, remainder, |a, b| expected(a, b, remainder));
                    let wanted: Vec<i64> = a.iter().zip(b).map(|(&a, &b)| expected(a, b, remainder)).collect();
                    assert_eq!(found, wanted, "{a:?} by {b:?}");
                }
            }
        }
    }

    fn expected(a: i64, b: i64, remainder: bool) -> i64 {
        if b == 0 {
            return 0;
        }
        let (a, b) = (i128::from(a), i128::from(b));
        let down = a.div_euclid(b) - i128::from(b < 0 && a.rem_euclid(b) != 0);
        if remainder { (a - down * b) as i64 } else { down as i64 }
    }
}
