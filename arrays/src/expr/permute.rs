//! Axes in another order, and what is computed where elements lie instead of where their rows would be.
//!
//! A permuted array is recorded as a base and an order of its axes. Elementwise operations, reductions and scans of
//! permuted arrays are recorded on their bases, so that nothing moves until somebody asks for rows: the array is
//! distributed along the axis that is the base's first. Whether an operation goes this way follows from shapes and
//! orders alone, never from what is computed already, so that results have the same bits whenever that happens.

use super::infer::{self, fill, view};
use super::node::{Node, Permuted, Recorded, Reduction};
use super::view::View;
use crate::distribution::Layout;
use crate::error::Result;
use crate::kernel::fold::Fold;
use crate::shape::Shape;
use std::sync::Arc;

/// Axes in another order: axis k of the result is axis `order[k]` of the input.
pub(crate) fn permute(input: &Arc<Node>, order: &[usize]) -> Arc<Node> {
    if order.is_sorted() {
        return Arc::clone(input);
    }
    if let Some(Recorded::Fill(value)) = input.record().as_deref() {
        return fill(input.shape.permuted(order), input.dtype, *value);
    }
    match &input.permuted {
        Some(Permuted { base, order: before }) => {
            permute(base, &order.iter().map(|&axis| before[axis]).collect::<Vec<_>>())
        }
        None => Node::permuted(Permuted { base: Arc::clone(input), order: order.to_vec() }),
    }
}

/// The order that undoes another one.
pub(crate) fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    for (axis, &from) in order.iter().enumerate() {
        inverse[from] = axis;
    }
    inverse
}

/// Base and order of an array that is spread over ranks along an axis other than its first.
pub(crate) fn spread(node: &Node) -> Option<&Permuted> {
    node.permuted.as_ref().filter(|permuted| permuted.base.layout == Layout::Rows)
}

/// The same elements, divided among ranks along this axis.
pub(crate) fn redistribute(input: &Arc<Node>, axis: usize) -> Arc<Node> {
    let (base, before) = match &input.permuted {
        Some(Permuted { base, order }) => (base, order.clone()),
        None => (input, (0..input.shape.len()).collect()),
    };
    if base.layout == Layout::Rows && before[axis] == 0 {
        return Arc::clone(input);
    }
    let first: Vec<usize> = [axis].into_iter().chain((0..input.shape.len()).filter(|&other| other != axis)).collect();
    let from: Vec<usize> = first.iter().map(|&axis| before[axis]).collect();
    let rows = view(base, View::permuted(&base.shape, &from), base.shape.permuted(&from));
    permute(&rows, &inverse(&first))
}

/// What an elementwise operation with a result of this shape reads instead of its inputs: their bases, and the order
/// of whose axes the result then needs. None if the inputs do not lie alike.
pub(super) fn on_bases(shape: &Shape, inputs: &[Arc<Node>]) -> Option<(Vec<usize>, Vec<Arc<Node>>)> {
    let order = &inputs.iter().find_map(|input| spread(input).filter(|_| input.shape == *shape))?.order;
    let bases = inputs.iter().map(|input| on_base(input, shape, order)).collect::<Option<Vec<_>>>()?;
    Some((order.clone(), bases))
}

/// What of the bases' shape stands for an input that is broadcast to the result's.
fn on_base(input: &Arc<Node>, shape: &Shape, order: &[usize]) -> Option<Arc<Node>> {
    if let Some(Permuted { base, order: own }) = spread(input)
        && own == order
    {
        return Some(Arc::clone(base));
    }
    if let Some(Recorded::Fill(value)) = input.record().as_deref() {
        return Some(fill(Shape::scalar(), input.dtype, *value));
    }
    let mut lengths = vec![1; shape.len() - input.shape.len()];
    lengths.extend_from_slice(&input.shape);
    let long = Shape::from_lengths(lengths);
    if input.layout == Layout::Replicated {
        let input = if long == input.shape { Arc::clone(input) } else { view(input, View::flat(), long) };
        return Some(permute(&input, &inverse(order)));
    }
    // One number for each of the bases' rows lies as these do.
    let turned = long.permuted(&inverse(order));
    (turned.row_elements() == 1 && input.permuted.is_none()).then(|| view(input, View::flat(), turned))
}

/// A reduction of a permuted array by way of its base; none if that gives other results.
pub(super) fn reduced(reduction: &Reduction, input: &Arc<Node>, keep: bool) -> Option<Result<Arc<Node>>> {
    let Permuted { base, order } = spread(input)?;
    // Places are counted in the order of this array's elements, which is the base's along its last axis alone.
    let places = matches!(reduction.fold, Fold::FirstMin | Fold::FirstMax);
    if places && reduction.axes.iter().map(|&axis| order[axis]).ne([base.shape.len() - 1]) {
        return None;
    }
    let mut axes: Vec<usize> = reduction.axes.iter().map(|&axis| order[axis]).collect();
    axes.sort_unstable();
    let kept = |axis: &usize| keep || !axes.contains(axis);
    let left: Vec<usize> = (0..order.len()).filter(kept).collect();
    let place = |axis: &usize| left.iter().position(|one| one == axis);
    let result_order: Vec<usize> = order.iter().filter_map(place).collect();
    let on_base = infer::reduce(Reduction { axes: axes.clone(), ..reduction.clone() }, base, keep);
    Some(on_base.map(|result| permute(&result, &result_order)))
}

/// A scan of a permuted array by way of its base.
pub(super) fn scanned(fold: Fold, input: &Arc<Node>, axis: usize) -> Option<Arc<Node>> {
    let Permuted { base, order } = spread(input)?;
    Some(permute(&infer::scan(fold, base, order[axis]), order))
}
