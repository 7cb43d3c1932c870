//! A pass that leaves out rows whose nearest centre cannot have changed, and adds what the others change.
//!
//! Each row keeps an upper bound of the distance to its own centre and a lower bound of that to all others. When
//! centres move, the bounds give way by how far they moved; a row whose bounds stay apart keeps its label unseen. The
//! rest are gathered into dense blocks for the same kernel, which finds the second nearest centre on its way.
//! Invariant: labels are those of `Pass::assign_and_add`, bit for bit, for bounds stay apart by more than the rounding
//! of the values that it compares.
//! Source: Hamerly (2010), with bounds rounded outwards.
//! Never here: the decision whether this pays.

use super::Real;
use super::assign::{Blocking, assign_block};
use super::distance::squared_distance;
use super::pass::Pass;
use super::scratch::Scratch;
use super::simd::{Isa, Widening, Work};
use super::sums::{Layout, Row, inertia_of_block, prepare};

/// Bounds of a row of which nothing is known: the upper, then the lower.
pub const UNKNOWN: [f32; 2] = [f32::INFINITY, 0.0];

/// How far the centres moved since the bounds were made, and how far apart bounds must be.
#[derive(Clone, Debug)]
pub struct Moves {
    drifts: Vec<f64>,
    /// The centre that moved farthest, its drift, and the largest of the others.
    farthest: (usize, f64, f64),
    reach: f64,
    rounding: f64,
}

impl Moves {
    /// From the centres before to those now, both centred, k×d in C order. Cost: a few operations for each value.
    pub fn new<T: Real>(before: &[T], now: &[T], columns: usize) -> Moves {
        // Above what rounding can take from a sum of so many squares.
        let above = 1.0 + (columns as f64 + 8.0) * f64::EPSILON;
        let norm = |squares: f64| squares.sqrt() * above;
        let apart = |(before, now): (&[T], &[T])| {
            norm(before.iter().zip(now).map(|(a, b)| (a.widen() - b.widen()).powi(2)).sum::<f64>())
        };
        let drifts: Vec<f64> = before.chunks_exact(columns).zip(now.chunks_exact(columns)).map(apart).collect();
        let mut farthest = (0, 0.0, 0.0);
        for (index, &drift) in drifts.iter().enumerate() {
            if drift > farthest.1 {
                farthest = (index, drift, farthest.1);
            } else if drift > farthest.2 {
                farthest.2 = drift;
            }
        }
        let own = |centre: &[T]| norm(centre.iter().map(|value| value.widen().powi(2)).sum::<f64>());
        let reach = now.chunks_exact(columns).map(own).fold(0.0, f64::max);
        let unit = if size_of::<T>() == 4 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        Moves { drifts, farthest, reach, rounding: (columns as f64 + 6.0) * unit }
    }

    /// A bound of the rounding of ‖c‖² − 2x·c for a row at most `upper` from its own centre.
    ///
    /// Each of d + 2 roundings is at most half a unit of a number below ‖c‖² + 2‖x‖‖c‖, and ‖x‖ ≤ upper + ‖c‖.
    #[inline(always)]
    fn error(&self, upper: f64) -> f64 {
        self.rounding * self.reach * (self.reach + 2.0 * (upper + self.reach))
    }

    /// True if no other centre can be nearer, nor seem so.
    #[inline(always)]
    fn apart(&self, upper: f64, lower: f64) -> bool {
        lower > upper && (lower - upper) * (lower + upper) > 2.0 * self.error(upper)
    }

    /// The bounds of a row after the move.
    #[inline(always)]
    fn after(&self, [upper, lower]: [f32; 2], label: usize) -> (f64, f64) {
        let others = if label == self.farthest.0 { self.farthest.2 } else { self.farthest.1 };
        (f64::from(upper) + self.drifts[label], f64::from(lower) - others)
    }
}

#[inline(always)]
fn outwards(upper: f64, lower: f64) -> [f32; 2] {
    [(upper as f32).next_up(), (lower as f32).next_down()]
}

impl<T: Real> Pass<'_, T> {
    /// Labels rows as `assign_and_add` does, from the labels and bounds that the last call left, and adds to `words`
    /// what the sums change by; rows that had to be looked at are counted.
    ///
    /// `bounds`, two for each row, are `UNKNOWN` at first. `labels` are those of a pass over the same rows.
    /// Cost: a few operations for each row; 3·d flops and one read for each whose bounds meet; 2·k·d flops for each
    /// whose bounds still meet then. With `inertia` 3·d flops for every row.
    pub fn follow(
        &self,
        moves: &Moves,
        (rows, weights): (&[T], Option<&[T]>),
        labels: &mut [i32],
        bounds: &mut [[f32; 2]],
        words: &mut [i64],
        scratch: &mut Scratch<T>,
    ) {
        self.follow_on(Isa::best(), moves, (rows, weights), (labels, bounds), words, scratch);
    }

    pub(super) fn follow_on(
        &self,
        isa: Isa,
        moves: &Moves,
        (rows, weights): (&[T], Option<&[T]>),
        (labels, bounds): (&mut [i32], &mut [[f32; 2]]),
        words: &mut [i64],
        scratch: &mut Scratch<T>,
    ) {
        assert_eq!(rows.len(), labels.len() * self.centres.columns(), "a label for each row");
        assert_eq!(bounds.len(), labels.len(), "bounds for each row");
        assert_eq!(moves.drifts.len(), self.centres.count(), "a drift for each centre");
        prepare(self.fixed, self.origin, scratch);
        let layout = Layout::new(self.centres.count(), self.fixed);
        T::dispatch(isa, Follow { pass: self, layout, moves, rows, weights, labels, bounds, words, scratch });
    }
}

struct Follow<'a, T> {
    pass: &'a Pass<'a, T>,
    layout: Layout,
    moves: &'a Moves,
    rows: &'a [T],
    weights: Option<&'a [T]>,
    labels: &'a mut [i32],
    bounds: &'a mut [[f32; 2]],
    words: &'a mut [i64],
    scratch: &'a mut Scratch<T>,
}

impl<T: Real> Work<T> for Follow<'_, T> {
    #[inline(always)]
    fn run<S: Widening<T>>(mut self, simd: S) {
        let blocking = Blocking::new::<T, S>(&self.pass.centres);
        let mut survivors = std::mem::take(&mut self.scratch.survivors);
        self.find_survivors(&mut survivors);
        self.words[self.layout.looked_at()] += survivors.len() as i64;
        for chunk in survivors.chunks(blocking.rows()) {
            self.look_at(simd, &blocking, chunk);
        }
        self.scratch.survivors = survivors;
        if let Some(scale) = &self.pass.inertia {
            let origin = &self.scratch.origin[..self.pass.centres.columns()];
            let rows = (self.rows, self.weights);
            let inertia = inertia_of_block(scale, rows, self.labels, origin, |cluster| self.pass.centres.row(cluster));
            self.layout.add_inertia(self.words, inertia);
        }
    }
}

impl<T: Real> Follow<'_, T> {
    /// Moves all bounds; rows whose bounds meet, even after a look at their own centre, are survivors.
    #[inline(always)]
    fn find_survivors(&mut self, survivors: &mut Vec<u32>) {
        let columns = self.pass.centres.columns();
        let origin = &self.scratch.origin[..columns];
        survivors.clear();
        for (row, (bounds, &label)) in self.bounds.iter_mut().zip(&*self.labels).enumerate() {
            let (mut upper, lower) = self.moves.after(*bounds, label as usize);
            if !self.moves.apart(upper, lower) {
                if lower > 0.0 {
                    let values = &self.rows[row * columns..][..columns];
                    upper =
                        upper_bound(squared_distance(values, origin, self.pass.centres.row(label as usize)), columns);
                }
                if !self.moves.apart(upper, lower) {
                    survivors.push(row as u32);
                    continue;
                }
            }
            *bounds = outwards(upper, lower);
        }
    }

    /// Finds the nearest and the second nearest centre of some rows, at most a block of them.
    #[inline(always)]
    fn look_at<S: Widening<T>>(&mut self, simd: S, blocking: &Blocking, survivors: &[u32]) {
        let (centres, columns) = (&self.pass.centres, self.pass.centres.columns());
        let mut gathered = std::mem::take(&mut self.scratch.gathered);
        gathered.clear();
        for &row in survivors {
            gathered.extend_from_slice(&self.rows[row as usize * columns..][..columns]);
        }
        let mut fresh = std::mem::take(&mut self.scratch.fresh);
        fresh.resize(blocking.rows(), 0);
        let labels = &mut fresh[..survivors.len()];
        assign_block::<T, S, true>(simd, blocking, (&gathered, self.pass.origin), centres, labels, self.scratch);
        for (at, (&row, &label)) in survivors.iter().zip(&*labels).enumerate() {
            let (row, values) = (row as usize, &gathered[at * columns..][..columns]);
            let centre = centres.row(label as usize);
            let own = squared_distance(values, &self.scratch.origin[..columns], centre);
            let gap = self.scratch.second.at(at).widen() - self.scratch.best.at(at).widen();
            let upper = upper_bound(own, columns);
            // The values compared are off by their rounding, the distance by that of its sum.
            let beyond = own * (1.0 - (columns as f64 + 8.0) * f64::EPSILON) + gap - 2.0 * self.moves.error(upper);
            self.bounds[row] = outwards(upper, beyond.max(0.0).sqrt());
            if label != self.labels[row] {
                let weight = self.weights.map_or(1.0, |weights| weights[row].widen());
                let moved = Row { values, origin: self.pass.origin, weight };
                let clusters = (self.labels[row] as usize, label as usize);
                self.layout.move_row(self.pass.fixed, self.words, clusters, moved);
                self.words[self.layout.changed()] += 1;
                self.labels[row] = label;
            }
        }
        self.scratch.fresh = fresh;
        self.scratch.gathered = gathered;
    }
}

/// Not below the distance whose square was summed over so many columns.
#[inline(always)]
fn upper_bound(square: f64, columns: usize) -> f64 {
    square.sqrt() * (1.0 + (columns as f64 + 8.0) * f64::EPSILON)
}
