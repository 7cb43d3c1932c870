//! Lays centres and rows out in the order in which the assignment reads them.
//!
//! Centres lie in panels of eight: column by column, the eight values −2c side by side. Rows lie in tiles:
//! column by column, one value of each row, the origin subtracted. Padding never reaches a result: centres
//! beyond the last have an infinite norm, and the labels of rows beyond the last are dropped.
//! Never here: a sum of products.

use super::Real;
use super::simd::{Isa, Simd, Widening, Work};
use std::ops::Range;

/// Centres in a panel.
pub(super) const PANEL: usize = 8;

/// The centres of one iteration, packed in memory that the caller provides.
#[derive(Clone, Copy, Debug)]
pub struct Centres<'a, T> {
    count: usize,
    columns: usize,
    panels: &'a [T],
    norms: &'a [T],
    rows: &'a [T],
    reach: &'a [T],
}

impl<'a, T: Real> Centres<'a, T> {
    /// Values of memory that `count` packed centres need.
    pub fn memory_len(count: usize, columns: usize) -> usize {
        let padded = count.next_multiple_of(PANEL);
        padded * columns + padded + count * columns + columns
    }

    /// Packs centred centres, a C-order k×d slice, into `memory` of `memory_len` values.
    ///
    /// Cost: 3·k·d values written; no allocation.
    pub fn pack(centres: &[T], columns: usize, memory: &'a mut [T]) -> Centres<'a, T> {
        assert!(columns > 0 && !centres.is_empty() && centres.len().is_multiple_of(columns), "centres of whole rows");
        let count = centres.len() / columns;
        assert_eq!(memory.len(), Self::memory_len(count, columns), "memory for {count} centres of {columns} columns");
        let padded = count.next_multiple_of(PANEL);
        let (panels, rest) = memory.split_at_mut(padded * columns);
        let (norms, rest) = rest.split_at_mut(padded);
        let (rows, reach) = rest.split_at_mut(centres.len());
        rows.copy_from_slice(centres);
        T::dispatch(Isa::best(), Packing { centres, columns, panels, norms, reach });
        Centres::packed(count, columns, memory)
    }

    /// The centres that `pack` left in `memory`.
    pub fn packed(count: usize, columns: usize, memory: &'a [T]) -> Centres<'a, T> {
        assert_eq!(memory.len(), Self::memory_len(count, columns), "memory for {count} centres of {columns} columns");
        let padded = count.next_multiple_of(PANEL);
        let (panels, rest) = memory.split_at(padded * columns);
        let (norms, rest) = rest.split_at(padded);
        let (rows, reach) = rest.split_at(count * columns);
        Centres { count, columns, panels, norms, rows, reach }
    }

    /// The number of centres.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A centre as it was given.
    pub fn row(&self, cluster: usize) -> &'a [T] {
        &self.rows[cluster * self.columns..][..self.columns]
    }

    /// The largest absolute value of each column.
    pub fn reach(&self) -> &'a [T] {
        self.reach
    }

    /// The number of panels.
    #[inline(always)]
    pub(super) fn panels(&self) -> usize {
        self.norms.len() / PANEL
    }

    /// Some columns of a panel: the values −2c of each column.
    #[inline(always)]
    pub(super) fn panel(&self, panel: usize, columns: &Range<usize>) -> &'a [[T; PANEL]] {
        let start = panel * self.columns;
        &self.panels.as_chunks().0[start + columns.start..start + columns.end]
    }

    /// The squared norms of a panel.
    #[inline(always)]
    pub(super) fn norms(&self, panel: usize) -> &'a [T; PANEL] {
        &self.norms.as_chunks().0[panel]
    }
}

/// Centres on their way into panels.
struct Packing<'a, T> {
    centres: &'a [T],
    columns: usize,
    panels: &'a mut [T],
    norms: &'a mut [T],
    reach: &'a mut [T],
}

impl<T: Real> Work<T> for Packing<'_, T> {
    #[inline(always)]
    fn run<S: Widening<T>>(self, _: S) {
        let Packing { centres, columns, panels, norms, reach } = self;
        reach.fill(T::ZERO);
        let panels = panels.chunks_exact_mut(PANEL * columns).zip(norms.as_chunks_mut::<PANEL>().0);
        for ((panel, norms), centres) in panels.zip(centres.chunks(PANEL * columns)) {
            let count = centres.len() / columns;
            // Beyond the last the first is read, and then dropped.
            let rows: [&[T]; PANEL] =
                std::array::from_fn(|at| &centres[if at < count { at } else { 0 } * columns..][..columns]);
            let mut squares = [0.0; PANEL];
            for (column, (panel, reach)) in panel.as_chunks_mut::<PANEL>().0.iter_mut().zip(&mut *reach).enumerate() {
                let values = rows.map(|row| row[column].widen());
                for at in 0..PANEL {
                    panel[at] = T::narrow(-2.0 * values[at]);
                    squares[at] += values[at] * values[at];
                }
                let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
                let largest = T::narrow(largest);
                *reach = if largest > *reach { largest } else { *reach };
            }
            *norms = squares.map(T::narrow);
            norms[count..].fill(T::INFINITY);
            panel.as_chunks_mut::<PANEL>().0.iter_mut().for_each(|panel| panel[count..].fill(T::ZERO));
        }
    }
}

/// Packs the first rows of `rows`, as many as `V` vectors have lanes, into a tile: `tile[column][row]`.
///
/// Rows that do not exist are packed as zeros. `padded` is room for rows at the end of the slice.
#[inline(always)]
pub(super) fn pack_tile<T: Real, S: Simd<T>, const V: usize>(
    simd: S,
    rows: &[T],
    origin: &[T],
    tile: &mut [T],
    padded: &mut Vec<T>,
) {
    let columns = origin.len();
    // Four columns are read at once, so a row's last read may reach beyond its end.
    let needed = (S::LANES - 1) * columns + columns.next_multiple_of(4);
    for vector in 0..V {
        let rows = rows.get(vector * S::LANES * columns..).unwrap_or(&[]);
        let rows = if rows.len() >= needed {
            rows
        } else {
            padded.clear();
            padded.extend_from_slice(rows);
            padded.resize(needed, T::ZERO);
            &*padded
        };
        pack_vector::<T, S, V>(simd, rows, origin, &mut tile[vector * S::LANES..]);
    }
}

#[inline(always)]
fn pack_vector<T: Real, S: Simd<T>, const V: usize>(simd: S, rows: &[T], origin: &[T], tile: &mut [T]) {
    let columns = origin.len();
    let pitch = V * S::LANES;
    let (fours, rest) = origin.as_chunks::<4>();
    for (four, origin) in fours.iter().enumerate() {
        let values = simd.columns(&rows[4 * four..], columns);
        let tile = &mut tile[4 * four * pitch..];
        for column in 0..4 {
            let centred = simd.subtract(values[column], simd.splat(origin[column]));
            simd.store(centred, &mut tile[column * pitch..]);
        }
    }
    if !rest.is_empty() {
        let values = simd.columns(&rows[4 * fours.len()..], columns);
        let tile = &mut tile[4 * fours.len() * pitch..];
        for (column, &origin) in rest.iter().enumerate() {
            let centred = simd.subtract(values[column], simd.splat(origin));
            simd.store(centred, &mut tile[column * pitch..]);
        }
    }
}
