//! Elements at other places: basic indexing, transposes, reshapes, as steps through the source.

use crate::shape::{Shape, ShapeError};

/// One entry of a basic index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// One place along an axis, which disappears; negative numbers count from the end.
    At(i64),
    /// Places along an axis, with Python's defaults where nothing is given.
    Slice {
        /// The first place.
        start: Option<i64>,
        /// The place behind the last.
        stop: Option<i64>,
        /// The distance between places; not zero.
        step: Option<i64>,
    },
    /// A new axis of length 1.
    NewAxis,
    /// As many whole axes as are not named.
    Ellipsis,
}

/// Where each element of a view is found in its source.
///
/// Element (i, j, ...) of the view is element `offset + Σ steps·(i, j, ...)` of the source's row
/// `row + row_step·i`, where i runs along `row_axis`. A flat view takes both sides as one long axis.
/// The step along `row_axis` is zero but for diagonals, on which rows and columns change together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Both sides are one long axis of elements.
    pub(crate) flat: bool,
    /// The axis of the view along which the source's row changes.
    pub(crate) row_axis: Option<usize>,
    pub(crate) row: isize,
    pub(crate) row_step: isize,
    pub(crate) offset: isize,
    /// Steps within a row of the source, in elements.
    pub(crate) steps: Vec<isize>,
}

impl View {
    /// Every element where it is.
    pub(crate) fn identity(shape: &Shape) -> View {
        let mut steps = shape.strides();
        if let Some(first) = steps.first_mut() {
            *first = 0;
        }
        let row_axis = (!steps.is_empty()).then_some(0);
        View { flat: false, row_axis, row: 0, row_step: 1, offset: 0, steps }
    }

    /// The elements in the same order under another shape.
    pub(crate) fn flat() -> View {
        View { flat: true, row_axis: Some(0), row: 0, row_step: 1, offset: 0, steps: vec![0] }
    }

    /// Axes in another order: axis k of the view is axis `order[k]` of the source.
    pub(crate) fn permuted(shape: &Shape, order: &[usize]) -> View {
        let identity = View::identity(shape);
        View {
            row_axis: order.iter().position(|&axis| axis == 0),
            steps: order.iter().map(|&axis| identity.steps[axis]).collect(),
            ..identity
        }
    }

    /// Elements repeated along axes of length 1 and new axes in front.
    pub(crate) fn broadcast(shape: &Shape, to: &Shape) -> View {
        let mut view = View { steps: shape.broadcast_strides(to), ..View::start() };
        let first = to.len() - shape.len();
        if !shape.is_empty() && shape[0] == to[first] {
            view.row_axis = Some(first);
            view.steps[first] = 0;
        }
        view
    }

    /// No element, whatever the shape.
    pub(crate) fn nothing(shape: &Shape) -> View {
        View { steps: vec![0; shape.len()], ..View::start() }
    }

    /// Basic indexing.
    pub(crate) fn indexed(shape: &Shape, indices: &[Index]) -> Result<Picked, ShapeError> {
        let named = indices.iter().filter(|index| matches!(index, Index::At(_) | Index::Slice { .. })).count();
        let ellipses = indices.iter().filter(|index| **index == Index::Ellipsis).count();
        if ellipses > 1 {
            return Err(ShapeError::Index("an index can only have a single ellipsis ('...')".to_string()));
        }
        if named > shape.len() {
            let text =
                format!("too many indices for array: array is {}-dimensional, but {named} were indexed", shape.len());
            return Err(ShapeError::Index(text));
        }
        let mut builder = Builder {
            shape,
            strides: shape.strides(),
            axis: 0,
            lengths: Vec::new(),
            axes: Vec::new(),
            starts: vec![0; shape.len()],
            view: View::start(),
        };
        for index in indices {
            match *index {
                Index::At(at) => builder.at(at)?,
                Index::Slice { start, stop, step } => builder.slice(start, stop, step)?,
                Index::NewAxis => builder.push(1, 0, (None, 0)),
                Index::Ellipsis => (0..shape.len() - named).for_each(|_| builder.whole()),
            }
        }
        while builder.axis < shape.len() {
            builder.whole();
        }
        let Builder { view, lengths, axes, starts, .. } = builder;
        Ok(Picked { view, shape: Shape::from_lengths(lengths), axes, starts })
    }

    /// Whether the view, of this shape, shows rows of its source in their order, and most of what is in them or just
    /// the rows where they are: then who reads it may as well read the source.
    pub(crate) fn shows_rows(&self, shape: &Shape, source: &Shape) -> bool {
        // On a diagonal the place within a row changes with the row.
        let in_order = !self.flat && self.row_axis == Some(0) && self.row_step == 1 && self.steps[0] == 0;
        let in_place = self.row == 0 && shape.rows() == source.rows();
        in_order && (in_place || 2 * shape.row_elements() >= source.row_elements())
    }

    /// How many elements follow one another in the source, too, wherever a multiple of them begins; `usize::MAX` if
    /// all do. For views that show rows.
    pub(crate) fn run(&self, shape: &Shape, source: &Shape) -> usize {
        let mut run = 1;
        for (&length, &step) in shape.iter().zip(&self.steps).skip(1).rev() {
            if length != 1 && step != run as isize {
                return run;
            }
            run *= length;
        }
        if run == source.row_elements() { usize::MAX } else { run }
    }

    fn start() -> View {
        View { flat: false, row_axis: None, row: 0, row_step: 1, offset: 0, steps: Vec::new() }
    }
}

/// What basic indexing picks.
pub(crate) struct Picked {
    pub(crate) view: View,
    pub(crate) shape: Shape,
    /// For each axis of the result, the source's axis and the distance of places on it.
    pub(crate) axes: Vec<(Option<usize>, isize)>,
    /// For each axis of the source, the first place.
    pub(crate) starts: Vec<isize>,
}

struct Builder<'a> {
    shape: &'a Shape,
    strides: Vec<isize>,
    /// The next axis of the source.
    axis: usize,
    lengths: Vec<usize>,
    axes: Vec<(Option<usize>, isize)>,
    starts: Vec<isize>,
    view: View,
}

impl Builder<'_> {
    fn at(&mut self, at: i64) -> Result<(), ShapeError> {
        let length = self.shape[self.axis] as i64;
        if at < -length || at >= length {
            let text = format!("index {at} is out of bounds for axis {} with size {length}", self.axis);
            return Err(ShapeError::Index(text));
        }
        self.advance(if at < 0 { at + length } else { at } as isize);
        self.axis += 1;
        Ok(())
    }

    fn slice(&mut self, start: Option<i64>, stop: Option<i64>, step: Option<i64>) -> Result<(), ShapeError> {
        let (step, length) = (step.unwrap_or(1), self.shape[self.axis] as i64);
        if step == 0 {
            return Err(ShapeError::Value("slice step cannot be zero".to_string()));
        }
        // Python's rule: bounds are brought into 0..length, or into -1..length-1 for a slice backwards.
        let (least, most) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let bring = |bound: i64| if bound < 0 { bound.saturating_add(length).max(least) } else { bound.min(most) };
        let first = start.map_or(if step > 0 { 0 } else { most }, bring);
        let last = stop.map_or(if step > 0 { length } else { -1 }, bring);
        let distance = if step > 0 { last - first } else { first - last };
        let places = if distance > 0 { (distance as u64).div_ceil(step.unsigned_abs()) as usize } else { 0 };
        // With one place the step leads nowhere, and a huge one must not overflow what follows.
        let step = if places > 1 { step as isize } else { 1 };
        let rows = self.axis == 0;
        let inner = if rows { 0 } else { self.strides[self.axis] * step };
        if places > 0 {
            self.advance(first as isize);
        }
        if rows {
            self.view.row_step = step;
        }
        self.push(places, inner, (Some(self.axis), step));
        self.axis += 1;
        Ok(())
    }

    fn whole(&mut self) {
        let rows = self.axis == 0;
        let step = if rows { 0 } else { self.strides[self.axis] };
        self.push(self.shape[self.axis], step, (Some(self.axis), 1));
        self.axis += 1;
    }

    /// Moves the first element along the current axis of the source.
    fn advance(&mut self, places: isize) {
        self.starts[self.axis] = places;
        if self.axis == 0 {
            self.view.row = places;
        } else {
            self.view.offset += places * self.strides[self.axis];
        }
    }

    fn push(&mut self, length: usize, step: isize, axis: (Option<usize>, isize)) {
        self.axes.push(axis);
        if axis.0 == Some(0) {
            self.view.row_axis = Some(self.lengths.len());
        }
        self.lengths.push(length);
        self.view.steps.push(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Index = Index::Slice { start: None, stop: None, step: None };

    fn slice(start: Option<i64>, stop: Option<i64>, step: Option<i64>) -> Index {
        Index::Slice { start, stop, step }
    }

    /// The places a slice of an axis of length 5 takes.
    fn places(index: Index) -> Vec<isize> {
        let Picked { view, shape, .. } = View::indexed(&Shape::new(&[5]).unwrap(), &[index]).unwrap();
        (0..shape[0] as isize).map(|i| view.row + view.row_step * i).collect()
    }

    #[test]
    fn slices_take_the_places_that_python_takes() {
        assert_eq!(places(ALL), [0, 1, 2, 3, 4]);
        assert_eq!(places(slice(None, None, Some(-1))), [4, 3, 2, 1, 0]);
        assert_eq!(places(slice(Some(-2), None, None)), [3, 4]);
        assert_eq!(places(slice(Some(3), Some(0), Some(-2))), [3, 1]);
        assert_eq!(places(slice(Some(9), None, Some(-3))), [4, 1]);
        assert_eq!(places(slice(None, Some(-9), Some(-1))), [4, 3, 2, 1, 0]);
        assert_eq!(places(slice(Some(4), Some(2), None)), Vec::<isize>::new());
        assert_eq!(places(slice(Some(1), None, Some(i64::MAX))), [1]);
    }

    #[test]
    fn axes_disappear_appear_and_fill_up() {
        let shape = Shape::new(&[4, 5, 6]).unwrap();
        let Picked { view, shape: found, .. } =
            View::indexed(&shape, &[Index::Ellipsis, Index::NewAxis, Index::At(-1)]).unwrap();
        assert_eq!(&found[..], [4, 5, 1]);
        assert_eq!((view.row_axis, view.offset, view.steps), (Some(0), 5, vec![0, 6, 0]));
        let Picked { view, shape: found, .. } = View::indexed(&shape, &[Index::At(2)]).unwrap();
        assert_eq!((&found[..], view.row_axis, view.row), (&[5, 6][..], None, 2));
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_in_numpys_words() {
        let shape = Shape::new(&[4, 5]).unwrap();
        let text = |indices: &[Index]| View::indexed(&shape, indices).err().unwrap().to_string();
        assert_eq!(text(&[ALL, Index::At(5)]), "index 5 is out of bounds for axis 1 with size 5");
        assert_eq!(text(&[ALL, ALL, ALL]), "too many indices for array: array is 2-dimensional, but 3 were indexed");
        assert_eq!(text(&[slice(None, None, Some(0))]), "slice step cannot be zero");
    }
}
