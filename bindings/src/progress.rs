//! What Python is told of graphs that run, for `girih.config(progress=...)`.
//!
//! Invariant: whatever the told function raises, the graph goes on; an interrupt that came to it is not lost.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

type Told = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

static TOLD: Mutex<Option<Arc<Py<PyAny>>>> = Mutex::new(None);

/// What a world that is opened shall tell.
pub(crate) fn told() -> Option<Told> {
    let function = TOLD.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    Some(Arc::new(move |graph, done, tasks| Python::attach(|py| tell(py, &function, graph, done, tasks))))
}

fn tell(py: Python<'_>, function: &Py<PyAny>, graph: &str, done: u64, tasks: u64) {
    let Err(error) = function.call1(py, (graph, done, tasks)) else { return };
    if error.is_instance_of::<PyKeyboardInterrupt>(py) {
        // As if it came now: whoever waits for the graph asks for signals next.
        let interrupted = py.import("_thread").and_then(|thread| thread.call_method0("interrupt_main"));
        if interrupted.is_ok() {
            return;
        }
    }
    error.write_unraisable(py, Some(function.bind(py)));
}

/// Sets the function that is told, for worlds that ask by [`told`]; the one before.
pub(crate) fn replace(function: Option<Py<PyAny>>) -> Option<Arc<Py<PyAny>>> {
    std::mem::replace(&mut *TOLD.lock().unwrap_or_else(PoisonError::into_inner), function.map(Arc::new))
}
