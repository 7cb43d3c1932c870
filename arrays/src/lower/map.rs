//! Elementwise expressions: one task for each tile, which runs the fused program over it.

use super::machine::{Machine, Source};
use super::program::{Fused, Leaf, Program};
use super::{Accesses, Lowering, Placed, PlacedTile};
use crate::distribution::Layout;
use crate::error::Result;
use crate::expr::Node;
use crate::shape::Shape;
use crate::tile::Part;
use girih_runtime::graph::Context;
use girih_runtime::ids::Rank;
use girih_runtime::memory::{Granted, Holder, ReadGuard};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// Where the leaves of a program are in a graph.
pub(super) struct Leaves {
    placed: Vec<PlacedLeaf>,
    /// Whether some leaf is spread over ranks, so that each computes only its own rows.
    pub(super) spread: bool,
}

enum PlacedLeaf {
    /// Whole, or with the result's rows.
    Met(Rc<Placed>),
    /// Behind windows: for each rank the blocks in which it finds rows, and where the windows begin.
    Seen(Vec<Vec<PlacedTile>>, Vec<usize>),
}

/// A block that a task reads for a leaf of its program.
pub(super) struct Read {
    access: usize,
    /// The row that the block begins with.
    first_row: usize,
    /// Whether it belongs to the same leaf as the one before.
    more: bool,
}

impl Lowering<'_> {
    pub(super) fn map(&mut self, node: &Arc<Node>, fused: Fused) -> Result<()> {
        let Fused { program, leaves } = fused;
        let rows = node.shape.rows();
        if node.layout == Layout::Replicated
            && let Some(parts) = self.all_leaves_now(&leaves)
        {
            let guards = open(&parts);
            return self.at_once(node, |out, mistakes| {
                Machine::new(&program, sources(&guards), mistakes).rows(&(0..rows), out);
            });
        }
        if let Some(parts) = self.alone(&leaves, node) {
            return self.map_alone(node, &program, &parts);
        }
        let leaves = self.leaves(&leaves, &node.shape)?;
        self.mistakes.expect(program.may_fail());
        let program = Arc::new(program);
        if node.layout == Layout::Replicated && !leaves.spread {
            let output = self.output(node)?;
            for rank in self.ranks() {
                self.map_tile(rank, (0, 1), &program, &leaves, &output, &(0..rows))?;
            }
            return Ok(());
        }
        self.by_rows(node, |lowering, distribution, output| {
            for rank in lowering.ranks() {
                let tiles = distribution.tiles_of(rank);
                for tile in 0..tiles {
                    let rows = distribution.rows_of_tile(rank, tile);
                    lowering.map_tile(rank, (tile, tiles), &program, &leaves, output, &rows)?;
                }
            }
            Ok(())
        })
    }

    fn map_tile(
        &mut self,
        rank: Rank,
        (tile, tiles): (usize, usize),
        program: &Arc<Program>,
        leaves: &Leaves,
        output: &Placed,
        rows: &Range<usize>,
    ) -> Result<()> {
        let mut accesses = Accesses::default();
        let reads = leaves.reads(&mut accesses, rank, tile, rows);
        let target = accesses.write(output.tile(rank, tile).block);
        let domain = self.domain(rank, tile, tiles);
        let (program, rows, mistakes) = (Arc::clone(program), rows.clone(), self.mistakes.clone());
        self.graph().task("map", rank, domain, &accesses.list, || {
            Box::new(move |context| {
                let guards = guards(context, &reads);
                Machine::new(&program, sources(&guards), &mistakes).rows(&rows, &mut context.write(target));
                Ok(())
            })
        })?;
        Ok(())
    }

    /// Places the leaves of a program over `shape`; rows that do not meet its rows are gathered, but for those that
    /// windows show, of which each rank gets what it does not have.
    pub(super) fn leaves(&mut self, leaves: &[Leaf], shape: &Shape) -> Result<Leaves> {
        let mut placed = Vec::with_capacity(leaves.len());
        let mut spread = false;
        for Leaf { node, shifts } in leaves {
            let meets = node.shape.len() == shape.len() && node.shape.rows() == shape.rows();
            let rows = self.placed(node).layout == Layout::Rows;
            placed.push(if !shifts.is_empty() {
                PlacedLeaf::Seen(self.seen(node, shifts, shape.rows())?, shifts.clone())
            } else if rows && !meets {
                PlacedLeaf::Met(self.whole(node)?)
            } else {
                PlacedLeaf::Met(self.placed(node))
            });
            spread |= rows && (meets || !shifts.is_empty());
        }
        Ok(Leaves { placed, spread })
    }

    /// The values of leaves that are all whole and there on every rank.
    pub(super) fn all_leaves_now(&self, leaves: &[Leaf]) -> Option<Vec<Arc<Part>>> {
        leaves.iter().map(|leaf| self.whole_now(&leaf.node)).collect()
    }
}

impl Leaves {
    /// The blocks that a task on these rows, a tile, reads.
    pub(super) fn reads(&self, accesses: &mut Accesses, rank: Rank, tile: usize, rows: &Range<usize>) -> Vec<Read> {
        let mut reads = Vec::with_capacity(self.placed.len());
        for leaf in &self.placed {
            match leaf {
                PlacedLeaf::Met(placed) => {
                    let tile = placed.tile(rank, tile);
                    reads.push(Read { access: accesses.read(tile.block), first_row: tile.rows.start, more: false });
                }
                PlacedLeaf::Seen(tiles, shifts) => {
                    let wanted = |held: &PlacedTile| {
                        shifts
                            .iter()
                            .any(|shift| held.rows.start < rows.end + shift && rows.start + shift < held.rows.end)
                    };
                    for (index, held) in tiles[rank.index()].iter().filter(|held| wanted(held)).enumerate() {
                        let access = accesses.read(held.block);
                        reads.push(Read { access, first_row: held.rows.start, more: index > 0 });
                    }
                }
            }
        }
        reads
    }
}

/// Opens the leaves' blocks in a task.
pub(super) fn guards<'a>(context: &Context<'a>, reads: &[Read]) -> Vec<(ReadGuard<Granted<'a>>, usize, bool)> {
    reads.iter().map(|read| (context.read(read.access), read.first_row, read.more)).collect()
}

/// Opens whole values in the calling thread.
pub(super) fn open(parts: &[Arc<Part>]) -> Vec<(ReadGuard, usize, bool)> {
    parts.iter().map(|part| (part.tiles()[0].cell.read(), 0, false)).collect()
}

pub(super) fn sources<C: Holder>(guards: &[(ReadGuard<C>, usize, bool)]) -> Vec<Source<'_>> {
    let mut sources: Vec<Source<'_>> = Vec::with_capacity(guards.len());
    for (guard, first_row, more) in guards {
        let block = (&guard[..], *first_row);
        match sources.last_mut() {
            Some(leaf) if *more => leaf.more.push(block),
            _ => sources.push(Source { bytes: block.0, first_row: block.1, more: Vec::new() }),
        }
    }
    sources
}
