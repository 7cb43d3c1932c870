//! Brief evaluations of a world of one rank: tile by tile in the calling thread, without a graph.
//!
//! To record a graph of some tiles and to run it takes longer than to pass over a few hundred KiB. The same loops run
//! over the same tiles, and leaves combine along the same tree, so the bits are the same.
//! Never here: anything that other ranks take part in.

use super::Lowering;
use super::machine::{Machine, Source};
use super::mistakes::Mistakes;
use super::program::{Leaf, Program};
use super::reduce::Reducer;
use super::tree::SHORT_WORDS;
use crate::distribution::Layout;
use crate::error::{Error, Result};
use crate::expr::Node;
use crate::tile::Part;
use girih_runtime::memory::ReadGuard;
use std::ops::Range;
use std::sync::Arc;

impl Lowering<'_> {
    /// The values of leaves over `node`, if this is the only rank, nothing is recorded yet, and all counted is brief.
    pub(super) fn alone(&self, leaves: &[Leaf], node: &Node) -> Option<Vec<Arc<Part>>> {
        let only = self.world.size() == 1 && self.graph.is_none() && self.is_brief();
        if !only || self.only_records || self.world.is_traced() {
            return None;
        }
        let value = |Leaf { node: leaf, shifts }: &Leaf| {
            let part = leaf.part().filter(|_| shifts.is_empty())?;
            let meets = leaf.shape.len() == node.shape.len() && leaf.shape.rows() == node.shape.rows();
            (meets || part.layout() == Layout::Replicated).then_some(part)
        };
        leaves.iter().map(value).collect()
    }

    /// Computes the rows of a program, whose leaves are `parts`.
    pub(super) fn map_alone(&self, node: &Arc<Node>, program: &Program, parts: &[Arc<Part>]) -> Result<()> {
        let mistakes = Mistakes::default();
        self.rows_alone(node, parts, &mistakes, |rows, sources, out| {
            Machine::new(program, sources, &mistakes).rows(&rows, out);
        })
    }

    /// Reduces what a program computes of `input`; none if the result is too wide.
    pub(super) fn reduce_alone(
        &self,
        node: &Arc<Node>,
        input: &Node,
        reducer: &Reducer,
        parts: &[Arc<Part>],
    ) -> Option<Result<()>> {
        if !reducer.folding.across_rows {
            return Some(self.rows_alone(node, parts, &reducer.mistakes, |rows, sources, out| {
                reducer.each_row(sources, &rows, out);
            }));
        }
        let words = reducer.words;
        if words.length() > SHORT_WORDS || node.layout != Layout::Replicated {
            return None;
        }
        let distribution = self.distribution(input.shape.rows());
        let mut leaves = Vec::with_capacity(distribution.leaves() * words.length());
        for tile in 0..distribution.tiles_of(self.world.rank()) {
            let (rows, guards) = (distribution.rows_of_tile(self.world.rank(), tile), opened(parts, tile));
            let mut machine = Machine::new(&reducer.program, sources(&guards), &reducer.mistakes);
            let leaf_rows = distribution.leaf_rows();
            reducer.folding.rows(&mut machine, &rows, leaf_rows, |_, words| leaves.extend_from_slice(words));
        }
        Some(self.at_once(node, |out, mistakes| {
            words.finish(&words.subtree(leaves), out);
            if let Some(text) = reducer.mistakes.take() {
                mistakes.note(text);
            }
        }))
    }

    /// Computes a node tile by tile; what `compute` notes as a mistake is an error.
    fn rows_alone(
        &self,
        node: &Arc<Node>,
        parts: &[Arc<Part>],
        mistakes: &Mistakes,
        compute: impl Fn(Range<usize>, Vec<Source<'_>>, &mut [u8]),
    ) -> Result<()> {
        let (memory, rank) = (self.world.memory(), self.world.rank());
        let distribution = self.distribution(node.shape.rows());
        let row_bytes = node.shape.row_elements() * node.dtype.bytes();
        let part = match node.layout {
            Layout::Replicated => Part::replicated(memory, node.shape.rows(), node.bytes())?,
            Layout::Rows => Part::rows(memory, &distribution, rank, row_bytes)?,
        };
        for tile in 0..distribution.tiles_of(rank) {
            let (rows, guards) = (distribution.rows_of_tile(rank, tile), opened(parts, tile));
            let held = &part.tiles()[if node.layout == Layout::Rows { tile } else { 0 }];
            let bytes = (rows.start - held.rows.start) * row_bytes..(rows.end - held.rows.start) * row_bytes;
            compute(rows, sources(&guards), &mut held.cell.write()[bytes]);
        }
        mistakes.take().map_or(Ok(()), |text| Err(Error::Shape(text)))?;
        node.set(part);
        Ok(())
    }
}

/// The blocks of a tile, each with the row that it begins with.
fn opened(parts: &[Arc<Part>], tile: usize) -> Vec<(ReadGuard, usize)> {
    let open = |part: &Arc<Part>| {
        let tile = &part.tiles()[if part.layout() == Layout::Rows { tile } else { 0 }];
        (tile.cell.read(), tile.rows.start)
    };
    parts.iter().map(open).collect()
}

fn sources(guards: &[(ReadGuard, usize)]) -> Vec<Source<'_>> {
    guards.iter().map(|(guard, first_row)| Source { bytes: guard, first_row: *first_row, more: Vec::new() }).collect()
}
