//! NumPy's functions by name, on arrays and whatever becomes one.

use crate::error::array_error;
use crate::handle::{PyArray, detached};
use crate::operand::{Axes, is_weak, to_array, to_operand, to_operand_beside};
use girih_arrays::array::Operand;
use girih_arrays::linalg;
use girih_arrays::{Array, Binary, DType, Error, Unary};
use pyo3::prelude::*;

macro_rules! unary {
    ($($name:ident => $op:ident;)*) => {$(
        #[pyfunction]
        #[pyo3(signature = (x, /))]
        pub(crate) fn $name(x: &Bound<'_, PyAny>) -> PyResult<PyArray> {
            let array = to_array(x)?;
            detached(x.py(), || array.unary(Unary::$op))
        }
    )*};
}

macro_rules! binary {
    ($($name:ident => $op:ident;)*) => {$(
        #[pyfunction]
        #[pyo3(signature = (x, y, /))]
        pub(crate) fn $name(x: &Bound<'_, PyAny>, y: &Bound<'_, PyAny>) -> PyResult<PyArray> {
            combine(x, y, Binary::$op, |x, y| x.binary(Binary::$op, y), |x, y| y.binary_reversed(Binary::$op, x))
        }
    )*};
}

macro_rules! reductions {
    ($($name:ident => $method:ident;)*) => {$(
        #[pyfunction]
        #[pyo3(signature = (x, axis = None, *, keepdims = false))]
        pub(crate) fn $name(x: &Bound<'_, PyAny>, axis: Option<Axes>, keepdims: bool) -> PyResult<PyArray> {
            let (array, axes) = (to_array(x)?, Axes::list(axis));
            detached(x.py(), || array.$method(axes.as_deref(), keepdims))
        }
    )*};
}

unary! {
    sqrt => Sqrt; cbrt => Cbrt; exp => Exp; exp2 => Exp2; expm1 => Expm1;
    log => Log; log1p => Log1p; log2 => Log2; log10 => Log10;
    sin => Sin; cos => Cos; tan => Tan; arcsin => Arcsin; arccos => Arccos; arctan => Arctan;
    sinh => Sinh; cosh => Cosh; tanh => Tanh; arcsinh => Arcsinh; arccosh => Arccosh; arctanh => Arctanh;
    negative => Negative; absolute => Absolute; sign => Sign; square => Square; reciprocal => Reciprocal;
    floor => Floor; ceil => Ceil; trunc => Trunc; rint => Rint; invert => Invert;
    isnan => IsNan; isinf => IsInf; isfinite => IsFinite; signbit => SignBit;
}

binary! {
    add => Add; subtract => Subtract; multiply => Multiply; divide => Divide;
    floor_divide => FloorDivide; remainder => Remainder; power => Power;
    maximum => Maximum; minimum => Minimum; fmax => Fmax; fmin => Fmin;
    arctan2 => Arctan2; hypot => Hypot; copysign => CopySign;
    bitwise_and => And; bitwise_or => Or; bitwise_xor => Xor; left_shift => LeftShift; right_shift => RightShift;
    equal => Equal; not_equal => NotEqual; less => Less; less_equal => LessEqual;
    greater => Greater; greater_equal => GreaterEqual;
    logical_and => LogicalAnd; logical_or => LogicalOr; logical_xor => LogicalXor;
}

reductions! {
    sum => sum; mean => mean; prod => product; min => min; max => max; any => any; all => all;
    count_nonzero => count_nonzero;
}

/// Applies an operation whose left or right side is an array; of two numbers the left one becomes an array first.
fn combine(
    x: &Bound<'_, PyAny>,
    y: &Bound<'_, PyAny>,
    op: Binary,
    straight: impl FnOnce(&Array, Operand) -> Result<Array, Error> + Send,
    reversed: impl FnOnce(Operand, &Array) -> Result<Array, Error> + Send,
) -> PyResult<PyArray> {
    if is_weak(x) && !is_weak(y) {
        let y = to_array(y)?;
        let x = to_operand_beside(x, y.dtype(), op)?;
        return detached_with(x, |x| reversed(x, &y));
    }
    let x = to_array(x)?;
    let y = to_operand_beside(y, x.dtype(), op)?;
    detached_with(y, |y| straight(&x, y))
}

fn detached_with(operand: Operand, run: impl FnOnce(Operand) -> Result<Array, Error> + Send) -> PyResult<PyArray> {
    Python::attach(|py| detached(py, || run(operand)))
}

#[pyfunction]
#[pyo3(signature = (x, /))]
pub(crate) fn logical_not(x: &Bound<'_, PyAny>) -> PyResult<PyArray> {
    let array = to_array(x)?;
    detached(x.py(), || array.logical_not())
}

#[pyfunction]
#[pyo3(signature = (x, axis = None, *, ddof = 0.0, keepdims = false))]
pub(crate) fn var(x: &Bound<'_, PyAny>, axis: Option<Axes>, ddof: f64, keepdims: bool) -> PyResult<PyArray> {
    let (array, axes) = (to_array(x)?, Axes::list(axis));
    detached(x.py(), || array.var(axes.as_deref(), ddof, keepdims))
}

#[pyfunction]
#[pyo3(signature = (x, axis = None, *, ddof = 0.0, keepdims = false))]
pub(crate) fn std(x: &Bound<'_, PyAny>, axis: Option<Axes>, ddof: f64, keepdims: bool) -> PyResult<PyArray> {
    let (array, axes) = (to_array(x)?, Axes::list(axis));
    detached(x.py(), || array.std(axes.as_deref(), ddof, keepdims))
}

#[pyfunction]
#[pyo3(signature = (condition, x, y, /))]
pub(crate) fn r#where(condition: &Bound<'_, PyAny>, x: &Bound<'_, PyAny>, y: &Bound<'_, PyAny>) -> PyResult<PyArray> {
    let (condition, x, y) = (to_array(condition)?, to_operand(x)?, to_operand(y)?);
    Python::attach(|py| detached(py, || condition.astype(DType::Bool)?.select(x, y)))
}

#[pyfunction]
#[pyo3(signature = (x, low, high, /))]
pub(crate) fn clip(x: &Bound<'_, PyAny>, low: &Bound<'_, PyAny>, high: &Bound<'_, PyAny>) -> PyResult<PyArray> {
    let bound = |bound: &Bound<'_, PyAny>| if bound.is_none() { Ok(None) } else { to_operand(bound).map(Some) };
    let (array, low, high) = (to_array(x)?, bound(low)?, bound(high)?);
    detached(x.py(), || array.clip(low, high))
}

#[pyfunction]
#[pyo3(signature = (x, y, /))]
pub(crate) fn matmul(x: &Bound<'_, PyAny>, y: &Bound<'_, PyAny>) -> PyResult<PyArray> {
    let (left, right) = (to_array(x)?, to_array(y)?);
    detached(x.py(), || linalg::matmul(&left, &right))
}

#[pyfunction]
#[pyo3(signature = (x, /))]
pub(crate) fn transpose(x: &Bound<'_, PyAny>) -> PyResult<PyArray> {
    let array = to_array(x)?;
    detached(x.py(), || array.transpose())
}

#[pyfunction]
#[pyo3(signature = (*arrays))]
pub(crate) fn wait(py: Python<'_>, arrays: Vec<PyRef<'_, PyArray>>) -> PyResult<()> {
    let arrays: Vec<Array> = arrays.iter().map(|array| array.0.clone()).collect();
    let done = py.detach(|| arrays.iter().try_for_each(Array::wait));
    done.map_err(|error| array_error(py, &error))
}
