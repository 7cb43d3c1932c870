//! Decides what the next iteration looks at, and whether it adds up all rows or only those that change their label.
//!
//! Following pays once few rows change their label, which the first iterations do not have; how few depends on the
//! data, so it is tried with a sample of the rows, for two or three iterations, and begun if few enough of these need
//! be looked at. Otherwise it is tried again when much fewer rows change.
//! Invariant: decisions follow from numbers that all ranks hold, and results do not depend on them.

use crate::epoch::{Keeps, Look, Mode, Sums};
use girih_arrays::kernel::nearest::Moves;
use std::sync::Arc;

/// Below it a row is assigned sooner than its bounds are looked at.
const VALUES_MIN: usize = 1536;
/// One row in so many may change its label when following is first tried.
const CHANGES_MAX: u64 = 16;
/// By so much fewer rows must change before it is tried again.
const PATIENCE: u64 = 2;
/// Following is given up where more than this share of the rows is looked at, if a row takes long,
const LOOKED_AT_MAX: f64 = 0.5;
/// and where more than half of it is, if the centres have so many bytes: reading bounds takes as long for any row.
const BYTES_HALF: f64 = 10240.0;
/// Bounds loosen: some iterations after they were new, so many times more rows are looked at than in the first.
const LOOSENING: f64 = 2.5;
/// A row that changes its label costs as much as so many that are added once.
const CHANGE_COST: u64 = 4;

/// The state of the decision.
pub(crate) struct Pruning {
    rows: u64,
    dense: bool,
    may_follow: bool,
    phase: Phase,
    /// No bounds are known yet.
    fresh: bool,
    /// Rows of the sample.
    sampled: u64,
    /// The sample's bounds have been followed once, and left it open whether that pays.
    open: bool,
    /// The share of rows above which following does not pay.
    share_max: f64,
    /// Changed labels at which following is tried.
    changes_max: u64,
    /// Changed labels in the last iteration; all rows before the first.
    changed: u64,
}

/// The rows whose bounds are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    None,
    Sample,
    All,
}

impl Pruning {
    /// For so many rows, dense or not, and these centres.
    pub(crate) fn new<T>(rows: usize, dense: bool, centres: &[T], wanted: bool) -> Pruning {
        let rows = rows as u64;
        let may_follow = wanted && dense && centres.len() >= VALUES_MIN;
        let (phase, changes_max) = (Phase::None, rows / CHANGES_MAX);
        let bytes = size_of_val(centres) as f64;
        let share_max = LOOKED_AT_MAX * bytes / (bytes + BYTES_HALF);
        let (fresh, open, sampled) = (false, false, 0);
        Pruning { rows, dense, may_follow, phase, fresh, sampled, open, share_max, changes_max, changed: rows }
    }

    /// What iterations keep for one another.
    pub(crate) fn keeps(&self) -> Keeps {
        Keeps { sums: self.dense, bounds: self.may_follow }
    }

    /// Whether the next iteration needs to know how far the centres moved.
    pub(crate) fn follows(&self) -> bool {
        self.phase != Phase::None
    }

    /// What the next iteration does after these moves.
    pub(crate) fn mode(&self, moves: &Arc<Moves>, inertia: bool) -> Mode {
        let changes = self.dense && (self.follows() || self.changed < self.rows / CHANGE_COST);
        let bounded = |sample| Look::Bounded { moves: Arc::clone(moves), fresh: self.fresh, sample };
        let look = match self.phase {
            Phase::None => Look::All,
            Phase::Sample => bounded(true),
            Phase::All => bounded(false),
        };
        Mode { look, changes, inertia, stop: false }
    }

    /// Takes in what an iteration found; rows that were compared with all centres.
    pub(crate) fn learn<T>(&mut self, sums: &Sums<T>) -> u64 {
        self.changed = sums.changed;
        // A sample may have no rows.
        let share = |of: u64| sums.looked_at as f64 / of.max(1) as f64;
        match (self.phase, self.fresh) {
            (Phase::None, _) => {
                if self.may_follow && sums.changed <= self.changes_max {
                    (self.phase, self.fresh) = (Phase::Sample, true);
                }
                self.rows
            }
            (Phase::Sample, true) => {
                // Of rows without bounds all are looked at.
                (self.fresh, self.open, self.sampled) = (false, false, sums.looked_at);
                self.rows
            }
            (Phase::Sample, false) => {
                let share = share(self.sampled);
                if share > self.share_max {
                    self.give_up();
                } else if self.open || share * LOOSENING <= self.share_max {
                    (self.phase, self.fresh) = (Phase::All, true);
                } else {
                    self.open = true;
                }
                self.rows - self.sampled + sums.looked_at
            }
            (Phase::All, fresh) => {
                self.fresh = false;
                if !fresh && share(self.rows) > self.share_max {
                    self.give_up();
                }
                sums.looked_at
            }
        }
    }

    fn give_up(&mut self) {
        self.phase = Phase::None;
        self.changes_max = self.changed / PATIENCE;
    }
}
