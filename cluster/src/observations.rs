//! The rows to be clustered: where this rank's part lies, and what is known of the columns.
//!
//! Invariant: the numbers about columns are the same bits on all ranks, and finite.

use crate::error::{Error, Result};
use crate::tile::{Tile, Weights, tiles};
use girih_arrays::kernel::nearest::{FixedPoint, Real};
use girih_arrays::{Array, Element};
use girih_runtime::graph::Graph;
use girih_runtime::world::World;
use std::sync::Arc;

/// With one limb, sums resolve 2⁻⁴² of the largest value of a column; more is needed where that is an outlier.
const OUTLIER: f64 = 4096.0;

/// A matrix of finite `f32` or `f64`, dense or sparse, ready for K-Means.
#[derive(Clone, Debug)]
pub struct Observations<T> {
    pub(crate) world: World,
    pub(crate) source: Source,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) tiles: Vec<Tile>,
    /// Means of the columns: all computation is about them, for the expansion of distances loses digits far away.
    /// Zeros for sparse rows, which would be sparse no more.
    pub(crate) origin: Arc<Vec<T>>,
    pub(crate) fixed: Arc<FixedPoint>,
}

/// Where the variances of the columns come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Dense(Array),
    Sparse { mean_variance: f64 },
}

impl<T> Observations<T> {
    /// True if the rows are sparse.
    pub(crate) fn is_sparse(&self) -> bool {
        matches!(self.source, Source::Sparse { .. })
    }
}

impl<T: Real + Element> Observations<T> {
    /// Reads the columns' means and bounds: two or three passes over the data.
    ///
    /// # Errors
    /// Replicated: `Error::Value` if `x` is not a matrix with rows and columns, or holds NaN or infinity.
    ///
    /// # Panics
    /// If the dtype of `x` is not `T`.
    pub fn new(x: &Array) -> Result<Observations<T>> {
        assert_eq!(x.dtype(), T::DTYPE, "observations of one type are read as another");
        let &[rows, columns] = x.shape() else {
            return Err(Error::Value(format!("Expected 2D array, got {}D array instead.", x.shape().len())));
        };
        if rows == 0 || columns == 0 {
            return Err(Error::Value(format!("Found array with {rows} sample(s) and {columns} feature(s).")));
        }
        x.wait()?;
        let world = x.world().clone();
        let mean = x.mean(Some(&[0]), false)?;
        let origin: Vec<T> = mean.to_vec::<T>()?;
        let lowest = x.min(Some(&[0]), false)?.to_vec::<T>()?;
        let highest = x.max(Some(&[0]), false)?.to_vec::<T>()?;
        check_finite::<T>("X", &lowest, &highest)?;
        // The mean of finite values may overflow; any finite origin will do.
        let origin: Vec<T> =
            origin.into_iter().map(|mean| if mean.widen().is_finite() { mean } else { T::ZERO }).collect();
        let bounds: Vec<f64> = (0..columns)
            .map(|column| {
                let (low, high) = (lowest[column].widen(), highest[column].widen());
                let mean = origin[column].widen();
                // Rounding of x − mean in `T` must not lift it over the bound.
                (high - mean).abs().max((low - mean).abs()).min(f64::MAX / 2.0) * (1.0 + 1e-6)
            })
            .collect();
        let mut limbs = FixedPoint::limbs_for::<T>(rows as u64);
        if limbs == 1 {
            let spread = x.subtract(&mean)?.absolute()?.mean(Some(&[0]), false)?.to_vec::<T>()?;
            let outlies = bounds.iter().zip(&spread).any(|(&bound, spread)| bound > OUTLIER * spread.widen());
            limbs += usize::from(outlies);
        }
        let fixed = Arc::new(FixedPoint::new(&bounds, rows as u64, limbs));
        let tiles = tiles(x, rows, columns)?;
        Ok(Observations {
            world,
            source: Source::Dense(x.clone()),
            rows,
            columns,
            tiles,
            origin: Arc::new(origin),
            fixed,
        })
    }

    /// The same rows, each counted as often as its weight says.
    ///
    /// Shape: `weights` n. A mean becomes a weighted mean, a sum of distances a weighted sum.
    /// Cost: one pass over the weights.
    ///
    /// # Errors
    /// Replicated: `Error::Value` if there is not one finite weight for each row, or all are zero.
    ///
    /// # Panics
    /// If the dtype of `weights` is not `T`.
    pub fn weighted(&self, weights: &Array) -> Result<Observations<T>> {
        assert_eq!(weights.dtype(), T::DTYPE, "weights have the type of the rows");
        if weights.shape() != [self.rows] {
            let (shape, rows) = (weights.shape(), self.rows);
            return Err(Error::Value(format!("sample_weight.shape == {shape:?}, expected ({rows},)!")));
        }
        weights.wait()?;
        let lowest = weights.min(None, false)?.to_vec::<T>()?;
        let highest = weights.max(None, false)?.to_vec::<T>()?;
        check_finite::<T>("sample_weight", &lowest, &highest)?;
        let bound = lowest[0].widen().abs().max(highest[0].widen().abs());
        if bound == 0.0 {
            return Err(Error::Value("Sample weights must contain at least one non-zero number.".to_string()));
        }
        let parts = tiles(weights, self.rows, 1)?;
        let tiles = self.tiles.iter().zip(parts).map(|(tile, weights)| {
            assert_eq!(tile.rows, weights.rows, "arrays with equally many rows are cut alike");
            let weights = Some(Weights { cell: weights.cell, values: weights.values });
            Tile { weights, ..tile.clone() }
        });
        let fixed = Arc::new(self.fixed.weighted(bound));
        Ok(Observations { tiles: tiles.collect(), fixed, ..self.clone() })
    }

    /// The number of rows on all ranks.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The world that holds the rows.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What was made on this rank, if all ranks could make theirs and will run the same graphs: one that lacks the
    /// memory must not leave the others waiting. Cost: one agreement, which the graphs' launches then need no more.
    pub(crate) fn agreed<M>(&self, made: Result<M>, graphs: impl Fn(&M) -> Vec<&Graph>) -> Result<M> {
        let told = match &made {
            Ok(made) => self.world.agree_on(Ok(&graphs(made))),
            Err(error) => self.world.agree_on(Err(error.to_string())),
        };
        let made = made?;
        told?;
        Ok(made)
    }

    pub(crate) fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    pub(crate) fn origin(&self) -> &Arc<Vec<T>> {
        &self.origin
    }

    pub(crate) fn fixed(&self) -> &Arc<FixedPoint> {
        &self.fixed
    }

    /// The mean of the columns' variances. Cost: two passes over the data.
    ///
    /// # Errors
    /// As the runtime's.
    pub fn mean_variance(&self) -> Result<f64> {
        let array = match &self.source {
            Source::Dense(array) => array,
            Source::Sparse { mean_variance } => return Ok(*mean_variance),
        };
        let variances = array.var(Some(&[0]), 0.0, false)?.to_vec::<T>()?;
        Ok(variances.iter().map(|variance| variance.widen()).sum::<f64>() / self.columns as f64)
    }

    /// Copies of some rows, in the order asked for, on all ranks.
    ///
    /// Cost: one control message of the rows.
    ///
    /// # Errors
    /// Replicated: `Error::Value` if a row is not there. As the runtime's otherwise.
    pub fn rows_at(&self, indices: &[usize]) -> Result<Vec<T>> {
        if let Some(index) = indices.iter().find(|&&index| index >= self.rows) {
            return Err(Error::Value(format!("row {index} is out of bounds for {} rows", self.rows)));
        }
        let width = self.columns * size_of::<T>();
        let mut mine = Vec::new();
        for (place, &index) in indices.iter().enumerate() {
            if let Some(tile) = self.tiles.iter().find(|tile| tile.rows.contains(&index)) {
                mine.extend_from_slice(&(place as u64).to_ne_bytes());
                let row = tile.row(tile.cell.read().of::<T>(), index, self.columns);
                mine.extend_from_slice(bytemuck::cast_slice(&row));
            }
        }
        let mut rows = vec![T::ZERO; indices.len() * self.columns];
        for part in self.world.all_gather_bytes(mine)? {
            for entry in part.chunks_exact(8 + width) {
                let (place, row) = entry.split_at(8);
                let place = u64::from_ne_bytes(place.try_into().expect("eight bytes")) as usize;
                bytemuck::cast_slice_mut(&mut rows[place * self.columns..][..self.columns]).copy_from_slice(row);
            }
        }
        Ok(rows)
    }
}

/// The messages are scikit-learn's, for users search for them.
pub(crate) fn check_finite<T: Real>(name: &str, lowest: &[T], highest: &[T]) -> Result<()> {
    let mut values = lowest.iter().chain(highest).map(|value| value.widen());
    if values.clone().any(f64::is_nan) {
        return Err(Error::Value(format!("Input {name} contains NaN.")));
    }
    if values.any(f64::is_infinite) {
        let dtype = if size_of::<T>() == 4 { "float32" } else { "float64" };
        return Err(Error::Value(format!("Input {name} contains infinity or a value too large for dtype('{dtype}').")));
    }
    Ok(())
}
