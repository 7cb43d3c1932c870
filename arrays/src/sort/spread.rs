//! Sorting what lies on many ranks: exact splitters, and one exchange.
//!
//! Every lane has as many entries before a rank's first row as the rows before it, to the entry: so what arrives is
//! what the rank is to hold. Splitters are found by counting: in each round all ranks count their entries below some
//! keys for every boundary, and the sums narrow the range of keys.

use super::key::Key;
use super::lanes;
use super::runs::{Entry, Numbered, count};
use crate::array::Array;
use crate::error::Result;
use crate::exchange::exchange;
use bytemuck::{cast_slice, pod_read_unaligned};
use girih_runtime::comm::Reduction;
use girih_runtime::ids::Rank;
use girih_runtime::world::World;

/// Bits of a key that one round finds, where there are few boundaries.
const ROUND_BITS_MAX: u32 = 5;
/// Words of one round, above which it finds fewer bits.
const ROUND_WORDS_MAX: usize = 1 << 12;

/// What travels as bytes.
pub(super) trait Parcel: Entry {
    const BYTES: usize;
    fn write(entries: &[Self], bytes: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Vec<Self>;
}

impl<K: Key> Parcel for K {
    const BYTES: usize = size_of::<K>();

    fn write(entries: &[K], bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(cast_slice(entries));
    }

    fn read(bytes: &[u8]) -> Vec<K> {
        bytes.chunks_exact(size_of::<K>()).map(pod_read_unaligned).collect()
    }
}

impl<K: Key> Parcel for Numbered<K> {
    const BYTES: usize = size_of::<K>() + 8;

    fn write(entries: &[Numbered<K>], bytes: &mut Vec<u8>) {
        entries.iter().for_each(|entry| bytes.extend_from_slice(bytemuck::bytes_of(&entry.key)));
        entries.iter().for_each(|entry| bytes.extend_from_slice(&entry.number.to_le_bytes()));
    }

    fn read(bytes: &[u8]) -> Vec<Numbered<K>> {
        let (keys, numbers) = bytes.split_at(bytes.len() / Self::BYTES * size_of::<K>());
        let pair = |(key, number)| Numbered { key: pod_read_unaligned(key), number: pod_read_unaligned(number) };
        keys.chunks_exact(size_of::<K>()).zip(numbers.chunks_exact(8)).map(pair).collect()
    }
}

/// Lanes of this rank's entries, in order of rows, as the rows that this rank has of the sorted lanes. Collective.
pub(super) fn sorted<E: Parcel>(array: &Array, lanes: Vec<Vec<E>>) -> Result<Vec<Vec<E>>> {
    let world = array.world();
    let lanes = lanes::sorted(world, lanes)?;
    if world.size() == 1 {
        return Ok(lanes);
    }
    let boundaries: Vec<usize> = (1..world.size()).map(|rank| array.rows_of(Rank::from(rank)).start).collect();
    let cuts = splitters(world, &lanes, &boundaries)?;
    let mut parcels = Vec::with_capacity(world.size());
    for rank in 0..world.size() {
        let mut lengths = Vec::with_capacity(8 * lanes.len());
        let mut bytes = Vec::new();
        for (lane, cuts) in lanes.iter().zip(&cuts) {
            let from = if rank == 0 { 0 } else { cuts[rank - 1] };
            let to = cuts.get(rank).copied().unwrap_or(lane.len());
            // The length of a single lane is that of the parcel.
            if lanes.len() > 1 {
                lengths.extend_from_slice(&(((to - from) * E::BYTES) as u64).to_le_bytes());
            }
            E::write(&lane[from..to], &mut bytes);
        }
        lengths.extend_from_slice(&bytes);
        parcels.push(lengths);
    }
    let count = lanes.len();
    drop(lanes);
    let arrived = exchange(world, Ok(parcels))?;
    let mut rest: Vec<(&[u8], &[u8])> = arrived
        .iter()
        .map(|parcel| parcel.split_at(if count > 1 && !parcel.is_empty() { 8 * count } else { 0 }))
        .collect();
    let mut merged = Vec::with_capacity(count);
    for lane in 0..count {
        let runs = rest.iter_mut().map(|(lengths, bytes)| {
            let length = lengths
                .get(8 * lane..8 * lane + 8)
                .map_or(bytes.len(), |length| pod_read_unaligned::<u64>(length) as usize);
            let (run, behind) = bytes.split_at(length);
            *bytes = behind;
            E::read(run)
        });
        merged.push(lanes::merged(world, runs.collect())?);
    }
    Ok(merged)
}

/// For each lane, where this rank's sorted entries are cut so that those before each boundary are as many, over all
/// ranks, as its place says; of equal entries those of earlier ranks come first. Collective.
fn splitters<E: Entry>(world: &World, lanes: &[Vec<E>], boundaries: &[usize]) -> Result<Vec<Vec<usize>>> {
    let keys = keys_at(world, lanes, boundaries)?;
    let each = || lanes.iter().enumerate().flat_map(|(lane, _)| (0..boundaries.len()).map(move |at| (lane, at)));
    let counts: Vec<(usize, usize)> =
        each().map(|(lane, at)| count(&lanes[lane], keys[lane * boundaries.len() + at])).collect();
    let mut less: Vec<i64> = counts.iter().map(|count| count.0 as i64).collect();
    let mut before: Vec<i64> = counts.iter().map(|count| (count.1 - count.0) as i64).collect();
    world.all_reduce(Reduction::SumI64, &mut less)?;
    world.exclusive_scan(Reduction::SumI64, &mut before)?;
    let mut cuts = vec![Vec::with_capacity(boundaries.len()); lanes.len()];
    for (number, (lane, at)) in each().enumerate() {
        let (below, upto) = counts[number];
        let equal = boundaries[at] as i64 - less[number] - before[number];
        cuts[lane].push(below + equal.clamp(0, (upto - below) as i64) as usize);
    }
    Ok(cuts)
}

/// For each lane and each place, the key that stands there when the lanes of all ranks are sorted. Collective.
fn keys_at<E: Entry>(world: &World, lanes: &[Vec<E>], places: &[usize]) -> Result<Vec<E::Key>> {
    let wanted = lanes.len() * places.len();
    let mut bits = ROUND_BITS_MAX;
    while bits > 1 && wanted << bits > ROUND_WORDS_MAX {
        bits -= 1;
    }
    let mut found = vec![0_u128; wanted];
    let mut left = E::Key::BITS;
    while left > 0 {
        let round = bits.min(left);
        left -= round;
        let tried = (1_usize << round) - 1;
        let mut below = Vec::with_capacity(wanted * tried);
        for (number, &prefix) in found.iter().enumerate() {
            let lane = &lanes[number / places.len()];
            let key = |digit: usize| E::Key::narrow(prefix | (digit as u128) << left);
            below.extend((1..=tried).map(|digit| count(lane, key(digit)).0 as i64));
        }
        world.all_reduce(Reduction::SumI64, &mut below)?;
        for (number, prefix) in found.iter_mut().enumerate() {
            let place = places[number % places.len()] as i64;
            let digit = below[number * tried..(number + 1) * tried].partition_point(|&below| below <= place);
            *prefix |= (digit as u128) << left;
        }
    }
    Ok(found.into_iter().map(E::Key::narrow).collect())
}
