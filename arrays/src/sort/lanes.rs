//! Lanes: lines of elements that are sorted each on its own, as keys, and the elements that come back.

use super::buckets;
use super::key::{Key, Order};
use super::radix;
use super::runs::{Entry, Numbered, cuts, merge};
use crate::error::Result;
use crate::exchange::on_workers;
use bytemuck::{bytes_of, pod_read_unaligned};
use girih_runtime::world::World;
use std::sync::{Arc, Mutex, PoisonError};

/// Shorter lanes are sorted by one worker.
const SHARED_MIN: usize = 1 << 15;

/// The keys of elements that follow one another.
pub(super) fn keys<K: Key>(bytes: &[u8], order: Order, merged: bool) -> impl Iterator<Item = K> {
    bytes.chunks_exact(size_of::<K>()).map(move |bits| order.key(pod_read_unaligned::<K>(bits), merged))
}

/// The keys of lane `lane` of `lanes`, which lie beside one another in rows.
pub(super) fn column<K: Key>(bytes: &[u8], order: Order, lane: usize, lanes: usize, merged: bool) -> Vec<K> {
    if lanes == 1 {
        return keys(bytes, order, merged).collect();
    }
    let elements = bytes.chunks_exact(size_of::<K>()).skip(lane).step_by(lanes);
    elements.map(|bits| order.key(pod_read_unaligned::<K>(bits), merged)).collect()
}

pub(super) fn numbered<K: Key>(keys: Vec<K>, first: u64) -> Vec<Numbered<K>> {
    keys.into_iter().zip(first..).map(|(key, number)| Numbered { key, number }).collect()
}

/// Sorts lanes, each on its own, on all workers.
pub(super) fn sorted<E: Entry>(world: &World, lanes: Vec<Vec<E>>) -> Result<Vec<Vec<E>>> {
    let workers = world.workers();
    if let [lane] = &lanes[..]
        && lane.len() >= SHARED_MIN
        && workers > 1
    {
        let pieces = lane.chunks(lane.len().div_ceil(4 * workers)).map(<[E]>::to_vec).collect();
        return Ok(vec![buckets::sorted(world, pieces)?.concat()]);
    }
    let lanes: Arc<Vec<Mutex<Vec<E>>>> = Arc::new(lanes.into_iter().map(Mutex::new).collect());
    let jobs = lanes.len().min(4 * workers);
    on_workers(world, "sort", jobs, move |job| {
        let mine = (job..lanes.len()).step_by(jobs);
        let sort = |lane: usize| {
            let mut lane = std::mem::take(&mut *lanes[lane].lock().unwrap_or_else(PoisonError::into_inner));
            radix::sort(&mut lane);
            lane
        };
        mine.map(sort).collect::<Vec<_>>()
    })
    .map(|sorted| {
        let count = sorted.iter().map(Vec::len).sum();
        let mut sorted: Vec<_> = sorted.into_iter().map(Vec::into_iter).collect();
        (0..count).map(|lane| sorted[lane % jobs].next().expect("jobs took lanes in turn")).collect()
    })
}

/// Sorted runs as one, by all workers.
pub(super) fn merged<E: Entry>(world: &World, runs: Vec<Vec<E>>) -> Result<Vec<E>> {
    let total: usize = runs.iter().map(Vec::len).sum();
    let jobs = if total < SHARED_MIN { 1 } else { world.workers() };
    let runs = Arc::new(runs);
    let parts = on_workers(world, "merge", jobs, move |job| {
        let runs: Vec<&[E]> = runs.iter().map(Vec::as_slice).collect();
        let (from, to) = (cuts(&runs, total * job / jobs), cuts(&runs, total * (job + 1) / jobs));
        let cut: Vec<&[E]> =
            runs.iter().zip(from.into_iter().zip(to)).map(|(run, (from, to))| &run[from..to]).collect();
        merge(&cut)
    })?;
    Ok(if parts.len() == 1 { parts.into_iter().next().unwrap_or_default() } else { parts.concat() })
}

/// Writes what came of lane `lane` of `lanes` among the others.
pub(super) fn into_column<K: Key>(out: &mut [u8], lane: usize, lanes: usize, values: impl Iterator<Item = K>) {
    if lanes == 1 {
        for (out, value) in out.chunks_exact_mut(size_of::<K>()).zip(values) {
            out.copy_from_slice(bytes_of(&value));
        }
        return;
    }
    for (out, value) in out.chunks_exact_mut(size_of::<K>()).skip(lane).step_by(lanes).zip(values) {
        out.copy_from_slice(bytes_of(&value));
    }
}
