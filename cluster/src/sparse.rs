//! Observations from sparse rows in compressed form (CSR).
//!
//! Each rank keeps its own rows, cut where a dense matrix of as many rows is cut. The columns' bounds and variances
//! come from exact integer sums, so they have the same bits on any number of ranks.
//! Never here: arithmetic of rows (see `kernel::nearest::sparse`).

use crate::error::{Error, Result};
use crate::observations::{Form, Observations, check_finite};
use crate::tile::{Pattern, Place, Tile};
use girih_arrays::kernel::nearest::{FixedPoint, Real, Scale};
use girih_arrays::{Element, RowDistribution};
use girih_runtime::world::World;
use std::ops::Range;
use std::sync::Arc;

/// A sparse matrix, the same on every rank: row i has the entries `starts[i]..starts[i + 1]`.
#[derive(Clone, Copy, Debug)]
pub struct Csr<'a, T> {
    /// Rows and columns.
    pub shape: [usize; 2],
    /// One more than rows.
    pub starts: &'a [usize],
    /// The column of each entry; no column twice in a row.
    pub columns: &'a [u32],
    /// The value of each entry.
    pub values: &'a [T],
}

impl<T: Real + Element> Observations<T> {
    /// Takes this rank's rows of the matrix.
    ///
    /// Cost: a copy of them, three passes over their entries, two control messages of up to four words a column.
    ///
    /// # Errors
    /// Replicated: `Error::Value` if the matrix is not well formed, is empty, or holds NaN or infinity.
    pub fn sparse(world: &World, matrix: &Csr<T>) -> Result<Observations<T>> {
        let [rows, columns] = matrix.shape;
        check_form(matrix)?;
        let distribution = RowDistribution::new(rows, world.size(), world.config().tile_bytes);
        let tiles = (0..distribution.tiles_of(world.rank()))
            .map(|tile| copy_tile(world, matrix, distribution.rows_of_tile(world.rank(), tile)))
            .collect::<Result<Vec<Tile>>>();
        // One that lacks the memory must not leave the others waiting.
        let told = world.agree(tiles.as_ref().map(drop).map_err(Error::to_string));
        let tiles = tiles?;
        told?;
        let mut reach = vec![0.0_f64; columns];
        each_entry::<T>(&tiles, |column, value| {
            let size = value.abs();
            reach[column] = if size <= reach[column] { reach[column] } else { size };
        });
        for part in world.all_gather_bytes(bytemuck::cast_slice(&reach).to_vec())? {
            for (reach, other) in reach.iter_mut().zip(part.as_chunks().0) {
                let other = f64::from_ne_bytes(*other);
                *reach = if other <= *reach { *reach } else { other };
            }
        }
        check_finite::<T>("X", &reach, &[], reach.iter().any(|reach| reach.is_nan()))?;
        let mean_variance = mean_variance::<T>(world, &tiles, &reach, rows)?;
        // Entries are seldom all near the largest, so there are two limbs for any type.
        let fixed = Arc::new(FixedPoint::new(&reach, rows as u64, 2));
        let origin = Arc::new(vec![T::ZERO; columns]);
        let (world, form, mean_variance) = (world.clone(), Form::Sparse, Arc::new(mean_variance.into()));
        Ok(Observations { world, form, rows, columns, tiles, origin, fixed, mean_variance })
    }
}

fn check_form<T>(matrix: &Csr<T>) -> Result<()> {
    let [rows, columns] = matrix.shape;
    if rows == 0 || columns == 0 {
        return Err(Error::Value(format!("Found array with {rows} sample(s) and {columns} feature(s).")));
    }
    let ascends = matrix.starts.windows(2).all(|pair| pair[0] <= pair[1]);
    let entries = matrix.values.len();
    let well_formed = matrix.starts.len() == rows + 1
        && ascends
        && matrix.starts.last() == Some(&entries)
        && matrix.columns.len() == entries
        && matrix.columns.iter().all(|&column| (column as usize) < columns);
    if well_formed { Ok(()) } else { Err(Error::Value("the sparse matrix is not well formed".to_string())) }
}

fn copy_tile<T: Real + Element>(world: &World, matrix: &Csr<T>, rows: Range<usize>) -> Result<Tile> {
    let first = matrix.starts[rows.start];
    let entries = first..matrix.starts[rows.end];
    let starts = matrix.starts[rows.start..=rows.end].iter().map(|start| start - first).collect();
    let cell = world.memory().block(entries.len() * size_of::<T>())?;
    cell.write().of_mut::<T>().copy_from_slice(&matrix.values[entries.clone()]);
    let columns = world.memory().block(entries.len() * size_of::<u32>())?;
    columns.write().of_mut::<u32>().copy_from_slice(&matrix.columns[entries.clone()]);
    let pattern = Some(Pattern { starts: Arc::new(starts), columns });
    let place = Place::Block { cell, values: 0..entries.len() };
    Ok(Tile { rows, place, pattern, weights: None })
}

/// Calls `body` with the column and value of each entry of these tiles.
fn each_entry<T: Real>(tiles: &[Tile], mut body: impl FnMut(usize, f64)) {
    for tile in tiles {
        let Place::Block { cell, .. } = &tile.place else { unreachable!("sparse rows are in memory") };
        let columns = tile.pattern.as_ref().expect("the tiles are sparse").columns.borrow();
        let values = cell.borrow();
        let entries = columns.of::<u32>().iter().zip(values.of::<T>());
        entries.for_each(|(&column, value)| body(column as usize, value.widen()));
    }
}

/// The mean of the columns' variances, from exact sums of values and squares.
fn mean_variance<T: Real>(world: &World, tiles: &[Tile], reach: &[f64], rows: usize) -> Result<f64> {
    let scale = |bound: f64| Scale::new(bound, rows as u64);
    let scales: Vec<[Scale; 2]> =
        reach.iter().map(|&reach| [scale(reach), scale((reach * reach).min(f64::MAX))]).collect();
    let mut sums = vec![[0_i64; 4]; reach.len()];
    each_entry::<T>(tiles, |column, value| {
        let square = (value * value).min(f64::MAX);
        let [head, tail] = scales[column][0].split(value);
        let [square_head, square_tail] = scales[column][1].split(square);
        let sum = &mut sums[column];
        sum.iter_mut().zip([head, tail, square_head, square_tail]).for_each(|(sum, word)| *sum += word);
    });
    let parts = world.all_gather_bytes(bytemuck::cast_slice(&sums).to_vec())?;
    let mut totals = vec![[0_i64; 4]; reach.len()];
    for part in parts {
        let words = totals.as_flattened_mut().iter_mut().zip(part.as_chunks().0);
        words.for_each(|(total, &word)| *total += i64::from_ne_bytes(word));
    }
    let variances = totals.iter().zip(&scales).map(|(&[head, tail, square_head, square_tail], [values, squares])| {
        let mean = values.value([head, tail]) / rows as f64;
        (squares.value([square_head, square_tail]) / rows as f64 - mean * mean).max(0.0)
    });
    Ok(variances.sum::<f64>() / reach.len() as f64)
}
