//! A rank's mailbox for Python: bytes between ranks at any time, for `girih.futures`.

use crate::error::runtime_error;
use crate::world::world;
use girih_runtime::ids::Rank;
use girih_runtime::mailbox::Mailbox;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::time::Duration;

/// Bytes to and from other ranks.
#[pyclass(frozen, name = "Mailbox", module = "girih._native")]
pub(crate) struct PyMailbox(Mailbox);

#[pymethods]
impl PyMailbox {
    #[new]
    #[pyo3(signature = (peers, /))]
    fn new(py: Python<'_>, peers: Vec<usize>) -> PyResult<PyMailbox> {
        let world = world(py)?;
        if let Some(peer) = peers.iter().find(|&&peer| peer >= world.size() || Rank::from(peer) == world.rank()) {
            let text = format!("peers must be other ranks below {}, not {peer}", world.size());
            return Err(PyValueError::new_err(text));
        }
        let opened = py.detach(|| world.mailbox(peers.into_iter().map(Rank::from).collect()));
        opened.map(PyMailbox).map_err(|error| runtime_error(py, &error))
    }

    #[pyo3(signature = (to, data, /))]
    fn send(&self, py: Python<'_>, to: usize, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let bytes = data.as_bytes();
        py.detach(|| self.0.send(Rank::from(to), bytes)).map_err(|error| runtime_error(py, &error))
    }

    #[pyo3(signature = (timeout = None, /))]
    fn receive<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<(u32, Bound<'py, PyBytes>)>> {
        let patience = timeout.map(|seconds| Duration::from_secs_f64(seconds.max(0.0)));
        let letter = py.detach(|| self.0.receive(patience)).map_err(|error| runtime_error(py, &error))?;
        Ok(letter.map(|(from, bytes)| (from.0, PyBytes::new(py, &bytes))))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.close()).map_err(|error| runtime_error(py, &error))
    }
}
