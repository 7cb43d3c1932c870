//! Neighbours, exponents and scales of floating-point numbers, from their bits.

use crate::dtype::{f16, to_half};

/// A floating-point type whose neighbours can be asked for.
pub(super) trait Stepped: Copy + PartialOrd {
    fn next_up(self) -> Self;
    fn next_down(self) -> Self;
    fn to_f64(self) -> f64;
    fn cut(value: f64) -> Self;
    fn nan() -> Self;
}

macro_rules! stepped {
    ($($real:ty)*) => {$(
        impl Stepped for $real {
            #[inline(always)]
            fn next_up(self) -> $real {
                <$real>::next_up(self)
            }
            #[inline(always)]
            fn next_down(self) -> $real {
                <$real>::next_down(self)
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn cut(value: f64) -> $real {
                value as $real
            }
            #[inline(always)]
            fn nan() -> $real {
                <$real>::NAN
            }
        }
    )*};
}

stepped!(f32 f64);

impl Stepped for f16 {
    fn next_up(self) -> f16 {
        let bits = self.to_bits();
        match bits {
            _ if self.is_nan() || bits == f16::INFINITY.to_bits() => self,
            0x8000 | 0 => f16::from_bits(1),
            _ if self.is_sign_negative() => f16::from_bits(bits - 1),
            _ => f16::from_bits(bits + 1),
        }
    }

    fn next_down(self) -> f16 {
        -(-self).next_up()
    }

    fn to_f64(self) -> f64 {
        f16::to_f64(self)
    }

    fn cut(value: f64) -> f16 {
        to_half(value)
    }

    fn nan() -> f16 {
        f16::NAN
    }
}

/// The neighbour of `from` on the way to `to`.
pub(super) fn next_after<T: Stepped>(from: T, to: T) -> T {
    match from.partial_cmp(&to) {
        None => T::nan(),
        Some(std::cmp::Ordering::Equal) => to,
        Some(std::cmp::Ordering::Less) => from.next_up(),
        Some(std::cmp::Ordering::Greater) => from.next_down(),
    }
}

/// The distance to the neighbour away from zero, with the number's sign.
pub(super) fn spacing<T: Stepped>(a: T) -> T {
    let value = a.to_f64();
    if !value.is_finite() {
        return T::nan();
    }
    let next = if value.is_sign_negative() && value != 0.0 { a.next_down() } else { a.next_up() };
    if next.to_f64().is_infinite() {
        // Beyond the greatest number neighbours would go on at the same distance.
        let before = if value < 0.0 { a.next_up() } else { a.next_down() };
        return T::cut(value - before.to_f64());
    }
    T::cut(next.to_f64() - value)
}

/// The distance to the next number above, which is what NumPy gives for float16; infinite at the greatest.
pub(super) fn spacing_upwards<T: Stepped>(a: T) -> T {
    let value = a.to_f64();
    if value.is_finite() { T::cut(a.next_up().to_f64() - value) } else { T::nan() }
}

/// A mantissa in [1/2, 1) and an exponent of two; infinities, NaN and zero with exponent 0.
pub(super) fn frexp<T: Stepped>(a: T) -> (T, i32) {
    let value = a.to_f64();
    if value == 0.0 || !value.is_finite() {
        return (a, 0);
    }
    let subnormal = value.abs() < f64::MIN_POSITIVE;
    let normal = if subnormal { value * 2.0_f64.powi(64) } else { value };
    let bits = normal.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1022 - if subnormal { 64 } else { 0 };
    (T::cut(f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52))), exponent)
}

/// `a·2ⁿ`, rounded once.
pub(super) fn scale<T: Stepped>(a: T, exponent: f64) -> T {
    // Beyond ±2200 every number is zero or infinite. Up to two thirds at a time no intermediate is subnormal
    // unless the result is, so one rounding remains.
    let mut left = exponent.clamp(-2200.0, 2200.0) as i32;
    let mut value = a.to_f64();
    while left > 1000 {
        value *= 2.0_f64.powi(1000);
        left -= 1000;
    }
    if left < -1000 {
        let (mantissa, own) = frexp(value);
        let total = own + left;
        if total < -1080 {
            return T::cut(0.0_f64.copysign(value));
        }
        // A mantissa below 1 times the least normal number's factor, then once more to where it is rounded.
        return T::cut(mantissa * 2.0_f64.powi(total.max(-1000)) * 2.0_f64.powi(total - total.max(-1000)));
    }
    T::cut(value * 2.0_f64.powi(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_half_precision() {
        assert_eq!(next_after(f16::ZERO, f16::ONE).to_bits(), 1);
        assert_eq!(next_after(f16::ZERO, -f16::ONE).to_bits(), 0x8001);
        assert_eq!(next_after(f16::ONE, f16::INFINITY), f16::ONE + f16::EPSILON);
        assert_eq!(next_after(f16::MAX, f16::INFINITY), f16::INFINITY);
        assert!(next_after(f16::NAN, f16::ONE).is_nan());
    }

    #[test]
    fn numbers_take_apart_and_back() {
        for value in [1.0, -0.75, 3e300, 5e-324, -1e-310, f64::MAX, 2.0_f64.powi(-1000)] {
            let (mantissa, exponent) = frexp(value);
            assert!((0.5..1.0).contains(&mantissa.abs()), "{value}");
            assert_eq!(scale(mantissa, f64::from(exponent)), value);
        }
        assert_eq!(frexp(0.0), (0.0, 0));
        assert_eq!(frexp(1e-45_f32), (0.5, -148));
        assert_eq!(scale(3.0, -1075.0), 1e-323);
        assert_eq!((scale(1.0, 5000.0), scale(-1.0, -5000.0)), (f64::INFINITY, -0.0));
    }

    #[test]
    fn distances_between_neighbours() {
        assert_eq!(spacing(1.0_f64), f64::EPSILON);
        assert_eq!(spacing(-1.0_f64), -f64::EPSILON);
        assert_eq!(spacing(0.0_f64), 5e-324);
        assert_eq!(spacing(f64::MAX), 2.0_f64.powi(971));
        assert!(spacing(f32::INFINITY).is_nan());
    }
}
