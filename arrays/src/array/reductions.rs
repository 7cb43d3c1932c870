//! Reductions over all axes or some, and matrix products.

use super::{Array, Operand};
use crate::distribution::{Layout, REPLICATED_BYTES_MAX};
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::expr::{self, Reduction};
use crate::kernel::fold::Fold;
use crate::kernel::operation::{Binary, Unary};
use crate::shape::{normalise_axes, normalise_axis};

macro_rules! reductions {
    ($($(#[$doc:meta])* $name:ident => $fold:ident;)*) => {
        impl Array {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// Replicated: `Error::Axis` or `Error::Shape` if the axes are not there, or nothing is to be reduced
            /// and that has no value.
            pub fn $name(&self, axes: Option<&[i64]>, keep_axes: bool) -> Result<Array> {
                self.reduce(Fold::$fold, axes, keep_axes, None)
            }
        )*}
    };
}

reductions! {
    /// Sums along axes, or over all elements.
    sum => Sum;
    /// Products along axes, or over all elements.
    product => Product;
    /// The least elements along axes; NaN where there is one.
    min => Min;
    /// The greatest elements along axes; NaN where there is one.
    max => Max;
    /// Whether all elements along axes are true.
    all => All;
    /// Whether any element along axes is true.
    any => Any;
}

impl Array {
    /// Means along axes, or over all elements.
    ///
    /// # Errors
    /// As [`Array::sum`].
    pub fn mean(&self, axes: Option<&[i64]>, keep_axes: bool) -> Result<Array> {
        let count = self.count(axes)?;
        // A sum of long integers wraps; of shorter ones none is long enough for that.
        let long = matches!(self.dtype(), DType::Int64 | DType::Uint64);
        let wide = if long { self.astype(DType::Float64)? } else { self.clone() };
        wide.reduce(Fold::Sum, axes, keep_axes, Some(count as f64))
    }

    /// Variances along axes, or over all elements; `ddof` is subtracted from the number of elements.
    ///
    /// Cost: two passes over the elements, so that no digits cancel.
    ///
    /// # Errors
    /// As [`Array::sum`].
    pub fn var(&self, axes: Option<&[i64]>, ddof: f64, keep_axes: bool) -> Result<Array> {
        let count = self.count(axes)? as f64;
        let x = self.astype(self.dtype().to_mean())?;
        let deviation = x.subtract(x.mean(axes, true)?)?.absolute()?.square()?;
        deviation.reduce(Fold::Sum, axes, keep_axes, Some((count - ddof).max(0.0)))
    }

    /// Standard deviations along axes, or over all elements.
    ///
    /// # Errors
    /// As [`Array::sum`].
    pub fn std(&self, axes: Option<&[i64]>, ddof: f64, keep_axes: bool) -> Result<Array> {
        self.var(axes, ddof, keep_axes)?.unary(Unary::Sqrt)
    }

    /// How many elements differ from zero along axes, or among all.
    ///
    /// # Errors
    /// As [`Array::sum`].
    pub fn count_nonzero(&self, axes: Option<&[i64]>, keep_axes: bool) -> Result<Array> {
        self.astype(DType::Bool)?.sum(axes, keep_axes)
    }

    /// The first places of the greatest elements along an axis, or among all elements in row-major order; of NaN
    /// if there is one.
    ///
    /// Cost: one pass over the elements for all of them or along the last axis; else, or if complex, two.
    ///
    /// # Errors
    /// Replicated: `Error::Axis`; `Error::Shape` if there are no elements.
    pub fn argmax(&self, axis: Option<i64>, keep_axes: bool) -> Result<Array> {
        self.place_of(Fold::Max, "argmax", axis, keep_axes)
    }

    /// The first places of the least elements, as [`Array::argmax`].
    ///
    /// # Errors
    /// As [`Array::argmax`].
    pub fn argmin(&self, axis: Option<i64>, keep_axes: bool) -> Result<Array> {
        self.place_of(Fold::Min, "argmin", axis, keep_axes)
    }

    fn place_of(&self, fold: Fold, name: &str, axis: Option<i64>, keep: bool) -> Result<Array> {
        let axes = axis.map(|axis| vec![axis]);
        let axes = normalise_axes(axes.as_deref(), self.shape().len())?;
        if axes.iter().any(|&axis| self.shape()[axis] == 0) {
            return Err(Error::Shape(format!("attempt to get {name} of an empty sequence")));
        }
        let chosen: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        if self.places_follow_on(&axes) {
            let fold = if fold == Fold::Min { Fold::FirstMin } else { Fold::FirstMax };
            return self.reduce(fold, Some(&chosen), keep, None);
        }
        let extreme = self.reduce(fold, Some(&chosen), true, None)?;
        let mut found = self.equal(&extreme)?;
        if self.dtype().is_inexact() {
            found = found.binary(Binary::LogicalOr, &self.is_nan()?)?;
        }
        let (mut place, mut count) = (Operand::from(0_i64), 1_i64);
        for &axis in axes.iter().rev() {
            let along = self.count_along(axis)?;
            // The innermost axis counts for itself, which spares two operations an element.
            place = match count {
                1 => Operand::Array(along),
                _ => Operand::Array(along.multiply(count)?.add(place)?),
            };
            count *= self.shape()[axis] as i64;
        }
        found.select(place, count)?.min(Some(&chosen), keep)
    }

    /// Whether the elements among which a place is asked for follow one another, and a result of places needs no rows
    /// that this array has not: then one pass finds them.
    fn places_follow_on(&self, axes: &[usize]) -> bool {
        let (shape, dimensions) = (self.shape(), self.shape().len());
        let all = axes.len() == dimensions;
        let results: usize = if all { 1 } else { shape[..dimensions - 1].iter().product() };
        let small = 8 * results <= REPLICATED_BYTES_MAX || self.layout() == Layout::Rows;
        !self.dtype().is_complex() && small && (all || axes == [dimensions - 1])
    }

    /// 0, 1, 2, ... along an axis, with length 1 along the others.
    fn count_along(&self, axis: usize) -> Result<Array> {
        let (zero, one) = (Scalar::Int(0), Scalar::Int(1));
        let mut lengths = vec![1; self.shape().len()];
        lengths[axis] = self.shape()[axis] as i64;
        self.with(expr::sequence(self.shape()[axis], DType::Int64, zero, one)?)?.reshape(&lengths)
    }

    /// Running sums along an axis.
    ///
    /// Cost: two passes over the elements along axis 0, else one; of other ranks' rows only roots of subtrees travel.
    /// Order: that of rows within a leaf, and of the canonical tree above; the same at any number of ranks.
    ///
    /// # Errors
    /// Replicated: `Error::Axis`.
    pub fn cumsum(&self, axis: i64) -> Result<Array> {
        self.scan(Fold::Sum, axis)
    }

    /// Running products along an axis, as [`Array::cumsum`].
    ///
    /// # Errors
    /// Replicated: `Error::Axis`.
    pub fn cumprod(&self, axis: i64) -> Result<Array> {
        self.scan(Fold::Product, axis)
    }

    /// The greatest elements so far along an axis, as [`Array::cumsum`].
    ///
    /// # Errors
    /// Replicated: `Error::Axis`.
    pub fn cummax(&self, axis: i64) -> Result<Array> {
        self.scan(Fold::Max, axis)
    }

    /// The least elements so far along an axis, as [`Array::cumsum`].
    ///
    /// # Errors
    /// Replicated: `Error::Axis`.
    pub fn cummin(&self, axis: i64) -> Result<Array> {
        self.scan(Fold::Min, axis)
    }

    fn scan(&self, fold: Fold, axis: i64) -> Result<Array> {
        let axis = normalise_axis(axis, self.shape().len())?;
        self.with(expr::scan(fold, self.node(), axis))
    }

    /// The product of matrices, or of a matrix and a vector, or of two vectors.
    ///
    /// Cost: if this array has rows on every rank, `other` is gathered; if `other` has and this array is small
    /// or a transpose, only results travel.
    /// Order: for each element the same at any number of ranks.
    ///
    /// # Errors
    /// Replicated: `Error::Shape` if lengths do not fit.
    pub fn matmul(&self, other: &Array) -> Result<Array> {
        if self.shape().len() == 1 && other.shape().len() == 1 && self.shape() == other.shape() {
            let product = self.multiply(other)?;
            return product.dot_sum()?.astype(product.dtype());
        }
        self.with(expr::product(self.node(), other.node())?)
    }

    /// The sum of products; a product of truth values stays one.
    fn dot_sum(&self) -> Result<Array> {
        if self.dtype() == DType::Bool { self.any(None, false) } else { self.sum(None, false) }
    }

    fn reduce(&self, fold: Fold, axes: Option<&[i64]>, keep: bool, divisor: Option<f64>) -> Result<Array> {
        let axes = normalise_axes(axes, self.shape().len())?;
        self.with(expr::reduce(Reduction { fold, axes, divisor }, self.node(), keep)?)
    }

    /// The number of elements that each result is computed from.
    fn count(&self, axes: Option<&[i64]>) -> Result<usize> {
        let axes = normalise_axes(axes, self.shape().len())?;
        Ok(axes.iter().map(|&axis| self.shape()[axis]).product())
    }
}
