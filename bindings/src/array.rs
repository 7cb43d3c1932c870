//! The methods of `girih.Array`.

use crate::error::array_error;
use crate::handle::{PyArray, detached};
use crate::numpy;
use crate::operand::{Lengths, no_scalar, to_array, to_casting, to_dtype, to_indices, to_operand_beside, to_weak};
use girih_arrays::linalg;
use girih_arrays::{Array, Binary, DType, Layout, Scalar, Unary};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use pyo3::types::{PyComplex, PyFloat, PyString, PyTuple};

/// Arrays of more elements are described by their `repr` instead of printed.
const SHOWN_MAX: usize = 1000;

macro_rules! operators {
    ($($name:ident, $reflected:ident => $op:ident;)*) => {
        #[pymethods]
        impl PyArray {$(
            fn $name(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                self.operator(Binary::$op, other, false)
            }

            fn $reflected(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                self.operator(Binary::$op, other, true)
            }
        )*}
    };
}

operators! {
    __add__, __radd__ => Add;
    __sub__, __rsub__ => Subtract;
    __mul__, __rmul__ => Multiply;
    __truediv__, __rtruediv__ => Divide;
    __floordiv__, __rfloordiv__ => FloorDivide;
    __mod__, __rmod__ => Remainder;
    __and__, __rand__ => And;
    __or__, __ror__ => Or;
    __xor__, __rxor__ => Xor;
}

#[pymethods]
impl PyArray {
    fn __pow__(&self, other: &Bound<'_, PyAny>, modulo: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        self.power(other, modulo, false)
    }

    fn __rpow__(&self, other: &Bound<'_, PyAny>, modulo: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        self.power(other, modulo, true)
    }

    fn __matmul__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<PyArray> {
        let other = to_array(other)?;
        detached(py, || linalg::matmul(&self.0, &other))
    }

    fn __rmatmul__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<PyArray> {
        let other = to_array(other)?;
        detached(py, || linalg::matmul(&other, &self.0))
    }

    fn __richcmp__(&self, other: &Bound<'_, PyAny>, compare: CompareOp) -> PyResult<Py<PyAny>> {
        let op = match compare {
            CompareOp::Lt => Binary::Less,
            CompareOp::Le => Binary::LessEqual,
            CompareOp::Eq => Binary::Equal,
            CompareOp::Ne => Binary::NotEqual,
            CompareOp::Gt => Binary::Greater,
            CompareOp::Ge => Binary::GreaterEqual,
        };
        self.operator(op, other, false)
    }

    fn __neg__(&self, py: Python<'_>) -> PyResult<PyArray> {
        detached(py, || self.0.unary(Unary::Negative))
    }

    fn __pos__(&self) -> PyResult<PyArray> {
        if self.0.dtype() == DType::Bool {
            return Err(PyTypeError::new_err("the numpy boolean positive, the `+` operator, is not supported"));
        }
        Ok(PyArray(self.0.clone()))
    }

    fn __abs__(&self, py: Python<'_>) -> PyResult<PyArray> {
        detached(py, || self.0.unary(Unary::Absolute))
    }

    fn __invert__(&self, py: Python<'_>) -> PyResult<PyArray> {
        detached(py, || self.0.unary(Unary::Invert))
    }

    fn __getitem__(&self, py: Python<'_>, index: &Bound<'_, PyAny>) -> PyResult<PyArray> {
        let indices = to_indices(index)?;
        detached(py, || self.0.slice(&indices))
    }

    fn __len__(&self) -> PyResult<usize> {
        self.0.shape().first().copied().ok_or_else(|| PyTypeError::new_err("len() of unsized object"))
    }

    fn __iter__(slf: Bound<'_, PyArray>) -> PyResult<Rows> {
        let rows = slf.get().0.shape().first().copied();
        let rows = rows.ok_or_else(|| PyTypeError::new_err("iteration over a 0-d array"))?;
        Ok(Rows { array: slf.unbind(), next: 0, rows })
    }

    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        if self.elements() == 0 {
            let text = "The truth value of an empty array is ambiguous. Use `array.size > 0`";
            return Err(PyValueError::new_err(text));
        }
        if self.elements() != 1 {
            let text = "The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()";
            return Err(PyValueError::new_err(text));
        }
        Ok(self.scalar(py)?.to_bool())
    }

    fn __int__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.scalar(py)? {
            // Python's own rule, which knows no largest integer and refuses NaN.
            Scalar::Float(value) | Scalar::Complex(value, _) => {
                Ok(PyFloat::new(py, value).call_method0("__int__")?.unbind())
            }
            Scalar::Uint(value) => Ok(value.into_pyobject(py)?.into_any().unbind()),
            scalar => Ok(scalar.to_i64().into_pyobject(py)?.into_any().unbind()),
        }
    }

    fn __index__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if !self.0.dtype().is_integer() || !self.0.shape().is_empty() {
            return Err(PyTypeError::new_err("only integer scalar arrays can be converted to a scalar index"));
        }
        self.item(py)
    }

    fn __complex__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyComplex>> {
        let (real, imaginary) = self.scalar(py)?.to_complex();
        Ok(PyComplex::from_doubles(py, real, imaginary))
    }

    fn __float__(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.scalar(py)?.to_f64())
    }

    fn __contains__(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = value.py();
        let equal = self.operator(Binary::Equal, value, false)?;
        let equal = equal.bind(py).cast::<PyArray>()?.get().0.clone();
        let found = py.detach(|| equal.any(None, false)?.to_scalar()).map_err(|error| array_error(py, &error))?;
        Ok(found.to_bool())
    }

    fn __format__(slf: Bound<'_, PyArray>, spec: &str) -> PyResult<String> {
        let py = slf.py();
        if slf.get().0.shape().is_empty() {
            return slf.get().item(py)?.call_method1(py, "__format__", (spec,))?.extract(py);
        }
        if spec.is_empty() {
            return slf.get().__str__(py);
        }
        Err(PyTypeError::new_err("unsupported format string passed to girih.Array.__format__"))
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        if self.elements() > SHOWN_MAX {
            return Ok(self.described());
        }
        Ok(self.to_numpy(py)?.bind(py).str()?.to_string())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        if self.elements() > SHOWN_MAX {
            return Ok(self.described());
        }
        Ok(format!("girih.{}", self.to_numpy(py)?.bind(py).repr()?).replace("girih.array(", "girih.Array("))
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.shape())
    }

    #[getter]
    fn ndim(&self) -> usize {
        self.0.shape().len()
    }

    #[getter]
    fn size(&self) -> usize {
        self.elements()
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.elements() * self.0.dtype().bytes()
    }

    #[getter]
    fn dtype(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(numpy::dtype(py, self.0.dtype())?.into_any().unbind())
    }

    #[getter(T)]
    fn transposed(&self, py: Python<'_>) -> PyResult<PyArray> {
        detached(py, || self.0.transpose())
    }

    #[getter]
    fn local(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let local = py.detach(|| self.0.local()).map_err(|error| array_error(py, &error))?;
        numpy::view(py, local)
    }

    #[getter]
    fn distribution(&self) -> String {
        match self.0.layout() {
            Layout::Replicated => "replicated".to_string(),
            Layout::Rows => {
                let size = self.0.world().size();
                format!("rows over {size} rank{}", if size == 1 { "" } else { "s" })
            }
        }
    }

    /// NumPy's own operators leave the operation to ours.
    #[classattr]
    fn __array_ufunc__() -> Option<bool> {
        None
    }

    #[pyo3(signature = (dtype = None, copy = None))]
    fn __array__(&self, py: Python<'_>, dtype: Option<&Bound<'_, PyAny>>, copy: Option<bool>) -> PyResult<Py<PyAny>> {
        if copy == Some(false) {
            return Err(PyValueError::new_err("a girih array cannot become a NumPy array without a copy; see x.local"));
        }
        let array = self.to_numpy(py)?;
        match dtype {
            Some(dtype) if !dtype.is_none() => Ok(array.call_method1(py, "astype", (dtype,))?),
            _ => Ok(array),
        }
    }

    #[pyo3(signature = (dtype, *, casting = "unsafe", copy = true))]
    fn astype(&self, py: Python<'_>, dtype: &Bound<'_, PyAny>, casting: &str, copy: bool) -> PyResult<PyArray> {
        // Nobody changes an array, so a copy and the array itself cannot be told apart.
        let _ = copy;
        let dtype = to_dtype(Some(dtype))?.ok_or_else(|| PyTypeError::new_err("astype needs a dtype"))?;
        if !self.0.dtype().can_cast(dtype, to_casting(casting)?) {
            let text = format!(
                "Cannot cast array data from dtype('{}') to dtype('{dtype}') according to the rule '{casting}'",
                self.0.dtype()
            );
            return Err(PyTypeError::new_err(text));
        }
        detached(py, || self.0.astype(dtype))
    }

    #[getter]
    fn real(&self, py: Python<'_>) -> PyResult<PyArray> {
        detached(py, || self.0.unary(Unary::Real))
    }

    #[getter]
    fn imag(&self, py: Python<'_>) -> PyResult<PyArray> {
        detached(py, || self.0.unary(Unary::Imag))
    }

    fn conj(&self, py: Python<'_>) -> PyResult<PyArray> {
        detached(py, || self.0.unary(Unary::Conjugate))
    }

    fn conjugate(&self, py: Python<'_>) -> PyResult<PyArray> {
        self.conj(py)
    }

    #[getter]
    fn itemsize(&self) -> usize {
        self.0.dtype().bytes()
    }

    #[pyo3(signature = (*shape))]
    fn reshape(&self, py: Python<'_>, shape: &Bound<'_, PyTuple>) -> PyResult<PyArray> {
        let lengths = if shape.len() == 1 {
            shape.get_item(0)?.extract::<Lengths>()?.list()
        } else {
            shape.extract::<Vec<i64>>()?
        };
        detached(py, || self.0.reshape(&lengths))
    }

    fn item(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if self.elements() != 1 {
            return Err(PyValueError::new_err("can only convert an array of size 1 to a Python scalar"));
        }
        match self.scalar(py)? {
            Scalar::Bool(value) => Ok(value.into_pyobject(py)?.to_owned().into_any().unbind()),
            Scalar::Int(value) => Ok(value.into_pyobject(py)?.into_any().unbind()),
            Scalar::Uint(value) => Ok(value.into_pyobject(py)?.into_any().unbind()),
            Scalar::Float(value) => Ok(value.into_pyobject(py)?.into_any().unbind()),
            Scalar::Complex(real, imaginary) => Ok(PyComplex::from_doubles(py, real, imaginary).into_any().unbind()),
        }
    }

    fn tolist(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.to_numpy(py)?.call_method0(py, "tolist")
    }

    fn copy(&self) -> PyArray {
        PyArray(self.0.clone())
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err("a girih array cannot be pickled: write it with gr.save, read it with gr.load"))
    }
}

impl PyArray {
    fn elements(&self) -> usize {
        self.0.shape().iter().product()
    }

    fn scalar(&self, py: Python<'_>) -> PyResult<Scalar> {
        if self.elements() != 1 {
            return Err(no_scalar(self.0.shape()));
        }
        py.detach(|| self.0.to_scalar()).map_err(|error| array_error(py, &error))
    }

    fn to_numpy(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let bytes = py.detach(|| self.0.to_bytes()).map_err(|error| array_error(py, &error))?;
        numpy::owned_bytes(py, self.0.shape(), self.0.dtype(), &bytes)
    }

    fn described(&self) -> String {
        let shape: Vec<String> = self.0.shape().iter().map(usize::to_string).collect();
        let comma = if shape.len() == 1 { "," } else { "" };
        format!("girih.Array(shape=({}{comma}), dtype={}, {})", shape.join(", "), self.0.dtype(), self.distribution())
    }

    /// An operator; `NotImplemented` for what is no array, so that Python asks the other side.
    fn operator(&self, op: Binary, other: &Bound<'_, PyAny>, reflected: bool) -> PyResult<Py<PyAny>> {
        let py = other.py();
        let other = match to_operand_beside(other, self.0.dtype(), op) {
            Ok(other) => other,
            Err(_) if matches!(op, Binary::Equal | Binary::NotEqual) && is_no_number(other) => {
                let (world, shape, differs) = (self.0.world(), self.0.shape(), op == Binary::NotEqual);
                let all = detached(py, || Array::full(world, shape, Scalar::Bool(differs), DType::Bool))?;
                return Ok(Bound::new(py, all)?.into_any().unbind());
            }
            Err(error) if error.is_instance_of::<PyTypeError>(py) && !other.hasattr("dtype")? => {
                return Ok(py.NotImplemented());
            }
            Err(error) => return Err(error),
        };
        let result =
            detached(py, || if reflected { self.0.binary_reversed(op, other) } else { self.0.binary(op, other) })?;
        Ok(Bound::new(py, result)?.into_any().unbind())
    }

    fn power(
        &self,
        other: &Bound<'_, PyAny>,
        modulo: Option<&Bound<'_, PyAny>>,
        reflected: bool,
    ) -> PyResult<Py<PyAny>> {
        if modulo.is_some_and(|modulo| !modulo.is_none()) {
            return Ok(other.py().NotImplemented());
        }
        // NumPy's fast path, with the same bits as a product.
        if !reflected && matches!(to_weak(other), Ok(Some(Scalar::Int(2)))) {
            let square = detached(other.py(), || self.0.unary(Unary::Square))?;
            return Ok(Bound::new(other.py(), square)?.into_any().unbind());
        }
        self.operator(Binary::Power, other, reflected)
    }
}

/// Whether this is equal to no number, without a look at the numbers.
fn is_no_number(value: &Bound<'_, PyAny>) -> bool {
    value.is_none() || value.is_instance_of::<PyString>()
}

/// Iterates over the first axis.
#[pyclass]
struct Rows {
    array: Py<PyArray>,
    next: i64,
    rows: usize,
}

#[pymethods]
impl Rows {
    fn __iter__(slf: Bound<'_, Rows>) -> Bound<'_, Rows> {
        slf
    }

    fn __next__(&mut self, py: Python<'_>) -> PyResult<Option<PyArray>> {
        if self.next as usize >= self.rows {
            return Ok(None);
        }
        self.next += 1;
        let index = girih_arrays::Index::At(self.next - 1);
        detached(py, || self.array.get().0.slice(&[index])).map(Some)
    }
}
