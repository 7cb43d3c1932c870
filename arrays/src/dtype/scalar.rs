//! Numbers of Python's own, and the bytes of single elements.

use super::{DType, f16};
use num_complex::Complex;

/// A number of Python's own, which takes the type of the array it meets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number beyond `i64`.
    Uint(u64),
    /// A floating-point number.
    Float(f64),
    /// A complex number: real and imaginary part.
    Complex(f64, f64),
}

impl Scalar {
    /// The type an array of this number alone has.
    pub fn dtype(self) -> DType {
        match self {
            Scalar::Bool(_) => DType::Bool,
            Scalar::Int(_) => DType::Int64,
            Scalar::Uint(_) => DType::Uint64,
            Scalar::Float(_) => DType::Float64,
            Scalar::Complex(..) => DType::Complex128,
        }
    }

    /// The value as a floating-point number; of a complex one the real part.
    pub fn to_f64(self) -> f64 {
        match self {
            Scalar::Bool(value) => f64::from(u8::from(value)),
            Scalar::Int(value) => value as f64,
            Scalar::Uint(value) => value as f64,
            Scalar::Float(value) | Scalar::Complex(value, _) => value,
        }
    }

    /// The real and the imaginary part.
    pub fn to_complex(self) -> (f64, f64) {
        match self {
            Scalar::Complex(real, imaginary) => (real, imaginary),
            real => (real.to_f64(), 0.0),
        }
    }

    /// The value as an integer, cut towards zero; as [`to_integer`].
    pub fn to_i64(self) -> i64 {
        match self {
            Scalar::Bool(value) => i64::from(value),
            Scalar::Int(value) => value,
            Scalar::Uint(value) => value as i64,
            Scalar::Float(value) | Scalar::Complex(value, _) => to_integer(value),
        }
    }

    /// The value as an unsigned integer, cut towards zero; as [`to_unsigned`].
    pub fn to_u64(self) -> u64 {
        match self {
            Scalar::Float(value) | Scalar::Complex(value, _) => to_unsigned(value),
            whole => whole.to_i64() as u64,
        }
    }

    /// Whether the value differs from zero.
    pub fn to_bool(self) -> bool {
        match self {
            Scalar::Bool(value) => value,
            Scalar::Int(value) => value != 0,
            Scalar::Uint(value) => value != 0,
            Scalar::Float(value) => value != 0.0,
            Scalar::Complex(real, imaginary) => real != 0.0 || imaginary != 0.0,
        }
    }

    /// Whether an element of integers can be this whole number; true where either is no integer.
    pub fn fits(self, dtype: DType) -> bool {
        match (self, dtype.integer_bounds()) {
            (Scalar::Int(value), Some((least, most))) => value >= least && (value < 0 || value as u64 <= most),
            (Scalar::Uint(value), Some((_, most))) => value <= most,
            _ => true,
        }
    }

    /// The bytes of an element of the given type, at the front of sixteen. Whole numbers wrap.
    pub(crate) fn to_bytes(self, dtype: DType) -> [u8; 16] {
        let mut bytes = [0; 16];
        let mut put = |element: &[u8]| bytes[..element.len()].copy_from_slice(element);
        match dtype {
            DType::Bool => put(&[u8::from(self.to_bool())]),
            DType::Int8 | DType::Uint8 => put(&(self.to_short() as u8).to_ne_bytes()),
            DType::Int16 | DType::Uint16 => put(&(self.to_short() as u16).to_ne_bytes()),
            DType::Int32 => put(&self.to_short().to_ne_bytes()),
            DType::Uint32 => put(&(self.to_i64() as u32).to_ne_bytes()),
            DType::Int64 => put(&self.to_i64().to_ne_bytes()),
            DType::Uint64 => put(&self.to_u64().to_ne_bytes()),
            DType::Float16 => put(&to_half(self.to_f64()).to_ne_bytes()),
            DType::Float32 => put(&(self.to_f64() as f32).to_ne_bytes()),
            DType::Float64 => put(&self.to_f64().to_ne_bytes()),
            DType::Complex64 => {
                let (re, im) = self.to_complex();
                put(bytemuck::bytes_of(&Complex { re: re as f32, im: im as f32 }));
            }
            DType::Complex128 => {
                let (re, im) = self.to_complex();
                put(bytemuck::bytes_of(&Complex { re, im }));
            }
        }
        bytes
    }

    /// The value on its way to 32 bits or fewer: a float goes through 32 bits, a whole number keeps its last ones.
    fn to_short(self) -> i32 {
        match self {
            Scalar::Float(value) | Scalar::Complex(value, _) => to_int32(value),
            whole => whole.to_i64() as i32,
        }
    }

    /// The number in the first bytes of an element.
    pub(crate) fn from_bytes(dtype: DType, bytes: &[u8]) -> Scalar {
        fn read<T: bytemuck::Pod>(bytes: &[u8]) -> T {
            bytemuck::pod_read_unaligned(&bytes[..size_of::<T>()])
        }
        match dtype {
            DType::Bool => Scalar::Bool(bytes[0] != 0),
            DType::Int8 => Scalar::Int(i64::from(read::<i8>(bytes))),
            DType::Int16 => Scalar::Int(i64::from(read::<i16>(bytes))),
            DType::Int32 => Scalar::Int(i64::from(read::<i32>(bytes))),
            DType::Int64 => Scalar::Int(read(bytes)),
            DType::Uint8 => Scalar::Int(i64::from(read::<u8>(bytes))),
            DType::Uint16 => Scalar::Int(i64::from(read::<u16>(bytes))),
            DType::Uint32 => Scalar::Int(i64::from(read::<u32>(bytes))),
            DType::Uint64 => {
                let value: u64 = read(bytes);
                i64::try_from(value).map_or(Scalar::Uint(value), Scalar::Int)
            }
            DType::Float16 => Scalar::Float(read::<f16>(bytes).to_f64()),
            DType::Float32 => Scalar::Float(f64::from(read::<f32>(bytes))),
            DType::Float64 => Scalar::Float(read(bytes)),
            DType::Complex64 => {
                let value: Complex<f32> = read(bytes);
                Scalar::Complex(f64::from(value.re), f64::from(value.im))
            }
            DType::Complex128 => {
                let value: Complex<f64> = read(bytes);
                Scalar::Complex(value.re, value.im)
            }
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

/// As [`to_integer`], to 32 bits.
#[inline(always)]
pub(crate) fn to_int32(value: f64) -> i32 {
    if value > -2_147_483_649.0 && value < 2_147_483_648.0 { value as i32 } else { i32::MIN }
}

/// As [`to_integer`], to numbers without a sign: a negative one wraps.
#[inline(always)]
pub(crate) fn to_unsigned(value: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if value >= HALF { (to_integer(value - HALF) as u64) ^ (1 << 63) } else { to_integer(value) as u64 }
}

/// A number rounded once to half precision.
#[inline(always)]
pub(crate) fn to_half(value: f64) -> f16 {
    let single = value as f32;
    let bits = single.to_bits();
    if !single.is_finite() || f64::from(single) == value || bits & 1 == 1 {
        return f16::from_f32(single);
    }
    // To the neighbour with an odd last bit, which tells the second rounding that there was more.
    let odd = if f64::from(single).abs() > value.abs() { bits - 1 } else { bits + 1 };
    f16::from_f32(f32::from_bits(odd))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_integer_holds_becomes_the_smallest() {
        for (value, expected) in [(f64::NAN, i64::MIN), (1e300, i64::MIN), (-1e300, i64::MIN), (-1.9, -1), (1.9, 1)] {
            assert_eq!(Scalar::Float(value).to_i64(), expected, "{value}");
        }
        assert_eq!((to_int32(-2_147_483_648.9), to_int32(3e9)), (i32::MIN, i32::MIN));
        assert_eq!((to_unsigned(1.8e19), to_unsigned(-1.0)), (18_000_000_000_000_000_000, u64::MAX));
    }

    #[test]
    fn an_element_keeps_its_value_through_bytes() {
        for dtype in DType::ALL {
            for value in [Scalar::Int(0), Scalar::Int(1)] {
                let found = Scalar::from_bytes(dtype, &value.to_bytes(dtype));
                assert_eq!(found.to_i64(), value.to_i64(), "{dtype}");
                assert_eq!(found.to_bytes(dtype), value.to_bytes(dtype), "{dtype}");
            }
        }
        let complex = Scalar::Complex(1.5, -2.5);
        assert_eq!(Scalar::from_bytes(DType::Complex64, &complex.to_bytes(DType::Complex64)), complex);
        assert_eq!(Scalar::from_bytes(DType::Uint64, &Scalar::Int(-1).to_bytes(DType::Uint64)), Scalar::Uint(u64::MAX));
    }

    #[test]
    fn whole_numbers_fit_or_not() {
        assert!(Scalar::Int(255).fits(DType::Uint8) && !Scalar::Int(256).fits(DType::Uint8));
        assert!(!Scalar::Int(-1).fits(DType::Uint64) && Scalar::Uint(u64::MAX).fits(DType::Uint64));
        assert!(!Scalar::Uint(1 << 63).fits(DType::Int64) && Scalar::Int(i64::MIN).fits(DType::Int64));
        assert!(Scalar::Float(1e9).fits(DType::Int8) && Scalar::Int(1000).fits(DType::Bool));
    }
}
