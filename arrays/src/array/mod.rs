//! Arrays as programs use them: handles that are cheap to copy, of values that are recorded or there.
//!
//! Every method is called by all ranks alike. What costs nothing on other ranks' behalf says nothing of it;
//! a method that may wait or send says so.

mod arithmetic;
mod create;
mod custom;
mod joins;
mod reductions;
mod views;

pub(crate) use create::room;
pub(crate) use views::{flat_place, reshaped};

pub use arithmetic::Operand;

use crate::distribution::{Layout, RowDistribution};
use crate::dtype::{DType, Element, Scalar};
use crate::error::{Error, Result};
use crate::evaluate::{evaluate, is_immediate, value};
use crate::explain::{Explanation, explain};
use crate::expr::{self, Node, Recorded};
use crate::lower::direct;
use crate::shape::Shape;
use crate::tile::{Part, Tile};
use girih_runtime::ids::Rank;
use girih_runtime::world::World;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Recorded operations beyond so many are computed before more are recorded, so that neither memory nor the
/// depth of an expression grows with the length of a program.
const HEIGHT_MAX: usize = 64;

/// Operations on arrays of at most so many bytes take no longer than the release of an interpreter's lock.
const AT_HAND_BYTES_MAX: usize = 2 << 10;

/// A distributed n-d array. Clones share it; nobody changes it.
#[derive(Clone)]
pub struct Array {
    world: World,
    node: Arc<Node>,
}

/// What this rank has of an array: rows that follow one another in memory.
#[derive(Clone, Debug)]
pub struct Local {
    /// The blocks, which keep the memory alive.
    pub part: Arc<Part>,
    /// The rows, counted over all ranks.
    pub rows: Range<usize>,
    /// The shape of this part: as the array's, with this rank's number of rows.
    pub shape: Vec<usize>,
    /// The type of the elements.
    pub dtype: DType,
}

impl Array {
    /// Takes a recorded node; computes it now if it is small, or if much was recorded before it.
    pub(crate) fn record(world: &World, node: Arc<Node>) -> Result<Array> {
        if let Some(done) = direct(world, &node) {
            return done.map(|()| Array { world: world.clone(), node });
        }
        if node.height > HEIGHT_MAX || (node.layout == Layout::Replicated && is_immediate(&node)) {
            evaluate(world, computed(&node))?;
        }
        Ok(Array { world: world.clone(), node })
    }

    /// A handle of a node; a small one is computed now, or, if that fails, when its value is asked for.
    pub(crate) fn of(world: &World, node: Arc<Node>) -> Array {
        if node.layout == Layout::Replicated && node.part().is_none() {
            match direct(world, &node) {
                Some(done) => drop(done),
                None if is_immediate(&node) => drop(evaluate(world, &node)),
                None => {}
            }
        }
        Array::recorded(world, node)
    }

    /// A handle of a node as it is.
    pub(crate) fn recorded(world: &World, node: Arc<Node>) -> Array {
        Array { world: world.clone(), node }
    }

    pub(crate) fn ready(world: &World, shape: Shape, dtype: DType, part: Part) -> Array {
        Array { world: world.clone(), node: Node::ready(shape, dtype, part) }
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    fn with(&self, node: Arc<Node>) -> Result<Array> {
        Array::record(&self.world, node)
    }

    /// The world that the array lives in.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The length along each axis.
    pub fn shape(&self) -> &[usize] {
        &self.node.shape
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.node.dtype
    }

    /// Whether every rank has all elements, or its own rows.
    pub fn layout(&self) -> Layout {
        self.node.layout
    }

    /// How rows are spread over ranks where the layout is by rows.
    pub fn distribution(&self) -> RowDistribution {
        RowDistribution::new(self.node.shape.rows(), self.world.size(), self.world.config().tile_bytes)
    }

    /// The rows that this rank has.
    pub fn local_rows(&self) -> Range<usize> {
        self.rows_of(self.world.rank())
    }

    /// The rows that a rank has.
    pub fn rows_of(&self, rank: Rank) -> Range<usize> {
        match self.layout() {
            Layout::Replicated => 0..self.node.shape.rows(),
            Layout::Rows => self.distribution().rows_of(rank),
        }
    }

    /// Whether the value is there, so that reading this rank's part neither waits nor sends.
    pub fn is_ready(&self) -> bool {
        self.node.is_there()
    }

    /// Whether this is small, whole and there, so that most operations on it take less than a microsecond.
    pub fn is_at_hand(&self) -> bool {
        self.node.layout == Layout::Replicated && self.node.bytes() <= AT_HAND_BYTES_MAX && self.node.is_there()
    }

    /// What computing the value, as [`Array::compute`] does, would do on this rank. Nothing is computed or sent.
    ///
    /// # Errors
    /// Local: `Error::Runtime` if there is no room for the results.
    pub fn explain(&self) -> Result<Explanation> {
        explain(&self.world, computed(&self.node))
    }

    /// Computes the value, by rows. Collective.
    ///
    /// # Errors
    /// `Error::Runtime`, as `World::run`.
    pub fn wait(&self) -> Result<()> {
        evaluate(&self.world, &self.node)
    }

    /// Computes the value where the array lies: of one with a base, the base's. Collective.
    ///
    /// # Errors
    /// As [`Array::wait`].
    pub fn compute(&self) -> Result<()> {
        evaluate(&self.world, computed(&self.node))
    }

    /// This rank's blocks. Collective unless the value is there.
    ///
    /// # Errors
    /// As [`Array::wait`].
    pub fn part(&self) -> Result<Arc<Part>> {
        value(&self.world, &self.node)
    }

    /// This rank's part as one run of rows. Collective unless the value is there.
    ///
    /// # Errors
    /// As [`Array::wait`].
    pub fn local(&self) -> Result<Local> {
        let part = self.part()?;
        let rows = self.local_rows();
        let mut shape = self.node.shape.to_vec();
        if let Some(first) = shape.first_mut() {
            *first = rows.len();
        }
        Ok(Local { part, rows, shape, dtype: self.node.dtype })
    }

    /// This rank's tiles, in the order of rows; one tile with all rows if the array is replicated.
    /// Collective unless the value is there.
    ///
    /// # Errors
    /// As [`Array::wait`].
    pub fn tiles(&self) -> Result<Vec<Tile>> {
        Ok(self.part()?.tiles().to_vec())
    }

    /// The same elements, whole on every rank. Collective; brings all elements to all ranks.
    ///
    /// # Errors
    /// As [`Array::wait`].
    pub fn gather(&self) -> Result<Array> {
        if self.layout() == Layout::Replicated {
            return Ok(self.clone());
        }
        let gathered = Array { world: self.world.clone(), node: expr::gather(&self.node) };
        evaluate(&self.world, &gathered.node)?;
        Ok(gathered)
    }

    /// All elements in row-major order, on every rank. Collective.
    ///
    /// # Errors
    /// As [`Array::wait`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        if self.world.size() == 1 {
            return Ok(self.part()?.to_bytes());
        }
        let whole = self.gather()?;
        Ok(whole.part()?.to_bytes())
    }

    /// All elements in row-major order, on every rank. Collective.
    ///
    /// # Errors
    /// As [`Array::wait`]; replicated: `Error::Type` if the elements are of another type.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        if T::DTYPE != self.dtype() {
            return Err(Error::Type(format!("an array of {} was read as {}", self.dtype(), T::DTYPE)));
        }
        let bytes = self.to_bytes()?;
        let mut elements = vec![T::zeroed(); bytes.len() / size_of::<T>()];
        bytemuck::cast_slice_mut(&mut elements).copy_from_slice(&bytes);
        Ok(elements)
    }

    /// The only element. Collective unless the value is there.
    ///
    /// # Errors
    /// As [`Array::wait`]; replicated: `Error::Type` if there is not exactly one element.
    pub fn to_scalar(&self) -> Result<Scalar> {
        if self.node.shape.elements() != 1 {
            return Err(Error::Type("only length-1 arrays can be converted to Python scalars".to_string()));
        }
        if let Some(Recorded::Fill(value)) = self.node.record().as_deref() {
            return Ok(Scalar::from_bytes(self.dtype(), &value.to_bytes(self.dtype())));
        }
        let part = self.part()?;
        if self.layout() == Layout::Replicated {
            return Ok(Scalar::from_bytes(self.dtype(), &part.tiles()[0].cell.borrow()));
        }
        Ok(Scalar::from_bytes(self.dtype(), &self.to_bytes()?))
    }
}

/// The node whose value holds the elements of this one.
fn computed(node: &Arc<Node>) -> &Arc<Node> {
    expr::spread(node).map_or(node, |permuted| &permuted.base)
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array({} {}, {:?})", self.dtype(), self.node.shape, self.layout())
    }
}
