//! The rows to be clustered: where this rank's part lies, and what is known of the columns.
//!
//! Invariant: the numbers about columns are the same bits on all ranks, and finite.

use crate::error::{Error, Result};
use crate::stream::{RowSource, Storage, Stream};
use crate::sweep::{Sweep, Visit};
use crate::tile::{Place, Rows, Tile, Weights, pieces, tiles};
use girih_arrays::kernel::nearest::{
    Deviation, FixedPoint, Real, Scratch, add_bounds, add_deviations, add_heads, bounds_of,
};
use girih_arrays::{Array, Element, RowDistribution};
use girih_runtime::comm::Reduction;
use girih_runtime::fingerprint::Fingerprint;
use girih_runtime::graph::Graph;
use girih_runtime::world::World;
use std::sync::{Arc, OnceLock};

/// With one limb, sums resolve 2⁻⁴² of the largest value of a column; more is needed where that is an outlier.
const OUTLIER: f64 = 4096.0;

/// A matrix of finite `f32` or `f64`, dense or sparse, in memory or read when needed, ready for K-Means.
#[derive(Clone, Debug)]
pub struct Observations<T> {
    pub(crate) world: World,
    pub(crate) form: Form,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) tiles: Vec<Tile>,
    /// Means of the columns: all computation is about them, for the expansion of distances loses digits far away.
    /// Zeros for sparse rows, which would be sparse no more.
    pub(crate) origin: Arc<Vec<T>>,
    pub(crate) fixed: Arc<FixedPoint>,
    /// The mean of the columns' variances, once it is known.
    pub(crate) mean_variance: Arc<OnceLock<f64>>,
}

/// How the rows are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Dense,
    Sparse,
    /// Dense, and read for each pass; bytes that all else may take.
    Stored {
        bytes_max: usize,
    },
}

impl<T> Observations<T> {
    /// True if the rows are sparse.
    pub(crate) fn is_sparse(&self) -> bool {
        self.form == Form::Sparse
    }

    /// True if so many bytes for each row of this rank may be kept from one pass to the next.
    pub(crate) fn may_keep(&self, bytes: usize) -> bool {
        match self.form {
            Form::Stored { bytes_max } => self.rows.div_ceil(self.world.size()) * bytes <= bytes_max,
            Form::Dense | Form::Sparse => true,
        }
    }
}

impl<T: Real + Element + Default> Observations<T> {
    /// Reads the columns' bounds and means: two or three passes over the data.
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
        check_shape([rows, columns])?;
        x.wait()?;
        let tiles = tiles(x, rows, columns)?;
        Observations::looked_over(x.world(), Form::Dense, [rows, columns], tiles)
    }

    /// Rows that are read from a source for each pass, which need not fit in memory; the same bits as in memory.
    ///
    /// The source has the same rows on every rank, each of which reads its own part, a piece at a time and ahead of
    /// what is needed.
    /// Cost: as `new`; besides the pieces, the labels of this rank's rows and whatever else a method says.
    ///
    /// # Errors
    /// Replicated: as `new`. Local: `Error::Arrays`, on all ranks, if a rank cannot read its rows.
    pub fn stored(
        world: &World,
        source: Arc<dyn RowSource>,
        shape: [usize; 2],
        storage: &Storage,
    ) -> Result<Observations<T>> {
        check_shape(shape)?;
        let [rows, columns] = shape;
        let distribution = RowDistribution::new(rows, world.size(), world.config().tile_bytes);
        let (row_bytes, borrowers) = (columns * size_of::<T>(), world.workers() + 1);
        let piece = storage.piece_rows(row_bytes, borrowers);
        let stream = Stream::new(source, world.memory(), row_bytes, (piece, storage.together), borrowers);
        let tiles = pieces(&Arc::new(stream), &distribution.rows_of(world.rank()), piece);
        // Ranks with less memory decide for all what is kept.
        let mut bytes_max = [i64::try_from(storage.bytes_max).unwrap_or(i64::MAX)];
        world.all_reduce(Reduction::MinI64, &mut bytes_max)?;
        let form = Form::Stored { bytes_max: bytes_max[0] as usize };
        Observations::looked_over(world, form, shape, tiles)
    }

    fn looked_over(world: &World, form: Form, [rows, columns]: [usize; 2], tiles: Vec<Tile>) -> Result<Self> {
        let plan = Fingerprint::default().word(rows as u64).word(columns as u64);
        let words = 2 * columns + 1;
        let sweep = Sweep { name: "bounds of columns", reduction: Reduction::MaxI64, words, plan };
        let look = move |visit: Visit<T>, words: &mut [i64], _: &mut Scratch<T>| match visit.rows {
            Rows::Dense(rows) => add_bounds(rows, columns, words),
            Rows::Sparse(_) => unreachable!("sparse rows have their own way"),
        };
        let (lowest, highest, nan) = bounds_of(&sweep.over(world, &tiles, look)?);
        check_finite::<T>("X", &lowest, &highest, nan)?;
        let magnitudes = lowest.iter().zip(&highest).map(|(low, high)| low.abs().max(high.abs()));
        let magnitudes = Arc::new(FixedPoint::new(&magnitudes.collect::<Vec<f64>>(), rows as u64, 1));
        let sweep = Sweep { name: "means of columns", reduction: Reduction::SumI64, words: columns, plan };
        let own = Arc::clone(&magnitudes);
        let add = move |visit: Visit<T>, words: &mut [i64], _: &mut Scratch<T>| {
            if let Rows::Dense(rows) = visit.rows {
                add_heads(rows, &own, words);
            }
        };
        let heads = sweep.over(world, &tiles, add)?;
        let mean = |column: usize| T::narrow(magnitudes.mean(column, heads[column], 0, rows as i128));
        let origin: Vec<T> = (0..columns).map(mean).collect();
        let bounds: Vec<f64> = (0..columns)
            .map(|column| {
                let mean = origin[column].widen();
                // Rounding of x − mean in `T` must not lift it over the bound.
                (highest[column] - mean).abs().max((lowest[column] - mean).abs()).min(f64::MAX / 2.0) * (1.0 + 1e-6)
            })
            .collect();
        let limbs = FixedPoint::limbs_for::<T>(rows as u64);
        let fixed = Arc::new(FixedPoint::new(&bounds, rows as u64, limbs));
        let (world, origin, mean_variance) = (world.clone(), Arc::new(origin), Arc::default());
        let mut all = Observations { world, form, rows, columns, tiles, origin, fixed, mean_variance };
        if limbs == 1 && bounds.iter().zip(all.spreads()?).any(|(&bound, spread)| bound > OUTLIER * spread) {
            all.fixed = Arc::new(FixedPoint::new(&bounds, rows as u64, 2));
        }
        Ok(all)
    }

    /// The mean distance of each column's values from its origin; their variance comes with it. One pass.
    fn spreads(&self) -> Result<Vec<f64>> {
        let (rows, columns) = (self.rows as f64, self.columns);
        let scales: Vec<Deviation> =
            self.fixed.bounds().iter().map(|&bound| Deviation::new(bound, self.rows as u64)).collect();
        let plan = Fingerprint::default().word(self.rows as u64).word(columns as u64);
        let sweep = Sweep { name: "spreads of columns", reduction: Reduction::SumI64, words: 3 * columns, plan };
        let (origin, own) = (Arc::clone(&self.origin), scales.clone());
        let add = move |visit: Visit<T>, words: &mut [i64], _: &mut Scratch<T>| {
            if let Rows::Dense(rows) = visit.rows {
                add_deviations(rows, &origin, &own, words);
            }
        };
        let words = sweep.over(&self.world, &self.tiles, add)?;
        let sums = scales.iter().zip(words.as_chunks::<3>().0).map(|(scale, &words)| scale.sums(words));
        let sums: Vec<(f64, f64)> = sums.collect();
        let variances: f64 = sums.iter().map(|(_, squares)| squares / rows).sum();
        // Whoever comes later has found the same.
        let _ = self.mean_variance.set(variances / columns as f64);
        Ok(sums.iter().map(|(near, _)| near / rows).collect())
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
        let lowest = weights.min(None, false)?.to_vec::<T>()?[0].widen();
        let highest = weights.max(None, false)?.to_vec::<T>()?[0].widen();
        check_finite::<T>("sample_weight", &[lowest], &[highest], lowest.is_nan())?;
        let bound = lowest.abs().max(highest.abs());
        if bound == 0.0 {
            return Err(Error::Value("Sample weights must contain at least one non-zero number.".to_string()));
        }
        let parts = tiles(weights, self.rows, 1)?;
        let weighted = self.tiles.iter().map(|tile| {
            let weights = Some(self.weights_of(tile, &parts)?);
            Ok(Tile { weights, ..tile.clone() })
        });
        let weighted = weighted.collect::<Result<Vec<Tile>>>();
        let told = self.world.agree(weighted.as_ref().map(drop).map_err(Error::to_string));
        let tiles = weighted?;
        told?;
        let fixed = Arc::new(self.fixed.weighted(bound));
        Ok(Observations { tiles, fixed, ..self.clone() })
    }

    /// The weights of a tile, of those of this rank: where they lie, or a copy where its rows are cut otherwise.
    fn weights_of(&self, tile: &Tile, parts: &[Tile]) -> Result<Weights> {
        let mut own: Vec<T> = Vec::new();
        for part in parts {
            let (start, end) = (tile.rows.start.max(part.rows.start), tile.rows.end.min(part.rows.end));
            let Place::Block { cell, values } = &part.place else { unreachable!("weights are in memory") };
            if part.rows == tile.rows {
                return Ok(Weights { cell: Arc::clone(cell), values: values.clone() });
            }
            if start < end {
                let first = values.start + start - part.rows.start;
                own.extend_from_slice(&cell.borrow().of::<T>()[first..first + end - start]);
            }
        }
        let cell = self.world.memory().block(size_of_val(&own[..]))?;
        cell.write().of_mut::<T>().copy_from_slice(&own);
        Ok(Weights { cell, values: 0..own.len() })
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

    /// The mean of the columns' variances. Cost: at most one pass over the data.
    ///
    /// # Errors
    /// As the runtime's.
    pub fn mean_variance(&self) -> Result<f64> {
        if self.mean_variance.get().is_none() {
            self.spreads()?;
        }
        Ok(*self.mean_variance.get().expect("found with the spreads"))
    }

    /// What every rank made of rows that it lent itself, outside of graphs: reading may have failed on one of them.
    pub(crate) fn settled<V>(&self, made: Result<V, String>) -> Result<V> {
        match self.form {
            Form::Stored { .. } => Ok(self.world.agree(made)?),
            Form::Dense | Form::Sparse => Ok(made.expect("rows in memory are there")),
        }
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
        let mine = self.settled(self.own_rows_at(indices))?;
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

    /// Those of the rows that this rank holds, each behind its place among the indices; of a file they alone are read.
    fn own_rows_at(&self, indices: &[usize]) -> Result<Vec<u8>, String> {
        let mut order: Vec<usize> = (0..indices.len()).collect();
        order.sort_by_key(|&place| indices[place]);
        let mut order = &order[..];
        let mut mine = Vec::new();
        for tile in &self.tiles {
            let before = order.partition_point(|&place| indices[place] < tile.rows.start);
            let (own, rest) =
                order[before..].split_at(order[before..].partition_point(|&place| indices[place] < tile.rows.end));
            order = rest;
            if own.is_empty() {
                continue;
            }
            if let Place::Stored { stream, .. } = &tile.place {
                let rows: Vec<usize> = own.iter().map(|&place| indices[place]).collect();
                let mut places = own.iter();
                stream.rows(&rows, |row| {
                    let place = *places.next().expect("a place for each row");
                    mine.extend_from_slice(&(place as u64).to_ne_bytes());
                    mine.extend_from_slice(row);
                })?;
                continue;
            }
            tile.lend::<T, ()>(|rows| {
                for &place in own {
                    mine.extend_from_slice(&(place as u64).to_ne_bytes());
                    let row = rows.row(indices[place] - tile.rows.start, self.columns);
                    mine.extend_from_slice(bytemuck::cast_slice(&row));
                }
            })?;
        }
        Ok(mine)
    }
}

fn check_shape([rows, columns]: [usize; 2]) -> Result<()> {
    if rows > 0 && columns > 0 {
        return Ok(());
    }
    Err(Error::Value(format!("Found array with {rows} sample(s) and {columns} feature(s).")))
}

/// The messages are scikit-learn's, for users search for them.
pub(crate) fn check_finite<T>(name: &str, lowest: &[f64], highest: &[f64], nan: bool) -> Result<()> {
    if nan {
        return Err(Error::Value(format!("Input {name} contains NaN.")));
    }
    if lowest.iter().chain(highest).any(|value| value.is_infinite()) {
        let dtype = if size_of::<T>() == 4 { "float32" } else { "float64" };
        return Err(Error::Value(format!("Input {name} contains infinity or a value too large for dtype('{dtype}').")));
    }
    Ok(())
}
