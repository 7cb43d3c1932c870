//! What one rank stores of an array: a run of rows in one piece of memory, cut into a block for each tile.
//!
//! Invariant: the blocks of a part are its slab from front to end, so a rank's rows are one view.
//! Never here: what is in the blocks, which other rank has the rest.

use crate::distribution::{Layout, RowDistribution};
use girih_runtime::error::Result;
use girih_runtime::ids::Rank;
use girih_runtime::memory::{BlockCell, Memory, Slab};
use std::ops::Range;
use std::sync::Arc;

/// One rank's share of an array.
#[derive(Clone, Debug)]
pub struct Part {
    layout: Layout,
    slab: Arc<Slab>,
    bytes: usize,
    tiles: Vec<Tile>,
}

/// A run of rows, and the block they are in.
#[derive(Clone, Debug)]
pub struct Tile {
    /// Rows, counted over all ranks.
    pub rows: Range<usize>,
    /// Their elements in row-major order.
    pub cell: Arc<BlockCell>,
}

impl Part {
    /// Room for a whole array.
    ///
    /// # Errors
    /// Local: `Error::Memory`.
    pub fn replicated(memory: &Arc<Memory>, rows: usize, bytes: usize) -> Result<Part> {
        Part::cut(memory, Layout::Replicated, [(0..rows, bytes)].into_iter())
    }

    /// Room for the rows of a rank.
    ///
    /// # Errors
    /// Local: `Error::Memory`.
    pub fn rows(memory: &Arc<Memory>, distribution: &RowDistribution, rank: Rank, row_bytes: usize) -> Result<Part> {
        let tiles = (0..distribution.tiles_of(rank)).map(|tile| distribution.rows_of_tile(rank, tile));
        Part::cut(memory, Layout::Rows, tiles.map(|rows| (rows.clone(), rows.len() * row_bytes)))
    }

    /// Room for one tile of any rows.
    ///
    /// # Errors
    /// Local: `Error::Memory`.
    pub fn lone(memory: &Arc<Memory>, rows: Range<usize>, row_bytes: usize) -> Result<Part> {
        let bytes = rows.len() * row_bytes;
        Part::cut(memory, Layout::Rows, [(rows, bytes)].into_iter())
    }

    /// Room for as much as this part has, cut alike.
    ///
    /// # Errors
    /// Local: `Error::Memory`.
    pub fn alike(&self, memory: &Arc<Memory>) -> Result<Part> {
        let tiles = self.tiles.iter().map(|tile| (tile.rows.clone(), tile.cell.bytes()));
        Part::cut(memory, self.layout, tiles)
    }

    fn cut(memory: &Arc<Memory>, layout: Layout, tiles: impl Iterator<Item = (Range<usize>, usize)>) -> Result<Part> {
        let (rows, lengths): (Vec<_>, Vec<_>) = tiles.unzip();
        let bytes = lengths.iter().sum();
        let slab = memory.slab(bytes)?;
        let cells = Slab::split(&slab, &lengths);
        let tiles = rows.into_iter().zip(cells).map(|(rows, cell)| Tile { rows, cell }).collect();
        Ok(Part { layout, slab, bytes, tiles })
    }

    /// How the array that this is a part of is laid out.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The tiles, in the order of rows.
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// The bytes of all tiles, which follow one another in memory.
    pub fn slab(&self) -> &Arc<Slab> {
        &self.slab
    }

    /// The length of all tiles together.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A copy of all elements.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes);
        for tile in &self.tiles {
            bytes.extend_from_slice(&tile.cell.read());
        }
        bytes
    }

    /// Fills all tiles from bytes in the same order.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn fill(&self, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.bytes, "a part was filled with another length");
        let mut rest = bytes;
        for tile in &self.tiles {
            let (front, back) = rest.split_at(tile.cell.bytes());
            tile.cell.write().copy_from_slice(front);
            rest = back;
        }
    }
}
