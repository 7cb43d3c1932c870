//! Random task graphs run by worlds, and a graph that may fail on one of its ranks.
//!
//! Never here: where a world comes from.

use crate::random_graph::{Program, TOLD};
use girih_runtime::error::Error;
use girih_runtime::graph::Access::Write;
use girih_runtime::ids::Rank;
use girih_runtime::world::World;
use std::sync::Arc;

impl Program {
    /// This rank's cells after `epochs` runs of the graph.
    ///
    /// # Errors
    /// What the graph and the world return.
    pub fn run(&self, world: &World, epochs: usize) -> Result<Vec<(usize, i64)>, Error> {
        let recorded = self.record(world.graph("random"), world.memory())?;
        (0..epochs).try_for_each(|_| world.run(&recorded.graph))?;
        Ok(recorded.cells())
    }

    /// As [`Program::run`], where the ranks agree on the graph once, after a first epoch in which a task fails: every
    /// rank must hear of it, and the graph must run again as if it had not.
    ///
    /// # Errors
    /// What the graph and the world return afterwards; `Error::Config` if a rank did not hear of the failure.
    pub fn run_after_failure(&self, world: &World, epochs: usize) -> Result<Vec<(usize, i64)>, Error> {
        let recorded = self.record(world.graph("random"), world.memory())?;
        if let Some(task) = self.last_task() {
            recorded.fail(Some(task));
            // A failure of a graph without messages is heard in the next step.
            let failed = world.run(&recorded.graph).and(world.barrier());
            let heard = failed.as_ref().is_err_and(|error| error.to_string().contains(TOLD));
            if !heard {
                return Err(Error::Config(format!("{} heard {failed:?} of a failure", world.rank())));
            }
            recorded.fail(None);
        }
        recorded.reset();
        (0..epochs).try_for_each(|_| world.run_again(&recorded.graph))?;
        Ok(recorded.cells())
    }
}

/// Adds up a one of every rank, unless rank 1 is told to fail; the sum, on every rank.
///
/// # Errors
/// `Error::Task` on rank 1 and `Error::Remote` on the others, if `fail`.
pub fn count_ranks(world: &World, fail: bool) -> Result<i64, Error> {
    let mut graph = world.graph("fault");
    let blocks: Vec<_> = (0..world.size()).map(|rank| graph.block(Rank::from(rank), 16)).collect::<Result<_, _>>()?;
    for (rank, &block) in blocks.iter().enumerate() {
        graph.task("fill", Rank::from(rank), 0, &[Write(block)], || {
            Box::new(move |context| {
                assert!(!(fail && rank == 1), "rank 1 was told to fail");
                context.write(0).of_mut::<i64>()[0] = 1;
                Ok(())
            })
        })?;
    }
    graph.all_reduce_and_agree(&blocks);
    let graph = Arc::new(graph.finish()?);
    world.run(&graph)?;
    let total = graph.cell(blocks[world.rank().index()]).read().of::<i64>()[0];
    Ok(total)
}
