//! A long lane split into buckets, each of which is sorted within the second-level cache.
//!
//! Buckets follow one another in the order of keys, and entries keep their order within a bucket: so sorting every
//! bucket sorts the lane, and entries with equal keys keep their order. Where buckets begin is guessed from a sample
//! and shows in no result. A sample sort as in Sanders and Winkel, "Super Scalar Sample Sort" (ESA 2004).

use super::key::{Key, Order};
use super::radix;
use super::runs::Entry;
use crate::error::Result;
use crate::exchange::on_workers;
use crate::tile::Tile;
use bytemuck::pod_read_unaligned;
use girih_runtime::world::World;
use std::sync::{Arc, Mutex, PoisonError};

/// Levels of the tree of splitters; a bucket's number is a byte.
const LEVELS: u32 = 8;
pub(super) const BUCKETS: usize = 1 << LEVELS;
/// Entries that are looked at for each bucket.
const SAMPLES: usize = 16;
/// Keys of a tile that are looked at in one go.
const RUN: usize = 4096;
/// Entries whose way down the tree is followed at once.
const ABREAST: usize = 8;

/// The keys between buckets, as a perfect binary tree: below node i are the nodes 2i and 2i + 1.
pub(super) struct Splitters<K> {
    tree: [K; BUCKETS],
}

/// Where each bucket begins among entries, and where the last one ends.
pub(super) type Starts = [usize; BUCKETS + 1];

impl<K: Key> Splitters<K> {
    /// Splitters for pieces of these lengths, which have these keys at these places.
    pub(super) fn of(lengths: &[usize], key: impl Fn(usize, usize) -> K) -> Splitters<K> {
        let stride = (lengths.iter().sum::<usize>() / (SAMPLES * BUCKETS)).max(1);
        let mut sample: Vec<K> = Vec::with_capacity(SAMPLES * BUCKETS + lengths.len());
        for (piece, &length) in lengths.iter().enumerate() {
            for first in (0..length).step_by(stride) {
                // Not every so many: data that repeat themselves would show the same part each time.
                let jump = (sample.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
                sample.push(key(piece, first + jump as usize % stride.min(length - first)));
            }
        }
        sample.sort_unstable();
        let splitter = |number: usize| sample[(number + 1) * sample.len() / BUCKETS];
        let mut tree = [splitter(0); BUCKETS];
        for (node, key) in tree.iter_mut().enumerate().skip(1) {
            let level = node.ilog2();
            *key = splitter(((2 * (node - (1 << level)) + 1) << (LEVELS - 1 - level)) - 1);
        }
        Splitters { tree }
    }

    /// Splitters for elements in tiles.
    pub(super) fn of_tiles(tiles: &[Tile], order: Order) -> Splitters<K> {
        let lengths: Vec<usize> = tiles.iter().map(|tile| tile.cell.bytes() / size_of::<K>()).collect();
        Splitters::of(&lengths, |tile, at| {
            let bytes = tiles[tile].cell.read();
            order.key(pod_read_unaligned(&bytes[at * size_of::<K>()..][..size_of::<K>()]), false)
        })
    }

    /// Finds the buckets of entries.
    fn find<E: Entry<Key = K>>(&self, entries: &[E], buckets: &mut [u8]) {
        let (abreast, rest) = entries.as_chunks::<ABREAST>();
        let (found, found_of_rest) = buckets.as_chunks_mut::<ABREAST>();
        for (entries, found) in abreast.iter().zip(found) {
            *found = self.found(entries.map(Entry::key)).map(|node| (node % BUCKETS) as u8);
        }
        for (entry, found) in rest.iter().zip(found_of_rest) {
            let [node] = self.found([entry.key()]);
            *found = (node % BUCKETS) as u8;
        }
    }

    #[inline(always)]
    fn found<const N: usize>(&self, keys: [K; N]) -> [usize; N] {
        let mut nodes = [1; N];
        for _ in 0..LEVELS {
            for (node, key) in nodes.iter_mut().zip(keys) {
                *node = 2 * *node + usize::from(self.tree[*node % BUCKETS] <= key);
            }
        }
        nodes
    }

    /// Calls for runs of a tile's keys, with their buckets.
    pub(super) fn runs(&self, tile: &[u8], order: Order, mut each: impl FnMut(&[K], &[u8])) {
        let (mut keys, mut buckets) = (Vec::with_capacity(RUN), [0; RUN]);
        for bytes in tile.chunks(RUN * size_of::<K>()) {
            keys.clear();
            order.append(bytes, &mut keys);
            let buckets = &mut buckets[..keys.len()];
            self.find(&keys, buckets);
            each(&keys, buckets);
        }
    }

    /// Writes the keys of a tile by buckets to `split`, which has room for as many.
    pub(super) fn split_tile(&self, tile: &[u8], order: Order, split: &mut [K]) -> Starts {
        let mut buckets = Vec::with_capacity(split.len());
        self.runs(tile, order, |_, found| buckets.extend_from_slice(found));
        let (starts, mut keys) = (starts(&buckets), Vec::with_capacity(RUN));
        let mut next = starts;
        for (bytes, buckets) in tile.chunks(RUN * size_of::<K>()).zip(buckets.chunks(RUN)) {
            keys.clear();
            order.append(bytes, &mut keys);
            place(&keys, buckets, &mut next, split);
        }
        starts
    }

    /// Writes entries by buckets to `split`, which has room for as many.
    pub(super) fn split<E: Entry<Key = K>>(&self, entries: &[E], split: &mut [E]) -> Starts {
        let mut buckets = vec![0; entries.len()];
        self.find(entries, &mut buckets);
        let starts = starts(&buckets);
        place(entries, &buckets, &mut starts.clone(), split);
        starts
    }
}

/// Writes entries to where the next ones of their buckets go.
fn place<E: Entry>(entries: &[E], buckets: &[u8], next: &mut Starts, split: &mut [E]) {
    for (&entry, &bucket) in entries.iter().zip(buckets) {
        let place = &mut next[usize::from(bucket)];
        split[*place] = entry;
        *place += 1;
    }
}

/// Where buckets begin among entries that lie in these.
pub(super) fn starts(buckets: &[u8]) -> Starts {
    let mut starts = [0; BUCKETS + 1];
    buckets.iter().for_each(|&bucket| starts[usize::from(bucket) + 1] += 1);
    for bucket in 0..BUCKETS {
        starts[bucket + 1] += starts[bucket];
    }
    starts
}

/// Sorts entries; of equal keys, numbered ones must come in the order of their numbers.
///
/// Cost: two passes over the entries, and those of [`radix::sort_near`] over each bucket; room for as many again.
pub(super) fn sort<E: Entry>(entries: &mut [E]) {
    let mut split = entries.to_vec();
    let splitters = Splitters::of(&[entries.len()], |_, place| entries[place].key());
    let starts = splitters.split(entries, &mut split);
    let (mut sorted, mut room) = (Vec::new(), Vec::new());
    for bucket in starts.windows(2).map(|ends| ends[0]..ends[1]) {
        sorted.clear();
        sorted.extend_from_slice(&split[bucket.clone()]);
        radix::sort_near(&mut sorted, &mut room);
        entries[bucket].copy_from_slice(&sorted);
    }
}

/// Sorts one lane, which lies in pieces, on all workers; the result in buckets that follow one another.
///
/// Cost: as [`sort`], shared by the workers.
///
/// # Errors
/// As [`on_workers`].
pub(super) fn sorted<E: Entry>(world: &World, pieces: Vec<Vec<E>>) -> Result<Vec<Vec<E>>> {
    let lengths: Vec<usize> = pieces.iter().map(Vec::len).collect();
    let splitters = Splitters::of(&lengths, |piece, place| pieces[piece][place].key());
    let pieces: Vec<Mutex<Vec<E>>> = pieces.into_iter().map(Mutex::new).collect();
    let splits = on_workers(world, "split", pieces.len(), move |piece| {
        let entries = std::mem::take(&mut *pieces[piece].lock().unwrap_or_else(PoisonError::into_inner));
        let mut split = entries.clone();
        let starts = splitters.split(&entries, &mut split);
        (split, starts)
    })?;
    let splits = Arc::new(splits);
    on_workers(world, "sort", BUCKETS, move |bucket| {
        let parts = splits.iter().map(|(split, starts)| &split[starts[bucket]..starts[bucket + 1]]);
        let mut entries = parts.collect::<Vec<_>>().concat();
        radix::sort_near(&mut entries, &mut Vec::new());
        entries
    })
}

#[cfg(test)]
mod tests {
    use super::super::runs::Numbered;
    use super::*;

    #[track_caller]
    fn check(key: impl Fn(u64) -> u64) {
        let length = 300_001;
        let numbered = (0..length).map(|number| Numbered { key: key(number), number });
        let mut entries: Vec<Numbered<u64>> = numbered.collect();
        let mut expected = entries.clone();
        expected.sort();
        sort(&mut entries);
        assert!(entries == expected, "entries are sorted, and equal keys keep their order");
    }

    #[test]
    fn keys_of_any_spread_are_sorted_and_equal_ones_keep_their_order() {
        let mixed = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        check(mixed);
        check(|at| mixed(at) % 3);
        check(|_| 7);
        check(|at| at);
        check(|at| u64::MAX - at / 1000);
        check(|at| if at % 1000 == 0 { mixed(at) } else { 1 << 40 });
        check(|at| 1 << (mixed(at) % 64));
    }

    #[test]
    fn buckets_are_divided_by_the_splitters() {
        let entries: Vec<u32> = (0..100_000_u32).map(|at| at.wrapping_mul(2_654_435_761) % 50_000).collect();
        let mut split = entries.clone();
        let starts = Splitters::of(&[entries.len()], |_, place| entries[place]).split(&entries, &mut split);
        for bucket in 1..BUCKETS {
            let (before, within) = (&split[..starts[bucket]], &split[starts[bucket]..starts[bucket + 1]]);
            assert!(before.iter().max() <= within.iter().min() || within.is_empty());
        }
        let longest = starts.windows(2).map(|ends| ends[1] - ends[0]).max().unwrap();
        assert!(longest < 4 * entries.len() / BUCKETS, "a bucket has {longest} of {} entries", entries.len());
    }
}
