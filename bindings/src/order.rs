//! Sorting, searching and counting, on arrays and whatever becomes one.

use crate::handle::{PyArray, detached};
use crate::operand::to_array;
use pyo3::prelude::*;

#[pyfunction]
#[pyo3(signature = (a, axis))]
pub(crate) fn sort(a: &Bound<'_, PyAny>, axis: i64) -> PyResult<PyArray> {
    let array = to_array(a)?;
    detached(a.py(), || array.sort(axis))
}

#[pyfunction]
#[pyo3(signature = (a, axis))]
pub(crate) fn argsort(a: &Bound<'_, PyAny>, axis: i64) -> PyResult<PyArray> {
    let array = to_array(a)?;
    detached(a.py(), || array.argsort(axis))
}

#[pyfunction]
#[pyo3(signature = (a, v, right))]
pub(crate) fn search_sorted(a: &Bound<'_, PyAny>, v: &Bound<'_, PyAny>, right: bool) -> PyResult<PyArray> {
    let (sorted, values) = (to_array(a)?, to_array(v)?);
    detached(a.py(), || {
        let dtype = sorted.dtype().promote(values.dtype());
        sorted.astype(dtype)?.search_sorted(&values.astype(dtype)?, right)
    })
}

#[pyfunction]
#[pyo3(signature = (a, lanes, places))]
pub(crate) fn select_sorted(a: &Bound<'_, PyAny>, lanes: usize, places: Vec<usize>) -> PyResult<PyArray> {
    let array = to_array(a)?;
    detached(a.py(), || array.select_sorted(lanes, &places))
}

#[pyfunction]
#[pyo3(signature = (a,))]
pub(crate) fn distinct_by_rank(a: &Bound<'_, PyAny>) -> PyResult<PyArray> {
    let array = to_array(a)?;
    detached(a.py(), || array.distinct_by_rank())
}

#[pyfunction]
#[pyo3(signature = (a, bins))]
pub(crate) fn count_integers(a: &Bound<'_, PyAny>, bins: usize) -> PyResult<PyArray> {
    let array = to_array(a)?;
    detached(a.py(), || array.count_integers(bins))
}

#[pyfunction]
#[pyo3(signature = (a, weights, bins))]
pub(crate) fn add_by_integer(a: &Bound<'_, PyAny>, weights: &Bound<'_, PyAny>, bins: usize) -> PyResult<PyArray> {
    let (array, weights) = (to_array(a)?, to_array(weights)?);
    detached(a.py(), || array.add_by_integer(&weights, bins))
}
