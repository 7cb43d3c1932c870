//! What Python's modules of NumPy's functions stand on: reductions by name, selection, products.

use crate::error::array_error;
use crate::handle::{PyArray, detached};
use crate::operand::{Axes, to_array, to_operand};
use girih_arrays::linalg;
use girih_arrays::{Array, DType, Error};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Runs a reduction by name.
pub(crate) fn reduced(array: &Array, name: &str, axes: Option<&[i64]>, keep: bool) -> Result<Array, Error> {
    match name {
        "sum" => array.sum(axes, keep),
        "prod" => array.product(axes, keep),
        "min" => array.min(axes, keep),
        "max" => array.max(axes, keep),
        "mean" => array.mean(axes, keep),
        "all" => array.all(axes, keep),
        "any" => array.any(axes, keep),
        _ => Err(Error::Shape(format!("there is no reduction '{name}'"))),
    }
}

#[pyfunction]
#[pyo3(signature = (name, x, axis, keepdims, /))]
pub(crate) fn reduce(name: &str, x: &Bound<'_, PyAny>, axis: Option<Axes>, keepdims: bool) -> PyResult<PyArray> {
    let (array, axes) = (to_array(x)?, Axes::list(axis));
    detached(x.py(), || reduced(&array, name, axes.as_deref(), keepdims))
}

#[pyfunction]
#[pyo3(signature = (x, axis, ddof, keepdims, /))]
pub(crate) fn variance(x: &Bound<'_, PyAny>, axis: Option<Axes>, ddof: f64, keepdims: bool) -> PyResult<PyArray> {
    let (array, axes) = (to_array(x)?, Axes::list(axis));
    detached(x.py(), || array.var(axes.as_deref(), ddof, keepdims))
}

#[pyfunction]
#[pyo3(signature = (name, x, axis, keepdims, /))]
pub(crate) fn argument(name: &str, x: &Bound<'_, PyAny>, axis: Option<i64>, keepdims: bool) -> PyResult<PyArray> {
    let array = to_array(x)?;
    match name {
        "min" => detached(x.py(), || array.argmin(axis, keepdims)),
        "max" => detached(x.py(), || array.argmax(axis, keepdims)),
        _ => Err(PyValueError::new_err(format!("there is no place of '{name}'"))),
    }
}

#[pyfunction]
#[pyo3(signature = (name, x, axis, /))]
pub(crate) fn scan(name: &str, x: &Bound<'_, PyAny>, axis: i64) -> PyResult<PyArray> {
    let array = to_array(x)?;
    detached(x.py(), || match name {
        "sum" => array.cumsum(axis),
        "prod" => array.cumprod(axis),
        "max" => array.cummax(axis),
        "min" => array.cummin(axis),
        _ => Err(Error::Shape(format!("there is no running '{name}'"))),
    })
}

#[pyfunction]
#[pyo3(signature = (condition, x, y, /))]
pub(crate) fn r#where(condition: &Bound<'_, PyAny>, x: &Bound<'_, PyAny>, y: &Bound<'_, PyAny>) -> PyResult<PyArray> {
    let (condition, x, y) = (to_array(condition)?, to_operand(x)?, to_operand(y)?);
    Python::attach(|py| detached(py, || condition.astype(DType::Bool)?.select(x, y)))
}

#[pyfunction]
#[pyo3(signature = (x, low, high, /))]
pub(crate) fn clip(x: &Bound<'_, PyAny>, low: &Bound<'_, PyAny>, high: &Bound<'_, PyAny>) -> PyResult<PyArray> {
    let bound = |bound: &Bound<'_, PyAny>| if bound.is_none() { Ok(None) } else { to_operand(bound).map(Some) };
    let (array, low, high) = (to_array(x)?, bound(low)?, bound(high)?);
    detached(x.py(), || array.clip(low, high))
}

#[pyfunction]
#[pyo3(signature = (x, y, /))]
pub(crate) fn matmul(x: &Bound<'_, PyAny>, y: &Bound<'_, PyAny>) -> PyResult<PyArray> {
    let (left, right) = (to_array(x)?, to_array(y)?);
    detached(x.py(), || linalg::matmul(&left, &right))
}

#[pyfunction]
#[pyo3(signature = (*arrays))]
pub(crate) fn wait(py: Python<'_>, arrays: Vec<PyRef<'_, PyArray>>) -> PyResult<()> {
    let arrays: Vec<Array> = arrays.iter().map(|array| array.value()).collect();
    let done = py.detach(|| arrays.iter().try_for_each(Array::compute));
    done.map_err(|error| array_error(py, &error))
}
