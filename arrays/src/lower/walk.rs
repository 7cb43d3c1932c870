//! A box of elements that changes its place: where it lies in its source and in its target.
//!
//! Both sides are rows on ranks, and each side's [`View`] says where the box's elements are in them. What lies in
//! a run of rows of either side is a box again; this is why a copy can be cut by tiles and ranks of both sides.
//! Never here: tasks, blocks.

use crate::expr::View;
use crate::kernel::copy::Copying;
use crate::shape::Shape;
use std::ops::Range;

/// Ranges along the axes of a box.
pub(super) type Bounds = Vec<Range<usize>>;

/// One side of a walk.
pub(super) struct Side {
    view: View,
    /// Elements of a row; 1 for a flat view, whose rows are elements.
    row_elements: usize,
    /// Rows as walked for each row of the array.
    row_unit: usize,
}

/// A box with its place on both sides.
pub(super) struct Walk {
    pub(super) from: Side,
    pub(super) to: Side,
    pub(super) item: usize,
    lengths: Vec<usize>,
}

impl Side {
    fn new(view: &View, shape: &Shape) -> Side {
        let row_elements = shape.row_elements();
        let (row_elements, row_unit) = if view.flat { (1, row_elements) } else { (row_elements, 1) };
        Side { view: view.clone(), row_elements, row_unit }
    }

    /// The part of a box whose elements lie in these rows of the array; they form a box, too.
    pub(super) fn held(&self, bounds: &Bounds, rows: &Range<usize>) -> Option<Bounds> {
        let (first, last) = ((rows.start * self.row_unit) as isize, (rows.end * self.row_unit) as isize);
        let mut held = bounds.clone();
        match self.view.row_axis {
            None => (first..last).contains(&self.view.row).then_some(())?,
            Some(axis) => {
                let (row, step) = (self.view.row, self.view.row_step);
                // row + step·i lies in first..last for i from `least` to before `most`.
                let ceiling = |distance: isize| -(-distance).div_euclid(step.abs());
                let (least, most) = if step > 0 {
                    (ceiling(first - row), ceiling(last - row))
                } else {
                    (ceiling(row - last + 1), ceiling(row - first + 1))
                };
                let range = &mut held[axis];
                *range = range.start.max(least.max(0) as usize)..range.end.min(most.max(0) as usize);
            }
        }
        held.iter().all(|range| range.start < range.end).then_some(held)
    }

    /// Where a box begins in a block that begins with the array's row `first`, and its steps there.
    fn place(&self, held: &Bounds, first: usize) -> (isize, Vec<isize>) {
        let row_elements = self.row_elements as isize;
        let mut start = (self.view.row - (first * self.row_unit) as isize) * row_elements + self.view.offset;
        let mut steps = Vec::with_capacity(held.len());
        for (axis, range) in held.iter().enumerate() {
            let rows = if self.view.row_axis == Some(axis) { self.view.row_step * row_elements } else { 0 };
            let step = rows + self.view.steps[axis];
            start += step * range.start as isize;
            steps.push(step);
        }
        (start, steps)
    }
}

impl Walk {
    /// A box of these lengths, found in `input` through `from`, brought to `output` through `to`.
    pub(super) fn new(item: usize, lengths: &[usize], from: (&View, &Shape), to: (&View, &Shape)) -> Walk {
        Walk { from: Side::new(from.0, from.1), to: Side::new(to.0, to.1), item, lengths: lengths.to_vec() }
    }

    /// A whole array of the given shape, which is a view of `input`.
    pub(super) fn of_view(item: usize, view: &View, input: &Shape, shape: &Shape) -> Walk {
        if view.flat {
            return Walk::new(item, &[shape.elements()], (view, input), (view, shape));
        }
        Walk::new(item, shape, (view, input), (&View::identity(shape), shape))
    }

    /// The whole box.
    pub(super) fn everything(&self) -> Bounds {
        self.lengths.iter().map(|&length| 0..length).collect()
    }

    /// Whether what ranks hold of the source, one after the other, is the target from front to back.
    pub(super) fn is_in_order(&self) -> bool {
        let (from, to) = (&self.from.view, &self.to.view);
        let same = from.row_axis == Some(0) && from.row_step > 0 && to.row_axis == Some(0);
        same && to.row == 0 && to.row_step == 1 && to.offset == 0
    }

    /// Copies a box from a block that begins with the source's row `from`, to one that begins with `to`.
    pub(super) fn copying(&self, held: &Bounds, from: usize, to: usize) -> Copying {
        Walk::between(held, self.from.place(held, from), self.to.place(held, to))
    }

    /// Copies a box from a block that begins with the source's row `from`, to a block of its own.
    pub(super) fn packing(&self, held: &Bounds, from: usize, whole: &Bounds) -> Copying {
        Walk::between(held, self.from.place(held, from), packed(held, whole))
    }

    /// Copies a box from element `start` of a block where it lies alone, to one that begins with the target's row `to`.
    pub(super) fn unpacking(&self, held: &Bounds, start: usize, to: usize) -> Copying {
        let (from, steps) = packed(held, held);
        Walk::between(held, (from + start as isize, steps), self.to.place(held, to))
    }

    fn between(held: &Bounds, (from, from_steps): (isize, Vec<isize>), (to, to_steps): (isize, Vec<isize>)) -> Copying {
        Copying { lengths: held.iter().map(Range::len).collect(), from, from_steps, to, to_steps }
    }

    /// The bytes of a box.
    pub(super) fn bytes(&self, held: &Bounds) -> usize {
        held.iter().map(Range::len).product::<usize>() * self.item
    }
}

/// Where a box begins in a larger box in row-major order, and its steps there.
fn packed(held: &Bounds, whole: &Bounds) -> (isize, Vec<isize>) {
    let lengths = whole.iter().map(Range::len).collect();
    let steps = Shape::from_lengths(lengths).strides();
    let start =
        held.iter().zip(whole).zip(&steps).map(|((held, whole), &step)| (held.start - whole.start) as isize * step);
    (start.sum(), steps)
}
