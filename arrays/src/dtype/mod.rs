//! Element types, and which type the result of an operation has.
//!
//! Promotion follows NumPy 2 (NEP 50): Python's own numbers are weak and take the array's type.
//! Never here: arithmetic.

mod scalar;

pub use scalar::Scalar;
pub(crate) use scalar::{to_half, to_int32, to_integer, to_unsigned};

pub use half::f16;
pub use num_complex::{Complex32, Complex64};

use bytemuck::{Pod, Zeroable};
use std::fmt;

/// The type of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DType {
    /// One byte, 0 or 1.
    Bool,
    /// Signed integer of 8 bits.
    Int8,
    /// Signed integer of 16 bits.
    Int16,
    /// Signed integer of 32 bits.
    Int32,
    /// Signed integer of 64 bits.
    Int64,
    /// Unsigned integer of 8 bits.
    Uint8,
    /// Unsigned integer of 16 bits.
    Uint16,
    /// Unsigned integer of 32 bits.
    Uint32,
    /// Unsigned integer of 64 bits.
    Uint64,
    /// IEEE 754 binary16, computed as binary32.
    Float16,
    /// IEEE 754 binary32.
    Float32,
    /// IEEE 754 binary64.
    Float64,
    /// Two of IEEE 754 binary32: real and imaginary part.
    Complex64,
    /// Two of IEEE 754 binary64: real and imaginary part.
    Complex128,
}

use DType::{
    Bool, Complex64 as C64, Complex128 as C128, Float16, Float32, Float64, Int8, Int16, Int32, Int64, Uint8, Uint16,
    Uint32, Uint64,
};

/// Types whose values have the same meaning; in the order in which a cast of the same kind may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Truth values.
    Bool,
    /// Unsigned integers.
    Unsigned,
    /// Signed integers.
    Signed,
    /// Floating-point numbers.
    Float,
    /// Complex numbers.
    Complex,
}

/// Which conversions an operation may make of itself, as NumPy names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Casting {
    /// None, not even of the order of bytes.
    No,
    /// Of the order of bytes alone.
    Equiv,
    /// Those that keep every value.
    Safe,
    /// Safe ones, and those within a kind or to a later one.
    SameKind,
    /// All.
    Unsafe,
}

impl DType {
    /// All types, in the order in which NumPy lists the loops of its functions.
    pub const ALL: [DType; 14] =
        [Bool, Int8, Uint8, Int16, Uint16, Int32, Uint32, Int64, Uint64, Float16, Float32, Float64, C64, C128];

    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Bool | Int8 | Uint8 => 1,
            Int16 | Uint16 | Float16 => 2,
            Int32 | Uint32 | Float32 => 4,
            Int64 | Uint64 | Float64 | C64 => 8,
            C128 => 16,
        }
    }

    /// NumPy's name.
    pub fn name(self) -> &'static str {
        match self {
            Bool => "bool",
            Int8 => "int8",
            Int16 => "int16",
            Int32 => "int32",
            Int64 => "int64",
            Uint8 => "uint8",
            Uint16 => "uint16",
            Uint32 => "uint32",
            Uint64 => "uint64",
            Float16 => "float16",
            Float32 => "float32",
            Float64 => "float64",
            C64 => "complex64",
            C128 => "complex128",
        }
    }

    /// The type of this name.
    pub fn named(name: &str) -> Option<DType> {
        DType::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// What its values mean.
    pub fn kind(self) -> Kind {
        match self {
            Bool => Kind::Bool,
            Int8 | Int16 | Int32 | Int64 => Kind::Signed,
            Uint8 | Uint16 | Uint32 | Uint64 => Kind::Unsigned,
            Float16 | Float32 | Float64 => Kind::Float,
            C64 | C128 => Kind::Complex,
        }
    }

    /// Whether elements are real floating-point numbers.
    pub fn is_float(self) -> bool {
        self.kind() == Kind::Float
    }

    /// Whether elements are complex numbers.
    pub fn is_complex(self) -> bool {
        self.kind() == Kind::Complex
    }

    /// Whether elements are integers; bool is none.
    pub fn is_integer(self) -> bool {
        matches!(self.kind(), Kind::Signed | Kind::Unsigned)
    }

    /// Whether elements have roundoff: real or complex floating-point numbers.
    pub fn is_inexact(self) -> bool {
        self.is_float() || self.is_complex()
    }

    /// The smallest type that holds values of both.
    pub fn promote(self, other: DType) -> DType {
        match (self.kind(), other.kind()) {
            (Kind::Bool, _) => other,
            (_, Kind::Bool) => self,
            (Kind::Complex, _) | (_, Kind::Complex) => self.real().promote(other.real()).to_complex(),
            (Kind::Float, _) | (_, Kind::Float) => self.to_float().max(other.to_float()),
            (Kind::Signed, Kind::Unsigned) => signed_above(self, other),
            (Kind::Unsigned, Kind::Signed) => signed_above(other, self),
            _ => self.max(other),
        }
    }

    /// The type of an operation between an array of this type and a weak scalar.
    pub fn promote_weak(self, scalar: Scalar) -> DType {
        match (scalar, self.kind()) {
            (Scalar::Int(_) | Scalar::Uint(_), Kind::Bool) => Int64,
            (Scalar::Float(_), Kind::Bool | Kind::Signed | Kind::Unsigned) => Float64,
            (Scalar::Complex(..), Kind::Float) => self.to_complex(),
            (Scalar::Complex(..), Kind::Bool | Kind::Signed | Kind::Unsigned) => C128,
            _ => self,
        }
    }

    /// The type in which floating-point functions of this type are computed: its own, or the least that holds
    /// all values of a short integer, else `float64`.
    pub fn to_float(self) -> DType {
        match self {
            Bool | Int8 | Uint8 => Float16,
            Int16 | Uint16 => Float32,
            Int32 | Int64 | Uint32 | Uint64 => Float64,
            inexact => inexact,
        }
    }

    /// The type of means and variances: its own for floating-point numbers, else `float64`.
    pub fn to_mean(self) -> DType {
        if self.is_inexact() { self } else { Float64 }
    }

    /// The type of real and imaginary parts; other types are their own.
    pub fn real(self) -> DType {
        match self {
            C64 => Float32,
            C128 => Float64,
            dtype => dtype,
        }
    }

    /// The complex type whose parts hold values of this type.
    pub fn to_complex(self) -> DType {
        match self.to_float() {
            Float16 | Float32 | C64 => C64,
            _ => C128,
        }
    }

    /// The type of sums and products: short integers and truth values widen to 64 bits.
    pub fn to_sum(self) -> DType {
        match self.kind() {
            Kind::Bool | Kind::Signed => Int64,
            Kind::Unsigned => Uint64,
            _ => self,
        }
    }

    /// The least and the greatest integer of this type, if it is one of integers.
    pub fn integer_bounds(self) -> Option<(i64, u64)> {
        let bits = 8 * self.bytes() as u32;
        match self.kind() {
            Kind::Signed => Some((i64::MIN >> (64 - bits), (i64::MAX >> (64 - bits)) as u64)),
            Kind::Unsigned => Some((0, u64::MAX >> (64 - bits))),
            _ => None,
        }
    }

    /// Whether a conversion is allowed.
    pub fn can_cast(self, to: DType, casting: Casting) -> bool {
        match casting {
            Casting::No | Casting::Equiv => self == to,
            Casting::Safe => self.promote(to) == to,
            Casting::SameKind => self.promote(to) == to || self.kind() <= to.kind(),
            Casting::Unsafe => true,
        }
    }
}

/// The signed integer, or else `float64`, that holds both.
fn signed_above(signed: DType, unsigned: DType) -> DType {
    let above = match unsigned {
        Uint8 => Int16,
        Uint16 => Int32,
        Uint32 => Int64,
        _ => Float64,
    };
    signed.max(above)
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that elements are stored as.
pub trait Element: Pod + PartialEq + fmt::Debug + Send + Sync + sealed::Sealed + 'static {
    /// The element type.
    const DTYPE: DType;
}

/// An element of bool: a byte that is 0 or 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(transparent)]
pub struct Truth(u8);

impl From<bool> for Truth {
    fn from(value: bool) -> Truth {
        Truth(u8::from(value))
    }
}

impl From<Truth> for bool {
    fn from(value: Truth) -> bool {
        value.0 != 0
    }
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
    Truth => Bool;
    i8 => Int8;
    i16 => Int16;
    i32 => Int32;
    i64 => Int64;
    u8 => Uint8;
    u16 => Uint16;
    u32 => Uint32;
    u64 => Uint64;
    f16 => Float16;
    f32 => Float32;
    f64 => Float64;
    Complex32 => C64;
    Complex64 => C128;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promotion_is_the_least_type_that_both_cast_to() {
        // Integers beyond 32 bits count as safe in float64, as NumPy has it; the order makes the least unique.
        for left in DType::ALL {
            for right in DType::ALL {
                let found = left.promote(right);
                assert_eq!(found, right.promote(left), "{left} with {right}");
                assert!(left.can_cast(found, Casting::Safe) && right.can_cast(found, Casting::Safe));
                let least = DType::ALL
                    .into_iter()
                    .find(|&dtype| left.can_cast(dtype, Casting::Safe) && right.can_cast(dtype, Casting::Safe));
                assert_eq!(Some(found), least, "{left} with {right}");
            }
        }
    }

    #[test]
    fn promotion_follows_numpy() {
        for (left, right, expected) in [
            (Int8, Uint8, Int16),
            (Int64, Uint32, Int64),
            (Int64, Uint64, Float64),
            (Int16, Float16, Float32),
            (Uint8, Float16, Float16),
            (Int32, Float32, Float64),
            (Int32, C64, C128),
            (Int16, C64, C64),
            (Float16, C64, C64),
            (Float64, C64, C128),
            (Bool, Uint8, Uint8),
        ] {
            assert_eq!(left.promote(right), expected, "{left} with {right}");
        }
    }

    #[test]
    fn a_python_number_takes_the_type_of_the_array() {
        assert_eq!(Float32.promote_weak(Scalar::Float(2.0)), Float32);
        assert_eq!(Float16.promote_weak(Scalar::Int(2)), Float16);
        assert_eq!(Uint8.promote_weak(Scalar::Int(2)), Uint8);
        assert_eq!(Int8.promote_weak(Scalar::Float(2.0)), Float64);
        assert_eq!(Bool.promote_weak(Scalar::Int(2)), Int64);
        assert_eq!(Bool.promote_weak(Scalar::Bool(true)), Bool);
        assert_eq!(Float32.promote_weak(Scalar::Complex(0.0, 1.0)), C64);
        assert_eq!(Int8.promote_weak(Scalar::Complex(0.0, 1.0)), C128);
    }

    #[test]
    fn integers_have_bounds() {
        assert_eq!(Int8.integer_bounds(), Some((-128, 127)));
        assert_eq!(Uint16.integer_bounds(), Some((0, 65_535)));
        assert_eq!(Int64.integer_bounds(), Some((i64::MIN, i64::MAX as u64)));
        assert_eq!(Uint64.integer_bounds(), Some((0, u64::MAX)));
        assert_eq!(Float16.integer_bounds(), None);
    }
}
