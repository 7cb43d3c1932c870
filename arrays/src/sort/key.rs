//! Elements as unsigned integers in the same order, so that one algorithm sorts all types.
//!
//! The order is NumPy's: NaN behind everything else, and of complex numbers first those without NaN, by real and then
//! imaginary part, then those whose imaginary part is NaN, then those whose real part is, then those of both.
//! Never here: sorting.

use crate::dtype::DType;
use bytemuck::{Pod, pod_read_unaligned};
use std::fmt::Debug;

/// An unsigned integer that stands for an element.
pub(crate) trait Key: Pod + Ord + Debug + Send + Sync {
    const BITS: u32;
    fn wide(self) -> u128;
    fn narrow(wide: u128) -> Self;
    /// One of its bytes, the lowest first.
    fn digit(self, byte: usize) -> usize;
    /// How far above `low` it is, without the lowest `shift` bits; its own lowest bits if that is too far.
    fn above(self, low: Self, shift: u32) -> usize;
}

macro_rules! keys {
    ($($key:ty),*) => {$(
        impl Key for $key {
            const BITS: u32 = <$key>::BITS;

            #[inline(always)]
            fn wide(self) -> u128 {
                self as u128
            }

            #[inline(always)]
            fn narrow(wide: u128) -> $key {
                wide as $key
            }

            #[inline(always)]
            fn digit(self, byte: usize) -> usize {
                usize::from((self >> (8 * byte)) as u8)
            }

            #[inline(always)]
            fn above(self, low: $key, shift: u32) -> usize {
                (self.wrapping_sub(low) >> shift) as usize
            }
        }
    )*};
}

keys!(u8, u16, u32, u64, u128);

/// How a type's bits become a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Unsigned,
    Signed,
    /// Bits of the exponent's and fraction's field of infinity.
    Float {
        infinity: u64,
    },
    /// As `Float`, of each part.
    Complex {
        infinity: u64,
    },
}

impl Order {
    pub(crate) fn of(dtype: DType) -> Order {
        let infinity = |bytes: usize| match bytes {
            2 => 0x7c00,
            4 => 0x7f80_0000,
            _ => 0x7ff0_0000_0000_0000,
        };
        let name = dtype.name();
        match name {
            _ if name.starts_with("int") => Order::Signed,
            _ if name.starts_with("float") => Order::Float { infinity: infinity(dtype.bytes()) },
            _ if name.starts_with("complex") => Order::Complex { infinity: infinity(dtype.bytes() / 2) },
            _ => Order::Unsigned,
        }
    }

    /// The key of an element's bits; if `merged`, the two zeros have one.
    #[inline(always)]
    pub(crate) fn key<K: Key>(self, bits: K, merged: bool) -> K {
        match self {
            Order::Unsigned => bits,
            Order::Signed => K::narrow(bits.wide() ^ (1 << (K::BITS - 1))),
            Order::Float { infinity } => K::narrow(real_key(bits.wide() as u64, K::BITS, infinity, merged).into()),
            Order::Complex { infinity } => {
                let half = K::BITS / 2;
                let mask = u64::MAX >> (64 - half);
                // Little-endian: the real part comes first in memory, and so lies in the low half.
                let (re, im) = (bits.wide() as u64 & mask, (bits.wide() >> half) as u64 & mask);
                let (re, im) = (real_key(re, half, infinity, merged), real_key(im, half, infinity, merged));
                // Keys above that of infinity are free: they tell which parts are NaN.
                let above = infinity | (1 << (half - 1));
                let (high, low) = match (re == mask, im == mask) {
                    (false, false) => (re, im),
                    (false, true) => (above + 1, re),
                    (true, false) => (above + 2, im),
                    (true, true) => (above + 3, 0),
                };
                K::narrow(u128::from(high) << half | u128::from(low))
            }
        }
    }

    /// Appends the keys of elements that follow one another, none merged.
    pub(crate) fn append<K: Key>(self, elements: &[u8], keys: &mut Vec<K>) {
        let elements = elements.chunks_exact(size_of::<K>()).map(pod_read_unaligned::<K>);
        match self {
            // By itself, so that the loop is about nothing else.
            Order::Float { infinity } => keys
                .extend(elements.map(|bits| K::narrow(real_key(bits.wide() as u64, K::BITS, infinity, false).into()))),
            order => keys.extend(elements.map(|bits| order.key(bits, false))),
        }
    }

    /// The bits of the element of a key that was not merged; every NaN is the quiet one.
    #[inline(always)]
    pub(crate) fn bits<K: Key>(self, key: K) -> K {
        match self {
            Order::Unsigned => key,
            Order::Signed => K::narrow(key.wide() ^ (1 << (K::BITS - 1))),
            Order::Float { infinity } => K::narrow(real_bits(key.wide() as u64, K::BITS, infinity).into()),
            Order::Complex { infinity } => {
                let half = K::BITS / 2;
                let mask = u64::MAX >> (64 - half);
                let (high, low) = ((key.wide() >> half) as u64 & mask, key.wide() as u64 & mask);
                let above = infinity | (1 << (half - 1));
                let (re, im) = match high.checked_sub(above) {
                    Some(1) => (low, mask),
                    Some(2) => (mask, low),
                    Some(3) => (mask, mask),
                    _ => (high, low),
                };
                let (re, im) = (real_bits(re, half, infinity), real_bits(im, half, infinity));
                K::narrow(u128::from(im) << half | u128::from(re))
            }
        }
    }
}

#[inline(always)]
fn real_key(bits: u64, width: u32, infinity: u64, merged: bool) -> u64 {
    let (sign, mask) = (1 << (width - 1), u64::MAX >> (64 - width));
    let size = bits & !sign;
    // All ones of a negative number: signs come in no order, so a branch on them would be guessed wrong half the time.
    let negative = ((bits << (64 - width)) as i64 >> 63) as u64;
    if size > infinity {
        mask
    } else if merged && size == 0 {
        sign
    } else {
        (bits ^ (negative | sign)) & mask
    }
}

#[inline(always)]
fn real_bits(key: u64, width: u32, infinity: u64) -> u64 {
    let (sign, mask) = (1 << (width - 1), u64::MAX >> (64 - width));
    if key == mask {
        // The highest bit of the fraction makes a NaN a quiet one.
        infinity | (infinity & infinity.wrapping_neg()) >> 1
    } else {
        let positive = ((key << (64 - width)) as i64 >> 63) as u64;
        (key ^ (!positive | sign)) & mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_keep_their_order_and_come_back() {
        let order = Order::of(DType::Float64);
        let values = [f64::NEG_INFINITY, -2.5, -1e-310, -0.0, 0.0, 1e-310, 3.0, f64::MAX, f64::INFINITY];
        let keys: Vec<u64> = values.iter().map(|value| order.key(value.to_bits(), false)).collect();
        assert!(keys.windows(2).all(|two| two[0] < two[1]));
        assert!(values.iter().zip(&keys).all(|(value, &key)| order.bits(key) == value.to_bits()));
        assert_eq!(order.key((-f64::NAN).to_bits(), false), u64::MAX);
        assert!(f64::from_bits(order.bits(u64::MAX)).is_nan());
        assert_eq!(order.key((-0.0_f64).to_bits(), true), order.key(0.0_f64.to_bits(), true));
    }

    #[test]
    fn complex_numbers_with_nan_come_behind_in_numpys_order() {
        let order = Order::Complex { infinity: 0x7ff0_0000_0000_0000 };
        let nan = f64::NAN;
        let values = [
            (-1.0, 5.0),
            (1.0, -2.0),
            (1.0, 2.0),
            (f64::INFINITY, 0.0),
            (0.0, nan),
            (7.0, nan),
            (nan, 1.0),
            (nan, nan),
        ];
        let bits = |(re, im): (f64, f64)| u128::from(im.to_bits()) << 64 | u128::from(re.to_bits());
        let keys: Vec<u128> = values.iter().map(|&value| order.key(bits(value), false)).collect();
        assert!(keys.windows(2).all(|two| two[0] < two[1]));
        for (&(re, im), &key) in values.iter().zip(&keys) {
            let back = order.bits(key);
            let (one, two) = (f64::from_bits(back as u64), f64::from_bits((back >> 64) as u64));
            assert!((one == re || re.is_nan() && one.is_nan()) && (two == im || im.is_nan() && two.is_nan()));
        }
    }
}
