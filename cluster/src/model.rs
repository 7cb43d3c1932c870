//! What goes into a fit, what is told on the way, and what comes out. Plain data.

use girih_runtime::memory::BlockCell;
use std::ops::Range;
use std::sync::Arc;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Iterations at most.
    pub iterations_max: usize,
    /// The fit ends when the centres move by no more than this times the mean variance of the columns.
    pub tolerance: f64,
    /// The fit ends, too, when the squared distances by which the centres moved add up to no more than this.
    pub shift: f64,
    /// Rows whose nearest centre cannot have changed are left out, if that pays; the result is the same.
    pub prunes: bool,
    /// Centres are moved to length one after each iteration: with rows of length one, K-Means by angles.
    pub unit: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { iterations_max: 300, tolerance: 1e-4, shift: 0.0, prunes: true, unit: false }
    }
}

/// What one iteration did; equal on all ranks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iteration {
    /// Its number, from 1.
    pub number: usize,
    /// Sum of squared distances of the rows to the centres with which the iteration began.
    pub inertia: f64,
    /// Sum of squared distances by which the centres moved.
    pub shift: f64,
    /// Labels that changed; in the first iteration all.
    pub changed: u64,
    /// Rows that were compared with all centres.
    pub looked_at: u64,
}

/// A fitted model.
#[derive(Clone, Debug)]
pub struct Model<T> {
    /// Centres, k×d in C order.
    pub centres: Vec<T>,
    /// Sum of squared distances of the rows to their centres.
    pub inertia: f64,
    /// The greatest shift of the centres, squared, that ended the iterations.
    pub tolerance: f64,
    /// Iterations that were run.
    pub iterations: usize,
    /// Clusters that have rows.
    pub clusters: usize,
    /// The iterations ended because a rank wished to stop.
    pub interrupted: bool,
    /// Labels of this rank's rows.
    pub labels: Vec<Labels>,
}

/// Labels of a run of rows.
#[derive(Clone, Debug)]
pub struct Labels {
    /// Rows, counted over all ranks.
    pub rows: Range<usize>,
    /// One `i32` for each.
    pub cell: Arc<BlockCell>,
}

impl<T> Model<T> {
    /// Labels of this rank's rows, in order.
    pub fn local_labels(&self) -> Vec<i32> {
        self.labels.iter().flat_map(|labels| labels.cell.read().of::<i32>().to_vec()).collect()
    }
}
