//! Where the elements of a view are in the storage that it shares.
//!
//! A lens is kept twice: as the step from the view that it was made of, which says how to compute it from any
//! version of the storage, and as strides over the whole storage, by which views of views stay one step away.
//! Invariant: strides never lead outside of the storage.
//! Never here: values, who else holds the storage.

use crate::expr::{self, Index, Node, View};
use crate::shape::{Shape, ShapeError};
use std::sync::{Arc, Mutex, PoisonError};

/// A view of a storage, or of another view.
#[derive(Debug)]
pub(super) struct Lens {
    pub(super) parent: Option<Arc<Lens>>,
    pub(super) step: Step,
    pub(super) place: Strided,
    pub(super) writable: bool,
    /// The value, and the version of the storage that it belongs to.
    value: Mutex<Option<(u64, Arc<Node>)>>,
}

/// How a view follows from the one that it was made of.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Elements picked by a view.
    Picked(View),
    /// Axes in another order.
    Permuted(Vec<usize>),
    /// All elements in row-major order.
    Reshaped,
}

/// A shape laid over a storage in row-major order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Strided {
    pub(super) shape: Shape,
    pub(super) offset: isize,
    pub(super) strides: Vec<isize>,
}

impl Strided {
    /// The whole of a storage.
    pub(super) fn whole(shape: &Shape) -> Strided {
        Strided { shape: shape.clone(), offset: 0, strides: shape.strides() }
    }

    /// Basic indexing, with the view that it is of this shape.
    pub(super) fn indexed(&self, indices: &[Index]) -> Result<(View, Strided), ShapeError> {
        let picked = View::indexed(&self.shape, indices)?;
        let moved: isize = picked.starts.iter().zip(&self.strides).map(|(&start, &stride)| start * stride).sum();
        let stride = |&(axis, step): &(Option<usize>, isize)| axis.map_or(0, |axis| self.strides[axis] * step);
        let strides = picked.axes.iter().map(stride).collect();
        Ok((picked.view, Strided { shape: Shape::new(&picked.shape)?, offset: self.offset + moved, strides }))
    }

    /// Axes in another order.
    pub(super) fn permuted(&self, order: &[usize]) -> Strided {
        Strided {
            shape: Shape::from_lengths(order.iter().map(|&axis| self.shape[axis]).collect()),
            offset: self.offset,
            strides: order.iter().map(|&axis| self.strides[axis]).collect(),
        }
    }

    /// Repeated along axes of length 1 and new axes in front.
    pub(super) fn broadcast(&self, shape: &Shape) -> Strided {
        let missing = shape.len() - self.shape.len();
        let repeats = |axis: usize| axis < missing || self.shape[axis - missing] != shape[axis];
        let stride = |axis: usize| if repeats(axis) { 0 } else { self.strides[axis - missing] };
        Strided { shape: shape.clone(), offset: self.offset, strides: (0..shape.len()).map(stride).collect() }
    }

    /// The elements where two axes have places that differ by `offset`, as a new last axis.
    pub(super) fn diagonal(&self, offset: isize, first: usize, second: usize) -> Strided {
        let (rows, columns) = (self.shape[first] as isize, self.shape[second] as isize);
        let (row, column) = ((-offset).max(0), offset.max(0));
        let length = (rows - row).min(columns - column).max(0) as usize;
        let rest: Vec<usize> = (0..self.shape.len()).filter(|&axis| axis != first && axis != second).collect();
        let mut lengths: Vec<usize> = rest.iter().map(|&axis| self.shape[axis]).collect();
        let mut strides: Vec<isize> = rest.iter().map(|&axis| self.strides[axis]).collect();
        lengths.push(length);
        strides.push(self.strides[first] + self.strides[second]);
        let moved = if length > 0 { row * self.strides[first] + column * self.strides[second] } else { 0 };
        Strided { shape: Shape::from_lengths(lengths), offset: self.offset + moved, strides }
    }

    /// Another shape over the same elements in row-major order, if steps can say so.
    pub(super) fn reshaped(&self, shape: &Shape) -> Option<Strided> {
        let mut strides = vec![0; shape.len()];
        if shape.elements() == 0 {
            return Some(Strided { shape: shape.clone(), offset: self.offset, strides });
        }
        // Runs of axes of both shapes with equally many elements; within a run, each side's axes must follow on.
        let old: Vec<usize> = (0..self.shape.len()).filter(|&axis| self.shape[axis] != 1).collect();
        let (mut from, mut to) = (0, 0);
        while from < old.len() && to < shape.len() {
            let (mut before, mut after) = (self.shape[old[from]], shape[to]);
            let (mut from_end, mut to_end) = (from + 1, to + 1);
            while before != after {
                if before < after {
                    before *= self.shape[old[from_end]];
                    from_end += 1;
                } else {
                    after *= shape[to_end];
                    to_end += 1;
                }
            }
            for axis in from..from_end - 1 {
                let (outer, inner) = (old[axis], old[axis + 1]);
                if self.strides[outer] != self.strides[inner] * self.shape[inner] as isize {
                    return None;
                }
            }
            let mut stride = self.strides[old[from_end - 1]];
            for axis in (to..to_end).rev() {
                strides[axis] = stride;
                stride *= shape[axis] as isize;
            }
            (from, to) = (from_end, to_end);
        }
        Some(Strided { shape: shape.clone(), offset: self.offset, strides })
    }

    /// The order of its axes in which this shows the whole of a storage of this shape, if it does.
    pub(super) fn order_of(&self, storage: &Shape) -> Option<Vec<usize>> {
        if self.offset != 0 || self.shape.len() != storage.len() {
            return None;
        }
        let strides = storage.strides();
        let mut order = Vec::with_capacity(storage.len());
        for axis in self.shape.iter().zip(&self.strides) {
            let same = |from: &usize| !order.contains(from) && axis == (&storage[*from], &strides[*from]);
            let found = (0..storage.len()).find(same)?;
            order.push(found);
        }
        Some(order)
    }

    /// As rows of a storage of this shape and steps within them, if the elements lie so.
    pub(super) fn over(&self, storage: &Shape) -> Option<View> {
        if self.shape.elements() == 0 {
            return None;
        }
        let width = storage.row_elements() as isize;
        let (row, offset) = (self.offset.div_euclid(width), self.offset.rem_euclid(width));
        let (mut row_axis, mut row_step, mut steps) = (None, 1, self.strides.clone());
        let (mut least, mut most) = (offset, offset);
        for axis in (0..steps.len()).filter(|&axis| self.shape[axis] > 1) {
            let (stride, last) = (self.strides[axis], self.shape[axis] as isize - 1);
            let (low, high) = (least + (stride * last).min(0), most + (stride * last).max(0));
            if low >= 0 && high < width {
                (least, most) = (low, high);
                continue;
            }
            if row_axis.is_some() {
                return None;
            }
            row_axis = Some(axis);
            let inner = stride.rem_euclid(width);
            // Of a diagonal, the one of two steps that stays within the row.
            let inner = if least + inner * last < width { inner } else { inner - width };
            (least, most) = (least + (inner * last).min(0), most + (inner * last).max(0));
            (row_step, steps[axis]) = ((stride - inner) / width, inner);
        }
        if least < 0 || most >= width {
            return None;
        }
        Some(View { flat: false, row_axis, row, row_step, offset, steps })
    }
}

impl Lens {
    pub(super) fn new(parent: Option<&Arc<Lens>>, step: Step, place: Strided, writable: bool) -> Arc<Lens> {
        let writable = writable && parent.is_none_or(|parent| parent.writable);
        Arc::new(Lens { parent: parent.cloned(), step, place, writable, value: Mutex::new(None) })
    }

    /// Whether this shows the whole of the storage with its axes in another order.
    pub(super) fn permutes_all(&self) -> bool {
        self.parent.is_none() && matches!(&self.step, Step::Permuted(order) if !order.is_sorted())
    }

    /// The value of the view, given a version of the storage; computed once if the version has a number.
    pub(super) fn node(&self, storage: &Arc<Node>, version: Option<u64>) -> Arc<Node> {
        let Some(version) = version else { return self.step_from(storage, None) };
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, node)) = &*value
            && *known == version
        {
            return Arc::clone(node);
        }
        let node = self.step_from(storage, Some(version));
        *value = Some((version, Arc::clone(&node)));
        node
    }

    /// Gives up the value, which can be had again.
    pub(super) fn forget(&self) {
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Outside of the lock: this may be the end of other nodes.
        drop(value);
    }

    fn step_from(&self, storage: &Arc<Node>, version: Option<u64>) -> Arc<Node> {
        let shape = &self.place.shape;
        if let (Step::Picked(_), Some(_), Some(view)) = (&self.step, &self.parent, self.place.over(&storage.shape)) {
            return expr::view(storage, view, shape.clone());
        }
        let parent = self.parent.as_ref().map_or_else(|| Arc::clone(storage), |parent| parent.node(storage, version));
        match &self.step {
            Step::Picked(view) => expr::view(&parent, view.clone(), shape.clone()),
            Step::Permuted(order) => expr::permute(&parent, order),
            Step::Reshaped => expr::view(&parent, View::flat(), shape.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(lengths: &[usize]) -> Shape {
        Shape::new(lengths).unwrap()
    }

    /// Where each element of a strided box is, and where the view over rows finds it, must be the same.
    #[track_caller]
    fn check_over(place: &Strided, storage: &[usize]) {
        let storage = shape(storage);
        let view = place.over(&storage).expect("rows and steps within them");
        let width = storage.row_elements() as isize;
        for flat in 0..place.shape.elements() {
            let mut rest = flat;
            let (mut expected, mut row, mut inner) = (place.offset, view.row, view.offset);
            for axis in (0..place.shape.len()).rev() {
                let index = (rest % place.shape[axis]) as isize;
                rest /= place.shape[axis];
                expected += index * place.strides[axis];
                inner += index * view.steps[axis];
                row += if view.row_axis == Some(axis) { index * view.row_step } else { 0 };
            }
            assert!((0..width).contains(&inner), "{view:?} leaves its row");
            assert_eq!(row * width + inner, expected);
        }
    }

    #[test]
    fn views_of_views_are_rows_and_steps() {
        let whole = Strided::whole(&shape(&[7, 5]));
        check_over(&whole, &[7, 5]);
        let all = Index::Slice { start: None, stop: None, step: None };
        let odd = Index::Slice { start: Some(1), stop: None, step: Some(2) };
        let back = Index::Slice { start: None, stop: None, step: Some(-1) };
        let (_, every) = whole.indexed(&[back, odd]).unwrap();
        check_over(&every, &[7, 5]);
        check_over(&every.permuted(&[1, 0]), &[7, 5]);
        check_over(&every.indexed(&[all, Index::At(1)]).unwrap().1, &[7, 5]);
        for offset in -6..5 {
            check_over(&whole.diagonal(offset, 0, 1), &[7, 5]);
            check_over(&whole.indexed(&[back]).unwrap().1.diagonal(offset, 0, 1), &[7, 5]);
        }
    }

    #[test]
    fn a_reshape_is_a_view_where_steps_can_say_so() {
        let whole = Strided::whole(&shape(&[4, 6]));
        assert!(whole.reshaped(&shape(&[2, 2, 3, 2])).is_some());
        assert!(whole.reshaped(&shape(&[24])).is_some_and(|flat| flat.over(&shape(&[4, 6])).is_none()));
        assert!(whole.permuted(&[1, 0]).reshaped(&shape(&[24])).is_none());
        let half = Index::Slice { start: None, stop: None, step: Some(2) };
        let all = Index::Slice { start: None, stop: None, step: None };
        let (_, columns) = whole.indexed(&[all, half]).unwrap();
        assert_eq!(columns.reshaped(&shape(&[12])).unwrap().strides, [2]);
        let (_, less) = whole.indexed(&[all, Index::Slice { start: None, stop: Some(5), step: None }]).unwrap();
        assert!(less.reshaped(&shape(&[20])).is_none());
    }
}
