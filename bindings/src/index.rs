//! Brackets: what users write between them, reading, writing, and operators that write their left side.

use crate::error::array_error;
use crate::handle::{PyArray, beside, detached, viewed};
use crate::operand::{Lengths, to_array, to_dtype, to_operand_beside, to_weak};
use girih_arrays::index::Entry;
use girih_arrays::{Array, Binary, DType, Error, Handle, Index, Kind, Scalar, Shape};
use girih_runtime::world::World;
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyEllipsis, PyInt, PyList, PySlice, PyString, PyTuple};

macro_rules! writing_operators {
    ($($name:ident => $op:ident;)*) => {
        #[pymethods]
        impl PyArray {$(
            fn $name(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
                self.operate_in_place(Binary::$op, other)
            }
        )*}
    };
}

writing_operators! {
    __iadd__ => Add; __isub__ => Subtract; __imul__ => Multiply; __itruediv__ => Divide;
    __ifloordiv__ => FloorDivide; __imod__ => Remainder; __iand__ => And; __ior__ => Or; __ixor__ => Xor;
    __ilshift__ => LeftShift; __irshift__ => RightShift;
}

#[pymethods]
impl PyArray {
    fn __getitem__(&self, py: Python<'_>, index: &Bound<'_, PyAny>) -> PyResult<PyArray> {
        if let Some(element) = Places::named(index).and_then(|places| self.handle().element(places.list())) {
            return Ok(PyArray::of(element));
        }
        let entries = to_entries(self.handle().world(), index)?;
        match basic(&entries) {
            // All axes named by integers: an element, which is a value of its own.
            Some(indices) if indices.iter().all(is_place) && indices.len() == self.value().shape().len() => {
                let array = self.value();
                detached(py, || array.slice(&indices))
            }
            // Only recorded, which takes less than to release the interpreter.
            Some(indices) => self.handle().slice(&indices).map(PyArray::of).map_err(|error| array_error(py, &error)),
            None => {
                let array = self.value();
                let arrays = entries.iter().filter_map(|entry| match entry {
                    Entry::Basic(_) => None,
                    Entry::Places(array) | Entry::Mask(array) => Some(array),
                });
                let operands: Vec<&Array> = arrays.chain([&array]).collect();
                beside(py, &operands, || array.at(&entries))
            }
        }
    }

    fn __setitem__(&self, py: Python<'_>, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if let (Some(places), Some(number)) = (Places::named(index), to_weak(value)?)
            && self.handle().put_number(places.list(), number)
        {
            return Ok(());
        }
        let entries = to_entries(self.handle().world(), index)?;
        let value = to_value(self.handle(), value)?;
        let written = py.detach(|| match basic(&entries) {
            Some(indices) => self.handle().assign(&indices, &value),
            None => self.handle().put(&entries, &value),
        });
        written.map_err(|error| array_error(py, &error))
    }

    fn __ipow__(&self, other: &Bound<'_, PyAny>, _modulo: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.operate_in_place(Binary::Power, other)
    }
}

impl PyArray {
    fn operate_in_place(&self, op: Binary, other: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = other.py();
        let array = self.value();
        let other = to_operand_beside(other, array.dtype(), op)?;
        let result = py.detach(|| array.binary(op, other)).map_err(|error| array_error(py, &error))?;
        if result.shape() != array.shape() {
            let shown =
                |lengths: &[usize]| Shape::new(lengths).map_or_else(|_| String::new(), |shape| shape.to_string());
            return Err(PyValueError::new_err(format!(
                "non-broadcastable output operand with shape {} doesn't match the broadcast shape {}",
                shown(array.shape()),
                shown(result.shape())
            )));
        }
        check_same_kind(py, op, result.dtype(), array.dtype())?;
        drop(array);
        py.detach(|| self.handle().assign(&[Index::Ellipsis], &result)).map_err(|error| array_error(py, &error))
    }
}

/// NumPy's rule for results of operators that write their left side.
fn check_same_kind(py: Python<'_>, op: Binary, from: DType, to: DType) -> PyResult<()> {
    if from == to {
        return Ok(());
    }
    let fits: bool = py.import("numpy")?.call_method1("can_cast", (from.name(), to.name(), "same_kind"))?.extract()?;
    if fits {
        return Ok(());
    }
    let name = op.name();
    Err(PyTypeError::new_err(format!(
        "Cannot cast ufunc '{name}' output from dtype('{from}') to dtype('{to}') with casting rule 'same_kind'"
    )))
}

/// What is written to an array: anything that broadcasts.
fn to_value(target: &Handle, value: &Bound<'_, PyAny>) -> PyResult<Array> {
    let Some(number) = to_weak(value)? else { return to_array(value) };
    let array = target.value();
    if matches!(number, Scalar::Complex(..)) && !matches!(array.dtype().kind(), Kind::Complex | Kind::Bool) {
        return Err(PyTypeError::new_err("float() argument must be a string or a real number, not 'complex'"));
    }
    let world = array.world().clone();
    Array::full(&world, &[], number, array.dtype()).map_err(|error| array_error(value.py(), &error))
}

fn is_place(index: &Index) -> bool {
    matches!(index, Index::At(_))
}

/// The entries, if none is an array.
fn basic(entries: &[Entry]) -> Option<Vec<Index>> {
    entries.iter().map(|entry| if let Entry::Basic(index) = entry { Some(*index) } else { None }).collect()
}

/// What stands between an array's brackets.
///
/// # Errors
/// `IndexError` for what is neither integer, slice, ellipsis, None nor an array of integers or truth values.
fn to_entries(world: &World, index: &Bound<'_, PyAny>) -> PyResult<Vec<Entry>> {
    match index.cast::<PyTuple>() {
        Ok(tuple) => tuple.iter().map(|part| to_entry(world, &part)).collect(),
        Err(_) => Ok(vec![to_entry(world, index)?]),
    }
}

/// Places along so many axes that an index names by Python's integers alone.
struct Places {
    at: [i64; PLACES_MAX],
    axes: usize,
}

const PLACES_MAX: usize = 4;

impl Places {
    /// None if the index is anything else, or names more axes.
    fn named(index: &Bound<'_, PyAny>) -> Option<Places> {
        let mut places = Places { at: [0; PLACES_MAX], axes: 0 };
        if index.is_exact_instance_of::<PyInt>() {
            places.push(index)?;
            return Some(places);
        }
        let tuple = index.cast_exact::<PyTuple>().ok()?;
        for part in tuple.iter_borrowed() {
            places.push(&part)?;
        }
        Some(places)
    }

    fn push(&mut self, index: &Bound<'_, PyAny>) -> Option<()> {
        if self.axes == PLACES_MAX || !index.is_exact_instance_of::<PyInt>() {
            return None;
        }
        self.at[self.axes] = index.extract().ok()?;
        self.axes += 1;
        Some(())
    }

    fn list(&self) -> &[i64] {
        &self.at[..self.axes]
    }
}

/// A list of Python's integers, or of its truth values, as they stand.
fn listed(world: &World, list: &Bound<'_, PyList>) -> PyResult<Option<Entry>> {
    let py = list.py();
    let made = |array: Result<Array, Error>| array.map_err(|error| array_error(py, &error));
    if list.iter().all(|item| item.is_exact_instance_of::<PyInt>()) {
        let places: Vec<i64> = list.extract().map_err(|_| too_long())?;
        return Ok(Some(Entry::Places(made(Array::from_slice(world, &[places.len()], &places))?)));
    }
    if list.iter().all(|item| item.is_exact_instance_of::<PyBool>()) {
        let truths: Vec<u8> = list.iter().map(|item| item.is_truthy().map(u8::from)).collect::<PyResult<_>>()?;
        return Ok(Some(Entry::Mask(made(Array::from_bytes(world, &[truths.len()], DType::Bool, &truths))?)));
    }
    Ok(None)
}

fn to_entry(world: &World, index: &Bound<'_, PyAny>) -> PyResult<Entry> {
    if index.is_exact_instance_of::<PyInt>() {
        return Ok(Entry::Basic(Index::At(to_place(index)?)));
    }
    if index.is_none() {
        return Ok(Entry::Basic(Index::NewAxis));
    }
    if index.is_instance_of::<PyEllipsis>() {
        return Ok(Entry::Basic(Index::Ellipsis));
    }
    if let Ok(slice) = index.cast::<PySlice>() {
        let py = index.py();
        let bound = |name: &Bound<'_, PyString>| -> PyResult<Option<i64>> {
            let bound = slice.getattr(name)?;
            if bound.is_none() { Ok(None) } else { Ok(Some(to_bound(&bound)?)) }
        };
        let (start, stop) = (bound(intern!(py, "start"))?, bound(intern!(py, "stop"))?);
        let index = Index::Slice { start, stop, step: bound(intern!(py, "step"))? };
        return Ok(Entry::Basic(index));
    }
    if let Ok(list) = index.cast_exact::<PyList>()
        && let Some(entry) = listed(world, list)?
    {
        return Ok(entry);
    }
    let is_array = index.is_instance_of::<PyArray>() || index.hasattr("__array__")? || index.hasattr("__len__")?;
    if !is_array && !index.is_instance_of::<PyBool>() {
        return Ok(Entry::Basic(Index::At(to_place(index)?)));
    }
    let is_sequence = !index.is_instance_of::<PyArray>() && index.hasattr("__len__")? && !index.hasattr("dtype")?;
    let array = match is_sequence && index.len()? == 0 {
        true => Array::from_slice::<i64>(world, &[0], &[]).map_err(|error| array_error(index.py(), &error))?,
        false => to_array(index)?,
    };
    match array.dtype() {
        DType::Bool => Ok(Entry::Mask(array)),
        dtype if is_integer(dtype) && array.shape().is_empty() => {
            let place = index.py().detach(|| array.to_scalar()).map_err(|error| array_error(index.py(), &error))?;
            Ok(Entry::Basic(Index::At(place.to_i64())))
        }
        dtype if is_integer(dtype) => Ok(Entry::Places(array)),
        _ => Err(PyIndexError::new_err("arrays used as indices must be of integer (or boolean) type")),
    }
}

fn is_integer(dtype: DType) -> bool {
    dtype.name().trim_start_matches('u').starts_with("int")
}

fn to_place(index: &Bound<'_, PyAny>) -> PyResult<i64> {
    if let Ok(place) = exact(index) {
        return Ok(place);
    }
    let place = index.call_method0("__index__").map_err(|_| {
        PyIndexError::new_err(
            "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are \
             valid indices",
        )
    })?;
    place.extract().map_err(|_| too_long())
}

fn too_long() -> PyErr {
    PyIndexError::new_err("cannot fit 'int' into an index-sized integer")
}

/// One of Python's integers, of at most 64 bits, which needs no call to be read.
fn exact(index: &Bound<'_, PyAny>) -> Result<i64, ()> {
    if index.is_exact_instance_of::<PyInt>() { index.extract().map_err(|_| ()) } else { Err(()) }
}

/// As Python does it, a bound beyond all arrays is brought to where arrays end.
fn to_bound(bound: &Bound<'_, PyAny>) -> PyResult<i64> {
    if let Ok(place) = exact(bound) {
        return Ok(place);
    }
    let place = bound
        .call_method0("__index__")
        .map_err(|_| PyTypeError::new_err("slice indices must be integers or None or have an __index__ method"))?;
    place.extract().or_else(|_| Ok(if place.gt(0)? { i64::MAX } else { -i64::MAX }))
}

#[pyfunction]
#[pyo3(signature = (a, axes = None))]
pub(crate) fn transpose(a: &Bound<'_, PyAny>, axes: Option<Vec<i64>>) -> PyResult<PyArray> {
    view_of(a, |handle| handle.permute(axes.as_deref()))
}

#[pyfunction]
#[pyo3(signature = (array, shape))]
pub(crate) fn broadcast_to(array: &Bound<'_, PyAny>, shape: Lengths) -> PyResult<PyArray> {
    let shape = shape.shape()?;
    view_of(array, |handle| handle.broadcast_to(&shape))
}

#[pyfunction]
#[pyo3(signature = (a, offset = 0, axis1 = 0, axis2 = 1))]
pub(crate) fn diagonal(a: &Bound<'_, PyAny>, offset: i64, axis1: i64, axis2: i64) -> PyResult<PyArray> {
    view_of(a, |handle| handle.diagonal(offset, axis1, axis2, false))
}

#[pyfunction]
#[pyo3(signature = (arrays, axis = 0, dtype = None))]
pub(crate) fn concatenate(
    arrays: &Bound<'_, PyAny>,
    axis: Option<i64>,
    dtype: Option<&Bound<'_, PyAny>>,
) -> PyResult<PyArray> {
    let py = arrays.py();
    let dtype = to_dtype(dtype)?;
    let arrays = arrays.try_iter()?.map(|array| to_array(&array?)).collect::<PyResult<Vec<Array>>>()?;
    detached(py, || {
        let flat = |array: &Array| if axis.is_none() { array.reshape(&[-1]) } else { Ok(array.clone()) };
        let arrays = arrays.iter().map(flat).collect::<Result<Vec<_>, _>>()?;
        Array::concatenate(&arrays, axis.unwrap_or(0), dtype)
    })
}

#[pyfunction]
#[pyo3(signature = (a, /))]
pub(crate) fn nonzero<'py>(a: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    let (py, array) = (a.py(), to_array(a)?);
    if array.shape().is_empty() {
        let text = "Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() instead.";
        return Err(PyValueError::new_err(text));
    }
    let places = py.detach(|| array.nonzero()).map_err(|error| array_error(py, &error))?;
    PyTuple::new(py, places.into_iter().map(PyArray::new))
}

#[pyfunction]
#[pyo3(signature = (a, /))]
pub(crate) fn flatnonzero(a: &Bound<'_, PyAny>) -> PyResult<PyArray> {
    let array = to_array(a)?;
    detached(a.py(), || array.flat_nonzero())
}

#[pyfunction]
#[pyo3(signature = (a, b))]
pub(crate) fn shares_memory(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> PyResult<bool> {
    together(a, b, Handle::shares_memory)
}

#[pyfunction]
#[pyo3(signature = (a, b))]
pub(crate) fn may_share_memory(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> PyResult<bool> {
    together(a, b, Handle::may_share_memory)
}

fn together(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>, ask: impl Fn(&Handle, &Handle) -> bool) -> PyResult<bool> {
    match (a.cast::<PyArray>(), b.cast::<PyArray>()) {
        (Ok(a), Ok(b)) => Ok(ask(a.get().handle(), b.get().handle())),
        _ => Ok(false),
    }
}

/// A view of an array, or of what becomes one.
fn view_of(a: &Bound<'_, PyAny>, view: impl FnOnce(&Handle) -> Result<Handle, Error> + Send) -> PyResult<PyArray> {
    match a.cast::<PyArray>() {
        Ok(array) => {
            let array = array.get();
            viewed(a.py(), || view(array.handle()))
        }
        Err(_) => {
            let handle = Handle::new(to_array(a)?);
            viewed(a.py(), || view(&handle))
        }
    }
}
