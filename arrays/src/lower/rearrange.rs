//! Elements that change their place: slices, transposes, reshapes, and rows gathered on every rank.
//!
//! For each tile of the result, the elements that one rank holds form a box. A box from the same rank is
//! copied from its tiles; any other is packed there by a task, travels as a message, and is unpacked.
//! Only elements that the result has are sent.

use super::{Accesses, Lowering, Placed};
use crate::distribution::Layout;
use crate::error::Result;
use crate::expr::{Node, View};
use crate::kernel::copy::{Copying, copy};
use crate::shape::Shape;
use girih_runtime::ids::{BlockId, Rank};
use std::ops::Range;
use std::sync::Arc;

/// A view, with both sides as they are walked: rows of the source, axes of the result.
struct Walk {
    view: View,
    item: usize,
    /// Elements of a row of the source; 1 for a flat view, whose rows are elements.
    row_elements: usize,
    /// Rows as walked for each row of the source.
    row_unit: usize,
    lengths: Vec<usize>,
    /// As `row_unit`, for the result.
    out_unit: usize,
}

/// Ranges along the axes of the result.
type Bounds = Vec<Range<usize>>;

/// A copy from the block of one access to that of another.
type Move = (usize, Copying, usize);

impl Lowering<'_> {
    pub(super) fn rearrange(&mut self, node: &Arc<Node>, input: &Arc<Node>, view: &View) -> Result<()> {
        let walk = Walk::new(view, node.dtype.bytes(), &input.shape, &node.shape);
        if node.layout == Layout::Replicated
            && let Some(part) = self.whole_now(input)
        {
            let source = part.tiles()[0].cell.read();
            return self.at_once(node, |out, _| {
                copy(walk.item, &walk.copying(&walk.everything(), 0, &walk.everything()), &source, out);
            });
        }
        let (source, output) = (self.placed(input), self.output(node)?);
        self.rearrange_placed(&source, input, view, &node.shape, &output)
    }

    /// Fills the blocks of `output` with a view of `input`, which lies in `source`.
    pub(super) fn rearrange_placed(
        &mut self,
        source: &Placed,
        input: &Node,
        view: &View,
        shape: &Shape,
        output: &Placed,
    ) -> Result<()> {
        let walk = Walk::new(view, input.dtype.bytes(), &input.shape, shape);
        if walk.everything().iter().any(Range::is_empty) {
            return Ok(());
        }
        match (source.layout, output.layout) {
            (Layout::Rows, Layout::Replicated) => self.gather_view(source, &walk, output),
            _ => {
                for rank in self.ranks() {
                    for tile in 0..output.tiles[rank.index()].len() {
                        self.view_tile(source, &walk, output, rank, tile)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// One tile of the result, from wherever its elements are.
    fn view_tile(&mut self, source: &Placed, walk: &Walk, output: &Placed, rank: Rank, tile: usize) -> Result<()> {
        let tiles = output.tiles[rank.index()].len();
        let target = output.tile(rank, tile);
        let bounds = walk.bounds(&target.rows);
        let mut accesses = Accesses::default();
        let mut moves: Vec<Move> = Vec::new();
        let holders =
            if source.layout == Layout::Replicated { rank.index()..rank.index() + 1 } else { 0..self.world.size() };
        for holder in holders.map(Rank::from) {
            if holder == rank {
                self.local_moves(source, walk, rank, &bounds, &bounds, &mut accesses, &mut moves);
            } else if let Some((packed, held)) = self.pack(source, walk, holder, &bounds)? {
                moves.push((accesses.read(packed), walk.unpacking(&held, 0, &bounds), walk.item));
            }
        }
        self.copy_task("copy", rank, (tile, tiles), accesses, moves, target.block)
    }

    /// Copies from the tiles of a rank to a box whose elements are in row-major order of `whole`.
    #[expect(clippy::too_many_arguments, reason = "two sides of a copy, and what it is added to")]
    fn local_moves(
        &mut self,
        source: &Placed,
        walk: &Walk,
        rank: Rank,
        bounds: &Bounds,
        whole: &Bounds,
        accesses: &mut Accesses,
        moves: &mut Vec<Move>,
    ) {
        for tile in &source.tiles[rank.index()] {
            if let Some(held) = walk.held(bounds, &walk.source_rows(&tile.rows)) {
                let copying = walk.copying(&held, tile.rows.start * walk.row_unit, whole);
                moves.push((accesses.read(tile.block), copying, walk.item));
            }
        }
    }

    /// Packs what `holder` has of a box; the block and the part of the box that is in it.
    fn pack(
        &mut self,
        source: &Placed,
        walk: &Walk,
        holder: Rank,
        bounds: &Bounds,
    ) -> Result<Option<(BlockId, Bounds)>> {
        let tiles = &source.tiles[holder.index()];
        let (Some(first), Some(last)) = (tiles.first(), tiles.last()) else { return Ok(None) };
        let rows = walk.source_rows(&(first.rows.start..last.rows.end));
        let Some(held) = walk.held(bounds, &rows) else { return Ok(None) };
        let bytes = held.iter().map(Range::len).product::<usize>() * walk.item;
        let block = self.graph().block(holder, bytes)?;
        let (mut accesses, mut moves) = (Accesses::default(), Vec::new());
        self.local_moves(source, walk, holder, &held, &held, &mut accesses, &mut moves);
        self.copy_task("pack", holder, (0, 1), accesses, moves, block)?;
        Ok(Some((block, held)))
    }

    /// The whole view on every rank: each packs what it has, and all gather.
    fn gather_view(&mut self, source: &Placed, walk: &Walk, output: &Placed) -> Result<()> {
        let everything = walk.everything();
        let (mut parts, mut boxes, mut total) = (Vec::new(), Vec::new(), 0);
        for rank in self.ranks() {
            let packed = self.pack(source, walk, rank, &everything)?;
            let bytes =
                packed.as_ref().map_or(0, |(_, held)| held.iter().map(Range::len).product::<usize>() * walk.item);
            let (block, held) = match packed {
                Some((block, held)) => (block, Some(held)),
                None => (self.graph().block(rank, 0)?, None),
            };
            parts.push(block);
            boxes.push((held, total));
            total += bytes;
        }
        let outputs: Vec<BlockId> = output.tiles.iter().map(|tiles| tiles[0].block).collect();
        // Parts that follow one another along the first axis are the result as they come.
        if walk.view.row_axis == Some(0) && walk.view.row_step > 0 {
            self.graph().all_gather(&parts, &outputs);
            return Ok(());
        }
        let mut wholes = Vec::with_capacity(self.world.size());
        for rank in self.ranks() {
            wholes.push(self.graph().block(rank, total)?);
        }
        self.graph().all_gather(&parts, &wholes);
        for rank in self.ranks() {
            let mut accesses = Accesses::default();
            let whole = accesses.read(wholes[rank.index()]);
            let unpack = |(held, start): &(Option<Bounds>, usize)| {
                let held = held.as_ref()?;
                Some((whole, walk.unpacking(held, start / walk.item, &everything), walk.item))
            };
            let moves = boxes.iter().filter_map(unpack).collect();
            self.copy_task("unpack", rank, (0, 1), accesses, moves, outputs[rank.index()])?;
        }
        Ok(())
    }

    fn copy_task(
        &mut self,
        label: &'static str,
        rank: Rank,
        (tile, tiles): (usize, usize),
        mut accesses: Accesses,
        moves: Vec<Move>,
        target: BlockId,
    ) -> Result<()> {
        let target = accesses.write(target);
        let domain = self.domain(rank, tile, tiles);
        self.graph().task(label, rank, domain, &accesses.list, || {
            Box::new(move |context| {
                let mut out = context.write(target);
                for (access, copying, item) in &moves {
                    copy(*item, copying, &context.read(*access), &mut out);
                }
                Ok(())
            })
        })?;
        Ok(())
    }
}

impl Walk {
    fn new(view: &View, item: usize, input: &Shape, shape: &Shape) -> Walk {
        if view.flat {
            return Walk {
                view: view.clone(),
                item,
                row_elements: 1,
                row_unit: input.row_elements(),
                lengths: vec![shape.elements()],
                out_unit: shape.row_elements(),
            };
        }
        Walk {
            view: view.clone(),
            item,
            row_elements: input.row_elements(),
            row_unit: 1,
            lengths: shape.to_vec(),
            out_unit: 1,
        }
    }

    /// The whole result.
    fn everything(&self) -> Bounds {
        self.lengths.iter().map(|&length| 0..length).collect()
    }

    /// The box of some rows of the result.
    fn bounds(&self, rows: &Range<usize>) -> Bounds {
        let mut bounds = self.everything();
        if let Some(first) = bounds.first_mut() {
            *first = rows.start * self.out_unit..rows.end * self.out_unit;
        }
        bounds
    }

    /// Rows of the source, as walked.
    fn source_rows(&self, rows: &Range<usize>) -> Range<usize> {
        rows.start * self.row_unit..rows.end * self.row_unit
    }

    /// The part of a box whose elements lie in these rows of the source; they form a box, too.
    fn held(&self, bounds: &Bounds, rows: &Range<usize>) -> Option<Bounds> {
        let (first, last) = (rows.start as isize, rows.end as isize);
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

    /// Copies a box from the source, whose block begins with row `first`, to where it lies in `whole`.
    fn copying(&self, held: &Bounds, first: usize, whole: &Bounds) -> Copying {
        let row_elements = self.row_elements as isize;
        let mut from = (self.view.row - first as isize) * row_elements + self.view.offset;
        let mut from_steps = Vec::with_capacity(held.len());
        for (axis, range) in held.iter().enumerate() {
            let rows = self.view.row_axis == Some(axis);
            let step = if rows { self.view.row_step * row_elements } else { self.view.steps[axis] };
            from += step * range.start as isize;
            from_steps.push(step);
        }
        let (to, to_steps) = place(held, whole);
        Copying { lengths: held.iter().map(Range::len).collect(), from, from_steps, to, to_steps }
    }

    /// Copies a packed box, from element `start` of its block, to where it lies in `whole`.
    fn unpacking(&self, held: &Bounds, start: usize, whole: &Bounds) -> Copying {
        let (_, from_steps) = place(held, held);
        let (to, to_steps) = place(held, whole);
        Copying { lengths: held.iter().map(Range::len).collect(), from: start as isize, from_steps, to, to_steps }
    }
}

/// Where a box begins in a larger box in row-major order, and its steps there.
fn place(held: &Bounds, whole: &Bounds) -> (isize, Vec<isize>) {
    let lengths = whole.iter().map(Range::len).collect();
    let steps = Shape::from_lengths(lengths).strides();
    let start =
        held.iter().zip(whole).zip(&steps).map(|((held, whole), &step)| (held.start - whole.start) as isize * step);
    (start.sum(), steps)
}
