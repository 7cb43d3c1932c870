//! The class `girih.Array`, a handle. Operators record; whatever may compute releases the interpreter.

use crate::error::array_error;
use girih_arrays::{Array, Error, Handle};
use pyo3::prelude::*;

/// The class `girih.Array`.
#[pyclass(name = "Array", module = "girih", frozen)]
pub(crate) struct PyArray(Handle);

impl PyArray {
    /// An array of its own.
    pub(crate) fn new(array: Array) -> PyArray {
        PyArray(Handle::new(array))
    }

    /// A handle, which may be a view.
    pub(crate) fn of(handle: Handle) -> PyArray {
        PyArray(handle)
    }

    /// The value now; what is written later does not change it.
    pub(crate) fn value(&self) -> Array {
        self.0.value()
    }

    /// The handle, for views and for writing.
    pub(crate) fn handle(&self) -> &Handle {
        &self.0
    }
}

/// Runs something on arrays without the interpreter.
pub(crate) fn detached(py: Python<'_>, run: impl FnOnce() -> Result<Array, Error> + Send) -> PyResult<PyArray> {
    py.detach(run).map(PyArray::new).map_err(|error| array_error(py, &error))
}

/// As [`detached`], unless all operands are so small that this is done before the interpreter would be released.
pub(crate) fn beside(
    py: Python<'_>,
    operands: &[&Array],
    run: impl FnOnce() -> Result<Array, Error> + Send,
) -> PyResult<PyArray> {
    if !operands.iter().all(|array| array.is_at_hand()) {
        return detached(py, run);
    }
    run().map(PyArray::new).map_err(|error| array_error(py, &error))
}

/// As [`detached`], for a view.
pub(crate) fn viewed(py: Python<'_>, run: impl FnOnce() -> Result<Handle, Error> + Send) -> PyResult<PyArray> {
    py.detach(run).map(PyArray::of).map_err(|error| array_error(py, &error))
}
