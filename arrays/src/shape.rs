//! Shapes: broadcasting, axes and strides, with the errors NumPy's users know.
//!
//! Every answer follows from its arguments alone, so it is the same on all ranks.

use std::fmt;
use std::ops::Deref;

/// The length of an array along each of its axes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape(Vec<usize>);

/// A shape, an axis or an index that does not fit, in NumPy's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// Shapes that do not go together; NumPy's `ValueError`.
    Value(String),
    /// An axis that is not there; NumPy's `AxisError`.
    Axis(String),
    /// An index that is out of bounds; NumPy's `IndexError`.
    Index(String),
}

impl Shape {
    /// A shape of the given lengths.
    ///
    /// # Errors
    /// Replicated: `ShapeError::Value` if the number of elements, at 8 bytes each, exceeds the address space.
    pub fn new(lengths: &[usize]) -> Result<Shape, ShapeError> {
        // A zero anywhere makes the array empty, but NumPy refuses when the other lengths overflow, too.
        let elements = lengths.iter().filter(|&&length| length > 0).try_fold(8_usize, |all, &one| all.checked_mul(one));
        if elements.is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(ShapeError::Value("Maximum allowed dimension exceeded".to_string()));
        }
        Ok(Shape(lengths.to_vec()))
    }

    /// The shape of a single number.
    pub fn scalar() -> Shape {
        Shape(Vec::new())
    }

    pub(crate) fn from_lengths(lengths: Vec<usize>) -> Shape {
        Shape(lengths)
    }

    /// The lengths in another order: axis k of the result is axis `order[k]` of this.
    pub(crate) fn permuted(&self, order: &[usize]) -> Shape {
        Shape(order.iter().map(|&axis| self.0[axis]).collect())
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.0.iter().product()
    }

    /// The length along axis 0; 1 for a single number.
    pub fn rows(&self) -> usize {
        self.0.first().copied().unwrap_or(1)
    }

    /// The number of elements of one row.
    pub fn row_elements(&self) -> usize {
        self.0.iter().skip(1).product()
    }

    /// The steps, in elements, along each axis of an array in row-major order.
    pub fn strides(&self) -> Vec<isize> {
        let mut strides = vec![0; self.0.len()];
        let mut step = 1;
        for (stride, &length) in strides.iter_mut().zip(&self.0).rev() {
            *stride = step;
            step *= length.max(1) as isize;
        }
        strides
    }

    /// The steps with which an array of this shape is read as one of the larger shape: 0 where it repeats.
    pub(crate) fn broadcast_strides(&self, to: &Shape) -> Vec<isize> {
        let missing = to.len() - self.len();
        let own = self.strides();
        let stride = |axis: usize| if axis < missing || self[axis - missing] == 1 { 0 } else { own[axis - missing] };
        (0..to.len()).map(stride).collect()
    }
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [length] => write!(f, "({length},)"),
            lengths => write!(f, "({})", lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
        }
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShapeError::Value(text) | ShapeError::Axis(text) | ShapeError::Index(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ShapeError {}

/// The shape of an elementwise operation on arrays of the given shapes.
///
/// # Errors
/// Replicated: `ShapeError::Value` if lengths differ along an axis and none of them is 1.
pub fn broadcast(shapes: &[&Shape]) -> Result<Shape, ShapeError> {
    let dimensions = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut result = vec![1; dimensions];
    for shape in shapes {
        for (&length, whole) in shape.iter().rev().zip(result.iter_mut().rev()) {
            match (length, *whole) {
                (1, _) => {}
                (length, 1) => *whole = length,
                (length, whole) if length == whole => {}
                _ => {
                    let all = shapes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                    let text = format!("operands could not be broadcast together with shapes {all}");
                    return Err(ShapeError::Value(text));
                }
            }
        }
    }
    Shape::new(&result)
}

/// The axis that a possibly negative number names.
///
/// # Errors
/// Replicated: `ShapeError::Axis`.
pub fn normalise_axis(axis: i64, dimensions: usize) -> Result<usize, ShapeError> {
    let found = if axis < 0 { axis.checked_add(dimensions as i64) } else { Some(axis) };
    match found.and_then(|axis| usize::try_from(axis).ok()) {
        Some(axis) if axis < dimensions => Ok(axis),
        _ => Err(ShapeError::Axis(format!("axis {axis} is out of bounds for array of dimension {dimensions}"))),
    }
}

/// Several axes in ascending order; `None` names all.
///
/// # Errors
/// Replicated: `ShapeError::Axis`; `ShapeError::Value` if an axis is named twice.
pub fn normalise_axes(axes: Option<&[i64]>, dimensions: usize) -> Result<Vec<usize>, ShapeError> {
    let Some(axes) = axes else { return Ok((0..dimensions).collect()) };
    let mut found = axes.iter().map(|&axis| normalise_axis(axis, dimensions)).collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable();
    if found.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(ShapeError::Value("duplicate value in 'axis'".to_string()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(lengths: &[usize]) -> Shape {
        Shape::new(lengths).unwrap()
    }

    #[track_caller]
    fn check_broadcast(left: &[usize], right: &[usize], expected: Option<&[usize]>) {
        let found = broadcast(&[&shape(left), &shape(right)]);
        assert_eq!(found.ok(), expected.map(shape));
    }

    #[test]
    fn lengths_of_one_repeat() {
        check_broadcast(&[3, 1], &[4], Some(&[3, 4]));
        check_broadcast(&[], &[2, 0], Some(&[2, 0]));
        check_broadcast(&[1], &[0], Some(&[0]));
        check_broadcast(&[8, 1, 6, 1], &[7, 1, 5], Some(&[8, 7, 6, 5]));
    }

    #[test]
    fn lengths_that_differ_are_refused_in_numpys_words() {
        check_broadcast(&[3], &[4], None);
        check_broadcast(&[0], &[2], None);
        let error = broadcast(&[&shape(&[3]), &shape(&[4, 2])]).unwrap_err();
        assert_eq!(error.to_string(), "operands could not be broadcast together with shapes (3,) (4, 2)");
    }

    #[test]
    fn axes_count_from_both_ends() {
        assert_eq!(normalise_axes(Some(&[-1, 0]), 3), Ok(vec![0, 2]));
        assert_eq!(normalise_axes(None, 2), Ok(vec![0, 1]));
        let error = normalise_axis(2, 2).unwrap_err();
        assert_eq!(error.to_string(), "axis 2 is out of bounds for array of dimension 2");
        assert!(matches!(normalise_axes(Some(&[1, -1]), 2), Err(ShapeError::Value(_))));
        assert!(matches!(normalise_axis(i64::MIN, 2), Err(ShapeError::Axis(_))));
    }

    #[test]
    fn strides_are_row_major_and_zero_where_an_array_repeats() {
        assert_eq!(shape(&[2, 3, 4]).strides(), [12, 4, 1]);
        assert_eq!(shape(&[3, 1]).broadcast_strides(&shape(&[2, 3, 5])), [0, 1, 0]);
    }

    #[test]
    fn a_shape_larger_than_memory_is_refused() {
        assert!(Shape::new(&[usize::MAX, 2]).is_err());
        assert!(Shape::new(&[1 << 40, 1 << 40, 0]).is_err());
        assert_eq!(shape(&[0, 5]).elements(), 0);
    }
}
