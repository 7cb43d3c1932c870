//! Elementwise operations on integers and truth values.
//!
//! What depends on bits alone is compiled once for each width; only what knows a sign once for each type.

use super::elementwise::{compare, map1, map1_plain, map2, map2_plain};
use super::operation::{Binary, Unary};
use super::quotient;
use crate::dtype::{to_int32, to_integer, to_unsigned};
use bytemuck::{Pod, cast_slice, cast_slice_mut};

/// An integer type.
pub(super) trait Integer: Pod + Ord {
    const ZERO: Self;
    const ONE: Self;
    const BITS: i64;
    const SIGNED: bool;

    fn wrapping_add(self, other: Self) -> Self;
    fn wrapping_sub(self, other: Self) -> Self;
    fn wrapping_mul(self, other: Self) -> Self;
    fn wrapping_neg(self) -> Self;
    fn wrapping_div(self, other: Self) -> Self;
    fn wrapping_rem(self, other: Self) -> Self;
    fn not(self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn shift_left(self, by: u32) -> Self;
    fn shift_right(self, by: u32) -> Self;
    fn count_ones(self) -> u8;
    /// The value of a shift or an exponent; negative ones, and those beyond `i64`, are -1 or very large.
    fn to_i64(self) -> i64;
    fn to_f64(self) -> f64;
    /// The number cut towards zero, as a conversion does it.
    fn cut(value: f64) -> Self;
}

macro_rules! integer {
    ($($integer:ty, $signed:literal, $cut:expr;)*) => {$(
        impl Integer for $integer {
            const ZERO: $integer = 0;
            const ONE: $integer = 1;
            const BITS: i64 = <$integer>::BITS as i64;
            const SIGNED: bool = $signed;

            integer! { forward $integer: wrapping_add wrapping_sub wrapping_mul wrapping_div wrapping_rem }

            #[inline(always)]
            fn wrapping_neg(self) -> $integer {
                <$integer>::wrapping_neg(self)
            }
            #[inline(always)]
            fn not(self) -> $integer {
                !self
            }
            #[inline(always)]
            fn and(self, other: $integer) -> $integer {
                self & other
            }
            #[inline(always)]
            fn or(self, other: $integer) -> $integer {
                self | other
            }
            #[inline(always)]
            fn xor(self, other: $integer) -> $integer {
                self ^ other
            }
            #[inline(always)]
            fn shift_left(self, by: u32) -> $integer {
                self << by
            }
            #[inline(always)]
            fn shift_right(self, by: u32) -> $integer {
                self >> by
            }
            #[inline(always)]
            fn count_ones(self) -> u8 {
                <$integer>::count_ones(self) as u8
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                i64::try_from(self).unwrap_or(i64::MAX)
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn cut(value: f64) -> $integer {
                $cut(value) as $integer
            }
        }
    )*};
    (forward $integer:ty: $($two:ident)*) => {
        $(#[inline(always)]
        fn $two(self, other: $integer) -> $integer {
            <$integer>::$two(self, other)
        })*
    };
}

integer! {
    i8, true, to_int32;
    i16, true, to_int32;
    i32, true, to_int32;
    i64, true, to_integer;
    u8, false, to_int32;
    u16, false, to_int32;
    u32, false, to_integer;
    u64, false, to_unsigned;
}

/// One operand of integers.
pub(super) fn unary<T: Integer>(op: Unary, a: &[T], out: &mut [u8]) {
    match op {
        Unary::IsNan | Unary::IsInf => return out.fill(0),
        Unary::IsFinite => return out.fill(1),
        Unary::BitwiseCount => return map1(a, out, |a| magnitude(a).count_ones()),
        _ => {}
    }
    let out: &mut [T] = cast_slice_mut(out);
    match op {
        Unary::Negative => map1(a, out, T::wrapping_neg),
        Unary::Absolute => map1(a, out, magnitude),
        Unary::Sign => map1(a, out, |a| {
            if a > T::ZERO {
                T::ONE
            } else if a < T::ZERO {
                T::ZERO.not()
            } else {
                a
            }
        }),
        Unary::Square => map1(a, out, |a| a.wrapping_mul(a)),
        Unary::Reciprocal => map1_plain(a, out, |a| T::cut(1.0 / a.to_f64())),
        Unary::Invert => map1(a, out, T::not),
        Unary::Imag => out.fill(T::ZERO),
        Unary::Floor | Unary::Ceil | Unary::Trunc | Unary::Positive | Unary::Conjugate | Unary::Real => {
            out.copy_from_slice(a);
        }
        _ => unreachable!("{op:?} is not for integers; inference converts them"),
    }
}

/// One operand of truth values.
pub(super) fn unary_bool(op: Unary, a: &[u8], out: &mut [u8]) {
    match op {
        Unary::Invert | Unary::LogicalNot => map1(a, out, |a| a ^ 1),
        Unary::Absolute | Unary::Floor | Unary::Ceil | Unary::Trunc | Unary::Real => out.copy_from_slice(a),
        Unary::IsNan | Unary::IsInf | Unary::Imag => out.fill(0),
        Unary::IsFinite => out.fill(1),
        _ => unreachable!("{op:?} is not for bool; inference has refused or converted it"),
    }
}

/// Two operands of integers of `item` bytes, for operations that know no sign; false if this is none of them.
pub(super) fn binary_bits(op: Binary, item: usize, a: &[u8], b: &[u8], out: &mut [u8]) -> bool {
    use Binary::{Add, And, Equal, Multiply, NotEqual, Or, Subtract, Xor};
    if !matches!(op, Add | Subtract | Multiply | And | Or | Xor | Equal | NotEqual) {
        return false;
    }
    match item {
        1 => bits::<u8>(op, a, b, out),
        2 => bits::<u16>(op, cast_slice(a), cast_slice(b), out),
        4 => bits::<u32>(op, cast_slice(a), cast_slice(b), out),
        _ => bits::<u64>(op, cast_slice(a), cast_slice(b), out),
    }
    true
}

fn bits<T: Integer>(op: Binary, a: &[T], b: &[T], out: &mut [u8]) {
    match op {
        Binary::Equal => return map2(a, b, out, |a, b| u8::from(a == b)),
        Binary::NotEqual => return map2(a, b, out, |a, b| u8::from(a != b)),
        _ => {}
    }
    let out: &mut [T] = cast_slice_mut(out);
    match op {
        Binary::Add => map2(a, b, out, T::wrapping_add),
        Binary::Subtract => map2(a, b, out, T::wrapping_sub),
        Binary::Multiply => map2(a, b, out, T::wrapping_mul),
        Binary::And => map2(a, b, out, T::and),
        Binary::Or => map2(a, b, out, T::or),
        _ => map2(a, b, out, T::xor),
    }
}

/// Two operands of integers, for all operations that [`binary_bits`] leaves.
///
/// # Errors
/// Local: the text of NumPy's error for a negative exponent.
pub(super) fn binary<T: Integer>(op: Binary, a: &[T], b: &[T], out: &mut [u8]) -> Result<(), String> {
    match op {
        Binary::Less => {
            map2(a, b, out, |a, b| u8::from(a < b));
            return Ok(());
        }
        Binary::LessEqual => {
            map2(a, b, out, |a, b| u8::from(a <= b));
            return Ok(());
        }
        Binary::Greater => return binary(Binary::Less, b, a, out),
        Binary::GreaterEqual => return binary(Binary::LessEqual, b, a, out),
        _ => {}
    }
    let out: &mut [T] = cast_slice_mut(out);
    match op {
        Binary::FloorDivide | Binary::Remainder if T::SIGNED && T::BITS == 64 => {
            let (remainder, out) = (op == Binary::Remainder, cast_slice_mut(out));
            quotient::divide(cast_slice(a), cast_slice(b), out, remainder, |a, b| {
                let (quotient, rest) = floor_divide(a, b);
                if remainder { rest } else { quotient }
            });
        }
        Binary::FloorDivide => map2_plain(a, b, out, |a, b| floor_divide(a, b).0),
        Binary::Remainder => map2_plain(a, b, out, |a, b| floor_divide(a, b).1),
        Binary::Fmod => map2_plain(a, b, out, |a, b| if b == T::ZERO { b } else { a.wrapping_rem(b) }),
        Binary::Power => {
            if T::SIGNED && b.iter().any(|&exponent| exponent < T::ZERO) {
                return Err("Integers to negative integer powers are not allowed.".to_string());
            }
            map2_plain(a, b, out, power);
        }
        Binary::Maximum | Binary::Fmax => map2(a, b, out, Ord::max),
        Binary::Minimum | Binary::Fmin => map2(a, b, out, Ord::min),
        Binary::Gcd => map2_plain(a, b, out, gcd),
        Binary::Lcm => map2_plain(a, b, out, lcm),
        Binary::LeftShift => map2_plain(a, b, out, |a, b| match b.to_i64() {
            by if (0..T::BITS).contains(&by) => a.shift_left(by as u32),
            _ => T::ZERO,
        }),
        Binary::RightShift => map2_plain(a, b, out, |a, b| match b.to_i64() {
            by if (0..T::BITS).contains(&by) => a.shift_right(by as u32),
            _ if a < T::ZERO => T::ZERO.not(),
            _ => T::ZERO,
        }),
        _ => unreachable!("{op:?} is not for integers; inference converts them"),
    }
    Ok(())
}

/// Two operands of truth values.
pub(super) fn binary_bool(op: Binary, a: &[u8], b: &[u8], out: &mut [u8]) {
    if op.compares() {
        return compare(op, a, b, out);
    }
    match op {
        Binary::And | Binary::Multiply | Binary::Minimum | Binary::Fmin | Binary::LogicalAnd => {
            map2(a, b, out, |a, b| a & b);
        }
        Binary::Or | Binary::Add | Binary::Maximum | Binary::Fmax | Binary::LogicalOr => map2(a, b, out, |a, b| a | b),
        Binary::Xor | Binary::LogicalXor => map2(a, b, out, |a, b| a ^ b),
        _ => unreachable!("{op:?} is not for bool; inference has refused or converted it"),
    }
}

#[inline(always)]
fn magnitude<T: Integer>(a: T) -> T {
    if a < T::ZERO { a.wrapping_neg() } else { a }
}

fn floor_divide<T: Integer>(a: T, b: T) -> (T, T) {
    if b == T::ZERO {
        return (T::ZERO, T::ZERO);
    }
    let (quotient, remainder) = (a.wrapping_div(b), a.wrapping_rem(b));
    if remainder != T::ZERO && (remainder < T::ZERO) != (b < T::ZERO) {
        (quotient.wrapping_sub(T::ONE), remainder.wrapping_add(b))
    } else {
        (quotient, remainder)
    }
}

fn power<T: Integer>(base: T, exponent: T) -> T {
    let (mut base, mut exponent, mut result) = (base, exponent, T::ONE);
    while exponent > T::ZERO {
        if exponent.and(T::ONE) == T::ONE {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent = exponent.shift_right(1);
    }
    result
}

fn gcd<T: Integer>(a: T, b: T) -> T {
    let (mut a, mut b) = (a, b);
    while b != T::ZERO {
        (a, b) = (b, a.wrapping_rem(b));
    }
    magnitude(a)
}

fn lcm<T: Integer>(a: T, b: T) -> T {
    let divisor = gcd(a, b);
    if divisor == T::ZERO { T::ZERO } else { magnitude(a).wrapping_div(divisor).wrapping_mul(magnitude(b)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors_and_multiples() {
        for (a, b, divisor, multiple) in [(12, 18, 6, 36), (-12, 18, 6, 36), (0, 5, 5, 0), (0, 0, 0, 0), (7, -7, 7, 7)]
        {
            assert_eq!((gcd(a, b), lcm(a, b)), (divisor, multiple), "{a} and {b}");
        }
        assert_eq!((gcd(200_u8, 150), lcm(4_u8, 6)), (50, 12));
        // A product that no element holds wraps, as NumPy's.
        assert_eq!(lcm(i16::MAX, 8), -8);
    }

    #[test]
    fn shifts_beyond_the_width_leave_nothing_but_the_sign() {
        let mut out = [0_i8; 4];
        let (a, b) = ([-1_i8, 5, -128, 1], [9_i8, 7, 7, -1]);
        binary(Binary::RightShift, &a, &b, cast_slice_mut(&mut out)).unwrap();
        assert_eq!(out, [-1, 0, -1, 0]);
        binary(Binary::LeftShift, &a, &b, cast_slice_mut(&mut out)).unwrap();
        assert_eq!(out, [0, -128, 0, 0]);
    }

    #[test]
    fn short_integers_wrap_in_their_own_width() {
        let mut out = [0_u8; 2];
        assert!(binary_bits(Binary::Add, 1, &[250, 3], &[10, 4], &mut out));
        assert_eq!(out, [4, 7]);
        let mut out = [0_i16; 2];
        unary(Unary::Square, &[300_i16, -2], cast_slice_mut(&mut out));
        assert_eq!(out, [24_464, 4]);
        unary(Unary::Reciprocal, &[0_i16, 1], cast_slice_mut(&mut out));
        assert_eq!(out, [0, 1]);
    }
}
