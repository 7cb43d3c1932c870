//! Nodes of expressions: recorded, and later evaluated once.
//!
//! Invariant: shape, type and layout never change; the record of how to compute a node is dropped when its
//! value is there, and with it whatever only this node still needed.

use crate::distribution::Layout;
use crate::dtype::{DType, Scalar};
use crate::kernel::custom::Kernel;
use crate::kernel::fold::Fold;
use crate::kernel::operation::Operation;
use crate::shape::Shape;
use crate::tile::Part;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::view::View;

/// Elements that must follow one another for a view to be read as fast as a copy of it.
const FREE_RUN_MIN: usize = 32;

/// An array that is recorded or there.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) shape: Shape,
    pub(crate) dtype: DType,
    pub(crate) layout: Layout,
    /// Recorded operations on the longest way down to something that was there when this was recorded.
    pub(crate) height: usize,
    /// The array that this one shows with its axes in another order.
    pub(crate) permuted: Option<Permuted>,
    /// Whether an evaluation has computed this node without keeping its value.
    passed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Recorded(Arc<Recorded>),
    Ready(Arc<Part>),
}

/// An array and an order of its axes: axis k of what is shown is axis `order[k]` of the base, which is no such view.
#[derive(Debug)]
pub(crate) struct Permuted {
    pub(crate) base: Arc<Node>,
    pub(crate) order: Vec<usize>,
}

/// How a node is computed.
#[derive(Debug)]
pub(crate) enum Recorded {
    /// One number everywhere.
    Fill(Scalar),
    /// Element i is `start + i·step`; one axis.
    Sequence { start: Scalar, step: Scalar },
    /// Element by element, on broadcast inputs of one type (the condition of a selection aside).
    Map { operation: Operation, inputs: Vec<Arc<Node>> },
    /// Elements along axes combined.
    Reduce { reduction: Reduction, input: Arc<Node> },
    /// Running results along an axis.
    Scan { fold: Fold, axis: usize, input: Arc<Node> },
    /// The product of `lhs` (m×k) and `rhs` (k×n).
    Product { lhs: Arc<Node>, rhs: Arc<Node>, m: usize, k: usize, n: usize },
    /// The product `xᵀ·y` of two matrices with equally many rows.
    Across { x: Arc<Node>, y: Arc<Node> },
    /// What code of its own computes: of the first `aligned` inputs each row from the same rows, of the others the
    /// whole.
    Custom { kernel: Arc<Kernel>, aligned: usize, inputs: Vec<Arc<Node>> },
    /// Elements at other places.
    View { input: Arc<Node>, view: View },
    /// Boxes of other arrays, the later ones over the earlier; together they fill the array.
    Join { pieces: Vec<Piece> },
}

/// A box of elements of another array, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) input: Arc<Node>,
    /// The lengths of the box.
    pub(crate) lengths: Vec<usize>,
    /// Where its elements are in the input.
    pub(crate) from: View,
    /// Where they go in the result.
    pub(crate) to: View,
}

/// What a reduction does.
#[derive(Clone, Debug)]
pub(crate) struct Reduction {
    pub(crate) fold: Fold,
    /// Axes to reduce, ascending.
    pub(crate) axes: Vec<usize>,
    /// What results are divided by, for means.
    pub(crate) divisor: Option<f64>,
}

impl Node {
    pub(crate) fn recorded(shape: Shape, dtype: DType, layout: Layout, recorded: Recorded) -> Arc<Node> {
        let height = 1 + recorded.inputs().iter().map(|input| input.height_now()).max().unwrap_or(0);
        Node::new(shape, dtype, layout, height, None, State::Recorded(Arc::new(recorded)))
    }

    pub(crate) fn permuted(permuted: Permuted) -> Arc<Node> {
        let Permuted { base, order } = &permuted;
        let (shape, dtype, height) = (base.shape.permuted(order), base.dtype, 1 + base.height_now());
        let recorded = Recorded::View { input: Arc::clone(base), view: View::permuted(&base.shape, order) };
        let layout = Layout::of(&shape, dtype);
        Node::new(shape, dtype, layout, height, Some(permuted), State::Recorded(Arc::new(recorded)))
    }

    pub(crate) fn ready(shape: Shape, dtype: DType, part: Part) -> Arc<Node> {
        Node::new(shape, dtype, part.layout(), 0, None, State::Ready(Arc::new(part)))
    }

    /// A node whose value is on its way from elsewhere; until then it reads as zeros.
    pub(crate) fn arriving(shape: Shape, dtype: DType) -> Arc<Node> {
        let layout = Layout::of(&shape, dtype);
        Node::recorded(shape, dtype, layout, Recorded::Fill(Scalar::Int(0)))
    }

    fn new(
        shape: Shape,
        dtype: DType,
        layout: Layout,
        height: usize,
        permuted: Option<Permuted>,
        state: State,
    ) -> Arc<Node> {
        let (passed, state) = (AtomicBool::new(false), Mutex::new(state));
        Arc::new(Node { shape, dtype, layout, height, permuted, passed, state })
    }

    /// The value, if it was computed.
    pub(crate) fn part(&self) -> Option<Arc<Part>> {
        match &*self.state() {
            State::Ready(part) => Some(Arc::clone(part)),
            State::Recorded(_) => None,
        }
    }

    /// Whether the value is there.
    pub(crate) fn is_there(&self) -> bool {
        matches!(&*self.state(), State::Ready(_))
    }

    /// Looks at the value without a share in it; none if it is still to be computed.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Part) -> T) -> Option<T> {
        match &*self.state() {
            State::Ready(part) => Some(look(part)),
            State::Recorded(_) => None,
        }
    }

    /// How to compute the value, if that is still to be done.
    pub(crate) fn record(&self) -> Option<Arc<Recorded>> {
        match &*self.state() {
            State::Recorded(recorded) => Some(Arc::clone(recorded)),
            State::Ready(_) => None,
        }
    }

    /// Sets the value and forgets how it was computed.
    pub(crate) fn set(&self, part: Part) {
        let before = std::mem::replace(&mut *self.state(), State::Ready(Arc::new(part)));
        // Outside of the lock: this may be the end of other nodes.
        drop(before);
    }

    /// The array whose rows this one shows, and how, if who reads this one may look there instead.
    pub(crate) fn window(&self) -> Option<(Arc<Node>, View)> {
        match self.record().as_deref() {
            Some(Recorded::View { input, view }) => {
                let rows = self.layout == Layout::Rows && input.layout == Layout::Rows;
                (rows && view.shows_rows(&self.shape, &input.shape)).then(|| (Arc::clone(input), view.clone()))
            }
            _ => None,
        }
    }

    /// Whether the node costs nothing to read anew, however often: it is generated, or shows long runs of elements.
    pub(crate) fn is_free(&self) -> bool {
        let long = |(input, view): (Arc<Node>, View)| view.run(&self.shape, &input.shape) >= FREE_RUN_MIN;
        self.is_generated() || self.window().is_some_and(long)
    }

    /// Whether the node costs nothing to make anew.
    pub(crate) fn is_generated(&self) -> bool {
        matches!(self.record().as_deref(), Some(Recorded::Fill(_) | Recorded::Sequence { .. }))
    }

    /// Notes that an evaluation passes through this node, and tells whether an earlier one did.
    pub(crate) fn pass(&self) -> bool {
        // Relaxed: evaluations follow one another; the flag only tells them apart.
        self.passed.swap(true, Relaxed)
    }

    /// Whether an evaluation has passed through this node.
    pub(crate) fn was_passed(&self) -> bool {
        self.passed.load(Relaxed)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.shape.elements() * self.dtype.bytes()
    }

    fn height_now(&self) -> usize {
        if self.is_there() { 0 } else { self.height }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorded {
    /// The nodes that this one is computed from.
    pub(crate) fn inputs(&self) -> Vec<&Arc<Node>> {
        match self {
            Recorded::Fill(_) | Recorded::Sequence { .. } => Vec::new(),
            Recorded::Map { inputs, .. } | Recorded::Custom { inputs, .. } => inputs.iter().collect(),
            Recorded::Reduce { input, .. } | Recorded::Scan { input, .. } | Recorded::View { input, .. } => vec![input],
            Recorded::Product { lhs, rhs, .. } => vec![lhs, rhs],
            Recorded::Across { x, y } => vec![x, y],
            Recorded::Join { pieces } => pieces.iter().map(|piece| &piece.input).collect(),
        }
    }
}
