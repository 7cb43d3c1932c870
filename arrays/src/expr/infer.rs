//! Shapes, types and layouts of what is recorded, and the errors that NumPy's users expect.

use super::node::{Node, Recorded, Reduction};
use super::view::View;
use crate::distribution::Layout;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::kernel::fold::Fold;
use crate::kernel::operation::{Binary, Operation, Unary};
use crate::shape::{Shape, broadcast};
use std::sync::Arc;

/// A side of an operation: an array, or a number of Python's own.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Array(Arc<Node>),
    Scalar(Scalar),
}

pub(crate) fn fill(shape: Shape, dtype: DType, value: Scalar) -> Arc<Node> {
    let layout = Layout::of(&shape, dtype);
    Node::recorded(shape, dtype, layout, Recorded::Fill(value))
}

pub(crate) fn sequence(length: usize, dtype: DType, start: Scalar, step: Scalar) -> Result<Arc<Node>> {
    let shape = Shape::new(&[length])?;
    let layout = Layout::of(&shape, dtype);
    Ok(Node::recorded(shape, dtype, layout, Recorded::Sequence { start, step }))
}

pub(crate) fn cast(input: &Arc<Node>, dtype: DType) -> Arc<Node> {
    if input.dtype == dtype {
        return Arc::clone(input);
    }
    if let Some(Recorded::Fill(value)) = input.record().as_deref() {
        // Through the type it had, so that a value which that type cut stays cut.
        let value = Scalar::from_bytes(input.dtype, &value.to_bytes(input.dtype));
        return fill(input.shape.clone(), dtype, value);
    }
    map(Operation::Cast(dtype), input.shape.clone(), dtype, vec![Arc::clone(input)])
}

/// Records `operation`, on inputs of type `dtype` (the condition of a selection aside).
fn map(operation: Operation, shape: Shape, dtype: DType, inputs: Vec<Arc<Node>>) -> Arc<Node> {
    let result = operation.result(dtype);
    let layout = Layout::of(&shape, result);
    Node::recorded(shape, result, layout, Recorded::Map { operation, inputs })
}

pub(crate) fn unary(op: Unary, input: &Arc<Node>) -> Result<Arc<Node>> {
    let dtype = match (op, input.dtype) {
        (Unary::Negative, DType::Bool) => {
            return Err(Error::Type(
                "The numpy boolean negative, the `-` operator, is not supported, use the `~` operator or the \
                 logical_not function instead."
                    .to_string(),
            ));
        }
        (Unary::Invert, dtype) if dtype.is_float() => return Err(unsupported(op.name())),
        (Unary::Sign, DType::Bool) => return Err(unsupported(op.name())),
        (Unary::Reciprocal, DType::Bool) => DType::Int64,
        (op, dtype) if op.takes_integers() => dtype,
        (_, dtype) => dtype.to_float(),
    };
    let shape = input.shape.clone();
    Ok(map(Operation::Unary(op), shape, dtype, vec![cast(input, dtype)]))
}

pub(crate) fn binary(op: Binary, left: &Operand, right: &Operand) -> Result<Arc<Node>> {
    let common = common_type(left, right);
    let dtype = match (op, common) {
        (Binary::Divide | Binary::Arctan2 | Binary::Hypot | Binary::CopySign, dtype) => dtype.to_float(),
        (Binary::Subtract, DType::Bool) => {
            return Err(Error::Type(
                "numpy boolean subtract, the `-` operator, is not supported, use the bitwise_xor, the `^` operator, \
                 or the logical_xor function instead."
                    .to_string(),
            ));
        }
        (op, dtype) if op.is_bitwise() && dtype.is_float() => return Err(unsupported(op.name())),
        (
            Binary::FloorDivide | Binary::Remainder | Binary::Power | Binary::LeftShift | Binary::RightShift,
            DType::Bool,
        ) => DType::Int64,
        (_, dtype) => dtype,
    };
    if let (Binary::Power, Operand::Array(base), Operand::Scalar(exponent)) = (op, left, right)
        && let Some(result) = power_by_scalar(base, *exponent, dtype)?
    {
        return Ok(result);
    }
    let shape = broadcast(&[&left.shape(), &right.shape()])?;
    Ok(map(Operation::Binary(op), shape, dtype, vec![left.node(dtype), right.node(dtype)]))
}

/// Powers that NumPy computes by a simpler operation.
fn power_by_scalar(base: &Arc<Node>, exponent: Scalar, dtype: DType) -> Result<Option<Arc<Node>>> {
    if dtype == DType::Int64 && exponent.to_i64() < 0 {
        return Err(Error::Shape("Integers to negative integer powers are not allowed.".to_string()));
    }
    let base = cast(base, dtype);
    let exponent = exponent.to_f64();
    let simple = match (exponent, dtype.is_float()) {
        (2.0, _) => Unary::Square,
        (0.5, true) => Unary::Sqrt,
        (-1.0, true) => Unary::Reciprocal,
        (1.0, _) => return Ok(Some(base)),
        _ => return Ok(None),
    };
    unary(simple, &base).map(Some)
}

pub(crate) fn select(condition: &Operand, yes: &Operand, no: &Operand) -> Result<Arc<Node>> {
    let dtype = common_type(yes, no);
    let shape = broadcast(&[&condition.shape(), &yes.shape(), &no.shape()])?;
    let condition = match condition {
        Operand::Array(node) => cast(node, DType::Bool),
        Operand::Scalar(value) => fill(Shape::scalar(), DType::Bool, *value),
    };
    Ok(map(Operation::Select, shape, dtype, vec![condition, yes.node(dtype), no.node(dtype)]))
}

pub(crate) fn reduce(reduction: Reduction, input: &Arc<Node>, keep: bool) -> Result<Arc<Node>> {
    let (fold, axes) = (reduction.fold, &reduction.axes);
    let kept = |axis: &usize| !axes.contains(axis);
    let lengths: Vec<usize> = if keep {
        (0..input.shape.len()).map(|axis| if kept(&axis) { input.shape[axis] } else { 1 }).collect()
    } else {
        (0..input.shape.len()).filter(kept).map(|axis| input.shape[axis]).collect()
    };
    let shape = Shape::new(&lengths)?;
    let nothing = axes.iter().any(|&axis| input.shape[axis] == 0);
    if nothing && matches!(fold, Fold::Min | Fold::Max) {
        let name = if fold == Fold::Min { "minimum" } else { "maximum" };
        return Err(Error::Shape(format!("zero-size array to reduction operation {name} which has no identity")));
    }
    let input = if matches!(fold, Fold::All | Fold::Any) { cast(input, DType::Bool) } else { Arc::clone(input) };
    let dtype = match (fold, input.dtype) {
        (_, dtype) if reduction.divisor.is_some() => dtype.to_float(),
        (Fold::Sum | Fold::Product, DType::Bool) => DType::Int64,
        (_, dtype) => dtype,
    };
    if nothing || shape.elements() == 0 {
        return Ok(fill(shape, dtype, of_nothing(&reduction)));
    }
    let layout = Layout::of(&shape, dtype);
    // A small array of bool may have a large result; a reduction never spreads rows that were whole.
    let input = if layout == Layout::Rows { cast_wide(&input) } else { input };
    Ok(Node::recorded(shape, dtype, layout, Recorded::Reduce { reduction, input }))
}

/// What is left of no elements: what changes nothing, divided as the rest would be.
fn of_nothing(reduction: &Reduction) -> Scalar {
    let one = matches!(reduction.fold, Fold::Product | Fold::All);
    match reduction.divisor {
        Some(divisor) => Scalar::Float(f64::from(u8::from(one)) / divisor),
        None => Scalar::Int(i64::from(one)),
    }
}

/// Truth values as numbers, which take the room of the sums made of them.
fn cast_wide(input: &Arc<Node>) -> Arc<Node> {
    if input.dtype == DType::Bool { cast(input, DType::Int64) } else { Arc::clone(input) }
}

pub(crate) fn view(input: &Arc<Node>, view: View, shape: Shape) -> Arc<Node> {
    let layout = Layout::of(&shape, input.dtype);
    Node::recorded(shape, input.dtype, layout, Recorded::View { input: Arc::clone(input), view })
}

pub(crate) fn transpose(input: &Arc<Node>) -> Arc<Node> {
    if input.shape.len() < 2 {
        return Arc::clone(input);
    }
    let order: Vec<usize> = (0..input.shape.len()).rev().collect();
    let lengths: Vec<usize> = order.iter().map(|&axis| input.shape[axis]).collect();
    let (shape, view) = (Shape::from_lengths(lengths), View::permuted(&input.shape, &order));
    if input.shape.len() == 2 { Node::transpose_of(input, shape, view) } else { self::view(input, view, shape) }
}

/// The same elements, whole on every rank.
pub(crate) fn gather(input: &Arc<Node>) -> Arc<Node> {
    let recorded = Recorded::View { input: Arc::clone(input), view: View::identity(&input.shape) };
    Node::recorded(input.shape.clone(), input.dtype, Layout::Replicated, recorded)
}

pub(crate) fn product(lhs: &Arc<Node>, rhs: &Arc<Node>) -> Result<Arc<Node>> {
    for (index, operand) in [lhs, rhs].into_iter().enumerate() {
        match operand.shape.len() {
            0 => {
                return Err(Error::Shape(format!(
                    "matmul: Input operand {index} does not have enough dimensions (has 0, gufunc core with \
                     signature (n?,k),(k,m?)->(n?,m?) requires 1)"
                )));
            }
            1 | 2 => {}
            more => return Err(Error::Shape(format!("matmul takes matrices and vectors, not {more} dimensions"))),
        }
    }
    let (k, rows) = (*lhs.shape.last().expect("one axis or two"), rhs.shape.rows());
    if k != rows {
        return Err(Error::Shape(format!(
            "matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature \
             (n?,k),(k,m?)->(n?,m?) (size {rows} is different from {k})"
        )));
    }
    let dtype = lhs.dtype.promote(rhs.dtype);
    let m = if lhs.shape.len() == 1 { 1 } else { lhs.shape[0] };
    let n = rhs.shape.row_elements();
    let lengths = [&lhs.shape[..lhs.shape.len() - 1], &rhs.shape[1..]].concat();
    let shape = Shape::new(&lengths)?;
    if k == 0 {
        return Ok(fill(shape, dtype, Scalar::Int(0)));
    }
    let (layout, rhs) = (Layout::of(&shape, dtype), cast(rhs, dtype));
    let standing = standing(lhs).map(|x| cast(&x, dtype));
    if let Some(x) = standing
        && (x.layout == Layout::Rows || rhs.layout == Layout::Rows)
        // A vector has no rows that could be multiplied one by one.
        && (lhs.shape.len() == 1 || m * n * 8 <= x.bytes().max(rhs.bytes()).max(1 << 20))
    {
        return Ok(Node::recorded(shape, dtype, layout, Recorded::Across { x, y: rhs }));
    }
    let recorded = Recorded::Product { lhs: cast(lhs, dtype), rhs, m, k, n };
    Ok(Node::recorded(shape, dtype, layout, recorded))
}

/// The transpose of the left side of a product where it is at hand: multiplying across its rows moves no data.
fn standing(lhs: &Arc<Node>) -> Option<Arc<Node>> {
    match (&lhs.transposed, lhs.layout) {
        _ if lhs.shape.len() == 1 => Some(Arc::clone(lhs)),
        (Some(x), _) => Some(Arc::clone(x)),
        (None, Layout::Replicated) => Some(transpose(lhs)),
        (None, Layout::Rows) => None,
    }
}

impl Operand {
    fn shape(&self) -> Shape {
        match self {
            Operand::Array(node) => node.shape.clone(),
            Operand::Scalar(_) => Shape::scalar(),
        }
    }

    fn node(&self, dtype: DType) -> Arc<Node> {
        match self {
            Operand::Array(node) => cast(node, dtype),
            Operand::Scalar(value) => fill(Shape::scalar(), dtype, *value),
        }
    }
}

fn common_type(left: &Operand, right: &Operand) -> DType {
    match (left, right) {
        (Operand::Array(left), Operand::Array(right)) => left.dtype.promote(right.dtype),
        (Operand::Array(array), Operand::Scalar(scalar)) | (Operand::Scalar(scalar), Operand::Array(array)) => {
            array.dtype.promote_weak(*scalar)
        }
        (Operand::Scalar(left), Operand::Scalar(right)) => left.dtype().promote(right.dtype()),
    }
}

fn unsupported(name: &str) -> Error {
    Error::Type(format!(
        "ufunc '{name}' not supported for the input types, and the inputs could not be safely coerced to any \
         supported types according to the casting rule ''safe''"
    ))
}
