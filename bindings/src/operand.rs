//! What users may put beside an array: other arrays, NumPy's, lists, numbers; axes and indices.

use crate::error::array_error;
use crate::handle::PyArray;
use crate::numpy::{dtype_of, elements};
use crate::world::world;
use girih_arrays::array::Operand;
use girih_arrays::{Array, Binary, Casting, DType, Loops, Scalar};
use numpy::PyUntypedArray;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex, PyComplexMethods, PyFloat, PyInt};

/// An array of anything that NumPy takes; the same on every rank.
///
/// # Errors
/// `TypeError` for a dtype that girih does not have.
pub(crate) fn to_array(value: &Bound<'_, PyAny>) -> PyResult<Array> {
    if let Ok(array) = value.cast::<PyArray>() {
        return Ok(array.get().value());
    }
    let py = value.py();
    // Subclasses may mean something else by their elements, which NumPy resolves.
    let array = match value.is_exact_instance_of::<PyUntypedArray>() {
        true => value.clone(),
        false => py.import("numpy")?.call_method1("asarray", (value,))?,
    };
    let (shape, dtype, bytes) = elements(&array)?;
    let world = world(py)?;
    py.detach(|| Array::from_bytes(&world, &shape, dtype, &bytes)).map_err(|error| array_error(py, &error))
}

/// As [`to_operand`], beside an array of this dtype in an operation: there an integer that no element could be may
/// have a meaning, too.
///
/// # Errors
/// As [`to_array`]; `OverflowError` for an integer that no element of the array could be.
pub(crate) fn to_operand_beside(value: &Bound<'_, PyAny>, dtype: DType, op: Binary) -> PyResult<Operand> {
    if !value.is_exact_instance_of::<PyInt>() {
        return to_operand(value);
    }
    let number = whole(value)?;
    if number.is_some_and(|number| number.fits(dtype)) && (number.is_some_and(is_short) || !dtype.is_inexact()) {
        return to_operand(value);
    }
    let as_float = matches!(op.loops(), Loops::Quotients | Loops::Doubles) && number.is_none();
    if dtype.is_inexact() || as_float {
        return Ok(Scalar::Float(value.extract()?).into());
    }
    if (op.compares() || op.is_logical()) && dtype != DType::Bool {
        // All elements lie on the same side of it.
        return Ok(Scalar::Float(if value.gt(0)? { f64::INFINITY } else { f64::NEG_INFINITY }).into());
    }
    to_operand(value)
}

fn is_short(number: Scalar) -> bool {
    matches!(number, Scalar::Int(_))
}

/// A whole number of at most 64 bits.
fn whole(value: &Bound<'_, PyAny>) -> PyResult<Option<Scalar>> {
    if let Ok(value) = value.extract::<i64>() {
        return Ok(Some(Scalar::Int(value)));
    }
    Ok(value.extract::<u64>().ok().map(Scalar::Uint))
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

/// Whether this is one of Python's own numbers.
pub(crate) fn is_weak(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyComplex>()
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
        // The second reading is for its error.
        return Ok(Some(whole(value)?.map_or_else(|| value.extract().map(Scalar::Int), Ok)?));
    }
    if value.is_exact_instance_of::<PyFloat>() {
        return Ok(Some(Scalar::Float(value.extract()?)));
    }
    if let Ok(value) = value.cast_exact::<PyComplex>() {
        return Ok(Some(Scalar::Complex(value.real(), value.imag())));
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

/// A `casting` argument.
///
/// # Errors
/// `ValueError` for a rule that NumPy does not have.
pub(crate) fn to_casting(name: &str) -> PyResult<Casting> {
    match name {
        "no" => Ok(Casting::No),
        "equiv" => Ok(Casting::Equiv),
        "safe" => Ok(Casting::Safe),
        "same_kind" => Ok(Casting::SameKind),
        "unsafe" => Ok(Casting::Unsafe),
        _ => Err(PyValueError::new_err(format!(
            "casting must be one of 'no', 'equiv', 'safe', 'same_kind', or 'unsafe' (got '{name}')"
        ))),
    }
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
            let refused = |_| PyValueError::new_err("negative dimensions are not allowed");
            usize::try_from(length).map_err(refused)
        };
        self.list().into_iter().map(length).collect()
    }
}

/// The exception for a value that is no array.
pub(crate) fn no_scalar(shape: &[usize]) -> PyErr {
    PyTypeError::new_err(format!("only arrays of one element are numbers, this has shape {shape:?}"))
}
