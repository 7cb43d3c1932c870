//! A fused elementwise expression as a short list of instructions on registers.
//!
//! A register holds the values of one piece of a tile, so that no intermediate array ever reaches memory.
//! Equal sub-expressions are computed once. Registers are used again after their last reader.

use crate::dtype::{DType, Kind, Scalar};
use crate::expr::{Node, Recorded, View};
use crate::kernel::operation::{Binary, Operation};
use crate::shape::Shape;
use std::collections::HashMap;
use std::sync::Arc;

/// Where a value is while a piece is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// An operand of the program.
    Operand(usize),
    /// A register.
    Register(usize),
}

/// How an operand's elements meet those of the result.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Access {
    /// One by one: leaf of this number, of the result's shape.
    Aligned(usize),
    /// With steps of its own, zero where it repeats: leaf of this number.
    Broadcast { leaf: usize, steps: Vec<isize> },
    /// One number.
    Constant([u8; 16]),
    /// Elements that a view shows of a leaf: `row_elements` are in its rows, and `run` follow one another.
    Window { leaf: usize, view: View, row_elements: usize, run: usize },
    /// Element i is `start + i·step`.
    Sequence { start: Scalar, step: Scalar },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct OperandSpec {
    pub(super) dtype: DType,
    pub(super) access: Access,
}

#[derive(Clone, Debug)]
pub(super) struct Instruction {
    pub(super) operation: Operation,
    /// The type of the operands.
    pub(super) dtype: DType,
    pub(super) inputs: Vec<Place>,
    pub(super) register: usize,
    pub(super) result: DType,
}

/// What computes a run of elements of an expression from runs of its leaves.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) shape: Shape,
    pub(super) dtype: DType,
    pub(super) operands: Vec<OperandSpec>,
    pub(super) instructions: Vec<Instruction>,
    pub(super) result: Place,
    pub(super) registers: usize,
}

impl Program {
    /// Whether the program can meet values that it does not take.
    pub(super) fn may_fail(&self) -> bool {
        let power =
            |one: &Instruction| one.operation == Operation::Binary(Binary::Power) && one.dtype.kind() == Kind::Signed;
        self.instructions.iter().any(power)
    }

    /// Roughly how long an element takes, in sixteenths of a nanosecond.
    pub(super) fn effort(&self) -> usize {
        2 + self.instructions.iter().map(|one| one.operation.effort()).sum::<usize>()
    }

    /// The factors, if the result is a product of floating-point numbers in single or double precision.
    pub(super) fn factors(&self) -> Option<[Place; 2]> {
        let last = self.instructions.last()?;
        let product =
            last.operation == Operation::Binary(Binary::Multiply) && self.result == Place::Register(last.register);
        let real = matches!(last.dtype, DType::Float32 | DType::Float64) && last.result == last.dtype;
        if product && real { Some([last.inputs[0], last.inputs[1]]) } else { None }
    }

    /// Whether this is the value of a leaf that is read where it is.
    fn is_in_place(&self, place: Place) -> bool {
        matches!(place, Place::Operand(operand) if matches!(self.operands[operand].access, Access::Aligned(_)))
    }

    /// Whether the result, or both its factors, are leaves that are read where they are.
    pub(super) fn only_reads(&self) -> bool {
        match (self.instructions.len(), self.factors()) {
            (0, _) => self.is_in_place(self.result),
            (1, Some(factors)) => factors.iter().all(|&factor| self.is_in_place(factor)),
            _ => false,
        }
    }

    /// Whether some operand is a window whose elements follow one another within rows alone.
    pub(super) fn windows_within_rows(&self) -> bool {
        let within = |one: &OperandSpec| matches!(one.access, Access::Window { run, .. } if run != usize::MAX);
        self.operands.iter().any(within)
    }
}

/// A program, and the leaves that it reads, by their number.
pub(super) struct Fused {
    pub(super) program: Program,
    pub(super) leaves: Vec<Leaf>,
}

/// An array whose value a program reads.
pub(super) struct Leaf {
    pub(super) node: Arc<Node>,
    /// The rows with which windows on it begin; none if it is read whole, or where the result's rows are.
    pub(super) shifts: Vec<usize>,
}

impl Fused {
    /// Fuses what `root` is computed from, down to the nodes for which `stop` is true.
    pub(super) fn new(root: &Arc<Node>, stop: impl Fn(&Arc<Node>) -> bool) -> Fused {
        let mut builder = Builder {
            shape: root.shape.clone(),
            stop,
            places: HashMap::new(),
            known: HashMap::new(),
            operands: Vec::new(),
            instructions: Vec::new(),
            leaves: Vec::new(),
        };
        let result = builder.place(root);
        let (instructions, result, registers) = allocate(builder.instructions, result);
        let program = Program {
            shape: root.shape.clone(),
            dtype: root.dtype,
            operands: builder.operands,
            instructions,
            result,
            registers,
        };
        Fused { program, leaves: builder.leaves }
    }
}

struct Builder<F> {
    shape: Shape,
    stop: F,
    places: HashMap<*const Node, Place>,
    known: HashMap<(Operation, DType, Vec<Place>), Place>,
    operands: Vec<OperandSpec>,
    instructions: Vec<Instruction>,
    leaves: Vec<Leaf>,
}

impl<F: Fn(&Arc<Node>) -> bool> Builder<F> {
    fn place(&mut self, node: &Arc<Node>) -> Place {
        if let Some(&place) = self.places.get(&Arc::as_ptr(node)) {
            return place;
        }
        let record = node.record().filter(|_| !(self.stop)(node));
        let place = match record.as_deref() {
            Some(Recorded::Map { operation, inputs }) if node.shape == self.shape => {
                let places: Vec<Place> = inputs.iter().map(|input| self.place(input)).collect();
                let dtype = inputs.last().expect("an operation has operands").dtype;
                self.instruction(*operation, dtype, places)
            }
            Some(Recorded::Fill(value)) => self.operand(node.dtype, Access::Constant(value.to_bytes(node.dtype))),
            Some(Recorded::Sequence { start, step }) if node.shape == self.shape => {
                self.operand(node.dtype, Access::Sequence { start: *start, step: *step })
            }
            _ if record.is_some()
                && let Some((source, view)) = node.window().filter(|_| node.shape == self.shape) =>
            {
                let leaf = self.windowed(&source, &view);
                let (row_elements, run) = (source.shape.row_elements(), view.run(&node.shape, &source.shape));
                self.operand(node.dtype, Access::Window { leaf, view, row_elements, run })
            }
            _ => self.leaf(node),
        };
        self.places.insert(Arc::as_ptr(node), place);
        place
    }

    /// The leaf that shows rows of `source` through this view, among others.
    fn windowed(&mut self, source: &Arc<Node>, view: &View) -> usize {
        let shift = usize::try_from(view.row).expect("a window begins with a row");
        let same = |leaf: &Leaf| Arc::ptr_eq(&leaf.node, source) && !leaf.shifts.is_empty();
        let leaf = self.leaves.iter().position(same).unwrap_or_else(|| {
            self.leaves.push(Leaf { node: Arc::clone(source), shifts: Vec::new() });
            self.leaves.len() - 1
        });
        if !self.leaves[leaf].shifts.contains(&shift) {
            self.leaves[leaf].shifts.push(shift);
        }
        leaf
    }

    fn leaf(&mut self, node: &Arc<Node>) -> Place {
        let leaf = self.leaves.len();
        self.leaves.push(Leaf { node: Arc::clone(node), shifts: Vec::new() });
        let access = if node.shape == self.shape {
            Access::Aligned(leaf)
        } else {
            Access::Broadcast { leaf, steps: node.shape.broadcast_strides(&self.shape) }
        };
        self.operand(node.dtype, access)
    }

    fn operand(&mut self, dtype: DType, access: Access) -> Place {
        let spec = OperandSpec { dtype, access };
        if let Some(found) = self.operands.iter().position(|operand| *operand == spec) {
            return Place::Operand(found);
        }
        self.operands.push(spec);
        Place::Operand(self.operands.len() - 1)
    }

    /// Until registers are allocated, an instruction's register is its own number.
    fn instruction(&mut self, operation: Operation, dtype: DType, inputs: Vec<Place>) -> Place {
        let register = self.instructions.len();
        let key = (operation, dtype, inputs);
        if let Some(&place) = self.known.get(&key) {
            return place;
        }
        let inputs = key.2.clone();
        self.known.insert(key, Place::Register(register));
        let result = operation.result(dtype);
        self.instructions.push(Instruction { operation, dtype, inputs, register, result });
        Place::Register(register)
    }
}

/// Gives results registers that no later instruction still reads.
fn allocate(mut instructions: Vec<Instruction>, result: Place) -> (Vec<Instruction>, Place, usize) {
    let mut last_use = vec![0; instructions.len()];
    for (at, instruction) in instructions.iter().enumerate() {
        for input in &instruction.inputs {
            if let Place::Register(register) = *input {
                last_use[register] = at;
            }
        }
    }
    if let Place::Register(register) = result {
        last_use[register] = usize::MAX;
    }
    let (mut registers, mut free) = (0, Vec::new());
    let mut given = vec![0; instructions.len()];
    for (at, instruction) in instructions.iter_mut().enumerate() {
        // The result's register is taken first: an instruction never writes what it reads.
        given[at] = free.pop().unwrap_or_else(|| {
            registers += 1;
            registers - 1
        });
        instruction.register = given[at];
        let mut released = Vec::new();
        for input in &mut instruction.inputs {
            if let Place::Register(value) = *input {
                *input = Place::Register(given[value]);
                if last_use[value] == at && !released.contains(&given[value]) {
                    released.push(given[value]);
                }
            }
        }
        free.append(&mut released);
    }
    let result = match result {
        Place::Register(value) => Place::Register(given[value]),
        operand @ Place::Operand(_) => operand,
    };
    (instructions, result, registers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{self, Operand};
    use crate::kernel::operation::Unary;

    fn ones() -> Arc<Node> {
        expr::fill(Shape::new(&[10]).unwrap(), DType::Float64, Scalar::Int(1))
    }

    fn add(left: &Arc<Node>, right: &Arc<Node>) -> Arc<Node> {
        expr::binary(Binary::Add, &Operand::Array(Arc::clone(left)), &Operand::Array(Arc::clone(right))).unwrap()
    }

    #[test]
    fn equal_expressions_are_computed_once() {
        let x = ones();
        let once = expr::unary(Unary::Exp, &x).unwrap();
        let again = expr::unary(Unary::Exp, &x).unwrap();
        let fused = Fused::new(&add(&once, &again), |_| false);
        assert_eq!(fused.program.instructions.len(), 2);
        assert_eq!(fused.program.operands.len(), 1);
    }

    #[test]
    fn a_long_chain_needs_two_registers() {
        let chain = (0..20).fold(ones(), |chain, _| expr::unary(Unary::Sqrt, &chain).unwrap());
        let fused = Fused::new(&chain, |_| false);
        assert_eq!((fused.program.instructions.len(), fused.program.registers), (20, 2));
    }

    #[test]
    fn other_shapes_are_leaves() {
        let column = expr::fill(Shape::new(&[10, 1]).unwrap(), DType::Float64, Scalar::Int(1));
        let column = expr::unary(Unary::Exp, &column).unwrap();
        let fused = Fused::new(&add(&ones(), &column), |_| false);
        assert_eq!(fused.leaves.len(), 1);
        let steps = vec![1, 0];
        assert!(
            fused
                .program
                .operands
                .iter()
                .any(|operand| operand.access == Access::Broadcast { leaf: 0, steps: steps.clone() })
        );
    }
}
