//! What Python's `girih.explain` shows: the plan of an evaluation, and how rows lie on ranks.

use crate::error::array_error;
use crate::handle::PyArray;
use girih_arrays::Layout;
use girih_arrays::explain::Step;
use girih_runtime::ids::Rank;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The steps of the array's evaluation, this rank's part of it as numbers, and as Graphviz's text.
#[pyfunction]
#[pyo3(signature = (x, /))]
pub(crate) fn explain<'py>(
    py: Python<'py>,
    x: &PyArray,
) -> PyResult<(Vec<Bound<'py, PyDict>>, Bound<'py, PyDict>, String)> {
    let array = x.value();
    let found = py.detach(|| array.explain()).map_err(|error| array_error(py, &error))?;
    let steps = found.steps.iter().map(|step| described(py, step)).collect::<PyResult<_>>()?;
    let outline = PyDict::new(py);
    outline.set_item("tasks", found.outline.tasks)?;
    outline.set_item("messages", found.outline.messages)?;
    outline.set_item("collectives", found.outline.collectives)?;
    outline.set_item("bytes_sent", found.outline.bytes_sent)?;
    outline.set_item("bytes_held", found.outline.bytes_held)?;
    outline.set_item("depth", found.outline.depth)?;
    Ok((steps, outline, found.dot))
}

fn described<'py>(py: Python<'py>, step: &Step) -> PyResult<Bound<'py, PyDict>> {
    let row = PyDict::new(py);
    row.set_item("operation", &step.operation)?;
    row.set_item("fused", &step.fused)?;
    row.set_item("dtype", step.dtype.to_string())?;
    row.set_item("shape", step.shape.to_vec())?;
    row.set_item("divided", step.divided)?;
    row.set_item("inputs", &step.inputs)?;
    row.set_item("arrays", step.leaves)?;
    Ok(row)
}

/// The places along the divided axis at which each tile of each rank ends; one tile that is whole on each rank of an
/// array that is not divided.
#[pyfunction]
#[pyo3(signature = (x, /))]
pub(crate) fn tiles(x: &PyArray) -> Vec<Vec<usize>> {
    let array = x.value();
    let (array, _) = array.base();
    let (rows, ranks) = (array.distribution(), array.world().size());
    let ends = |rank: usize| match array.layout() {
        Layout::Replicated => vec![array.rows_of(Rank::from(rank)).end],
        Layout::Rows => {
            let rank = Rank::from(rank);
            (0..rows.tiles_of(rank)).map(|tile| rows.rows_of_tile(rank, tile).end).collect()
        }
    };
    (0..ranks).map(ends).collect()
}
