//! Brief evaluations: tile by tile in the calling thread, without a graph.
//!
//! To record a graph of some tiles and to run it takes longer than to pass over a few hundred KiB. The same loops run
//! over the same tiles, and leaves combine along the same tree, so the bits are the same. Of several ranks each reduces
//! its rows, and one exchange brings the nodes of the tree together; what is no reduction is a graph there.
//! Invariant: whether an evaluation goes this way is alike on all ranks.

use super::machine::{Machine, Source};
use super::mistakes::Mistakes;
use super::program::{Leaf, Program};
use super::reduce::Reducer;
use super::tree::{SHORT_WORDS, tile_nodes};
use super::{Lowering, SWITCHES};
use crate::distribution::{Layout, RowDistribution};
use crate::error::{Error, Result};
use crate::expr::{Node, description};
use crate::tile::Part;
use bytemuck::{cast_slice, cast_slice_mut};
use girih_runtime::memory::ReadGuard;
use std::ops::Range;
use std::sync::Arc;

/// Workers and comm threads of all ranks would be woken, and their end heard; counts of workers may differ.
const TOGETHER_MAX: usize = 3 * SWITCHES;

impl Lowering<'_> {
    /// The values of leaves over `node`, if this is the only rank, nothing is recorded yet, and all counted is brief.
    pub(super) fn alone(&self, leaves: &[Leaf], node: &Node) -> Option<Vec<Arc<Part>>> {
        (self.world.size() == 1 && self.is_brief()).then(|| self.ready(leaves, node)).flatten()
    }

    /// As [`Lowering::alone`], of several ranks.
    pub(super) fn together(&self, leaves: &[Leaf], node: &Node) -> Option<Vec<Arc<Part>>> {
        (self.world.size() > 1 && self.effort <= TOGETHER_MAX).then(|| self.ready(leaves, node)).flatten()
    }

    fn ready(&self, leaves: &[Leaf], node: &Node) -> Option<Vec<Arc<Part>>> {
        if self.graph.is_some() || self.only_records || self.world.is_traced() {
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
        let leaves = self.leaves_here(&self.distribution(input.shape.rows()), reducer, parts);
        Some(self.at_once(node, |out, mistakes| {
            words.finish(&words.subtree(leaves), out);
            if let Some(text) = reducer.mistakes.take() {
                mistakes.note(text);
            }
        }))
    }

    /// As [`Lowering::reduce_alone`], of several ranks; none also if a rank may find a mistake, or if rows stay.
    pub(super) fn reduce_together(
        &self,
        node: &Arc<Node>,
        input: &Node,
        reducer: &Reducer,
        parts: &[Arc<Part>],
    ) -> Option<Result<()>> {
        let words = reducer.words;
        let short = words.length() <= SHORT_WORDS && node.layout == Layout::Replicated;
        if !reducer.folding.across_rows || !short || reducer.program.may_fail() {
            return None;
        }
        let distribution = self.distribution(input.shape.rows());
        let (tree, here) = (distribution.tree(), distribution.leaves_of(self.world.rank()));
        let leaves = self.leaves_here(&distribution, reducer, parts);
        let own = tile_nodes(words, tree, &here, &|emit| emit(&leaves));
        let bytes = cast_slice(&own.into_iter().flat_map(|(_, words)| words).collect::<Vec<u64>>()).to_vec();
        let nodes: Vec<_> = self.ranks().map(|rank| tree.nodes(&distribution.leaves_of(rank))).collect();
        let lengths = nodes.iter().map(|nodes| nodes.len() * words.length() * size_of::<u64>()).collect();
        let (text, detail) = description(node);
        // Whoever lacks the memory for the result says so instead of its words.
        let room = Part::replicated(self.world.memory(), node.shape.rows(), node.bytes());
        let (room, bytes) = match room {
            Ok(room) => (Some(room), Ok(bytes)),
            Err(error) => (None, Err(Error::from(error))),
        };
        let gathered = self.world.gather_described((&format!("evaluate: {text}"), detail), bytes, lengths);
        Some(gathered.map(|parts| {
            let mut combiner = words.combiner(tree);
            for (nodes, part) in nodes.iter().zip(&parts) {
                let mut partials = vec![0_u64; part.len() / size_of::<u64>()];
                cast_slice_mut(&mut partials).copy_from_slice(part);
                for (node, partial) in nodes.iter().zip(partials.chunks(words.length())) {
                    combiner.push(*node, partial.to_vec());
                }
            }
            let (_, root) = combiner.into_nodes().pop().expect("a tree has leaves");
            let room = room.expect("ranks without room do not agree");
            words.finish(&root, &mut room.tiles()[0].cell.write());
            node.set(room);
        }))
    }

    /// The words of this rank's leaves.
    fn leaves_here(&self, distribution: &RowDistribution, reducer: &Reducer, parts: &[Arc<Part>]) -> Vec<u64> {
        let rank = self.world.rank();
        let mut leaves = Vec::with_capacity(distribution.leaves_of(rank).len() * reducer.words.length());
        for tile in 0..distribution.tiles_of(rank) {
            let (rows, guards) = (distribution.rows_of_tile(rank, tile), opened(parts, tile));
            let mut machine = Machine::new(&reducer.program, sources(&guards), &reducer.mistakes);
            let leaf_rows = distribution.leaf_rows();
            reducer.folding.rows(&mut machine, &rows, leaf_rows, |_, words| leaves.extend_from_slice(words));
        }
        leaves
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
