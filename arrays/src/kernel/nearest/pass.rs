//! One pass over rows: nearest centres, changed labels, sums and inertia, while a block is in cache.
//!
//! Invariant: a row is read from memory once for each pass.
//! Never here: what a single block does (see `assign` and `sums`).

use super::Real;
use super::assign::{Blocking, assign_block};
use super::fixed::{FixedPoint, Scale};
use super::pack::Centres;
use super::scratch::Scratch;
use super::simd::{Isa, Widening, Work};
use super::sums::{Layout, Row, add_block, inertia_of_block, prepare};

/// Labels rows by their nearest centre: argmin of ‖c‖² − 2x·c with x = row − origin, the lowest index on ties.
///
/// Shapes: `rows` m×d in C order, `origin` d, `labels` m; any m. No value is NaN.
/// Cost: 2·m·k·d flops, one read of `rows`; no allocation beyond `scratch`.
/// Order: columns ascend, fused, in `T`; the bits depend on row, origin and centres alone.
pub fn assign<T: Real>(rows: &[T], origin: &[T], centres: &Centres<T>, labels: &mut [i32], scratch: &mut Scratch<T>) {
    run(Isa::best(), Rows { rows, weights: None, origin, labels }, centres, None, scratch);
}

/// What a pass of one iteration needs besides rows; the same for all tasks of the iteration.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a, T> {
    /// What is subtracted from the rows.
    pub origin: &'a [T],
    /// The centres to which rows are assigned.
    pub centres: Centres<'a, T>,
    /// The scales of the sums.
    pub fixed: &'a FixedPoint,
    /// The scale of the inertia, `fixed.inertia(centres.reach())`; `None` saves the work.
    pub inertia: Option<Scale>,
    /// What the sums change by is added instead of the sums: labels are those of a pass over the same rows.
    pub changes: bool,
}

impl<T: Real> Pass<'_, T> {
    /// Assigns rows as `assign` does, and adds them to `words`, which lie as in `Layout`.
    ///
    /// `weights`, one for each row, are given if and only if `fixed` has a scale for them. `labels` holds the labels of
    /// the previous pass (−1 before the first) and then the new ones; those that differ are counted.
    /// Cost: 2·m·k·d flops, and about 6·m·d operations for the sums, with `changes` twice as many for each label that
    /// changes; 3·m·d for the inertia; one read of `rows`; no allocation beyond `scratch`.
    pub fn assign_and_add(
        &self,
        rows: &[T],
        weights: Option<&[T]>,
        labels: &mut [i32],
        words: &mut [i64],
        scratch: &mut Scratch<T>,
    ) {
        self.assign_and_add_on(Isa::best(), (rows, weights), labels, words, scratch);
    }

    /// Adds the inertia of rows that are labelled already; all else of `words` stays.
    ///
    /// Shapes: as for `assign_and_add`, with `inertia`. Cost: 3·m·d flops and one read of `rows`.
    pub fn add_inertia(
        &self,
        (rows, weights): (&[T], Option<&[T]>),
        labels: &[i32],
        words: &mut [i64],
        scratch: &mut Scratch<T>,
    ) {
        prepare(self.fixed, self.origin, scratch);
        let layout = Layout::new(self.centres.count(), self.fixed);
        T::dispatch(Isa::best(), Inertia { pass: self, layout, rows, weights, labels, words, origin: &scratch.origin });
    }

    pub(super) fn assign_and_add_on(
        &self,
        isa: Isa,
        (rows, weights): (&[T], Option<&[T]>),
        labels: &mut [i32],
        words: &mut [i64],
        scratch: &mut Scratch<T>,
    ) {
        let layout = Layout::new(self.centres.count(), self.fixed);
        assert_eq!(words.len(), layout.words(), "words as the layout has them");
        assert_eq!(self.fixed.columns(), self.origin.len(), "a scale for each column");
        assert_eq!(self.fixed.weights().is_some(), weights.is_some(), "a scale for the weights");
        assert!(weights.is_none_or(|weights| weights.len() == labels.len()), "a weight for each row");
        prepare(self.fixed, self.origin, scratch);
        let Pass { origin, fixed, inertia, changes, .. } = *self;
        let sums = Sums { layout, fixed, origin, inertia, changes, words };
        run(isa, Rows { rows, weights, origin: self.origin, labels }, &self.centres, Some(sums), scratch);
    }
}

struct Rows<'a, T> {
    rows: &'a [T],
    weights: Option<&'a [T]>,
    origin: &'a [T],
    labels: &'a mut [i32],
}

struct Sums<'a, T> {
    layout: Layout,
    fixed: &'a FixedPoint,
    origin: &'a [T],
    inertia: Option<Scale>,
    changes: bool,
    words: &'a mut [i64],
}

struct Blocks<'a, T> {
    rows: Rows<'a, T>,
    centres: &'a Centres<'a, T>,
    sums: Option<Sums<'a, T>>,
    scratch: &'a mut Scratch<T>,
}

fn run<T: Real>(isa: Isa, rows: Rows<T>, centres: &Centres<T>, sums: Option<Sums<T>>, scratch: &mut Scratch<T>) {
    let columns = centres.columns();
    assert_eq!(rows.origin.len(), columns, "an origin for each column");
    assert_eq!(rows.rows.len(), rows.labels.len() * columns, "a label for each row");
    T::dispatch(isa, Blocks { rows, centres, sums, scratch });
}

impl<T: Real> Work<T> for Blocks<'_, T> {
    #[inline(always)]
    fn run<S: Widening<T>>(self, simd: S) {
        let Blocks { rows: Rows { mut rows, mut weights, origin, labels }, centres, mut sums, scratch } = self;
        let blocking = Blocking::new::<T, S>(centres);
        scratch.fresh.resize(blocking.rows(), 0);
        let mut fresh = std::mem::take(&mut scratch.fresh);
        for labels in labels.chunks_mut(blocking.rows()) {
            let fresh = &mut fresh[..labels.len()];
            assign_block::<T, S, false>(simd, &blocking, (rows, origin), centres, fresh, scratch);
            let (block, rest) = rows.split_at(labels.len() * centres.columns());
            let own = weights.map(|weights| weights.split_at(labels.len()));
            if let Some(sums) = &mut sums {
                sums.add((block, own.map(|(own, _)| own)), labels, fresh, centres, scratch);
            }
            weights = own.map(|(_, rest)| rest);
            labels.copy_from_slice(fresh);
            rows = rest;
        }
        scratch.fresh = fresh;
    }
}

struct Inertia<'a, T> {
    pass: &'a Pass<'a, T>,
    layout: Layout,
    rows: &'a [T],
    weights: Option<&'a [T]>,
    labels: &'a [i32],
    words: &'a mut [i64],
    origin: &'a [f64],
}

impl<T: Real> Work<T> for Inertia<'_, T> {
    #[inline(always)]
    fn run<S: Widening<T>>(self, _: S) {
        let Some(scale) = &self.pass.inertia else { return };
        let centres = &self.pass.centres;
        let (rows, origin) = ((self.rows, self.weights), &self.origin[..centres.columns()]);
        let inertia = inertia_of_block(scale, rows, self.labels, origin, |cluster| centres.row(cluster));
        self.layout.add_inertia(self.words, inertia);
    }
}

impl<T: Real> Sums<'_, T> {
    #[inline(always)]
    fn add(
        &mut self,
        (rows, weights): (&[T], Option<&[T]>),
        before: &[i32],
        labels: &[i32],
        centres: &Centres<T>,
        scratch: &mut Scratch<T>,
    ) {
        let changed = before.iter().zip(labels).map(|(before, label)| i32::from(before != label)).sum::<i32>();
        self.words[self.layout.changed()] += i64::from(changed);
        if !self.changes {
            add_block(&self.layout, self.fixed, (rows, weights), labels, self.words, scratch);
        } else if changed > 0 {
            for (at, (&before, &label)) in before.iter().zip(labels).enumerate() {
                if before != label {
                    let values = &rows[at * centres.columns()..][..centres.columns()];
                    let weight = weights.map_or(1.0, |weights| weights[at].widen());
                    let row = Row { values, origin: self.origin, weight };
                    self.layout.move_row(self.fixed, self.words, (before as usize, label as usize), row);
                }
            }
        }
        if let Some(scale) = &self.inertia {
            let origin = &scratch.origin[..centres.columns()];
            let own = |cluster| centres.row(cluster);
            let inertia = inertia_of_block(scale, (rows, weights), labels, origin, own);
            self.layout.add_inertia(self.words, inertia);
        }
    }
}
