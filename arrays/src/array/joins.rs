//! Arrays side by side.

use super::Array;
use crate::distribution::Layout;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::expr::{self, Node, Piece, Recorded, View};
use crate::shape::{Shape, normalise_axis};

impl Array {
    /// Arrays one after the other along an axis that they have, as the dtype that holds all, or as another.
    ///
    /// Cost: rows that the result has on another rank travel there, no others.
    ///
    /// # Errors
    /// Replicated: `Error::Shape` if there is none or they differ along another axis; `Error::Axis`.
    pub fn concatenate(arrays: &[Array], axis: i64, dtype: Option<DType>) -> Result<Array> {
        let Some(first) = arrays.first() else {
            return Err(Error::Shape("need at least one array to concatenate".to_string()));
        };
        let dimensions = first.shape().len();
        if dimensions == 0 {
            return Err(Error::Shape("zero-dimensional arrays cannot be concatenated".to_string()));
        }
        let axis = normalise_axis(axis, dimensions)?;
        let mut lengths = first.shape().to_vec();
        for (number, array) in arrays.iter().enumerate().skip(1) {
            fits_beside(first, array, axis, number)?;
            lengths[axis] += array.shape()[axis];
        }
        let shape = Shape::new(&lengths)?;
        let dtype =
            dtype.unwrap_or_else(|| arrays.iter().map(Array::dtype).reduce(DType::promote).expect("one at least"));
        let strides = shape.strides();
        let (mut pieces, mut start) = (Vec::with_capacity(arrays.len()), 0);
        for array in arrays.iter().filter(|array| array.shape().iter().all(|&length| length > 0)) {
            let input = expr::cast(array.node(), dtype);
            let mut to = View::identity(&shape);
            if axis == 0 {
                to.row = start as isize;
            } else {
                to.offset = start as isize * strides[axis];
            }
            let from = View::identity(&input.shape);
            pieces.push(Piece { lengths: input.shape.to_vec(), input, from, to });
            start += array.shape()[axis];
        }
        if pieces.is_empty() {
            return first.with(expr::fill(shape, dtype, Scalar::Int(0)));
        }
        let layout = Layout::of(&shape, dtype);
        first.with(Node::recorded(shape, dtype, layout, Recorded::Join { pieces }))
    }
}

fn fits_beside(first: &Array, array: &Array, axis: usize, number: usize) -> Result<()> {
    let (one, other) = (first.shape(), array.shape());
    if one.len() != other.len() {
        return Err(Error::Shape(format!(
            "all the input array dimensions except for the concatenation axis must match exactly, but along dimension \
             0, the array at index 0 has {} dimension(s) and the array at index {number} has {} dimension(s)",
            one.len(),
            other.len()
        )));
    }
    match (0..one.len()).find(|&along| along != axis && one[along] != other[along]) {
        None => Ok(()),
        Some(along) => Err(Error::Shape(format!(
            "all the input array dimensions except for the concatenation axis must match exactly, but along dimension \
             {along}, the array at index 0 has size {} and the array at index {number} has size {}",
            one[along], other[along]
        ))),
    }
}
