//! The class behind NumPy's universal functions: a call without options goes straight to the arrays.

use crate::handle::{PyArray, detached};
use crate::operand::{is_weak, to_array, to_operand_beside};
use girih_arrays::{Array, Binary, DType, Kind, Loops, Unary};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// What one call computes.
#[derive(Clone, Copy)]
enum Function {
    One(Unary),
    Two(Binary),
    /// Two results of one operand.
    Split(Unary, Unary),
    /// Two results of two operands.
    Divmod,
}

/// An elementwise function; Python adds to it what needs options.
#[pyclass(name = "Ufunc", module = "girih._native", subclass, frozen)]
pub(crate) struct PyUfunc {
    name: String,
    function: Function,
}

#[pymethods]
impl PyUfunc {
    #[new]
    fn new(name: &str) -> PyResult<PyUfunc> {
        let function = match name {
            "frexp" => Function::Split(Unary::FrexpMantissa, Unary::FrexpExponent),
            "modf" => Function::Split(Unary::ModfFraction, Unary::Trunc),
            "divmod" => Function::Divmod,
            _ => match (Unary::named(name), Binary::named(name)) {
                (Some(op), _) => Function::One(op),
                (None, Some(op)) => Function::Two(op),
                _ => return Err(PyValueError::new_err(format!("there is no elementwise function '{name}'"))),
            },
        };
        Ok(PyUfunc { name: name.to_string(), function })
    }

    #[getter]
    fn __name__(&self) -> &str {
        &self.name
    }

    #[getter]
    fn nin(&self) -> usize {
        match self.function {
            Function::One(_) | Function::Split(..) => 1,
            Function::Two(_) | Function::Divmod => 2,
        }
    }

    #[getter]
    fn nout(&self) -> usize {
        match self.function {
            Function::One(_) | Function::Two(_) => 1,
            Function::Split(..) | Function::Divmod => 2,
        }
    }

    /// The types for which it is defined, as NumPy writes them: operands, an arrow, results.
    #[getter]
    fn types(&self) -> Vec<String> {
        let loops = match self.function {
            Function::One(op) | Function::Split(op, _) => op.loops(),
            Function::Two(op) => op.loops(),
            Function::Divmod => Loops::RealNumbers,
        };
        let own = DType::ALL.into_iter().filter(|&dtype| loops.resolve(dtype) == Some(dtype));
        let written = own.map(|dtype| {
            let results = match self.function {
                Function::One(op) => vec![op.result(dtype)],
                Function::Two(op) => vec![op.result(dtype)],
                Function::Split(first, second) => vec![first.result(dtype), second.result(dtype)],
                Function::Divmod => vec![dtype, dtype],
            };
            let operands = std::iter::repeat_n(dtype, self.nin());
            let text = |types: &mut dyn Iterator<Item = DType>| types.map(letter).collect::<String>();
            format!("{}->{}", text(&mut operands.into_iter()), text(&mut results.into_iter()))
        });
        written.collect()
    }

    #[pyo3(signature = (*operands, **options))]
    fn __call__(
        slf: &Bound<'_, PyUfunc>,
        operands: &Bound<'_, PyTuple>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let this = slf.get();
        let given = operands.len();
        if given < this.nin() || given > this.nin() + this.nout() {
            let (least, most) = (this.nin(), this.nin() + this.nout());
            let text =
                format!("{}() takes from {least} to {most} positional arguments but {given} were given", this.name);
            return Err(PyTypeError::new_err(text));
        }
        if given > this.nin() || options.is_some_and(|options| !options.is_empty()) {
            return Ok(slf.call_method("with_options", operands, options)?.unbind());
        }
        let py = slf.py();
        let x = operands.get_borrowed_item(0)?;
        match this.function {
            Function::One(op) => {
                let array = to_array(&x)?;
                handle(py, detached(py, || array.unary(op))?)
            }
            Function::Two(op) => {
                let y = operands.get_borrowed_item(1)?;
                handle(py, combined(op, &x, &y)?)
            }
            Function::Split(first, second) => {
                let array = to_array(&x)?;
                let pair = [detached(py, || array.unary(first))?, detached(py, || array.unary(second))?];
                let pair = pair.map(|array| Bound::new(py, array));
                let [first, second] = pair;
                Ok((first?, second?).into_pyobject(py)?.into_any().unbind())
            }
            Function::Divmod => {
                let y = operands.get_borrowed_item(1)?;
                let quotient = Bound::new(py, combined(Binary::FloorDivide, &x, &y)?)?;
                let remainder = Bound::new(py, combined(Binary::Remainder, &x, &y)?)?;
                Ok((quotient, remainder).into_pyobject(py)?.into_any().unbind())
            }
        }
    }
}

fn handle(py: Python<'_>, array: PyArray) -> PyResult<Py<PyAny>> {
    Ok(Bound::new(py, array)?.into_any().unbind())
}

/// Applies an operation whose left or right side is an array; of two numbers the left one becomes an array first.
fn combined(op: Binary, x: &Bound<'_, PyAny>, y: &Bound<'_, PyAny>) -> PyResult<PyArray> {
    let py = x.py();
    if is_weak(x) && !is_weak(y) {
        let y = to_array(y)?;
        let x = to_operand_beside(x, y.dtype(), op)?;
        return detached(py, || y.binary_reversed(op, x));
    }
    let x: Array = to_array(x)?;
    let y = to_operand_beside(y, x.dtype(), op)?;
    detached(py, || x.binary(op, y))
}

/// NumPy's letter for a type.
fn letter(dtype: DType) -> char {
    let letters = match dtype.kind() {
        Kind::Bool => "?",
        Kind::Signed => "bhil",
        Kind::Unsigned => "BHIL",
        Kind::Float => " efd",
        Kind::Complex => "   FD",
    };
    let place = dtype.bytes().trailing_zeros() as usize;
    letters.chars().nth(place).unwrap_or('?')
}
