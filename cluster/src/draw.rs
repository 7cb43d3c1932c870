//! Rows picked by a uniform number: the one at which a running sum over all ranks reaches it.
//!
//! Invariant: sums are integers, so the row does not depend on how rows are divided.
//! Never here: random numbers, distances.

use crate::error::{Error, Result};
use crate::observations::Observations;
use girih_arrays::Element;
use girih_arrays::kernel::nearest::Real;
use girih_runtime::ids::Rank;
use girih_runtime::world::World;

impl<T: Real + Element + Default> Observations<T> {
    /// The first row at which the running weight exceeds the share `draw` of all weights.
    ///
    /// Cost: an addition for each of this rank's rows; two control messages.
    pub(crate) fn draw_weighted(&self, draw: f64) -> Result<usize> {
        let scale = self.fixed().weights().expect("only weighted rows are drawn by weight");
        let weight = |weight: &T| scale.total(scale.split(weight.widen()));
        let mut of_tiles = Vec::with_capacity(self.tiles().len());
        let mut lowest = i128::MAX;
        for tile in self.tiles() {
            let cell = tile.weights.as_ref().expect("all tiles have weights").cell.read();
            let weights = tile.weights_of(cell.of::<T>());
            lowest = weights.iter().map(weight).fold(lowest, i128::min);
            of_tiles.push(weights.iter().map(weight).sum::<i128>());
        }
        let told = [of_tiles.iter().sum::<i128>(), lowest.min(0)].map(i128::to_ne_bytes).concat();
        let told = self.world().all_gather_bytes(told)?;
        let words = told.iter().flat_map(|part| part.as_chunks().0).map(|&word| i128::from_ne_bytes(word));
        let words: Vec<i128> = words.collect();
        if words.iter().skip(1).step_by(2).any(|&lowest| lowest < 0) {
            return Err(Error::Value("probabilities are not non-negative".to_string()));
        }
        let of_ranks: Vec<i128> = words.iter().step_by(2).copied().collect();
        let total: i128 = of_ranks.iter().sum();
        let wanted = ((draw * total as f64) as i128 + 1).min(total);
        let (holder, wanted) = reach(&of_ranks, &holders(self.rows(), self.world()), wanted);
        let mut found = Vec::new();
        if holder == self.world().rank().index() {
            let (tile, wanted) = reach(&of_tiles, &vec![true; of_tiles.len()], wanted);
            let tile = &self.tiles()[tile];
            let cell = tile.weights.as_ref().expect("all tiles have weights").cell.read();
            let mut running = 0;
            let reached = tile.weights_of(cell.of::<T>()).iter().position(|each| {
                running += weight(each);
                running >= wanted
            });
            let row = tile.rows.start + reached.expect("the tile's weights reach their own sum");
            found = (row as u64).to_ne_bytes().to_vec();
        }
        let found = self.world().all_gather_bytes(found)?.concat();
        Ok(u64::from_ne_bytes(found.try_into().expect("one rank holds the row")) as usize)
    }
}

impl<T: Real + Element + Default> Observations<T> {
    /// For each share in [0, 1) the first row at which the running measure of the rows exceeds it; on all ranks.
    ///
    /// `measure` gives the measures of a tile's rows, none negative. Empty if all are zero.
    /// Cost: an addition for each of this rank's rows; two control messages.
    pub(crate) fn draw_all(&self, shares: &[f64], measure: impl Fn(usize) -> Vec<i128>) -> Result<Vec<usize>> {
        let tiles = self.tiles().len();
        let mine: i128 = (0..tiles).map(|tile| measure(tile).iter().sum::<i128>()).sum();
        let told = self.world().all_gather_bytes(mine.to_ne_bytes().to_vec())?;
        let of_ranks: Vec<i128> =
            told.iter().flat_map(|part| part.as_chunks().0).map(|&word| i128::from_ne_bytes(word)).collect();
        let total: i128 = of_ranks.iter().sum();
        if total == 0 {
            return Ok(Vec::new());
        }
        let wanted = |share: f64| ((share * total as f64) as i128 + 1).min(total);
        let mut order: Vec<(i128, usize)> =
            shares.iter().enumerate().map(|(draw, &share)| (wanted(share), draw)).collect();
        order.sort_unstable();
        let mut running: i128 = of_ranks[..self.world().rank().index()].iter().sum();
        let mut open = &order[order.partition_point(|&(wanted, _)| wanted <= running)..];
        let mut found = Vec::new();
        for (index, tile) in self.tiles().iter().enumerate() {
            for (row, each) in tile.rows.clone().zip(measure(index)) {
                running += each;
                while let Some((&(_, draw), rest)) = open.split_first().filter(|((wanted, _), _)| *wanted <= running) {
                    found.extend_from_slice(bytemuck::cast_slice(&[draw as u64, row as u64]));
                    open = rest;
                }
            }
        }
        let mut rows = vec![0; shares.len()];
        for part in self.world().all_gather_bytes(found)? {
            for &[draw, row] in part.as_chunks::<8>().0.as_chunks::<2>().0 {
                rows[u64::from_ne_bytes(draw) as usize] = u64::from_ne_bytes(row) as usize;
            }
        }
        Ok(rows)
    }
}

/// The row that `numpy.random.RandomState.choice(rows, p=[chance] * rows)` picks with the uniform number `draw`.
///
/// Cost: two additions a row, in NumPy's order.
pub(crate) fn draw_first(rows: usize, chance: f64, draw: f64) -> usize {
    let total = (0..rows).fold(0.0, |sum, _| sum + chance);
    let mut running = 0.0;
    let found = (0..rows).find(|_| {
        running += chance;
        running / total > draw
    });
    found.unwrap_or(rows - 1)
}

/// The first part that has rows and at which the running potential reaches `wanted`, with what is left to reach there.
pub(crate) fn reach(potentials: &[i128], has_rows: &[bool], wanted: i128) -> (usize, i128) {
    let mut before = 0;
    for (part, &potential) in potentials.iter().enumerate() {
        if has_rows[part] && before + potential >= wanted {
            return (part, wanted - before);
        }
        before += potential;
    }
    unreachable!("the target is at most the sum of all potentials")
}

/// For each rank, whether it has rows.
pub(crate) fn holders(rows: usize, world: &World) -> Vec<bool> {
    let distribution = girih_arrays::RowDistribution::new(rows, world.size(), world.config().tile_bytes);
    (0..world.size()).map(|rank| !distribution.rows_of(Rank::from(rank)).is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_row_is_the_one_whose_share_holds_the_draw() {
        assert_eq!(draw_first(4, 0.25, 0.0), 0);
        assert_eq!(draw_first(4, 0.25, 0.25), 1);
        assert_eq!(draw_first(4, 0.25, 0.999), 3);
        assert_eq!(draw_first(1, 1.0, 0.5), 0);
    }

    #[test]
    fn parts_without_rows_are_never_reached() {
        assert_eq!(reach(&[0, 5, 0, 7], &[false, true, false, true], 0), (1, 0));
        assert_eq!(reach(&[0, 5, 0, 7], &[false, true, false, true], 5), (1, 5));
        assert_eq!(reach(&[0, 5, 0, 7], &[false, true, false, true], 6), (3, 1));
    }
}
