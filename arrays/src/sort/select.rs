//! Elements by their rank in order, without sorting: for medians and quantiles.
//!
//! A rank selects among what it has. Between ranks, all count their candidates by the next bits of the key; only
//! those that share the bits of the element looked for stay candidates.
//! Traffic: for each element looked for, 2 KiB for every 8 bits of the key; no element travels.

use super::key::{Key, Order};
use super::{by_key, lanes};
use crate::array::Array;
use crate::distribution::Layout;
use crate::error::{Error, Result};
use crate::exchange::on_workers;
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
    let bytes = Arc::new(array.part()?.to_bytes());
    let spread = array.layout() == Layout::Rows && world.size() > 1;
    let found: Vec<K> = if spread {
        let columns: Vec<Arc<Vec<K>>> =
            (0..lanes).map(|lane| Arc::new(lanes::column(&bytes, order, lane, lanes, false))).collect();
        among_ranks(world, &columns, places)?
    } else {
        let places = places.to_vec();
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
