//! Sorting: values or their places, along any axis, with NumPy's order, and what follows from order.
//!
//! Rows on ranks are sorted by an exact sample sort: each rank sorts what it has, all find the keys at the places
//! where the result's rows change their rank, and one exchange brings every element to the rank that is to hold it.
//! Equal elements keep their order, so the result is the same bits on any number of ranks.
//! Traffic: the elements that change their rank, and some words for each boundary.

mod buckets;
mod distinct;
mod fixed;
mod key;
mod lanes;
mod radix;
mod runs;
mod search;
mod select;
mod spread;

use crate::array::{Array, room};
use crate::distribution::Layout;
use crate::dtype::DType;
use crate::error::Result;
use crate::exchange::{agreed, on_workers};
use crate::shape::{Shape, normalise_axis};
use crate::tile::Tile;
use buckets::{BUCKETS, Splitters};
use bytemuck::{bytes_of, cast_slice, cast_slice_mut};
use key::{Key, Order};
use runs::Entry;
use std::sync::Arc;

/// Calls a function of a key type by the size of elements.
macro_rules! by_key {
    ($dtype:expr, $call:ident($($argument:expr),* $(,)?)) => {
        match $dtype.bytes() {
            1 => $call::<u8>($($argument),*),
            2 => $call::<u16>($($argument),*),
            4 => $call::<u32>($($argument),*),
            8 => $call::<u64>($($argument),*),
            _ => $call::<u128>($($argument),*),
        }
    };
}
pub(crate) use by_key;

impl Array {
    /// Elements in ascending order along an axis.
    ///
    /// Cost: along rows, elements that change their rank travel once; along another axis nothing does.
    ///
    /// # Errors
    /// Replicated: `Error::Axis`.
    pub fn sort(&self, axis: i64) -> Result<Array> {
        self.ordered(axis, false)
    }

    /// The places along an axis at which elements lie in ascending order; of equal ones the first comes first.
    ///
    /// Cost: as [`Array::sort`], and eight bytes an element that travels.
    ///
    /// # Errors
    /// Replicated: `Error::Axis`.
    pub fn argsort(&self, axis: i64) -> Result<Array> {
        self.ordered(axis, true)
    }

    fn ordered(&self, axis: i64, places: bool) -> Result<Array> {
        let dimensions = self.shape().len();
        let axis = normalise_axis(axis, dimensions)?;
        let shape = Shape::new(self.shape())?;
        if shape.elements() == 0 {
            return if places { Array::zeros(self.world(), self.shape(), DType::Int64) } else { Ok(self.clone()) };
        }
        if axis == 0 && self.layout() == Layout::Rows && (self.world().size() > 1 || dimensions == 1) {
            return by_key!(self.dtype(), along_rows(self, places));
        }
        let last = dimensions - 1;
        let mut order: Vec<i64> = (0..dimensions as i64).collect();
        order.swap(axis, last);
        let turned = if axis == last { self.clone() } else { self.permute(&order)? };
        let sorted = by_key!(self.dtype(), along_last(&turned, places))?;
        if axis == last { Ok(sorted) } else { sorted.permute(&order) }
    }
}

/// Sorts the lines along the last axis, each where it is.
fn along_last<K: Key>(array: &Array, places: bool) -> Result<Array> {
    let (world, order) = (array.world(), Order::of(array.dtype()));
    let dtype = if places { DType::Int64 } else { array.dtype() };
    let shape = Shape::new(array.shape())?;
    let length = shape[shape.len() - 1];
    let source = array.part()?;
    // Places may be larger than the elements, and so lie by rows where those are whole.
    if shape.len() == 1 || Layout::of(&shape, dtype) != array.layout() {
        let mut out = vec![0; source.bytes() / array.dtype().bytes() * dtype.bytes()];
        sort_lines::<K>(&source.to_bytes(), &mut out, length, order, places);
        return match array.layout() {
            Layout::Replicated => Array::from_bytes(world, &shape, dtype, &out),
            Layout::Rows => {
                let lengths = [&[array.local_rows().len()], &shape[1..]].concat();
                Array::from_local(world, &lengths, dtype, &out)
            }
        };
    }
    let target = room(world, &shape, dtype);
    let target = if array.layout() == Layout::Rows { agreed(world, target)? } else { target? };
    let (from, to) = (source.tiles().to_vec(), target.tiles().to_vec());
    on_workers(world, "sort", to.len(), move |tile| {
        sort_lines::<K>(&from[tile].cell.read(), &mut to[tile].cell.write(), length, order, places);
    })?;
    Ok(Array::ready(world, shape, dtype, target))
}

fn sort_lines<K: Key>(from: &[u8], to: &mut [u8], length: usize, order: Order, places: bool) {
    let lines = from.chunks_exact(length * size_of::<K>());
    if places {
        for (line, out) in lines.zip(to.chunks_exact_mut(8 * length)) {
            let mut entries = lanes::numbered(lanes::column::<K>(line, order, 0, 1, true), 0);
            radix::sort(&mut entries);
            lanes::into_column(out, 0, 1, entries.into_iter().map(|entry| entry.number));
        }
        return;
    }
    for (line, out) in lines.zip(to.chunks_exact_mut(length * size_of::<K>())) {
        let mut keys = lanes::column::<K>(line, order, 0, 1, false);
        radix::sort(&mut keys);
        lanes::into_column(out, 0, 1, keys.into_iter().map(|key| order.bits(key)));
    }
}

/// Sorts one column that a single rank has: the keys of each tile by buckets, and from these the tiles of the result.
fn alone<K: Key>(array: &Array) -> Result<Array> {
    let (world, order, shape) = (array.world(), Order::of(array.dtype()), Shape::new(array.shape())?);
    let (source, target) = (array.part()?, room(world, &shape, array.dtype())?);
    let split = room(world, &shape, array.dtype())?;
    let (from, between, to) = (source.tiles().to_vec(), split.tiles().to_vec(), target.tiles().to_vec());
    let splitters = Splitters::<K>::of_tiles(&from, order);
    let into = between.clone();
    let starts = on_workers(world, "split", from.len(), move |tile| {
        splitters.split_tile(&from[tile].cell.read(), order, cast_slice_mut(&mut into[tile].cell.write()))
    })?;
    let ends: Vec<usize> = (0..=BUCKETS).map(|bucket| starts.iter().map(|starts| starts[bucket]).sum()).collect();
    // A bucket that lies across tiles is sorted once for all of them, the others where their tile is written.
    let across = |bucket: &usize| {
        let inner = ends[*bucket] + 1..ends[bucket + 1];
        to.iter().any(|tile| inner.contains(&tile.rows.start))
    };
    let shared: Vec<usize> = (0..BUCKETS).filter(across).collect();
    let sorted = Arc::new(move |bucket: usize, keys: &mut Vec<K>, room: &mut Vec<K>| {
        keys.clear();
        for (tile, starts) in between.iter().zip(&starts) {
            keys.extend(&cast_slice(&tile.cell.read())[starts[bucket]..starts[bucket + 1]]);
        }
        radix::sort_with(keys, room);
    });
    let (sort, buckets) = (Arc::clone(&sorted), shared.clone());
    let common = on_workers(world, "sort", shared.len(), move |at| {
        let mut keys = Vec::new();
        sort(buckets[at], &mut keys, &mut Vec::new());
        keys
    })?;
    on_workers(world, "sort", to.len(), move |tile| {
        let Tile { rows, cell } = &to[tile];
        let mut target = cell.write();
        let mut target = target.chunks_exact_mut(size_of::<K>());
        let (mut own, mut scratch) = (Vec::new(), Vec::new());
        let begun = ends.partition_point(|&end| end <= rows.start) - 1;
        for bucket in begun..ends.partition_point(|&end| end < rows.end) {
            let keys = match shared.binary_search(&bucket) {
                Ok(at) => &common[at],
                Err(_) => {
                    sorted(bucket, &mut own, &mut scratch);
                    &own
                }
            };
            let within = |row: usize| row.clamp(ends[bucket], ends[bucket + 1]) - ends[bucket];
            for (&key, out) in keys[within(rows.start)..within(rows.end)].iter().zip(&mut target) {
                out.copy_from_slice(bytes_of(&order.bits(key)));
            }
        }
    })?;
    Ok(Array::ready(world, shape, array.dtype(), target))
}

/// Sorts columns, whose elements lie on many ranks.
fn along_rows<K: Key>(array: &Array, places: bool) -> Result<Array> {
    if array.world().size() == 1 && array.shape().len() == 1 && !places {
        return alone::<K>(array);
    }
    let (world, order) = (array.world(), Order::of(array.dtype()));
    let part = array.part()?;
    let columns: usize = array.shape().iter().skip(1).product();
    let first = array.local_rows().start as u64;
    let bytes = part.to_bytes();
    let column = |lane: usize| lanes::column::<K>(&bytes, order, lane, columns, places);
    let dtype = if places { DType::Int64 } else { array.dtype() };
    let shape = Shape::new(array.shape())?;
    let target = agreed(world, room(world, &shape, dtype))?;
    let mut out = vec![0; array.local_rows().len() * columns * dtype.bytes()];
    if places {
        let lanes = (0..columns).map(|lane| lanes::numbered(column(lane), first)).collect();
        for (lane, sorted) in spread::sorted(array, lanes)?.into_iter().enumerate() {
            lanes::into_column(&mut out, lane, columns, sorted.into_iter().map(|entry| entry.number));
        }
    } else {
        let lanes = (0..columns).map(column).collect();
        for (lane, sorted) in spread::sorted(array, lanes)?.into_iter().enumerate() {
            lanes::into_column(&mut out, lane, columns, sorted.into_iter().map(|key: K| order.bits(key.key())));
        }
    }
    if Layout::of(&shape, dtype) == Layout::Replicated {
        let lengths = [&[array.local_rows().len()], &shape[1..]].concat();
        return Array::from_local(world, &lengths, dtype, &out);
    }
    target.fill(&out);
    Ok(Array::ready(world, shape, dtype, target))
}
