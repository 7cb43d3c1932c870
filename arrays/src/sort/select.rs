//! Elements by their rank in order, without sorting: for medians and quantiles.
//!
//! A rank selects among what it has: of a long lane, among the buckets in which the elements lie. Between ranks, all
//! count their candidates by the next bits of the key; only those that share the bits of the element looked for stay
//! candidates.
//! Traffic: for each element looked for, 2 KiB for every 8 bits of the key; no element travels.

use super::buckets::{BUCKETS, Splitters};
use super::key::{Key, Order};
use super::{by_key, lanes};
use crate::array::Array;
use crate::distribution::Layout;
use crate::error::{Error, Result};
use crate::exchange::on_workers;
use crate::tile::Tile;
use bytemuck::cast_slice;
use girih_runtime::comm::Reduction;
use girih_runtime::world::World;
use std::sync::Arc;

const ROUND_BITS: u32 = 8;
/// Elements looked for at once, above which a round finds fewer bits.
const WIDE_ROUNDS_MAX: usize = 16;

impl Array {
    /// The elements that stand at `places` when each lane is sorted; a lane is every `lanes`-th element.
    ///
    /// The result has shape (lanes, places) and is whole on every rank. Collective if the array's rows are spread.
    ///
    /// # Errors
    /// Replicated: `Error::Shape` if the elements are not so many lanes, or a lane has no such place.
    pub fn select_sorted(&self, lanes: usize, places: &[usize]) -> Result<Array> {
        let elements: usize = self.shape().iter().product();
        let last = self.shape().iter().skip(1).product::<usize>();
        if lanes == 0 || last % lanes != 0 && elements != last {
            return Err(Error::Shape(format!("rows of {last} elements are not {lanes} lanes")));
        }
        if places.iter().any(|&place| place >= elements / lanes) {
            return Err(Error::Shape("a place beyond the end of a lane was asked for".to_string()));
        }
        by_key!(self.dtype(), selected(self, lanes, places))
    }
}

fn selected<K: Key>(array: &Array, lanes: usize, places: &[usize]) -> Result<Array> {
    let (world, order) = (array.world(), Order::of(array.dtype()));
    let part = array.part()?;
    let rows = array.layout() == Layout::Rows;
    let found: Vec<K> = if rows && world.size() > 1 {
        let bytes = part.to_bytes();
        let columns: Vec<Arc<Vec<K>>> =
            (0..lanes).map(|lane| Arc::new(lanes::column(&bytes, order, lane, lanes, false))).collect();
        among_ranks(world, &columns, places)?
    } else if rows && lanes == 1 {
        among_tiles(world, part.tiles(), order, places)?
    } else {
        let (bytes, places) = (part.to_bytes(), places.to_vec());
        on_workers(world, "select", lanes, move |lane| {
            let mut keys = lanes::column::<K>(&bytes, order, lane, lanes, false);
            let select = |&place: &usize| *keys.select_nth_unstable(place).1;
            places.iter().map(select).collect::<Vec<K>>()
        })?
        .concat()
    };
    let bits: Vec<K> = found.into_iter().map(|key| order.bits(key)).collect();
    Array::from_bytes(world, &[lanes, places.len()], array.dtype(), cast_slice(&bits))
}

/// Of one lane in tiles, which all lie here.
///
/// Cost: two passes over the elements; room for those of the buckets in which there are places.
fn among_tiles<K: Key>(world: &World, tiles: &[Tile], order: Order, places: &[usize]) -> Result<Vec<K>> {
    let splitters = Arc::new(Splitters::<K>::of_tiles(tiles, order));
    let tiles = Arc::new(tiles.to_vec());
    let (count, of, splits) = (tiles.len(), Arc::clone(&tiles), Arc::clone(&splitters));
    let counts = on_workers(world, "count", count, move |tile| {
        let mut counts = [0; BUCKETS];
        let count = |_: &[K], buckets: &[u8]| buckets.iter().for_each(|&bucket| counts[usize::from(bucket)] += 1);
        splits.runs(&of[tile].cell.read(), order, count);
        counts
    })?;
    let mut ends = vec![0];
    for bucket in 0..BUCKETS {
        ends.push(ends[bucket] + counts.iter().map(|counts| counts[bucket]).sum::<usize>());
    }
    let bucket_of = |&place: &usize| ends.partition_point(|&end| end <= place) - 1;
    let mut wanted = [false; BUCKETS];
    places.iter().for_each(|place| wanted[bucket_of(place)] = true);
    let picked = on_workers(world, "pick", count, move |tile| {
        let mut picked = Vec::new();
        splitters.runs(&tiles[tile].cell.read(), order, |keys, buckets| {
            let pairs = keys.iter().copied().zip(buckets.iter().copied());
            picked.extend(pairs.filter(|(_, bucket)| wanted[usize::from(*bucket)]));
        });
        picked
    })?;
    let mut candidates = vec![Vec::new(); BUCKETS];
    picked.into_iter().flatten().for_each(|(key, bucket)| candidates[usize::from(bucket)].push(key));
    let found = places.iter().map(|place| {
        let bucket = bucket_of(place);
        *candidates[bucket].select_nth_unstable(place - ends[bucket]).1
    });
    Ok(found.collect())
}

/// A candidate list and what is known of the element looked for.
struct Search<K> {
    candidates: Arc<Vec<K>>,
    prefix: u128,
    /// The place among the candidates of all ranks.
    place: i64,
}

fn among_ranks<K: Key>(world: &World, lanes: &[Arc<Vec<K>>], places: &[usize]) -> Result<Vec<K>> {
    let search =
        |lane: &Arc<Vec<K>>, &place: &usize| Search { candidates: Arc::clone(lane), prefix: 0, place: place as i64 };
    let mut searches: Vec<Search<K>> =
        lanes.iter().flat_map(|lane| places.iter().map(move |place| search(lane, place))).collect();
    let bits = if searches.len() <= WIDE_ROUNDS_MAX { ROUND_BITS } else { ROUND_BITS / 2 };
    let mut left = K::BITS;
    while left > 0 {
        left -= bits;
        let digits = 1_usize << bits;
        let digit = |key: K| (key.wide() >> left) as usize & (digits - 1);
        let mut counts = vec![0_i64; searches.len() * digits];
        for (search, counts) in searches.iter().zip(counts.chunks_exact_mut(digits)) {
            search.candidates.iter().for_each(|&key| counts[digit(key)] += 1);
        }
        world.all_reduce(Reduction::SumI64, &mut counts)?;
        for (search, counts) in searches.iter_mut().zip(counts.chunks_exact(digits)) {
            let mut chosen = 0;
            while search.place >= counts[chosen] {
                search.place -= counts[chosen];
                chosen += 1;
            }
            search.prefix |= (chosen as u128) << left;
            search.candidates =
                Arc::new(search.candidates.iter().copied().filter(|&key| digit(key) == chosen).collect());
        }
    }
    Ok(searches.into_iter().map(|search| K::narrow(search.prefix)).collect())
}
