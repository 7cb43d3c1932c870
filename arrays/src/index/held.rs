//! A rank's part of an array by number of element, and boxes of elements that begin there.
//!
//! Elements are counted over the whole array in row-major order. A box never leaves its row, so it never leaves
//! its tile. Never here: which elements, and whose.

use crate::kernel::copy::{Copying, copy, pick_each, place_each};
use crate::tile::Part;
use girih_runtime::memory::{ReadGuard, WriteGuard};
use std::ops::DerefMut;

/// A box of elements that is found again and again, from many first elements.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) item: usize,
    pub(super) lengths: Vec<usize>,
    pub(super) strides: Vec<isize>,
}

impl Block {
    pub(super) fn elements(&self) -> usize {
        self.lengths.iter().product()
    }

    pub(super) fn bytes(&self) -> usize {
        self.elements() * self.item
    }

    fn copying(&self, at: usize) -> Copying {
        let steps = crate::shape::Shape::from_lengths(self.lengths.clone()).strides();
        Copying {
            lengths: self.lengths.clone(),
            from: at as isize,
            from_steps: self.strides.clone(),
            to: 0,
            to_steps: steps,
        }
    }

    /// The bytes of the box where they follow one another.
    fn run(&self) -> Option<usize> {
        let steps = crate::shape::Shape::from_lengths(self.lengths.clone()).strides();
        let follows = |axis: usize| self.lengths[axis] == 1 || self.strides[axis] == steps[axis];
        (0..self.lengths.len()).all(follows).then(|| self.bytes())
    }
}

/// A part that is open for reading (`ReadGuard`) or writing (`WriteGuard`).
pub(super) struct Held<G> {
    tiles: Vec<G>,
    /// The first element of the part.
    first: usize,
    tile_elements: usize,
}

/// Opens a part of an array with rows of so many elements.
fn open<G>(part: &Part, row_elements: usize, tiles: Vec<G>) -> Held<G> {
    let first = part.tiles().first().map_or(0, |tile| tile.rows.start * row_elements);
    let tile_elements = part.tiles().first().map_or(1, |tile| tile.rows.len() * row_elements).max(1);
    Held { tiles, first, tile_elements }
}

impl Held<ReadGuard> {
    pub(super) fn reading(part: &Part, row_elements: usize) -> Held<ReadGuard> {
        open(part, row_elements, part.tiles().iter().map(|tile| tile.cell.read()).collect())
    }

    /// The boxes that begin at these elements, one after the other.
    pub(super) fn pick(&self, block: &Block, at: impl Iterator<Item = i64>, out: &mut [u8]) {
        let place = |at: i64| {
            let within = at as usize - self.first;
            (within / self.tile_elements, within % self.tile_elements)
        };
        let bytes = block.bytes();
        if bytes == 0 {
            return;
        }
        if block.elements() == 1 {
            let tiles: Vec<&[u8]> = self.tiles.iter().map(|tile| &**tile).collect();
            return pick_each(block.item, &tiles, at.map(place), out);
        }
        let run = block.run();
        let mut copying = block.copying(0);
        for (at, out) in at.zip(out.chunks_exact_mut(bytes)) {
            let (tile, at) = place(at);
            match run {
                Some(run) => out.copy_from_slice(&self.tiles[tile][at * block.item..at * block.item + run]),
                None => {
                    copying.from = at as isize;
                    copy(block.item, &copying, &self.tiles[tile], out);
                }
            }
        }
    }
}

impl<G: DerefMut<Target = [u8]>> Held<G> {
    /// Writes boxes, one after the other, where they begin at these elements; the last one stays.
    pub(super) fn place(&mut self, block: &Block, at: impl Iterator<Item = i64>, boxes: &[u8]) {
        let (first, tile_elements) = (self.first, self.tile_elements);
        let place = move |at: i64| {
            let within = at as usize - first;
            (within / tile_elements, within % tile_elements)
        };
        let bytes = block.bytes();
        if bytes == 0 {
            return;
        }
        if block.elements() == 1 {
            let mut tiles: Vec<&mut [u8]> = self.tiles.iter_mut().map(|tile| &mut **tile).collect();
            return place_each(block.item, &mut tiles, at.map(place), boxes);
        }
        let there = block.copying(0);
        let mut copying =
            Copying { from: 0, from_steps: there.to_steps, to: 0, to_steps: there.from_steps, lengths: there.lengths };
        let run = block.run();
        for (at, values) in at.zip(boxes.chunks_exact(bytes)) {
            let (tile, at) = place(at);
            match run {
                Some(run) => self.tiles[tile][at * block.item..at * block.item + run].copy_from_slice(values),
                None => {
                    copying.to = at as isize;
                    copy(block.item, &copying, values, &mut self.tiles[tile]);
                }
            }
        }
    }
}

impl Held<WriteGuard> {
    pub(super) fn writing(part: &Part, row_elements: usize) -> Held<WriteGuard> {
        open(part, row_elements, part.tiles().iter().map(|tile| tile.cell.write()).collect())
    }
}
