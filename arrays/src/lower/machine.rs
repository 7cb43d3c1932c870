//! Runs a program piece by piece.
//!
//! A piece is a run of at most [`PIECE`] elements in row-major order of the result; the registers of a
//! usual program stay in the nearest caches while all its instructions pass over them.

use super::mistakes::Mistakes;
use super::program::{Access, Instruction, Place, Program};
use crate::dtype::{DType, Kind, Scalar};
use crate::expr::View;
use crate::kernel::operation::Operation;
use crate::kernel::{cast, copy, elementwise};
use crate::shape::Shape;
use bytemuck::{cast_slice, cast_slice_mut};
use std::cell::RefCell;
use std::ops::Range;

/// The most elements of a piece.
pub(super) const PIECE: usize = 1024;
/// The most where nothing is computed but what a reduction makes of them.
const LONG_PIECE: usize = 64 * PIECE;
/// Shorter rows are not worth a piece of their own.
const WINDOW_ROW_MIN: usize = 256;

/// Elements of a leaf: all of them, or those of a run of rows.
#[derive(Clone, Debug)]
pub(super) struct Source<'a> {
    pub(super) bytes: &'a [u8],
    /// The array's row that `bytes` begin with.
    pub(super) first_row: usize,
    /// Further rows that windows show: their bytes, and the row that these begin with.
    pub(super) more: Vec<(&'a [u8], usize)>,
}

/// A program with its leaves and registers.
pub(super) struct Machine<'a> {
    program: &'a Program,
    mistakes: &'a Mistakes,
    sources: Vec<Source<'a>>,
    registers: Vec<Vec<u64>>,
    /// Values of operands that are not read in place.
    filled: Vec<Filled>,
    row_elements: usize,
    /// Whether the last instruction, a product, is left to a reduction.
    splits: bool,
}

/// Elements to be reduced: values, or values to be multiplied by factors.
#[derive(Clone, Copy)]
pub(super) struct Elements<'a> {
    pub(super) values: &'a [u8],
    pub(super) factors: Option<&'a [u8]>,
}

#[derive(Default)]
struct Filled {
    values: Vec<u64>,
    /// The place within a row, and the number, of elements that `values` hold, if they are alike in every row.
    holds: Option<(usize, usize)>,
    /// Where a window's values are read in place: the block of its leaf, and the first byte in it.
    there: Option<(usize, usize)>,
}

impl<'a> Machine<'a> {
    /// A machine over the leaves of a program, in their order.
    pub(super) fn new(program: &'a Program, sources: Vec<Source<'a>>, mistakes: &'a Mistakes) -> Machine<'a> {
        let filled = program.operands.iter().map(|_| Filled::default()).collect();
        let registers = vec![Vec::new(); program.registers];
        let row_elements = program.shape.row_elements();
        Machine { program, mistakes, sources, registers, filled, row_elements, splits: false }
    }

    /// Computes rows of the result into `out`.
    pub(super) fn rows(&mut self, rows: &Range<usize>, out: &mut [u8]) {
        let bytes = self.program.dtype.bytes();
        let mut start = rows.start * self.row_elements;
        // Where windows cut pieces out of rows, a piece lies in one row, so that it is read in place.
        let part = if self.program.windows_within_rows() && self.row_elements >= WINDOW_ROW_MIN {
            self.row_elements
        } else {
            out.len() / bytes
        };
        let piece = if part < out.len() / bytes {
            part.div_ceil(part.div_ceil(PIECE))
        } else {
            piece_of_whole(self.row_elements)
        };
        for out in out.chunks_mut(part.max(1) * bytes) {
            for out in out.chunks_mut(piece * bytes) {
                let length = out.len() / bytes;
                self.piece(start, length, Some(out));
                start += length;
            }
        }
    }

    /// Computes the elements `start..start + length` of the result, for [`Machine::values`] to give.
    pub(super) fn compute(&mut self, start: usize, length: usize) {
        self.piece(start, length, None);
    }

    /// Sets whether the factors of a product are computed, for [`Machine::elements`] to give, instead of the product.
    pub(super) fn split_product(&mut self, splits: bool) {
        self.splits = splits && self.program.factors().is_some();
    }

    /// The most elements that may be computed at once.
    pub(super) fn longest(&self) -> usize {
        let direct = self.program.only_reads() && (self.splits || self.program.instructions.is_empty());
        if direct { LONG_PIECE } else { PIECE }
    }

    /// What was computed last, of which there were `length` from `start`.
    pub(super) fn elements(&self, start: usize, length: usize) -> Elements<'_> {
        match self.program.factors().filter(|_| self.splits) {
            Some(factors) => {
                let [values, factors] = factors.map(|factor| self.read(factor, self.program.dtype, start, length));
                Elements { values, factors: Some(factors) }
            }
            None => Elements { values: self.values(start, length), factors: None },
        }
    }

    /// The elements computed last, of which there were `length` from `start`.
    pub(super) fn values(&self, start: usize, length: usize) -> &[u8] {
        self.read(self.program.result, self.program.dtype, start, length)
    }

    fn piece(&mut self, start: usize, length: usize, mut out: Option<&mut [u8]>) {
        assert!(length <= self.longest(), "a piece of {length} elements");
        for operand in 0..self.filled.len() {
            self.fill(operand, start, length);
        }
        let program = self.program;
        let left_out = usize::from(self.splits && out.is_none());
        let instructions = &program.instructions[..program.instructions.len() - left_out];
        for (at, instruction) in instructions.iter().enumerate() {
            match &mut out {
                Some(out) if at + 1 == program.instructions.len() => {
                    self.execute(instruction, start, length, out);
                    return;
                }
                _ => {
                    let mut register = std::mem::take(&mut self.registers[instruction.register]);
                    let bytes = length * instruction.result.bytes();
                    make_room(&mut register, instruction.result.bytes());
                    let target = &mut cast_slice_mut::<u64, u8>(&mut register)[..bytes];
                    self.execute(instruction, start, length, target);
                    self.registers[instruction.register] = register;
                }
            }
        }
        if let Some(out) = out {
            out.copy_from_slice(self.values(start, length));
        }
    }

    fn execute(&self, instruction: &Instruction, start: usize, length: usize, out: &mut [u8]) {
        let Instruction { operation, dtype, inputs, .. } = instruction;
        let mut slices: [&[u8]; 3] = [&[]; 3];
        for (index, (slice, input)) in slices.iter_mut().zip(inputs).enumerate() {
            // The first operand of three is the condition of a selection.
            let dtype = if inputs.len() == 3 && index == 0 { DType::Bool } else { *dtype };
            *slice = self.read(*input, dtype, start, length);
        }
        if let ([a, b, _], Operation::Binary(op), Some(Access::Constant(_))) =
            (slices, operation, inputs.get(1).and_then(|&second| self.access(second)))
            && elementwise::with_constant(*op, *dtype, a, &b[..dtype.bytes().min(b.len())], out)
        {
            return;
        }
        if let Err(text) = elementwise::apply(*operation, *dtype, &slices[..inputs.len()], out) {
            self.mistakes.note(text);
        }
    }

    /// How the operand is read that is in a place.
    fn access(&self, place: Place) -> Option<&Access> {
        match place {
            Place::Operand(operand) => Some(&self.program.operands[operand].access),
            Place::Register(_) => None,
        }
    }

    fn read(&self, place: Place, dtype: DType, start: usize, length: usize) -> &[u8] {
        let bytes = length * dtype.bytes();
        match place {
            Place::Register(register) => &cast_slice(&self.registers[register])[..bytes],
            Place::Operand(operand) => match self.program.operands[operand].access {
                Access::Aligned(leaf) => {
                    let source = &self.sources[leaf];
                    let first = (start - source.first_row * self.row_elements) * dtype.bytes();
                    &source.bytes[first..first + bytes]
                }
                Access::Window { leaf, .. } if let Some((block, first)) = self.filled[operand].there => {
                    &self.sources[leaf].block(block).0[first..first + bytes]
                }
                _ => &cast_slice(&self.filled[operand].values)[..bytes],
            },
        }
    }

    /// Brings the values of an operand that is not read in place.
    fn fill(&mut self, operand: usize, start: usize, length: usize) {
        let spec = &self.program.operands[operand];
        if matches!(spec.access, Access::Aligned(_)) {
            return;
        }
        if let Access::Window { leaf, view, row_elements, run } = &spec.access {
            let window = Window { source: &self.sources[*leaf], view, shown: [self.row_elements, *row_elements] };
            let filled = &mut self.filled[operand];
            filled.there = window.there(start, length, *run, spec.dtype.bytes());
            if filled.there.is_none() {
                make_room(&mut filled.values, spec.dtype.bytes());
                let out = &mut cast_slice_mut::<u64, u8>(&mut filled.values)[..length * spec.dtype.bytes()];
                window.gather(&self.program.shape, start, spec.dtype.bytes(), out);
            }
            return;
        }
        let filled = &mut self.filled[operand];
        let phase = start.checked_rem(self.row_elements).unwrap_or(0);
        let anywhere = matches!(spec.access, Access::Constant(_));
        if filled.holds.is_some_and(|(held, count)| (anywhere || held == phase) && length <= count) {
            return;
        }
        let item = spec.dtype.bytes();
        make_room(&mut filled.values, item);
        let out = &mut cast_slice_mut::<u64, u8>(&mut filled.values)[..length * item];
        filled.holds = match &spec.access {
            Access::Aligned(_) | Access::Window { .. } => unreachable!("returned above"),
            Access::Constant(value) => {
                copy::splat(item, *value, out);
                Some((phase, length))
            }
            Access::Broadcast { leaf, steps } => {
                let source = &self.sources[*leaf];
                let row_step = steps.first().copied().unwrap_or(0);
                let first = -(source.first_row as isize * row_step);
                copy::gather(item, &self.program.shape, steps, first, start, source.bytes, out);
                (row_step == 0).then_some((phase, length))
            }
            Access::Sequence { start: first, step } => {
                sequence(spec.dtype, *first, *step, start, out);
                None
            }
        };
    }
}

impl<'a> Elements<'a> {
    /// Parts of so many bytes.
    pub(super) fn chunks(self, bytes: usize) -> impl Iterator<Item = Elements<'a>> {
        let Elements { values, factors } = self;
        (0..values.len()).step_by(bytes.max(1)).map(move |start| {
            let range = start..(start + bytes).min(values.len());
            Elements { values: &values[range.clone()], factors: factors.map(|factors| &factors[range]) }
        })
    }
}

/// What a view shows of the blocks of a leaf.
struct Window<'w, 'a> {
    source: &'w Source<'a>,
    view: &'w View,
    /// Elements of a row of the window, and of a row of the leaf.
    shown: [usize; 2],
}

impl<'a> Source<'a> {
    /// A block of the leaf, and the row that it begins with.
    fn block(&self, index: usize) -> (&'a [u8], usize) {
        if index == 0 { (self.bytes, self.first_row) } else { self.more[index - 1] }
    }
}

impl Window<'_, '_> {
    /// The block and the first byte of elements that follow one another in one block; `run` is [`View::run`].
    fn there(&self, start: usize, length: usize, run: usize, item: usize) -> Option<(usize, usize)> {
        if length == 0 || start / run != (start + length - 1) / run {
            return None;
        }
        let [shown, held] = self.shown;
        let row = start / shown + self.view.row as usize;
        let first = if run == usize::MAX { start % shown } else { self.place_in_row(start % shown, run)? };
        (0..=self.source.more.len()).find_map(|index| {
            let (bytes, first_row) = self.source.block(index);
            let at = (row.checked_sub(first_row)? * held + first) * item;
            (at + length * item <= bytes.len()).then_some((index, at))
        })
    }

    /// The place within the leaf's row of an element of the window's row, if the row is one run.
    fn place_in_row(&self, element: usize, run: usize) -> Option<usize> {
        (run == self.shown[0]).then_some(self.view.offset as usize + element)
    }

    /// Brings elements together from wherever they are.
    fn gather(&self, shape: &Shape, start: usize, item: usize, out: &mut [u8]) {
        let [shown, held] = self.shown;
        let end = start + out.len() / item;
        let mut steps = self.view.steps.clone();
        steps[0] += held as isize;
        for index in 0..=self.source.more.len() {
            let (bytes, first_row) = self.source.block(index);
            // Rows of the window that the block has; of what lies before the window there are none.
            let row = self.view.row as usize;
            let (least, most) =
                (first_row.saturating_sub(row), (first_row + bytes.len() / (held * item)).saturating_sub(row));
            let (from, to) = (start.max(least * shown), end.min(most * shown));
            if from < to {
                let first = (self.view.row - first_row as isize) * held as isize + self.view.offset;
                let out = &mut out[(from - start) * item..(to - start) * item];
                copy::gather(item, shape, &steps, first, from, bytes, out);
            }
        }
    }
}

/// The largest piece that holds whole rows, or part of one where a row does not fit.
pub(super) fn piece_of_whole(row_elements: usize) -> usize {
    if row_elements == 0 || row_elements > PIECE { PIECE } else { PIECE / row_elements * row_elements }
}

thread_local! {
    /// Room that machines of this thread have left: a machine of few pieces would spend its time on clearing its own.
    static ROOM: RefCell<Vec<Vec<u64>>> = const { RefCell::new(Vec::new()) };
}
/// So much of it is kept.
const ROOM_MAX: usize = 16;

/// Room for a piece of elements of `item` bytes.
fn make_room(values: &mut Vec<u64>, item: usize) {
    let words = PIECE * item.div_ceil(8);
    if values.len() < words {
        if values.is_empty() {
            *values = ROOM.with_borrow_mut(Vec::pop).unwrap_or_default();
        }
        values.resize(words.max(values.len()), 0);
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        let mut left = self.registers.drain(..).chain(self.filled.drain(..).map(|filled| filled.values));
        ROOM.with_borrow_mut(|room| {
            let free = ROOM_MAX.saturating_sub(room.len());
            room.extend(left.by_ref().filter(|values| !values.is_empty()).take(free));
        });
    }
}

fn sequence(dtype: DType, first: Scalar, step: Scalar, start: usize, out: &mut [u8]) {
    match dtype {
        DType::Float64 => {
            // The step that the first two elements show, as NumPy takes it.
            let (first, step) = (first.to_f64(), (first.to_f64() + step.to_f64()) - first.to_f64());
            for (i, out) in cast_slice_mut::<u8, f64>(out).iter_mut().enumerate() {
                *out = first + (start + i) as f64 * step;
            }
        }
        DType::Float32 => {
            let (first, second) = (first.to_f64() as f32, (first.to_f64() + step.to_f64()) as f32);
            for (i, out) in cast_slice_mut::<u8, f32>(out).iter_mut().enumerate() {
                *out = first + (start + i) as f32 * (second - first);
            }
        }
        DType::Complex128 => {
            let ((re, im), (re_step, im_step)) = (first.to_complex(), step.to_complex());
            for (i, out) in cast_slice_mut::<u8, [f64; 2]>(out).iter_mut().enumerate() {
                let index = (start + i) as f64;
                *out = [re + index * re_step, im + index * im_step];
            }
        }
        DType::Int64 => {
            let (first, step) = (first.to_i64(), step.to_i64());
            let mut value = first.wrapping_add((start as i64).wrapping_mul(step));
            for out in cast_slice_mut::<u8, i64>(out) {
                *out = value;
                value = value.wrapping_add(step);
            }
        }
        shorter => {
            let wide = match shorter.kind() {
                Kind::Complex => DType::Complex128,
                Kind::Float => DType::Float32,
                _ => DType::Int64,
            };
            let mut room = vec![0_u64; out.len() / shorter.bytes() * wide.bytes().div_ceil(8)];
            let length = out.len() / shorter.bytes() * wide.bytes();
            let values = &mut cast_slice_mut::<u64, u8>(&mut room)[..length];
            sequence(wide, first, step, start, values);
            cast::cast(wide, shorter, values, out);
        }
    }
}
