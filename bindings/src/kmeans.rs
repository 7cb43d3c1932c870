//! What `girih.cluster.KMeans` is made of: observations, and models fitted to them.

use crate::error::cluster_error;
use crate::handle::PyArray;
use crate::numpy::{elements, owned};
use girih_arrays::{Array, DType, Element};
use girih_cluster::{Error, Iteration, Model, Observations, Options, Real};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

enum Typed {
    Float32(Observations<f32>),
    Float64(Observations<f64>),
}

/// A matrix that was looked over for K-Means.
#[pyclass(name = "Observations", module = "girih._native", frozen)]
pub(crate) struct PyObservations(Typed);

/// Labels of this rank's rows.
#[pyclass(name = "Model", module = "girih._native", frozen)]
pub(crate) struct PyModel {
    labels: Vec<i32>,
}

macro_rules! each {
    ($typed:expr, $observations:ident => $body:expr) => {
        match $typed {
            Typed::Float32($observations) => $body,
            Typed::Float64($observations) => $body,
        }
    };
}

#[pymethods]
impl PyObservations {
    #[new]
    #[pyo3(signature = (rows, /))]
    fn new(py: Python<'_>, rows: PyRef<'_, PyArray>) -> PyResult<PyObservations> {
        let rows = rows.0.clone();
        let typed = py.detach(|| match rows.dtype() {
            DType::Float32 => Observations::new(&rows).map(Typed::Float32),
            DType::Float64 => Observations::new(&rows).map(Typed::Float64),
            other => Err(Error::Value(format!("observations are float32 or float64, not {other}"))),
        });
        typed.map(PyObservations).map_err(|error| cluster_error(py, &error))
    }

    #[getter]
    fn n_samples(&self) -> usize {
        each!(&self.0, observations => observations.rows())
    }

    #[pyo3(signature = (indices, /))]
    fn rows(&self, py: Python<'_>, indices: Vec<usize>) -> PyResult<Py<PyAny>> {
        each!(&self.0, observations => matrix(py, observations.columns(), py.detach(|| observations.rows_at(&indices))))
    }

    #[pyo3(signature = (first, draws, /))]
    fn plus_plus(&self, first: f64, draws: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = draws.py();
        let (shape, draws) = floats::<f64>(draws, "draws")?;
        let trials = shape[1];
        each!(&self.0, observations => {
            matrix(py, observations.columns(), py.detach(|| observations.plus_plus(first, &draws, trials)))
        })
    }

    #[pyo3(signature = (start, max_iter, tol, callback, /))]
    fn lloyd<'py>(
        &self,
        start: &Bound<'py, PyAny>,
        max_iter: usize,
        tol: f64,
        callback: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let options = Options { iterations_max: max_iter, tolerance: tol };
        each!(&self.0, observations => fit(observations, start, &options, callback))
    }

    #[pyo3(signature = (centers, /))]
    fn assign<'py>(&self, centers: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let py = centers.py();
        each!(&self.0, observations => {
            let (_, centres) = floats(centers, "centers")?;
            let model = py.detach(|| observations.assign(&centres)).map_err(|error| cluster_error(py, &error))?;
            described(py, observations.columns(), model)
        })
    }

    #[pyo3(signature = (model, as_array, /))]
    fn labels(&self, py: Python<'_>, model: PyRef<'_, PyModel>, as_array: bool) -> PyResult<Py<PyAny>> {
        let world = each!(&self.0, observations => observations.world().clone());
        let labels = &model.labels;
        if as_array {
            let wide: Vec<i64> = labels.iter().map(|&label| i64::from(label)).collect();
            let bytes = bytemuck::cast_slice(&wide);
            let array = py.detach(|| Array::from_local(&world, &[wide.len()], DType::Int64, bytes));
            let array = array.map_err(|error| cluster_error(py, &error.into()))?;
            return Ok(Bound::new(py, PyArray(array))?.into_any().unbind());
        }
        let parts = py.detach(|| world.all_gather_bytes(bytemuck::cast_slice(labels).to_vec()));
        let parts = parts.map_err(|error| cluster_error(py, &error.into()))?.concat();
        let all: Vec<i32> = parts.as_chunks().0.iter().map(|&label| i32::from_ne_bytes(label)).collect();
        let count = all.len();
        owned(py, &[count], all)
    }
}

/// Fits; the callback's exception on this rank comes back as it was, and the other ranks get its traceback.
fn fit<'py, T: Real + Element + numpy::Element + Default>(
    observations: &Observations<T>,
    start: &Bound<'py, PyAny>,
    options: &Options,
    callback: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = start.py();
    let (_, start) = floats::<T>(start, "start")?;
    let mut raised = None;
    let fitted = py.detach(|| match &callback {
        None => observations.lloyd(&start, options, None),
        Some(callback) => {
            let mut observer = |iteration: &Iteration| {
                Python::attach(|py| {
                    let told = tell(py, callback, iteration);
                    told.map_err(|error| {
                        let text = traceback(py, &error);
                        raised = Some(error);
                        text
                    })
                })
            };
            observations.lloyd(&start, options, Some(&mut observer))
        }
    });
    match (fitted, raised) {
        (Err(Error::Observer(_)), Some(error)) => Err(error),
        (Err(error), _) => Err(cluster_error(py, &error)),
        (Ok(model), _) => described(py, observations.columns(), model),
    }
}

fn tell(py: Python<'_>, callback: &Py<PyAny>, iteration: &Iteration) -> PyResult<bool> {
    // Between iterations is where an interrupt is noticed first.
    py.check_signals()?;
    let Iteration { number, inertia, shift, changed } = *iteration;
    callback.call1(py, (number, inertia, shift, changed))?.bind(py).is_truthy()
}

/// An exception as Python prints it.
fn traceback(py: Python<'_>, error: &PyErr) -> String {
    let lines = py
        .import("traceback")
        .and_then(|module| module.call_method1("format_exception", (error.value(py),)))
        .and_then(|lines| lines.extract::<Vec<String>>());
    lines.map_or_else(|_| error.to_string(), |lines| lines.concat())
}

fn described<T: numpy::Element>(py: Python<'_>, columns: usize, model: Model<T>) -> PyResult<Bound<'_, PyDict>> {
    let labels = model.local_labels();
    let table = PyDict::new(py);
    table.set_item("inertia", model.inertia)?;
    table.set_item("n_iter", model.iterations)?;
    table.set_item("clusters", model.clusters)?;
    table.set_item("model", Bound::new(py, PyModel { labels })?)?;
    let shape = [model.centres.len() / columns, columns];
    table.set_item("centers", owned(py, &shape, model.centres)?)?;
    Ok(table)
}

fn matrix<T: numpy::Element>(py: Python<'_>, columns: usize, rows: Result<Vec<T>, Error>) -> PyResult<Py<PyAny>> {
    let rows = rows.map_err(|error| cluster_error(py, &error))?;
    let shape = [rows.len() / columns, columns];
    owned(py, &shape, rows)
}

/// Shape and elements of a NumPy matrix of this type.
fn floats<T: Element>(array: &Bound<'_, PyAny>, name: &str) -> PyResult<(Vec<usize>, Vec<T>)> {
    let (shape, dtype, bytes) = elements(array)?;
    if dtype != T::DTYPE || shape.len() != 2 {
        let text = format!("{name} must be a matrix of {}, not {dtype} with shape {shape:?}", T::DTYPE);
        return Err(PyValueError::new_err(text));
    }
    let mut elements = vec![T::zeroed(); bytes.len() / size_of::<T>()];
    bytemuck::cast_slice_mut(&mut elements).copy_from_slice(&bytes);
    Ok((shape, elements))
}
