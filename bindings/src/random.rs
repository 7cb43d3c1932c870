//! Random arrays: the class `Stream`, the numbers of one call of a generator.

use crate::error::array_error;
use crate::handle::{PyArray, detached};
use crate::numpy::dtype_of;
use crate::operand::{to_array, to_weak};
use crate::world::world;
use girih_arrays::random::{self, Count, Parameter, Real};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The class `Stream`.
#[pyclass(name = "Stream", module = "girih._native", frozen)]
pub(crate) struct PyStream(random::Stream);

/// One of Python's numbers, or an array of them.
fn parameter(value: &Bound<'_, PyAny>) -> PyResult<Parameter> {
    Ok(match to_weak(value)? {
        Some(number) => Parameter::Number(number),
        None => Parameter::Each(to_array(value)?),
    })
}

fn parameters(values: &[Bound<'_, PyAny>], name: &str, count: usize) -> PyResult<Vec<Parameter>> {
    if values.len() != count {
        return Err(PyValueError::new_err(format!("{name} has {count} parameters, not {}", values.len())));
    }
    values.iter().map(parameter).collect()
}

#[pymethods]
impl PyStream {
    #[new]
    #[pyo3(signature = (key, call, /))]
    fn new(key: (u64, u64), call: u64) -> PyStream {
        PyStream(random::Stream { key: [key.0, key.1], call })
    }

    /// Numbers of the distribution with this name.
    #[pyo3(signature = (name, values, shape, dtype, /))]
    fn draw(
        &self,
        py: Python<'_>,
        name: &str,
        values: Vec<Bound<'_, PyAny>>,
        shape: Vec<usize>,
        dtype: &Bound<'_, PyAny>,
    ) -> PyResult<PyArray> {
        let (world, stream) = (world(py)?, self.0);
        if let Some(real) = Real::ALL.into_iter().find(|real| real.name().0 == name) {
            let (dtype, values) = (dtype_of(dtype)?, parameters(&values, name, real.name().1)?);
            return detached(py, || random::real(&world, stream, real, &values, &shape, dtype));
        }
        let count = Count::ALL.into_iter().find(|count| count.name().0 == name);
        let count = count.ok_or_else(|| PyValueError::new_err(format!("there is no distribution {name}")))?;
        let values = parameters(&values, name, count.name().1)?;
        detached(py, || random::count(&world, stream, count, &values, &shape))
    }

    /// Whole numbers between two bounds, both included.
    #[pyo3(signature = (low, high, shape, /))]
    fn integers(&self, low: &Bound<'_, PyAny>, high: &Bound<'_, PyAny>, shape: Vec<usize>) -> PyResult<PyArray> {
        let (world, low, high) = (world(low.py())?, parameter(low)?, parameter(high)?);
        detached_in(|| random::integers(&world, self.0, &low, &high, &shape))
    }

    /// 0, 1, … in a random order.
    #[pyo3(signature = (numbers, /))]
    fn permutation(&self, py: Python<'_>, numbers: usize) -> PyResult<PyArray> {
        let world = world(py)?;
        detached(py, || random::permutation(&world, self.0, numbers))
    }

    /// Each vector along the last axis in an order of its own.
    #[pyo3(signature = (x, /))]
    fn permuted(&self, x: &Bound<'_, PyAny>) -> PyResult<PyArray> {
        let array = to_array(x)?;
        detached(x.py(), || random::permuted(self.0, &array))
    }

    /// Vectors of positive numbers whose sum is 1.
    #[pyo3(signature = (alpha, shape, /))]
    fn dirichlet(&self, py: Python<'_>, alpha: Vec<f64>, shape: Vec<usize>) -> PyResult<PyArray> {
        let world = world(py)?;
        detached(py, || random::dirichlet(&world, self.0, &alpha, &shape))
    }

    /// How often each outcome comes.
    #[pyo3(signature = (trials, probabilities, shape, /))]
    fn multinomial(
        &self,
        trials: &Bound<'_, PyAny>,
        probabilities: &Bound<'_, PyAny>,
        shape: Vec<usize>,
    ) -> PyResult<PyArray> {
        let (trials, probabilities) = (to_array(trials)?, to_array(probabilities)?);
        detached_in(|| random::multinomial(self.0, &trials, &probabilities, &shape))
    }

    /// How many things of each colour are drawn.
    #[pyo3(signature = (colors, sample, shape, /))]
    fn multivariate_hypergeometric(
        &self,
        py: Python<'_>,
        colors: Vec<u64>,
        sample: u64,
        shape: Vec<usize>,
    ) -> PyResult<PyArray> {
        let world = world(py)?;
        detached(py, || random::multivariate_hypergeometric(&world, self.0, &colors, sample, &shape))
    }

    /// Numbers of outcomes with these sums of probabilities.
    #[pyo3(signature = (sums, shape, /))]
    fn categorical(&self, py: Python<'_>, sums: Vec<f64>, shape: Vec<usize>) -> PyResult<PyArray> {
        let world = world(py)?;
        detached(py, || random::categorical(&world, self.0, &sums, &shape))
    }

    /// Random bytes, the same on every rank.
    #[pyo3(signature = (length, /))]
    fn bytes(&self, py: Python<'_>, length: usize) -> PyResult<Vec<u8>> {
        let world = world(py)?;
        let (low, high) = (i64::MIN, i64::MAX);
        let words = py.detach(|| {
            let bound = |bound| Parameter::Number(girih_arrays::Scalar::Int(bound));
            random::integers(&world, self.0, &bound(low), &bound(high), &[length.div_ceil(8)])?.to_vec::<i64>()
        });
        let words = words.map_err(|error| array_error(py, &error))?;
        let mut bytes: Vec<u8> = words.into_iter().flat_map(i64::to_le_bytes).collect();
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn detached_in(run: impl FnOnce() -> Result<girih_arrays::Array, girih_arrays::Error> + Send) -> PyResult<PyArray> {
    Python::attach(|py| detached(py, run))
}
