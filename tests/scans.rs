//! Running results at awkward rank counts and shapes, against plain serial code.

use girih_arrays::{Array, DType, Scalar};
use girih_tests::everywhere::{bits, check_close, noise, same_everywhere};

const MATRICES: [[usize; 2]; 6] = [[10_007, 13], [5, 3000], [2, 9000], [4097, 3], [20_011, 1], [3, 4]];

/// Running sums of an n×d matrix, in `f64`, along either axis.
fn serial([n, d]: [usize; 2], a: &[f64], axis: i64) -> Vec<f64> {
    let mut sums = a.to_vec();
    for i in 0..n {
        for j in 0..d {
            let before = match axis {
                0 if i > 0 => sums[(i - 1) * d + j],
                1 if j > 0 => sums[i * d + j - 1],
                _ => 0.0,
            };
            sums[i * d + j] += before;
        }
    }
    sums
}

#[test]
fn running_sums_follow_either_axis() {
    for shape @ [n, d] in MATRICES {
        let a = noise(n * d, 1);
        for axis in [0, 1] {
            let found =
                same_everywhere(|world| Ok(bits(&Array::from_slice(world, &[n, d], &a)?.cumsum(axis)?.to_vec()?)));
            let found: Vec<f64> = found.into_iter().map(f64::from_bits).collect();
            check_close(&found, &serial(shape, &a, axis), 1e-9);
        }
    }
}

#[test]
fn running_sums_of_integers_wrap_and_widen() {
    let n = 100_000_i64;
    let found = same_everywhere(|world| {
        let x = Array::arange(world, Scalar::Int(0), Scalar::Int(n), Scalar::Int(1), DType::Int64)?;
        let short = x.remainder(100_i64)?.astype(DType::Int8)?;
        let sums = short.cumsum(0)?;
        assert_eq!(sums.dtype(), DType::Int64);
        let huge = Array::full(world, &[20_000], Scalar::Int(i64::MAX), DType::Int64)?.cumsum(-1)?;
        Ok((sums.to_vec::<i64>()?, huge.to_vec::<i64>()?))
    });
    let running = |values: &mut dyn Iterator<Item = i64>| -> Vec<i64> {
        let mut sum = 0_i64;
        values
            .map(|value| {
                sum = sum.wrapping_add(value);
                sum
            })
            .collect()
    };
    assert_eq!(found.0, running(&mut (0..n).map(|i| i % 100)));
    assert_eq!(found.1, running(&mut (0..20_000).map(|_| i64::MAX)));
}

#[test]
fn running_extremes_and_products() {
    let a: Vec<f64> = noise(30_000, 2);
    let found = same_everywhere(|world| {
        let x = Array::from_slice(world, &[30_000], &a)?;
        let near_one = x.multiply(1e-6)?.add(1.0)?;
        Ok((x.cummax(0)?.to_vec::<f64>()?, x.cummin(0)?.to_vec::<f64>()?, bits(&near_one.cumprod(0)?.to_vec()?)))
    });
    let (mut most, mut least, mut product) = (f64::NEG_INFINITY, f64::INFINITY, 1.0);
    for (i, &value) in a.iter().enumerate() {
        (most, least, product) = (most.max(value), least.min(value), product * (value * 1e-6 + 1.0));
        assert_eq!((found.0[i], found.1[i]), (most, least), "{i}");
        assert!((f64::from_bits(found.2[i]) - product).abs() < 1e-11, "{i}");
    }
}

#[test]
fn nothing_has_running_sums_of_nothing() {
    same_everywhere(|world| {
        for shape in [[0, 5], [5, 0], [20_000, 0]] {
            let x = Array::zeros(world, &shape, DType::Float64)?;
            assert_eq!((x.cumsum(0)?.shape(), x.cumsum(1)?.shape()), (&shape[..], &shape[..]));
            x.cumsum(0)?.wait()?;
        }
        assert!(Array::zeros(world, &[3], DType::Float64)?.cumsum(1).is_err());
        Ok(())
    });
}
