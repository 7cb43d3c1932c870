//! Elementwise operations on complex numbers.
//!
//! Functions are those of the system's mathematics library, which knows the special values of C99, Annex G.
//! Numbers are ordered by their real parts, equal ones by their imaginary parts; NaN in either part is NaN.

#![allow(unsafe_code, reason = "the mathematics library is C")]

use super::elementwise::{map1_plain, map2, map2_plain};
use super::operation::{Binary, Unary};
use super::real::Real;
use bytemuck::{Pod, cast_slice_mut};
use num_complex::Complex;

/// A part of a complex number, with the functions of such numbers.
pub(super) trait Part: Real {
    fn function(op: Unary, a: Complex<Self>) -> Complex<Self>;
    fn power(a: Complex<Self>, b: Complex<Self>) -> Complex<Self>;
}

macro_rules! part {
    ($real:ty, $library:ident, $power:ident: $($op:ident => $function:ident;)*) => {
        mod $library {
            use num_complex::Complex;

            unsafe extern "C" {
                $(pub(super) fn $function(a: Complex<$real>) -> Complex<$real>;)*
                pub(super) fn $power(a: Complex<$real>, b: Complex<$real>) -> Complex<$real>;
            }
        }

        impl Part for $real {
            fn function(op: Unary, a: Complex<$real>) -> Complex<$real> {
                match op {
                    // SAFETY: a pure function of C99, whose complex numbers are passed as two numbers in a row.
                    $(Unary::$op => unsafe { $library::$function(a) },)*
                    _ => unreachable!("{op:?} has no function of complex numbers"),
                }
            }

            fn power(a: Complex<$real>, b: Complex<$real>) -> Complex<$real> {
                // SAFETY: as above.
                unsafe { $library::$power(a, b) }
            }
        }
    };
}

part! {
    f32, single, cpowf:
    Sqrt => csqrtf; Exp => cexpf; Log => clogf; Sin => csinf; Cos => ccosf; Tan => ctanf;
    Arcsin => casinf; Arccos => cacosf; Arctan => catanf; Sinh => csinhf; Cosh => ccoshf; Tanh => ctanhf;
    Arcsinh => casinhf; Arccosh => cacoshf; Arctanh => catanhf;
}
part! {
    f64, double, cpow:
    Sqrt => csqrt; Exp => cexp; Log => clog; Sin => csin; Cos => ccos; Tan => ctan;
    Arcsin => casin; Arccos => cacos; Arctan => catan; Sinh => csinh; Cosh => ccosh; Tanh => ctanh;
    Arcsinh => casinh; Arccosh => cacosh; Arctanh => catanh;
}

/// One operand.
pub(super) fn unary<T: Part>(op: Unary, a: &[Complex<T>], out: &mut [u8])
where
    Complex<T>: Pod,
{
    match op {
        Unary::IsNan => return map1_plain(a, out, |a| u8::from(is_nan(a))),
        Unary::IsInf => return map1_plain(a, out, |a| u8::from(a.re.is_infinite() || a.im.is_infinite())),
        Unary::IsFinite => return map1_plain(a, out, |a| u8::from(a.re.is_finite() && a.im.is_finite())),
        Unary::Absolute => return map1_plain(a, cast_slice_mut::<u8, T>(out), |a| a.re.hypot(a.im)),
        Unary::Angle => return map1_plain(a, cast_slice_mut::<u8, T>(out), |a| a.im.atan2(a.re)),
        Unary::Real => return map1_plain(a, cast_slice_mut::<u8, T>(out), |a| a.re),
        Unary::Imag => return map1_plain(a, cast_slice_mut::<u8, T>(out), |a| a.im),
        _ => {}
    }
    let out: &mut [Complex<T>] = cast_slice_mut(out);
    let scaled = |a: Complex<T>, by: f64| Complex { re: a.re * T::from_wide(by), im: a.im * T::from_wide(by) };
    match op {
        Unary::Negative => map1_plain(a, out, |a| Complex { re: -a.re, im: -a.im }),
        Unary::Positive => out.copy_from_slice(a),
        Unary::Conjugate => map1_plain(a, out, |a| Complex { re: a.re, im: -a.im }),
        Unary::Square => map1_plain(a, out, |a| multiply(a, a)),
        Unary::Reciprocal => map1_plain(a, out, |a| divide(Complex { re: T::ONE, im: T::ZERO }, a)),
        Unary::Sign => map1_plain(a, out, sign),
        Unary::Rint => map1_plain(a, out, |a| Complex { re: a.re.round_ties_even(), im: a.im.round_ties_even() }),
        Unary::Exp2 => {
            map1_plain(a, out, |a| T::function(Unary::Exp, scaled(a, std::f64::consts::LN_2)));
        }
        Unary::Log2 => {
            map1_plain(a, out, |a| scaled(T::function(Unary::Log, a), std::f64::consts::LOG2_E));
        }
        Unary::Log10 => {
            map1_plain(a, out, |a| scaled(T::function(Unary::Log, a), std::f64::consts::LOG10_E));
        }
        Unary::Log1p => map1_plain(a, out, |a| {
            let above = a.re + T::ONE;
            Complex { re: above.hypot(a.im).ln(), im: a.im.atan2(above) }
        }),
        Unary::Expm1 => map1_plain(a, out, |a| {
            let half = (a.im * T::HALF).sin();
            Complex { re: a.re.exp_m1() * a.im.cos() - T::TWO * half * half, im: a.re.exp() * a.im.sin() }
        }),
        op => map1_plain(a, out, |a| T::function(op, a)),
    }
}

/// Two operands.
pub(super) fn binary<T: Part>(op: Binary, a: &[Complex<T>], b: &[Complex<T>], out: &mut [u8])
where
    Complex<T>: Pod,
{
    match op {
        Binary::Equal => return map2_plain(a, b, out, |a, b| u8::from(a.re == b.re && a.im == b.im)),
        Binary::NotEqual => return map2_plain(a, b, out, |a, b| u8::from(a.re != b.re || a.im != b.im)),
        Binary::Less => return map2_plain(a, b, out, |a, b| u8::from(less(a, b))),
        Binary::LessEqual => return map2_plain(a, b, out, |a, b| u8::from(less_equal(a, b))),
        Binary::Greater => return map2_plain(a, b, out, |a, b| u8::from(less(b, a))),
        Binary::GreaterEqual => return map2_plain(a, b, out, |a, b| u8::from(less_equal(b, a))),
        _ => {}
    }
    let out: &mut [Complex<T>] = cast_slice_mut(out);
    match op {
        Binary::Add => map2(a, b, out, |a, b| Complex { re: a.re + b.re, im: a.im + b.im }),
        Binary::Subtract => map2(a, b, out, |a, b| Complex { re: a.re - b.re, im: a.im - b.im }),
        Binary::Multiply => map2(a, b, out, multiply),
        Binary::Divide => map2_plain(a, b, out, divide),
        Binary::Power | Binary::FloatPower => map2_plain(a, b, out, power),
        Binary::Maximum => map2_plain(a, b, out, |a, b| if less_equal(b, a) || is_nan(a) { a } else { b }),
        Binary::Minimum => map2_plain(a, b, out, |a, b| if less_equal(a, b) || is_nan(a) { a } else { b }),
        Binary::Fmax => map2_plain(a, b, out, |a, b| if less_equal(b, a) || is_nan(b) { a } else { b }),
        Binary::Fmin => map2_plain(a, b, out, |a, b| if less_equal(a, b) || is_nan(b) { a } else { b }),
        _ => unreachable!("{op:?} is not for complex numbers; inference has refused it"),
    }
}

/// Whether either part is NaN.
#[inline(always)]
pub(super) fn is_nan<T: Real>(a: Complex<T>) -> bool {
    a.re.is_nan() || a.im.is_nan()
}

/// The order of complex numbers.
#[inline(always)]
pub(super) fn less<T: Real>(a: Complex<T>, b: Complex<T>) -> bool {
    (a.re < b.re && !a.im.is_nan() && !b.im.is_nan()) || (a.re == b.re && a.im < b.im)
}

fn less_equal<T: Real>(a: Complex<T>, b: Complex<T>) -> bool {
    (a.re < b.re && !a.im.is_nan() && !b.im.is_nan()) || (a.re == b.re && a.im <= b.im)
}

/// The product as it is written down, with no regard to infinities.
#[inline(always)]
pub(super) fn multiply<T: Real>(a: Complex<T>, b: Complex<T>) -> Complex<T> {
    Complex { re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re }
}

/// The quotient, scaled so that no square overflows. Source: Smith (1962), Algorithm 116.
fn divide<T: Real>(a: Complex<T>, b: Complex<T>) -> Complex<T> {
    if b.re.abs() >= b.im.abs() {
        if b.re == T::ZERO && b.im == T::ZERO {
            return Complex { re: a.re / b.re.abs(), im: a.im / b.re.abs() };
        }
        let ratio = b.im / b.re;
        let scale = T::ONE / (b.re + b.im * ratio);
        Complex { re: (a.re + a.im * ratio) * scale, im: (a.im - a.re * ratio) * scale }
    } else {
        let ratio = b.re / b.im;
        let scale = T::ONE / (b.im + b.re * ratio);
        Complex { re: (a.re * ratio + a.im) * scale, im: (a.im * ratio - a.re) * scale }
    }
}

fn sign<T: Real>(a: Complex<T>) -> Complex<T> {
    let length = a.re.hypot(a.im);
    if length.is_nan() {
        return Complex { re: length, im: length };
    }
    if length == T::ZERO {
        return Complex { re: T::ZERO, im: T::ZERO };
    }
    if length.is_infinite() {
        // One infinite part leaves a direction along its axis; of two there is none.
        let part = |part: T| if part.is_infinite() { T::ONE.copysign(part) } else { T::ZERO };
        return Complex { re: part(a.re), im: part(a.im) };
    }
    Complex { re: a.re / length, im: a.im / length }
}

/// A power; small whole exponents by products, so that they stay exact where they can be.
fn power<T: Part>(a: Complex<T>, b: Complex<T>) -> Complex<T> {
    let (zero, one) = (Complex { re: T::ZERO, im: T::ZERO }, Complex { re: T::ONE, im: T::ZERO });
    if b.re == T::ZERO && b.im == T::ZERO {
        return one;
    }
    if a.re == T::ZERO && a.im == T::ZERO {
        let nan = T::from_wide(f64::NAN);
        return if b.re > T::ZERO { zero } else { Complex { re: nan, im: nan } };
    }
    let exponent = b.re.wide();
    if b.im == T::ZERO && exponent.trunc() == exponent && exponent.abs() < 100.0 {
        let (mut left, mut factor, mut result) = (exponent.abs() as u32, a, one);
        if left == 1 && exponent > 0.0 {
            return a;
        }
        while left > 0 {
            if left & 1 == 1 {
                result = multiply(result, factor);
            }
            factor = multiply(factor, factor);
            left >>= 1;
        }
        return if exponent < 0.0 { divide(one, result) } else { result };
    }
    T::power(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(re: f64, im: f64) -> Complex<f64> {
        Complex { re, im }
    }

    #[test]
    fn quotients_do_not_overflow() {
        assert_eq!(divide(c(1e300, 1e300), c(1e300, 1e300)), c(1.0, 0.0));
        assert_eq!(divide(c(1.0, 2.0), c(0.0, 1.0)), c(2.0, -1.0));
        assert!(divide(c(1.0, 0.0), c(0.0, 0.0)).re.is_infinite());
    }

    #[test]
    fn numbers_are_ordered_by_real_then_imaginary_part() {
        assert!(less(c(1.0, 9.0), c(2.0, 0.0)) && less(c(1.0, 1.0), c(1.0, 2.0)));
        assert!(!less(c(1.0, f64::NAN), c(2.0, 0.0)) && less_equal(c(1.0, 1.0), c(1.0, 1.0)));
    }

    #[test]
    fn whole_powers_are_exact() {
        assert_eq!(power(c(0.0, 1.0), c(2.0, 0.0)), c(-1.0, 0.0));
        assert_eq!(power(c(1.0, 2.0), c(3.0, 0.0)), c(-11.0, -2.0));
        assert_eq!(power(c(0.0, 2.0), c(-1.0, 0.0)), c(0.0, -0.5));
        assert_eq!(power(c(0.0, 0.0), c(0.0, 0.0)), c(1.0, 0.0));
    }

    #[test]
    fn functions_are_those_of_the_library() {
        let found = f64::function(Unary::Exp, c(0.0, std::f64::consts::PI));
        assert!((found.re + 1.0).abs() < 1e-15 && found.im.abs() < 1e-15);
        assert_eq!(f64::function(Unary::Sqrt, c(-4.0, 0.0)), c(0.0, 2.0));
        assert_eq!(f32::function(Unary::Sqrt, Complex { re: -4.0, im: 0.0 }), Complex { re: 0.0, im: 2.0 });
        let found = f64::power(c(0.0, 1.0), c(0.0, 1.0));
        assert!((found.re - (-std::f64::consts::FRAC_PI_2).exp()).abs() < 1e-15 && found.im.abs() < 1e-15);
    }
}
