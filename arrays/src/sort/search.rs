//! Places in sorted arrays, and counts of small integers.

use super::by_key;
use super::key::{Key, Order};
use super::lanes::column;
use crate::array::{Array, room};
use crate::distribution::Layout;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::exchange::{agreed, exchange, on_workers};
use crate::shape::Shape;
use bytemuck::{cast_slice, pod_read_unaligned};
use girih_runtime::comm::Reduction;
use std::sync::Arc;

/// Fewer values are looked for by one worker.
const SHARED_MIN: usize = 1 << 13;

impl Array {
    /// For each value the place in this sorted array before which it belongs; behind equal ones if `right`.
    ///
    /// Both have one dtype. Cost: nothing if this array is whole everywhere; else each value travels to the rank
    /// that has its place, and eight bytes back. Collective unless both are small.
    ///
    /// # Errors
    /// Replicated: `Error::Shape` if the array has not one axis; `Error::Type` if dtypes differ.
    pub fn search_sorted(&self, values: &Array, right: bool) -> Result<Array> {
        if self.shape().len() != 1 {
            return Err(Error::Shape("object too deep for desired array".to_string()));
        }
        if self.dtype() != values.dtype() {
            return Err(Error::Type(format!("{} was looked for in {}", values.dtype(), self.dtype())));
        }
        by_key!(self.dtype(), found(self, values, right))
    }

    /// How often each of the integers 0 to `bins - 1` stands in the array; whole on every rank.
    ///
    /// Cost: all-reduces `bins` words. Collective if the array's rows are spread.
    ///
    /// # Errors
    /// Replicated: `Error::Shape` if an element is none of them.
    pub fn count_integers(&self, bins: usize) -> Result<Array> {
        let numbers = self.astype(DType::Int64)?;
        let cells: Vec<_> = numbers.part()?.tiles().iter().map(|tile| Arc::clone(&tile.cell)).collect();
        let jobs = cells.len().min(self.world().workers());
        let counted = on_workers(self.world(), "count", jobs, move |job| {
            let mut counts = vec![0_i64; bins + 1];
            for cell in &cells[cells.len() * job / jobs..cells.len() * (job + 1) / jobs] {
                for &number in cell.read().of::<i64>() {
                    let bin = usize::try_from(number).unwrap_or(bins).min(bins);
                    counts[bin] += 1;
                }
            }
            counts
        })?;
        let mut counts = vec![0_i64; bins + 1];
        counted.iter().for_each(|own| counts.iter_mut().zip(own).for_each(|(count, own)| *count += own));
        if numbers.layout() == Layout::Rows {
            self.world().all_reduce(Reduction::SumI64, &mut counts)?;
        }
        if counts[bins] > 0 {
            return Err(Error::Shape("an element to count is no bin's number".to_string()));
        }
        Array::from_slice(self.world(), &[bins], &counts[..bins])
    }

    /// The sums of weights over equal numbers from 0 to `bins - 1`; whole on every rank.
    ///
    /// The weights are added as fixed-point numbers of 128 bits, which has no order; error at most 2⁻⁶⁰ of the
    /// greatest weight for each addition, and one rounding. Cost: all-reduces four words a bin.
    ///
    /// # Errors
    /// Replicated: `Error::Shape` if the shapes differ or an element is no bin's number.
    pub fn add_by_integer(&self, weights: &Array, bins: usize) -> Result<Array> {
        if self.shape() != weights.shape() {
            return Err(Error::Shape("The weights and list don't have the same length.".to_string()));
        }
        let (numbers, weights) = (self.astype(DType::Int64)?, weights.astype(DType::Float64)?);
        let sums = super::fixed::sums(&numbers, &weights, bins)?;
        Array::from_slice(self.world(), &[bins], &sums)
    }
}

fn found<K: Key>(sorted: &Array, values: &Array, right: bool) -> Result<Array> {
    let (world, order) = (sorted.world(), Order::of(sorted.dtype()));
    let keys = column::<K>(&sorted.part()?.to_bytes(), order, 0, 1, true);
    let wanted = column::<K>(&values.part()?.to_bytes(), order, 0, 1, true);
    let places: Vec<u64> = if sorted.layout() == Layout::Replicated || world.size() == 1 {
        let (keys, jobs) = (Arc::new(keys), if wanted.len() < SHARED_MIN { 1 } else { 4 * world.workers() });
        let wanted = Arc::new(wanted);
        let parts = on_workers(world, "search", jobs, move |job| {
            let mine = &wanted[wanted.len() * job / jobs..wanted.len() * (job + 1) / jobs];
            mine.iter().map(|&key| place(&keys, key, right)).collect::<Vec<u64>>()
        })?;
        parts.concat()
    } else {
        // The greatest key of each rank; a rank without elements has none, and no value is looked for there.
        let last: Vec<u8> = keys.last().map_or(Vec::new(), |key| bytemuck::bytes_of(key).to_vec());
        let last: Vec<Option<K>> = world
            .all_gather_bytes(last)?
            .iter()
            .map(|bytes| (!bytes.is_empty()).then(|| pod_read_unaligned(bytes)))
            .collect();
        let holder = |key: K| {
            let beyond = |last: &Option<K>| last.is_some_and(|last| if right { last > key } else { last >= key });
            last.iter().position(beyond)
        };
        let whole = values.layout() == Layout::Replicated;
        let first = sorted.local_rows().start as u64;
        let mut asked = vec![Vec::new(); world.size()];
        let me = world.rank().index();
        for &key in &wanted {
            if let Some(holder) = holder(key) {
                asked[if whole { me } else { holder }].extend_from_slice(bytemuck::bytes_of(&key));
            }
        }
        let answer = |asked: &Vec<u8>| -> Vec<u8> {
            asked
                .chunks_exact(size_of::<K>())
                .flat_map(|key| (first + place(&keys, pod_read_unaligned(key), right)).to_le_bytes())
                .collect()
        };
        let answered = if whole {
            // All ranks know all values: each answers for those that it holds, and all hear all answers.
            let mine: Vec<u8> = wanted
                .iter()
                .filter(|&&key| holder(key) == Some(me))
                .flat_map(|key| bytemuck::bytes_of(key).to_vec())
                .collect();
            world.all_gather_bytes(answer(&mine))?
        } else {
            let asked = exchange(world, Ok(asked))?;
            exchange(world, Ok(asked.iter().map(answer).collect()))?
        };
        let mut next = vec![0; world.size()];
        let total = sorted.shape()[0] as u64;
        let take = |&key: &K| {
            holder(key).map_or(total, |holder| {
                next[holder] += 8;
                pod_read_unaligned(&answered[holder][next[holder] - 8..next[holder]])
            })
        };
        wanted.iter().map(take).collect()
    };
    beside(values, DType::Int64, cast_slice(&places))
}

/// The place in sorted keys before which one belongs; behind equal ones if `right`.
fn place<K: Key>(keys: &[K], key: K, right: bool) -> u64 {
    match right {
        true => keys.partition_point(|&one| one <= key) as u64,
        false => keys.partition_point(|&one| one < key) as u64,
    }
}

/// Elements that this rank made of those it has of an array, one for each, as an array of that shape.
fn beside(like: &Array, dtype: DType, bytes: &[u8]) -> Result<Array> {
    let (world, shape) = (like.world(), Shape::new(like.shape())?);
    match (like.layout(), Layout::of(&shape, dtype)) {
        (Layout::Replicated, _) => Array::from_bytes(world, &shape, dtype, bytes),
        (Layout::Rows, Layout::Replicated) => {
            Array::from_local(world, &[&[like.local_rows().len()], &shape[1..]].concat(), dtype, bytes)
        }
        (Layout::Rows, Layout::Rows) => {
            let part = agreed(world, room(world, &shape, dtype))?;
            part.fill(bytes);
            Ok(Array::ready(world, shape, dtype, part))
        }
    }
}
