//! Arrays that are written: handles that share a storage, as NumPy's views share a buffer.
//!
//! An [`Array`] is a value and never changes. A [`Handle`] names a storage, or a view of one: writing through any
//! handle gives the storage a new value, which every other handle of it sees. Expressions recorded before keep the
//! old value. The memory of the old value is written in place when nobody else can see it.
//! Invariant: a storage always holds a value of one shape and dtype.
//! While a thread writes a storage it holds no value: another thread that uses it meanwhile gets an error.

mod lens;

use crate::array::{Array, flat_place};
use crate::distribution::Layout;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::evaluate::overwrite;
use crate::expr::{self, Index, Node, Permuted, Piece, Recorded, View};
use crate::shape::{Shape, broadcast, normalise_axis};
use girih_runtime::world::World;
use lens::{Lens, Step, Strided};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An array that can be written, or a view of one.
#[derive(Debug)]
pub struct Handle {
    world: World,
    state: Mutex<State>,
}

#[derive(Clone, Debug)]
enum State {
    /// A value that no other handle shares; none while it is written.
    Own(Option<Arc<Node>>),
    /// A storage that other handles may share, through a lens or as a whole.
    Shared(Arc<Storage>, Option<Arc<Lens>>),
}

#[derive(Debug)]
struct Storage {
    shape: Shape,
    current: Mutex<(u64, Option<Arc<Node>>)>,
}

const BUSY: &str = "an array was used by one thread while another one wrote it";

impl Handle {
    /// A handle of its own for a value.
    pub fn new(array: Array) -> Handle {
        Handle { world: array.world().clone(), state: Mutex::new(State::of(array.node())) }
    }

    /// The world that the array lives in.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The value now.
    ///
    /// # Panics
    /// If another thread writes the storage at this time.
    pub fn value(&self) -> Array {
        let node = match &*self.settled() {
            State::Own(node) => Arc::clone(node.as_ref().expect(BUSY)),
            State::Shared(storage, lens) => {
                let (version, current) = storage.now();
                lens.as_ref().map_or_else(|| Arc::clone(&current), |lens| lens.node(&current, Some(version)))
            }
        };
        Array::of(&self.world, node)
    }

    /// The value now, which the handle does not keep: for a look at its shape, or a value that is about to change.
    pub(crate) fn uncached(&self) -> Array {
        let node = match &*self.settled() {
            State::Own(node) => Arc::clone(node.as_ref().expect(BUSY)),
            State::Shared(storage, lens) => {
                let (_, current) = storage.now();
                lens.as_ref().map_or_else(|| Arc::clone(&current), |lens| lens.node(&current, None))
            }
        };
        Array::recorded(&self.world, node)
    }

    /// The state; a handle that is left alone with its storage has a value of its own again, so that what its view
    /// leaves out need not live on.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        if let State::Shared(storage, lens) = &*state
            && Arc::strong_count(storage) == 1
            && lens.as_ref().is_none_or(|lens| lens.writable)
            && let (version, current) = storage.now()
            && !lens.as_ref().is_some_and(|lens| lens.permutes_all() && current.layout == Layout::Rows)
        {
            let node = lens.as_ref().map_or_else(|| Arc::clone(&current), |lens| lens.node(&current, Some(version)));
            *state = State::of(&node);
        }
        state
    }

    /// Whether the two name the same storage, whatever their views of it.
    pub fn may_share_memory(&self, other: &Handle) -> bool {
        std::ptr::eq(self, other)
            || match (&*self.state(), &*other.state()) {
                (State::Shared(one, _), State::Shared(two, _)) => Arc::ptr_eq(one, two),
                _ => false,
            }
    }

    /// Whether this is a view, whose storage another handle made.
    pub fn is_view(&self) -> bool {
        matches!(&*self.state(), State::Shared(_, Some(_)))
    }

    /// Whether the array may be written.
    pub fn is_writable(&self) -> bool {
        match &*self.state() {
            State::Shared(_, Some(lens)) => lens.writable,
            _ => true,
        }
    }

    /// Whether some element of one is also an element of the other.
    ///
    /// Cost: a pass over the places of the smaller one.
    pub fn shares_memory(&self, other: &Handle) -> bool {
        if !self.may_share_memory(other) {
            return false;
        }
        let (one, two) = (self.place(), other.place());
        let (small, large) = if one.shape.elements() < two.shape.elements() { (one, two) } else { (two, one) };
        let places: std::collections::HashSet<isize> = small.places().collect();
        large.places().any(|place| places.contains(&place))
    }

    /// Basic indexing: a view.
    ///
    /// # Errors
    /// Replicated: `Error::Index` if an index is out of bounds or there are too many.
    pub fn slice(&self, indices: &[Index]) -> Result<Handle> {
        let (view, place) = self.place().indexed(indices)?;
        Ok(self.seen(Step::Picked(view), place, true))
    }

    /// Axes in the given order, or in reverse: a view.
    ///
    /// # Errors
    /// Replicated: `Error::Axis`, or `Error::Shape` if the order does not name each axis once.
    pub fn permute(&self, order: Option<&[i64]>) -> Result<Handle> {
        let place = self.place();
        let dimensions = place.shape.len();
        let reverse: Vec<i64> = (0..dimensions as i64).rev().collect();
        let order = order.unwrap_or(&reverse);
        if order.len() != dimensions {
            return Err(Error::Shape("axes don't match array".to_string()));
        }
        let order = order.iter().map(|&axis| normalise_axis(axis, dimensions)).collect::<Result<Vec<_>, _>>()?;
        if (0..dimensions).any(|axis| !order.contains(&axis)) {
            return Err(Error::Shape("repeated axis in transpose".to_string()));
        }
        let place = place.permuted(&order);
        Ok(self.seen(Step::Permuted(order), place, true))
    }

    /// The same elements in row-major order under another shape: a view where steps can say so, else a copy.
    ///
    /// # Errors
    /// As [`Array::reshape`].
    pub fn reshape(&self, lengths: &[i64]) -> Result<Handle> {
        let place = self.place();
        let shape = crate::array::reshaped(&place.shape, lengths)?;
        match place.reshaped(&shape) {
            Some(place) => Ok(self.seen(Step::Reshaped, place, true)),
            None => Ok(Handle::new(self.value().reshape(lengths)?)),
        }
    }

    /// The array repeated along axes of length 1 and along new axes in front: a view that is not written.
    ///
    /// # Errors
    /// As [`Array::broadcast_to`].
    pub fn broadcast_to(&self, shape: &[usize]) -> Result<Handle> {
        let place = self.place();
        let to = Shape::new(shape)?;
        if broadcast(&[&place.shape, &to]).ok().as_ref() != Some(&to) {
            return Ok(Handle::new(self.value().broadcast_to(shape)?));
        }
        let view = View::broadcast(&place.shape, &to);
        Ok(self.seen(Step::Picked(view), place.broadcast(&to), false))
    }

    /// The elements where two axes have places that differ by `offset`, as a new last axis: a view.
    ///
    /// # Errors
    /// Replicated: `Error::Axis`, `Error::Shape` if there are not two axes.
    pub fn diagonal(&self, offset: i64, first: i64, second: i64, writable: bool) -> Result<Handle> {
        let place = self.place();
        if place.shape.len() < 2 {
            return Err(Error::Shape("diag requires an array of at least two dimensions".to_string()));
        }
        let axis = |axis| normalise_axis(axis, place.shape.len());
        let (first, second) = (axis(first)?, axis(second)?);
        if first == second {
            return Err(Error::Shape("axis1 and axis2 cannot be the same".to_string()));
        }
        let diagonal = place.diagonal(offset as isize, first, second);
        let within = Strided::whole(&place.shape).diagonal(offset as isize, first, second);
        let view =
            if within.shape.elements() == 0 { Some(View::nothing(&within.shape)) } else { within.over(&place.shape) };
        match view {
            Some(view) => Ok(self.seen(Step::Picked(view), diagonal, writable)),
            // Neither of the two axes is that of rows, and both lie within them: first, rows come last.
            None => self.diagonal_by_rows(offset, first, second, writable),
        }
    }

    fn diagonal_by_rows(&self, offset: i64, first: usize, second: usize, writable: bool) -> Result<Handle> {
        let dimensions = self.place().shape.len();
        let rest = (0..dimensions).filter(|&axis| axis != first && axis != second);
        let order: Vec<i64> = [first, second].into_iter().chain(rest).map(|axis| axis as i64).collect();
        let moved = Handle::new(self.permute(Some(&order))?.value());
        let diagonal = moved.diagonal(offset, 0, 1, writable)?;
        Ok(Handle::new(diagonal.value()))
    }

    /// Writes elements, given by basic indexing; `value` is broadcast to them and takes this array's dtype.
    ///
    /// Cost: rows of the value that another rank has travel there; the rest of the array stays where it is, unless
    /// the old value is still seen by somebody, who keeps it: then each rank copies its part.
    ///
    /// # Errors
    /// Replicated: `Error::Index`, `Error::Shape` if the value does not broadcast or the array may not be written.
    pub fn assign(&self, indices: &[Index], value: &Array) -> Result<()> {
        self.check_writable()?;
        let (view, place) = self.place().indexed(indices)?;
        let value = fitted(value, &place.shape, self.dtype())?;
        self.change(|handle, storage, lens| {
            let region = Lens::new(lens, Step::Picked(view.clone()), place.clone(), true);
            handle.write(storage, &region, &value)
        })
    }

    /// One element of a small array that is there, named along all axes, as a value of its own; none if that must be
    /// planned or refused.
    ///
    /// Cost: no copy of anything else, no task, no message.
    pub fn element(&self, places: &[i64]) -> Option<Handle> {
        let state = self.settled();
        let seen = match &*state {
            State::Own(node) => return self.element_of(node.as_ref().expect(BUSY), places),
            State::Shared(..) => {
                drop(state);
                self.value()
            }
        };
        self.element_of(seen.node(), places)
    }

    fn element_of(&self, node: &Arc<Node>, places: &[i64]) -> Option<Handle> {
        let (item, flat) = (node.dtype.bytes(), flat_place(&node.shape, places)?);
        let value = node.look(|part| {
            let here = part.layout() == Layout::Replicated;
            here.then(|| Scalar::from_bytes(node.dtype, &part.tiles()[0].cell.borrow()[flat * item..][..item]))
        })??;
        let element = expr::fill(Shape::scalar(), node.dtype, value);
        Some(Handle { world: self.world.clone(), state: Mutex::new(State::Own(Some(element))) })
    }

    /// Writes one element of a small array that is there and that nobody else sees; false if that must be planned or
    /// refused.
    ///
    /// Cost: no copy of anything else, no task, no message.
    pub fn put_number(&self, places: &[i64], value: Scalar) -> bool {
        let state = self.settled();
        let State::Own(Some(node)) = &*state else { return false };
        let Some(part) = node.part().filter(|part| part.layout() == Layout::Replicated) else { return false };
        let fits = value.fits(node.dtype) && node.dtype.promote_weak(value) == node.dtype;
        // Only this handle's node holds the part, and only this handle the node, whose lock keeps others from both.
        let alone = Arc::strong_count(node) == 1 && Arc::strong_count(&part) == 2;
        let Some(flat) = flat_place(&node.shape, places).filter(|_| fits && alone) else { return false };
        let item = node.dtype.bytes();
        let bytes = &value.to_bytes(node.dtype)[..item];
        part.tiles()[0].cell.borrow_mut()[flat * item..][..item].copy_from_slice(bytes);
        true
    }

    /// Writes all elements by a function of the value; it may write in place what is given to it alone.
    ///
    /// # Errors
    /// Those of the function.
    pub(crate) fn update(&self, run: impl FnOnce(&Arc<Node>) -> Result<Arc<Node>>) -> Result<()> {
        self.check_writable()?;
        self.change(|handle, storage, lens| {
            let Some(lens) = lens else { return run(storage) };
            let new = run(&lens.node(storage, None))?;
            handle.write(storage, lens, &new)
        })
    }

    fn check_writable(&self) -> Result<()> {
        if self.is_writable() { Ok(()) } else { Err(Error::Shape("assignment destination is read-only".to_string())) }
    }

    /// Takes the value out, and puts another one in.
    fn change(&self, run: impl FnOnce(&Handle, &Arc<Node>, Option<&Arc<Lens>>) -> Result<Arc<Node>>) -> Result<()> {
        let mut state = self.settled();
        let shared = match &mut *state {
            State::Own(node) => Err(node.take().expect(BUSY)),
            State::Shared(storage, lens) => Ok((Arc::clone(storage), lens.clone())),
        };
        drop(state);
        match shared {
            Err(old) => {
                let new = run(self, &old, None);
                *self.state() = State::of(new.as_ref().unwrap_or(&old));
                new.map(drop)
            }
            Ok((storage, lens)) => {
                // What it showed is past after this, and must not be another holder of what is written.
                lens.iter().for_each(|lens| lens.forget());
                let old = storage.current().1.take().expect(BUSY);
                let new = run(self, &old, lens.as_ref());
                let mut current = storage.current();
                current.0 += 1;
                current.1 = Some(new.as_ref().map_or_else(|_| Arc::clone(&old), Arc::clone));
                new.map(drop)
            }
        }
    }

    /// The storage's value with other elements where the lens leads.
    fn write(&self, storage: &Arc<Node>, lens: &Arc<Lens>, value: &Arc<Node>) -> Result<Arc<Node>> {
        if lens.place.shape.elements() == 0 {
            return Ok(Arc::clone(storage));
        }
        if let Some(order) = lens.place.order_of(&storage.shape) {
            return Ok(expr::permute(&expanded(value, &lens.place.shape), &expr::inverse(&order)));
        }
        if let Some(to) = lens.place.over(&storage.shape) {
            return overwrite(&self.world, storage, vec![piece(value, &lens.place.shape, to)]);
        }
        // Neither rows of the storage nor steps within them: what this was made of is written as a whole.
        let parent = lens.parent.as_ref().map(|parent| parent.node(storage, None));
        let old = parent.as_ref().unwrap_or(storage);
        let new = match &lens.step {
            Step::Picked(view) => overwrite(&self.world, old, vec![piece(value, &lens.place.shape, view.clone())])?,
            Step::Permuted(order) => expr::permute(&expanded(value, &lens.place.shape), &expr::inverse(order)),
            Step::Reshaped => expr::view(&expanded(value, &lens.place.shape), View::flat(), old.shape.clone()),
        };
        drop(parent);
        lens.parent.as_ref().map_or_else(|| Ok(Arc::clone(&new)), |parent| self.write(storage, parent, &new))
    }

    fn dtype(&self) -> DType {
        match &*self.state() {
            State::Own(node) => node.as_ref().expect(BUSY).dtype,
            State::Shared(storage, _) => storage.now().1.dtype,
        }
    }

    /// Where this handle's elements are in the storage.
    fn place(&self) -> Strided {
        match &*self.state() {
            State::Own(node) => Strided::whole(&node.as_ref().expect(BUSY).shape),
            State::Shared(storage, lens) => {
                lens.as_ref().map_or_else(|| Strided::whole(&storage.shape), |lens| lens.place.clone())
            }
        }
    }

    /// A view, by which the two share a storage from now on.
    fn seen(&self, step: Step, place: Strided, writable: bool) -> Handle {
        let mut state = self.state();
        if let State::Own(node) = &mut *state {
            let node = node.take().expect(BUSY);
            let storage = Storage { shape: node.shape.clone(), current: Mutex::new((0, Some(node))) };
            *state = State::Shared(Arc::new(storage), None);
        }
        let State::Shared(storage, lens) = &*state else { unreachable!("made so above") };
        let lens = Lens::new(lens.as_ref(), step, place, writable);
        let state = State::Shared(Arc::clone(storage), Some(lens));
        Handle { world: self.world.clone(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A value that no other handle shares. One that is not divided by its rows is a view of its base, so that parts of
    /// it are found and written where they lie.
    fn of(node: &Arc<Node>) -> State {
        let Some(Permuted { base, order }) = expr::spread(node) else { return State::Own(Some(Arc::clone(node))) };
        let place = Strided::whole(&base.shape).permuted(order);
        let lens = Lens::new(None, Step::Permuted(order.clone()), place, true);
        let storage = Storage { shape: base.shape.clone(), current: Mutex::new((0, Some(Arc::clone(base)))) };
        State::Shared(Arc::new(storage), Some(lens))
    }
}

impl Storage {
    fn now(&self) -> (u64, Arc<Node>) {
        let current = self.current();
        (current.0, Arc::clone(current.1.as_ref().expect(BUSY)))
    }

    fn current(&self) -> MutexGuard<'_, (u64, Option<Arc<Node>>)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Strided {
    fn places(&self) -> impl Iterator<Item = isize> + '_ {
        (0..self.shape.elements()).map(|flat| {
            let mut rest = flat;
            let mut place = self.offset;
            for (&length, &stride) in self.shape.iter().zip(&self.strides).rev() {
                place += (rest % length) as isize * stride;
                rest /= length;
            }
            place
        })
    }
}

/// A value as it is written to elements of this shape: of their dtype, and so that it broadcasts.
fn fitted(value: &Array, shape: &Shape, dtype: DType) -> Result<Arc<Node>> {
    let lengths = value.shape();
    let extra = lengths.len().saturating_sub(shape.len());
    let refused = || {
        let from = Shape::from_lengths(lengths.to_vec()).to_string().replace(", ", ",");
        let shape = shape.to_string().replace(", ", ",");
        Error::Shape(format!("could not broadcast input array from shape {from} into shape {shape}"))
    };
    if lengths[..extra].iter().any(|&length| length != 1) {
        return Err(refused());
    }
    let inner = Shape::from_lengths(lengths[extra..].to_vec());
    if broadcast(&[&inner, shape]).ok().as_ref() != Some(shape) {
        return Err(refused());
    }
    let node = expr::cast(value.node(), dtype);
    Ok(if extra > 0 { expr::view(&node, View::flat(), inner) } else { node })
}

/// A value repeated to this shape.
fn expanded(value: &Arc<Node>, shape: &Shape) -> Arc<Node> {
    if value.shape == *shape {
        return Arc::clone(value);
    }
    if let Some(Recorded::Fill(number)) = value.record().as_deref() {
        return expr::fill(shape.clone(), value.dtype, *number);
    }
    expr::view(value, View::broadcast(&value.shape, shape), shape.clone())
}

fn piece(value: &Arc<Node>, shape: &Shape, to: View) -> Piece {
    let from = View::broadcast(&value.shape, shape);
    Piece { input: Arc::clone(value), lengths: shape.to_vec(), from, to }
}
