//! The kernel of greedy k-means++ that leaves out rows which neither the newest centre nor a candidate can come near.
//!
//! A row at distance √D from its nearest centre s is no nearer to c than √D if c is at least 2√D from s, by the
//! triangle inequality; then the minimum with D is D, whatever the rounding, for the factor 2 is taken with a margin.
//! Of the other rows most are spared by their distances in `f32` (see `sieve`).
//! Invariant: results are those of `lower_and_measure`, bit for bit.
//! Source: Raff (2021).
//! Never here: how distances are measured, which centres there are.

use super::Real;
use super::fixed::Scale;
use super::scratch::Scratch;
use super::seed::lower_and_measure;
use super::sieve::sift;

/// The number of no centre, for rows that have none yet.
pub const NO_CENTRE: u32 = u32::MAX;

/// What is known of rows from the centres so far.
#[derive(Debug)]
pub struct Near<'a> {
    /// For each row the number of its nearest centre: of that which gave it its closest distance first.
    pub nearest: &'a mut [u32],
    /// The number of the newest centre.
    pub newest: u32,
    /// For each centre before the newest the squared distance to the nearest of the newest and the candidates.
    pub apart: &'a [f64],
}

/// How many times its squared distance to its nearest centre that centre must be away from another, for a row to be
/// no nearer to this.
pub(super) fn spared_margin(columns: usize) -> f64 {
    // Four roundings of sums of so many squares, and more than enough.
    4.0 * (1.0 + 8.0 * (columns as f64 + 8.0) * f64::EPSILON)
}

impl Near<'_> {
    /// Rows that the newest centre or a candidate may come near to.
    fn survivors(&self, closest: &[f64], columns: usize, survivors: &mut Vec<u32>) {
        let margin = spared_margin(columns);
        let spared = |(&nearest, &closest): (&u32, &f64)| {
            self.apart.get(nearest as usize).is_some_and(|&apart| apart.is_finite() && apart >= margin * closest)
        };
        survivors.clear();
        let pairs = self.nearest.iter().zip(closest).zip(0..);
        survivors.extend(pairs.filter(|&(pair, _)| !spared(pair)).map(|(_, row)| row));
    }
}

/// As `lower_and_measure`, with a look at those rows only that something can come near to; keeps `near.nearest`.
///
/// `origin`, d, is a point amid the rows, such as their mean.
/// Cost: a few operations for each row; for each that may be spared by its distances in `f32`, 2·(l + 1)·d flops and
/// one read; 3·(l + 1)·d flops and one read for each that is looked at; no allocation beyond `scratch`.
pub fn lower_and_measure_near<T: Real>(
    (rows, origin, newest): (&[T], &[T], &[T]),
    candidates: &[T],
    (closest, weights): (&mut [f64], Option<&[T]>),
    near: Near,
    scale: &Scale,
    potentials: &mut [i64],
    scratch: &mut Scratch<T>,
) -> f64 {
    let columns = newest.len();
    assert_eq!(near.nearest.len(), closest.len(), "a nearest centre for each row");
    let mut survivors = std::mem::take(&mut scratch.survivors);
    let mut before = std::mem::take(&mut scratch.before);
    near.survivors(closest, columns, &mut survivors);
    // Of several centres that are drawn alike each is nearest to a row as often: before there are as many as come now,
    // most rows are near to one of these.
    if near.apart.len() > candidates.len() / columns {
        let centres = [newest, candidates].concat();
        sift((rows, origin), &centres, closest, &mut survivors, &mut scratch.sieve);
    }
    // To gather costs about a quarter of a look.
    if survivors.len() * 4 > closest.len() * 3 {
        survivors.clear();
        survivors.extend(0..closest.len() as u32);
    }
    before.clear();
    let largest = if survivors.len() == closest.len() {
        before.extend_from_slice(closest);
        let all = (&mut *closest, weights);
        lower_and_measure((rows, newest), candidates, all, scale, potentials, scratch)
    } else {
        let mut gathered = std::mem::take(&mut scratch.gathered);
        let mut own = std::mem::take(&mut scratch.weights);
        let mut lowered = std::mem::take(&mut scratch.lowered);
        gathered.clear();
        own.clear();
        lowered.clear();
        for &row in &survivors {
            let row = row as usize;
            gathered.extend_from_slice(&rows[row * columns..][..columns]);
            lowered.push(closest[row]);
            own.extend(weights.map(|weights| weights[row]));
        }
        let mut largest = add_spared((closest, weights), &survivors, scale, potentials);
        let some = (&mut lowered[..], weights.is_some().then_some(&own[..]));
        largest = largest.max(lower_and_measure((&gathered, newest), candidates, some, scale, potentials, scratch));
        before.extend(survivors.iter().map(|&row| closest[row as usize]));
        survivors.iter().zip(&lowered).for_each(|(&row, &lowered)| closest[row as usize] = lowered);
        (scratch.gathered, scratch.weights, scratch.lowered) = (gathered, own, lowered);
        largest
    };
    for (&row, &before) in survivors.iter().zip(&before) {
        if closest[row as usize] < before {
            near.nearest[row as usize] = near.newest;
        }
    }
    (scratch.survivors, scratch.before) = (survivors, before);
    largest
}

/// Adds what rows that are not looked at leave to the potential of every candidate; their largest distance.
fn add_spared<T: Real>(
    (closest, weights): (&[f64], Option<&[T]>),
    survivors: &[u32],
    scale: &Scale,
    potentials: &mut [i64],
) -> f64 {
    let mut sum = [0; 2];
    let mut largest = 0.0_f64;
    let mut looked_at = survivors.iter().peekable();
    for (row, &distance) in closest.iter().enumerate() {
        if looked_at.next_if(|&&survivor| survivor as usize == row).is_none() {
            scale.add(&mut sum, distance * weights.map_or(1.0, |weights| weights[row].widen()));
            largest = largest.max(distance);
        }
    }
    for words in potentials.chunks_exact_mut(2) {
        words.iter_mut().zip(sum).for_each(|(word, sum)| *word = word.wrapping_add(sum));
    }
    largest
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::lower_closest;
    use super::*;

    /// Numbers in [0, 1) from a counter.
    pub(in super::super) fn uniform(at: usize) -> f64 {
        let mut x = (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x2545_F491_4F6C_DD1D;
        x = (x ^ (x >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (x >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Rows and points around an origin.
    pub(in super::super) struct Sample<T> {
        pub(in super::super) rows: Vec<T>,
        pub(in super::super) points: Vec<T>,
        pub(in super::super) origin: Vec<T>,
    }

    impl<T: Real> Sample<T> {
        /// So many rows and points, of so many columns, in a cube of this size.
        pub(in super::super) fn new((m, d, l): (usize, usize, usize), size: f64, offset: f64) -> Sample<T> {
            let value = |at: usize| T::narrow(size * (uniform(at) - 0.5) + offset);
            Sample {
                rows: (0..m * d).map(value).collect(),
                points: (0..l * d).map(|at| value(at + 1_000_003)).collect(),
                origin: vec![T::narrow(offset); d],
            }
        }

        /// The squared distance of a row and a point, in one order of plain additions.
        pub(in super::super) fn square(&self, row: usize, point: usize) -> f64 {
            let d = self.origin.len();
            let pairs = self.rows[row * d..][..d].iter().zip(&self.points[point * d..][..d]);
            pairs.map(|(a, b)| (a.widen() - b.widen()).powi(2)).sum()
        }
    }

    /// Rows in so many tight groups, and weights of which some are zero.
    pub(in super::super) fn grouped<T: Real>((m, d): (usize, usize), groups: usize) -> (Vec<T>, Vec<T>) {
        let value = |row: usize, column: usize| 40.0 * uniform(row % groups * d + column) + uniform(row * d + column);
        let rows = (0..m * d).map(|at| T::narrow(value(at / d, at % d))).collect();
        (rows, (0..m).map(|row| T::narrow((row % 5) as f64 / 2.0)).collect())
    }

    /// With each new centre all results are those of a look at all rows, and some rows are spared.
    #[track_caller]
    fn check<T: Real + Default>((m, d): (usize, usize), weighted: bool) {
        // More than centres, and centres lie in different ones.
        let (rows, weights) = grouped::<T>((m, d), 12);
        let weights = weighted.then_some(&weights[..]);
        let scale = Scale::new(2.0 * d as f64 * 1700.0, m as u64);
        let origin = vec![T::narrow(20.0); d];
        let (mut closest, mut scratch) = (vec![f64::INFINITY; m], Scratch::new());
        let (mut expected, mut nearest) = (closest.clone(), vec![NO_CENTRE; m]);
        let mut looked_at = 0;
        for centre in 0..9 {
            let newest = &rows[centre * (m / 9) * d..][..d];
            let candidates: Vec<T> = rows[(centre * 31 % (m - 4)) * d..][..4 * d].to_vec();
            let mut apart = vec![f64::INFINITY; centre];
            let centres: Vec<T> = (0..centre).flat_map(|of| rows[of * (m / 9) * d..][..d].to_vec()).collect();
            for each in [newest].into_iter().chain(candidates.chunks_exact(d)) {
                lower_closest(&centres, each, &mut apart, &mut scratch);
            }
            let mut words = [[0; 8]; 2];
            let near = Near { nearest: &mut nearest, newest: centre as u32, apart: &apart };
            let mut survivors = Vec::new();
            near.survivors(&closest, d, &mut survivors);
            looked_at += survivors.len();
            let some = (&mut closest[..], weights);
            let found = lower_and_measure_near(
                (&rows, &origin, newest),
                &candidates,
                some,
                near,
                &scale,
                &mut words[0],
                &mut scratch,
            );
            let all = (&mut expected[..], weights);
            let largest = lower_and_measure((&rows, newest), &candidates, all, &scale, &mut words[1], &mut scratch);
            assert_eq!((&closest, found, words[0]), (&expected, largest, words[1]), "centre {centre}");
        }
        assert!(looked_at < 9 * m * 19 / 20, "{looked_at} of {} rows were looked at", 9 * m);
    }

    #[test]
    fn rows_that_are_spared_leave_no_trace() {
        for weighted in [false, true] {
            check::<f32>((500, 3), weighted);
            check::<f64>((431, 20), weighted);
            check::<f32>((320, 130), weighted);
        }
    }
}
