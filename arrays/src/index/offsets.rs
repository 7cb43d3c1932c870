//! From places along axes to numbers of elements.
//!
//! Every rank checks all places, or hears of the first wrong one, before anything moves.

use super::{Resolved, out_of_bounds};
use crate::array::Array;
use crate::distribution::Layout;
use crate::dtype::DType;
use crate::error::Result;
use crate::expr::Index;
use crate::kernel::copy::{Copying, copy};
use crate::kernel::operation::Binary;
use crate::shape::Shape;
use bytemuck::{cast_slice, cast_slice_mut};
use std::ops::Range;
use std::sync::Arc;

/// The element at which each box begins, in the order of places.
pub(super) enum Offsets {
    /// All of them, on every rank.
    Whole(Arc<Vec<i64>>),
    /// Those of this rank's rows of places.
    Rows { array: Array, mine: Arc<Vec<i64>> },
}

impl Offsets {
    /// Collective if the places are spread over ranks.
    pub(super) fn new(view: &Array, resolved: &Resolved, shape: &Shape, strides: &[isize]) -> Result<Offsets> {
        let base: i64 = resolved.fixed.iter().map(|&(axis, at)| at * strides[axis] as i64).sum();
        let whole = resolved.places.iter().all(|(_, places)| places.layout() == Layout::Replicated);
        if whole {
            let mut all = vec![base; shape.elements()];
            for (axis, places) in &resolved.places {
                add_places(view, *axis, places, shape, strides[*axis] as i64, &mut all)?;
            }
            return Ok(Offsets::Whole(Arc::new(all)));
        }
        let mut sum: Option<Array> = None;
        for (axis, places) in &resolved.places {
            let places = checked(view, *axis, &places.astype(DType::Int64)?)?.multiply(strides[*axis] as i64)?;
            sum = Some(sum.map_or_else(|| Ok(places.clone()), |sum| sum.add(&places))?);
        }
        let array = sum.expect("an index by arrays has some").add(base)?.broadcast_to(shape)?;
        let mine = Arc::new(cast_elements(&array.part()?.to_bytes()));
        Ok(match array.layout() {
            Layout::Replicated => Offsets::Whole(mine),
            Layout::Rows => Offsets::Rows { array, mine },
        })
    }

    /// All of them, on every rank. Collective.
    pub(super) fn whole(&self) -> Result<Arc<Vec<i64>>> {
        match self {
            Offsets::Whole(all) => Ok(Arc::clone(all)),
            Offsets::Rows { array, .. } => Ok(Arc::new(cast_elements(&array.to_bytes()?))),
        }
    }

    /// Those of a run of places that this rank has.
    pub(super) fn run(&self, places: Range<usize>) -> &[i64] {
        match self {
            Offsets::Whole(all) => &all[places],
            Offsets::Rows { mine, .. } => {
                assert_eq!(mine.len(), places.len(), "a rank's rows of places are those of the result");
                mine
            }
        }
    }
}

pub(super) fn cast_elements(bytes: &[u8]) -> Vec<i64> {
    bytes.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect()
}

/// Adds the steps to places along an axis to numbers that begin boxes.
fn add_places(view: &Array, axis: usize, places: &Array, shape: &Shape, stride: i64, all: &mut [i64]) -> Result<()> {
    let own = Shape::from_lengths(places.shape().to_vec());
    let length = view.shape()[axis] as i64;
    let places = places.astype(DType::Int64)?.part()?;
    let places = places.tiles()[0].cell.read();
    let places: &[i64] = cast_slice(&places);
    if all.is_empty() {
        return Ok(());
    }
    if let Some(&wrong) = places.iter().find(|&&at| at < -length || at >= length) {
        return Err(out_of_bounds(wrong, axis, length));
    }
    let mut repeated = vec![0_i64; all.len()];
    let copying = Copying {
        lengths: shape.to_vec(),
        from: 0,
        from_steps: own.broadcast_strides(shape),
        to: 0,
        to_steps: shape.strides(),
    };
    copy(8, &copying, cast_slice(places), cast_slice_mut(&mut repeated));
    for (sum, at) in all.iter_mut().zip(repeated) {
        *sum += stride * if at < 0 { at + length } else { at };
    }
    Ok(())
}

/// Places along an axis, counted from its front.
fn checked(view: &Array, axis: usize, places: &Array) -> Result<Array> {
    let length = view.shape()[axis] as i64;
    let wrong = places.less(-length)?.binary(Binary::Or, &places.greater_equal(length)?)?;
    if wrong.any(None, false)?.to_scalar()?.to_bool() {
        let first = wrong.argmax(None, false)?.to_scalar()?.to_i64();
        let flat = places.reshape(&[-1])?.slice(&[Index::At(first)])?;
        return Err(out_of_bounds(flat.to_scalar()?.to_i64(), axis, length));
    }
    places.less(0_i64)?.select(&places.add(length)?, places)
}
