//! Elements in and out of NumPy's arrays: who owns the memory, and how long.
//!
//! Invariant: a view that Python gets is read-only, and keeps the part alive whose memory it shows.

#![allow(unsafe_code, reason = "a view on our memory is handed to NumPy")]

use girih_arrays::array::Local;
use girih_arrays::{DType, Element, Part};
use ndarray::{ArrayView, IxDyn};
use numpy::{IntoPyArray, PyArrayDescr, PyArrayDescrMethods, PyArrayDyn, PyReadonlyArrayDyn};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;

/// Keeps a part alive while NumPy looks at it.
#[pyclass(frozen)]
struct Owner {
    _part: Arc<Part>,
}

/// NumPy's dtype of our type.
pub(crate) fn dtype(py: Python<'_>, dtype: DType) -> PyResult<Bound<'_, PyArrayDescr>> {
    PyArrayDescr::new(py, dtype.name())
}

/// Our type for something that NumPy takes as a dtype.
///
/// # Errors
/// `TypeError` if girih has no such type.
pub(crate) fn dtype_of(dtype: &Bound<'_, PyAny>) -> PyResult<DType> {
    let descr = PyArrayDescr::new(dtype.py(), dtype)?;
    let known = match (descr.kind(), descr.itemsize()) {
        (b'b', 1) => Some(DType::Bool),
        (b'i', 8) => Some(DType::Int64),
        (b'f', 4) => Some(DType::Float32),
        (b'f', 8) => Some(DType::Float64),
        _ => None,
    };
    known.filter(|_| descr.is_native_byteorder() != Some(false)).ok_or_else(|| {
        let text = format!("dtype {descr} is not supported: use bool, int64, float32 or float64 (native byte order)");
        PyTypeError::new_err(text)
    })
}

/// Shape, type and elements of a NumPy array, in row-major order.
///
/// # Errors
/// `TypeError` for a dtype that girih does not have.
pub(crate) fn elements(array: &Bound<'_, PyAny>) -> PyResult<(Vec<usize>, DType, Vec<u8>)> {
    let dtype = dtype_of(&array.getattr("dtype")?)?;
    let array = array.py().import("numpy")?.call_method1("asarray", (array, py_none(array), "C"))?;
    let shape = array.getattr("shape")?.extract()?;
    let bytes = match dtype {
        DType::Bool => bytemuck::cast_slice(array.extract::<PyReadonlyArrayDyn<'_, bool>>()?.as_slice()?).to_vec(),
        DType::Int64 => bytemuck::cast_slice(array.extract::<PyReadonlyArrayDyn<'_, i64>>()?.as_slice()?).to_vec(),
        DType::Float32 => bytemuck::cast_slice(array.extract::<PyReadonlyArrayDyn<'_, f32>>()?.as_slice()?).to_vec(),
        DType::Float64 => bytemuck::cast_slice(array.extract::<PyReadonlyArrayDyn<'_, f64>>()?.as_slice()?).to_vec(),
    };
    Ok((shape, dtype, bytes))
}

fn py_none<'py>(any: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
    any.py().None().into_bound(any.py())
}

/// A NumPy array that owns these elements.
pub(crate) fn owned<T: numpy::Element>(py: Python<'_>, shape: &[usize], elements: Vec<T>) -> PyResult<Py<PyAny>> {
    let flat = elements.into_pyarray(py);
    Ok(flat.call_method1("reshape", (shape.to_vec(),))?.unbind())
}

/// A NumPy array that owns elements of one of our types, given as bytes.
pub(crate) fn owned_bytes(py: Python<'_>, shape: &[usize], dtype: DType, bytes: &[u8]) -> PyResult<Py<PyAny>> {
    fn typed<T: Element>(bytes: &[u8]) -> Vec<T> {
        let mut elements = vec![T::zeroed(); bytes.len() / size_of::<T>()];
        bytemuck::cast_slice_mut(&mut elements).copy_from_slice(bytes);
        elements
    }
    match dtype {
        DType::Bool => owned(py, shape, bytes.iter().map(|&byte| byte != 0).collect()),
        DType::Int64 => owned(py, shape, typed::<i64>(bytes)),
        DType::Float32 => owned(py, shape, typed::<f32>(bytes)),
        DType::Float64 => owned(py, shape, typed::<f64>(bytes)),
    }
}

/// A read-only NumPy view on this rank's part; no copy.
pub(crate) fn view(py: Python<'_>, local: Local) -> PyResult<Py<PyAny>> {
    match local.dtype {
        // Elements of bool are stored as the bytes 0 and 1.
        DType::Bool => typed_view::<bool>(py, local),
        DType::Int64 => typed_view::<i64>(py, local),
        DType::Float32 => typed_view::<f32>(py, local),
        DType::Float64 => typed_view::<f64>(py, local),
    }
}

fn typed_view<T: numpy::Element>(py: Python<'_>, local: Local) -> PyResult<Py<PyAny>> {
    let Local { part, shape, .. } = local;
    assert_eq!(shape.iter().product::<usize>() * size_of::<T>(), part.bytes(), "a part has its shape's bytes");
    let start = part.slab().address().cast::<T>();
    // SAFETY: the slab holds that many initialised elements, aligned to a cache line; an array whose value is there
    // is never written again, and `Owner` keeps the slab.
    let elements = unsafe { ArrayView::from_shape_ptr(IxDyn(&shape), start) };
    let owner = Bound::new(py, Owner { _part: part })?.into_any();
    // SAFETY: `owner` becomes the base of the NumPy array, so the memory outlives every view.
    let array = unsafe { PyArrayDyn::borrow_from_array(&elements, owner) };
    let write = PyDict::new(py);
    write.set_item("write", false)?;
    array.call_method("setflags", (), Some(&write))?;
    Ok(array.into_any().unbind())
}
