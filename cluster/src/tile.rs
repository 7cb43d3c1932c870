//! A tile of observations: where its rows lie, in which form, and how often they count.
//!
//! Never here: numbers about columns, messages.

use crate::error::Result;
use girih_arrays::kernel::nearest::{Real, SparseRows};
use girih_arrays::{Array, RowDistribution};
use girih_runtime::memory::BlockCell;
use std::ops::Range;
use std::sync::Arc;

/// Some of this rank's rows.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    /// Rows, counted over all ranks.
    pub(crate) rows: Range<usize>,
    /// The block they lie in.
    pub(crate) cell: Arc<BlockCell>,
    /// Their values within the block; of sparse rows, those of their entries.
    pub(crate) values: Range<usize>,
    /// Where the entries of sparse rows lie.
    pub(crate) pattern: Option<Pattern>,
    /// How often they count, if not once each.
    pub(crate) weights: Option<Weights>,
}

/// The entries of the sparse rows of a tile: a column for each value, as `SparseRows` has them.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) starts: Arc<Vec<usize>>,
    pub(crate) columns: Arc<BlockCell>,
}

/// Weights of the rows of a tile.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    /// The block they lie in.
    pub(crate) cell: Arc<BlockCell>,
    pub(crate) values: Range<usize>,
}

impl Tile {
    /// The tile's own weights, of those in the block.
    pub(crate) fn weights_of<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        &all[self.weights.as_ref().expect("only weighted tiles are asked").values.clone()]
    }

    /// Calls `body` with the tile's rows: those of the block whose values these are.
    pub(crate) fn with_rows<T: Real, R>(&self, all: &[T], body: impl FnOnce(Rows<T>) -> R) -> R {
        let values = &all[self.values.clone()];
        match &self.pattern {
            None => body(Rows::Dense(values)),
            Some(Pattern { starts, columns }) => {
                let columns = &columns.read();
                body(Rows::Sparse(SparseRows { starts, columns: &columns.of::<u32>()[self.values.clone()], values }))
            }
        }
    }

    /// A row of the tile, written out; `row` is counted over all ranks.
    pub(crate) fn row<T: Real>(&self, all: &[T], row: usize, columns: usize) -> Vec<T> {
        let row = row - self.rows.start;
        self.with_rows(all, |rows| match rows {
            Rows::Dense(values) => values[row * columns..][..columns].to_vec(),
            Rows::Sparse(rows) => {
                let mut dense = vec![T::ZERO; columns];
                let (places, values) = rows.row(row);
                places.iter().zip(values).for_each(|(&column, &value)| dense[column as usize] = value);
                dense
            }
        })
    }
}

/// Rows in one of their two forms.
pub(crate) enum Rows<'a, T> {
    Dense(&'a [T]),
    Sparse(SparseRows<'a, T>),
}

/// This rank's rows by tile. Of a replicated array each rank takes a part, as if it were divided.
pub(crate) fn tiles(x: &Array, rows: usize, columns: usize) -> Result<Vec<Tile>> {
    let world = x.world();
    let part = x.part()?;
    let distribution = RowDistribution::new(rows, world.size(), world.config().tile_bytes);
    let mine = (0..distribution.tiles_of(world.rank())).map(|tile| distribution.rows_of_tile(world.rank(), tile));
    let tile = |rows: Range<usize>| {
        let holder = part.tiles().iter().find(|tile| tile.rows.start <= rows.start && rows.end <= tile.rows.end);
        let holder = holder.expect("tiles of arrays with equally many rows are aligned");
        let skip = rows.start - holder.rows.start;
        let values = skip * columns..(skip + rows.len()) * columns;
        Tile { rows, cell: Arc::clone(&holder.cell), values, pattern: None, weights: None }
    };
    Ok(mine.map(tile).collect())
}
