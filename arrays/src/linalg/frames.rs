//! Sums of products of a short vector with a long one, at every place of the long one.

use crate::array::Array;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::kernel::custom::{Kernel, Rows};
use bytemuck::{Pod, cast_slice, cast_slice_mut};
use std::ops::{Add, Mul};

/// Element (f, i) is the sum over j of `c[i + j]·y[j]`, where c is row f of `first` with row f of `next` behind it.
///
/// Shapes: `first` and `next` alike, two axes; `y` one axis, at most one element longer than a row.
/// Cost: no message but those that bring `y` to every rank; j ascends, so the bits depend on nothing else.
///
/// # Errors
/// Replicated: `Error::Shape` or `Error::Type` if the operands do not go together.
pub fn frame_products(first: &Array, next: &Array, y: &Array) -> Result<Array> {
    let (&[_, width], &[length]) = (first.shape(), y.shape()) else {
        return Err(Error::Shape("frames have two axes and what they are multiplied by has one".to_string()));
    };
    let dtype = first.dtype();
    if next.shape() != first.shape() || length > width + 1 || next.dtype() != dtype || y.dtype() != dtype {
        return Err(Error::Shape(format!("frames of shape {:?} by {length} elements", first.shape())));
    }
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        match dtype {
            DType::Float64 => products::<f64>(width, rows, out),
            DType::Float32 => products::<f32>(width, rows, out),
            _ => products::<i64>(width, rows, out),
        }
        Ok(())
    };
    if !matches!(dtype, DType::Float64 | DType::Float32 | DType::Int64) {
        return Err(Error::Type(format!("frames of {dtype}")));
    }
    let kernel = Kernel::new("convolve", format!("{length}"), run);
    Array::custom(first.world(), kernel, first.shape(), dtype, &[first, next], &[y])
}

fn products<T: Pod + Add<Output = T> + Mul<Output = T>>(width: usize, rows: &Rows<'_>, out: &mut [u8]) {
    let (first, next): (&[T], &[T]) = (cast_slice(rows.aligned[0]), cast_slice(rows.aligned[1]));
    let y: &[T] = cast_slice(rows.whole[0]);
    let out: &mut [T] = cast_slice_mut(out);
    let frames = first.chunks(width.max(1)).zip(next.chunks(width.max(1)));
    for ((first, next), out) in frames.zip(out.chunks_mut(width.max(1))) {
        let both = [first, next].concat();
        out.fill(T::zeroed());
        for (shift, &factor) in y.iter().enumerate() {
            for (sum, &value) in out.iter_mut().zip(&both[shift..]) {
                *sum = *sum + value * factor;
            }
        }
    }
}
