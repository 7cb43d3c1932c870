//! Matrix products at awkward rank counts, against three plain loops.

use girih_arrays::{Array, DType, Index, Scalar};
use girih_runtime::world::World;
use girih_tests::everywhere::{bits, check_close, noise, same_everywhere};

fn multiply(a: &[f64], b: &[f64], [m, k, n]: [usize; 3]) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for p in 0..k {
            for j in 0..n {
                c[i * n + j] += a[i * k + p] * b[p * n + j];
            }
        }
    }
    c
}

#[test]
fn rows_times_a_matrix() {
    for [m, k, n] in [[5003, 17, 9], [10_007, 3, 1], [3, 4000, 2], [300, 300, 300], [5, 3000, 3000], [9000, 1, 2]] {
        let (a, b) = (noise(m * k, 9), noise(k * n, 10));
        let found = same_everywhere(|world| {
            let a = Array::from_slice(world, &[m, k], &a)?;
            let b = Array::from_slice(world, &[k, n], &b)?;
            Ok(bits(&a.matmul(&b)?.to_vec()?))
        });
        let found: Vec<f64> = found.into_iter().map(f64::from_bits).collect();
        check_close(&found, &multiply(&a, &b, [m, k, n]), 1e-11);
    }
}

#[test]
fn products_across_rows_move_results_only() {
    let (n, d, e) = (20_011, 5, 3);
    let (x, y) = (noise(n * d, 11), noise(n * e, 12));
    let program = |world: &World| {
        let x = Array::from_slice(world, &[n, d], &x)?;
        let y = Array::from_slice(world, &[n, e], &y)?;
        world.traffic(true);
        let product = x.transpose()?.matmul(&y)?;
        product.wait()?;
        let bytes: u64 = world.traffic(true).values().map(|traffic| traffic.bytes).sum();
        let vector = y.slice(&[Index::Ellipsis, Index::At(0)])?;
        let by_vector = [x.transpose()?.matmul(&vector)?, vector.matmul(&x)?];
        assert_eq!(by_vector[0].shape(), by_vector[1].shape());
        assert!(bytes < 60_000, "{bytes} bytes for a product of {d}×{e}");
        Ok([bits(&product.to_vec()?), bits(&by_vector[0].to_vec()?), bits(&by_vector[1].to_vec()?)])
    };
    let [product, first, second] = same_everywhere(program);
    let transposed: Vec<f64> = (0..d * n).map(|i| x[i % n * d + i / n]).collect();
    let value = |bits: &[u64]| bits.iter().map(|&bits| f64::from_bits(bits)).collect::<Vec<_>>();
    let expected = multiply(&transposed, &y, [d, n, e]);
    check_close(&value(&product), &expected, 1e-11);
    let column: Vec<f64> = expected.iter().step_by(e).copied().collect();
    check_close(&value(&first), &column, 1e-11);
    check_close(&value(&second), &column, 1e-11);
}

#[test]
fn products_across_rows_with_large_results() {
    let (n, d, e) = (1501, 130, 140);
    let (x, y) = (noise(n * d, 14), noise(n * e, 15));
    let found = same_everywhere(|world| {
        let x = Array::from_slice(world, &[n, d], &x)?;
        let y = Array::from_slice(world, &[n, e], &y)?;
        Ok(bits(&x.transpose()?.matmul(&y)?.to_vec()?))
    });
    let transposed: Vec<f64> = (0..d * n).map(|i| x[i % n * d + i / n]).collect();
    let found: Vec<f64> = found.into_iter().map(f64::from_bits).collect();
    check_close(&found, &multiply(&transposed, &y, [d, n, e]), 1e-11);
}

#[test]
fn vectors_and_types_of_products() {
    let n = 12_345_i64;
    let found = same_everywhere(|world| {
        let x = Array::arange(world, Scalar::Int(0), Scalar::Int(n), Scalar::Int(1), DType::Int64)?;
        let dot = x.matmul(&x)?.to_scalar()?;
        let wrong = x.matmul(&x.slice(&[Index::Slice { start: Some(1), stop: None, step: None }])?);
        Ok((dot, wrong.unwrap_err().to_string()))
    });
    assert_eq!(found.0, Scalar::Int((0..n).map(|x| x * x).sum()));
    assert!(found.1.contains("mismatch in its core dimension 0"), "{}", found.1);
}
