//! The methods of `girih.Array` that reduce, and those that are functions of the package under another form.

use crate::functions::reduced;
use crate::handle::{PyArray, beside};
use crate::operand::Axes;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// Methods that a call with at most an axis and `keepdims` runs at once; NumPy's other arguments go through Python.
macro_rules! reductions {
    ($($name:ident)*) => {
        #[pymethods]
        impl PyArray {$(
            #[pyo3(signature = (axis = None, *rest, **options))]
            fn $name(
                slf: &Bound<'_, PyArray>,
                axis: Option<&Bound<'_, PyAny>>,
                rest: &Bound<'_, PyTuple>,
                options: Option<&Bound<'_, PyDict>>,
            ) -> PyResult<Py<PyAny>> {
                reduction(slf, stringify!($name), axis, rest, options)
            }
        )*}
    };
}

reductions! {
    sum prod min max mean any all
}

/// Methods that Python's modules have as functions.
macro_rules! forwarded {
    ($($name:ident)*) => {
        #[pymethods]
        impl PyArray {$(
            #[pyo3(signature = (*arguments, **options))]
            fn $name(
                slf: &Bound<'_, PyArray>,
                arguments: &Bound<'_, PyTuple>,
                options: Option<&Bound<'_, PyDict>>,
            ) -> PyResult<Py<PyAny>> {
                forward(slf, stringify!($name), arguments, options)
            }
        )*}
    };
}

forwarded! {
    var std ptp argmin argmax cumsum cumprod round clip
}

fn reduction(
    slf: &Bound<'_, PyArray>,
    name: &str,
    axis: Option<&Bound<'_, PyAny>>,
    rest: &Bound<'_, PyTuple>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let keep = match options {
        None => Some(false),
        Some(options) if options.len() == 1 => {
            options.get_item("keepdims")?.map(|keep| keep.extract::<bool>()).transpose()?
        }
        Some(_) => None,
    };
    let (Some(keep), true) = (keep, rest.is_empty()) else {
        let all = PyTuple::new(py, std::iter::once(axis.map_or_else(|| py.None(), |axis| axis.clone().unbind())))?;
        return forward(slf, name, &all.add(rest)?.cast_into::<PyTuple>()?, options);
    };
    let axes = Axes::list(axis.filter(|axis| !axis.is_none()).map(|axis| axis.extract()).transpose()?);
    let array = slf.get().value();
    let result = beside(py, &[&array], || reduced(&array, name, axes.as_deref(), keep))?;
    Ok(Bound::new(py, result)?.into_any().unbind())
}

/// The function of this name in the package, with the array in front of the arguments.
fn forward(
    slf: &Bound<'_, PyArray>,
    name: &str,
    arguments: &Bound<'_, PyTuple>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let all = PyTuple::new(py, [slf])?.add(arguments)?.cast_into::<PyTuple>()?;
    Ok(py.import("girih")?.getattr(name)?.call(all, options)?.unbind())
}
