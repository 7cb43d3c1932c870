//! Factorisations and axes in another order, as the package's own modules use them.

use crate::error::array_error;
use crate::handle::{PyArray, detached};
use crate::operand::to_array;
use girih_arrays::linalg::{self, Factor};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

#[pyfunction]
#[pyo3(signature = (kind, x, b = None, /))]
pub(crate) fn factor(kind: &str, x: &Bound<'_, PyAny>, b: Option<&Bound<'_, PyAny>>) -> PyResult<PyArray> {
    let factor = named(kind)?;
    let (array, b) = (to_array(x)?, b.map(to_array).transpose()?);
    detached(x.py(), || {
        let factors = linalg::factor(factor, &array, b.as_ref())?;
        factors.wait()?;
        Ok(factors)
    })
}

#[pyfunction]
#[pyo3(signature = (kind, x, b = None, /))]
pub(crate) fn factor_columns(
    kind: &str,
    x: &Bound<'_, PyAny>,
    b: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Vec<PyArray>>> {
    let (py, factor) = (x.py(), named(kind)?);
    let (array, b) = (to_array(x)?, b.map(to_array).transpose()?);
    let found = py.detach(|| linalg::factor_columns(factor, &array, b.as_ref()));
    let found = found.map_err(|error| array_error(py, &error))?;
    Ok(found.map(|factors| factors.into_iter().map(PyArray::new).collect()))
}

fn named(kind: &str) -> PyResult<Factor> {
    Ok(match kind {
        "cholesky" => Factor::Cholesky,
        "solve" => Factor::Solve,
        "inv" => Factor::Inverse,
        "slogdet" => Factor::Determinant,
        "qr" => Factor::Qr { complete: false },
        "complete qr" => Factor::Qr { complete: true },
        "svd" => Factor::Svd { full: false },
        "full svd" => Factor::Svd { full: true },
        "svdvals" => Factor::SingularValues,
        "eigh" => Factor::Eigh,
        "eigvalsh" => Factor::EighValues,
        "eig" => Factor::Eig,
        _ => return Err(PyValueError::new_err(format!("there is no factorisation {kind}"))),
    })
}

#[pyfunction]
#[pyo3(signature = (x, /))]
pub(crate) fn tall_qr(x: &Bound<'_, PyAny>) -> PyResult<(PyArray, PyArray)> {
    let (py, array) = (x.py(), to_array(x)?);
    let (q, r) = py.detach(|| linalg::tall_qr(&array)).map_err(|error| array_error(py, &error))?;
    Ok((PyArray::new(q), PyArray::new(r)))
}

#[pyfunction]
#[pyo3(signature = (first, next, y, /))]
pub(crate) fn frame_products(
    first: &Bound<'_, PyAny>,
    next: &Bound<'_, PyAny>,
    y: &Bound<'_, PyAny>,
) -> PyResult<PyArray> {
    let (first_frames, next_frames, short) = (to_array(first)?, to_array(next)?, to_array(y)?);
    detached(first.py(), || linalg::frame_products(&first_frames, &next_frames, &short))
}
