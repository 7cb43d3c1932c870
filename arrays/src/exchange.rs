//! Steps that ranks take together outside of graphs, and work that a rank's workers do without others.
//!
//! Never here: what the bytes are.

use crate::error::{Error, Result};
use girih_runtime::world::World;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Brings parcel r of each rank to rank r; what comes is in the order of ranks. Collective.
///
/// Cost: a word for each pair of ranks, and the parcels for others, each once.
///
/// # Errors
/// This rank's own error, if it has no parcels; on the others that rank and its text. As `World::all_to_all_bytes`.
pub(crate) fn exchange(world: &World, parcels: Result<Vec<Vec<u8>>>) -> Result<Vec<Vec<u8>>> {
    if world.size() == 1 {
        return parcels;
    }
    let parcels = agreed(world, parcels)?;
    Ok(world.all_to_all_bytes(parcels)?)
}

/// Runs something `count` times on this rank's workers; the results in order. Sends nothing.
///
/// # Errors
/// Local: `Error::Runtime` if one of them panics.
pub(crate) fn on_workers<T: Send + 'static>(
    world: &World,
    label: &'static str,
    count: usize,
    run: impl Fn(usize) -> T + Send + Sync + 'static,
) -> Result<Vec<T>> {
    if count <= 1 || world.workers() == 1 {
        return Ok((0..count).map(run).collect());
    }
    let results: Arc<Vec<Mutex<Option<T>>>> = Arc::new((0..count).map(|_| Mutex::new(None)).collect());
    // Workers let go of a graph at their next look for work; what `run` holds open must be closed before.
    let run = Arc::new(RwLock::new(Some(run)));
    let mut graph = world.graph(label);
    for index in 0..count {
        let (results, run) = (Arc::clone(&results), Arc::clone(&run));
        graph.task(label, world.rank(), world.domain_of_tile(index, count), &[], || {
            Box::new(move |_| {
                let run = run.read().unwrap_or_else(PoisonError::into_inner);
                *locked(&results[index]) = Some(run.as_ref().expect("there until all have run")(index));
                Ok(())
            })
        })?;
    }
    let outcome = world.run(&Arc::new(graph.finish()?));
    *run.write().unwrap_or_else(PoisonError::into_inner) = None;
    outcome?;
    let taken = results.iter().map(|result| locked(result).take().expect("each task leaves its result"));
    Ok(taken.collect())
}

/// Fails on all ranks if it failed on one. Collective.
///
/// # Errors
/// This rank's own error; on the others that rank and its text.
pub(crate) fn agreed<T>(world: &World, outcome: Result<T>) -> Result<T> {
    let told = outcome.as_ref().map(|_| ()).map_err(Error::to_string);
    let all = world.agree(told);
    let value = outcome?;
    all?;
    Ok(value)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
