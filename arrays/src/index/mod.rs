//! Indexing by arrays: integers and masks, mixed with slices, read and written, with NumPy's rules.
//!
//! An index is resolved into a basic part, which is a view, and arrays of places along some of its axes. The places
//! become numbers of elements at which boxes begin: the axes that no array names. Boxes are then picked or placed.
//! Never here: how boxes travel (`gather`, `scatter`), counts that depend on data (`mask`).

mod gather;
mod held;
mod mask;
mod offsets;
mod scatter;
mod small;

use crate::array::Array;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::expr::{self, Index};
use crate::shape::{Shape, broadcast};
use crate::storage::Handle;
use held::Block;
pub(crate) use mask::ragged;
use offsets::Offsets;
use std::sync::Arc;

/// One entry of an index.
#[derive(Clone, Debug)]
pub enum Entry {
    /// An integer, a slice, a new axis or an ellipsis.
    Basic(Index),
    /// Places along an axis: an array of integers.
    Places(Array),
    /// Truth values along as many axes as the array has.
    Mask(Array),
}

/// An index as a view and places along axes of it.
struct Resolved {
    basic: Vec<Index>,
    /// Axes of the view that arrays name, and the places there.
    places: Vec<(usize, Array)>,
    /// Axes of the view that integers name beside arrays.
    fixed: Vec<(usize, i64)>,
    /// Where the axes of the arrays go among those of the result.
    at: usize,
}

/// A resolved index over a view of this shape.
struct Boxes {
    /// Whether arrays name the axis of rows.
    across_rows: bool,
    /// The shape of all places together.
    places: Shape,
    offsets: Offsets,
    block: Block,
    /// The result as it is picked: rows first if they are not picked among, then places, then boxes.
    natural: Shape,
    /// For each axis of the result, its axis there.
    order: Vec<i64>,
}

impl Array {
    /// Elements given by any index: a copy.
    ///
    /// Cost: places travel to the ranks that hold their rows unless all ranks know them, and the elements back.
    ///
    /// # Errors
    /// Replicated: `Error::Index` if a place is out of bounds, a mask does not fit or there are too many entries.
    pub fn at(&self, entries: &[Entry]) -> Result<Array> {
        if let [Entry::Mask(mask)] = entries
            && mask.shape() == self.shape()
        {
            return self.compress(mask);
        }
        if let [Entry::Places(places)] = entries
            && let Some(picked) = small::pick(self, places)
        {
            return picked;
        }
        let resolved = Resolved::new(self, entries)?;
        let view = if is_whole(&resolved.basic) { self.clone() } else { self.slice(&resolved.basic)? };
        let boxes = Boxes::new(&view, &resolved)?;
        let natural = gather::pick(&view, &boxes)?;
        if boxes.order.windows(2).all(|two| two[0] < two[1]) { Ok(natural) } else { natural.permute(&boxes.order) }
    }
}

impl Handle {
    /// Writes elements given by any index; where a place is named twice, the last value stays.
    ///
    /// Cost: values travel, with their places, to the ranks that hold the rows.
    ///
    /// # Errors
    /// As [`Array::at`]; replicated: `Error::Shape` if the value does not broadcast to the elements.
    pub fn put(&self, entries: &[Entry], value: &Array) -> Result<()> {
        let array = self.uncached();
        if let [Entry::Mask(mask)] = entries
            && mask::spreads(&array, mask, value)
        {
            let chosen = mask::chosen(&array, mask, value)?;
            drop(array);
            return self.assign(&[Index::Ellipsis], &chosen);
        }
        let resolved = Resolved::new(&array, entries)?;
        drop(array);
        if is_whole(&resolved.basic) {
            return self.put_resolved(&resolved, value);
        }
        self.slice(&resolved.basic)?.put_resolved(&resolved, value)
    }

    fn put_resolved(&self, resolved: &Resolved, value: &Array) -> Result<()> {
        let view = self.uncached();
        let boxes = Boxes::new(&view, resolved)?;
        let (world, dtype) = (view.world().clone(), view.dtype());
        drop(view);
        let lengths: Vec<usize> = boxes.order.iter().map(|&axis| boxes.natural[axis as usize]).collect();
        let value = fitted(value, &Shape::new(&lengths)?, dtype)?;
        let back: Vec<i64> = (0..lengths.len() as i64)
            .map(|axis| boxes.order.iter().position(|&natural| natural == axis).expect("each axis is named") as i64)
            .collect();
        let value = if back.is_empty() { value } else { value.permute(&back)? };
        value.wait()?;
        self.update(|node| scatter::place(&world, node, &boxes, &value))
    }
}

/// A value repeated to the shape of the elements that it is written to, as their dtype.
fn fitted(value: &Array, shape: &Shape, dtype: DType) -> Result<Array> {
    let lengths = value.shape();
    let extra = lengths.len().saturating_sub(shape.len());
    let inner = Shape::from_lengths(lengths[extra..].to_vec());
    let fits = lengths[..extra].iter().all(|&length| length == 1);
    if !fits || broadcast(&[&inner, shape]).ok().as_ref() != Some(shape) {
        let from = Shape::from_lengths(lengths.to_vec()).to_string().replace(", ", ",");
        let shape = shape.to_string().replace(", ", ",");
        return Err(Error::Shape(format!(
            "shape mismatch: value array of shape {from} could not be broadcast to indexing result of shape {shape}"
        )));
    }
    let inner: Vec<i64> = inner.iter().map(|&length| length as i64).collect();
    value.reshape(&inner)?.astype(dtype)?.broadcast_to(shape)
}

fn is_whole(basic: &[Index]) -> bool {
    basic.iter().all(|index| matches!(index, Index::Slice { start: None, stop: None, step: None } | Index::Ellipsis))
}

const ALL: Index = Index::Slice { start: None, stop: None, step: None };

impl Resolved {
    fn new(array: &Array, entries: &[Entry]) -> Result<Resolved> {
        let entries = expanded(array, entries)?;
        let arrays = entries.iter().any(|entry| !matches!(entry, Entry::Basic(_)));
        let mut resolved = Resolved { basic: Vec::new(), places: Vec::new(), fixed: Vec::new(), at: 0 };
        // Axes of the array and of the view so far; axes of the result before the first array.
        let (mut axis, mut seen, mut plain) = (0, 0, 0);
        let (mut first, mut last, mut apart) = (None, 0, false);
        for (number, entry) in entries.into_iter().enumerate() {
            let mut named = |plain: usize| {
                apart |= first.is_some() && last + 1 != number;
                first.get_or_insert(plain);
                last = number;
            };
            match entry {
                Entry::Basic(Index::At(at)) if arrays => {
                    let length = array.shape()[axis] as i64;
                    if at < -length || at >= length {
                        return Err(out_of_bounds(at, axis, length));
                    }
                    named(plain);
                    resolved.basic.push(ALL);
                    resolved.fixed.push((seen, if at < 0 { at + length } else { at }));
                    (axis, seen) = (axis + 1, seen + 1);
                }
                Entry::Basic(index) => {
                    resolved.basic.push(index);
                    let (taken, made) = match index {
                        Index::At(_) => (1, 0),
                        Index::NewAxis => (0, 1),
                        Index::Ellipsis => (0, 0),
                        _ => (1, 1),
                    };
                    (axis, seen, plain) = (axis + taken, seen + made, plain + made);
                }
                Entry::Places(places) => {
                    named(plain);
                    resolved.basic.push(ALL);
                    resolved.places.push((seen, places));
                    (axis, seen) = (axis + 1, seen + 1);
                }
                Entry::Mask(mask) => {
                    named(plain);
                    let dimensions = mask.shape().len();
                    for (offset, places) in mask_places(array, axis, &mask)?.into_iter().enumerate() {
                        resolved.basic.push(if dimensions == 0 { Index::NewAxis } else { ALL });
                        resolved.places.push((seen + offset, places));
                    }
                    (axis, seen) = (axis + dimensions, seen + dimensions.max(1));
                }
            }
        }
        resolved.at = if apart { 0 } else { first.unwrap_or(0) };
        Ok(resolved)
    }
}

/// The places of a mask's truths along each of its axes; of a single truth value, none or one along a new axis.
fn mask_places(array: &Array, axis: usize, mask: &Array) -> Result<Vec<Array>> {
    if mask.shape().is_empty() {
        let count = usize::from(mask.to_scalar()?.to_bool());
        return Ok(vec![Array::zeros(array.world(), &[count], DType::Int64)?]);
    }
    for (offset, &length) in mask.shape().iter().enumerate() {
        let (axis, size) = (axis + offset, array.shape()[axis + offset]);
        // As in NumPy, a mask of no length fits anywhere.
        if size != length && length > 0 {
            return Err(Error::Index(format!(
                "boolean index did not match indexed array along axis {axis}; size of axis is {size} but size of \
                 corresponding boolean axis is {length}"
            )));
        }
    }
    mask.nonzero()
}

/// Entries for all axes, with whole axes in place of the ellipsis.
fn expanded(array: &Array, entries: &[Entry]) -> Result<Vec<Entry>> {
    let dimensions = array.shape().len();
    let named: usize = entries
        .iter()
        .map(|entry| match entry {
            Entry::Basic(Index::At(_) | Index::Slice { .. }) | Entry::Places(_) => 1,
            Entry::Basic(_) => 0,
            Entry::Mask(mask) => mask.shape().len(),
        })
        .sum();
    let is_ellipsis = |entry: &&Entry| matches!(entry, Entry::Basic(Index::Ellipsis));
    if entries.iter().filter(is_ellipsis).count() > 1 {
        return Err(Error::Index("an index can only have a single ellipsis ('...')".to_string()));
    }
    if named > dimensions {
        let text = format!("too many indices for array: array is {dimensions}-dimensional, but {named} were indexed");
        return Err(Error::Index(text));
    }
    let rest = || std::iter::repeat_n(Entry::Basic(ALL), dimensions - named);
    let mut all = Vec::with_capacity(entries.len() + dimensions - named);
    for entry in entries {
        // An ellipsis that stands for no axis still stands between its neighbours.
        match is_ellipsis(&entry) && named < dimensions {
            true => all.extend(rest()),
            false => all.push(entry.clone()),
        }
    }
    if !entries.iter().any(|entry| is_ellipsis(&entry)) {
        all.extend(rest());
    }
    Ok(all)
}

fn out_of_bounds(at: i64, axis: usize, length: i64) -> Error {
    Error::Index(format!("index {at} is out of bounds for axis {axis} with size {length}"))
}

impl Boxes {
    fn new(view: &Array, resolved: &Resolved) -> Result<Boxes> {
        let shapes: Vec<Shape> =
            resolved.places.iter().map(|(_, places)| Shape::from_lengths(places.shape().to_vec())).collect();
        let places = broadcast(&shapes.iter().collect::<Vec<_>>()).map_err(|_| {
            let all = shapes.iter().map(|shape| shape.to_string().replace(", ", ",")).collect::<Vec<_>>().join(" ");
            let text = "shape mismatch: indexing arrays could not be broadcast together with shapes";
            Error::Index(format!("{text} {all} "))
        })?;
        let shape = Shape::from_lengths(view.shape().to_vec());
        let strides = shape.strides();
        let named = |axis: usize| {
            resolved.places.iter().any(|(named, _)| *named == axis)
                || resolved.fixed.iter().any(|(named, _)| *named == axis)
        };
        let across_rows = named(0);
        let rest: Vec<usize> = (0..shape.len()).filter(|&axis| !named(axis)).collect();
        let boxed = &rest[usize::from(!across_rows)..];
        let block = Block {
            item: view.dtype().bytes(),
            lengths: boxed.iter().map(|&axis| shape[axis]).collect(),
            strides: boxed.iter().map(|&axis| strides[axis]).collect(),
        };
        let rows = if across_rows { vec![] } else { vec![shape[0]] };
        let natural = Shape::new(&[&rows[..], &places[..], &block.lengths[..]].concat())?;
        // Where the result's axes are in the natural order.
        let (ahead, middle) = (rows.len() as i64, places.len() as i64);
        let plain = |number: usize| number as i64 + if number < rows.len() { 0 } else { middle };
        let mut order: Vec<i64> = (0..resolved.at).map(plain).collect();
        order.extend(ahead..ahead + middle);
        order.extend((resolved.at..rest.len()).map(plain));
        let offsets = Offsets::new(view, resolved, &places, &strides)?;
        Ok(Boxes { across_rows, places, offsets, block, natural, order })
    }

    /// The number of places for each of the first axis of all places.
    fn places_in_row(&self) -> usize {
        self.places.row_elements()
    }
}

/// An array's node, for modules that read its part.
fn node_of(array: &Array) -> Arc<expr::Node> {
    Arc::clone(array.node())
}
