//! The methods of `girih.Array`.

use crate::error::array_error;
use crate::handle::{PyArray, beside, detached, viewed};
use crate::numpy;
use crate::operand::{Lengths, no_scalar, to_array, to_casting, to_dtype, to_operand_beside, to_weak};
use girih_arrays::array::Operand;
use girih_arrays::linalg;
use girih_arrays::{Array, Binary, DType, Scalar, Unary};
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
    __lshift__, __rlshift__ => LeftShift;
    __rshift__, __rrshift__ => RightShift;
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
        detached(py, || linalg::matmul(&self.value(), &other))
    }

    fn __rmatmul__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<PyArray> {
        let other = to_array(other)?;
        detached(py, || linalg::matmul(&other, &self.value()))
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
        detached(py, || self.value().unary(Unary::Negative))
    }

    fn __pos__(&self) -> PyResult<PyArray> {
        if self.value().dtype() == DType::Bool {
            return Err(PyTypeError::new_err("the numpy boolean positive, the `+` operator, is not supported"));
        }
        Ok(PyArray::new(self.value()))
    }

    fn __abs__(&self, py: Python<'_>) -> PyResult<PyArray> {
        detached(py, || self.value().unary(Unary::Absolute))
    }

    fn __invert__(&self, py: Python<'_>) -> PyResult<PyArray> {
        detached(py, || self.value().unary(Unary::Invert))
    }

    fn __len__(&self) -> PyResult<usize> {
        self.value().shape().first().copied().ok_or_else(|| PyTypeError::new_err("len() of unsized object"))
    }

    fn __iter__(slf: Bound<'_, PyArray>) -> PyResult<Rows> {
        let rows = slf.get().value().shape().first().copied();
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
        if !self.value().dtype().is_integer() || !self.value().shape().is_empty() {
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
        let equal = equal.bind(py).cast::<PyArray>()?.get().value();
        let found = py.detach(|| equal.any(None, false)?.to_scalar()).map_err(|error| array_error(py, &error))?;
        Ok(found.to_bool())
    }

    fn __format__(slf: Bound<'_, PyArray>, spec: &str) -> PyResult<String> {
        let py = slf.py();
        if slf.get().value().shape().is_empty() {
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
        PyTuple::new(py, self.value().shape())
    }

    #[getter]
    fn ndim(&self) -> usize {
        self.value().shape().len()
    }

    #[getter]
    fn size(&self) -> usize {
        self.elements()
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.elements() * self.value().dtype().bytes()
    }

    #[getter]
    fn dtype(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(numpy::dtype(py, self.value().dtype())?.into_any().unbind())
    }

    #[getter(T)]
    fn transposed(&self, py: Python<'_>) -> PyResult<PyArray> {
        viewed(py, || self.handle().permute(None))
    }

    #[getter]
    fn local(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let array = self.value();
        let (base, order) = array.base();
        let local = py.detach(|| base.local()).map_err(|error| array_error(py, &error))?;
        in_order(py, numpy::view(py, local)?, order)
    }

    #[pyo3(signature = (axis = Some(0)), text_signature = "($self, axis=0)")]
    fn redistribute(&self, py: Python<'_>, axis: Option<i64>) -> PyResult<PyArray> {
        detached(py, || self.value().redistribute(axis))
    }

    #[getter]
    fn distribution(&self) -> String {
        let size = self.value().world().size();
        let ranks = format!("over {size} rank{}", if size == 1 { "" } else { "s" });
        match self.value().divided_axis() {
            None => "replicated".to_string(),
            Some(0) => format!("rows {ranks}"),
            Some(axis) => format!("axis {axis} {ranks}"),
        }
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
    fn astype<'py>(
        slf: &Bound<'py, PyArray>,
        dtype: &Bound<'py, PyAny>,
        casting: &str,
        copy: bool,
    ) -> PyResult<Bound<'py, PyArray>> {
        let (py, array) = (slf.py(), slf.get().value());
        let dtype = to_dtype(Some(dtype))?.ok_or_else(|| PyTypeError::new_err("astype needs a dtype"))?;
        if !array.dtype().can_cast(dtype, to_casting(casting)?) {
            let text = format!(
                "Cannot cast array data from dtype('{}') to dtype('{dtype}') according to the rule '{casting}'",
                array.dtype()
            );
            return Err(PyTypeError::new_err(text));
        }
        if !copy && array.dtype() == dtype {
            return Ok(slf.clone());
        }
        Bound::new(py, detached(py, || array.astype(dtype))?)
    }

    #[getter]
    fn real(&self, py: Python<'_>) -> PyResult<PyArray> {
        detached(py, || self.value().unary(Unary::Real))
    }

    #[getter]
    fn imag(&self, py: Python<'_>) -> PyResult<PyArray> {
        detached(py, || self.value().unary(Unary::Imag))
    }

    fn conj(&self, py: Python<'_>) -> PyResult<PyArray> {
        detached(py, || self.value().unary(Unary::Conjugate))
    }

    fn conjugate(&self, py: Python<'_>) -> PyResult<PyArray> {
        self.conj(py)
    }

    #[getter]
    fn itemsize(&self) -> usize {
        self.value().dtype().bytes()
    }

    #[pyo3(signature = (*shape))]
    fn reshape(&self, py: Python<'_>, shape: &Bound<'_, PyTuple>) -> PyResult<PyArray> {
        let lengths = if shape.len() == 1 {
            shape.get_item(0)?.extract::<Lengths>()?.list()
        } else {
            shape.extract::<Vec<i64>>()?
        };
        viewed(py, || self.handle().reshape(&lengths))
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
        PyArray::new(self.value())
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err("a girih array cannot be pickled: write it with gr.save, read it with gr.load"))
    }
}

impl PyArray {
    fn elements(&self) -> usize {
        self.value().shape().iter().product()
    }

    fn scalar(&self, py: Python<'_>) -> PyResult<Scalar> {
        if self.elements() != 1 {
            return Err(no_scalar(self.value().shape()));
        }
        py.detach(|| self.value().to_scalar()).map_err(|error| array_error(py, &error))
    }

    fn to_numpy(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let array = self.value();
        let (base, order) = array.base();
        let bytes = py.detach(|| base.to_bytes()).map_err(|error| array_error(py, &error))?;
        in_order(py, numpy::owned_bytes(py, base.shape(), base.dtype(), &bytes)?, order)
    }

    fn described(&self) -> String {
        let shape: Vec<String> = self.value().shape().iter().map(usize::to_string).collect();
        let comma = if shape.len() == 1 { "," } else { "" };
        format!(
            "girih.Array(shape=({}{comma}), dtype={}, {})",
            shape.join(", "),
            self.value().dtype(),
            self.distribution()
        )
    }

    /// An operator; `NotImplemented` for what is no array, so that Python asks the other side.
    fn operator(&self, op: Binary, other: &Bound<'_, PyAny>, reflected: bool) -> PyResult<Py<PyAny>> {
        let (py, array) = (other.py(), self.value());
        let other = match to_operand_beside(other, array.dtype(), op) {
            Ok(other) => other,
            Err(_) if matches!(op, Binary::Equal | Binary::NotEqual) && is_no_number(other) => {
                let differs = Scalar::Bool(op == Binary::NotEqual);
                let all = detached(py, || Array::full(array.world(), array.shape(), differs, DType::Bool))?;
                return Ok(Bound::new(py, all)?.into_any().unbind());
            }
            Err(error) if error.is_instance_of::<PyTypeError>(py) && !other.hasattr("dtype")? => {
                return Ok(py.NotImplemented());
            }
            Err(error) => return Err(error),
        };
        let run = |other| if reflected { array.binary_reversed(op, other) } else { array.binary(op, other) };
        let result = match other {
            Operand::Array(other) => beside(py, &[&array, &other], || run(Operand::Array(other.clone()))),
            Operand::Scalar(other) => beside(py, &[&array], || run(Operand::Scalar(other))),
        };
        Ok(Bound::new(py, result?)?.into_any().unbind())
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
            let square = detached(other.py(), || self.value().unary(Unary::Square))?;
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
        viewed(py, || self.array.get().handle().slice(&[index])).map(Some)
    }
}

/// A NumPy array, or a view of it with its axes in this order.
fn in_order(py: Python<'_>, array: Py<PyAny>, order: Option<&[usize]>) -> PyResult<Py<PyAny>> {
    order.map_or(Ok(array.clone_ref(py)), |order| array.call_method1(py, "transpose", (order.to_vec(),)))
}
