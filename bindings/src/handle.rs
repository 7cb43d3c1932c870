//! The class `girih.Array`, a handle. Operators record; whatever may compute releases the interpreter.

use crate::error::array_error;
use girih_arrays::{Array, Error};
use pyo3::prelude::*;

/// The class `girih.Array`.
#[pyclass(name = "Array", module = "girih", frozen)]
pub(crate) struct PyArray(pub(crate) Array);

/// Runs something on arrays without the interpreter.
pub(crate) fn detached(py: Python<'_>, run: impl FnOnce() -> Result<Array, Error> + Send) -> PyResult<PyArray> {
    py.detach(run).map(PyArray).map_err(|error| array_error(py, &error))
}
