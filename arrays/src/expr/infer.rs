//! Shapes, types and layouts of what is recorded, and the errors that NumPy's users expect.

use super::node::{Node, Recorded, Reduction};
use super::permute::{self, inverse, on_bases, permute};
use super::view::View;
use crate::distribution::Layout;
use crate::dtype::{DType, Kind, Scalar};
use crate::error::{Error, Result};
use crate::kernel::custom::Kernel;
use crate::kernel::fold::Fold;
use crate::kernel::operation::{Binary, Loops, Operation, Unary};
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
    if let Some((order, inputs)) = on_bases(&shape, &inputs) {
        return permute(&map(operation, shape.permuted(&inverse(&order)), dtype, inputs), &order);
    }
    let result = operation.result(dtype);
    let layout = Layout::of(&shape, result);
    Node::recorded(shape, result, layout, Recorded::Map { operation, inputs })
}

pub(crate) fn unary(op: Unary, input: &Arc<Node>) -> Result<Arc<Node>> {
    let shape = input.shape.clone();
    let dtype = match op {
        Unary::LogicalNot => DType::Bool,
        Unary::Negative if input.dtype == DType::Bool => {
            return Err(Error::Type(
                "The numpy boolean negative, the `-` operator, is not supported, use the `~` operator or the \
                 logical_not function instead."
                    .to_string(),
            ));
        }
        _ => op.loops().resolve(input.dtype).ok_or_else(|| unsupported(op.name()))?,
    };
    Ok(map(Operation::Unary(op), shape, dtype, vec![cast(input, dtype)]))
}

pub(crate) fn binary(op: Binary, left: &Operand, right: &Operand) -> Result<Arc<Node>> {
    let shape = broadcast(&[&left.shape(), &right.shape()])?;
    if op == Binary::Ldexp {
        return scaled(shape, left, right);
    }
    if let Some(result) = compared_across_signs(op, &shape, left, right)? {
        return Ok(result);
    }
    let common = match (op.loops(), left, right) {
        // Each side to the shortest float that holds it, which their common integer may be too long for.
        (Loops::Floats, Operand::Array(a), Operand::Array(b)) => a.dtype.to_float().promote(b.dtype.to_float()),
        _ => common_type(left, right),
    };
    let dtype = match op {
        Binary::LogicalAnd | Binary::LogicalOr | Binary::LogicalXor => DType::Bool,
        Binary::Subtract if common == DType::Bool => {
            return Err(Error::Type(
                "numpy boolean subtract, the `-` operator, is not supported, use the bitwise_xor, the `^` operator, \
                 or the logical_xor function instead."
                    .to_string(),
            ));
        }
        _ => op.loops().resolve(common).ok_or_else(|| unsupported(op.name()))?,
    };
    if let (Binary::Power, Operand::Array(base), Operand::Scalar(exponent)) = (op, left, right)
        && let Some(result) = power_by_scalar(base, *exponent, dtype)?
    {
        return Ok(result);
    }
    Ok(map(Operation::Binary(op), shape, dtype, vec![left.node(dtype)?, right.node(dtype)?]))
}

/// Powers that NumPy computes by a simpler operation.
fn power_by_scalar(base: &Arc<Node>, exponent: Scalar, dtype: DType) -> Result<Option<Arc<Node>>> {
    if dtype.kind() == Kind::Signed && matches!(exponent, Scalar::Int(exponent) if exponent < 0) {
        return Err(Error::Shape("Integers to negative integer powers are not allowed.".to_string()));
    }
    let base = cast(base, dtype);
    if matches!(exponent, Scalar::Complex(..)) || !exponent.fits(dtype) {
        return Ok(None);
    }
    let simple = match (exponent.to_f64(), dtype.is_inexact()) {
        (2.0, _) => Unary::Square,
        (0.5, true) => Unary::Sqrt,
        (-1.0, true) => Unary::Reciprocal,
        (1.0, _) => return Ok(Some(base)),
        _ => return Ok(None),
    };
    unary(simple, &base).map(Some)
}

/// `left·2^right`: the type follows from the left side alone, the right side is a whole number.
fn scaled(shape: Shape, left: &Operand, right: &Operand) -> Result<Arc<Node>> {
    let whole = match right.dtype() {
        DType::Uint64 => false,
        dtype => dtype.is_integer() || dtype == DType::Bool,
    };
    let dtype = Loops::Floats.resolve(left.dtype()).filter(|_| whole).ok_or_else(|| unsupported("ldexp"))?;
    // Any exponent that counts is a float of any size but the shortest, whose own range is far less.
    let exponents = binary(Binary::Minimum, &Operand::Array(right.own()?), &Operand::Scalar(Scalar::Int(100)));
    let exponents = if dtype == DType::Float16 { exponents? } else { right.own()? };
    Ok(map(Operation::Binary(Binary::Ldexp), shape, dtype, vec![left.node(dtype)?, cast(&exponents, dtype)]))
}

/// Comparisons of signed with unsigned integers of 64 bits, exact where their common type would round.
fn compared_across_signs(op: Binary, shape: &Shape, left: &Operand, right: &Operand) -> Result<Option<Arc<Node>>> {
    let (Operand::Array(a), Operand::Array(b)) = (left, right) else { return Ok(None) };
    let signed = match (a.dtype.kind(), b.dtype.kind()) {
        (Kind::Signed, Kind::Unsigned) => a,
        (Kind::Unsigned, Kind::Signed) => b,
        _ => return Ok(None),
    };
    if !op.compares() || a.dtype.promote(b.dtype) != DType::Float64 {
        return Ok(None);
    }
    let compared = |op: Binary| {
        let inputs = vec![cast(a, DType::Uint64), cast(b, DType::Uint64)];
        Operand::Array(map(Operation::Binary(op), shape.clone(), DType::Uint64, inputs))
    };
    let zero = Operand::Scalar(Scalar::Int(0));
    let negative = Operand::Array(binary(Binary::Less, &Operand::Array(Arc::clone(signed)), &zero)?);
    // A negative number is less than all of the other side, and equal to none.
    let below = matches!(op, Binary::Less | Binary::LessEqual) == Arc::ptr_eq(signed, a);
    let settled = match op {
        Binary::Equal => false,
        Binary::NotEqual => true,
        _ => below,
    };
    select(&negative, &Operand::Scalar(Scalar::Bool(settled)), &compared(op)).map(Some)
}

pub(crate) fn select(condition: &Operand, yes: &Operand, no: &Operand) -> Result<Arc<Node>> {
    let dtype = common_type(yes, no);
    let shape = broadcast(&[&condition.shape(), &yes.shape(), &no.shape()])?;
    let condition = match condition {
        Operand::Array(node) => cast(node, DType::Bool),
        Operand::Scalar(value) => fill(Shape::scalar(), DType::Bool, *value),
    };
    Ok(map(Operation::Select, shape, dtype, vec![condition, yes.node(dtype)?, no.node(dtype)?]))
}

pub(crate) fn reduce(reduction: Reduction, input: &Arc<Node>, keep: bool) -> Result<Arc<Node>> {
    if let Some(result) = permute::reduced(&reduction, input, keep) {
        return result;
    }
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
    let input = divided(&input);
    let dtype = match (fold, input.dtype) {
        (_, dtype) if reduction.divisor.is_some() => dtype.to_mean(),
        (Fold::Sum | Fold::Product, dtype) => dtype.to_sum(),
        (Fold::FirstMin | Fold::FirstMax, _) => DType::Int64,
        (_, dtype) => dtype,
    };
    if nothing || shape.elements() == 0 {
        return Ok(fill(shape, dtype, of_nothing(&reduction)));
    }
    let layout = Layout::of(&shape, dtype);
    // A small array of a short type may have a large result; a reduction never spreads rows that were whole.
    let input = if layout == Layout::Rows && input.layout == Layout::Replicated { cast(&input, dtype) } else { input };
    Ok(Node::recorded(shape, dtype, layout, Recorded::Reduce { reduction, input }))
}

/// Running results along an axis.
pub(crate) fn scan(fold: Fold, input: &Arc<Node>, axis: usize) -> Arc<Node> {
    if let Some(result) = permute::scanned(fold, input, axis) {
        return result;
    }
    let input = &divided(input);
    let dtype = if matches!(fold, Fold::Sum | Fold::Product) { input.dtype.to_sum() } else { input.dtype };
    let layout = Layout::of(&input.shape, dtype);
    // As reductions do not, a scan never spreads rows that were whole.
    let input = if layout == input.layout { Arc::clone(input) } else { cast(input, dtype) };
    Node::recorded(input.shape.clone(), dtype, layout, Recorded::Scan { fold, axis, input })
}

/// The array by rows if it is large, also where it was gathered: its leaves then do not depend on that.
fn divided(input: &Arc<Node>) -> Arc<Node> {
    let whole = input.layout == Layout::Replicated && Layout::of(&input.shape, input.dtype) == Layout::Rows;
    if whole { view(input, View::identity(&input.shape), input.shape.clone()) } else { Arc::clone(input) }
}

/// What is left of no elements: what changes nothing, divided as the rest would be.
fn of_nothing(reduction: &Reduction) -> Scalar {
    let one = matches!(reduction.fold, Fold::Product | Fold::All);
    match reduction.divisor {
        Some(divisor) => Scalar::Float(f64::from(u8::from(one)) / divisor),
        None => Scalar::Int(i64::from(one)),
    }
}

pub(crate) fn view(input: &Arc<Node>, view: View, shape: Shape) -> Arc<Node> {
    let layout = Layout::of(&shape, input.dtype);
    Node::recorded(shape, input.dtype, layout, Recorded::View { input: Arc::clone(input), view })
}

/// What a kernel of its own makes of arrays, the first `aligned` of which have as many rows as the result.
pub(crate) fn custom(kernel: Kernel, shape: Shape, dtype: DType, aligned: usize, inputs: Vec<Arc<Node>>) -> Arc<Node> {
    assert!(inputs[..aligned].iter().all(|input| input.shape.rows() == shape.rows()), "aligned rows are equally many");
    let layout = Layout::of(&shape, dtype);
    Node::recorded(shape, dtype, layout, Recorded::Custom { kernel: Arc::new(kernel), aligned, inputs })
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
    match (&lhs.permuted, lhs.layout) {
        _ if lhs.shape.len() == 1 => Some(Arc::clone(lhs)),
        (Some(permuted), _) => Some(Arc::clone(&permuted.base)),
        (None, Layout::Replicated) => Some(permute(lhs, &[1, 0])),
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

    fn dtype(&self) -> DType {
        match self {
            Operand::Array(node) => node.dtype,
            Operand::Scalar(value) => value.dtype(),
        }
    }

    fn node(&self, dtype: DType) -> Result<Arc<Node>> {
        match self {
            Operand::Array(node) => Ok(cast(node, dtype)),
            Operand::Scalar(value) if value.fits(dtype) => Ok(fill(Shape::scalar(), dtype, *value)),
            Operand::Scalar(value) => Err(out_of_bounds(*value, dtype)),
        }
    }

    /// The operand in its own type.
    fn own(&self) -> Result<Arc<Node>> {
        self.node(self.dtype())
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

/// The error for a whole number that no element of the type could be.
pub(crate) fn out_of_bounds(value: Scalar, dtype: DType) -> Error {
    let number = match value {
        Scalar::Uint(value) => value.to_string(),
        value => value.to_i64().to_string(),
    };
    Error::Overflow(format!("Python integer {number} out of bounds for {dtype}"))
}

fn unsupported(name: &str) -> Error {
    Error::Type(format!(
        "ufunc '{name}' not supported for the input types, and the inputs could not be safely coerced to any \
         supported types according to the casting rule ''safe''"
    ))
}
