//! Elementwise operations on slices of one type, element by element.
//!
//! Slices come as bytes, aligned for their type; the type is looked at once for each slice.
//! Semantics are NumPy's: integers wrap, an integer divided by zero is 0, a remainder has the divisor's sign.
//! Elements of `float16` are computed as `float32` and rounded once.

use super::operation::{Binary, Operation, Unary};
use super::vector::{self, Map1, Map2, Select};
use super::{cast, complex, float, integer, steps};
use crate::dtype::{DType, f16};
use bytemuck::{Pod, cast_slice, cast_slice_mut};
use num_complex::Complex;

/// Does an operation on operands of type `dtype`; the condition of a selection is bool.
///
/// Cost: one operation, and a read for each operand and a write, an element.
///
/// # Errors
/// Local: the text of NumPy's error for an integer raised to a negative power.
pub(crate) fn apply(operation: Operation, dtype: DType, inputs: &[&[u8]], out: &mut [u8]) -> Result<(), String> {
    match operation {
        Operation::Unary(op) => unary(op, dtype, inputs[0], out),
        Operation::Binary(op) => return binary(op, dtype, inputs[0], inputs[1], out),
        Operation::Cast(to) => cast::cast(dtype, to, inputs[0], out),
        Operation::Select => {
            let [condition, yes, no] = [inputs[0], inputs[1], inputs[2]];
            match dtype.bytes() {
                1 => select::<u8>(condition, yes, no, out),
                2 => select::<u16>(condition, cast_slice(yes), cast_slice(no), cast_slice_mut(out)),
                4 => select::<u32>(condition, cast_slice(yes), cast_slice(no), cast_slice_mut(out)),
                8 => select::<u64>(condition, cast_slice(yes), cast_slice(no), cast_slice_mut(out)),
                _ => select::<[u64; 2]>(condition, cast_slice(yes), cast_slice(no), cast_slice_mut(out)),
            }
        }
    }
    Ok(())
}

fn unary(op: Unary, dtype: DType, a: &[u8], out: &mut [u8]) {
    match dtype {
        DType::Bool => integer::unary_bool(op, a, out),
        DType::Int8 => integer::unary::<i8>(op, cast_slice(a), out),
        DType::Int16 => integer::unary::<i16>(op, cast_slice(a), out),
        DType::Int32 => integer::unary::<i32>(op, cast_slice(a), out),
        DType::Int64 => integer::unary::<i64>(op, cast_slice(a), out),
        DType::Uint8 => integer::unary::<u8>(op, a, out),
        DType::Uint16 => integer::unary::<u16>(op, cast_slice(a), out),
        DType::Uint32 => integer::unary::<u32>(op, cast_slice(a), out),
        DType::Uint64 => integer::unary::<u64>(op, cast_slice(a), out),
        DType::Float16 if op == Unary::Spacing => {
            map1_plain(cast_slice::<u8, f16>(a), cast_slice_mut(out), steps::spacing_upwards)
        }
        DType::Float16 => {
            let result = op.result(DType::Float32);
            let wide = widened(a);
            let narrow = op.result(DType::Float16);
            through(result, narrow, out, |out| float::unary::<f32>(op, cast_slice(&wide), out));
        }
        DType::Float32 => float::unary::<f32>(op, cast_slice(a), out),
        DType::Float64 => float::unary::<f64>(op, cast_slice(a), out),
        DType::Complex64 => complex::unary::<f32>(op, cast_slice::<u8, Complex<f32>>(a), out),
        DType::Complex128 => complex::unary::<f64>(op, cast_slice::<u8, Complex<f64>>(a), out),
    }
}

/// As [`apply`] where all elements of the second operand are the one of `b`; false if there is no loop for that.
///
/// Cost: one operation, a read and a write an element.
pub(crate) fn with_constant(op: Binary, dtype: DType, a: &[u8], b: &[u8], out: &mut [u8]) -> bool {
    match dtype {
        DType::Float32 => float::with_constant::<f32>(op, cast_slice(a), cast_slice(b), out),
        DType::Float64 => float::with_constant::<f64>(op, cast_slice(a), cast_slice(b), out),
        _ => false,
    }
}

fn binary(op: Binary, dtype: DType, a: &[u8], b: &[u8], out: &mut [u8]) -> Result<(), String> {
    if dtype.is_integer() && integer::binary_bits(op, dtype.bytes(), a, b, out) {
        return Ok(());
    }
    match dtype {
        DType::Bool => integer::binary_bool(op, a, b, out),
        DType::Int8 => return integer::binary::<i8>(op, cast_slice(a), cast_slice(b), out),
        DType::Int16 => return integer::binary::<i16>(op, cast_slice(a), cast_slice(b), out),
        DType::Int32 => return integer::binary::<i32>(op, cast_slice(a), cast_slice(b), out),
        DType::Int64 => return integer::binary::<i64>(op, cast_slice(a), cast_slice(b), out),
        DType::Uint8 => return integer::binary::<u8>(op, a, b, out),
        DType::Uint16 => return integer::binary::<u16>(op, cast_slice(a), cast_slice(b), out),
        DType::Uint32 => return integer::binary::<u32>(op, cast_slice(a), cast_slice(b), out),
        DType::Uint64 => return integer::binary::<u64>(op, cast_slice(a), cast_slice(b), out),
        DType::Float16 if op == Binary::Nextafter => {
            map2_plain::<f16, f16>(cast_slice(a), cast_slice(b), cast_slice_mut(out), steps::next_after);
        }
        DType::Float16 => {
            let (a, b) = (widened(a), widened(b));
            through(op.result(DType::Float32), op.result(DType::Float16), out, |out| {
                float::binary::<f32>(op, cast_slice(&a), cast_slice(&b), out);
            });
        }
        DType::Float32 => float::binary::<f32>(op, cast_slice(a), cast_slice(b), out),
        DType::Float64 => float::binary::<f64>(op, cast_slice(a), cast_slice(b), out),
        DType::Complex64 => complex::binary::<f32>(op, cast_slice(a), cast_slice(b), out),
        DType::Complex128 => complex::binary::<f64>(op, cast_slice(a), cast_slice(b), out),
    }
    Ok(())
}

/// Elements of `float16` as `float32`.
fn widened(a: &[u8]) -> Vec<f32> {
    let mut wide = vec![0.0; a.len() / 2];
    cast::cast(DType::Float16, DType::Float32, a, cast_slice_mut(&mut wide));
    wide
}

/// Runs what writes elements of type `wide`, and leaves them in `out` as `narrow`.
fn through(wide: DType, narrow: DType, out: &mut [u8], run: impl FnOnce(&mut [u8])) {
    if wide == narrow {
        return run(out);
    }
    let mut results = vec![0.0_f32; out.len() / narrow.bytes()];
    run(cast_slice_mut(&mut results));
    cast::cast(wide, narrow, cast_slice(&results), out);
}

pub(super) fn map1<A: Copy, R>(a: &[A], out: &mut [R], f: impl Fn(A) -> R) {
    vector::run(Map1 { a, out, f });
}

pub(super) fn map2<A: Copy, B: Copy, R>(a: &[A], b: &[B], out: &mut [R], f: impl Fn(A, B) -> R) {
    vector::run(Map2 { a, b, out, f });
}

/// For functions that gain nothing from wider vectors, such as those that call the mathematics library.
pub(super) fn map1_plain<A: Copy, R>(a: &[A], out: &mut [R], f: impl Fn(A) -> R) {
    for (out, &a) in out.iter_mut().zip(a) {
        *out = f(a);
    }
}

/// As [`map1_plain`], of two operands.
pub(super) fn map2_plain<A: Copy, R>(a: &[A], b: &[A], out: &mut [R], f: impl Fn(A, A) -> R) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = f(a, b);
    }
}

/// Comparisons of what has an order.
pub(super) fn compare<T: Copy + PartialOrd>(op: Binary, a: &[T], b: &[T], out: &mut [u8]) {
    match op {
        Binary::Equal => map2(a, b, out, |a, b| u8::from(a == b)),
        Binary::NotEqual => map2(a, b, out, |a, b| u8::from(a != b)),
        Binary::Less => map2(a, b, out, |a, b| u8::from(a < b)),
        Binary::LessEqual => map2(a, b, out, |a, b| u8::from(a <= b)),
        Binary::Greater => map2(b, a, out, |a, b| u8::from(a < b)),
        Binary::GreaterEqual => map2(b, a, out, |a, b| u8::from(a <= b)),
        _ => unreachable!("{op:?} does not compare"),
    }
}

fn select<T: Pod>(condition: &[u8], yes: &[T], no: &[T], out: &mut [T]) {
    vector::run(Select { condition, yes, no, out });
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
    fn a_number_gives_what_an_array_of_it_gives() {
        let a = [f64::NAN, -f64::NAN, f64::INFINITY, -1.5, -0.0, 0.0, 1e-310, 7.25, 1e300];
        for op in [Binary::Add, Binary::Subtract, Binary::Multiply, Binary::Divide, Binary::Maximum, Binary::Minimum] {
            for number in [0.0, -0.0, 2.5, f64::NEG_INFINITY, f64::NAN] {
                let (mut expected, mut found) = ([0.0_f64; 9], [0.0_f64; 9]);
                let numbers = [number; 9];
                let inputs: [&[u8]; 2] = [cast_slice(&a), cast_slice(&numbers)];
                apply(Operation::Binary(op), DType::Float64, &inputs, cast_slice_mut(&mut expected)).unwrap();
                if with_constant(op, DType::Float64, inputs[0], &inputs[1][..8], cast_slice_mut(&mut found)) {
                    assert_eq!(found.map(f64::to_bits), expected.map(f64::to_bits), "{op:?} with {number}");
                }
            }
        }
    }

    #[test]
    fn casts_cut_towards_zero() {
        let mut out = [0_i64; 4];
        let from = [1.9_f64, -1.9, f64::NAN, 1e300];
        apply(Operation::Cast(DType::Int64), DType::Float64, &[cast_slice(&from)], cast_slice_mut(&mut out)).unwrap();
        assert_eq!(out, [1, -1, i64::MIN, i64::MIN]);
    }
}
