//! Elementwise operations on slices of one type, element by element.
//!
//! Slices come as bytes, aligned for their type; the type is looked at once for each slice.
//! Semantics are NumPy's: integers wrap, an integer divided by zero is 0, a remainder has the divisor's sign.

use super::operation::{Binary, Operation, Unary};
use super::real::Real;
use super::vector::{self, Map1, Map2};
use crate::dtype::{DType, to_integer};
use bytemuck::{Pod, cast_slice, cast_slice_mut};

/// Does an operation on operands of type `dtype`; the condition of a selection is bool.
///
/// Cost: one operation, and a read for each operand and a write, an element.
///
/// # Errors
/// Local: the text of NumPy's error for an integer raised to a negative power.
pub(crate) fn apply(operation: Operation, dtype: DType, inputs: &[&[u8]], out: &mut [u8]) -> Result<(), String> {
    match operation {
        Operation::Unary(op) => match dtype {
            DType::Float64 => unary_real::<f64>(op, cast_slice(inputs[0]), out),
            DType::Float32 => unary_real::<f32>(op, cast_slice(inputs[0]), out),
            DType::Int64 => unary_integer(op, cast_slice(inputs[0]), cast_slice_mut(out)),
            DType::Bool => unary_bool(op, inputs[0], out),
        },
        Operation::Binary(op) => match dtype {
            DType::Float64 => binary_real::<f64>(op, cast_slice(inputs[0]), cast_slice(inputs[1]), out),
            DType::Float32 => binary_real::<f32>(op, cast_slice(inputs[0]), cast_slice(inputs[1]), out),
            DType::Int64 => return binary_integer(op, cast_slice(inputs[0]), cast_slice(inputs[1]), out),
            DType::Bool => binary_bool(op, inputs[0], inputs[1], out),
        },
        Operation::Cast(to) => cast(dtype, to, inputs[0], out),
        Operation::Select => match dtype.bytes() {
            1 => select::<u8>(inputs[0], inputs[1], inputs[2], out),
            4 => select::<u32>(inputs[0], cast_slice(inputs[1]), cast_slice(inputs[2]), cast_slice_mut(out)),
            _ => select::<u64>(inputs[0], cast_slice(inputs[1]), cast_slice(inputs[2]), cast_slice_mut(out)),
        },
    }
    Ok(())
}

fn map1<A: Copy, R>(a: &[A], out: &mut [R], f: impl Fn(A) -> R) {
    vector::run(Map1 { a, out, f });
}

fn map2<A: Copy, B: Copy, R>(a: &[A], b: &[B], out: &mut [R], f: impl Fn(A, B) -> R) {
    vector::run(Map2 { a, b, out, f });
}

/// Functions that call the mathematics library gain nothing from wider vectors.
fn plain1<A: Copy, R>(a: &[A], out: &mut [R], f: impl Fn(A) -> R) {
    for (out, &a) in out.iter_mut().zip(a) {
        *out = f(a);
    }
}

fn plain2<A: Copy, R>(a: &[A], b: &[A], out: &mut [R], f: impl Fn(A, A) -> R) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = f(a, b);
    }
}

fn unary_real<T: Real>(op: Unary, a: &[T], out: &mut [u8]) {
    match op {
        Unary::IsNan => return map1(a, out, |a| u8::from(a.is_nan())),
        Unary::IsInf => return map1(a, out, |a| u8::from(a.is_infinite())),
        Unary::IsFinite => return map1(a, out, |a| u8::from(a.is_finite())),
        Unary::SignBit => return map1(a, out, |a| u8::from(a.is_sign_negative())),
        _ => {}
    }
    let out: &mut [T] = cast_slice_mut(out);
    match op {
        Unary::Negative => map1(a, out, |a| -a),
        Unary::Absolute => map1(a, out, T::abs),
        Unary::Sign => map1(a, out, sign),
        Unary::Square => map1(a, out, |a| a * a),
        Unary::Reciprocal => map1(a, out, |a| T::ONE / a),
        Unary::Sqrt => map1(a, out, T::sqrt),
        Unary::Floor => map1(a, out, T::floor),
        Unary::Ceil => map1(a, out, T::ceil),
        Unary::Rint => map1(a, out, T::round_ties_even),
        Unary::Trunc => map1(a, out, T::trunc),
        Unary::Cbrt => plain1(a, out, T::cbrt),
        Unary::Exp => plain1(a, out, T::exp),
        Unary::Exp2 => plain1(a, out, T::exp2),
        Unary::Expm1 => plain1(a, out, T::exp_m1),
        Unary::Log => plain1(a, out, T::ln),
        Unary::Log2 => plain1(a, out, T::log2),
        Unary::Log10 => plain1(a, out, T::log10),
        Unary::Log1p => plain1(a, out, T::ln_1p),
        Unary::Sin => plain1(a, out, T::sin),
        Unary::Cos => plain1(a, out, T::cos),
        Unary::Tan => plain1(a, out, T::tan),
        Unary::Arcsin => plain1(a, out, T::asin),
        Unary::Arccos => plain1(a, out, T::acos),
        Unary::Arctan => plain1(a, out, T::atan),
        Unary::Sinh => plain1(a, out, T::sinh),
        Unary::Cosh => plain1(a, out, T::cosh),
        Unary::Tanh => plain1(a, out, T::tanh),
        Unary::Arcsinh => plain1(a, out, T::asinh),
        Unary::Arccosh => plain1(a, out, arccosh),
        Unary::Arctanh => plain1(a, out, arctanh),
        _ => unreachable!("{op:?} is not for floating-point numbers; inference has refused it"),
    }
}

fn unary_integer(op: Unary, a: &[i64], out: &mut [i64]) {
    match op {
        Unary::Negative => map1(a, out, i64::wrapping_neg),
        Unary::Absolute => map1(a, out, i64::wrapping_abs),
        Unary::Sign => map1(a, out, i64::signum),
        Unary::Square => map1(a, out, |a| a.wrapping_mul(a)),
        Unary::Reciprocal => map1(a, out, |a| if a == 0 { i64::MIN } else { 1 / a }),
        Unary::Invert => map1(a, out, |a| !a),
        Unary::Floor | Unary::Ceil | Unary::Trunc => out.copy_from_slice(a),
        _ => unreachable!("{op:?} is not for integers; inference converts them"),
    }
}

fn unary_bool(op: Unary, a: &[u8], out: &mut [u8]) {
    match op {
        Unary::Invert => map1(a, out, |a| a ^ 1),
        Unary::Absolute | Unary::Square | Unary::Floor | Unary::Ceil | Unary::Trunc => out.copy_from_slice(a),
        _ => unreachable!("{op:?} is not for bool; inference has refused or converted it"),
    }
}

fn binary_real<T: Real>(op: Binary, a: &[T], b: &[T], out: &mut [u8]) {
    if op.compares() {
        return compare(op, a, b, out);
    }
    let out: &mut [T] = cast_slice_mut(out);
    match op {
        Binary::Add => map2(a, b, out, |a, b| a + b),
        Binary::Subtract => map2(a, b, out, |a, b| a - b),
        Binary::Multiply => map2(a, b, out, |a, b| a * b),
        Binary::Divide => map2(a, b, out, |a, b| a / b),
        Binary::FloorDivide => plain2(a, b, out, |a, b| floor_divide(a, b).0),
        Binary::Remainder => plain2(a, b, out, |a, b| floor_divide(a, b).1),
        Binary::Power => plain2(a, b, out, T::powf),
        Binary::Maximum => map2(a, b, out, |a, b| if a >= b || a.is_nan() { a } else { b }),
        Binary::Minimum => map2(a, b, out, |a, b| if a <= b || a.is_nan() { a } else { b }),
        Binary::Fmax => map2(a, b, out, |a, b| if a >= b || b.is_nan() { a } else { b }),
        Binary::Fmin => map2(a, b, out, |a, b| if a <= b || b.is_nan() { a } else { b }),
        Binary::Arctan2 => plain2(a, b, out, T::atan2),
        Binary::Hypot => plain2(a, b, out, T::hypot),
        Binary::CopySign => map2(a, b, out, T::copysign),
        _ => unreachable!("{op:?} is not for floating-point numbers; inference has refused it"),
    }
}

fn binary_integer(op: Binary, a: &[i64], b: &[i64], out: &mut [u8]) -> Result<(), String> {
    if op.compares() {
        compare(op, a, b, out);
        return Ok(());
    }
    let out: &mut [i64] = cast_slice_mut(out);
    match op {
        Binary::Add => map2(a, b, out, i64::wrapping_add),
        Binary::Subtract => map2(a, b, out, i64::wrapping_sub),
        Binary::Multiply => map2(a, b, out, i64::wrapping_mul),
        Binary::FloorDivide => plain2(a, b, out, |a, b| floor_divide_integer(a, b).0),
        Binary::Remainder => plain2(a, b, out, |a, b| floor_divide_integer(a, b).1),
        Binary::Power => {
            if b.iter().any(|&exponent| exponent < 0) {
                return Err("Integers to negative integer powers are not allowed.".to_string());
            }
            plain2(a, b, out, power_integer);
        }
        Binary::Maximum | Binary::Fmax => map2(a, b, out, Ord::max),
        Binary::Minimum | Binary::Fmin => map2(a, b, out, Ord::min),
        Binary::And => map2(a, b, out, |a, b| a & b),
        Binary::Or => map2(a, b, out, |a, b| a | b),
        Binary::Xor => map2(a, b, out, |a, b| a ^ b),
        Binary::LeftShift => map2(a, b, out, |a, b| if (0..64).contains(&b) { a << b } else { 0 }),
        Binary::RightShift => map2(a, b, out, |a, b| if (0..64).contains(&b) { a >> b } else { a >> 63 }),
        _ => unreachable!("{op:?} is not for integers; inference converts them"),
    }
    Ok(())
}

fn binary_bool(op: Binary, a: &[u8], b: &[u8], out: &mut [u8]) {
    if op.compares() {
        return compare(op, a, b, out);
    }
    match op {
        Binary::And | Binary::Multiply | Binary::Minimum | Binary::Fmin => map2(a, b, out, |a, b| a & b),
        Binary::Or | Binary::Add | Binary::Maximum | Binary::Fmax => map2(a, b, out, |a, b| a | b),
        Binary::Xor => map2(a, b, out, |a, b| a ^ b),
        _ => unreachable!("{op:?} is not for bool; inference has refused or converted it"),
    }
}

fn compare<T: Copy + PartialOrd>(op: Binary, a: &[T], b: &[T], out: &mut [u8]) {
    match op {
        Binary::Equal => map2(a, b, out, |a, b| u8::from(a == b)),
        Binary::NotEqual => map2(a, b, out, |a, b| u8::from(a != b)),
        Binary::Less => map2(a, b, out, |a, b| u8::from(a < b)),
        Binary::LessEqual => map2(a, b, out, |a, b| u8::from(a <= b)),
        Binary::Greater => map2(a, b, out, |a, b| u8::from(a > b)),
        Binary::GreaterEqual => map2(a, b, out, |a, b| u8::from(a >= b)),
        _ => unreachable!("{op:?} does not compare"),
    }
}

fn select<T: Pod>(condition: &[u8], yes: &[T], no: &[T], out: &mut [T]) {
    for (((out, &condition), &yes), &no) in out.iter_mut().zip(condition).zip(yes).zip(no) {
        *out = if condition != 0 { yes } else { no };
    }
}

fn cast(from: DType, to: DType, a: &[u8], out: &mut [u8]) {
    use DType::{Bool, Float32, Float64, Int64};
    match (from, to) {
        (Bool, Int64) => map1(a, cast_slice_mut(out), |a: u8| i64::from(a)),
        (Bool, Float32) => map1(a, cast_slice_mut(out), |a: u8| f32::from(a)),
        (Bool, Float64) => map1(a, cast_slice_mut(out), |a: u8| f64::from(a)),
        (Int64, Bool) => map1(cast_slice(a), out, |a: i64| u8::from(a != 0)),
        (Int64, Float32) => map1(cast_slice(a), cast_slice_mut(out), |a: i64| a as f32),
        (Int64, Float64) => map1(cast_slice(a), cast_slice_mut(out), |a: i64| a as f64),
        (Float32, Bool) => map1(cast_slice(a), out, |a: f32| u8::from(a != 0.0)),
        (Float32, Int64) => map1(cast_slice(a), cast_slice_mut(out), |a: f32| to_integer(f64::from(a))),
        (Float32, Float64) => map1(cast_slice(a), cast_slice_mut(out), |a: f32| f64::from(a)),
        (Float64, Bool) => map1(cast_slice(a), out, |a: f64| u8::from(a != 0.0)),
        (Float64, Int64) => map1(cast_slice(a), cast_slice_mut(out), to_integer),
        (Float64, Float32) => map1(cast_slice(a), cast_slice_mut(out), |a: f64| a as f32),
        _ => out.copy_from_slice(a),
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
    let (two, above) = (T::ONE + T::ONE, a - T::ONE);
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

fn floor_divide_integer(a: i64, b: i64) -> (i64, i64) {
    if b == 0 {
        return (0, 0);
    }
    let (quotient, remainder) = (a.wrapping_div(b), a.wrapping_rem(b));
    if remainder != 0 && (remainder < 0) != (b < 0) { (quotient - 1, remainder + b) } else { (quotient, remainder) }
}

fn power_integer(base: i64, exponent: i64) -> i64 {
    let (mut base, mut exponent, mut result) = (base, exponent, 1_i64);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: Pod + PartialEq + std::fmt::Debug>(op: Binary, dtype: DType, a: T, b: T, expected: T) {
        let mut out = [T::zeroed()];
        apply(Operation::Binary(op), dtype, &[cast_slice(&[a]), cast_slice(&[b])], cast_slice_mut(&mut out)).unwrap();
        assert_eq!(out[0], expected, "{op:?} of {a:?} and {b:?}");
    }

    #[test]
    fn integers_divide_as_in_numpy() {
        for (a, b, quotient, remainder) in
            [(7, 3, 2, 1), (-7, 3, -3, 2), (7, -3, -3, -2), (-7, -3, 2, -1), (5, 0, 0, 0)]
        {
            check(Binary::FloorDivide, DType::Int64, a, b, quotient as i64);
            check(Binary::Remainder, DType::Int64, a, b, remainder as i64);
        }
        check(Binary::FloorDivide, DType::Int64, i64::MIN, -1, i64::MIN);
        check(Binary::Remainder, DType::Int64, i64::MIN, -1, 0);
    }

    #[test]
    fn floats_divide_as_in_numpy() {
        for (a, b, quotient, remainder) in [
            (7.0, 3.0, 2.0, 1.0),
            (-7.0, 3.0, -3.0, 2.0),
            (7.0, -3.0, -3.0, -2.0),
            (1.0, 0.1, 9.0, 0.099_999_999_999_999_95),
        ] {
            check(Binary::FloorDivide, DType::Float64, a, b, quotient);
            check(Binary::Remainder, DType::Float64, a, b, remainder);
        }
        check(Binary::FloorDivide, DType::Float64, 1.0, 0.0, f64::INFINITY);
    }

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
    fn integers_wrap_and_powers_are_exact() {
        check(Binary::Add, DType::Int64, i64::MAX, 1, i64::MIN);
        check(Binary::Power, DType::Int64, 3_i64, 13, 1_594_323);
        check(Binary::Power, DType::Int64, -2_i64, 63, i64::MIN);
        let (base, exponent) = ([2_i64], [-1_i64]);
        let inputs: [&[u8]; 2] = [cast_slice(&base), cast_slice(&exponent)];
        let error = apply(Operation::Binary(Binary::Power), DType::Int64, &inputs, cast_slice_mut(&mut [0_i64]));
        assert!(error.unwrap_err().contains("negative integer powers"));
    }

    #[test]
    fn nan_wins_in_maximum_and_loses_in_fmax() {
        let mut out = [0.0_f64; 2];
        let (a, b) = ([f64::NAN, 1.0], [1.0, f64::NAN]);
        let inputs: [&[u8]; 2] = [cast_slice(&a), cast_slice(&b)];
        apply(Operation::Binary(Binary::Maximum), DType::Float64, &inputs, cast_slice_mut(&mut out)).unwrap();
        assert!(out.iter().all(|value| value.is_nan()));
        apply(Operation::Binary(Binary::Fmin), DType::Float64, &inputs, cast_slice_mut(&mut out)).unwrap();
        assert_eq!(out, [1.0, 1.0]);
    }

    #[test]
    fn casts_cut_towards_zero() {
        let mut out = [0_i64; 4];
        let from = [1.9_f64, -1.9, f64::NAN, 1e300];
        apply(Operation::Cast(DType::Int64), DType::Float64, &[cast_slice(&from)], cast_slice_mut(&mut out)).unwrap();
        assert_eq!(out, [1, -1, i64::MIN, i64::MIN]);
    }
}
