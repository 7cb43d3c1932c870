//! Numbers that matrices are made of, as `faer` and our own bytes know them.

use super::{NO_EIGENVALUES, NOT_FINITE, finite};
use bytemuck::Pod;
use faer::MatRef;
use faer::linalg::solvers::Eigen;
use faer::traits::ComplexField;
use num_complex::Complex;

/// A type of matrix elements.
pub(crate) trait Field: ComplexField + Pod {
    /// The real and the imaginary part.
    fn parts(self) -> (f64, f64);
    /// The number with these parts; a real type takes the first.
    fn of(real: f64, imaginary: f64) -> Self;
    /// A number of the real type.
    fn real(value: &Self::Real) -> f64;
    /// Eigenvalues and then eigenvectors, in row-major order; a real type stores pairs of parts.
    ///
    /// # Errors
    /// NumPy's words, if the matrix is not finite or the iteration does not end.
    fn eigen(a: MatRef<'_, Self>, out: &mut [Self]) -> Result<(), String>;
}

macro_rules! real {
    ($($real:ty),*) => {$(
        impl Field for $real {
            fn parts(self) -> (f64, f64) {
                (f64::from(self), 0.0)
            }

            fn of(real: f64, _imaginary: f64) -> $real {
                real as $real
            }

            fn real(value: &$real) -> f64 {
                f64::from(*value)
            }

            fn eigen(a: MatRef<'_, $real>, out: &mut [$real]) -> Result<(), String> {
                finite(a, NOT_FINITE)?;
                let eigen = Eigen::new_from_real(a).map_err(|_| NO_EIGENVALUES)?;
                let n = a.ncols();
                let (values, vectors) = out.split_at_mut(2 * n);
                for (pair, value) in values.chunks_mut(2).zip(eigen.S().column_vector().iter()) {
                    pair.copy_from_slice(&[value.re, value.im]);
                }
                for (index, pair) in vectors.chunks_mut(2).enumerate() {
                    let value = eigen.U()[(index / n, index % n)];
                    pair.copy_from_slice(&[value.re, value.im]);
                }
                Ok(())
            }
        }
    )*};
}

real!(f32, f64);

macro_rules! complex {
    ($($part:ty),*) => {$(
        impl Field for Complex<$part> {
            fn parts(self) -> (f64, f64) {
                (f64::from(self.re), f64::from(self.im))
            }

            fn of(real: f64, imaginary: f64) -> Complex<$part> {
                Complex::new(real as $part, imaginary as $part)
            }

            fn real(value: &$part) -> f64 {
                f64::from(*value)
            }

            fn eigen(a: MatRef<'_, Complex<$part>>, out: &mut [Complex<$part>]) -> Result<(), String> {
                finite(a, NOT_FINITE)?;
                let eigen = Eigen::new(a).map_err(|_| NO_EIGENVALUES)?;
                let n = a.ncols();
                let (values, vectors) = out.split_at_mut(n);
                for (out, value) in values.iter_mut().zip(eigen.S().column_vector().iter()) {
                    *out = *value;
                }
                for (index, out) in vectors.iter_mut().enumerate() {
                    *out = eigen.U()[(index / n, index % n)];
                }
                Ok(())
            }
        }
    )*};
}

complex!(f32, f64);
