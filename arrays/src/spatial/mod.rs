//! Distances between rows of matrices, with SciPy's metrics.
//!
//! Rows of the result stay with the rows of the first matrix; the second comes whole to every rank. Terms of one
//! distance are added in the order of columns, so the bits do not depend on ranks, threads or tiles.

mod metric;

use crate::array::Array;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::kernel::custom::{Kernel, Rows};
use bytemuck::{cast_slice, cast_slice_mut};
use metric::Pairs;

pub use metric::Metric;

/// The distance of each row of `x` to each row of `y`; `weights` has one for each column.
///
/// Shapes: `x` m×d, `y` n×d, of `Float64`; result m×n. Cost: m·n·d terms; `y` travels to every rank.
///
/// # Errors
/// Replicated: `Error::Shape` or `Error::Type` if the operands do not go together.
pub fn cross_distances(metric: Metric, x: &Array, y: &Array, weights: &[f64]) -> Result<Array> {
    let (&[m, d], &[n, other]) = (x.shape(), y.shape()) else {
        return Err(Error::Shape("distances are between the rows of two matrices".to_string()));
    };
    check(d, other, weights, &[x, y])?;
    let name = format!("{metric:?} {d}");
    let weights = weights.to_vec();
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        let (x, y): (&[f64], &[f64]) = (cast_slice(rows.aligned[0]), cast_slice(rows.whole[0]));
        let out: &mut [f64] = cast_slice_mut(out);
        if n == 0 {
            return Ok(());
        }
        let pairs = Pairs::new(metric, y, d, &weights);
        for (i, out) in out.chunks_mut(n).enumerate() {
            pairs.row(&x[i * d..(i + 1) * d], 0..n, out);
        }
        Ok(())
    };
    Array::custom(x.world(), Kernel::new("distances", name, run), &[m, n], DType::Float64, &[x], &[y])
}

/// The distances between the rows of `x`: (0, 1), (0, 2), …, (1, 2), …, in one axis of m·(m − 1)/2.
///
/// Cost: half of the terms of all pairs; `x` travels to every rank.
///
/// # Errors
/// As [`cross_distances`].
pub fn pair_distances(metric: Metric, x: &Array, weights: &[f64]) -> Result<Array> {
    let &[m, d] = x.shape() else {
        return Err(Error::Shape("A 2-dimensional array must be passed.".to_string()));
    };
    check(d, d, weights, &[x])?;
    let name = format!("{metric:?} {d}");
    let weights = weights.to_vec();
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        let x: &[f64] = cast_slice(rows.whole[0]);
        let mut rest: &mut [f64] = cast_slice_mut(out);
        let pairs = Pairs::new(metric, x, d, &weights);
        let mut at = rows.rows.start;
        let mut row = row_of(at, m);
        while !rest.is_empty() {
            let start = first_of(row, m);
            let (from, to) = (row + 1 + at - start, m.min(row + 1 + at - start + rest.len()));
            let (front, back) = rest.split_at_mut(to - from);
            pairs.row(&x[row * d..(row + 1) * d], from..to, front);
            (rest, at, row) = (back, at + to - from, row + 1);
        }
        Ok(())
    };
    let count = m * m.saturating_sub(1) / 2;
    Array::custom(x.world(), Kernel::new("distances", name, run), &[count], DType::Float64, &[], &[x])
}

/// The symmetric matrix, with zeros on its diagonal, whose upper half is given row by row. Cost: the half travels to
/// every rank.
///
/// # Errors
/// Replicated: `Error::Shape` if no matrix has a half of that length.
pub fn square_form(half: &Array) -> Result<Array> {
    let (length, item) = (half.shape().iter().product::<usize>(), half.dtype().bytes());
    let m = (1.0 + (1.0 + 8.0 * length as f64).sqrt()) / 2.0;
    let m = m.round() as usize;
    if half.shape().len() != 1 || m * (m - 1) / 2 != length {
        let text = "Incompatible vector size. It must be a binomial coefficient n choose 2 for some integer n >= 2.";
        return Err(Error::Shape(text.to_string()));
    }
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        for (i, out) in rows.rows.clone().zip(out.chunks_mut(m * item)) {
            for (j, out) in out.chunks_mut(item).enumerate() {
                let (low, high) = (i.min(j), i.max(j));
                if low == high {
                    out.fill(0);
                } else {
                    let at = first_of(low, m) + high - low - 1;
                    out.copy_from_slice(&rows.whole[0][at * item..(at + 1) * item]);
                }
            }
        }
        Ok(())
    };
    Array::custom(half.world(), Kernel::new("square form", String::new(), run), &[m, m], half.dtype(), &[], &[half])
}

/// The upper half of a square matrix, row by row, without its diagonal. Cost: the matrix travels to every rank.
///
/// # Errors
/// Replicated: `Error::Shape` if the matrix is not square.
pub fn condensed_form(square: &Array) -> Result<Array> {
    let (&[m, n], item) = (square.shape(), square.dtype().bytes()) else {
        return Err(Error::Shape("The matrix argument must be square.".to_string()));
    };
    if m != n {
        return Err(Error::Shape("The matrix argument must be square.".to_string()));
    }
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        for (at, out) in rows.rows.clone().zip(out.chunks_mut(item)) {
            let row = row_of(at, m);
            let place = row * m + row + 1 + at - first_of(row, m);
            out.copy_from_slice(&rows.whole[0][place * item..(place + 1) * item]);
        }
        Ok(())
    };
    let count = m * m.saturating_sub(1) / 2;
    let kernel = Kernel::new("condensed form", String::new(), run);
    Array::custom(square.world(), kernel, &[count], square.dtype(), &[], &[square])
}

fn check(d: usize, other: usize, weights: &[f64], arrays: &[&Array]) -> Result<()> {
    if d != other {
        let text = "XA and XB must have the same number of columns (i.e. feature dimension.)";
        return Err(Error::Shape(text.to_string()));
    }
    if weights.len() != d {
        return Err(Error::Shape(format!("there are {} weights for {d} columns", weights.len())));
    }
    match arrays.iter().find(|array| array.dtype() != DType::Float64) {
        Some(array) => Err(Error::Type(format!("distances are of float64, not {}", array.dtype()))),
        None => Ok(()),
    }
}

/// Where the pairs of a row with those behind it begin.
fn first_of(row: usize, m: usize) -> usize {
    row * (2 * m - row - 1) / 2
}

/// The row whose pairs a place lies among.
fn row_of(at: usize, m: usize) -> usize {
    let (mut low, mut high) = (0, m);
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if first_of(middle, m) <= at { low = middle } else { high = middle }
    }
    low
}
