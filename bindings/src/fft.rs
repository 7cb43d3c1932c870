//! Fourier transforms of rows, as the package's own module uses them.

use crate::handle::{PyArray, detached};
use crate::operand::to_array;
use crate::world::world;
use girih_arrays::fft::{self, Transform};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

#[pyfunction]
#[pyo3(signature = (kind, x, n, scale, /))]
pub(crate) fn fourier(kind: &str, x: &Bound<'_, PyAny>, n: usize, scale: f64) -> PyResult<PyArray> {
    let transform = match kind {
        "forward" => Transform::Forward,
        "backward" => Transform::Backward,
        "real forward" => Transform::RealForward,
        "real backward" => Transform::RealBackward,
        _ => return Err(PyValueError::new_err(format!("there is no transform {kind}"))),
    };
    let array = to_array(x)?;
    detached(x.py(), || fft::rows(transform, &array, n, scale))
}

#[pyfunction]
#[pyo3(signature = (x, n, sign, /))]
pub(crate) fn twiddled(x: &Bound<'_, PyAny>, n: usize, sign: f64) -> PyResult<PyArray> {
    let array = to_array(x)?;
    detached(x.py(), || fft::twiddled(&array, n, sign))
}

#[pyfunction]
#[pyo3(signature = (length, n, sign, /))]
pub(crate) fn chirp(py: Python<'_>, length: usize, n: usize, sign: f64) -> PyResult<PyArray> {
    let world = world(py)?;
    detached(py, || fft::chirp(&world, length, n, sign))
}
