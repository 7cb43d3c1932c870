//! Arrays at awkward rank counts and shapes, against plain serial code.

use girih_arrays::{Array, Binary, DType, Element, Index, Layout, Result, Scalar, Truth, Unary};
use girih_tests::everywhere::{bits, check_close, noise, same_everywhere};

/// Shapes around the border between replicated and spread, with fewer leaves than ranks, and ragged last tiles.
const MATRICES: [[usize; 2]; 7] = [[10_007, 13], [5, 3000], [2, 9000], [1, 10_000], [700, 13], [9001, 1], [4097, 3]];

fn truths(x: &Array) -> Result<Vec<bool>> {
    Ok(x.to_vec::<Truth>()?.into_iter().map(bool::from).collect())
}

#[test]
fn arithmetic_broadcasts_rows_columns_and_numbers() {
    for [n, d] in MATRICES {
        let (a, row, column) = (noise(n * d, 1), noise(d, 2), noise(n, 3));
        let found = same_everywhere(|world| {
            let x = Array::from_slice(world, &[n, d], &a)?;
            let row = Array::from_slice(world, &[d], &row)?;
            let column = Array::from_slice(world, &[n, 1], &column)?;
            let result = x.subtract(&row)?.divide(&column)?.multiply(2.5)?.add(&x)?;
            Ok(bits(&result.to_vec()?))
        });
        let expected: Vec<f64> = (0..n * d).map(|i| (a[i] - row[i % d]) / column[i / d] * 2.5 + a[i]).collect();
        assert_eq!(found, bits(&expected), "{n}×{d}");
    }
}

#[test]
fn functions_comparisons_and_selection_agree_with_serial_code() {
    let (n, d) = (5003, 7);
    let a = noise(n * d, 4);
    let found = same_everywhere(|world| {
        let x = Array::from_slice(world, &[n, d], &a)?;
        let positive = x.greater(0.0)?;
        let result = positive.select(x.sqrt()?, x.negative()?.exp()?)?;
        Ok((result.to_vec::<f64>()?, truths(&positive)?))
    });
    let expected: Vec<f64> = a.iter().map(|&x| if x > 0.0 { x.sqrt() } else { (-x).exp() }).collect();
    check_close(&found.0, &expected, 4e-16);
    assert_eq!(found.1, a.iter().map(|&x| x > 0.0).collect::<Vec<_>>());
}

#[test]
fn a_small_result_of_a_spread_operand_is_whole_everywhere() {
    let a = noise(10_000, 5);
    let found = same_everywhere(|world| {
        let x = Array::from_slice(world, &[10_000], &a)?;
        let mask = x.less(0.25)?;
        assert_eq!((x.layout(), mask.layout()), (Layout::Rows, Layout::Replicated));
        Ok((mask.sum(None, false)?.to_scalar()?, truths(&mask)?))
    });
    let expected: Vec<bool> = a.iter().map(|&x| x < 0.25).collect();
    assert_eq!(found.0, Scalar::Int(expected.iter().map(|&x| i64::from(x)).sum()));
    assert_eq!(found.1, expected);
}

#[test]
fn integers_and_types_promote_as_in_numpy() {
    let found = same_everywhere(|world| {
        let x = Array::arange(world, Scalar::Int(-6000), Scalar::Int(6000), Scalar::Int(1), DType::Int64)?;
        let f = x.astype(DType::Float32)?;
        assert_eq!(x.add(&f)?.dtype(), DType::Float64);
        assert_eq!(f.multiply(2.0)?.dtype(), DType::Float32);
        assert_eq!(x.divide(2_i64)?.dtype(), DType::Float64);
        assert_eq!(x.unary(Unary::Sin)?.dtype(), DType::Float64);
        Ok((x.floor_divide(7_i64)?.to_vec::<i64>()?, x.remainder(-7_i64)?.to_vec::<i64>()?))
    });
    let range = -6000_i64..6000;
    assert_eq!(found.0, range.clone().map(|x| x.div_euclid(7)).collect::<Vec<_>>());
    assert_eq!(found.1, range.map(|x| -(-x).rem_euclid(7)).collect::<Vec<_>>());
}

/// Reduces a 3-d array serially; axes by number.
fn reduce(shape: [usize; 3], a: &[f64], axes: &[usize], start: f64, f: fn(f64, f64) -> f64) -> Vec<f64> {
    let kept: Vec<usize> = (0..3).map(|axis| if axes.contains(&axis) { 1 } else { shape[axis] }).collect();
    let mut out = vec![start; kept.iter().product()];
    for (i, &value) in a.iter().enumerate() {
        let index = [i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]];
        let at = (0..3).fold(0, |at, axis| at * kept[axis] + if kept[axis] == 1 { 0 } else { index[axis] });
        out[at] = f(out[at], value);
    }
    out
}

#[test]
fn reductions_over_any_axes_have_the_same_bits_everywhere() {
    let choices: [&[i64]; 7] = [&[0], &[1], &[2], &[0, 1], &[0, 2], &[1, 2], &[0, 1, 2]];
    for shape in [[6007, 4, 3], [40, 50, 60], [3, 40, 200], [2500, 1, 5], [9, 3, 4000], [2, 3, 5], [20_000, 1, 1]] {
        let a = noise(shape.iter().product(), 6);
        let found = same_everywhere(|world| {
            let x = Array::from_slice(world, &shape, &a)?;
            let mut results = Vec::new();
            for axes in choices {
                let sum = x.sum(Some(axes), false)?;
                let max = x.max(Some(axes), true)?;
                let mean = x.mean(Some(axes), false)?;
                results.push([bits(&sum.to_vec()?), bits(&max.to_vec()?), bits(&mean.to_vec()?)]);
            }
            Ok(results)
        });
        for (axes, [sum, max, mean]) in choices.iter().zip(found) {
            let axes: Vec<usize> = axes.iter().map(|&axis| axis as usize).collect();
            let value = |bits: Vec<u64>| bits.into_iter().map(f64::from_bits).collect::<Vec<_>>();
            let sums = reduce(shape, &a, &axes, 0.0, |a, b| a + b);
            check_close(&value(sum), &sums, 1e-11);
            assert_eq!(value(max), reduce(shape, &a, &axes, f64::NEG_INFINITY, f64::max), "{shape:?} {axes:?}");
            let count: usize = axes.iter().map(|&axis| shape[axis]).product();
            check_close(&value(mean), &sums.iter().map(|sum| sum / count as f64).collect::<Vec<_>>(), 1e-11);
        }
    }
}

#[test]
fn a_reduction_is_fused_with_what_it_reduces() {
    let (n, d) = (30_011, 3);
    let a = noise(n * d, 7);
    let found = same_everywhere(|world| {
        let x = Array::from_slice(world, &[n, d], &a)?;
        let z = x.subtract(x.mean(Some(&[0]), false)?)?.divide(x.std(Some(&[0]), 0.0, false)?)?;
        let results = [z.sum(Some(&[0]), false)?, z.var(Some(&[0]), 1.0, false)?, z.square()?.mean(Some(&[0]), false)?];
        results.iter().map(|result| Ok(bits(&result.to_vec()?))).collect::<Result<Vec<_>>>()
    });
    let value = |bits: &[u64]| bits.iter().map(|&bits| f64::from_bits(bits)).collect::<Vec<_>>();
    check_close(&value(&found[0]), &[0.0; 3], 1e-8);
    check_close(&value(&found[1]), &[n as f64 / (n - 1) as f64; 3], 1e-12);
    check_close(&value(&found[2]), &[1.0; 3], 1e-12);
}

#[test]
fn single_precision_is_summed_in_double() {
    let n = 1_000_003;
    let found = same_everywhere(|world| {
        let x = Array::full(world, &[n], Scalar::Float(0.1), DType::Float32)?;
        let mean = x.mean(None, false)?;
        assert_eq!(mean.dtype(), DType::Float32);
        mean.to_scalar()
    });
    assert_eq!(found, Scalar::Float(f64::from(0.1_f32)));
}

#[test]
fn small_truth_values_may_have_large_sums() {
    let (n, a) = (20_000, (0..20_000).map(|i| Truth::from(i % 3 == 0)).collect::<Vec<_>>());
    let found = same_everywhere(|world| {
        let (column, row) = (Array::from_slice(world, &[n, 1], &a)?, Array::from_slice(world, &[1, n], &a)?);
        let sums = [column.sum(Some(&[1]), false)?, row.sum(Some(&[0]), false)?, column.sum(Some(&[]), false)?];
        assert!(sums.iter().all(|sum| column.layout() == Layout::Replicated && sum.layout() == Layout::Rows));
        sums.iter().map(|sum| sum.add(1_i64)?.to_vec::<i64>()).collect::<Result<Vec<_>>>()
    });
    let expected: Vec<i64> = a.iter().map(|&x| i64::from(bool::from(x)) + 1).collect();
    assert_eq!(found, vec![expected; 3]);
}

#[test]
fn nothing_is_reduced_to_what_changes_nothing() {
    same_everywhere(|world| {
        let nothing = Array::zeros(world, &[20_000, 0], DType::Float64)?;
        assert_eq!(nothing.sum(Some(&[1]), false)?.to_vec::<f64>()?, vec![0.0; 20_000]);
        assert_eq!(truths(&nothing.all(Some(&[1]), false)?)?, vec![true; 20_000]);
        assert!(nothing.mean(Some(&[1]), false)?.to_vec::<f64>()?.iter().all(|mean| mean.is_nan()));
        assert_eq!(nothing.sum(Some(&[0]), true)?.shape(), [1, 0]);
        assert_eq!(nothing.max(Some(&[0]), false)?.shape(), [0]);
        assert!(nothing.max(Some(&[1]), false).is_err());
        assert!(Array::zeros(world, &[0, 0], DType::Float64)?.max(Some(&[0]), false).is_err());
        Ok(())
    });
}

#[test]
fn means_of_integers_do_not_wrap() {
    let found = same_everywhere(|world| {
        let x = Array::full(world, &[20_000], Scalar::Int(i64::MAX), DType::Int64)?;
        x.mean(None, false)?.to_scalar()
    });
    assert_eq!(found, Scalar::Float(i64::MAX as f64));
}

#[test]
fn extremes_propagate_nan_and_truth_is_counted() {
    let n = 40_000;
    let mut a = noise(n, 8);
    a[31_234] = f64::NAN;
    let found = same_everywhere(|world| {
        let x = Array::from_slice(world, &[n], &a)?;
        let nan = x.is_nan()?;
        Ok((
            x.max(None, false)?.to_vec::<f64>()?[0].is_nan(),
            nan.sum(None, false)?.to_scalar()?,
            nan.any(None, false)?.to_scalar()?,
            nan.all(None, false)?.to_scalar()?,
        ))
    });
    assert_eq!(found, (true, Scalar::Int(1), Scalar::Bool(true), Scalar::Bool(false)));
}

#[test]
fn the_size_of_tiles_leaves_no_trace() {
    let (n, d) = (20_011, 7);
    let a = noise(n * d, 16);
    let results = [64, 1 << 12, 1 << 20].map(|tile_bytes| {
        let config = girih_runtime::config::Config { threads: Some(2), bind: false, tile_bytes, ..Default::default() };
        let found = girih_runtime::local::run_with(3, 5, &config, |world| {
            let x = Array::from_slice(world, &[n, d], &a)?;
            let z = x.subtract(x.mean(Some(&[0]), false)?)?;
            let parts = [z.sum(None, false)?, z.std(Some(&[0]), 0.0, false)?, z.transpose()?.matmul(&z)?, z.exp()?];
            parts.iter().map(|part| Ok(bits(&part.to_vec()?))).collect::<Result<Vec<_>>>()
        });
        found.unwrap().pop().unwrap().unwrap()
    });
    assert!(results[0] == results[1] && results[1] == results[2]);
}

fn slice(start: Option<i64>, stop: Option<i64>, step: Option<i64>) -> Index {
    Index::Slice { start, stop, step }
}

#[test]
fn slices_take_what_numpy_takes() {
    let (n, d) = (4001_i64, 7_i64);
    let all = slice(None, None, None);
    let rows = |indices: &[Index]| -> Vec<i64> {
        let places: Vec<i64> = match indices[0] {
            Index::At(at) => vec![at.rem_euclid(n)],
            Index::Slice { start, step: Some(step), .. } if step < 0 => {
                (0..=start.unwrap_or(n - 1)).rev().step_by(step.unsigned_abs() as usize).collect()
            }
            Index::Slice { start, stop, step } => {
                let (start, stop) = (start.unwrap_or(0).rem_euclid(n), stop.unwrap_or(n));
                (start..stop).step_by(step.unwrap_or(1) as usize).collect()
            }
            _ => (0..n).collect(),
        };
        places
    };
    let choices: Vec<Vec<Index>> = vec![
        vec![slice(Some(1), None, None)],
        vec![slice(Some(7), Some(3990), Some(3))],
        vec![slice(None, None, Some(-1))],
        vec![slice(Some(3000), None, Some(-7))],
        vec![Index::At(-2)],
        vec![slice(Some(-1200), None, None)],
        vec![slice(Some(5), Some(5), None)],
    ];
    for indices in choices {
        let found = same_everywhere(|world| {
            let x = Array::arange(world, Scalar::Int(0), Scalar::Int(n * d), Scalar::Int(1), DType::Int64)?;
            x.reshape(&[n, d])?.slice(&indices)?.to_vec::<i64>()
        });
        let expected: Vec<i64> = rows(&indices).iter().flat_map(|row| (0..d).map(move |j| row * d + j)).collect();
        assert_eq!(found, expected, "{indices:?}");
    }
    let found = same_everywhere(|world| {
        let x = Array::arange(world, Scalar::Int(0), Scalar::Int(n * d), Scalar::Int(1), DType::Int64)?;
        let x = x.reshape(&[n, d])?;
        let column = x.slice(&[all, Index::At(-1)])?.to_vec::<i64>()?;
        let columns = x.slice(&[all, Index::NewAxis, slice(None, None, Some(-3))])?;
        assert_eq!(columns.shape(), [n as usize, 1, 3]);
        Ok((column, columns.to_vec::<i64>()?))
    });
    assert_eq!(found.0, (0..n).map(|i| i * d + d - 1).collect::<Vec<_>>());
    assert_eq!(found.1, (0..n).flat_map(|i| [6, 3, 0].map(|j| i * d + j)).collect::<Vec<_>>());
}

#[test]
fn transposes_and_reshapes_move_every_element_once() {
    let (n, d) = (3001_usize, 5_usize);
    let found = same_everywhere(|world| {
        let x = Array::arange(world, Scalar::Int(0), Scalar::Int((n * d) as i64), Scalar::Int(1), DType::Int64)?;
        let x = x.reshape(&[n as i64, -1])?;
        let turned = x.transpose()?;
        let cube = x.slice(&[slice(None, Some(3000), None)])?.reshape(&[30, 100, 5])?;
        let permuted = cube.permute(&[1, 2, 0])?;
        Ok((
            turned.to_vec::<i64>()?,
            turned.transpose()?.sum(Some(&[0]), false)?.to_vec::<i64>()?,
            permuted.to_vec::<i64>()?,
        ))
    });
    assert_eq!(found.0, (0..n * d).map(|i| (i % n * d + i / n) as i64).collect::<Vec<_>>());
    assert_eq!(found.1, (0..d).map(|j| (0..n).map(|i| (i * d + j) as i64).sum()).collect::<Vec<_>>());
    let at = |i: usize, j: usize, k: usize| ((k * 100 + i) * 5 + j) as i64;
    let expected: Vec<i64> =
        (0..100).flat_map(|i| (0..5).flat_map(move |j| (0..30).map(move |k| at(i, j, k)))).collect();
    assert_eq!(found.2, expected);
}

#[test]
fn what_is_computed_of_columns_stays_with_them() {
    for [n, d] in MATRICES {
        let (a, row) = (noise(n * d, 31), noise(d, 32));
        let (elements, sums) = same_everywhere(|world| {
            let x = Array::from_slice(world, &[n, d], &a)?.redistribute(Some(1))?;
            let y = x.multiply(&x)?.subtract(Array::from_slice(world, &[d], &row)?)?;
            let spread = y.layout() == Layout::Rows;
            assert_eq!(y.divided_axis(), spread.then_some(1));
            assert_eq!(y.redistribute(Some(-2))?.divided_axis(), spread.then_some(0));
            assert_eq!(y.transpose()?.divided_axis(), spread.then_some(0));
            assert_eq!(y.redistribute(None)?.divided_axis(), None);
            let whole = bits(&y.to_vec()?);
            assert_eq!(whole, bits(&y.redistribute(Some(0))?.to_vec()?));
            assert_eq!(whole, bits(&y.redistribute(None)?.to_vec()?));
            Ok((whole, y.sum(Some(&[0]), false)?.to_vec::<f64>()?))
        });
        let expected: Vec<f64> = (0..n * d).map(|i| a[i] * a[i] - row[i % d]).collect();
        assert_eq!(elements, bits(&expected), "{n}×{d}");
        let sum = |column: usize| (0..n).map(|line| expected[line * d + column]).sum();
        check_close(&sums, &(0..d).map(sum).collect::<Vec<f64>>(), 1e-12);
    }
}

#[test]
fn parts_of_ranks_become_one_array() {
    for (rows, d) in [(20_000_usize, 3_usize), (100, 3), (7, 2000)] {
        let a = noise(rows * d, 13);
        let found = same_everywhere(|world| {
            // Uneven on purpose: the first rank gives nothing where there are others.
            let (rank, size) = (world.rank().index(), world.size());
            let cut = |rank: usize| if rank == 0 { 0 } else { rows * rank * rank / (size * size) };
            let (first, last) = (cut(rank), cut(rank + 1));
            let part = &a[first * d..last * d];
            let x = Array::from_local(world, &[last - first, d], DType::Float64, bytes_of(part))?;
            assert_eq!(x.local_rows().len() * d * 8, x.local()?.part.bytes());
            Ok(bits(&x.to_vec()?))
        });
        assert_eq!(found, bits(&a));
    }
}

fn bytes_of<T: Element>(values: &[T]) -> &[u8] {
    bytemuck::cast_slice(values)
}

#[test]
fn parts_that_do_not_fit_are_refused_on_every_rank() {
    let text = |dtype_of: fn(usize) -> DType, columns_of: fn(usize) -> usize| {
        girih_runtime::local::run(3, 1, 1, |world| {
            let (dtype, columns) = (dtype_of(world.rank().index()), columns_of(world.rank().index()));
            let bytes = vec![0; 2 * columns * dtype.bytes()];
            Array::from_local(world, &[2, columns], dtype, &bytes).unwrap_err().to_string()
        })
        .unwrap()
    };
    for message in text(|rank| if rank == 2 { DType::Int64 } else { DType::Float64 }, |_| 3) {
        assert_eq!(message, "the part of rank 0 is float64, that of rank 2 is int64");
    }
    for message in text(|_| DType::Float64, |rank| 3 + rank % 2) {
        assert_eq!(message, "the part of rank 0 has shape (2, 3), that of rank 1 (2, 4)");
    }
}

#[test]
fn arrays_without_elements_and_single_numbers() {
    let found = same_everywhere(|world| {
        let empty = Array::zeros(world, &[0, 5], DType::Float64)?;
        assert_eq!(empty.add(1.0)?.to_vec::<f64>()?, []);
        assert_eq!(empty.sum(Some(&[0]), false)?.to_vec::<f64>()?, [0.0; 5]);
        assert_eq!(empty.sum(None, false)?.to_scalar()?, Scalar::Float(0.0));
        assert_eq!(Array::zeros(world, &[5, 0], DType::Float64)?.sum(Some(&[1]), false)?.to_vec::<f64>()?, [0.0; 5]);
        assert!(empty.mean(None, false)?.to_vec::<f64>()?[0].is_nan());
        let product =
            Array::zeros(world, &[3, 0], DType::Float64)?.matmul(&Array::zeros(world, &[0, 2], DType::Float64)?)?;
        assert_eq!(product.to_vec::<f64>()?, [0.0; 6]);
        let number = Array::full(world, &[], Scalar::Float(2.0), DType::Float32)?;
        assert_eq!(number.add(1_i64)?.sum(None, false)?.to_vec::<f32>()?, [3.0]);
        assert!(number.to_scalar()? == Scalar::Float(2.0));
        let error = empty.max(Some(&[0]), false).unwrap_err();
        Ok(error.to_string())
    });
    assert_eq!(found, "zero-size array to reduction operation maximum which has no identity");
}

#[test]
fn long_chains_and_repeated_use_are_computed_once() {
    let n = 20_000;
    let found = same_everywhere(|world| {
        let mut x = Array::arange(world, Scalar::Int(0), Scalar::Int(n), Scalar::Int(1), DType::Float64)?;
        for _ in 0..300 {
            x = x.multiply(0.5)?.add(1.0)?;
        }
        let mut y = x.clone();
        let mut sums = Vec::new();
        for _ in 0..20 {
            y = y.add(&x)?;
            sums.push(y.sum(None, false)?.to_scalar()?.to_f64().to_bits());
        }
        Ok(sums)
    });
    let last = f64::from_bits(found[19]);
    assert!((last - 2.0 * 21.0 * n as f64).abs() < 1e-3, "{last}");
}

#[test]
fn mistakes_are_refused_before_anything_runs() {
    let found = same_everywhere(|world| {
        let x = Array::zeros(world, &[20_000, 3], DType::Float64)?;
        let mask = x.greater(0.0)?;
        let texts = [
            x.add(&Array::zeros(world, &[4], DType::Float64)?),
            x.sum(Some(&[2]), false),
            x.slice(&[Index::At(20_000)]),
            mask.subtract(&mask),
            x.binary(Binary::And, 1_i64),
            x.reshape(&[7, -1]),
        ];
        Ok(texts.map(|result| result.unwrap_err().to_string()).to_vec())
    });
    assert_eq!(found[0], "operands could not be broadcast together with shapes (20000, 3) (4,)");
    assert_eq!(found[1], "axis 2 is out of bounds for array of dimension 2");
    assert_eq!(found[2], "index 20000 is out of bounds for axis 0 with size 20000");
    assert!(found[3].starts_with("numpy boolean subtract"));
    assert!(found[4].starts_with("ufunc 'bitwise_and' not supported"));
    assert_eq!(found[5], "cannot reshape array of size 60000 into shape (7,newaxis)");
}

#[test]
fn a_power_that_no_integer_holds_is_refused_on_every_rank() {
    let found = same_everywhere(|world| {
        let x = Array::arange(world, Scalar::Int(-10_000), Scalar::Int(10_000), Scalar::Int(1), DType::Int64)?;
        // Only the first rows hold negative exponents.
        let power = Array::full(world, &[20_000], Scalar::Int(2), DType::Int64)?.power(&x)?;
        let (all, sum) = (power.wait().unwrap_err(), power.sum(None, false)?.wait().unwrap_err());
        let small = x.slice(&[slice(None, Some(3), None)])?;
        small.wait()?;
        assert_eq!(small.power(&small).unwrap_err().to_string(), all.to_string());
        assert_eq!(x.sum(None, false)?.to_scalar()?, Scalar::Int(-10_000));
        Ok([all.to_string(), sum.to_string()])
    });
    assert_eq!(found, ["Integers to negative integer powers are not allowed."; 2]);
}

#[test]
fn the_place_of_the_greatest_is_its_first() {
    let (n, d) = (6001_usize, 5_usize);
    let mut a: Vec<f64> = noise(n * d, 17).iter().map(|value| (value * 100.0).round()).collect();
    a[17_003] = 60.0;
    a[21_000] = 60.0;
    let found = same_everywhere(|world| {
        let x = Array::from_slice(world, &[n, d], &a)?;
        let small = x.slice(&[slice(None, Some(3), None)])?;
        Ok([
            x.argmax(None, false)?.to_vec::<i64>()?,
            x.argmin(Some(0), false)?.to_vec::<i64>()?,
            x.argmax(Some(-1), true)?.to_vec::<i64>()?,
            small.argmin(Some(1), false)?.to_vec::<i64>()?,
        ])
    });
    let first = |mut places: Box<dyn Iterator<Item = usize>>, sign: f64| {
        let start = places.next().unwrap();
        places.fold(start, |best, at| if sign * a[at] > sign * a[best] { at } else { best })
    };
    assert_eq!(found[0], [17_003]);
    let columns: Vec<i64> =
        (0..d).map(|j| (first(Box::new((0..n).map(move |i| i * d + j)), -1.0) / d) as i64).collect();
    assert_eq!(found[1], columns);
    let rows =
        |sign| -> Vec<i64> { (0..n).map(|i| (first(Box::new(i * d..(i + 1) * d), sign) - i * d) as i64).collect() };
    assert_eq!(found[2], rows(1.0));
    assert_eq!(found[3], rows(-1.0)[..3]);
}

#[test]
fn lines_and_diagonals() {
    let found = same_everywhere(|world| {
        let line = Array::linspace(world, 0.0, 1.0, 20_001, true)?.to_vec::<f64>()?;
        let eye = Array::eye(world, 200, 150, 1, DType::Float64)?;
        Ok((bits(&line), eye.sum(None, false)?.to_scalar()?, eye.slice(&[Index::At(3), Index::At(4)])?.to_scalar()?))
    });
    assert_eq!(f64::from_bits(found.0[20_000]), 1.0);
    assert!((f64::from_bits(found.0[10_000]) - 0.5).abs() < 1e-15);
    assert_eq!((found.1, found.2), (Scalar::Float(149.0), Scalar::Float(1.0)));
}
