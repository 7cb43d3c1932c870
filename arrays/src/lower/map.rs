//! Elementwise expressions: one task for each tile, which runs the fused program over it.

use super::machine::{Machine, Source};
use super::program::{Fused, Program};
use super::{Accesses, Lowering, Placed};
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
    placed: Vec<Rc<Placed>>,
    /// Whether some leaf is spread over ranks, so that each computes only its own rows.
    pub(super) spread: bool,
}

/// Where a task finds the leaves of its program: the access, and the row the block begins with.
pub(super) type Reads = Vec<(usize, usize)>;

impl Lowering<'_> {
    pub(super) fn map(&mut self, node: &Arc<Node>, fused: Fused) -> Result<()> {
        let Fused { program, leaves } = fused;
        let rows = node.shape.rows();
        if node.layout == Layout::Replicated
            && let Some(parts) = self.all_whole_now(&leaves)
        {
            let guards = open(&parts);
            return self.at_once(node, |out, mistakes| {
                Machine::new(&program, sources(&guards), mistakes).rows(&(0..rows), out);
            });
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
        let reads = leaves.reads(&mut accesses, rank, tile);
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

    /// Places the leaves of a program over `shape`; rows that do not meet its rows are gathered.
    pub(super) fn leaves(&mut self, leaves: &[Arc<Node>], shape: &Shape) -> Result<Leaves> {
        let mut placed = Vec::with_capacity(leaves.len());
        let mut spread = false;
        for leaf in leaves {
            let meets = leaf.shape.len() == shape.len() && leaf.shape.rows() == shape.rows();
            let rows = self.placed(leaf).layout == Layout::Rows;
            placed.push(if rows && !meets { self.whole(leaf)? } else { self.placed(leaf) });
            spread |= rows && meets;
        }
        Ok(Leaves { placed, spread })
    }
}

impl Leaves {
    /// The blocks that a task on a tile reads.
    pub(super) fn reads(&self, accesses: &mut Accesses, rank: Rank, tile: usize) -> Reads {
        let read = |placed: &Rc<Placed>| {
            let tile = placed.tile(rank, tile);
            (accesses.read(tile.block), tile.rows.start)
        };
        self.placed.iter().map(read).collect()
    }
}

/// Opens the leaves' blocks in a task.
pub(super) fn guards<'a>(context: &Context<'a>, reads: &Reads) -> Vec<(ReadGuard<Granted<'a>>, usize)> {
    reads.iter().map(|&(access, first_row)| (context.read(access), first_row)).collect()
}

/// Opens whole values in the calling thread.
pub(super) fn open(parts: &[Arc<Part>]) -> Vec<(ReadGuard, usize)> {
    parts.iter().map(|part| (part.tiles()[0].cell.read(), 0)).collect()
}

pub(super) fn sources<C: Holder>(guards: &[(ReadGuard<C>, usize)]) -> Vec<Source<'_>> {
    guards.iter().map(|(guard, first_row)| Source { bytes: guard, first_row: *first_row }).collect()
}
