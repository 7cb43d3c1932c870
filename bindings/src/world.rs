//! The world of this process, started at its first use, and what Python may ask of it.

use crate::error::{INTERRUPTED, runtime_error};
use crate::progress::{replace, told};
use girih_runtime::config::Config;
use girih_runtime::error::Error;
use girih_runtime::ids::Rank;
use girih_runtime::world::World;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

enum State {
    New,
    Open(World),
    Closed,
}

static STATE: Mutex<State> = Mutex::new(State::New);
static PLUGINS: Mutex<Option<PathBuf>> = Mutex::new(None);
/// The world, started if it was not.
pub(crate) fn world(py: Python<'_>) -> PyResult<World> {
    // Unless it is being started, nobody holds the lock for long.
    if let Ok(state) = STATE.try_lock()
        && let State::Open(world) = &*state
    {
        return Ok(world.clone());
    }
    let opened = py.detach(|| {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Open(world) => Ok(world.clone()),
            State::Closed => Err(Error::Launch("girih's world was shut down".to_string())),
            State::New => {
                let plugins = PLUGINS.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let world = World::join(Config::from_environment()?, plugins.unwrap_or_default())?;
                world.interrupt_when(interrupted);
                world.locate_with(call_site);
                world.tell_advance(told());
                *state = State::Open(world.clone());
                Ok(world)
            }
        }
    });
    opened.map_err(|error| runtime_error(py, &error))
}

/// The world, if it was started and nobody starts or ends it.
pub(crate) fn open_world() -> Option<World> {
    // The lock may be held by a thread that waits for a rank that will not come.
    match STATE.try_lock().as_deref() {
        Ok(State::Open(world)) => Some(world.clone()),
        _ => None,
    }
}

/// While it lives, signals wait for whoever made it, who asks for them between graphs; no graph is given up for one.
pub(crate) struct SignalsHeld(());

/// Whether a [`SignalsHeld`] lives.
static SIGNALS_HELD: AtomicBool = AtomicBool::new(false);

impl SignalsHeld {
    pub(crate) fn new() -> SignalsHeld {
        SIGNALS_HELD.store(true, Relaxed); // Relaxed: set and asked for by the thread that waits
        SignalsHeld(())
    }
}

impl Drop for SignalsHeld {
    fn drop(&mut self) {
        SIGNALS_HELD.store(false, Relaxed); // Relaxed: as above
    }
}

/// Lets Python handle signals that came while a graph runs; true if a handler raised.
fn interrupted() -> bool {
    // Relaxed: the thread that made the guard is the one that waits.
    if SIGNALS_HELD.load(Relaxed) {
        return false;
    }
    let raised = Python::attach(|py| py.check_signals().is_err());
    if raised {
        INTERRUPTED.store(true, Relaxed); // Relaxed: set and taken by the thread that waits
    }
    raised
}

/// The line of the user's program that is being run, as `file:line`: the innermost one outside of this package.
///
/// Cost: a few microseconds, in operations that talk to other ranks only.
fn call_site() -> Option<String> {
    Python::attach(|py| {
        let package = PLUGINS.lock().unwrap_or_else(PoisonError::into_inner).as_deref()?.parent()?.to_path_buf();
        let mut frame = py.import("sys").and_then(|sys| sys.call_method0("_getframe")).ok()?;
        while !frame.is_none() {
            let file: String =
                frame.getattr("f_code").and_then(|code| code.getattr("co_filename")).ok()?.extract().ok()?;
            if !Path::new(&file).starts_with(&package) && !file.starts_with("<frozen") {
                let line: usize = frame.getattr("f_lineno").ok()?.extract().ok()?;
                return Some(format!("{file}:{line}"));
            }
            frame = frame.getattr("f_back").ok()?;
        }
        None
    })
}

#[pyfunction]
pub(crate) fn set_plugin_dir(path: PathBuf) {
    *PLUGINS.lock().unwrap_or_else(PoisonError::into_inner) = Some(path);
}

#[pyfunction]
#[pyo3(signature = (function, /))]
pub(crate) fn set_progress(py: Python<'_>, function: Option<Py<PyAny>>) -> Option<Py<PyAny>> {
    let before = replace(function);
    if let Some(world) = open_world() {
        world.tell_advance(told());
    }
    before.map(|function| function.clone_ref(py))
}

#[pyfunction]
pub(crate) fn start(py: Python<'_>, plugin_dir: PathBuf) -> PyResult<()> {
    set_plugin_dir(plugin_dir);
    world(py).map(drop)
}

#[pyfunction]
pub(crate) fn shut_down(py: Python<'_>) -> PyResult<()> {
    let ended = py.detach(|| {
        let world = match &*STATE.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Open(world) => Some(world.clone()),
            State::New | State::Closed => None,
        };
        // A world that others still use stays open, for `abort`.
        world.map_or(Ok(()), |world| world.shut_down())?;
        *STATE.lock().unwrap_or_else(PoisonError::into_inner) = State::Closed;
        Ok(())
    });
    ended.map_err(|error: Error| runtime_error(py, &error))
}

#[pyfunction]
pub(crate) fn abort(py: Python<'_>, status: i32) {
    if let Some(world) = open_world() {
        py.detach(|| world.abort(status));
    }
}

#[pyfunction]
pub(crate) fn rank(py: Python<'_>) -> PyResult<u32> {
    Ok(world(py)?.rank().0)
}

#[pyfunction]
pub(crate) fn size(py: Python<'_>) -> PyResult<usize> {
    Ok(world(py)?.size())
}

#[pyfunction]
pub(crate) fn barrier(py: Python<'_>) -> PyResult<()> {
    let world = world(py)?;
    py.detach(|| world.barrier()).map_err(|error| runtime_error(py, &error))
}

#[pyfunction]
#[pyo3(signature = (reset = false))]
pub(crate) fn report(py: Python<'_>, reset: bool) -> PyResult<Bound<'_, PyDict>> {
    let table = PyDict::new(py);
    for (operation, traffic) in world(py)?.traffic(reset) {
        let row = PyDict::new(py);
        row.set_item("messages", traffic.messages)?;
        row.set_item("collectives", traffic.collectives)?;
        row.set_item("bytes", traffic.bytes)?;
        table.set_item(operation, row)?;
    }
    Ok(table)
}

#[pyfunction]
pub(crate) fn begin_trace(py: Python<'_>, path: PathBuf) -> PyResult<()> {
    let world = world(py)?;
    py.detach(|| world.begin_trace(&path)).map_err(|error| runtime_error(py, &error))
}

#[pyfunction]
pub(crate) fn end_trace(py: Python<'_>) -> PyResult<()> {
    let world = world(py)?;
    py.detach(|| world.end_trace()).map_err(|error| runtime_error(py, &error))
}

#[pyfunction]
#[pyo3(signature = (number, what, began, ended, /))]
pub(crate) fn trace_process(number: u32, what: &str, began: f64, ended: f64) {
    if let Some(world) = open_world() {
        let [began, ended] = [began, ended].map(|seconds| Duration::from_secs_f64(seconds.max(0.0)));
        world.trace_process(number, what, began, ended);
    }
}

#[pyfunction]
pub(crate) fn discard_trace(py: Python<'_>) -> PyResult<()> {
    let world = world(py)?;
    py.detach(|| world.discard_trace());
    Ok(())
}

#[pyfunction]
#[pyo3(signature = (part, /))]
pub(crate) fn all_gather_bytes(py: Python<'_>, part: Vec<u8>) -> PyResult<Vec<Bound<'_, PyBytes>>> {
    let world = world(py)?;
    let parts = py.detach(|| world.all_gather_bytes(part)).map_err(|error| runtime_error(py, &error))?;
    Ok(parts.iter().map(|part| PyBytes::new(py, part)).collect())
}

#[pyfunction]
#[pyo3(signature = (root, whole, /))]
pub(crate) fn broadcast_bytes(py: Python<'_>, root: usize, whole: Option<Vec<u8>>) -> PyResult<Bound<'_, PyBytes>> {
    let world = world(py)?;
    if root >= world.size() {
        return Err(PyValueError::new_err(format!("root must be a rank below {}, not {root}", world.size())));
    }
    let mine = whole.unwrap_or_default();
    let whole = py.detach(|| world.broadcast_bytes(Rank::from(root), mine));
    Ok(PyBytes::new(py, &whole.map_err(|error| runtime_error(py, &error))?))
}

#[pyfunction]
pub(crate) fn world_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let world = world(py)?;
    let (node, placement, machine) = (world.node(), world.placement(), world.machine());
    let info = PyDict::new(py);
    info.set_item("rank", world.rank().0)?;
    info.set_item("size", world.size())?;
    info.set_item("host", &node.host)?;
    info.set_item("local_rank", node.local_rank)?;
    info.set_item("local_size", node.masks.len())?;
    info.set_item("threads", world.workers())?;
    info.set_item("comm_seat", placement.comm_seat.to_string())?;
    info.set_item("comm_cpus", placement.comm.to_string())?;
    let bindings = world.bindings().iter();
    let bindings: Vec<String> =
        bindings.map(|units| units.as_ref().map_or(String::new(), ToString::to_string)).collect();
    info.set_item("worker_cpus", bindings)?;
    info.set_item("worker_domains", placement.workers.iter().map(|place| place.domain).collect::<Vec<_>>())?;
    info.set_item("mpi", &node.mpi)?;
    info.set_item("warnings", &placement.warnings)?;
    let domains = PyDict::new(py);
    let mut rows = Vec::new();
    for domain in &machine.domains {
        let row = PyDict::new(py);
        row.set_item("os_index", domain.os_index)?;
        row.set_item("package", domain.package)?;
        row.set_item("bytes", domain.bytes)?;
        let cores: Vec<&[u32]> = domain.cores.iter().map(|core| core.units.units()).collect();
        row.set_item("cores", cores)?;
        rows.push(row);
    }
    domains.set_item("domains", rows)?;
    let caches = PyDict::new(py);
    caches.set_item("l1_bytes", machine.caches.l1_bytes)?;
    caches.set_item("l2_bytes", machine.caches.l2_bytes)?;
    caches.set_item("l3_bytes", machine.caches.l3_bytes)?;
    domains.set_item("caches", caches)?;
    info.set_item("machine", domains)?;
    Ok(info)
}
