//! From errors of the crates below to the exceptions that Python users expect.

use girih_runtime::error::Error as RuntimeError;
use pyo3::exceptions::{
    PyFileNotFoundError, PyIndexError, PyKeyboardInterrupt, PyMemoryError, PyOSError, PyOverflowError, PyRuntimeError,
    PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Set when Python's signal handlers raised while a graph ran; the graph's error then stands for the interrupt.
pub(crate) static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The exception for an error of the runtime.
pub(crate) fn runtime_error(py: Python<'_>, error: &RuntimeError) -> PyErr {
    // Relaxed: set and taken by the thread that waits.
    if INTERRUPTED.swap(false, Relaxed) {
        return PyKeyboardInterrupt::new_err(());
    }
    match error {
        RuntimeError::Remote { rank, message } => rank_error(py, rank.0, message),
        RuntimeError::Divergence { .. } => divergence_error(py, &error.to_string()),
        RuntimeError::Memory { .. } => PyMemoryError::new_err(error.to_string()),
        RuntimeError::File { path, .. } if path.parent().is_some_and(|folder| !folder.join(".").exists()) => {
            PyFileNotFoundError::new_err(error.to_string())
        }
        RuntimeError::File { .. } => PyOSError::new_err(error.to_string()),
        RuntimeError::Config(_) => PyValueError::new_err(error.to_string()),
        _ => PyRuntimeError::new_err(error.to_string()),
    }
}

/// The exception for an error of arrays.
pub(crate) fn array_error(py: Python<'_>, error: &girih_arrays::Error) -> PyErr {
    use girih_arrays::Error;
    match error {
        Error::Shape(text) => PyValueError::new_err(text.clone()),
        Error::Axis(text) => axis_error(py, text),
        Error::Type(text) => PyTypeError::new_err(text.clone()),
        Error::Overflow(text) => PyOverflowError::new_err(text.clone()),
        Error::Index(text) => PyIndexError::new_err(text.clone()),
        Error::File { malformed: true, .. } => PyValueError::new_err(error.to_string()),
        Error::File { path, .. } if !path.exists() => PyFileNotFoundError::new_err(error.to_string()),
        Error::File { .. } => PyOSError::new_err(error.to_string()),
        Error::Runtime(error) => runtime_error(py, error),
    }
}

/// The exception for an error of clustering.
pub(crate) fn cluster_error(py: Python<'_>, error: &girih_cluster::Error) -> PyErr {
    use girih_cluster::Error;
    match error {
        Error::Value(text) => PyValueError::new_err(text.clone()),
        Error::Observer(text) => PyRuntimeError::new_err(text.clone()),
        Error::Arrays(error) => array_error(py, error),
    }
}

/// `girih.RankError` for another rank's failure.
fn rank_error(py: Python<'_>, rank: u32, message: &str) -> PyErr {
    let class = py.import("girih.errors").and_then(|module| module.getattr("RankError"));
    match class.and_then(|class| class.call1((rank, message))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// `girih.DivergenceError`, on all ranks.
fn divergence_error(py: Python<'_>, text: &str) -> PyErr {
    let class = py.import("girih.errors").and_then(|module| module.getattr("DivergenceError"));
    match class.and_then(|class| class.call1((text,))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// NumPy's exception for an axis that is not there.
fn axis_error(py: Python<'_>, text: &str) -> PyErr {
    let class = py.import("numpy.exceptions").and_then(|module| module.getattr("AxisError"));
    match class.and_then(|class| class.call1((text,))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}
