//! Seeds from few passes over the data: k-means‖, and Markov chains over proposed rows (AFK-MC²).
//!
//! Both keep each row's squared distance to its closest centre. What a row does follows from its number, the seed and
//! sums of integers, so the seeds are the same at every number of ranks.
//! Sources: Bahmani, Moseley, Vattani, Kumar and Vassilvitskii, "Scalable k-means++" (2012); Bachem, Lucic, Hassani and
//! Krause, "Fast and provably good seedings for k-means" (2016).

use crate::epoch::{Epoch, Keeps, Mode};
use crate::error::Result;
use crate::observations::Observations;
use crate::seed::Seeds;
use crate::sweep::{Sweep, Visit};
use crate::tile::Rows;
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{
    Centres, Layout, Real, Scale, Scratch, assign, distances, lower_closest, sparse_lower_closest,
};
use girih_runtime::comm::Reduction;
use girih_runtime::fingerprint::Fingerprint;
use girih_runtime::memory::BlockCell;
use std::collections::HashSet;
use std::sync::Arc;

/// Candidates for centres, and the weight of the rows to which each is the nearest.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidates<T> {
    /// Values, m×d in C order.
    pub centres: Vec<T>,
    /// Weights, m.
    pub weights: Vec<f64>,
}

impl<T: Real + Element + Default> Observations<T> {
    /// Candidates for centres by k-means‖: in each round a row is taken with `expected` times its share of the squared
    /// distances to those taken before.
    ///
    /// `first` in [0, 1) picks the first row; with `seed` it is the same on all ranks.
    /// Cost: for each round 2·n·m·d flops over all ranks for its m new candidates, about `expected`, and one read of
    /// the data; one more pass for the weights, with all candidates; 8 bytes for each row.
    ///
    /// # Errors
    /// As the runtime's.
    pub fn oversampled(&self, first: f64, seed: u64, expected: f64, rounds: usize) -> Result<Candidates<T>> {
        let first = self.first_row(first)?;
        let (mut known, mut centres) = (HashSet::from([first]), self.rows_at(&[first])?);
        let closest = self.agreed(self.distances_kept(), |_| Vec::new())?;
        let mut fresh = centres.clone();
        for round in 0..rounds {
            let (scale, words) = self.lower_all(&fresh, &closest)?;
            let potential = scale.value(words);
            if potential == 0.0 {
                break;
            }
            let taken = self.taken(&closest, expected / potential, mixed(seed ^ mixed(round as u64 + 1)))?;
            let taken: Vec<usize> = taken.into_iter().filter(|&row| known.insert(row)).collect();
            if taken.is_empty() {
                continue;
            }
            fresh = self.rows_at(&taken)?;
            centres.extend_from_slice(&fresh);
        }
        let plan = Fingerprint::default().bytes(bytemuck::cast_slice(&centres));
        let made = Epoch::new(self, &[(known.len(), Keeps::NOTHING)], plan, false);
        let epoch = self.agreed(made, |epoch| vec![epoch.graph()])?;
        let sums = epoch.run(self, &self.centred(&centres), Mode::WHOLE)?;
        let layout = Layout::new(known.len(), self.fixed());
        let weight = |candidate| {
            let weight = layout.weight(self.fixed(), &sums.words, candidate);
            self.fixed().weights().map_or(weight as f64, |scale| scale.value_of_total(weight))
        };
        Ok(Candidates { weights: (0..known.len()).map(weight).collect(), centres })
    }

    /// Rows for centres by AFK-MC²: each but the first is where a chain of proposed rows ends.
    ///
    /// `proposals`, k−1 chains of `length` pairs of numbers, and `accepts`, k−1 by `length`−1, all in [0, 1) and equal
    /// on all ranks. A pair's first number tells whether the row is drawn by its squared distance to the first centre
    /// or by weight alone, the second draws it.
    /// Cost: two passes over the data; (k−1)·`length` rows on every rank, and 3·k²·`length`·d/2 flops there.
    ///
    /// # Errors
    /// As the runtime's.
    pub fn chained(&self, first: f64, proposals: &[[f64; 2]], accepts: &[f64], length: usize) -> Result<Seeds<T>> {
        let columns = self.columns();
        let first = self.first_row(first)?;
        let mut seeds = Seeds { rows: vec![first], centres: self.rows_at(&[first])? };
        let closest = self.agreed(self.distances_kept(), |_| Vec::new())?;
        let (scale, words) = self.lower_all(&seeds.centres, &closest)?;
        let potential = scale.value(words);
        let rows = self.proposed(proposals, &closest, &scale)?;
        let values = self.rows_at(&rows)?;
        let (mut near, mut scratch) = (vec![f64::INFINITY; rows.len()], Scratch::new());
        lower_closest(&values, &seeds.centres, &mut near, &mut scratch);
        let total = self.total_weight()?;
        let share = if potential > 0.0 { potential.recip() } else { 0.0 };
        let chance: Vec<f64> = near.iter().map(|near| 0.5 * near * share + 0.5 / total).collect();
        for (chain, accepts) in accepts.chunks(length.max(2) - 1).enumerate().take(proposals.len() / length) {
            let start = chain * length;
            let mut at = start;
            for (step, &accept) in (start + 1..start + length).zip(accepts) {
                if near[at] == 0.0 || near[step] * chance[at] > accept * near[at] * chance[step] {
                    at = step;
                }
            }
            let chosen = &values[at * columns..][..columns];
            seeds.rows.push(rows[at]);
            seeds.centres.extend_from_slice(chosen);
            lower_closest(&values[start * columns..], chosen, &mut near[start..], &mut scratch);
        }
        Ok(seeds)
    }

    fn first_row(&self, draw: f64) -> Result<usize> {
        match self.fixed().weights() {
            Some(_) => self.draw_weighted(draw),
            None => Ok(((draw * self.rows() as f64) as usize).min(self.rows() - 1)),
        }
    }

    /// The proposed rows, in their order.
    fn proposed(&self, proposals: &[[f64; 2]], closest: &[Arc<BlockCell>], scale: &Scale) -> Result<Vec<usize>> {
        let shares: Vec<f64> = proposals.iter().map(|&[_, share]| share).collect();
        let far = self.draw_all(&shares, |tile| {
            let closest = closest[tile].borrow();
            let weighted = closest.of::<f64>().iter().zip(self.weights_in(tile));
            weighted.map(|(distance, weight)| scale.total(scale.split(distance * weight))).collect()
        })?;
        let even = match self.fixed().weights() {
            None => shares.iter().map(|share| (share * self.rows() as f64) as usize).collect(),
            Some(scale) => self.draw_all(&shares, |tile| {
                self.weights_in(tile).map(|weight| scale.total(scale.split(weight)).max(0)).collect()
            })?,
        };
        let pick =
            |(at, &[coin, _]): (usize, &[f64; 2])| if coin < 0.5 { far.get(at) } else { None }.unwrap_or(&even[at]);
        Ok(proposals.iter().enumerate().map(pick).copied().collect())
    }

    fn total_weight(&self) -> Result<f64> {
        let Some(scale) = self.fixed().weights().copied() else { return Ok(self.rows() as f64) };
        let mut words = [0_i64; 2];
        for tile in 0..self.tiles().len() {
            self.weights_in(tile).for_each(|weight| scale.add(&mut words, weight));
        }
        self.world().all_reduce(Reduction::SumI64, &mut words)?;
        Ok(scale.value(words))
    }

    /// The weights of a tile's rows.
    fn weights_in(&self, tile: usize) -> impl Iterator<Item = f64> + use<T> {
        let tile = &self.tiles()[tile];
        let weights = tile.weights.as_ref().map(|weights| {
            let cell = weights.cell.borrow();
            tile.weights_of(cell.of::<T>()).iter().map(|weight| weight.widen()).collect::<Vec<f64>>()
        });
        weights.unwrap_or_else(|| vec![1.0; tile.rows.len()]).into_iter()
    }

    /// A squared distance for each of this rank's rows, at first infinity.
    fn distances_kept(&self) -> Result<Vec<Arc<BlockCell>>> {
        let cells = self.tiles().iter().map(|tile| {
            let cell = self.world().memory().block(tile.rows.len() * size_of::<f64>())?;
            cell.write().of_mut::<f64>().fill(f64::INFINITY);
            Ok(cell)
        });
        cells.collect()
    }

    /// Takes new centres into the closest squared distances; what these add up to, in words of a scale.
    fn lower_all(&self, fresh: &[T], closest: &[Arc<BlockCell>]) -> Result<(Scale, [i64; 2])> {
        let columns = self.columns();
        // All centres are rows, so none is farther from a row than the columns are wide.
        let reach: Vec<T> = self.fixed().bounds().iter().map(|&bound| T::narrow(bound * (1.0 + 1e-6))).collect();
        let scale = self.fixed().inertia(&reach);
        let (centred, plain) = (self.centred(fresh), fresh.to_vec());
        let packed = self.agreed(self.packed(&centred), |_| Vec::new())?;
        let (origin, closest, count) = (Arc::clone(self.origin()), closest.to_vec(), fresh.len() / columns);
        let zeros = vec![T::ZERO; columns];
        let plan = Fingerprint::default().bytes(bytemuck::cast_slice(fresh));
        let sweep = Sweep { name: "closest distances", reduction: Reduction::SumI64, words: 2, plan };
        let words = sweep.over(self.world(), self.tiles(), move |visit: Visit<T>, words, scratch| {
            // Only this task looks at these distances.
            let mut closest = closest[visit.index].write();
            let closest = closest.of_mut::<f64>();
            match visit.rows {
                Rows::Dense(rows) => {
                    let packed = packed.borrow();
                    let centres = Centres::packed(count, columns, packed.of::<T>());
                    let (mut labels, mut squares) = (vec![0; closest.len()], vec![0.0; closest.len()]);
                    assign(rows, &origin, &centres, &mut labels, scratch);
                    // From the values themselves, so that a row that was taken is at distance zero.
                    distances(rows, &zeros, &plain, &labels, &mut squares);
                    closest.iter_mut().zip(&squares).for_each(|(closest, &square)| *closest = closest.min(square));
                }
                Rows::Sparse(rows) => plain.chunks_exact(columns).for_each(|centre| {
                    sparse_lower_closest(&rows, centre, closest);
                }),
            }
            let mut sum = [0; 2];
            for (row, &distance) in closest.iter().enumerate() {
                scale.add(&mut sum, distance * visit.weights.map_or(1.0, |weights| weights[row].widen()));
            }
            words.iter_mut().zip(sum).for_each(|(word, sum)| *word = word.wrapping_add(sum));
        })?;
        Ok((scale, [words[0], words[1]]))
    }

    fn packed(&self, centred: &[T]) -> Result<Arc<BlockCell>> {
        let length = Centres::<T>::memory_len(centred.len() / self.columns(), self.columns());
        let cell = self.world().memory().block(length * size_of::<T>())?;
        Centres::pack(centred, self.columns(), cell.write().of_mut::<T>());
        Ok(cell)
    }

    /// Rows of all ranks, each taken with `rate` times its weighted squared distance.
    fn taken(&self, closest: &[Arc<BlockCell>], rate: f64, seed: u64) -> Result<Vec<usize>> {
        let mut mine: Vec<u64> = Vec::new();
        for (index, (tile, cell)) in self.tiles().iter().zip(closest).enumerate() {
            let cell = cell.borrow();
            let rows = tile.rows.clone().zip(cell.of::<f64>()).zip(self.weights_in(index));
            let hit = rows.filter(|((row, distance), weight)| uniform(seed, *row) < rate * **distance * weight);
            mine.extend(hit.map(|((row, _), _)| row as u64));
        }
        let told = self.world().all_gather_bytes(bytemuck::cast_slice(&mine).to_vec())?;
        let rows = told.iter().flat_map(|part| part.as_chunks().0).map(|&row| u64::from_ne_bytes(row) as usize);
        Ok(rows.collect())
    }
}

/// A number in [0, 1) that follows from the seed and a row's number.
fn uniform(seed: u64, row: usize) -> f64 {
    (mixed(seed ^ mixed(row as u64)) >> 11) as f64 * (-53_f64).exp2()
}

/// A bijection whose results look random. Source: the finaliser of SplitMix64, Steele, Lea and Flood (2014).
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_rows_are_spread_evenly() {
        let mut counts = [0; 10];
        (0..100_000).for_each(|row| counts[(10.0 * uniform(7, row)) as usize] += 1);
        assert!(counts.iter().all(|count| (9_700..10_300).contains(count)), "{counts:?}");
    }
}
