//! Element types, and which type the result of an operation has.
//!
//! Promotion follows NumPy 2 (NEP 50): Python's own numbers are weak and take the array's type.
//! Never here: arithmetic.

use bytemuck::Pod;
use std::fmt;

/// The type of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DType {
    /// One byte, 0 or 1.
    Bool,
    /// Signed integer of 64 bits.
    Int64,
    /// IEEE 754 binary32.
    Float32,
    /// IEEE 754 binary64.
    Float64,
}

use DType::{Bool, Float32, Float64, Int64};

impl DType {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Bool => 1,
            Float32 => 4,
            Int64 | Float64 => 8,
        }
    }

    /// NumPy's name.
    pub fn name(self) -> &'static str {
        match self {
            Bool => "bool",
            Int64 => "int64",
            Float32 => "float32",
            Float64 => "float64",
        }
    }

    /// Whether elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Float32 | Float64)
    }

    /// The smallest type that holds values of both.
    pub fn promote(self, other: DType) -> DType {
        match (self, other) {
            (Bool, wider) | (wider, Bool) => wider,
            (Int64, Float32) | (Float32, Int64) => Float64,
            (left, right) => left.max(right),
        }
    }

    /// The type of an operation between an array of this type and a weak scalar.
    pub fn promote_weak(self, scalar: Scalar) -> DType {
        match (scalar, self) {
            (Scalar::Int(_), Bool) => Int64,
            (Scalar::Float(_), Bool | Int64) => Float64,
            (_, dtype) => dtype,
        }
    }

    /// The type in which floating-point functions of this type are computed.
    pub fn to_float(self) -> DType {
        if self == Float32 { Float32 } else { Float64 }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A number of Python's own, which takes the type of the array it meets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
}

impl Scalar {
    /// The type an array of this number alone has.
    pub fn dtype(self) -> DType {
        match self {
            Scalar::Bool(_) => Bool,
            Scalar::Int(_) => Int64,
            Scalar::Float(_) => Float64,
        }
    }

    /// The value as a floating-point number.
    pub fn to_f64(self) -> f64 {
        match self {
            Scalar::Bool(value) => f64::from(u8::from(value)),
            Scalar::Int(value) => value as f64,
            Scalar::Float(value) => value,
        }
    }

    /// The value as an integer, cut towards zero; as [`to_integer`].
    pub fn to_i64(self) -> i64 {
        match self {
            Scalar::Bool(value) => i64::from(value),
            Scalar::Int(value) => value,
            Scalar::Float(value) => to_integer(value),
        }
    }

    /// Whether the value differs from zero.
    pub fn to_bool(self) -> bool {
        match self {
            Scalar::Bool(value) => value,
            Scalar::Int(value) => value != 0,
            Scalar::Float(value) => value != 0.0,
        }
    }

    /// The bytes of an element of the given type, at the front of eight.
    pub(crate) fn to_bytes(self, dtype: DType) -> [u8; 8] {
        let mut bytes = [0; 8];
        match dtype {
            Bool => bytes[0] = u8::from(self.to_bool()),
            Int64 => bytes = self.to_i64().to_ne_bytes(),
            Float32 => bytes[..4].copy_from_slice(&(self.to_f64() as f32).to_ne_bytes()),
            Float64 => bytes = self.to_f64().to_ne_bytes(),
        }
        bytes
    }

    /// The number in the first bytes of an element.
    pub(crate) fn from_bytes(dtype: DType, bytes: &[u8]) -> Scalar {
        match dtype {
            Bool => Scalar::Bool(bytes[0] != 0),
            Int64 => Scalar::Int(bytemuck::pod_read_unaligned(&bytes[..8])),
            Float32 => Scalar::Float(f64::from(bytemuck::pod_read_unaligned::<f32>(&bytes[..4]))),
            Float64 => Scalar::Float(bytemuck::pod_read_unaligned(&bytes[..8])),
        }
    }
}

/// A number cut towards zero; of one that no integer holds, what x86 makes of it, and so what NumPy's users see:
/// the smallest integer.
#[inline(always)]
pub(crate) fn to_integer(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that elements are stored as; `u8` stands for bool, as 0 or 1.
pub trait Element: Pod + PartialOrd + fmt::Debug + Send + Sync + sealed::Sealed + 'static {
    /// The element type.
    const DTYPE: DType;
}

macro_rules! element {
    ($($stored:ty => $dtype:expr;)*) => {$(
        impl sealed::Sealed for $stored {}
        impl Element for $stored {
            const DTYPE: DType = $dtype;
        }
    )*};
}

element! {
    u8 => Bool;
    i64 => Int64;
    f32 => Float32;
    f64 => Float64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promotion_is_symmetric_and_follows_numpy() {
        let all = [Bool, Int64, Float32, Float64];
        let expected = [
            [Bool, Int64, Float32, Float64],
            [Int64, Int64, Float64, Float64],
            [Float32, Float64, Float32, Float64],
            [Float64, Float64, Float64, Float64],
        ];
        for (i, left) in all.into_iter().enumerate() {
            for (j, right) in all.into_iter().enumerate() {
                assert_eq!(left.promote(right), expected[i][j], "{left} with {right}");
            }
        }
    }

    #[test]
    fn what_no_integer_holds_becomes_the_smallest() {
        for (value, expected) in [(f64::NAN, i64::MIN), (1e300, i64::MIN), (-1e300, i64::MIN), (-1.9, -1), (1.9, 1)] {
            assert_eq!(Scalar::Float(value).to_i64(), expected, "{value}");
        }
    }

    #[test]
    fn a_python_number_takes_the_type_of_the_array() {
        assert_eq!(Float32.promote_weak(Scalar::Float(2.0)), Float32);
        assert_eq!(Float32.promote_weak(Scalar::Int(2)), Float32);
        assert_eq!(Int64.promote_weak(Scalar::Float(2.0)), Float64);
        assert_eq!(Bool.promote_weak(Scalar::Int(2)), Int64);
        assert_eq!(Bool.promote_weak(Scalar::Bool(true)), Bool);
    }
}
