//! Triangles of runs of rows, merged pairwise: the arithmetic of tall orthogonal factorisations.
//!
//! Invariant: a run of rows leaves `min(rows, n)` rows of a triangle; only the last run may have fewer than n.
//! Source: TSQR of Demmel, Grigori, Hoemmen and Langou, "Communication-optimal parallel and sequential QR and LU
//! factorizations" (2012).

use super::field::Field;
use super::{qr, store};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};

/// Which values a stage merges: value `i` below `inputs` comes in, value `inputs + j` is what merge `j` leaves.
#[derive(Clone, Debug)]
pub(crate) struct Merges {
    pub(crate) inputs: usize,
    /// Left and right of each merge, in order.
    pub(crate) pairs: Vec<(usize, usize)>,
    /// Values that remain, in order.
    pub(crate) outputs: Vec<usize>,
    /// Rows of the triangle of each value that comes in.
    pub(crate) rows: Vec<usize>,
}

impl Merges {
    /// Merges triangles upwards: the results, and the orthogonal factor of each merge in a slot of 2n×n.
    pub(crate) fn up<T: Field>(&self, n: usize, triangles: &[T], results: &mut [T], factors: &mut [T]) {
        let size = n * n;
        let mut values: Vec<Mat<T>> = Vec::with_capacity(self.inputs + self.pairs.len());
        for (index, &rows) in self.rows.iter().enumerate() {
            values.push(MatRef::from_row_major_slice(&triangles[index * size..][..rows * n], rows, n).to_owned());
        }
        for (index, &(left, right)) in self.pairs.iter().enumerate() {
            let (upper, lower) = (&values[left], &values[right]);
            let (above, below) = (upper.nrows(), lower.nrows());
            let both =
                Mat::from_fn(above + below, n, |i, j| if i < above { upper[(i, j)] } else { lower[(i - above, j)] });
            let (q, r) = qr(both.as_ref(), false);
            store(q.as_ref(), &mut factors[index * 2 * size..][..(above + below) * n]);
            values.push(r);
        }
        for (slot, &output) in results.chunks_mut(size).zip(&self.outputs) {
            let value = &values[output];
            store(value.as_ref(), &mut slot[..value.nrows() * n]);
        }
    }

    /// From what multiplies the results' orthogonal factors to what multiplies those of the values that came in.
    pub(crate) fn down<T: Field>(&self, n: usize, above: &[T], factors: &[T], below: &mut [T]) {
        let size = n * n;
        let mut values: Vec<Option<Mat<T>>> = vec![None; self.inputs + self.pairs.len()];
        for (index, &output) in self.outputs.iter().enumerate() {
            let rows = self.rows.get(output).copied().unwrap_or(n);
            let part = MatRef::from_row_major_slice(&above[index * size..][..rows * n], rows, n);
            values[output] = Some(part.to_owned());
        }
        for (index, &(left, right)) in self.pairs.iter().enumerate().rev() {
            let multiplier = values[self.inputs + index].take().expect("a merge leads to a result");
            let rows = n + self.rows.get(right).copied().unwrap_or(n);
            let q = MatRef::from_row_major_slice(&factors[index * 2 * size..][..rows * n], rows, n);
            let product = times(q, multiplier.as_ref());
            values[left] = Some(product.get(..n, ..).to_owned());
            values[right] = Some(product.get(n.., ..).to_owned());
        }
        for (index, slot) in below.chunks_mut(size).enumerate() {
            let value = values[index].as_ref().expect("every value leads to a result");
            store(value.as_ref(), &mut slot[..value.nrows() * n]);
        }
    }
}

/// The orthogonal factor of a run of rows, in place of the rows, and its triangle.
///
/// Cost: 4·rows·n² flops.
pub(crate) fn split<T: Field>(n: usize, rows: &[T], q: &mut [T], triangle: &mut [T]) {
    let count = rows.len() / n;
    let (found, r) = qr(MatRef::from_row_major_slice(rows, count, n), false);
    let least = count.min(n);
    store(found.as_ref(), &mut q[..count * least]);
    store(r.as_ref(), &mut triangle[..least * n]);
}

/// Multiplies the orthogonal factor that [`split`] left by what [`Merges::down`] found for it.
///
/// Cost: 2·rows·n² flops.
pub(crate) fn multiply<T: Field>(n: usize, q: &mut [T], multiplier: &[T]) {
    let count = q.len() / n;
    let least = count.min(n);
    let product = {
        let q = MatRef::from_row_major_slice(&q[..count * least], count, least);
        times(q, MatRef::from_row_major_slice(&multiplier[..least * n], least, n))
    };
    store(product.as_ref(), q);
}

fn times<T: Field>(a: MatRef<'_, T>, b: MatRef<'_, T>) -> Mat<T> {
    let mut product = Mat::zeros(a.nrows(), b.ncols());
    let target: MatMut<'_, T> = product.as_mut();
    matmul(target, Accum::Replace, a, b, T::of(1.0, 0.0), Par::Seq);
    product
}
