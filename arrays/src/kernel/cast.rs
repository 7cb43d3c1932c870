//! Conversions of elements from type to type.
//!
//! A float that no integer holds becomes what x86 makes of it; integers wrap; a complex number loses its imaginary
//! part. Conversions from and to `float16` and complex numbers go through their parts' or their computed type.

use super::elementwise::{map1, map1_plain};
use super::integer::Integer;
use crate::dtype::{DType, f16, to_half};
use bytemuck::{Pod, cast_slice, cast_slice_mut};

/// Converts elements of `from` to elements of `to`.
///
/// Cost: one read and one write an element; a buffer as long as the slice where there is a type between.
pub(crate) fn cast(from: DType, to: DType, a: &[u8], out: &mut [u8]) {
    if from == to {
        return out.copy_from_slice(a);
    }
    match (from, to) {
        (DType::Complex64 | DType::Complex128, _) => from_complex(from, to, a, out),
        (_, DType::Complex64 | DType::Complex128) => to_complex(from, to, a, out),
        (DType::Float16, DType::Float32) => map1_plain(cast_slice(a), cast_slice_mut(out), f16::to_f32),
        (DType::Float16, _) => between(from, DType::Float32, to, a, out),
        (DType::Float32, DType::Float16) => map1_plain(cast_slice(a), cast_slice_mut(out), f16::from_f32),
        (DType::Float64, DType::Float16) => map1_plain(cast_slice(a), cast_slice_mut(out), to_half),
        // What a 32-bit float rounds of an integer is far beyond what 16 bits hold, so this rounds once.
        (_, DType::Float16) => between(from, DType::Float32, to, a, out),
        (_, DType::Bool) => to_bool(from, a, out),
        (DType::Float32, _) => float_to(to, cast_slice::<u8, f32>(a), out, f64::from),
        (DType::Float64, _) => float_to(to, cast_slice::<u8, f64>(a), out, |a| a),
        (DType::Bool | DType::Uint8, _) => integer_to::<u8>(to, a, out),
        (DType::Int8, _) => integer_to::<i8>(to, cast_slice(a), out),
        (DType::Int16, _) => integer_to::<i16>(to, cast_slice(a), out),
        (DType::Int32, _) => integer_to::<i32>(to, cast_slice(a), out),
        (DType::Int64, _) => integer_to::<i64>(to, cast_slice(a), out),
        (DType::Uint16, _) => integer_to::<u16>(to, cast_slice(a), out),
        (DType::Uint32, _) => integer_to::<u32>(to, cast_slice(a), out),
        (DType::Uint64, _) => integer_to::<u64>(to, cast_slice(a), out),
    }
}

fn between(from: DType, through: DType, to: DType, a: &[u8], out: &mut [u8]) {
    let count = a.len() / from.bytes();
    // Eight bytes hold any type that conversions go through, and align it.
    let mut room = vec![0_u64; (count * through.bytes()).div_ceil(8)];
    let room = &mut cast_slice_mut::<u64, u8>(&mut room)[..count * through.bytes()];
    cast(from, through, a, room);
    cast(through, to, room, out);
}

/// Converts the real parts.
fn from_complex(from: DType, to: DType, a: &[u8], out: &mut [u8]) {
    match (from, to) {
        (DType::Complex64, DType::Complex128) => {
            map1_plain(cast_slice::<u8, f32>(a), cast_slice_mut(out), f64::from);
        }
        (DType::Complex128, DType::Complex64) => {
            map1_plain(cast_slice::<u8, f64>(a), cast_slice_mut(out), |a| a as f32);
        }
        (DType::Complex64, DType::Bool) => {
            map1_plain(cast_slice::<u8, [f32; 2]>(a), out, |[re, im]| u8::from(re != 0.0 || im != 0.0));
        }
        (_, DType::Bool) => {
            map1_plain(cast_slice::<u8, [f64; 2]>(a), out, |[re, im]| u8::from(re != 0.0 || im != 0.0));
        }
        (DType::Complex64, _) => {
            let parts: Vec<f32> = cast_slice::<u8, [f32; 2]>(a).iter().map(|[re, _]| *re).collect();
            cast(DType::Float32, to, cast_slice(&parts), out);
        }
        _ => {
            let parts: Vec<f64> = cast_slice::<u8, [f64; 2]>(a).iter().map(|[re, _]| *re).collect();
            cast(DType::Float64, to, cast_slice(&parts), out);
        }
    }
}

/// Converts to real parts and adds imaginary parts of zero.
fn to_complex(from: DType, to: DType, a: &[u8], out: &mut [u8]) {
    fn pairs<T: Pod>(from: DType, to: DType, a: &[u8], out: &mut [u8]) {
        let mut parts = vec![T::zeroed(); a.len() / from.bytes()];
        cast(from, to.real(), a, cast_slice_mut(&mut parts));
        for (pair, part) in cast_slice_mut::<u8, T>(out).chunks_exact_mut(2).zip(parts) {
            pair[0] = part;
            pair[1] = T::zeroed();
        }
    }
    if to == DType::Complex64 { pairs::<f32>(from, to, a, out) } else { pairs::<f64>(from, to, a, out) }
}

fn to_bool(from: DType, a: &[u8], out: &mut [u8]) {
    match from {
        DType::Float32 => map1(cast_slice(a), out, |a: f32| u8::from(a != 0.0)),
        DType::Float64 => map1(cast_slice(a), out, |a: f64| u8::from(a != 0.0)),
        _ => match from.bytes() {
            1 => map1(a, out, |a: u8| u8::from(a != 0)),
            2 => map1(cast_slice(a), out, |a: u16| u8::from(a != 0)),
            4 => map1(cast_slice(a), out, |a: u32| u8::from(a != 0)),
            _ => map1(cast_slice(a), out, |a: u64| u8::from(a != 0)),
        },
    }
}

fn float_to<T: Pod>(to: DType, a: &[T], out: &mut [u8], wide: impl Fn(T) -> f64 + Copy) {
    fn cut<T: Pod, I: Integer>(a: &[T], out: &mut [u8], wide: impl Fn(T) -> f64) {
        map1(a, cast_slice_mut::<u8, I>(out), |a| I::cut(wide(a)));
    }
    match to {
        DType::Float32 => map1(a, cast_slice_mut(out), |a| wide(a) as f32),
        DType::Float64 => map1(a, cast_slice_mut(out), wide),
        DType::Int8 | DType::Uint8 => cut::<T, i8>(a, out, wide),
        DType::Int16 | DType::Uint16 => cut::<T, i16>(a, out, wide),
        DType::Int32 => cut::<T, i32>(a, out, wide),
        DType::Int64 => cut::<T, i64>(a, out, wide),
        DType::Uint32 => cut::<T, u32>(a, out, wide),
        DType::Uint64 => cut::<T, u64>(a, out, wide),
        _ => unreachable!("{to} was converted to before"),
    }
}

/// What an integer becomes in each other type.
trait Widens: Integer {
    fn to_bits(self) -> u64;
    fn to_f32(self) -> f32;
}

macro_rules! widens {
    ($($integer:ty)*) => {$(
        impl Widens for $integer {
            #[inline(always)]
            fn to_bits(self) -> u64 {
                self as u64
            }
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }
        }
    )*};
}

widens!(i8 i16 i32 i64 u8 u16 u32 u64);

fn integer_to<T: Widens>(to: DType, a: &[T], out: &mut [u8]) {
    match to {
        DType::Float32 => map1(a, cast_slice_mut(out), T::to_f32),
        DType::Float64 => map1(a, cast_slice_mut(out), T::to_f64),
        // The sign was spread when the number was widened; what is left of it is the same for both kinds.
        _ => match to.bytes() {
            1 => map1(a, out, |a| a.to_bits() as u8),
            2 => map1(a, cast_slice_mut(out), |a| a.to_bits() as u16),
            4 => map1(a, cast_slice_mut(out), |a| a.to_bits() as u32),
            _ => map1(a, cast_slice_mut(out), T::to_bits),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Scalar;

    #[test]
    fn elements_convert_as_single_numbers_do() {
        let values = [Scalar::Int(0), Scalar::Int(1), Scalar::Int(-3), Scalar::Int(100), Scalar::Float(2.75)];
        for from in DType::ALL {
            for to in DType::ALL {
                for value in values {
                    let element = value.to_bytes(from);
                    let mut room = [[0_u64; 2]; 2];
                    let [a, out] = &mut room;
                    cast_slice_mut::<u64, u8>(a).copy_from_slice(&element);
                    let (a, out) = (cast_slice::<u64, u8>(a), cast_slice_mut::<u64, u8>(out));
                    cast(from, to, &a[..from.bytes()], &mut out[..to.bytes()]);
                    let expected = Scalar::from_bytes(from, &element).to_bytes(to);
                    assert_eq!(out[..to.bytes()], expected[..to.bytes()], "{value:?} from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn halves_round_once() {
        let mut out = [f16::ZERO; 2];
        cast(
            DType::Float64,
            DType::Float16,
            cast_slice(&[1.0 + 2.0_f64.powi(-11) + 1e-12, 65_520.0]),
            cast_slice_mut(&mut out),
        );
        assert_eq!(out, [f16::ONE + f16::EPSILON, f16::INFINITY]);
    }
}
