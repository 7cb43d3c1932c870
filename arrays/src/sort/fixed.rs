//! Sums of floating-point numbers by bin, without an order: as fixed-point numbers of 128 bits.

use crate::array::Array;
use crate::distribution::Layout;
use crate::error::{Error, Result};
use girih_runtime::comm::Reduction;

/// Bits of a weight above its unit: the rest of 127 is room for 2⁴⁶ additions.
const WEIGHT_BITS: i32 = 80;
const LIMBS: usize = 4;

/// The sum of the weights of each number below `bins`. Collective if the rows are spread.
pub(super) fn sums(numbers: &Array, weights: &Array, bins: usize) -> Result<Vec<f64>> {
    let world = numbers.world();
    let spread = numbers.layout() == Layout::Rows;
    let (places, values) = (numbers.part()?, weights.part()?);
    // The greatest exponent decides the unit; what is not finite is counted apart.
    let mut exponent = i64::from(i32::MIN);
    for tile in values.tiles() {
        for value in tile.cell.read().of::<f64>().iter().filter(|value| value.is_finite() && **value != 0.0) {
            exponent = exponent.max(((value.to_bits() >> 52) & 0x7ff) as i64);
        }
    }
    let exponent = if spread { world.max(exponent)? } else { exponent };
    let shift = WEIGHT_BITS - (exponent.max(1) as i32 - 1022);
    let mut sums = vec![0_i128; bins];
    // For each bin: how many are NaN, infinite, and negative infinite; and numbers that no bin has.
    let mut odd = vec![0_i64; 3 * bins + 1];
    for (places, values) in places.tiles().iter().zip(values.tiles()) {
        let (places, values) = (places.cell.read(), values.cell.read());
        for (&place, &value) in places.of::<i64>().iter().zip(values.of::<f64>()) {
            let Some(bin) = usize::try_from(place).ok().filter(|&bin| bin < bins) else {
                odd[3 * bins] += 1;
                continue;
            };
            match value {
                _ if value.is_finite() => sums[bin] += fixed(value, shift),
                _ if value.is_nan() => odd[3 * bin] += 1,
                _ => odd[3 * bin + if value > 0.0 { 1 } else { 2 }] += 1,
            }
        }
    }
    if spread {
        let mut words: Vec<i64> = sums.iter().flat_map(|&sum| limbs(sum)).chain(odd).collect();
        world.all_reduce(Reduction::SumI64, &mut words)?;
        odd = words.split_off(LIMBS * bins);
        sums = words.chunks_exact(LIMBS).map(joined).collect();
    }
    if odd[3 * bins] > 0 {
        return Err(Error::Shape("an element to count is no bin's number".to_string()));
    }
    let value = |(bin, &sum): (usize, &i128)| match odd[3 * bin..3 * bin + 3] {
        [0, 0, 0] => scaled(sum as f64, -shift),
        [0, _, 0] => f64::INFINITY,
        [0, 0, _] => f64::NEG_INFINITY,
        _ => f64::NAN,
    };
    Ok(sums.iter().enumerate().map(value).collect())
}

/// The number in units of 2 to the power of minus `shift`, rounded towards zero.
fn fixed(value: f64, shift: i32) -> i128 {
    let bits = value.to_bits();
    let (power, fraction) = (((bits >> 52) & 0x7ff) as i32, bits & ((1 << 52) - 1));
    let whole = i128::from(if power == 0 { fraction } else { fraction | 1 << 52 });
    let up = power.max(1) - 1075 + shift;
    let size = match up {
        0.. => whole << up.min(120),
        -63..0 => whole >> -up,
        _ => 0,
    };
    if value < 0.0 { -size } else { size }
}

/// `value · 2^power`, in two steps where one power is out of range.
fn scaled(value: f64, power: i32) -> f64 {
    let half = power / 2;
    value * 2_f64.powi(half) * 2_f64.powi(power - half)
}

/// Limbs of 32 bits, the highest signed, whose sums over ranks do not overflow.
fn limbs(sum: i128) -> [i64; LIMBS] {
    let low = |limb: usize| ((sum >> (32 * limb)) & 0xffff_ffff) as i64;
    [low(0), low(1), low(2), (sum >> 96) as i64]
}

fn joined(limbs: &[i64]) -> i128 {
    limbs.iter().enumerate().map(|(limb, &word)| i128::from(word) << (32 * limb)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_point_numbers_come_back() {
        for value in [1.0, -0.75, 1e-3, 123_456.789] {
            let sum = fixed(value, 60);
            assert_eq!(joined(&limbs(sum)), sum);
            assert!((scaled(sum as f64, -60) - value).abs() <= 1e-17 + value.abs() * 1e-16);
        }
    }
}
