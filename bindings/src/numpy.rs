//! Elements in and out of NumPy's arrays: who owns the memory, and how long.
//!
//! Invariant: a view that Python gets is read-only, and keeps the part alive whose memory it shows.

#![allow(unsafe_code, reason = "a view on our memory is handed to NumPy")]

use bytemuck::NoUninit;
use girih_arrays::array::Local;
use girih_arrays::{Complex32, Complex64, DType, Kind, Part, f16};
use girih_runtime::memory::Sharing;
use ndarray::{ArrayView, IxDyn};
use numpy::{IntoPyArray, PyArrayDescr, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn};
use numpy::{PyReadwriteArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::os::fd::RawFd;
use std::sync::Arc;

/// Keeps a part alive while NumPy looks at it.
#[pyclass(frozen)]
struct Owner {
    part: Arc<Part>,
}

#[pymethods]
impl Owner {
    /// The file that the part fills from its first byte on, for processes that look at it; none if it lies in none.
    fn lend(&self) -> Option<RawFd> {
        self.part.slab().lend()
    }
}

/// While one exists, fresh large arrays lie in memory that other processes can open.
#[pyclass(name = "Sharing", frozen)]
pub(crate) struct PySharing {
    _sharing: Sharing,
}

#[pymethods]
impl PySharing {
    #[new]
    fn new() -> PySharing {
        PySharing { _sharing: Sharing::begin() }
    }
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
    known(&descr).filter(|_| descr.is_native_byteorder() != Some(false)).ok_or_else(|| {
        let text = format!(
            "dtype {descr} is not supported: use bool, an integer, float16, float32, float64, complex64 or complex128 \
             (native byte order)"
        );
        PyTypeError::new_err(text)
    })
}

/// Our type of the same kind and size.
fn known(descr: &Bound<'_, PyArrayDescr>) -> Option<DType> {
    let kind = match descr.kind() {
        b'b' => Kind::Bool,
        b'i' => Kind::Signed,
        b'u' => Kind::Unsigned,
        b'f' => Kind::Float,
        b'c' => Kind::Complex,
        _ => return None,
    };
    DType::ALL.into_iter().find(|dtype| dtype.kind() == kind && dtype.bytes() == descr.itemsize())
}

/// Shape, type and elements of a NumPy array, in row-major order; those of a foreign byte order become native.
///
/// # Errors
/// `TypeError` for a dtype that girih does not have.
pub(crate) fn elements(array: &Bound<'_, PyAny>) -> PyResult<(Vec<usize>, DType, Vec<u8>)> {
    if let Some(plain) = plain(array) {
        return Ok(plain);
    }
    let native = array.getattr("dtype")?.call_method1("newbyteorder", ("=",))?;
    let dtype = dtype_of(&native)?;
    let array = array.py().import("numpy")?.call_method1("asarray", (array, native, "C"))?;
    let shape = array.getattr("shape")?.extract()?;
    let bytes = array.call_method1("reshape", (-1,))?.call_method1("view", ("u1",))?;
    let bytes = bytes.extract::<PyReadonlyArrayDyn<'_, u8>>()?.as_slice()?.to_vec();
    Ok((shape, dtype, bytes))
}

/// Calls a function of an element type for one of our types.
macro_rules! with_element {
    ($dtype:expr, $function:ident($($argument:expr),*)) => {
        match $dtype {
            // Elements of bool are stored as the bytes 0 and 1.
            DType::Bool => $function::<bool>($($argument),*),
            DType::Int8 => $function::<i8>($($argument),*),
            DType::Int16 => $function::<i16>($($argument),*),
            DType::Int32 => $function::<i32>($($argument),*),
            DType::Int64 => $function::<i64>($($argument),*),
            DType::Uint8 => $function::<u8>($($argument),*),
            DType::Uint16 => $function::<u16>($($argument),*),
            DType::Uint32 => $function::<u32>($($argument),*),
            DType::Uint64 => $function::<u64>($($argument),*),
            DType::Float16 => $function::<f16>($($argument),*),
            DType::Float32 => $function::<f32>($($argument),*),
            DType::Float64 => $function::<f64>($($argument),*),
            DType::Complex64 => $function::<Complex32>($($argument),*),
            DType::Complex128 => $function::<Complex64>($($argument),*),
        }
    };
}

/// As [`elements`], of an array that has them one after the other in native byte order, as most do.
fn plain(array: &Bound<'_, PyAny>) -> Option<(Vec<usize>, DType, Vec<u8>)> {
    fn typed<T: numpy::Element + NoUninit>(array: &Bound<'_, PyUntypedArray>) -> Option<Vec<u8>> {
        let array = array.cast::<PyArrayDyn<T>>().ok()?.try_readonly().ok()?;
        Some(bytemuck::cast_slice(array.as_slice().ok()?).to_vec())
    }
    let array = array.cast::<PyUntypedArray>().ok()?;
    let descr = array.dtype();
    if !array.is_c_contiguous() || descr.is_native_byteorder() == Some(false) {
        return None;
    }
    let dtype = known(&descr)?;
    let bytes = with_element!(dtype, typed(array))?;
    Some((array.shape().to_vec(), dtype, bytes))
}

/// A NumPy array that owns these elements.
pub(crate) fn owned<T: numpy::Element>(py: Python<'_>, shape: &[usize], elements: Vec<T>) -> PyResult<Py<PyAny>> {
    let flat = elements.into_pyarray(py);
    Ok(flat.call_method1("reshape", (shape.to_vec(),))?.unbind())
}

/// A NumPy array that owns elements of one of our types, given as bytes.
pub(crate) fn owned_bytes(py: Python<'_>, shape: &[usize], dtype: DType, bytes: &[u8]) -> PyResult<Py<PyAny>> {
    fn typed<T: numpy::Element>(py: Python<'_>, shape: &[usize], bytes: &[u8]) -> PyResult<Py<PyAny>> {
        let array = PyArrayDyn::<T>::zeros(py, shape, false);
        let flat = array.call_method1("reshape", (-1,))?.call_method1("view", ("u1",))?;
        flat.extract::<PyReadwriteArrayDyn<'_, u8>>()?.as_slice_mut()?.copy_from_slice(bytes);
        Ok(array.into_any().unbind())
    }
    with_element!(dtype, typed(py, shape, bytes))
}

/// A read-only NumPy view on this rank's part; no copy.
pub(crate) fn view(py: Python<'_>, local: Local) -> PyResult<Py<PyAny>> {
    with_element!(local.dtype, typed_view(py, local))
}

fn typed_view<T: numpy::Element>(py: Python<'_>, local: Local) -> PyResult<Py<PyAny>> {
    let Local { part, shape, .. } = local;
    assert_eq!(shape.iter().product::<usize>() * size_of::<T>(), part.bytes(), "a part has its shape's bytes");
    let start = part.slab().address().cast::<T>();
    // SAFETY: the slab holds that many initialised elements, aligned to a cache line; a value that is there is only
    // written in place when its node alone holds the part, and `Owner` holds it too, which also keeps the slab.
    let elements = unsafe { ArrayView::from_shape_ptr(IxDyn(&shape), start) };
    let owner = Bound::new(py, Owner { part })?.into_any();
    // SAFETY: `owner` becomes the base of the NumPy array, so the memory outlives every view.
    let array = unsafe { PyArrayDyn::borrow_from_array(&elements, owner) };
    let write = PyDict::new(py);
    write.set_item("write", false)?;
    array.call_method("setflags", (), Some(&write))?;
    Ok(array.into_any().unbind())
}
