//! Elements at other places: slices, transposes, other shapes.

use super::Array;
use crate::distribution::Layout;
use crate::error::{Error, Result};
use crate::expr::{self, Index, Permuted, Picked, View};
use crate::shape::{Shape, broadcast, normalise_axis};
use std::sync::Arc;

impl Array {
    /// Basic indexing, with NumPy's meaning. The result is a copy, made when it is needed.
    ///
    /// Cost: elements whose rows other ranks are to hold travel there, no others.
    ///
    /// # Errors
    /// Replicated: `Error::Index` if an index is out of bounds or there are too many.
    pub fn slice(&self, indices: &[Index]) -> Result<Array> {
        let Picked { view, shape, .. } = View::indexed(&self.node().shape, indices)?;
        let shape = Shape::new(&shape)?;
        self.with(expr::view(self.node(), view, shape))
    }

    /// Axes in reverse order.
    ///
    /// Cost: nothing moves until rows of the result are asked for; see [`Array::base`].
    ///
    /// # Errors
    /// As [`Array::wait`], if much was recorded before.
    pub fn transpose(&self) -> Result<Array> {
        let order: Vec<usize> = (0..self.shape().len()).rev().collect();
        self.with(expr::permute(self.node(), &order))
    }

    /// Axes in the given order.
    ///
    /// # Errors
    /// Replicated: `Error::Axis`, or `Error::Shape` if the order does not name each axis once.
    pub fn permute(&self, order: &[i64]) -> Result<Array> {
        let dimensions = self.shape().len();
        if order.len() != dimensions {
            return Err(Error::Shape("axes don't match array".to_string()));
        }
        let order = order.iter().map(|&axis| normalise_axis(axis, dimensions)).collect::<Result<Vec<_>, _>>()?;
        if (0..dimensions).any(|axis| !order.contains(&axis)) {
            return Err(Error::Shape("repeated axis in transpose".to_string()));
        }
        self.with(expr::permute(self.node(), &order))
    }

    /// The same elements in row-major order under another shape; one length may be -1.
    ///
    /// Cost: rows that change their rank travel.
    ///
    /// # Errors
    /// Replicated: `Error::Shape` if the number of elements differs.
    pub fn reshape(&self, lengths: &[i64]) -> Result<Array> {
        let shape = reshaped(&self.node().shape, lengths)?;
        if shape == self.node().shape {
            return Ok(self.clone());
        }
        self.with(expr::view(self.node(), View::flat(), shape))
    }

    /// The array that is divided by rows, or whole, and has the elements of this one; and, if it is another one, the
    /// order of its axes: axis k of this one is axis `order[k]` of that.
    pub fn base(&self) -> (Array, Option<&[usize]>) {
        match expr::spread(self.node()) {
            Some(Permuted { base, order }) => (Array::recorded(self.world(), Arc::clone(base)), Some(order)),
            None => (self.clone(), None),
        }
    }

    /// The axis along which the array is divided among ranks; none if it is whole on every rank.
    pub fn divided_axis(&self) -> Option<usize> {
        let place = |permuted: &Permuted| permuted.order.iter().position(|&axis| axis == 0);
        match self.layout() {
            Layout::Replicated => None,
            Layout::Rows => expr::spread(self.node()).map_or(Some(0), place),
        }
    }

    /// The same elements divided among ranks along an axis, or whole on every rank. Small arrays stay whole.
    ///
    /// What is computed of an array element by element, and its reductions and running results, stay where it lies.
    ///
    /// Cost: elements that change their rank travel, when the result is needed; whole: at once, all to all ranks.
    ///
    /// # Errors
    /// Replicated: `Error::Axis`. Else as [`Array::wait`].
    pub fn redistribute(&self, axis: Option<i64>) -> Result<Array> {
        let axis = axis.map(|axis| normalise_axis(axis, self.shape().len())).transpose()?;
        match axis {
            None => self.gather(),
            Some(_) if Layout::of(&self.node().shape, self.dtype()) == Layout::Replicated => Ok(self.clone()),
            Some(axis) => self.with(expr::redistribute(self.node(), axis)),
        }
    }

    /// The array repeated along axes of length 1 and along new axes in front.
    ///
    /// # Errors
    /// Replicated: `Error::Shape` if the shapes do not fit.
    pub fn broadcast_to(&self, shape: &[usize]) -> Result<Array> {
        let shape = Shape::new(shape)?;
        if broadcast(&[&self.node().shape, &shape]).ok().as_ref() != Some(&shape) {
            return Err(Error::Shape(format!(
                "operands could not be broadcast together with remapped shapes [original->remapped]: {} and \
                 requested shape {shape}",
                self.node().shape
            )));
        }
        if shape == self.node().shape {
            return Ok(self.clone());
        }
        let view = View::broadcast(&self.node().shape, &shape);
        self.with(expr::view(self.node(), view, shape))
    }
}

/// The number of the element at a place along each axis; none if an axis has no such place or there are not as many.
pub(crate) fn flat_place(shape: &Shape, places: &[i64]) -> Option<usize> {
    if places.len() != shape.len() {
        return None;
    }
    places.iter().zip(shape.iter()).try_fold(0, |flat, (&at, &length)| {
        let at = if at < 0 { at + length as i64 } else { at };
        let at = usize::try_from(at).ok().filter(|&at| at < length)?;
        Some(flat * length + at)
    })
}

/// Another shape for the same elements; one length may be -1.
///
/// # Errors
/// Replicated: `Error::Shape` if the number of elements differs.
pub(crate) fn reshaped(shape: &Shape, lengths: &[i64]) -> Result<Shape> {
    let elements = shape.elements();
    let refused = || {
        let length = |&length: &i64| if length == -1 { "newaxis".to_string() } else { length.to_string() };
        let wanted = lengths.iter().map(length).collect::<Vec<_>>().join(",");
        Error::Shape(format!("cannot reshape array of size {elements} into shape ({wanted})"))
    };
    if lengths.iter().filter(|&&length| length == -1).count() > 1 {
        return Err(Error::Shape("can only specify one unknown dimension".to_string()));
    }
    let known = lengths.iter().filter(|&&length| length != -1).map(|&length| usize::try_from(length));
    let known: Vec<usize> = known.collect::<Result<_, _>>().map_err(|_| refused())?;
    let product = known.iter().try_fold(1_usize, |all, &one| all.checked_mul(one)).ok_or_else(refused)?;
    let unknown = known.len() < lengths.len();
    // Nothing in nothing goes any number of times.
    let missing = elements.checked_div(product).or((!unknown).then_some(0)).ok_or_else(refused)?;
    let lengths: Vec<usize> = lengths.iter().map(|&length| usize::try_from(length).unwrap_or(missing)).collect();
    let shape = Shape::new(&lengths)?;
    if shape.elements() != elements {
        return Err(refused());
    }
    Ok(shape)
}
