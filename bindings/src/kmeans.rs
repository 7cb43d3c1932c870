//! What `girih.cluster.KMeans` is made of: observations, and models fitted to them.

use crate::error::cluster_error;
use crate::handle::PyArray;
use crate::numpy::{dtype_of, elements, owned};
use crate::world::{SignalsHeld, world};
use girih_arrays::{Array, DType, Element, NpyFile};
use girih_cluster::{
    Begin, Checkpoints, Csr, Error, Hooks, Iteration, Model, Observations, Observer, Options, Real, RowSource, Seeds,
    Storage,
};
use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a fit looks for an interrupt: often for a human, rarely for a program with other Python threads.
const SIGNALS_EVERY: Duration = Duration::from_millis(50);

/// The share of a rank's memory that rows read for each pass may take, if nothing else is said.
const STORED_SHARE: usize = 8;

pub(crate) enum Typed {
    Float32(Observations<f32>),
    Float64(Observations<f64>),
}

/// A matrix that was looked over for K-Means.
#[pyclass(name = "Observations", module = "girih._native", frozen)]
pub(crate) struct PyObservations(pub(crate) Typed);

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
pub(crate) use each;

#[pymethods]
impl PyObservations {
    #[new]
    #[pyo3(signature = (rows, /))]
    fn new(py: Python<'_>, rows: PyRef<'_, PyArray>) -> PyResult<PyObservations> {
        let rows = rows.value();
        let typed = py.detach(|| match rows.dtype() {
            DType::Float32 => Observations::new(&rows).map(Typed::Float32),
            DType::Float64 => Observations::new(&rows).map(Typed::Float64),
            other => Err(Error::Value(format!("observations are float32 or float64, not {other}"))),
        });
        typed.map(PyObservations).map_err(|error| cluster_error(py, &error))
    }

    /// The rows of a SciPy CSR matrix, the same on every rank.
    #[staticmethod]
    #[pyo3(signature = (shape, starts, columns, values, /))]
    fn sparse(
        py: Python<'_>,
        shape: [usize; 2],
        starts: PyReadonlyArray1<'_, i64>,
        columns: PyReadonlyArray1<'_, u32>,
        values: &Bound<'_, PyAny>,
    ) -> PyResult<PyObservations> {
        let starts: Vec<usize> = starts.as_slice()?.iter().map(|&start| start as usize).collect();
        let (world, columns) = (world(py)?, columns.as_slice()?);
        let typed = if let Ok(values) = values.extract::<PyReadonlyArray1<'_, f32>>() {
            let matrix = Csr { shape, starts: &starts, columns, values: values.as_slice()? };
            py.detach(|| Observations::sparse(&world, &matrix)).map(Typed::Float32)
        } else {
            let values = values.extract::<PyReadonlyArray1<'_, f64>>()?;
            let matrix = Csr { shape, starts: &starts, columns, values: values.as_slice()? };
            py.detach(|| Observations::sparse(&world, &matrix)).map(Typed::Float64)
        };
        typed.map(PyObservations).map_err(|error| cluster_error(py, &error))
    }

    /// Rows that are read for each pass: of a `.npy` file, or those that a function of two bounds gives.
    #[staticmethod]
    #[pyo3(signature = (source, shape, dtype, memory_budget, together, /))]
    fn stored(
        source: &Bound<'_, PyAny>,
        shape: [usize; 2],
        dtype: &Bound<'_, PyAny>,
        memory_budget: Option<usize>,
        together: usize,
    ) -> PyResult<PyObservations> {
        let (py, dtype) = (source.py(), dtype_of(dtype)?);
        let world = world(py)?;
        let limit = world.config().budget(world.node().masks.len());
        let storage = Storage { bytes_max: memory_budget.unwrap_or(limit / STORED_SHARE), together };
        let path = source.extract::<PathBuf>().ok();
        let read = source.clone().unbind();
        let typed = py.detach(|| {
            let source: Arc<dyn RowSource> = match path {
                Some(path) => Arc::new(NpyFile::open(&world, &path)?),
                None => Arc::new(Function { read, columns: shape[1], dtype }),
            };
            match dtype {
                DType::Float32 => Observations::stored(&world, source, shape, &storage).map(Typed::Float32),
                DType::Float64 => Observations::stored(&world, source, shape, &storage).map(Typed::Float64),
                other => Err(Error::Value(format!("observations are float32 or float64, not {other}"))),
            }
        });
        typed.map(PyObservations).map_err(|error| cluster_error(py, &error))
    }

    /// The same rows, each counted as often as its weight says.
    #[pyo3(signature = (weights, /))]
    fn weighted(&self, py: Python<'_>, weights: PyRef<'_, PyArray>) -> PyResult<PyObservations> {
        let weights = weights.value();
        let dtype = match &self.0 {
            Typed::Float32(_) => DType::Float32,
            Typed::Float64(_) => DType::Float64,
        };
        if weights.dtype() != dtype {
            let text = format!("weights must be {dtype} like the rows, not {}", weights.dtype());
            return Err(PyValueError::new_err(text));
        }
        let typed = py.detach(|| match &self.0 {
            Typed::Float32(observations) => observations.weighted(&weights).map(Typed::Float32),
            Typed::Float64(observations) => observations.weighted(&weights).map(Typed::Float64),
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
    fn plus_plus(&self, first: f64, draws: &Bound<'_, PyAny>) -> PyResult<(Py<PyAny>, Vec<usize>)> {
        let py = draws.py();
        let (shape, draws) = floats::<f64>(draws, "draws")?;
        let trials = shape[1];
        each!(&self.0, observations => {
            let seeds = py.detach(|| observations.plus_plus(first, &draws, trials));
            let Seeds { rows, centres } = seeds.map_err(|error| cluster_error(py, &error))?;
            Ok((matrix(py, observations.columns(), Ok(centres))?, rows))
        })
    }

    /// The distance of each row to each centre: a girih array, or a NumPy array on every rank.
    #[pyo3(signature = (centers, as_array, /))]
    fn distances(&self, centers: &Bound<'_, PyAny>, as_array: bool) -> PyResult<Py<PyAny>> {
        each!(&self.0, observations => distances(observations, centers, as_array))
    }

    #[pyo3(signature = (
        start, max_iter, tol, callback, /, shift = 0.0, prunes = true, unit = false, checkpoint = None, every = 10
    ))]
    #[allow(clippy::too_many_arguments, reason = "they are the arguments of a call from Python, by name")]
    fn lloyd<'py>(
        &self,
        start: &Bound<'py, PyAny>,
        max_iter: usize,
        tol: f64,
        callback: Option<Py<PyAny>>,
        shift: f64,
        prunes: bool,
        unit: bool,
        checkpoint: Option<PathBuf>,
        every: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        let options = Options { iterations_max: max_iter, tolerance: tol, shift, prunes, unit };
        let checkpoints = checkpoint.map(|path| Checkpoints { path, every });
        each!(&self.0, observations => fit(observations, start, &options, callback, checkpoints.as_ref()))
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

    /// One step without relocation: labels, means of each label's rows, their numbers, the mean distance.
    #[pyo3(signature = (centers, /))]
    fn update<'py>(&self, centers: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let py = centers.py();
        each!(&self.0, observations => {
            let (_, centres) = floats(centers, "centers")?;
            let updated = py.detach(|| {
                let (model, means, counts) = observations.update(&centres)?;
                let (apart, mean) = observations.own_distances(&model)?;
                Ok::<_, Error>((model, means, counts, apart, mean))
            });
            let (model, means, counts, apart, mean) = updated.map_err(|error| cluster_error(py, &error))?;
            let table = described(py, observations.columns(), model)?;
            table.set_item("means", matrix(py, observations.columns(), Ok(means))?)?;
            table.set_item("counts", counts)?;
            table.set_item("mean_distance", mean)?;
            let rows = apart.len();
            table.set_item("distances", owned(py, &[rows], apart)?)?;
            Ok(table)
        })
    }

    /// The mean of the columns' variances.
    fn mean_variance(&self, py: Python<'_>) -> PyResult<f64> {
        let found = py.detach(|| each!(&self.0, observations => observations.mean_variance()));
        found.map_err(|error| cluster_error(py, &error))
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
            return Ok(Bound::new(py, PyArray::new(array))?.into_any().unbind());
        }
        let parts = py.detach(|| world.all_gather_bytes(bytemuck::cast_slice(labels).to_vec()));
        let parts = parts.map_err(|error| cluster_error(py, &error.into()))?.concat();
        let all: Vec<i32> = parts.as_chunks().0.iter().map(|&label| i32::from_ne_bytes(label)).collect();
        let count = all.len();
        owned(py, &[count], all)
    }
}

/// A Python function that reads rows, called by whichever thread needs them.
#[derive(Debug)]
struct Function {
    read: Py<PyAny>,
    columns: usize,
    dtype: DType,
}

impl RowSource for Function {
    fn read(&self, rows: Range<usize>, out: &mut [u8]) -> Result<(), String> {
        let read = |py: Python<'_>| {
            let called = self.read.bind(py).call1((rows.start, rows.end)).and_then(|array| elements(&array));
            let (shape, dtype, bytes) = called.map_err(|error| traceback(py, &error))?;
            if shape != [rows.len(), self.columns] || dtype != self.dtype {
                return Err(format!("rows {rows:?} were read as {shape:?} of {dtype}, not {}", self.dtype));
            }
            out.copy_from_slice(&bytes);
            Ok(())
        };
        Python::try_attach(read).unwrap_or_else(|| Err("Python has ended".to_string()))
    }
}

fn distances<T: Real + Element + numpy::Element + Default>(
    observations: &Observations<T>,
    centres: &Bound<'_, PyAny>,
    as_array: bool,
) -> PyResult<Py<PyAny>> {
    let py = centres.py();
    let (shape, centres) = floats::<T>(centres, "centers")?;
    let world = observations.world();
    let fail = |error: Error| cluster_error(py, &error);
    let mine = py.detach(|| observations.distances(&centres)).map_err(fail)?;
    let own = [mine.len() / shape[0], shape[0]];
    if as_array {
        let array = py.detach(|| Array::from_local(world, &own, T::DTYPE, bytemuck::cast_slice(&mine)));
        return Ok(Bound::new(py, PyArray::new(array.map_err(|error| fail(error.into()))?))?.into_any().unbind());
    }
    if world.size() == 1 {
        return owned(py, &own, mine);
    }
    let parts = py.detach(|| world.all_gather_bytes(bytemuck::cast_slice(&mine).to_vec()));
    let parts = parts.map_err(|error| fail(error.into()))?;
    let mut all = vec![T::ZERO; observations.rows() * shape[0]];
    bytemuck::cast_slice_mut(&mut all).copy_from_slice(&parts.concat());
    owned(py, &[observations.rows(), shape[0]], all)
}

/// What Python raised while a fit went on.
#[derive(Default)]
pub(crate) struct Exception(Mutex<Option<PyErr>>);

impl Exception {
    fn set(&self, error: PyErr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    fn is_set(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// A question whether to stop: whether this is set, or a signal came.
    pub(crate) fn asking(&self) -> impl FnMut() -> bool {
        let mut asked = Instant::now();
        move || {
            if asked.elapsed() >= SIGNALS_EVERY {
                asked = Instant::now();
                if let Err(error) = Python::attach(|py| py.check_signals()) {
                    self.set(error);
                }
            }
            self.is_set()
        }
    }

    pub(crate) fn take(self) -> Option<PyErr> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fits; the callback's exception on this rank comes back as it was, and the other ranks get its traceback.
fn fit<'py, T: Real + Element + numpy::Element + Default>(
    observations: &Observations<T>,
    start: &Bound<'py, PyAny>,
    options: &Options,
    callback: Option<Py<PyAny>>,
    checkpoints: Option<&Checkpoints>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = start.py();
    // A path is that of a checkpoint.
    let path = start.extract::<PathBuf>().ok();
    let start = if path.is_none() { floats::<T>(start, "start")?.1 } else { Vec::new() };
    let begin = path.as_ref().map_or(Begin::Centres(&start), |path| Begin::Checkpoint(path));
    let (raised, interrupted) = (Exception::default(), Exception::default());
    let mut observer = |iteration: &Iteration| {
        Python::attach(|py| match tell(py, callback.as_ref(), iteration) {
            Err(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => {
                interrupted.set(error);
                Ok(false)
            }
            told => told.map_err(|error| {
                let text = traceback(py, &error);
                raised.set(error);
                text
            }),
        })
    };
    let mut interrupt = interrupted.asking();
    let held = SignalsHeld::new();
    let fitted = py.detach(|| {
        let observer: Option<&mut Observer<'_>> = if callback.is_some() { Some(&mut observer) } else { None };
        observations.lloyd_with(begin, options, Hooks { observer, checkpoints, interrupt: Some(&mut interrupt) })
    });
    drop(held);
    drop(interrupt);
    match (fitted, raised.take(), interrupted.take()) {
        (Err(Error::Observer(_)), Some(error), _) => Err(error),
        (Err(error), _, _) => Err(cluster_error(py, &error)),
        // Whatever else a handler of signals raises is the caller's.
        (_, _, Some(error)) if !error.is_instance_of::<PyKeyboardInterrupt>(py) => Err(error),
        (Ok(model), _, _) => described(py, observations.columns(), model),
    }
}

fn tell(py: Python<'_>, callback: Option<&Py<PyAny>>, iteration: &Iteration) -> PyResult<bool> {
    let Some(callback) = callback else { return Ok(false) };
    let Iteration { number, inertia, shift, changed, .. } = *iteration;
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

pub(crate) fn described<T: numpy::Element>(
    py: Python<'_>,
    columns: usize,
    model: Model<T>,
) -> PyResult<Bound<'_, PyDict>> {
    let labels = model.local_labels();
    let table = PyDict::new(py);
    table.set_item("inertia", model.inertia)?;
    table.set_item("tolerance", model.tolerance)?;
    table.set_item("n_iter", model.iterations)?;
    table.set_item("clusters", model.clusters)?;
    table.set_item("interrupted", model.interrupted)?;
    table.set_item("model", Bound::new(py, PyModel { labels })?)?;
    let shape = [model.centres.len() / columns, columns];
    table.set_item("centers", owned(py, &shape, model.centres)?)?;
    Ok(table)
}

pub(crate) fn matrix<T: numpy::Element>(
    py: Python<'_>,
    columns: usize,
    rows: Result<Vec<T>, Error>,
) -> PyResult<Py<PyAny>> {
    let rows = rows.map_err(|error| cluster_error(py, &error))?;
    let shape = [rows.len() / columns, columns];
    owned(py, &shape, rows)
}

/// Shape and elements of a NumPy matrix of this type.
pub(crate) fn floats<T: Element>(array: &Bound<'_, PyAny>, name: &str) -> PyResult<(Vec<usize>, Vec<T>)> {
    let (shape, dtype, bytes) = elements(array)?;
    if dtype != T::DTYPE || shape.len() != 2 {
        let text = format!("{name} must be a matrix of {}, not {dtype} with shape {shape:?}", T::DTYPE);
        return Err(PyValueError::new_err(text));
    }
    let mut elements = vec![T::zeroed(); bytes.len() / size_of::<T>()];
    bytemuck::cast_slice_mut(&mut elements).copy_from_slice(&bytes);
    Ok((shape, elements))
}
