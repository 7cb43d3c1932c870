//! A tile of observations: where its rows lie, in which form, and how often they count.
//!
//! Never here: numbers about columns, messages.

use crate::stream::Stream;
use girih_arrays::kernel::nearest::{Real, SparseRows};
use girih_arrays::{Array, RowDistribution};
use girih_runtime::memory::BlockCell;
use std::ops::Range;
use std::sync::Arc;

/// Tiles for each worker: where few are left, some workers have nothing to do, for the time of a tile at most.
const PIECES_PER_WORKER: usize = 48;
/// Rows that are worth a task; and those of all kernels' blocks fill so many evenly.
const PIECE_ROWS_MIN: usize = 480;
const PIECE_ROWS_STEP: usize = 48;

/// Some of this rank's rows.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    /// Rows, counted over all ranks.
    pub(crate) rows: Range<usize>,
    /// Where their values are; of sparse rows, those of their entries.
    pub(crate) place: Place,
    /// Where the entries of sparse rows lie.
    pub(crate) pattern: Option<Pattern>,
    /// How often they count, if not once each.
    pub(crate) weights: Option<Weights>,
}

/// Where the values of a tile are.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In memory: a part of a block.
    Block { cell: Arc<BlockCell>, values: Range<usize> },
    /// Read when they are needed; `next` are the rows that will be needed after them.
    Stored { stream: Arc<Stream>, next: Range<usize> },
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

    /// Calls `body` with the tile's rows.
    ///
    /// # Errors
    /// Local: a text, if they could not be read.
    pub(crate) fn lend<T: Real, R>(&self, body: impl FnOnce(Rows<T>) -> R) -> Result<R, String> {
        Ok(match (&self.place, &self.pattern) {
            (Place::Stored { stream, next }, _) => {
                let loan = stream.lend(&self.rows, next)?;
                let bytes = loan.read();
                body(Rows::Dense(bytemuck::cast_slice(&bytes[..loan.bytes()])))
            }
            (Place::Block { cell, values }, None) => body(Rows::Dense(&cell.borrow().of::<T>()[values.clone()])),
            (Place::Block { cell, values }, Some(Pattern { starts, columns })) => {
                let (cell, columns) = (cell.borrow(), columns.borrow());
                let (columns, values) = (&columns.of::<u32>()[values.clone()], &cell.of::<T>()[values.clone()]);
                body(Rows::Sparse(SparseRows { starts, columns, values }))
            }
        })
    }

    /// The blocks that hold what a graph's task reads of the tile.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &Arc<BlockCell>> {
        let rows = match &self.place {
            Place::Block { cell, .. } => Some(cell),
            Place::Stored { .. } => None,
        };
        rows.into_iter().chain(self.weights.as_ref().map(|weights| &weights.cell))
    }
}

impl<T: Real> Rows<'_, T> {
    /// One of the rows, written out.
    pub(crate) fn row(&self, row: usize, columns: usize) -> Vec<T> {
        match self {
            Rows::Dense(values) => values[row * columns..][..columns].to_vec(),
            Rows::Sparse(rows) => {
                let mut dense = vec![T::ZERO; columns];
                let (places, values) = rows.row(row);
                places.iter().zip(values).for_each(|(&column, &value)| dense[column as usize] = value);
                dense
            }
        }
    }
}

/// Rows in one of their two forms.
pub(crate) enum Rows<'a, T> {
    Dense(&'a [T]),
    Sparse(SparseRows<'a, T>),
}

/// This rank's rows by tile. Of a replicated array each rank takes a part, as if it were divided.
pub(crate) fn tiles(x: &Array, rows: usize, columns: usize) -> girih_arrays::Result<Vec<Tile>> {
    let world = x.world();
    let part = x.part()?;
    let distribution = RowDistribution::new(rows, world.size(), world.config().tile_bytes);
    let mine = (0..distribution.tiles_of(world.rank())).map(|tile| distribution.rows_of_tile(world.rank(), tile));
    let tile = |rows: Range<usize>| {
        let holder = part.tiles().iter().find(|tile| tile.rows.start <= rows.start && rows.end <= tile.rows.end);
        let holder = holder.expect("tiles of arrays with equally many rows are aligned");
        let skip = rows.start - holder.rows.start;
        let values = skip * columns..(skip + rows.len()) * columns;
        let place = Place::Block { cell: Arc::clone(&holder.cell), values };
        Tile { rows, place, pattern: None, weights: None }
    };
    let pieces = (PIECES_PER_WORKER * world.workers()).div_ceil(mine.len().max(1));
    Ok(mine.flat_map(|rows| cut(rows, pieces)).map(tile).collect())
}

/// Rows in about so many runs that do not depend on what else is known of the rows.
fn cut(rows: Range<usize>, pieces: usize) -> impl Iterator<Item = Range<usize>> {
    let piece = rows.len().div_ceil(pieces).next_multiple_of(PIECE_ROWS_STEP).max(PIECE_ROWS_MIN);
    let end = rows.end;
    rows.step_by(piece).map(move |start| start..(start + piece).min(end))
}

/// These rows in pieces of `piece` rows, counted from the first row of all, each read from the stream.
pub(crate) fn pieces(stream: &Arc<Stream>, rows: &Range<usize>, piece: usize) -> Vec<Tile> {
    let first = rows.start / piece * piece;
    let starts = (first..rows.end).step_by(piece);
    let cut = |start: usize| start.max(rows.start)..(start + piece).min(rows.end);
    let cuts: Vec<Range<usize>> = starts.map(cut).filter(|rows| !rows.is_empty()).collect();
    let tile = |at: usize| {
        // After the last comes the first, of the next pass.
        let (stream, next) = (Arc::clone(stream), cuts[(at + 1) % cuts.len()].clone());
        Tile { rows: cuts[at].clone(), place: Place::Stored { stream, next }, pattern: None, weights: None }
    };
    (0..cuts.len()).map(tile).collect()
}
