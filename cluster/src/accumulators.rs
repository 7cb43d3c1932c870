//! Partial results that tasks borrow to add to: integers, so it does not matter which task adds to which.
//!
//! A task takes the one that was given back last in its domain, whose words are still in a cache. So any worker can run
//! any tile next, and what is merged grows with the workers, not with the tiles.
//! Invariant: after `combine` and after `forget` no word is left for the next run.

use crate::error::{Error, Result};
use girih_runtime::comm::Reduction;
use girih_runtime::memory::BlockCell;
use girih_runtime::world::World;
use std::sync::{Arc, Mutex, PoisonError};

/// As many partial results as tasks ever ran at once.
#[derive(Clone, Debug)]
pub(crate) struct Accumulators(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    world: World,
    words: usize,
    reduction: Reduction,
    /// Those that nobody has; the last was given back last.
    free: Mutex<Vec<Accumulator>>,
}

#[derive(Debug)]
struct Accumulator {
    cell: Arc<BlockCell>,
    domain: usize,
    /// Something was added to it in this run; if not, its words are whatever they were.
    used: bool,
}

impl Accumulators {
    /// One for each worker, of so many words, which begin at the identity of `reduction`. Cost: their memory.
    pub(crate) fn new(world: &World, words: usize, reduction: Reduction) -> Result<Accumulators> {
        let shared = Shared { world: world.clone(), words, reduction, free: Mutex::default() };
        let workers = world.workers();
        let all = (0..workers).map(|worker| shared.fresh(world.domain_of_tile(worker, workers)));
        *shared.free.lock().unwrap_or_else(PoisonError::into_inner) = all.collect::<Result<_, _>>()?;
        Ok(Accumulators(Arc::new(shared)))
    }

    /// Calls `body` with words that nobody else has.
    ///
    /// # Errors
    /// Local: a text, if there is no memory for one more.
    pub(crate) fn lend<R>(&self, domain: usize, body: impl FnOnce(&mut [i64]) -> R) -> std::result::Result<R, String> {
        let kept = {
            let mut free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
            let near = free.iter().rposition(|accumulator| accumulator.domain == domain);
            near.map(|at| free.remove(at)).or_else(|| free.pop())
        };
        let mut own = kept.map_or_else(|| self.0.fresh(domain), Ok).map_err(|error: Error| error.to_string())?;
        let result = {
            let mut words = own.cell.write();
            let words = words.of_mut::<i64>();
            if !own.used {
                words.fill(self.0.reduction.identity());
            }
            body(words)
        };
        own.used = true;
        self.0.free.lock().unwrap_or_else(PoisonError::into_inner).push(own);
        Ok(result)
    }

    /// Writes what all of this run together make; all must have been given back.
    ///
    /// Cost: one read of each that was used.
    pub(crate) fn combine(&self, all: &mut [i64]) {
        let mut free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut any = false;
        for accumulator in free.iter_mut().filter(|accumulator| accumulator.used) {
            let words = accumulator.cell.read();
            match any {
                true => combine(self.0.reduction, all, words.of()),
                false => all.copy_from_slice(words.of()),
            }
            (any, accumulator.used) = (true, false);
        }
        if !any {
            all.fill(self.0.reduction.identity());
        }
    }

    /// The words of each that was used in this run; all must have been given back.
    pub(crate) fn used(&self) -> Vec<Arc<BlockCell>> {
        let free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.iter().filter(|accumulator| accumulator.used).map(|accumulator| Arc::clone(&accumulator.cell)).collect()
    }

    /// Drops what a run has left.
    pub(crate) fn forget(&self) {
        let mut free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.iter_mut().for_each(|accumulator| accumulator.used = false);
    }
}

/// A loop for each reduction, so that each is one of vectors.
fn combine(reduction: Reduction, all: &mut [i64], words: &[i64]) {
    let pairs = all.iter_mut().zip(words);
    match reduction {
        Reduction::SumI64 => pairs.for_each(|(all, &word)| *all = all.wrapping_add(word)),
        Reduction::MaxI64 => pairs.for_each(|(all, &word)| *all = (*all).max(word)),
        Reduction::MinI64 => pairs.for_each(|(all, &word)| *all = (*all).min(word)),
    }
}

impl Shared {
    fn fresh(&self, domain: usize) -> Result<Accumulator> {
        let cell = self.world.memory().block(self.words * size_of::<i64>())?;
        Ok(Accumulator { cell, domain, used: false })
    }
}
