//! Exponentials, logarithms and angles in straight lines of arithmetic, which compile to vector instructions.
//!
//! Every operation is one of IEEE 754, fused products included, so the bits are the same on every machine; one
//! without fused products computes them slowly. No function looks at more than its one number.
//! Error: at most 2 units in the last place of `f64`; `f32` is computed in `f64` and rounded once.
//! Source: reduction by ln 2 and π/2 in parts (Cody and Waite 1980), then series whose next term is below 2⁻⁵⁶.

const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// 1.5·2⁵²: adding it rounds to a whole number, which is then in the last bits.
const ROUNDING: f64 = 6_755_399_441_055_744.0;
/// π/2 in three parts of 53 bits.
const HALF_PI: [f64; 3] = [std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17, -1.497_384_904_859_169_8e-33];
/// Beyond this the parts of π/2 are too few; the mathematics library's own reduction takes over.
pub(super) const ANGLE_MAX: f64 = 100_000.0;

/// 1/2!, 1/3!, ...: as many as |r| ≤ ln 2 / 2 needs.
const EXPONENTIAL: [f64; 12] = [
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
    1.0 / 479_001_600.0,
    1.0 / 6_227_020_800.0,
];
/// 2/3, 2/5, ...: as many as |s| ≤ (√2 - 1)/(√2 + 1) needs.
const LOGARITHM: [f64; 10] = twice_inverse_odds(3);
/// 2/3 in two parts, and 2/5, 2/7, ...: the same for a logarithm in two parts.
const TWO_THIRDS: [f64; 2] = [2.0 / 3.0, 3.700_743_415_417_188e-17];
const LOGARITHM_TAIL: [f64; 11] = twice_inverse_odds(5);
/// -1/3!, 1/5!, ... for |r| ≤ π/4.
const SINE: [f64; 8] = [
    -1.0 / 6.0,
    1.0 / 120.0,
    -1.0 / 5040.0,
    1.0 / 362_880.0,
    -1.0 / 39_916_800.0,
    1.0 / 6_227_020_800.0,
    -1.0 / 1_307_674_368_000.0,
    1.0 / 355_687_428_096_000.0,
];
/// 1/4!, -1/6!, ... for |r| ≤ π/4.
const COSINE: [f64; 7] = [
    1.0 / 24.0,
    -1.0 / 720.0,
    1.0 / 40_320.0,
    -1.0 / 3_628_800.0,
    1.0 / 479_001_600.0,
    -1.0 / 87_178_291_200.0,
    1.0 / 20_922_789_888_000.0,
];

/// 2/first, 2/(first + 2), ...
const fn twice_inverse_odds<const N: usize>(first: usize) -> [f64; N] {
    let mut inverses = [0.0; N];
    let mut at = 0;
    while at < N {
        inverses[at] = 2.0 / (first + 2 * at) as f64;
        at += 1;
    }
    inverses
}

#[inline(always)]
fn horner<const N: usize>(coefficients: &[f64; N], x: f64) -> f64 {
    let mut sum = coefficients[N - 1];
    let mut at = N - 1;
    while at > 0 {
        at -= 1;
        sum = sum.mul_add(x, coefficients[at]);
    }
    sum
}

/// 2ⁿ for a whole n between -1022 and 1023, from the bits of n + [`ROUNDING`].
#[inline(always)]
fn power_of_two(shifted: f64) -> f64 {
    f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52)
}

/// `eʳ - 1` for the remainder r of x by ln 2, and the quotient as n + [`ROUNDING`].
#[inline(always)]
fn reduced_exponential(x: f64) -> (f64, f64) {
    let shifted = x.mul_add(std::f64::consts::LOG2_E, ROUNDING);
    let n = shifted - ROUNDING;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    ((r * r).mul_add(horner(&EXPONENTIAL, r), r), shifted)
}

/// The exponential.
#[inline(always)]
pub(super) fn exp(x: f64) -> f64 {
    // Beyond these all results are infinite or zero; NaN passes through both.
    let bounded = if x > 710.0 { 710.0 } else { x };
    let bounded = if bounded < -746.0 { -746.0 } else { bounded };
    let (above, shifted) = reduced_exponential(bounded);
    // In two factors, for results beyond the range of one; subnormal ones are rounded by the second.
    let half = (shifted - ROUNDING).mul_add(0.5, ROUNDING);
    let rest = (shifted - ROUNDING) - (half - ROUNDING) + ROUNDING;
    (above + 1.0) * power_of_two(half) * power_of_two(rest)
}

/// The exponential minus 1, with the digits of small numbers.
#[inline(always)]
pub(super) fn exp_m1(x: f64) -> f64 {
    let bounded = if x > 710.0 { 710.0 } else { x };
    let bounded = if bounded < -60.0 { -60.0 } else { bounded };
    let (above, shifted) = reduced_exponential(bounded);
    // One factor is twice too large at the upper end, so it is given in two.
    let (half, two) = (power_of_two(shifted - 1.0), 2.0);
    let result = half.mul_add(above, half - 0.5) * two;
    if x == 0.0 { x } else { result }
}

/// The hyperbolic tangent.
#[inline(always)]
pub(super) fn tanh(x: f64) -> f64 {
    let size = x.abs();
    let bounded = if size > 22.0 { 22.0 } else { size };
    let above = exp_m1(bounded + bounded);
    let divisor = above + 2.0;
    let quotient = above / divisor;
    // What the divisor and the quotient were rounded by, so that the error is that of the exponential alone.
    let missing = (2.0 - divisor) + above;
    let rest = (-quotient).mul_add(missing, (-quotient).mul_add(divisor, above));
    (quotient + rest / divisor).copysign(x)
}

/// The natural logarithm.
#[inline(always)]
pub(super) fn ln(x: f64) -> f64 {
    let subnormal = x < f64::MIN_POSITIVE;
    let normal = if subnormal { x * 18_014_398_509_481_984.0 } else { x };
    let bits = normal.to_bits();
    // So that the mantissa lies between √½ and √2.
    let above = bits.wrapping_sub(0x3fe6_a09e_667f_3bcd);
    let exponent = ((above as i64) >> 52) as i32;
    let mantissa = f64::from_bits(bits.wrapping_sub(((exponent as i64) << 52) as u64));
    let n = f64::from(exponent) - if subnormal { 54.0 } else { 0.0 };
    let f = mantissa - 1.0;
    let s = f / (f + 2.0);
    let z = s * s;
    let half_square = 0.5 * f * f;
    let series = z * horner(&LOGARITHM, z);
    let low = s.mul_add(half_square + series, n * LN2_LOW);
    let result = n.mul_add(LN2_HIGH, f - (half_square - low));
    let result = if x == f64::INFINITY { x } else { result };
    let result = if x == 0.0 { f64::NEG_INFINITY } else { result };
    if x < 0.0 || x.is_nan() { f64::NAN } else { result }
}

/// Whether [`pow`] is for these numbers: finite ones, and a base that is neither zero nor subnormal.
#[inline(always)]
pub(super) fn pow_takes(x: f64, y: f64) -> bool {
    (x.abs() >= f64::MIN_POSITIVE) & (x.abs() < f64::INFINITY) & (y.abs() < f64::INFINITY)
}

/// The logarithm of a normal, positive, finite number as a sum of two, to 2⁻⁶⁴ of its size.
#[inline(always)]
fn ln_in_two(x: f64) -> (f64, f64) {
    let bits = x.to_bits();
    let above = bits.wrapping_sub(0x3fe6_a09e_667f_3bcd);
    let exponent = ((above as i64) >> 52) as i32;
    let mantissa = f64::from_bits(bits.wrapping_sub(((exponent as i64) << 52) as u64));
    let n = f64::from(exponent);
    let f = mantissa - 1.0;
    // s = f / (2 + f), its square z, and the sum c of the series behind s + s, all but the tail in two parts.
    let divisor = f + 2.0;
    let divisor_low = f - (divisor - 2.0);
    let s = f / divisor;
    let s_low = (-s).mul_add(divisor_low, (-s).mul_add(divisor, f)) / divisor;
    let z = s * s;
    let z_low = (s + s).mul_add(s_low, s.mul_add(s, -z));
    let tail = z * horner(&LOGARITHM_TAIL, z);
    let c = TWO_THIRDS[0] + tail;
    let c_low = (TWO_THIRDS[0] - c) + tail + TWO_THIRDS[1];
    let cube = s * z;
    let cube_low = s.mul_add(z_low, s_low.mul_add(z, s.mul_add(z, -cube)));
    let rest = cube * c;
    let rest_low = cube.mul_add(c_low, cube_low.mul_add(c, cube.mul_add(c, -rest)));
    let whole = n * LN2_HIGH;
    let first = whole + (s + s);
    let first_low = (whole - first) + (s + s);
    let second = first + rest;
    let second_low = (first - second) + rest;
    let low = n.mul_add(LN2_LOW, (s_low + s_low) + rest_low) + (first_low + second_low);
    let sum = second + low;
    (sum, (second - sum) + low)
}

/// A power, of numbers that [`pow_takes`] allows; a negative number has only powers that are whole.
#[inline(always)]
pub(super) fn pow(x: f64, y: f64) -> f64 {
    let (log, log_low) = ln_in_two(x.abs());
    let product = y * log;
    let product_low = y.mul_add(log_low, y.mul_add(log, -product));
    // Beyond these all results are infinite or zero, and the low part may be no number.
    let inside = product.abs() < 746.0;
    let bounded = if product > 710.0 { 710.0 } else { product };
    let bounded = if bounded < -746.0 { -746.0 } else { bounded };
    let (above, shifted) = reduced_exponential(bounded);
    let above = above + if inside { product_low.mul_add(above, product_low) } else { 0.0 };
    let half = (shifted - ROUNDING).mul_add(0.5, ROUNDING);
    let rest = (shifted - ROUNDING) - (half - ROUNDING) + ROUNDING;
    let size = (above + 1.0) * power_of_two(half) * power_of_two(rest);
    // All numbers from 2⁵² on are whole, and from 2⁵³ on even.
    let y_size = y.abs();
    let whole = (y_size >= 4_503_599_627_370_496.0) | (y_size.trunc() == y_size);
    let halved = 0.5 * y_size;
    let odd = whole & (halved.trunc() != halved) & (y_size < 9_007_199_254_740_992.0);
    let signed = if odd { size.copysign(x) } else { size };
    if (x < 0.0) & !whole { f64::NAN } else { signed }
}

/// The remainder of an angle by π/2, and the quotient's last bits.
#[inline(always)]
fn reduced_angle(x: f64) -> (f64, u64) {
    let shifted = x.mul_add(std::f64::consts::FRAC_2_PI, ROUNDING);
    let n = shifted - ROUNDING;
    let r = n.mul_add(-HALF_PI[0], x);
    let r = n.mul_add(-HALF_PI[1], r);
    (n.mul_add(-HALF_PI[2], r), shifted.to_bits())
}

/// The sine in an even, the cosine in an odd quadrant, with the sign that the quadrant gives.
#[inline(always)]
fn in_quadrant(r: f64, quadrant: u64) -> f64 {
    let z = r * r;
    let sine = (z * r).mul_add(horner(&SINE, z), r);
    let half = 0.5 * z;
    let near = 1.0 - half;
    let cosine = near + (z * z).mul_add(horner(&COSINE, z), (1.0 - near) - half);
    let chosen = if quadrant & 1 == 0 { sine } else { cosine };
    f64::from_bits(chosen.to_bits() ^ ((quadrant & 2) << 62))
}

/// The sine of an angle up to [`ANGLE_MAX`].
#[inline(always)]
pub(super) fn sin(x: f64) -> f64 {
    let (r, quadrant) = reduced_angle(x);
    if x == 0.0 { x } else { in_quadrant(r, quadrant) }
}

/// The cosine of an angle up to [`ANGLE_MAX`].
#[inline(always)]
pub(super) fn cos(x: f64) -> f64 {
    let (r, quadrant) = reduced_angle(x);
    in_quadrant(r, quadrant.wrapping_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with the mathematics library, which errs by less than a unit itself; its hyperbolic tangent by two.
    #[track_caller]
    fn check(name: &str, ours: fn(f64) -> f64, theirs: fn(f64) -> f64, from: f64, to: f64) {
        let count = 200_000;
        let units = if name == "tanh" { 4.0 } else { 2.0 };
        for i in 0..=count {
            let x = from + (to - from) * (f64::from(i) / f64::from(count));
            let (found, expected) = (ours(x), theirs(x));
            let unit = (expected.abs().next_up() - expected.abs()).max(f64::from_bits(1));
            assert!((found - expected).abs() <= units * unit, "{name}({x:e}): {found:e}, not {expected:e}");
        }
    }

    #[test]
    fn results_are_within_two_units_of_the_last_place() {
        check("exp", exp, f64::exp, -745.0, 709.7);
        check("exp", exp, f64::exp, -1.0, 1.0);
        check("exp_m1", exp_m1, f64::exp_m1, -40.0, 700.0);
        check("exp_m1", exp_m1, f64::exp_m1, -1e-3, 1e-3);
        check("ln", ln, f64::ln, 1e-300, 1e-290);
        check("ln", ln, f64::ln, 0.5, 2.0);
        check("ln", ln, f64::ln, 1.0, 1e12);
        check("sin", sin, f64::sin, -10.0, 10.0);
        check("sin", sin, f64::sin, -ANGLE_MAX, ANGLE_MAX);
        check("cos", cos, f64::cos, -10.0, 10.0);
        check("cos", cos, f64::cos, -ANGLE_MAX, ANGLE_MAX);
        check("tanh", tanh, f64::tanh, -30.0, 30.0);
        check("tanh", tanh, f64::tanh, -1e-2, 1e-2);
    }

    #[test]
    fn powers_are_within_two_units_of_the_last_place() {
        let exponents = [1.5_f64, 3.0, -2.5, 0.1, 7.0, -1.0, 100.25, -300.5, 1e-3, 1.0, 0.0, 4097.0];
        for i in 0..40_000_u32 {
            let t = f64::from(i) / 40_000.0;
            for x in [t + 0.5, 1.0 + (t - 0.5) * 1e-4, 1e3 * t + 1e-3, (t * 1400.0 - 700.0).exp()] {
                for y in exponents {
                    for (x, y) in [(x, y), (-x, y.round())] {
                        let (found, expected) = (pow(x, y), x.powf(y));
                        let unit = (expected.abs().next_up() - expected.abs()).max(f64::from_bits(1));
                        let same = found == expected || (found - expected).abs() <= 2.0 * unit;
                        assert!(same, "{x:e} to the power {y}: {found:e}, not {expected:e}");
                    }
                }
            }
        }
        assert!(pow(-2.0, 0.5).is_nan());
        assert_eq!((pow(-2.0, 1e300), pow(-0.5, 1e17)), (f64::INFINITY, 0.0));
        assert_eq!((pow(-1.0, 9_007_199_254_740_991.0), pow(-1.0, 9_007_199_254_740_992.0)), (-1.0, 1.0));
        assert!(!pow_takes(0.0, 1.0) && !pow_takes(f64::NAN, 1.0) && !pow_takes(2.0, f64::INFINITY));
    }

    #[test]
    fn multiples_of_a_half_turn_keep_their_digits() {
        for n in 1..30_000 {
            let x = f64::from(n) * std::f64::consts::FRAC_PI_2;
            for (name, found, expected) in [("sin", sin(x), x.sin()), ("cos", cos(x), x.cos())] {
                let unit = expected.abs().next_up() - expected.abs();
                assert!((found - expected).abs() <= 2.0 * unit, "{name}({x:e}): {found:e}, not {expected:e}");
            }
        }
    }

    #[test]
    fn special_values_are_those_of_the_library() {
        let infinity = f64::INFINITY;
        assert_eq!((exp(infinity), exp(-infinity), exp(0.0), exp(-745.2)), (infinity, 0.0, 1.0, 0.0));
        assert_eq!((exp_m1(infinity), exp_m1(-infinity)), (infinity, -1.0));
        assert_eq!((ln(0.0), ln(1.0), ln(infinity), ln(5e-324)), (-infinity, 0.0, infinity, 5e-324_f64.ln()));
        assert_eq!((tanh(infinity), tanh(-infinity)), (1.0, -1.0));
        for x in [0.0_f64, -0.0] {
            let found = [exp_m1(x), tanh(x), sin(x)].map(f64::to_bits);
            assert_eq!(found, [x.to_bits(); 3]);
        }
        for f in [exp, exp_m1, ln, sin, cos, tanh] {
            assert!(f(f64::NAN).is_nan());
        }
        assert!(ln(-1.0).is_nan() && sin(infinity).is_nan() && cos(infinity).is_nan());
    }
}
