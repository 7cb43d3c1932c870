//! Sums, counts and inertia by cluster as integers, and the centres that follow from them.
//!
//! Invariant: the words of a set of labelled rows do not depend on the order or grouping in which rows were added;
//! adding the words of parts gives the words of the whole, on any number of threads and ranks.
//! Never here: the search for labels, messages.

use super::Real;
use super::distance::squared_distance;
use super::fixed::{FixedPoint, Scale, head, split};
use super::scratch::Scratch;
use super::simd::{Isa, Widening, Work};
use std::ops::Range;

/// Columns below which rows are quantised many at a time.
const NARROW_COLUMNS: usize = 16;
/// Entries quantised at a time in that case, about.
const NARROW_ENTRIES: usize = 192;

/// Where the sums, counts and totals of an iteration lie in one run of words, fit for one all-reduce.
///
/// In order: for each cluster the heads of its column sums, then (two limbs) their tails; the counts; with weights the
/// heads of their sums, then the tails; head and tail of the inertia; the number of changed labels; the number of rows
/// that were looked at, if some were not; two words that belong to the caller: a wish to stop, and a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    clusters: usize,
    columns: usize,
    limbs: usize,
    weighted: bool,
}

impl Layout {
    /// The layout for `clusters` clusters.
    pub fn new(clusters: usize, fixed: &FixedPoint) -> Layout {
        Layout { clusters, columns: fixed.columns(), limbs: fixed.limbs(), weighted: fixed.weights().is_some() }
    }

    /// All words: limbs·k·d + k + 6; with weights 2·k·d + 3·k + 6.
    pub fn words(&self) -> usize {
        self.status() + 1
    }

    /// The sums of all clusters.
    pub fn sums(&self) -> Range<usize> {
        0..self.clusters * self.columns * self.limbs
    }

    /// The sums of one cluster.
    pub fn sum(&self, cluster: usize) -> Range<usize> {
        let width = self.columns * self.limbs;
        cluster * width..(cluster + 1) * width
    }

    /// The number of rows of each cluster.
    pub fn counts(&self) -> Range<usize> {
        self.sums().end..self.sums().end + self.clusters
    }

    /// Heads, then tails, of the weight of each cluster; nothing if all rows count once.
    pub fn weights(&self) -> Range<usize> {
        let words = if self.weighted { 2 * self.clusters } else { 0 };
        self.counts().end..self.counts().end + words
    }

    /// The weight of a cluster in units of the weights' scale, or its number of rows.
    pub fn weight(&self, fixed: &FixedPoint, words: &[i64], cluster: usize) -> i128 {
        match fixed.weights() {
            Some(scale) => {
                let weights = &words[self.weights()];
                scale.total([weights[cluster], weights[self.clusters + cluster]])
            }
            None => i128::from(words[self.counts()][cluster]),
        }
    }

    /// Head and tail of the inertia.
    pub fn inertia(&self) -> Range<usize> {
        self.weights().end..self.weights().end + 2
    }

    /// The number of labels that changed.
    pub fn changed(&self) -> usize {
        self.inertia().end
    }

    /// The number of rows that `Pass::follow` looked at.
    pub fn looked_at(&self) -> usize {
        self.changed() + 1
    }

    /// The caller's word before the last: how many wish to stop.
    pub fn stop(&self) -> usize {
        self.looked_at() + 1
    }

    /// The caller's word, the last.
    pub fn status(&self) -> usize {
        self.stop() + 1
    }

    /// The inertia, if `scale` is the one with which rows were added.
    pub fn inertia_value(&self, scale: &Scale, words: &[i64]) -> f64 {
        let at = self.inertia();
        scale.value([words[at.start], words[at.start + 1]])
    }

    /// Writes the centred mean of a cluster; `false`, and nothing written, if the cluster has no weight.
    ///
    /// Error: the exact mean of the quantised values, rounded twice in f64 and once to `T`.
    pub fn mean<T: Real>(&self, fixed: &FixedPoint, words: &[i64], cluster: usize, mean: &mut [T]) -> bool {
        self.mean_by(fixed, &words[self.sum(cluster)], self.weight(fixed, words, cluster), mean)
    }

    /// The same of a cluster's own words: its sums, and its count with, if rows have weights, head and tail of theirs.
    pub fn mean_of<T: Real>(&self, fixed: &FixedPoint, sum: &[i64], counted: &[i64], mean: &mut [T]) -> bool {
        let weight = match fixed.weights() {
            Some(scale) => scale.total([counted[1], counted[2]]),
            None => i128::from(counted[0]),
        };
        self.mean_by(fixed, sum, weight, mean)
    }

    fn mean_by<T: Real>(&self, fixed: &FixedPoint, sum: &[i64], weight: i128, mean: &mut [T]) -> bool {
        if weight > 0 {
            T::dispatch(Isa::best(), Mean { fixed, limbs: self.limbs, sum, weight: weight as f64, mean });
        }
        weight > 0
    }

    /// Takes one row out of a cluster's sums and count and adds it to another's.
    #[inline(always)]
    pub(super) fn move_row<T: Real>(
        &self,
        fixed: &FixedPoint,
        words: &mut [i64],
        (from, to): (usize, usize),
        row: Row<T>,
    ) {
        self.take_row(fixed, words, from, row);
        self.add_row(fixed, words, to, row);
    }

    /// Adds head and tail of an inertia.
    #[inline(always)]
    pub(super) fn add_inertia(&self, words: &mut [i64], inertia: [i64; 2]) {
        for (word, inertia) in words[self.inertia()].iter_mut().zip(inertia) {
            *word = word.wrapping_add(inertia);
        }
    }

    /// Adds one row, with its weight, to the sums and count of a cluster.
    #[inline(always)]
    pub fn add_row<T: Real>(&self, fixed: &FixedPoint, words: &mut [i64], cluster: usize, row: Row<T>) {
        self.change(fixed, words, cluster, row, i64::wrapping_add);
    }

    /// Takes one row that was added back out of the sums and count of a cluster, exactly.
    #[inline(always)]
    pub fn take_row<T: Real>(&self, fixed: &FixedPoint, words: &mut [i64], cluster: usize, row: Row<T>) {
        self.change(fixed, words, cluster, row, i64::wrapping_sub);
    }

    #[inline(always)]
    fn change<T: Real>(
        &self,
        fixed: &FixedPoint,
        words: &mut [i64],
        cluster: usize,
        Row { values, origin, weight }: Row<T>,
        change: impl Fn(i64, i64) -> i64,
    ) {
        let columns = self.columns;
        let (values, origin, factors) = (&values[..columns], &origin[..columns], &fixed.factors()[..columns]);
        let (heads, tails) = words[self.sum(cluster)].split_at_mut(columns);
        for column in 0..columns {
            let value = (values[column].widen() - origin[column].widen()) * weight;
            if self.limbs == 1 {
                heads[column] = change(heads[column], head(value, factors[column]));
            } else {
                let limbs = split(value, factors[column], fixed.tail());
                heads[column] = change(heads[column], limbs[0]);
                tails[column] = change(tails[column], limbs[1]);
            }
        }
        let mut change = |at: usize, by: i64| words[at] = change(words[at], by);
        change(self.counts().start + cluster, 1);
        if let Some(scale) = fixed.weights() {
            let limbs = scale.split(weight);
            change(self.weights().start + cluster, limbs[0]);
            change(self.weights().start + self.clusters + cluster, limbs[1]);
        }
    }
}

/// The sums of a cluster on their way to its mean.
struct Mean<'a, T> {
    fixed: &'a FixedPoint,
    limbs: usize,
    sum: &'a [i64],
    weight: f64,
    mean: &'a mut [T],
}

impl<T: Real> Work<T> for Mean<'_, T> {
    #[inline(always)]
    fn run<S: Widening<T>>(self, _: S) {
        let Mean { fixed, limbs, sum, weight, mean } = self;
        if limbs == 1 {
            return fixed.means_by(sum, weight, mean);
        }
        let (heads, tails) = sum.split_at(fixed.columns());
        for (column, mean) in mean[..fixed.columns()].iter_mut().enumerate() {
            *mean = T::narrow(fixed.mean_by(column, heads[column], tails[column], weight));
        }
    }
}

/// A row of the data, what is subtracted from it, and how often it counts.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a, T> {
    /// The values.
    pub values: &'a [T],
    /// The columns' origin.
    pub origin: &'a [T],
    /// 1 without weights.
    pub weight: f64,
}

/// Adds labelled rows to the sums and counts; `scratch.origin` must have been filled by `prepare`.
#[inline(always)]
pub(super) fn add_block<T: Real>(
    layout: &Layout,
    fixed: &FixedPoint,
    (rows, weights): (&[T], Option<&[T]>),
    labels: &[i32],
    words: &mut [i64],
    scratch: &mut Scratch<T>,
) {
    let (sums, tallies) = words.split_at_mut(layout.sums().end);
    let (counts, tallies) = tallies.split_at_mut(layout.clusters);
    for &label in labels {
        counts[label as usize] += 1;
    }
    if let (Some(weights), Some(scale)) = (weights, fixed.weights()) {
        let (heads, tails) = tallies.split_at_mut(layout.clusters);
        for (weight, &label) in weights.iter().zip(labels) {
            let limbs = scale.split(weight.widen());
            heads[label as usize] = heads[label as usize].wrapping_add(limbs[0]);
            tails[label as usize] = tails[label as usize].wrapping_add(limbs[1]);
        }
        return match layout.columns < NARROW_COLUMNS {
            true => add_narrow::<T, 2>(fixed, (rows, Some(weights)), labels, sums, scratch),
            false => add_weighted::<T>(fixed, (rows, weights), labels, sums, &scratch.origin),
        };
    }
    match (layout.columns < NARROW_COLUMNS, layout.limbs) {
        (true, 1) => add_narrow::<T, 1>(fixed, (rows, None), labels, sums, scratch),
        (true, _) => add_narrow::<T, 2>(fixed, (rows, None), labels, sums, scratch),
        (false, 1) => add_wide::<T, 1>(fixed, rows, labels, sums, &scratch.origin),
        (false, _) => add_wide::<T, 2>(fixed, rows, labels, sums, &scratch.origin),
    }
}

/// The inertia of labelled rows as head and tail.
#[inline(always)]
pub(super) fn inertia_of_block<'a, T: Real>(
    scale: &Scale,
    (rows, weights): (&[T], Option<&[T]>),
    labels: &[i32],
    origin: &[f64],
    centre: impl Fn(usize) -> &'a [T],
) -> [i64; 2] {
    let mut sum = [0; 2];
    for (at, (row, &label)) in rows.chunks_exact(origin.len()).zip(labels).enumerate() {
        let distance = squared_distance(row, origin, centre(label as usize));
        let distance = match weights {
            Some(weights) => distance * weights[at].widen(),
            None => distance,
        };
        scale.add(&mut sum, distance.clamp(-f64::MAX, f64::MAX));
    }
    sum
}

/// As `add_wide` with two limbs, each row times its weight.
#[inline(always)]
fn add_weighted<T: Real>(
    fixed: &FixedPoint,
    (rows, weights): (&[T], &[T]),
    labels: &[i32],
    sums: &mut [i64],
    origin: &[f64],
) {
    let columns = fixed.columns();
    let (origin, factors, tail) = (&origin[..columns], &fixed.factors()[..columns], fixed.tail());
    for ((row, weight), &label) in rows.chunks_exact(columns).zip(weights).zip(labels) {
        let weight = weight.widen();
        let (heads, tails) = sums[label as usize * 2 * columns..][..2 * columns].split_at_mut(columns);
        for column in 0..columns {
            let words = split((row[column].widen() - origin[column]) * weight, factors[column], tail);
            heads[column] = heads[column].wrapping_add(words[0]);
            tails[column] = tails[column].wrapping_add(words[1]);
        }
    }
}

#[inline(always)]
fn add_wide<T: Real, const LIMBS: usize>(
    fixed: &FixedPoint,
    rows: &[T],
    labels: &[i32],
    sums: &mut [i64],
    origin: &[f64],
) {
    let columns = fixed.columns();
    let (origin, factors, tail) = (&origin[..columns], &fixed.factors()[..columns], fixed.tail());
    for (row, &label) in rows.chunks_exact(columns).zip(labels) {
        let sum = &mut sums[label as usize * LIMBS * columns..][..LIMBS * columns];
        let (heads, tails) = sum.split_at_mut(columns);
        for column in 0..columns {
            let value = row[column].widen() - origin[column];
            if LIMBS == 1 {
                heads[column] = heads[column].wrapping_add(head(value, factors[column]));
            } else {
                let words = split(value, factors[column], tail);
                heads[column] = heads[column].wrapping_add(words[0]);
                tails[column] = tails[column].wrapping_add(words[1]);
            }
        }
    }
}

/// Short rows: quantised side by side, so that vectors are full, then added one by one.
#[inline(always)]
fn add_narrow<T: Real, const LIMBS: usize>(
    fixed: &FixedPoint,
    (rows, mut weights): (&[T], Option<&[T]>),
    labels: &[i32],
    sums: &mut [i64],
    scratch: &mut Scratch<T>,
) {
    let columns = fixed.columns();
    let rows_at_once = NARROW_ENTRIES / columns;
    let entries = rows_at_once * columns;
    let (origins, factors) = scratch.origin[columns..].split_at(entries);
    let factors = &factors[..entries];
    let tail = fixed.tail();
    scratch.quantised.resize(2 * NARROW_ENTRIES, 0);
    let (heads, tails) = scratch.quantised.split_at_mut(NARROW_ENTRIES);
    for (rows, labels) in rows.chunks(entries).zip(labels.chunks(rows_at_once)) {
        let used = rows.len();
        let (origins, factors) = (&origins[..used], &factors[..used]);
        let (heads, tails) = (&mut heads[..used], &mut tails[..used]);
        if let Some(all) = &mut weights {
            let (own, rest) = all.split_at(labels.len());
            for entry in 0..used {
                let value = (rows[entry].widen() - origins[entry]) * own[entry / columns].widen();
                [heads[entry], tails[entry]] = split(value, factors[entry], tail);
            }
            *all = rest;
        } else {
            for entry in 0..used {
                let value = rows[entry].widen() - origins[entry];
                if LIMBS == 1 {
                    heads[entry] = head(value, factors[entry]);
                } else {
                    [heads[entry], tails[entry]] = split(value, factors[entry], tail);
                }
            }
        }
        let quantised = (&heads[..], &tails[..]);
        match columns {
            1 => scatter::<LIMBS>(1, quantised, labels, sums),
            2 => scatter::<LIMBS>(2, quantised, labels, sums),
            3 => scatter::<LIMBS>(3, quantised, labels, sums),
            4 => scatter::<LIMBS>(4, quantised, labels, sums),
            _ => scatter::<LIMBS>(columns, quantised, labels, sums),
        }
    }
}

/// Adds quantised rows to the sums of their clusters; inlined for each width that is known.
#[inline(always)]
fn scatter<const LIMBS: usize>(columns: usize, (heads, tails): (&[i64], &[i64]), labels: &[i32], sums: &mut [i64]) {
    let rows = heads.chunks_exact(columns).zip(tails.chunks_exact(columns));
    for ((heads, tails), &label) in rows.zip(labels) {
        let sum = &mut sums[label as usize * LIMBS * columns..][..LIMBS * columns];
        for column in 0..columns {
            sum[column] = sum[column].wrapping_add(heads[column]);
            if LIMBS == 2 {
                sum[columns + column] = sum[columns + column].wrapping_add(tails[column]);
            }
        }
    }
}

/// Fills `scratch.origin`: the origin once, then (short rows) origins and factors side by side, as often as needed.
pub(super) fn prepare<T: Real>(fixed: &FixedPoint, origin: &[T], scratch: &mut Scratch<T>) {
    let columns = origin.len();
    let repeats = if columns < NARROW_COLUMNS { NARROW_ENTRIES / columns } else { 0 };
    scratch.origin.clear();
    for _ in 0..=repeats {
        scratch.origin.extend(origin.iter().map(|value| value.widen()));
    }
    for _ in 0..repeats {
        scratch.origin.extend_from_slice(fixed.factors());
    }
}
