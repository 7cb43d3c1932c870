//! What clustering offers beside single fits: several fits in shared passes, seeds from few passes, silhouettes.

use crate::error::cluster_error;
use crate::handle::PyArray;
use crate::kmeans::{Exception, PyObservations, Typed, described, each, floats, matrix};
use crate::numpy::owned;
use crate::world::SignalsHeld;
use girih_arrays::{Array, DType, Element};
use girih_cluster::{Candidates, Error, Observations, Options, Real, Seeds};
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Centres as Python has them, and weights or rows that belong to them.
type Chosen<W> = (Py<PyAny>, W);

#[pymethods]
impl PyObservations {
    /// Fits from several starts; each pass over the data serves all of them.
    #[pyo3(signature = (starts, max_iter, tol, /, unit = false))]
    fn lloyd_many<'py>(
        &self,
        py: Python<'py>,
        starts: Vec<Bound<'py, PyAny>>,
        max_iter: usize,
        tol: f64,
        unit: bool,
    ) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let options = Options { iterations_max: max_iter, tolerance: tol, unit, ..Options::default() };
        each!(&self.0, observations => fit_many(py, observations, &starts, &options))
    }

    /// Candidates for centres by k-means‖, and their weights.
    #[pyo3(signature = (first, seed, expected, rounds, /))]
    fn oversampled(
        &self,
        py: Python<'_>,
        first: f64,
        seed: u64,
        expected: f64,
        rounds: usize,
    ) -> PyResult<Chosen<Vec<f64>>> {
        each!(&self.0, observations => {
            let found = py.detach(|| observations.oversampled(first, seed, expected, rounds));
            let Candidates { centres, weights } = found.map_err(|error| cluster_error(py, &error))?;
            Ok((matrix(py, observations.columns(), Ok(centres))?, weights))
        })
    }

    /// Rows by AFK-MC², and their numbers.
    #[pyo3(signature = (first, proposals, accepts, length, /))]
    fn chained(
        &self,
        py: Python<'_>,
        first: f64,
        proposals: PyReadonlyArray2<'_, f64>,
        accepts: PyReadonlyArray1<'_, f64>,
        length: usize,
    ) -> PyResult<Chosen<Vec<usize>>> {
        let (proposals, accepts) = (proposals.as_slice()?.as_chunks().0, accepts.as_slice()?);
        each!(&self.0, observations => {
            let found = py.detach(|| observations.chained(first, proposals, accepts, length));
            let Seeds { rows, centres } = found.map_err(|error| cluster_error(py, &error))?;
            Ok((matrix(py, observations.columns(), Ok(centres))?, rows))
        })
    }

    /// The silhouette of each row: a girih array, or a NumPy array on every rank.
    #[pyo3(signature = (labels, clusters, squared, as_array, /))]
    fn silhouettes(
        &self,
        py: Python<'_>,
        labels: PyReadonlyArray1<'_, i32>,
        clusters: usize,
        squared: bool,
        as_array: bool,
    ) -> PyResult<Py<PyAny>> {
        let labels = labels.as_slice()?;
        each!(&self.0, observations => {
            let world = observations.world();
            let fail = |error: Error| cluster_error(py, &error);
            let own = py.detach(|| observations.silhouettes(labels, clusters, squared)).map_err(fail)?;
            let bytes = bytemuck::cast_slice(&own);
            if as_array {
                let array = py.detach(|| Array::from_local(world, &[own.len()], DType::Float64, bytes));
                let array = array.map_err(|error| fail(error.into()))?;
                return Ok(Bound::new(py, PyArray::new(array))?.into_any().unbind());
            }
            let parts = py.detach(|| world.all_gather_bytes(bytes.to_vec())).map_err(|error| fail(error.into()))?;
            let all: Vec<f64> = parts.concat().as_chunks().0.iter().map(|&value| f64::from_ne_bytes(value)).collect();
            owned(py, &[all.len()], all)
        })
    }
}

fn fit_many<'py, T: Real + Element + numpy::Element + Default>(
    py: Python<'py>,
    observations: &Observations<T>,
    starts: &[Bound<'py, PyAny>],
    options: &Options,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let starts: Vec<Vec<T>> = starts.iter().map(|start| Ok(floats::<T>(start, "start")?.1)).collect::<PyResult<_>>()?;
    let starts: Vec<&[T]> = starts.iter().map(|start| &start[..]).collect();
    let interrupted = Exception::default();
    let fitted = {
        let mut interrupt = interrupted.asking();
        let _held = SignalsHeld::new();
        py.detach(|| observations.lloyd_many(&starts, options, Some(&mut interrupt)))
    };
    let models = fitted.map_err(|error| cluster_error(py, &error))?;
    match interrupted.take() {
        // Whatever else a handler of signals raises is the caller's.
        Some(error) if !error.is_instance_of::<PyKeyboardInterrupt>(py) => Err(error),
        _ => models.into_iter().map(|model| described(py, observations.columns(), model)).collect(),
    }
}
