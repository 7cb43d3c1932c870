//! Ranks as threads of this process, for tests and for programs that want ranks without MPI.

use crate::comm::{Transport, in_process};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::topology::allowed_units;
use crate::world::{Node, World};
use std::thread;

/// Runs `program` on `ranks` ranks of `threads` workers each, unbound; its results by rank.
///
/// `seed` fixes the order in which messages are delivered; 0 delivers at once.
///
/// # Errors
/// What the start or the end of a world returns: `Error::Divergence` if ranks ended while others did not.
///
/// # Panics
/// If `program` panics on a rank.
pub fn run<T: Send>(ranks: usize, threads: usize, seed: u64, program: impl Fn(&World) -> T + Sync) -> Result<Vec<T>> {
    let config = Config { threads: Some(threads), bind: false, ..Config::default() };
    run_with(ranks, seed, &config, program)
}

/// As [`run`], with all options given.
///
/// # Errors
/// What the start or the end of a world returns: `Error::Divergence` if ranks ended while others did not.
///
/// # Panics
/// If `program` panics on a rank.
pub fn run_with<T: Send>(
    ranks: usize,
    seed: u64,
    config: &Config,
    program: impl Fn(&World) -> T + Sync,
) -> Result<Vec<T>> {
    if ranks == 1 {
        return Ok(vec![program(&World::solo(config.clone())?)]);
    }
    let program = &program;
    let units = &allowed_units()?;
    thread::scope(|scope| {
        let start = |transport: in_process::InProcess| {
            let config = config.clone();
            scope.spawn(move || {
                let local_rank = transport.rank().index();
                let masks = vec![units.clone(); transport.size()];
                let node = Node { host: "in-process".to_string(), local_rank, masks, mpi: None };
                let world = World::connected(config, Box::new(transport), node)?;
                let ending = Ending(&world);
                let result = program(&world);
                std::mem::forget(ending);
                end(&world)?;
                Ok(result)
            })
        };
        let threads: Vec<_> = in_process::connect(ranks, seed).into_iter().map(start).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Waits for the end of all ranks; whatever others still do meanwhile fails on them, and its error is returned here.
fn end(world: &World) -> Result<()> {
    let ended = world.shut_down();
    if matches!(ended, Err(Error::Divergence { .. })) {
        // This rank's own error is the first.
        let _ = end(world);
    }
    ended
}

/// Ends the other ranks' waits if a program panics.
struct Ending<'a>(&'a World);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.abort(1);
    }
}
