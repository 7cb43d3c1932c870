//! The kernel of greedy k-means++ that measures only those pairs of row and candidate that may matter.
//!
//! A candidate that is no nearer to a row than its closest centre leaves the row's distance as it is. A sketch of the
//! rows tells most such pairs. The others are measured; what comes nearer is a hit, and kept, so that the candidate
//! that is chosen need not be measured again.
//! Invariant: potentials and distances are those of `lower_and_measure`, bit for bit.
//! Never here: how distances are measured, which centres there are.

use super::Real;
use super::fixed::Scale;
use super::near::spared_margin;
use super::scratch::{LINE, Scratch};
use super::seed::{all_squares, lower_closest};
use super::simd::{Isa, Simd, Widening, Work};
use super::sketch::Sketch;
use std::ops::Range;

/// Rows that are measured at once, about.
const BLOCK: u64 = 32;
/// Rows that come from memory at once.
const AHEAD: usize = 6;

/// For each candidate the rows that it is nearer to than all centres, with their distances to it.
#[derive(Debug)]
pub struct Hits<'a> {
    /// The candidates whose hits are known, then for each where its hits end.
    header: &'a mut [u64],
    distances: &'a mut [f64],
    rows: &'a mut [u32],
}

impl<'a> Hits<'a> {
    /// Words of memory for as many hits as rows; more are not kept.
    pub fn memory_len(rows: usize, candidates: usize) -> usize {
        let capacity = rows.next_multiple_of(2);
        1 + candidates + capacity + capacity / 2
    }

    /// The hits that lie in `memory` of `memory_len` words, of which the first is zero before anything is known.
    pub fn within(memory: &'a mut [u64], rows: usize, candidates: usize) -> Hits<'a> {
        assert_eq!(memory.len(), Self::memory_len(rows, candidates), "memory for hits of {rows} rows");
        let (header, rest) = memory.split_at_mut(1 + candidates);
        let (distances, rows) = rest.split_at_mut(rows.next_multiple_of(2));
        Hits { header, distances: bytemuck::cast_slice_mut(distances), rows: bytemuck::cast_slice_mut(rows) }
    }

    /// Nothing is known any more.
    pub fn forget(&mut self) {
        self.header[0] = 0;
    }

    /// Lists the rows of every pair of a mask by candidate, and where each list ends; false if they are too many.
    fn list(&mut self, survivors: &[u32], masks: &[u8], candidates: usize) -> bool {
        self.forget();
        let ends = &mut self.header[1..=candidates];
        ends.fill(0);
        let panels = || masks.chunks(survivors.len().max(1)).zip((0..).step_by(8));
        for (masks, first) in panels() {
            for &mask in masks.iter().filter(|&&mask| mask > 0) {
                bits(mask).for_each(|bit| ends[first + bit] += 1);
            }
        }
        if ends.iter().sum::<u64>() > self.rows.len() as u64 {
            return false;
        }
        // Where each list starts, then where it ends.
        ends.iter_mut().fold(0, |start, count| start + std::mem::replace(count, start));
        for (masks, first) in panels() {
            for (&row, &mask) in survivors.iter().zip(masks).filter(|&(_, &mask)| mask > 0) {
                for bit in bits(mask) {
                    let end = &mut ends[first + bit];
                    self.rows[*end as usize] = row;
                    *end += 1;
                }
            }
        }
        true
    }

    /// Where the lists are so short that blocks of rows would hold few of them, measures all rows of pairs from all
    /// candidates; leaves these rows in `survivors`, and in the scratch their distances by candidate.
    fn measure_together<T: Real>(
        &self,
        (rows, candidates, closest): (&[T], &[T], &[f64]),
        survivors: &mut Vec<u32>,
        masks: &[u8],
        scratch: &mut Scratch<T>,
    ) -> bool {
        let columns = rows.len() / closest.len().max(1);
        let count = candidates.len() / columns.max(1);
        let ends = &self.header[1..=count];
        let blocks = ends.iter().zip([0].iter().chain(ends)).map(|(end, start)| (end - start).div_ceil(BLOCK));
        let apart = BLOCK * blocks.sum::<u64>();
        let length = survivors.len().max(1);
        let of_any = |at: usize| masks.chunks(length).any(|masks| masks[at] > 0);
        let together = (0..survivors.len()).filter(|&at| of_any(at)).count();
        // A row beside all candidates takes about twice as long as beside one.
        if 2 * together as u64 >= apart {
            return false;
        }
        let mut at = 0..survivors.len();
        survivors.retain(|_| at.next().is_some_and(of_any));
        let mut gathered = std::mem::take(&mut scratch.gathered);
        let mut table = std::mem::take(&mut scratch.table);
        gathered.clear();
        T::dispatch(Isa::best(), Gather { rows, columns, list: survivors, gathered: &mut gathered });
        table.clear();
        table.resize(count * survivors.len(), 0.0);
        all_squares((&gathered, columns), candidates, &mut table, scratch);
        (scratch.gathered, scratch.table) = (gathered, table);
        true
    }

    /// Keeps from `end` on, which does not pass `pairs`, those pairs whose distances are below the closest; what they
    /// change of the sum.
    fn keep<T: Real>(
        &mut self,
        pairs: Range<usize>,
        end: &mut usize,
        distances: &[f64],
        (closest, weights): (&[f64], Option<&[T]>),
        scale: &Scale,
    ) -> [i64; 2] {
        let mut sum = [0_i64; 2];
        for (at, &distance) in pairs.zip(distances) {
            let row = self.rows[at];
            let before = closest[row as usize];
            if distance < before {
                let weight = weights.map_or(1.0, |weights| weights[row as usize].widen());
                let (now, before) = (scale.split(distance * weight), scale.split(before * weight));
                sum = add(sum, [now[0].wrapping_sub(before[0]), now[1].wrapping_sub(before[1])]);
                (self.rows[*end], self.distances[*end]) = (row, distance);
                *end += 1;
            }
        }
        sum
    }

    /// Rows and distances of a candidate's hits, if they are known.
    pub fn of(&self, candidate: usize) -> Option<(&[u32], &[f64])> {
        if candidate as u64 >= self.header[0] {
            return None;
        }
        let start = if candidate == 0 { 0 } else { self.header[candidate] as usize };
        let own = start..self.header[candidate + 1] as usize;
        Some((&self.rows[own.clone()], &self.distances[own]))
    }
}

/// Adds the potential that each candidate would leave to `potentials`, as `lower_and_measure` does, and keeps the
/// hits; returns the largest closest distance. None, if hits may be too many to be kept: then nothing was added.
///
/// Shapes: `rows` m×d and `candidates` l×d in C order, `origin` d, that of the sketch; `closest`, `nearest`, m. `apart`
/// is for each centre the squared distance to the nearest candidate.
/// Cost: a few operations for each row; for each that may be near to a candidate a look at its sketch; 3·d flops and
/// one read for each pair that may be a hit; no allocation beyond `scratch`.
pub fn measure_hits<T: Real>(
    (rows, origin, sketch): (&[T], &[T], &Sketch),
    candidates: &[T],
    (closest, weights): (&[f64], Option<&[T]>),
    (nearest, apart): (&[u32], &[f64]),
    (scale, potentials): (&Scale, &mut [i64]),
    hits: &mut Hits,
    scratch: &mut Scratch<T>,
) -> Option<f64> {
    let columns = origin.len();
    let mut masks = std::mem::take(&mut scratch.masks);
    let mut found = Found { survivors: std::mem::take(&mut scratch.survivors), sum: [0; 2], largest: 0.0 };
    T::dispatch(Isa::best(), LookOver { closest, weights, nearest, apart, columns, scale, found: &mut found });
    let Found { mut survivors, sum, largest } = found;
    sketch.near((candidates, origin), closest, &survivors, &mut masks, &mut scratch.sketch);
    let few = hits.list(&survivors, &masks, candidates.len() / columns);
    if few {
        let all = (rows, candidates, closest);
        let (mut start, mut end) = (0, 0);
        let table = hits.measure_together(all, &mut survivors, &masks, scratch);
        for (number, candidate) in candidates.chunks_exact(columns).enumerate() {
            let pairs = start..hits.header[1 + number] as usize;
            start = pairs.end;
            let mut lowered = std::mem::take(&mut scratch.lowered);
            if table {
                // Both lists ascend, and all rows of pairs are survivors.
                let distances = &scratch.table[number * survivors.len()..][..survivors.len()];
                let mut place = 0;
                lowered.clear();
                lowered.extend(hits.rows[pairs.clone()].iter().map(|&row| {
                    place += survivors[place..].iter().take_while(|&&survivor| survivor < row).count();
                    distances[place]
                }));
            } else {
                measure_pairs((rows, candidate, closest), &hits.rows[pairs.clone()], &mut lowered, scratch);
            }
            let gain = hits.keep(pairs, &mut end, &lowered, (closest, weights), scale);
            scratch.lowered = lowered;
            let words = &mut potentials.as_chunks_mut().0[number];
            *words = add(*words, add(sum, gain));
            hits.header[1 + number] = end as u64;
        }
        hits.header[0] = (candidates.len() / columns) as u64;
    }
    (scratch.survivors, scratch.masks) = (survivors, masks);
    few.then_some(largest)
}

/// The sum of what all rows leave, their largest distance, and those that a candidate may come near to.
struct Found {
    sum: [i64; 2],
    largest: f64,
    survivors: Vec<u32>,
}

struct LookOver<'a, T> {
    closest: &'a [f64],
    weights: Option<&'a [T]>,
    nearest: &'a [u32],
    apart: &'a [f64],
    columns: usize,
    scale: &'a Scale,
    found: &'a mut Found,
}

impl<T: Real> Work<T> for LookOver<'_, T> {
    #[inline(always)]
    fn run<S: Widening<T>>(self, _: S) {
        let LookOver { closest, weights, nearest, apart, columns, scale, found } = self;
        // Eight running maxima, as many as a vector has lanes.
        let mut highest = [0.0; 8];
        for eight in closest.chunks(8) {
            for (highest, &distance) in highest.iter_mut().zip(eight) {
                *highest = if distance > *highest { distance } else { *highest };
            }
        }
        found.largest = highest.into_iter().fold(0.0, f64::max);
        let mut words = [0; 2];
        match weights {
            None => closest.iter().for_each(|&distance| scale.add(&mut words, distance)),
            Some(weights) => {
                closest.iter().zip(weights).for_each(|(&own, weight)| scale.add(&mut words, own * weight.widen()));
            }
        }
        found.sum = words;
        let margin = spared_margin(columns);
        let survivors = &mut found.survivors;
        survivors.clear();
        survivors.resize(closest.len(), 0);
        let mut count = 0;
        for (row, (&distance, &nearest)) in (0..).zip(closest.iter().zip(nearest)) {
            let apart = apart.get(nearest as usize).copied().unwrap_or(f64::INFINITY);
            survivors[count] = row;
            count += usize::from(!(apart >= margin * distance && apart < f64::INFINITY));
        }
        survivors.truncate(count);
    }
}

/// The numbers of the bits that are set.
fn bits(mut mask: u8) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (mask > 0).then(|| mask.trailing_zeros() as usize);
        mask &= mask.wrapping_sub(1);
        bit
    })
}

/// The distances of a candidate to some rows, or the closest if they are lower.
fn measure_pairs<T: Real>(
    (rows, candidate, closest): (&[T], &[T], &[f64]),
    list: &[u32],
    lowered: &mut Vec<f64>,
    scratch: &mut Scratch<T>,
) {
    let mut gathered = std::mem::take(&mut scratch.gathered);
    gathered.clear();
    T::dispatch(Isa::best(), Gather { rows, columns: candidate.len(), list, gathered: &mut gathered });
    lowered.clear();
    lowered.extend(list.iter().map(|&row| closest[row as usize]));
    lower_closest(&gathered, candidate, lowered, scratch);
    scratch.gathered = gathered;
}

/// Copies rows side by side; those that come next are asked for meanwhile.
struct Gather<'a, T> {
    rows: &'a [T],
    columns: usize,
    list: &'a [u32],
    gathered: &'a mut Vec<T>,
}

impl<T: Real> Work<T> for Gather<'_, T> {
    #[inline(always)]
    fn run<S: Widening<T>>(self, simd: S) {
        let row = |row: u32| &self.rows[row as usize * self.columns..][..self.columns];
        for (at, &own) in self.list.iter().enumerate() {
            if let Some(&next) = self.list.get(at + AHEAD) {
                row(next).chunks(LINE / size_of::<T>()).for_each(|line| Simd::<T>::prefetch(simd, line));
            }
            self.gathered.extend_from_slice(row(own));
        }
    }
}

fn add(a: [i64; 2], b: [i64; 2]) -> [i64; 2] {
    [a[0].wrapping_add(b[0]), a[1].wrapping_add(b[1])]
}

#[cfg(test)]
mod tests {
    use super::super::near::tests::grouped;
    use super::super::seed::lower_and_measure;
    use super::*;

    /// Step by step all results are those of a look at all rows, and the hits of the chosen candidate lower distances
    /// to what a look at all rows finds.
    #[track_caller]
    fn check<T: Real + Default>((m, d): (usize, usize), weighted: bool) {
        let candidates = 3;
        let (rows, weights) = grouped::<T>((m, d), 40);
        let weights = weighted.then_some(&weights[..]);
        let scale = Scale::new(2.0 * d as f64 * 1700.0, m as u64);
        let origin = vec![T::narrow(20.0); d];
        let mut scratch = Scratch::new();
        let mut memory = vec![0; Sketch::memory_len(m, d)];
        Sketch::draw_up((&rows, &origin), &mut memory);
        let sketch = Sketch::drawn_up(m, d, &memory);
        let mut kept = vec![0; Hits::memory_len(m, candidates)];
        let (mut closest, mut nearest) = (vec![f64::INFINITY; m], vec![0; m]);
        let (mut centres, mut known) = (rows[..d].to_vec(), 0);
        lower_closest(&rows, &centres, &mut closest, &mut scratch);
        for step in 0..24 {
            let picked: Vec<usize> = (0..candidates).map(|at| (step * 7919 + at * 104_729 + 1) % m).collect();
            let picked: Vec<T> = picked.iter().flat_map(|row| rows[row * d..][..d].to_vec()).collect();
            let mut apart = vec![f64::INFINITY; centres.len() / d];
            picked.chunks_exact(d).for_each(|each| {
                lower_closest(&centres, each, &mut apart, &mut scratch);
            });
            let mut words = [[0; 6]; 2];
            let mut hits = Hits::within(&mut kept, m, candidates);
            let found = measure_hits(
                (&rows, &origin, &sketch),
                &picked,
                (&closest, weights),
                (&nearest, &apart),
                (&scale, &mut words[0]),
                &mut hits,
                &mut scratch,
            );
            let mut same = closest.clone();
            let all = (&mut same[..], weights);
            let largest = lower_and_measure((&rows, &centres[..d]), &picked, all, &scale, &mut words[1], &mut scratch);
            assert_eq!(same, closest);
            let chosen = step % candidates;
            let newest = &picked[chosen * d..][..d];
            if let Some(found) = found {
                known += 1;
                assert_eq!((found, words[0]), (largest, words[1]), "step {step}");
                let (hit, distances) = hits.of(chosen).expect("hits of all candidates are known");
                for (&row, &distance) in hit.iter().zip(distances) {
                    (closest[row as usize], nearest[row as usize]) = (distance, step as u32 + 1);
                }
            } else {
                assert_eq!((words[0], hits.of(chosen)), ([0; 6], None));
                lower_closest(&rows, newest, &mut closest, &mut scratch);
                let lowered = closest.iter().zip(&same).zip(&mut nearest);
                lowered.filter(|((now, before), _)| now < before).for_each(|(_, of)| *of = step as u32 + 1);
            }
            lower_closest(&rows, newest, &mut same, &mut scratch);
            assert_eq!(closest, same, "step {step}");
            centres.extend_from_slice(newest);
        }
        assert!(known > 12, "hits were known in {known} steps");
    }

    #[test]
    fn pairs_that_are_not_measured_leave_no_trace() {
        for weighted in [false, true] {
            check::<f32>((500, 32), weighted);
            check::<f64>((431, 40), weighted);
            check::<f32>((320, 130), weighted);
        }
    }
}
