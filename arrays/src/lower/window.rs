//! Rows that windows show: where a rank finds those that it has, and the messages that bring it those that it lacks.
//!
//! A window is a view that shows rows of an array in their order, such as one of the slices of a stencil. It is never
//! stored: tasks look at the blocks of the array itself. Rows of other ranks, the halo, come in blocks cut as the tiles
//! of the rank that has them, each row once however many windows show it. Only tasks that look at them wait for them.

use super::{Accesses, Lowering, PlacedTile};
use crate::distribution::Layout;
use crate::error::Result;
use crate::expr::Node;
use crate::kernel::copy::Copying;
use girih_runtime::ids::{BlockId, Rank};
use std::ops::Range;
use std::sync::Arc;

impl Lowering<'_> {
    /// For each rank, the blocks in which it finds the rows of `node` that windows show, which begin with the rows
    /// `shifts` and have `rows` rows, cut as rows are.
    pub(super) fn seen(&mut self, node: &Arc<Node>, shifts: &[usize], rows: usize) -> Result<Vec<Vec<PlacedTile>>> {
        let placed = self.placed(node);
        assert!(placed.layout == Layout::Rows, "windows show rows that lie on ranks");
        let row_bytes = node.shape.row_elements() * node.dtype.bytes();
        let distribution = self.distribution(rows);
        let mut seen = Vec::with_capacity(self.world.size());
        for rank in self.ranks() {
            let mut tiles = placed.tiles[rank.index()].clone();
            let shown = distribution.rows_of(rank);
            let shown: Vec<Range<usize>> = if shown.is_empty() {
                Vec::new()
            } else {
                shifts.iter().map(|shift| shown.start + shift..shown.end + shift).collect()
            };
            for holder in self.ranks().filter(|holder| *holder != rank) {
                for tile in &placed.tiles[holder.index()] {
                    for rows in joined(shown.iter().map(|shown| common(shown, &tile.rows))) {
                        let block = self.sent(holder, tile, &rows, row_bytes)?;
                        tiles.push(PlacedTile { rows, block });
                    }
                }
            }
            seen.push(tiles);
        }
        Ok(seen)
    }

    /// A block of some rows of a tile: the tile itself, if these are all of its rows.
    fn sent(&mut self, holder: Rank, tile: &PlacedTile, rows: &Range<usize>, row_bytes: usize) -> Result<BlockId> {
        if *rows == tile.rows {
            return Ok(tile.block);
        }
        let block = self.graph().block(holder, rows.len() * row_bytes)?;
        let mut accesses = Accesses::default();
        let from = ((rows.start - tile.rows.start) * row_bytes) as isize;
        let copying = Copying { from, ..Copying::straight(rows.len() * row_bytes) };
        let moves = vec![(accesses.read(tile.block), copying)];
        self.copy_task("halo", holder, (0, 1), accesses, (1, moves), block)?;
        Ok(block)
    }
}

fn common(one: &Range<usize>, other: &Range<usize>) -> Range<usize> {
    one.start.max(other.start)..one.end.min(other.end)
}

/// Ranges as few as possible, each row once; empty ones go.
fn joined(ranges: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = ranges.filter(|range| range.start < range.end).collect();
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}
