//! Decides whether the next iteration looks at all rows, or only at those whose bounds meet.
//!
//! Following pays once few rows change their label, which the first iterations do not have; how few depends on the
//! data, so it is tried, and given up where most rows had to be looked at all the same. Then it is tried again when
//! much fewer rows change.
//! Invariant: decisions follow from numbers that all ranks hold, and results do not depend on them.

use crate::epoch::{Mode, Sums};
use girih_arrays::kernel::nearest::Moves;
use std::sync::Arc;

/// Below it a row is assigned sooner than its bounds are looked at.
const VALUES_MIN: usize = 512;
/// One row in so many may change its label when following is first tried.
const CHANGES_MAX: u64 = 50;
/// By so much fewer rows must change before it is tried again.
const PATIENCE: u64 = 4;
/// Following is given up where more than half of the rows are looked at.
const LOOKED_AT_MAX: f64 = 0.5;

/// The state of the decision.
pub(crate) struct Pruning {
    rows: u64,
    may_follow: bool,
    follows: bool,
    /// No bounds are known yet.
    fresh: bool,
    /// Changed labels at which following is tried.
    changes_max: u64,
}

impl Pruning {
    /// For so many rows and values of centres.
    pub(crate) fn new(rows: usize, values: usize, wanted: bool) -> Pruning {
        let rows = rows as u64;
        let may_follow = wanted && values >= VALUES_MIN;
        Pruning { rows, may_follow, follows: false, fresh: false, changes_max: rows / CHANGES_MAX }
    }

    /// Whether an iteration will ever follow.
    pub(crate) fn may_follow(&self) -> bool {
        self.may_follow
    }

    /// What the next iteration does.
    pub(crate) fn mode(&self, moves: &Arc<Moves>, inertia: bool) -> Mode {
        if self.follows { Mode::Follow { moves: Arc::clone(moves), fresh: self.fresh, inertia } } else { Mode::Whole }
    }

    /// Takes in what an iteration found.
    pub(crate) fn learn(&mut self, sums: &Sums) {
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
