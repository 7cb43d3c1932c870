//! Rows of small arrays at small lists of places, picked by the calling thread.
//!
//! Never here: anything that another rank knows better, or that takes a task.

use super::out_of_bounds;
use crate::array::{Array, room};
use crate::distribution::Layout;
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::Shape;
use crate::tile::Part;
use bytemuck::cast_slice;
use std::sync::Arc;

/// `array[places]`; none unless both are whole and there, and so is the result.
///
/// # Errors
/// Replicated: `Error::Index` if a place is out of bounds. Local: `Error::Runtime` for memory.
pub(super) fn pick(array: &Array, places: &Array) -> Option<Result<Array>> {
    let lengths = [places.shape(), array.shape().get(1..)?].concat();
    let shape = Shape::new(&lengths).ok()?;
    let (source, at) = (here(array)?, here(places)?);
    if places.dtype() != DType::Int64 || Layout::of(&shape, array.dtype()) != Layout::Replicated {
        return None;
    }
    let rows = array.shape()[0] as i64;
    let row_bytes = array.shape()[1..].iter().product::<usize>() * array.dtype().bytes();
    let at = at.tiles()[0].cell.borrow();
    // A block without elements lies nowhere, and so at no multiple of an element's size.
    let at: &[i64] = if at.is_empty() { &[] } else { cast_slice(&at) };
    if let Some(&wrong) = at.iter().find(|&&at| at < -rows || at >= rows) {
        return Some(Err(out_of_bounds(wrong, 0, rows)));
    }
    Some(room(array.world(), &shape, array.dtype()).map(|part| {
        let source = source.tiles()[0].cell.borrow();
        let mut out = part.tiles()[0].cell.borrow_mut();
        for (out, &at) in out.chunks_exact_mut(row_bytes.max(1)).zip(at) {
            let row = (if at < 0 { at + rows } else { at }) as usize;
            out.copy_from_slice(&source[row * row_bytes..][..row_bytes]);
        }
        drop(out);
        Array::ready(array.world(), shape, array.dtype(), part)
    }))
}

/// A value that is whole and there.
fn here(array: &Array) -> Option<Arc<Part>> {
    if array.layout() == Layout::Replicated && array.is_ready() { array.part().ok() } else { None }
}
