//! Decides what the next iteration looks at, and whether it adds up all rows or only those that change their label.
//!
//! Following pays once few rows change their label, which the first iterations do not have; how few depends on the
//! data, so it is tried, and given up where most rows had to be looked at all the same. Then it is tried again when
//! much fewer rows change.
//! Invariant: decisions follow from numbers that all ranks hold, and results do not depend on them.

use crate::epoch::{Keeps, Look, Mode, Sums};
use girih_arrays::kernel::nearest::Moves;
use std::sync::Arc;

/// Below it a row is assigned sooner than its bounds are looked at.
const VALUES_MIN: usize = 1536;
/// One row in so many may change its label when following is first tried.
const CHANGES_MAX: u64 = 50;
/// By so much fewer rows must change before it is tried again.
const PATIENCE: u64 = 4;
/// Following is given up where more than half of the rows are looked at.
const LOOKED_AT_MAX: f64 = 0.5;
/// A row that changes its label costs as much as so many that are added once.
const CHANGE_COST: u64 = 4;

/// The state of the decision.
pub(crate) struct Pruning {
    rows: u64,
    dense: bool,
    may_follow: bool,
    follows: bool,
    /// No bounds are known yet.
    fresh: bool,
    /// Changed labels at which following is tried.
    changes_max: u64,
    /// Changed labels in the last iteration; all rows before the first.
    changed: u64,
}

impl Pruning {
    /// For so many rows, dense or not, and values of centres.
    pub(crate) fn new(rows: usize, dense: bool, values: usize, wanted: bool) -> Pruning {
        let rows = rows as u64;
        let may_follow = wanted && dense && values >= VALUES_MIN;
        let changes_max = rows / CHANGES_MAX;
        Pruning { rows, dense, may_follow, follows: false, fresh: false, changes_max, changed: rows }
    }

    /// What iterations keep for one another.
    pub(crate) fn keeps(&self) -> Keeps {
        Keeps { sums: self.dense, bounds: self.may_follow }
    }

    /// Whether the next iteration needs to know how far the centres moved.
    pub(crate) fn follows(&self) -> bool {
        self.follows
    }

    /// What the next iteration does after these moves.
    pub(crate) fn mode(&self, moves: &Arc<Moves>, inertia: bool) -> Mode {
        let changes = self.dense && (self.follows || self.changed < self.rows / CHANGE_COST);
        let look = match self.follows {
            true => Look::Bounded { moves: Arc::clone(moves), fresh: self.fresh },
            false => Look::All,
        };
        Mode { look, changes, inertia, stop: false }
    }

    /// Takes in what an iteration found.
    pub(crate) fn learn<T>(&mut self, sums: &Sums<T>) {
        self.changed = sums.changed;
        if !self.follows {
            self.follows = self.may_follow && sums.changed <= self.changes_max;
            self.fresh = self.follows;
        } else if self.fresh {
            self.fresh = false;
        } else if sums.looked_at as f64 > LOOKED_AT_MAX * self.rows as f64 {
            self.follows = false;
            self.changes_max = sums.changed / PATIENCE;
        }
    }
}
