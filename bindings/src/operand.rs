//! What users may put beside an array: other arrays, NumPy's, lists, numbers; axes and indices.

use crate::error::array_error;
use crate::handle::PyArray;
use crate::numpy::{dtype_of, elements};
use crate::world::world;
use girih_arrays::array::Operand;
use girih_arrays::{Array, DType, Index, Scalar};
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyEllipsis, PyFloat, PyInt, PySlice, PyTuple};

/// An array of anything that NumPy takes; the same on every rank.
///
/// # Errors
/// `TypeError` for a dtype that girih does not have.
pub(crate) fn to_array(value: &Bound<'_, PyAny>) -> PyResult<Array> {
    if let Ok(array) = value.cast::<PyArray>() {
        return Ok(array.get().0.clone());
    }
    let py = value.py();
    let array = py.import("numpy")?.call_method1("asarray", (value,))?;
    let (shape, dtype, bytes) = elements(&array)?;
    let world = world(py)?;
    py.detach(|| Array::from_bytes(&world, &shape, dtype, &bytes)).map_err(|error| array_error(py, &error))
}

/// A side of an operation. Python's own numbers are weak (NEP 50); NumPy's scalars keep their dtype.
///
/// # Errors
/// As [`to_array`].
pub(crate) fn to_operand(value: &Bound<'_, PyAny>) -> PyResult<Operand> {
    match to_weak(value)? {
        Some(scalar) => Ok(scalar.into()),
        None => Ok(to_array(value)?.into()),
    }
}

/// One of Python's own numbers.
///
/// # Errors
/// `OverflowError` for an integer beyond 64 bits.
pub(crate) fn to_weak(value: &Bound<'_, PyAny>) -> PyResult<Option<Scalar>> {
    if value.is_exact_instance_of::<PyBool>() {
        return Ok(Some(Scalar::Bool(value.extract()?)));
    }
    if value.is_exact_instance_of::<PyInt>() {
        return Ok(Some(Scalar::Int(value.extract()?)));
    }
    if value.is_exact_instance_of::<PyFloat>() {
        return Ok(Some(Scalar::Float(value.extract()?)));
    }
    Ok(None)
}

/// A dtype argument.
///
/// # Errors
/// As [`dtype_of`].
pub(crate) fn to_dtype(dtype: Option<&Bound<'_, PyAny>>) -> PyResult<Option<DType>> {
    dtype.filter(|dtype| !dtype.is_none()).map(dtype_of).transpose()
}

/// An `axis` argument: none, one, or a tuple.
#[derive(FromPyObject)]
pub(crate) enum Axes {
    One(i64),
    Several(Vec<i64>),
}

impl Axes {
    pub(crate) fn list(axes: Option<Axes>) -> Option<Vec<i64>> {
        axes.map(|axes| match axes {
            Axes::One(axis) => vec![axis],
            Axes::Several(axes) => axes,
        })
    }
}

/// A shape argument: a number or several.
#[derive(FromPyObject)]
pub(crate) enum Lengths {
    One(i64),
    Several(Vec<i64>),
}

impl Lengths {
    pub(crate) fn list(self) -> Vec<i64> {
        match self {
            Lengths::One(length) => vec![length],
            Lengths::Several(lengths) => lengths,
        }
    }

    /// As a shape of a new array.
    ///
    /// # Errors
    /// `ValueError` for a negative length.
    pub(crate) fn shape(self) -> PyResult<Vec<usize>> {
        let length = |length: i64| {
            let refused = |_| pyo3::exceptions::PyValueError::new_err("negative dimensions are not allowed");
            usize::try_from(length).map_err(refused)
        };
        self.list().into_iter().map(length).collect()
    }
}

/// What stands between an array's brackets.
///
/// # Errors
/// `IndexError` for what is neither integer, slice, ellipsis nor None.
pub(crate) fn to_indices(index: &Bound<'_, PyAny>) -> PyResult<Vec<Index>> {
    match index.cast::<PyTuple>() {
        Ok(tuple) => tuple.iter().map(|part| to_index(&part)).collect(),
        Err(_) => Ok(vec![to_index(index)?]),
    }
}

fn to_index(index: &Bound<'_, PyAny>) -> PyResult<Index> {
    if index.is_none() {
        return Ok(Index::NewAxis);
    }
    if index.is_instance_of::<PyEllipsis>() {
        return Ok(Index::Ellipsis);
    }
    if let Ok(slice) = index.cast::<PySlice>() {
        let bound = |name| -> PyResult<Option<i64>> {
            let bound = slice.getattr(name)?;
            if bound.is_none() { Ok(None) } else { Ok(Some(to_place(&bound)?)) }
        };
        return Ok(Index::Slice { start: bound("start")?, stop: bound("stop")?, step: bound("step")? });
    }
    if index.is_instance_of::<PyBool>() {
        return Err(unsupported_index());
    }
    Ok(Index::At(to_place(index)?))
}

fn to_place(index: &Bound<'_, PyAny>) -> PyResult<i64> {
    let place = index.call_method0("__index__").map_err(|_| unsupported_index())?;
    place.extract()
}

fn unsupported_index() -> PyErr {
    PyIndexError::new_err(
        "girih arrays are indexed by integers, slices (`:`), ellipsis (`...`) and None; \
         for masks use `gr.where`, for rows by number `np.asarray(x)[rows]`",
    )
}

/// The exception for a value that is no array.
pub(crate) fn no_scalar(shape: &[usize]) -> PyErr {
    PyTypeError::new_err(format!("only arrays of one element are numbers, this has shape {shape:?}"))
}
