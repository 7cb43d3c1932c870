//! Factorisations of matrices that lie whole in memory, by `faer` on one thread.
//!
//! Invariant: the results are functions of the matrix alone, with the same bits wherever it lies.
//! In `a = q·r` the diagonal of `r` is never negative, which makes the factors of a matrix of full rank unique.

pub(crate) mod columns;
pub(crate) mod field;
pub(crate) mod merge;

use faer::linalg::solvers::{DenseSolveCore, Llt, PartialPivLu, Qr, SelfAdjointEigen, Solve, Svd};
use faer::{Mat, MatMut, MatRef, Side};
use field::Field;

/// What is computed of each matrix, which is m×n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// The lower triangular factor of a Hermitian positive definite matrix, of which the lower half is read: n·n.
    Cholesky,
    /// The solution of a·x = b, b n×k: n·k.
    Solve,
    /// The inverse: n·n.
    Inverse,
    /// The sign of the determinant and the logarithm of its size: 2.
    Determinant,
    /// The factors q and r: m·l and l·n, where l is m for the complete ones and else the lesser of m and n.
    Qr {
        /// Whether q is square.
        complete: bool,
    },
    /// The factors u, s and vᴴ: m·p, l and q·n, where p and q are m and n for the full ones and else l.
    Svd {
        /// Whether u and v are square.
        full: bool,
    },
    /// The singular values, descending: the lesser of m and n.
    SingularValues,
    /// Eigenvalues, ascending, and eigenvectors of a Hermitian matrix, of which the lower half is read: n and n·n.
    Eigh,
    /// The same eigenvalues alone: n.
    EighValues,
    /// Eigenvalues and eigenvectors of any matrix: n and n·n, as pairs of a real and an imaginary part if the matrix
    /// is real.
    Eig,
}

const SINGULAR: &str = "Singular matrix";
const NOT_POSITIVE: &str = "Matrix is not positive definite";
const NO_SVD: &str = "SVD did not converge";
pub(super) const NO_EIGENVALUES: &str = "Eigenvalues did not converge";
pub(super) const NOT_FINITE: &str = "Array must not contain infs or NaNs";

impl Factor {
    /// The number of elements that a matrix leaves; `k` is the number of right-hand sides.
    pub(crate) fn width(self, [m, n, k]: [usize; 3], complex: bool) -> usize {
        let least = m.min(n);
        match self {
            Factor::Cholesky | Factor::Inverse => n * n,
            Factor::Solve => n * k,
            Factor::Determinant => 2,
            Factor::Qr { complete: true } => m * m + m * n,
            Factor::Qr { complete: false } => m * least + least * n,
            Factor::Svd { full: true } => m * m + least + n * n,
            Factor::Svd { full: false } => m * least + least + least * n,
            Factor::SingularValues => least,
            Factor::Eigh => n + n * n,
            Factor::EighValues => n,
            Factor::Eig => (n + n * n) * if complex { 1 } else { 2 },
        }
    }

    /// Whether the matrix must be square.
    pub(crate) fn is_square(self) -> bool {
        !matches!(self, Factor::Qr { .. } | Factor::Svd { .. } | Factor::SingularValues)
    }

    /// Computes one matrix's factors.
    ///
    /// # Errors
    /// What is wrong with the matrix, in NumPy's words.
    pub(crate) fn run<T: Field>(self, [m, n, k]: [usize; 3], a: &[T], b: &[T], out: &mut [T]) -> Result<(), String> {
        let a = MatRef::from_row_major_slice(a, m, n);
        match self {
            Factor::Cholesky => cholesky(a, out)?,
            Factor::Solve => solve(a, MatRef::from_row_major_slice(b, n, k), out)?,
            Factor::Inverse => inverse(a, out)?,
            Factor::Determinant => determinant(a, out),
            Factor::Qr { complete } => {
                let (q, r) = qr(a, complete);
                let (front, back) = out.split_at_mut(q.nrows() * q.ncols());
                store(q.as_ref(), front);
                store(r.as_ref(), back);
            }
            Factor::Svd { full } => svd(a, full, out)?,
            Factor::SingularValues => {
                finite(a, NO_SVD)?;
                let (a, scale) = within_range(a);
                let values = a.singular_values().map_err(|_| NO_SVD)?;
                store_real::<T>(values.iter().map(|value| T::real(value) / scale), out);
            }
            Factor::Eigh => {
                finite(a, NO_EIGENVALUES)?;
                let eigen = SelfAdjointEigen::new(a, Side::Lower).map_err(|_| NO_EIGENVALUES)?;
                let (values, vectors) = out.split_at_mut(n);
                for (value, found) in values.iter_mut().zip(eigen.S().column_vector().iter()) {
                    *value = T::of(found.parts().0, 0.0);
                }
                store(eigen.U(), vectors);
            }
            Factor::EighValues => {
                finite(a, NO_EIGENVALUES)?;
                let values = a.self_adjoint_eigenvalues(Side::Lower).map_err(|_| NO_EIGENVALUES)?;
                store_real::<T>(values.iter().map(T::real), out);
            }
            Factor::Eig => T::eigen(a, out)?,
        }
        Ok(())
    }
}

fn cholesky<T: Field>(a: MatRef<'_, T>, out: &mut [T]) -> Result<(), String> {
    let n = a.ncols();
    let llt = Llt::new(a, Side::Lower).map_err(|_| NOT_POSITIVE)?;
    let lower = llt.L();
    for (i, row) in out.chunks_mut(n.max(1)).enumerate() {
        for (j, value) in row.iter_mut().enumerate() {
            *value = if j <= i { lower[(i, j)] } else { T::of(0.0, 0.0) };
        }
        if !row[i].parts().0.is_finite() {
            return Err(NOT_POSITIVE.to_string());
        }
    }
    Ok(())
}

/// The factors, unless a pivot is exactly zero.
fn regular<T: Field>(a: MatRef<'_, T>) -> Result<PartialPivLu<T>, String> {
    let lu = PartialPivLu::new(a);
    let singular = (0..a.ncols()).any(|i| lu.U()[(i, i)].parts() == (0.0, 0.0));
    if singular { Err(SINGULAR.to_string()) } else { Ok(lu) }
}

fn solve<T: Field>(a: MatRef<'_, T>, b: MatRef<'_, T>, out: &mut [T]) -> Result<(), String> {
    let lu = regular(a)?;
    let mut x = MatMut::from_row_major_slice_mut(out, b.nrows(), b.ncols());
    x.copy_from(b);
    lu.solve_in_place(x);
    Ok(())
}

fn inverse<T: Field>(a: MatRef<'_, T>, out: &mut [T]) -> Result<(), String> {
    let inverse = regular(a)?.inverse();
    store(inverse.as_ref(), out);
    Ok(())
}

/// The sign, or the phase, of the determinant and the logarithm of its size.
fn determinant<T: Field>(a: MatRef<'_, T>, out: &mut [T]) {
    let n = a.ncols();
    let lu = PartialPivLu::new(a);
    let diagonal = (0..n).map(|i| lu.U()[(i, i)].parts());
    let (forward, _) = lu.P().arrays();
    let (sign, size) = sign_and_log(diagonal, is_odd(forward));
    out[0] = T::of(sign.0, sign.1);
    out[1] = T::of(size, 0.0);
}

/// Whether a permutation is made of an odd number of exchanges.
fn is_odd(order: &[usize]) -> bool {
    let (mut seen, mut odd) = (vec![false; order.len()], false);
    for start in 0..order.len() {
        let mut place = start;
        let mut length = 0;
        while !std::mem::replace(&mut seen[place], true) {
            place = order[place];
            length += 1;
        }
        odd ^= length > 0 && length % 2 == 0;
    }
    odd
}

/// The phase of a product and the logarithm of its size; 0 and −∞ if a factor is 0.
fn sign_and_log(factors: impl Iterator<Item = (f64, f64)>, odd: bool) -> ((f64, f64), f64) {
    let (mut sign, mut size) = ((if odd { -1.0 } else { 1.0 }, 0.0), 0.0);
    for (real, imaginary) in factors {
        let length = real.hypot(imaginary);
        if length == 0.0 {
            return ((0.0, 0.0), f64::NEG_INFINITY);
        }
        let (c, s) = (real / length, imaginary / length);
        sign = (sign.0 * c - sign.1 * s, sign.0 * s + sign.1 * c);
        size += length.ln();
    }
    (sign, size)
}

/// The factors q and r, with a diagonal of r that is not negative.
///
/// Cost: 4·m·n² flops for a tall matrix.
pub(crate) fn qr<T: Field>(a: MatRef<'_, T>, complete: bool) -> (Mat<T>, Mat<T>) {
    let factors = Qr::new(a);
    let mut q = if complete { factors.compute_Q() } else { factors.compute_thin_Q() };
    let (rows, n) = (q.ncols(), a.ncols());
    let mut r = Mat::from_fn(rows, n, |i, j| if i <= j { factors.R()[(i, j)] } else { T::of(0.0, 0.0) });
    for j in 0..rows.min(n) {
        let (real, imaginary) = r[(j, j)].parts();
        let length = real.hypot(imaginary);
        if length == 0.0 || (real > 0.0 && imaginary == 0.0) {
            continue;
        }
        let (c, s) = (real / length, imaginary / length);
        // The phase goes from the row of r to the column of q.
        for column in j..n {
            r[(j, column)] = times(r[(j, column)], c, -s);
        }
        for row in 0..q.nrows() {
            q[(row, j)] = times(q[(row, j)], c, s);
        }
    }
    (q, r)
}

fn times<T: Field>(value: T, c: f64, s: f64) -> T {
    let (real, imaginary) = value.parts();
    T::of(real * c - imaginary * s, real * s + imaginary * c)
}

/// The matrix times a power of two that brings its largest element near 1, and that power; 1 for usual numbers.
///
/// Sums of squares of very large elements are infinite, those of very small ones zero.
fn within_range<T: Field>(a: MatRef<'_, T>) -> (Mat<T>, f64) {
    let size = |value: T| value.parts().0.abs().max(value.parts().1.abs());
    let largest = a.row_iter().flat_map(|row| row.iter()).fold(0.0, |most: f64, value| most.max(size(*value)));
    let usual = 2f64.powi(-40)..2f64.powi(40);
    if largest == 0.0 || usual.contains(&largest) {
        return (a.to_owned(), 1.0);
    }
    let scale = 2f64.powi(-(largest.log2() as i32).clamp(-1000, 1000));
    (Mat::from_fn(a.nrows(), a.ncols(), |i, j| times(a[(i, j)], scale, 0.0)), scale)
}

fn svd<T: Field>(a: MatRef<'_, T>, full: bool, out: &mut [T]) -> Result<(), String> {
    finite(a, NO_SVD)?;
    let (a, scale) = within_range(a);
    let svd = if full { Svd::new(a.as_ref()) } else { Svd::new_thin(a.as_ref()) }.map_err(|_| NO_SVD)?;
    let (u, v) = (svd.U(), svd.V());
    let least = a.nrows().min(a.ncols());
    let (front, rest) = out.split_at_mut(u.nrows() * u.ncols());
    let (values, back) = rest.split_at_mut(least);
    store(u, front);
    for (value, found) in values.iter_mut().zip(svd.S().column_vector().iter()) {
        *value = T::of(found.parts().0 / scale, 0.0);
    }
    let n = v.nrows();
    for (i, row) in back.chunks_mut(n.max(1)).enumerate() {
        for (j, value) in row.iter_mut().enumerate() {
            let (real, imaginary) = v[(j, i)].parts();
            *value = T::of(real, -imaginary);
        }
    }
    Ok(())
}

pub(super) fn finite<T: Field>(a: MatRef<'_, T>, message: &str) -> Result<(), String> {
    let wrong = |value: &T| {
        let (real, imaginary) = value.parts();
        !real.is_finite() || !imaginary.is_finite()
    };
    let found = (0..a.nrows()).any(|i| (0..a.ncols()).any(|j| wrong(&a[(i, j)])));
    if found { Err(message.to_string()) } else { Ok(()) }
}

/// Copies a matrix in row-major order. Cost: one pass.
pub(crate) fn store<T: Field>(a: MatRef<'_, T>, out: &mut [T]) {
    MatMut::from_row_major_slice_mut(out, a.nrows(), a.ncols()).copy_from(a);
}

fn store_real<T: Field>(values: impl Iterator<Item = f64>, out: &mut [T]) {
    out.iter_mut().zip(values).for_each(|(out, value)| *out = T::of(value, 0.0));
}
