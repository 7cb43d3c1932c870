//! Masks: where they are true, and the elements there.
//!
//! How many there are depends on the data: each rank looks at its own rows, and the ranks tell each other their
//! counts when rows are brought to where they belong.

use super::gather::rows_here;
use crate::array::Array;
use crate::distribution::Layout;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::exchange::on_workers;
use crate::shape::Shape;

/// Fewer elements are looked at by one worker.
const SHARED_MIN: usize = 1 << 15;

/// Whether writing a value through a mask is choosing between the value and the array, element by element.
pub(super) fn spreads(array: &Array, mask: &Array, value: &Array) -> bool {
    let dimensions = mask.shape().len();
    let rest = array.shape().get(dimensions..).unwrap_or(&[]);
    let fits = value.shape().len() <= rest.len()
        && value.shape().iter().rev().zip(rest.iter().rev()).all(|(&one, &whole)| one == 1 || one == whole);
    dimensions > 0 && mask.shape() == array.shape().get(..dimensions).unwrap_or(&[]) && fits
}

/// The value where the mask is true, else the array.
pub(super) fn chosen(array: &Array, mask: &Array, value: &Array) -> Result<Array> {
    let mut lengths: Vec<i64> = mask.shape().iter().map(|&length| length as i64).collect();
    lengths.resize(array.shape().len(), 1);
    mask.reshape(&lengths)?.select(&value.astype(array.dtype())?, array)
}

impl Array {
    /// The numbers, in row-major order, of the elements that are not zero. Collective unless the array is small.
    ///
    /// # Errors
    /// As [`Array::wait`].
    pub fn flat_nonzero(&self) -> Result<Array> {
        let truth = self.astype(DType::Bool)?;
        let part = truth.part()?;
        let width: usize = self.shape().iter().skip(1).product();
        let mut places: Vec<i64> = Vec::new();
        for tile in part.tiles() {
            let first = (tile.rows.start * width) as i64;
            let here = tile.cell.read();
            places.extend(here.iter().zip(first..).filter(|(truth, _)| **truth != 0).map(|(_, place)| place));
        }
        // The truth may be small enough to be whole where the elements are spread.
        ragged(&truth, &[], DType::Int64, bytemuck::cast_slice(&places))
    }

    /// For each axis, the places of the elements that are not zero. Collective unless the array is small.
    ///
    /// # Errors
    /// As [`Array::wait`].
    pub fn nonzero(&self) -> Result<Vec<Array>> {
        let flat = self.flat_nonzero()?;
        let shape = Shape::from_lengths(self.shape().to_vec());
        let strides = shape.strides();
        let along = |axis: usize| {
            let outer = if axis == 0 { flat.clone() } else { flat.remainder((strides[axis - 1] as i64).max(1))? };
            if strides[axis] == 1 { Ok(outer) } else { outer.floor_divide(strides[axis] as i64) }
        };
        (0..shape.len()).map(along).collect()
    }

    /// The elements where a mask of the same shape is true, in row-major order. Collective unless both are small.
    ///
    /// Cost: elements that the counts move to another rank travel, no others.
    ///
    /// # Errors
    /// Replicated: `Error::Index` if the shapes differ.
    pub fn compress(&self, mask: &Array) -> Result<Array> {
        if mask.shape() != self.shape() {
            return Err(Error::Index("a mask has the shape of what it picks from".to_string()));
        }
        let truth = mask.astype(DType::Bool)?;
        truth.wait()?;
        self.wait()?;
        // A mask may be small enough to be whole where the array's rows are spread.
        let spread = if self.layout() == Layout::Rows { self } else { &truth };
        let rows = spread.local_rows();
        let (truth, values) = (rows_here(&truth, &rows)?, rows_here(self, &rows)?);
        let item = self.dtype().bytes();
        let jobs = if truth.len() < SHARED_MIN { 1 } else { 4 * self.world().workers() };
        let kept = on_workers(self.world(), "compress", jobs, move |job| {
            let mine = truth.len() * job / jobs..truth.len() * (job + 1) / jobs;
            picked(item, &values[mine.start * item..mine.end * item], &truth[mine])
        })?;
        ragged(spread, &[], self.dtype(), &kept.concat())
    }
}

/// The elements, of `item` bytes, beside a true byte.
fn picked(item: usize, values: &[u8], truth: &[u8]) -> Vec<u8> {
    fn of<const ITEM: usize>(values: &[u8], truth: &[u8]) -> Vec<u8> {
        let chosen = values.as_chunks::<ITEM>().0.iter().zip(truth).filter(|(_, truth)| **truth != 0);
        chosen.map(|(value, _)| *value).collect::<Vec<[u8; ITEM]>>().into_flattened()
    }
    match item {
        1 => of::<1>(values, truth),
        2 => of::<2>(values, truth),
        4 => of::<4>(values, truth),
        8 => of::<8>(values, truth),
        _ => of::<16>(values, truth),
    }
}

/// Rows that each rank found, in the order of ranks; what all ranks found alike if `searched` is whole on each.
pub(crate) fn ragged(searched: &Array, tail: &[usize], dtype: DType, bytes: &[u8]) -> Result<Array> {
    let row_bytes = tail.iter().product::<usize>() * dtype.bytes();
    let lengths = [&[bytes.len() / row_bytes.max(1)], tail].concat();
    match searched.layout() {
        Layout::Replicated => Array::from_bytes(searched.world(), &lengths, dtype, bytes),
        Layout::Rows => Array::from_local(searched.world(), &lengths, dtype, bytes),
    }
}
