//! Linear algebra on matrices along the last two axes.
//!
//! Stacks of matrices are factored where they lie, each by one task. The rows of a tall matrix stay where they are. Any
//! other large one is divided into blocks of columns, if that is known of its factorisation; else one rank gathers and
//! factors it.

mod frames;
mod stacked;

use crate::array::Array;
use crate::dtype::{Complex32, Complex64, DType, Element};
use crate::error::{Error, Result};
use crate::kernel::custom::{Kernel, Rows};
use crate::kernel::dense::field::Field;
use crate::lower::takes_columns;
use crate::shape::Shape;
use bytemuck::{cast_slice, cast_slice_mut};

pub use crate::kernel::dense::Factor;
pub use frames::frame_products;
pub use stacked::matmul;

/// The factors of one large matrix, in shapes of their own, by tasks on blocks of columns that go round the ranks;
/// `None` if the matrix is small, one of a stack, or of a factorisation that [`factor`] alone has. `b` holds the
/// right-hand sides of [`Factor::Solve`].
///
/// Collective. Cost: every rank receives, of each block of 128 columns that it does not have, what the factorisation
/// leaves below the diagonal, half of the matrix together, and for solutions as much again from above; the matrix and
/// its factors travel once between rows and columns. Memory beside the matrix, divided among the ranks: 2.5
/// times its own for Cholesky, 4 for an inverse, 4.5 for QR; for solutions twice that of both operands.
///
/// # Errors
/// As [`factor`], at once.
pub fn factor_columns(factor: Factor, x: &Array, b: Option<&Array>) -> Result<Option<Vec<Array>>> {
    let &[m, n] = x.shape() else { return Ok(None) };
    let square = !factor.is_square() || m == n;
    let fits = b.is_none_or(|b| b.dtype() == x.dtype() && b.shape().len() == 2 && b.shape()[0] == n);
    if !takes_columns(factor, m, n) || !has_factors(x.dtype()) || !square || !fits {
        return Ok(None);
    }
    let shapes: &[[usize; 2]] = match factor {
        Factor::Solve => &[[n, b.map_or(0, |b| b.shape()[1])]],
        Factor::Qr { complete: true } => &[[m, m], [m, n]],
        Factor::Qr { complete: false } => &[[m, m.min(n)], [m.min(n), n]],
        _ => &[[n, n]],
    };
    let shapes: Result<Vec<Shape>> = match factor {
        Factor::Determinant => Ok(vec![Shape::new(&[2])?]),
        _ => shapes.iter().map(|shape| Ok(Shape::new(shape)?)).collect(),
    };
    x.factor_columns(factor, b, &shapes?).map(Some)
}

/// Factors of each matrix of a stack: the axes before the last two are kept, and what is left of a matrix follows in
/// one axis, in the order that [`Factor`] says. `b` holds the right-hand sides of [`Factor::Solve`].
///
/// Cost: a single matrix comes to rank 0 whole, with as much memory again for its factors; no other message.
///
/// # Errors
/// Replicated: `Error::Shape` if the shapes do not fit, and, when the value is computed, for what is wrong with a
/// matrix; `Error::Type` for elements that are not floating-point numbers.
pub fn factor(factor: Factor, x: &Array, b: Option<&Array>) -> Result<Array> {
    let &[.., m, n] = x.shape() else {
        let text = format!("{}-dimensional array given. Array must be at least two-dimensional", x.shape().len());
        return Err(Error::Shape(text));
    };
    if factor.is_square() && m != n {
        return Err(Error::Shape("Last 2 dimensions of the array must be square".to_string()));
    }
    let k = b.and_then(|b| b.shape().last().copied()).unwrap_or(0);
    let lead = &x.shape()[..x.shape().len() - 2];
    if let Some(b) = b
        && b.shape() != [lead, &[n, k]].concat()
    {
        return Err(Error::Shape(format!("right-hand sides of shape {:?} for matrices {:?}", b.shape(), x.shape())));
    }
    let width = factor.width([m, n, k], x.dtype().is_complex());
    if lead.is_empty() {
        // One row with the whole matrix, which one rank has.
        let one = |array: &Array| {
            let lengths: Vec<i64> = [1].into_iter().chain(array.shape().iter().map(|&length| length as i64)).collect();
            array.reshape(&lengths)
        };
        let (x, b) = (one(x)?, b.map(one).transpose()?);
        return stacked(factor, &x, b.as_ref(), [m, n, k], &[1, width])?.reshape(&[width as i64]);
    }
    stacked(factor, x, b, [m, n, k], &[lead, &[width]].concat())
}

/// Whether matrices of this type are factored.
fn has_factors(dtype: DType) -> bool {
    matches!(dtype, DType::Float32 | DType::Float64) || dtype.is_complex()
}

fn stacked(factor: Factor, x: &Array, b: Option<&Array>, sizes: [usize; 3], shape: &[usize]) -> Result<Array> {
    let dtype = x.dtype();
    let run = move |rows: &Rows<'_>, out: &mut [u8]| match dtype {
        DType::Float32 => each::<f32>(factor, sizes, rows, out),
        DType::Complex64 => each::<Complex32>(factor, sizes, rows, out),
        DType::Complex128 => each::<Complex64>(factor, sizes, rows, out),
        _ => each::<f64>(factor, sizes, rows, out),
    };
    if !has_factors(dtype) || b.is_some_and(|b| b.dtype() != dtype) {
        return Err(Error::Type(format!("array type {dtype} is unsupported in linalg")));
    }
    let kernel = Kernel::new("factor", format!("{factor:?} {sizes:?}"), run).failing();
    let aligned: Vec<&Array> = [x].into_iter().chain(b).collect();
    Array::custom(x.world(), kernel, shape, dtype, &aligned, &[])
}

fn each<T: Field + Element>(factor: Factor, sizes: [usize; 3], rows: &Rows<'_>, out: &mut [u8]) -> Result<(), String> {
    let [m, n, k] = sizes;
    let width = factor.width(sizes, T::DTYPE.is_complex());
    let matrices: &[T] = cast_slice(rows.aligned[0]);
    let sides: &[T] = rows.aligned.get(1).map_or(&[], |bytes| cast_slice(bytes));
    let out: &mut [T] = cast_slice_mut(out);
    if width == 0 {
        return Ok(());
    }
    for (index, out) in out.chunks_mut(width).enumerate() {
        let matrix = &matrices[index * m * n..(index + 1) * m * n];
        let sides = sides.get(index * n * k..(index + 1) * n * k).unwrap_or(&[]);
        factor.run(sizes, matrix, sides, out)?;
    }
    Ok(())
}

/// The factors q and r of a matrix with at least as many rows as columns, without gathering its rows.
///
/// The diagonal of r is not negative. Collective. Cost: triangles of n×n elements travel, at most two for each level of
/// the tree over the rows from every rank, and rows near the ends of ranks; as much memory again as the matrix.
///
/// # Errors
/// Replicated: `Error::Shape` or `Error::Type` for what is no such matrix. As [`Array::wait`].
pub fn tall_qr(x: &Array) -> Result<(Array, Array)> {
    match *x.shape() {
        [m, n] if m >= n && n > 0 && has_factors(x.dtype()) => x.tall_qr(),
        _ => Err(Error::Shape(format!("a tall matrix is needed, not {} of shape {:?}", x.dtype(), x.shape()))),
    }
}
