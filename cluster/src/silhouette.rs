//! How well each row lies in its cluster, beside the nearest other one: silhouettes.
//!
//! The rows of one cluster after another are brought to all ranks, a panel at a time, and each rank adds their
//! distances to its own rows. Sums are integers, so results do not depend on ranks, panels or tiles.
//! Traffic: every row once to every rank, in panels; for each cluster one message a rank at least.
//! Source: Rousseeuw (1987), with the mean over the other rows of a row's own cluster as in scikit-learn.

use crate::error::{Error, Result};
use crate::observations::Observations;
use crate::sweep::{Sweep, Visit};
use crate::tile::Rows;
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{Real, Scale, Scratch, add_distances};
use girih_runtime::comm::Reduction;
use girih_runtime::fingerprint::Fingerprint;
use girih_runtime::ids::Rank;
use girih_runtime::memory::BlockCell;
use std::sync::Arc;

/// Bytes of a panel, about: enough that a pass over a rank's rows is worth its launch.
const PANEL_BYTES: usize = 4 << 20;

/// What each rank keeps of its rows while clusters come by: for each tile the two words of the running sums, the mean
/// distance to the own cluster, and the least to another one.
struct Progress {
    heads: Arc<BlockCell>,
    tails: Arc<BlockCell>,
    own: Vec<f64>,
    other: Vec<f64>,
}

impl<T: Real + Element + Default> Observations<T> {
    /// The silhouette of each of this rank's rows, by distances between rows or by their squares.
    ///
    /// `labels` are those of all rows, the same on all ranks, from 0 to `clusters` − 1; a row alone in its cluster has
    /// silhouette 0.
    /// Cost: 3·n²·d flops over all ranks; 32 bytes for each row, and panels of 4 MiB.
    ///
    /// # Errors
    /// Replicated: `Error::Value` if there is not one label for each row, or the rows are sparse. As the runtime's
    /// otherwise.
    pub fn silhouettes(&self, labels: &[i32], clusters: usize, squared: bool) -> Result<Vec<f64>> {
        if labels.len() != self.rows() || self.is_sparse() {
            let (rows, given) = (self.rows(), labels.len());
            return Err(Error::Value(format!("silhouettes are of dense rows with a label each: {rows} and {given}")));
        }
        let mut counts = vec![0_usize; clusters];
        for &label in labels {
            let count = counts.get_mut(label as usize);
            *count.ok_or_else(|| Error::Value(format!("label {label} is not among {clusters} clusters")))? += 1;
        }
        let widths = self.fixed().bounds().iter().map(|bound| 2.0 * bound);
        let square = widths.map(|width| width * width).sum::<f64>().min(f64::MAX) * (1.0 + 1e-6);
        let scale = Scale::new(if squared { square } else { square.sqrt() }, self.rows() as u64);
        let mut progress = self.agreed(self.progress(), |_| Vec::new())?;
        for (cluster, &count) in counts.iter().enumerate().filter(|&(_, &count)| count > 0) {
            self.measure_cluster(cluster, labels, (&scale, squared), &progress)?;
            for (tile, of_tile) in self.tiles().iter().zip(&mut progress) {
                let (mut heads, mut tails) = (of_tile.heads.write(), of_tile.tails.write());
                let words = heads.of_mut::<i64>().iter_mut().zip(tails.of_mut::<i64>());
                let rows = of_tile.own.iter_mut().zip(&mut of_tile.other).zip(&labels[tile.rows.clone()]);
                for ((head, tail), ((own, other), &label)) in words.zip(rows) {
                    let sum = scale.value([std::mem::take(head), std::mem::take(tail)]);
                    if label as usize == cluster {
                        *own = if count > 1 { sum / (count - 1) as f64 } else { f64::NAN };
                    } else {
                        *other = other.min(sum / count as f64);
                    }
                }
            }
        }
        let of_row = |(&own, &other): (&f64, &f64)| {
            let most = own.max(other);
            if own.is_nan() || most == 0.0 { 0.0 } else { (other - own) / most }
        };
        Ok(progress.iter().flat_map(|of_tile| of_tile.own.iter().zip(&of_tile.other).map(of_row)).collect())
    }

    fn progress(&self) -> Result<Vec<Progress>> {
        let tiles = self.tiles().iter().map(|tile| {
            let rows = tile.rows.len();
            let words = || {
                let cell = self.world().memory().block(rows * size_of::<i64>())?;
                cell.write().fill(0);
                Ok::<_, Error>(cell)
            };
            Ok(Progress { heads: words()?, tails: words()?, own: vec![0.0; rows], other: vec![f64::INFINITY; rows] })
        });
        tiles.collect()
    }

    /// Adds the distances to the rows of a cluster, of one rank after another.
    fn measure_cluster(
        &self,
        cluster: usize,
        labels: &[i32],
        (scale, squared): (&Scale, bool),
        progress: &[Progress],
    ) -> Result<()> {
        let (world, columns) = (self.world(), self.columns());
        let distribution = girih_arrays::RowDistribution::new(self.rows(), world.size(), world.config().tile_bytes);
        let panel_rows = (PANEL_BYTES / (columns * size_of::<T>())).max(1);
        for rank in (0..world.size()).map(Rank::from) {
            let rows = distribution.rows_of(rank);
            let members: Vec<usize> = rows.filter(|&row| labels[row] as usize == cluster).collect();
            for members in members.chunks(panel_rows) {
                let mut bytes = Vec::new();
                if rank == world.rank() {
                    bytes.reserve(members.len() * columns * size_of::<T>());
                    self.each_own_row(members, |row| bytes.extend_from_slice(bytemuck::cast_slice(row)));
                }
                let bytes = world.broadcast_bytes(rank, bytes)?;
                let mut panel = vec![T::ZERO; members.len() * columns];
                bytemuck::cast_slice_mut(&mut panel).copy_from_slice(&bytes);
                self.measure_panel(panel, (*scale, squared), progress)?;
            }
        }
        Ok(())
    }

    /// Calls `body` with these of this rank's rows, which ascend.
    fn each_own_row(&self, mut rows: &[usize], mut body: impl FnMut(&[T])) {
        let columns = self.columns();
        for tile in self.tiles() {
            let (own, rest) = rows.split_at(rows.partition_point(|&row| row < tile.rows.end));
            rows = rest;
            let lent = tile.lend::<T, ()>(|all| {
                let Rows::Dense(all) = all else { unreachable!("sparse rows were refused") };
                own.iter().for_each(|&row| body(&all[(row - tile.rows.start) * columns..][..columns]));
            });
            lent.expect("rows in memory are there");
        }
    }

    fn measure_panel(&self, panel: Vec<T>, (scale, squared): (Scale, bool), progress: &[Progress]) -> Result<()> {
        let columns = self.columns();
        let sums: Vec<_> = progress.iter().map(|of| (Arc::clone(&of.heads), Arc::clone(&of.tails))).collect();
        let plan = Fingerprint::default().word(panel.len() as u64);
        let sweep = Sweep { name: "silhouettes", reduction: Reduction::SumI64, words: 1, plan };
        let add = move |visit: Visit<T>, _: &mut [i64], scratch: &mut Scratch<T>| {
            let Rows::Dense(rows) = visit.rows else { unreachable!("sparse rows were refused") };
            let (heads, tails) = &sums[visit.index];
            // Only this task looks at these words.
            let (mut heads, mut tails) = (heads.write(), tails.write());
            add_distances((rows, columns), &panel, (&scale, squared), (heads.of_mut(), tails.of_mut()), scratch);
        };
        sweep.over(self.world(), self.tiles(), add).map(drop)
    }
}
