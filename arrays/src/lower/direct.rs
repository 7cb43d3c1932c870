//! Small values, computed by the calling thread as soon as they are recorded.
//!
//! What reads small arrays that are whole and there needs no plan, no program and no graph: its operands go to the
//! kernels as they are. The kernels see the same elements in the same order as they would within a program, so the
//! bits are the same. Whatever does not fit this is left to an evaluation.

use super::Lowering;
use crate::distribution::Layout;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::expr::{Node, Recorded, View};
use crate::kernel::copy::Copying;
use crate::kernel::operation::Operation;
use crate::kernel::{copy, elementwise, fold};
use crate::lower::machine::PIECE;
use crate::shape::Shape;
use crate::tile::Part;
use bytemuck::{cast_slice, cast_slice_mut};
use girih_runtime::world::World;
use std::sync::Arc;

/// The elements of an operand: where they are, or computed for this one reader.
enum Values {
    Shared(Arc<Part>),
    Own(Vec<u64>),
}

/// Gives a node its value if it is small and what it reads is there; none if it must be planned.
///
/// # Errors
/// Replicated: `Error::Shape` for values that the operation does not take. Local: `Error::Runtime` for memory.
pub(crate) fn direct(world: &World, node: &Arc<Node>) -> Option<Result<()>> {
    if node.layout != Layout::Replicated {
        return None;
    }
    let record = node.record()?;
    match &*record {
        Recorded::Map { operation, inputs } if inputs.iter().all(is_here) => {
            Some(written(world, node, |out| map(*operation, inputs, &node.shape, out)))
        }
        Recorded::Reduce { reduction, input }
            if reduction.axes.len() == input.shape.len()
                && (1..=PIECE).contains(&input.shape.elements())
                && is_here(input) =>
        {
            Some(written(world, node, |out| {
                let mut words = Vec::with_capacity(2);
                let mut run = |values: &[u8]| {
                    fold::runs(reduction.fold, input.dtype, values, input.shape.elements(), &mut words);
                };
                match &operand(input, &input.shape) {
                    Values::Shared(part) => run(&part.tiles()[0].cell.borrow()),
                    Values::Own(own) => run(&cast_slice(own)[..input.bytes()]),
                }
                fold::finish(reduction.fold, &words, input.dtype, reduction.divisor, node.dtype, out);
                Ok(())
            }))
        }
        Recorded::Fill(value) => Some(written(world, node, |out| {
            copy::splat(node.dtype.bytes(), value.to_bytes(node.dtype), out);
            Ok(())
        })),
        Recorded::View { input, view } if is_ready(input) => Some(written(world, node, |out| {
            let part = input.part().expect("an operand that is ready has a value");
            let source = part.tiles()[0].cell.borrow();
            copy::copy(node.dtype.bytes(), &whole(view, &input.shape, &node.shape), &source, out);
            Ok(())
        })),
        Recorded::Sequence { .. }
        | Recorded::Map { .. }
        | Recorded::Reduce { .. }
        | Recorded::Scan { .. }
        | Recorded::Product { .. }
            if record.inputs().into_iter().all(is_ready) =>
        {
            // With all operands here, lowering computes at once and leaves no graph.
            let mut lowering = Lowering::new(world);
            let outcome = lowering.node(node, &|_| true);
            assert!(outcome.is_err() || node.is_there(), "operands that are here leave no graph");
            Some(outcome)
        }
        _ => None,
    }
}

/// A view of an array that is here as a whole.
fn whole(view: &View, source: &Shape, shape: &Shape) -> Copying {
    if view.flat {
        return Copying::straight(shape.elements());
    }
    let width = source.row_elements() as isize;
    let mut from_steps = view.steps.clone();
    if let Some(axis) = view.row_axis {
        from_steps[axis] += view.row_step * width;
    }
    let from = view.row * width + view.offset;
    Copying { lengths: shape.to_vec(), from, from_steps, to: 0, to_steps: shape.strides() }
}

fn written(world: &World, node: &Arc<Node>, run: impl FnOnce(&mut [u8]) -> Result<(), String>) -> Result<()> {
    let part = Part::replicated(world.memory(), node.shape.rows(), node.bytes())?;
    run(&mut part.tiles()[0].cell.borrow_mut()).map_err(Error::Shape)?;
    node.set(part);
    Ok(())
}

fn is_ready(node: &Arc<Node>) -> bool {
    node.part().is_some_and(|part| part.layout() == Layout::Replicated)
}

/// Whether a node is there, or is a number, or a conversion of what is there.
fn is_here(node: &Arc<Node>) -> bool {
    match node.record().as_deref() {
        None => is_ready(node),
        Some(Recorded::Fill(_)) => true,
        Some(Recorded::Map { operation: Operation::Cast(_), inputs }) => {
            node.layout == Layout::Replicated && is_ready(&inputs[0])
        }
        _ => false,
    }
}

fn map(operation: Operation, inputs: &[Arc<Node>], shape: &Shape, out: &mut [u8]) -> Result<(), String> {
    if out.is_empty() {
        return Ok(());
    }
    let values: Vec<Values> = inputs.iter().map(|input| operand(input, shape)).collect();
    let guards: Vec<_> = values
        .iter()
        .map(|values| match values {
            Values::Shared(part) => Some(part.tiles()[0].cell.borrow()),
            Values::Own(_) => None,
        })
        .collect();
    let mut slices: [&[u8]; 3] = [&[]; 3];
    for (index, input) in inputs.iter().enumerate() {
        let bytes = shape.elements() * input.dtype.bytes();
        slices[index] = match (&guards[index], &values[index]) {
            (Some(guard), _) => guard,
            (None, Values::Own(own)) => &cast_slice(own)[..bytes],
            (None, Values::Shared(_)) => unreachable!("a shared value has a guard"),
        };
    }
    let dtype = inputs.last().expect("an operation has operands").dtype;
    elementwise::apply(operation, dtype, &slices[..inputs.len()], out)
}

/// An operand's elements as the result meets them.
fn operand(input: &Arc<Node>, shape: &Shape) -> Values {
    if let Some(part) = input.part() {
        if input.shape == *shape {
            return Values::Shared(part);
        }
        return Values::Own(room(shape, input.dtype, |out| {
            let steps = input.shape.broadcast_strides(shape);
            copy::gather(input.dtype.bytes(), shape, &steps, 0, 0, &part.tiles()[0].cell.borrow(), out);
        }));
    }
    let record = input.record().expect("a node without a value is recorded");
    match &*record {
        Recorded::Fill(value) => Values::Own(room(shape, input.dtype, |out| {
            copy::splat(input.dtype.bytes(), value.to_bytes(input.dtype), out);
        })),
        Recorded::Map { operation, inputs } => Values::Own(room(shape, input.dtype, |out| {
            let converted = map(*operation, inputs, shape, out);
            assert!(converted.is_ok(), "every value converts");
        })),
        other => unreachable!("{other:?} is not here"),
    }
}

fn room(shape: &Shape, dtype: DType, fill: impl FnOnce(&mut [u8])) -> Vec<u64> {
    let bytes = shape.elements() * dtype.bytes();
    let mut own = vec![0_u64; bytes.div_ceil(8)];
    fill(&mut cast_slice_mut::<u64, u8>(&mut own)[..bytes]);
    own
}
