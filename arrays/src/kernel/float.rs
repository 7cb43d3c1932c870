//! Elementwise operations on real floating-point numbers.

use super::elementwise::{compare, map1, map1_plain, map2, map2_plain};
use super::operation::{Binary, Unary};
use super::real::Real;
use super::steps::{self, Stepped};
use super::vector::{self, Loop};
use super::vector_math;
use bytemuck::cast_slice_mut;

/// One operand.
pub(super) fn unary<T: Real + Stepped>(op: Unary, a: &[T], out: &mut [u8]) {
    match op {
        Unary::IsNan => return map1(a, out, |a| u8::from(a.is_nan())),
        Unary::IsInf => return map1(a, out, |a| u8::from(a.is_infinite())),
        Unary::IsFinite => return map1(a, out, |a| u8::from(a.is_finite())),
        Unary::SignBit => return map1(a, out, |a| u8::from(a.is_sign_negative())),
        Unary::FrexpExponent => return map1_plain(a, cast_slice_mut(out), |a| steps::frexp(a).1),
        _ => {}
    }
    let out: &mut [T] = cast_slice_mut(out);
    match op {
        Unary::Negative => map1(a, out, |a| -a),
        Unary::Positive | Unary::Conjugate | Unary::Real => out.copy_from_slice(a),
        Unary::Imag => out.fill(T::ZERO),
        Unary::Absolute | Unary::Fabs => map1(a, out, T::abs),
        Unary::Sign => map1(a, out, sign),
        Unary::Square => map1(a, out, |a| a * a),
        Unary::Reciprocal => map1(a, out, |a| T::ONE / a),
        Unary::Sqrt => map1(a, out, T::sqrt),
        Unary::Floor => map1(a, out, T::floor),
        Unary::Ceil => map1(a, out, T::ceil),
        Unary::Rint => map1(a, out, T::round_ties_even),
        Unary::Trunc => map1(a, out, T::trunc),
        Unary::Deg2rad => map1(a, out, |a| a * T::from_wide(std::f64::consts::PI / 180.0)),
        Unary::Rad2deg => map1(a, out, |a| a * T::from_wide(180.0 / std::f64::consts::PI)),
        Unary::Angle => map1_plain(a, out, |a| T::ZERO.atan2(a)),
        Unary::ModfFraction => map1_plain(a, out, |a| {
            let part = if a.is_infinite() { T::ZERO } else { a - a.trunc() };
            part.copysign(a)
        }),
        Unary::FrexpMantissa => map1_plain(a, out, |a| steps::frexp(a).0),
        Unary::Spacing => map1_plain(a, out, steps::spacing),
        Unary::I0 => map1_plain(a, out, |a| T::from_wide(bessel_i0(a.wide()))),
        Unary::Cbrt => map1_plain(a, out, T::cbrt),
        Unary::Exp => map1(a, out, |a| T::from_wide(vector_math::exp(a.wide()))),
        Unary::Exp2 => map1_plain(a, out, T::exp2),
        Unary::Expm1 => map1(a, out, |a| T::from_wide(vector_math::exp_m1(a.wide()))),
        Unary::Log => map1(a, out, |a| T::from_wide(vector_math::ln(a.wide()))),
        Unary::Log2 => map1_plain(a, out, T::log2),
        Unary::Log10 => map1_plain(a, out, T::log10),
        Unary::Log1p => map1_plain(a, out, T::ln_1p),
        Unary::Sin => angles(a, out, vector_math::sin, T::sin),
        Unary::Cos => angles(a, out, vector_math::cos, T::cos),
        Unary::Tan => map1_plain(a, out, T::tan),
        Unary::Arcsin => map1_plain(a, out, T::asin),
        Unary::Arccos => map1_plain(a, out, T::acos),
        Unary::Arctan => map1_plain(a, out, T::atan),
        Unary::Sinh => map1_plain(a, out, T::sinh),
        Unary::Cosh => map1_plain(a, out, T::cosh),
        Unary::Tanh => map1(a, out, |a| T::from_wide(vector_math::tanh(a.wide()))),
        Unary::Arcsinh => map1_plain(a, out, T::asinh),
        Unary::Arccosh => map1_plain(a, out, arccosh),
        Unary::Arctanh => map1_plain(a, out, arctanh),
        _ => unreachable!("{op:?} is not for floating-point numbers; inference has refused it"),
    }
}

struct HasNan<'a, T> {
    values: &'a [T],
}

impl<T: Real> Loop for HasNan<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        self.values.iter().fold(false, |any, value| any | value.is_nan())
    }
}

/// Whether some value is NaN. Cost: one operation and one read a value.
pub(super) fn has_nan<T: Real>(values: &[T]) -> bool {
    vector::run(HasNan { values })
}

/// As [`binary`] with one number for the second operand; false if that would be no faster.
pub(super) fn with_constant<T: Real>(op: Binary, a: &[T], b: &[T], out: &mut [u8]) -> bool {
    let &[b] = b else { return false };
    if op.compares() || op.is_logical() {
        return false;
    }
    let out: &mut [T] = cast_slice_mut(out);
    match op {
        Binary::Add => map1(a, out, |a| a + b),
        Binary::Subtract => map1(a, out, |a| a - b),
        Binary::Multiply => map1(a, out, |a| a * b),
        Binary::Divide => map1(a, out, |a| a / b),
        Binary::Maximum if !b.is_nan() => map1(a, out, |a| if b > a { b } else { a }),
        Binary::Minimum if !b.is_nan() => map1(a, out, |a| if b < a { b } else { a }),
        _ => return false,
    }
    true
}

/// Two operands.
pub(super) fn binary<T: Real + Stepped>(op: Binary, a: &[T], b: &[T], out: &mut [u8]) {
    if op.compares() {
        return compare(op, a, b, out);
    }
    let out: &mut [T] = cast_slice_mut(out);
    match op {
        Binary::Add => map2(a, b, out, |a, b| a + b),
        Binary::Subtract => map2(a, b, out, |a, b| a - b),
        Binary::Multiply => map2(a, b, out, |a, b| a * b),
        Binary::Divide => map2(a, b, out, |a, b| a / b),
        Binary::FloorDivide => map2_plain(a, b, out, |a, b| floor_divide(a, b).0),
        Binary::Remainder => map2_plain(a, b, out, |a, b| floor_divide(a, b).1),
        Binary::Fmod => map2_plain(a, b, out, |a, b| a % b),
        Binary::Power | Binary::FloatPower => powers(a, b, out),
        // One instruction each, where the second operand has no NaN.
        Binary::Maximum if !has_nan(b) => map2(a, b, out, |a, b| if b > a { b } else { a }),
        Binary::Minimum if !has_nan(b) => map2(a, b, out, |a, b| if b < a { b } else { a }),
        Binary::Maximum => map2(a, b, out, |a, b| if a >= b || a.is_nan() { a } else { b }),
        Binary::Minimum => map2(a, b, out, |a, b| if a <= b || a.is_nan() { a } else { b }),
        Binary::Fmax => map2(a, b, out, |a, b| if a >= b || b.is_nan() { a } else { b }),
        Binary::Fmin => map2(a, b, out, |a, b| if a <= b || b.is_nan() { a } else { b }),
        Binary::Arctan2 => map2_plain(a, b, out, T::atan2),
        Binary::Hypot => map2_plain(a, b, out, T::hypot),
        Binary::CopySign => map2(a, b, out, T::copysign),
        Binary::Heaviside => map2(a, b, out, |a, b| {
            if a.is_nan() {
                a
            } else if a == T::ZERO {
                b
            } else if a < T::ZERO {
                T::ZERO
            } else {
                T::ONE
            }
        }),
        Binary::Logaddexp => map2_plain(a, b, out, |a, b| log_add(a, b, T::exp, T::ln_1p, T::TWO.ln())),
        Binary::Logaddexp2 => {
            let log1p2 = |a: T| T::from_wide(std::f64::consts::LOG2_E) * a.ln_1p();
            map2_plain(a, b, out, |a, b| log_add(a, b, T::exp2, log1p2, T::ONE));
        }
        Binary::Nextafter => map2_plain(a, b, out, steps::next_after),
        Binary::Ldexp => map2_plain(a, b, out, |a, b| steps::scale(a, b.wide())),
        _ => unreachable!("{op:?} is not for floating-point numbers; inference has refused it"),
    }
}

/// A function of angles, by the library where they are too large for the short way.
fn angles<T: Real>(a: &[T], out: &mut [T], short: impl Fn(f64) -> f64, library: impl Fn(T) -> T) {
    map1(a, out, |a| T::from_wide(short(a.wide())));
    let large = |a: T| a.wide().abs() > vector_math::ANGLE_MAX;
    for (out, &a) in out.iter_mut().zip(a).filter(|(_, a)| large(**a)) {
        *out = library(a);
    }
}

/// Powers, by the library where a number is neither normal nor finite.
fn powers<T: Real>(a: &[T], b: &[T], out: &mut [T]) {
    vector::run(Powers { a, b, out: &mut *out });
    let other = |a: T, b: T| !vector_math::pow_takes(a.wide(), b.wide());
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b).filter(|((_, a), b)| other(**a, **b)) {
        *out = a.powf(b);
    }
}

/// A loop of its own, for as a closure it would be too long to be compiled anew for each kind of vectors.
struct Powers<'a, T> {
    a: &'a [T],
    b: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Loop for Powers<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((out, &a), &b) in self.out.iter_mut().zip(self.a).zip(self.b) {
            *out = T::from_wide(vector_math::pow(a.wide(), b.wide()));
        }
    }
}

/// `log(exp(a) + exp(b))` in some base, without overflow; `double` is the logarithm of 2 in it.
fn log_add<T: Real>(a: T, b: T, exp: impl Fn(T) -> T, log1p: impl Fn(T) -> T, double: T) -> T {
    if a == b {
        // So that infinities of one sign do not meet as a difference.
        return a + double;
    }
    let difference = a - b;
    if difference > T::ZERO {
        a + log1p(exp(-difference))
    } else if difference <= T::ZERO {
        b + log1p(exp(difference))
    } else {
        difference
    }
}

#[inline(always)]
fn sign<T: Real>(a: T) -> T {
    if a > T::ZERO {
        T::ONE
    } else if a < T::ZERO {
        -T::ONE
    } else {
        a.abs()
    }
}

/// The inverse hyperbolic cosine. Rust's own loses half the digits near 1.
fn arccosh<T: Real>(a: T) -> T {
    let (two, above) = (T::TWO, a - T::ONE);
    if above * T::HALF + T::ONE == above * T::HALF {
        // So far out that the square root is the number itself, and twice it may not be finite.
        return a.ln() + two.ln();
    }
    (above + above.sqrt() * (above + two).sqrt()).ln_1p()
}

/// The inverse hyperbolic tangent. Rust's own loses digits near -1.
fn arctanh<T: Real>(a: T) -> T {
    let magnitude = a.abs();
    (((magnitude + magnitude) / (T::ONE - magnitude)).ln_1p() * T::HALF).copysign(a)
}

/// Quotient rounded down, and a remainder with the divisor's sign; the quotient is corrected for rounding
/// as Python does it.
fn floor_divide<T: Real>(a: T, b: T) -> (T, T) {
    let mut remainder = a % b;
    if b == T::ZERO {
        return (a / b, remainder);
    }
    let mut quotient = (a - remainder) / b;
    if remainder == T::ZERO {
        remainder = T::ZERO.copysign(b);
    } else if (b < T::ZERO) != (remainder < T::ZERO) {
        remainder = remainder + b;
        quotient = quotient - T::ONE;
    }
    if quotient == T::ZERO {
        return (T::ZERO.copysign(a / b), remainder);
    }
    let floor = quotient.floor();
    (if quotient - floor > T::HALF { floor + T::ONE } else { floor }, remainder)
}

/// The modified Bessel function of order 0.
///
/// Error: a few units in the last place.
/// Source: the power series below 20, the asymptotic series above (Abramowitz and Stegun 1964, 9.6.12 and 9.7.1).
fn bessel_i0(a: f64) -> f64 {
    let a = a.abs();
    if a.is_nan() || a.is_infinite() {
        return a;
    }
    let (mut term, mut sum) = (1.0, 1.0);
    if a < 20.0 {
        let quarter = a * a / 4.0;
        for k in 1..80 {
            term *= quarter / f64::from(k * k);
            sum += term;
        }
        return sum;
    }
    for k in 1..40 {
        let odd = f64::from(2 * k - 1);
        let next = term * odd * odd / (8.0 * a * f64::from(k));
        if next.abs() >= term.abs() || next.abs() < f64::EPSILON * 1e-3 * sum {
            break;
        }
        term = next;
        sum += term;
    }
    // In two factors, so that the exponential does not overflow before the root brings it back.
    (a / 2.0).exp() * (sum / (2.0 * std::f64::consts::PI * a).sqrt()) * (a / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_hyperbolic_functions_keep_their_digits() {
        for a in [1.0_f64 + 1e-12, 1.000_032, 1.5, 40.0, 1e17, 1e300, f64::MAX] {
            let back = arccosh(a).min(700.0).cosh();
            assert!((back - a.min(700.0_f64.cosh())).abs() <= 1e-15 * a.max(1.0) * arccosh(a).max(1.0), "{a}");
        }
        let near_one = 2.0_f64.powi(-40);
        let expected = (2.0 * near_one).sqrt() * (1.0 - near_one / 12.0);
        assert!((arccosh(1.0 + near_one) - expected).abs() <= 4.0 * f64::EPSILON * expected);
        for a in [-0.999_f64, -0.5, 1e-9, 0.7, 0.999_999] {
            assert_eq!(arctanh(a), -arctanh(-a), "{a}");
            assert!((arctanh(a).tanh() - a).abs() <= 4.0 * f64::EPSILON * a.abs(), "{a}");
        }
        assert_eq!((arccosh(1.0), arctanh(1.0), arctanh(-1.0)), (0.0, f64::INFINITY, f64::NEG_INFINITY));
        assert!(arccosh(0.5_f64).is_nan() && arctanh(1.5_f64).is_nan());
    }

    #[test]
    fn bessel_functions_agree_on_both_sides_of_the_seam() {
        // Values of the NIST Handbook and of mpmath.
        for (a, expected) in [
            (0.0, 1.0),
            (1.0, 1.266_065_877_752_008_4),
            (10.0, 2815.716_628_466_254),
            (20.0, 43_558_282.559_553_54),
            (100.0, 1.073_751_707_131_073_8e42),
        ] {
            let found = bessel_i0(a);
            assert!((found - expected).abs() <= 1e-13 * expected, "{a}: {found}, {expected}");
        }
    }

    #[test]
    fn logarithms_of_sums_do_not_overflow() {
        let add = |a: f64, b: f64| log_add(a, b, f64::exp, f64::ln_1p, 2.0_f64.ln());
        assert_eq!(add(1000.0, 1000.0), 1000.0 + 2.0_f64.ln());
        assert_eq!(add(f64::NEG_INFINITY, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert_eq!((add(f64::INFINITY, 1.0), add(-700.0, 1.0)), (f64::INFINITY, 1.0));
        assert!(add(f64::NAN, 1.0).is_nan());
    }
}
