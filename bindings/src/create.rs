//! New arrays: filled, counted, from NumPy, from files.

use crate::error::array_error;
use crate::handle::{PyArray, detached};
use crate::numpy::elements;
use crate::operand::{Lengths, to_array, to_dtype, to_weak};
use crate::world::world;
use girih_arrays::distribution::RowDistribution;
use girih_arrays::{Array, DType, Scalar, Unary};
use girih_runtime::ids::Rank;
use pyo3::exceptions::{PyTypeError, PyValueError, PyZeroDivisionError};
use pyo3::prelude::*;
use std::path::PathBuf;

#[pyfunction]
#[pyo3(signature = (shape, dtype = None))]
pub(crate) fn zeros(py: Python<'_>, shape: Lengths, dtype: Option<&Bound<'_, PyAny>>) -> PyResult<PyArray> {
    filled(py, shape, Scalar::Int(0), to_dtype(dtype)?.unwrap_or(DType::Float64))
}

#[pyfunction]
#[pyo3(signature = (shape, dtype = None))]
pub(crate) fn ones(py: Python<'_>, shape: Lengths, dtype: Option<&Bound<'_, PyAny>>) -> PyResult<PyArray> {
    filled(py, shape, Scalar::Int(1), to_dtype(dtype)?.unwrap_or(DType::Float64))
}

#[pyfunction]
#[pyo3(signature = (shape, dtype = None))]
pub(crate) fn empty(py: Python<'_>, shape: Lengths, dtype: Option<&Bound<'_, PyAny>>) -> PyResult<PyArray> {
    zeros(py, shape, dtype)
}

#[pyfunction]
#[pyo3(signature = (shape, fill_value, dtype = None))]
pub(crate) fn full(
    py: Python<'_>,
    shape: Lengths,
    fill_value: &Bound<'_, PyAny>,
    dtype: Option<&Bound<'_, PyAny>>,
) -> PyResult<PyArray> {
    let dtype = to_dtype(dtype)?;
    if let Some(value) = to_weak(fill_value)? {
        return filled(py, shape, value, dtype.unwrap_or(value.dtype()));
    }
    let (value, shape) = (to_array(fill_value)?, shape.shape()?);
    detached(py, || {
        let value = dtype.map_or_else(|| Ok(value.clone()), |dtype| value.astype(dtype))?;
        value.broadcast_to(&shape)
    })
}

fn filled(py: Python<'_>, shape: Lengths, value: Scalar, dtype: DType) -> PyResult<PyArray> {
    let (world, shape) = (world(py)?, shape.shape()?);
    detached(py, || Array::full(&world, &shape, value, dtype))
}

#[pyfunction]
#[pyo3(signature = (start, stop = None, step = None, dtype = None))]
pub(crate) fn arange(
    py: Python<'_>,
    start: &Bound<'_, PyAny>,
    stop: Option<&Bound<'_, PyAny>>,
    step: Option<&Bound<'_, PyAny>>,
    dtype: Option<&Bound<'_, PyAny>>,
) -> PyResult<PyArray> {
    let (first, last) = match stop.filter(|stop| !stop.is_none()) {
        Some(stop) => (number(start)?, number(stop)?),
        None => (Scalar::Int(0), number(start)?),
    };
    let step = step.filter(|step| !step.is_none()).map_or(Ok(Scalar::Int(1)), number)?;
    if step.to_f64() == 0.0 {
        return Err(PyZeroDivisionError::new_err("division by zero"));
    }
    let natural = [first, last, step].map(Scalar::dtype).into_iter().fold(DType::Int64, DType::promote);
    let (world, dtype) = (world(py)?, to_dtype(dtype)?.unwrap_or(natural));
    detached(py, || Array::arange(&world, first, last, step, dtype))
}

#[pyfunction]
#[pyo3(signature = (start, stop, num = 50, dtype = None, *, endpoint = true))]
pub(crate) fn linspace(
    py: Python<'_>,
    start: f64,
    stop: f64,
    num: i64,
    dtype: Option<&Bound<'_, PyAny>>,
    endpoint: bool,
) -> PyResult<PyArray> {
    let refused = |_| PyValueError::new_err(format!("Number of samples, {num}, must be non-negative."));
    let count = usize::try_from(num).map_err(refused)?;
    let (world, dtype) = (world(py)?, to_dtype(dtype)?);
    detached(py, || {
        let values = Array::linspace(&world, start, stop, count, endpoint)?;
        // Integers are rounded down, as NumPy does it here, not towards zero.
        let values = if dtype.is_some_and(DType::is_integer) { values.unary(Unary::Floor)? } else { values };
        dtype.map_or_else(|| Ok(values.clone()), |dtype| values.astype(dtype))
    })
}

#[pyfunction]
#[pyo3(signature = (n, m = None, k = 0, dtype = None))]
pub(crate) fn eye(
    py: Python<'_>,
    n: usize,
    m: Option<usize>,
    k: i64,
    dtype: Option<&Bound<'_, PyAny>>,
) -> PyResult<PyArray> {
    let (world, dtype) = (world(py)?, to_dtype(dtype)?.unwrap_or(DType::Float64));
    detached(py, || Array::eye(&world, n, m.unwrap_or(n), k, dtype))
}

#[pyfunction]
#[pyo3(signature = (a, dtype = None))]
pub(crate) fn asarray<'py>(a: &Bound<'py, PyAny>, dtype: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let py = a.py();
    let array = match (to_dtype(dtype)?, a.cast::<PyArray>()) {
        (None, Ok(_)) => return Ok(a.clone()),
        (Some(dtype), Ok(array)) if array.get().value().dtype() == dtype => return Ok(a.clone()),
        (Some(dtype), Ok(array)) => {
            let array = array.get().value();
            detached(py, || array.astype(dtype))?
        }
        (None, Err(_)) => PyArray::new(to_array(a)?),
        (Some(dtype), Err(_)) => {
            let array = py.import("numpy")?.call_method1("asarray", (a, dtype.name()))?;
            PyArray::new(to_array(&array)?)
        }
    };
    Ok(Bound::new(py, array)?.into_any())
}

#[pyfunction]
#[pyo3(signature = (part, axis = 0))]
pub(crate) fn from_local(part: &Bound<'_, PyAny>, axis: i64) -> PyResult<PyArray> {
    let (py, numpy) = (part.py(), part.py().import("numpy")?);
    let world = world(py)?;
    let first = |part: Bound<'_, PyAny>| match axis {
        0 => elements(&part),
        _ => elements(&numpy.call_method1("moveaxis", (part, axis, 0))?),
    };
    // One rank's list of unequal rows, or unsupported dtype, must not leave the others waiting.
    let read = numpy.call_method1("asarray", (part,)).and_then(first);
    let agreed = read.as_ref().map(|_| ()).map_err(ToString::to_string);
    let agreed = py.detach(|| world.agree(agreed));
    let (shape, dtype, bytes) = read?;
    agreed.map_err(|error| array_error(py, &error.into()))?;
    let dimensions = shape.len() as i64;
    let axis = if axis < 0 { axis + dimensions } else { axis };
    let order: Vec<i64> = (1..=axis).chain([0]).chain(axis + 1..dimensions).collect();
    detached(py, || {
        let rows = Array::from_local(&world, &shape, dtype, &bytes)?;
        if axis == 0 { Ok(rows) } else { rows.permute(&order) }
    })
}

/// The rows that a rank, this one if none is named, holds of arrays with so many rows that are divided among ranks.
#[pyfunction]
#[pyo3(signature = (rows, rank = None))]
pub(crate) fn rows_of_rank(py: Python<'_>, rows: usize, rank: Option<usize>) -> PyResult<(usize, usize)> {
    let world = world(py)?;
    let rank = rank.map_or(world.rank(), Rank::from);
    if rank.index() >= world.size() {
        return Err(PyValueError::new_err(format!("rank must be below {}, not {}", world.size(), rank.index())));
    }
    let rows = RowDistribution::new(rows, world.size(), world.config().tile_bytes).rows_of(rank);
    Ok((rows.start, rows.end))
}

#[pyfunction]
#[pyo3(signature = (file, dtype = None))]
pub(crate) fn load(py: Python<'_>, file: PathBuf, dtype: Option<&Bound<'_, PyAny>>) -> PyResult<PyArray> {
    let (world, dtype) = (world(py)?, to_dtype(dtype)?);
    detached(py, || {
        let array = Array::load(&world, &file)?;
        dtype.map_or_else(|| Ok(array.clone()), |dtype| array.astype(dtype))
    })
}

#[pyfunction]
#[pyo3(signature = (file, x))]
pub(crate) fn save(py: Python<'_>, file: PathBuf, x: &Bound<'_, PyAny>) -> PyResult<()> {
    let array = to_array(x)?;
    py.detach(|| array.save(&file)).map_err(|error| array_error(py, &error))
}

fn number(value: &Bound<'_, PyAny>) -> PyResult<Scalar> {
    if let Some(number) = to_weak(value)? {
        return Ok(number);
    }
    if let Ok(number) = value.extract::<i64>() {
        return Ok(Scalar::Int(number));
    }
    value.extract().map(Scalar::Float).map_err(|_| PyTypeError::new_err("arange takes numbers"))
}
