//! Finds the nearest centre of each row of a block: the argmin of ‖c‖² − 2x·c, the lowest index on ties.
//!
//! Points lie in lanes. A lane starts at ‖c‖² and adds x·(−2c) column by column, fused; partial sums of a row too
//! long for the cache rest in memory in the type of the data, so that blocking never shows in the bits.
//! Source: the loop nest of Goto and van de Geijn (2008), with the minimum taken in registers.
//! Never here: more than one block of rows, labels of earlier passes.

use super::Real;
use super::pack::{Centres, PANEL, pack_tile};
use super::scratch::{LINE, Scratch};
use super::simd::Simd;
use std::ops::Range;

/// A tile and the rows it came from share the first cache with a panel of centres.
const BLOCK_BYTES: usize = 16 << 10;
/// Part of a tile that is used at once, if the centres stay in some cache, and if they do not.
const PART_BYTES: [usize; 2] = [192 << 10, 64 << 10];
/// Centres above this size are taken to come from memory.
const CENTRES_BYTES: usize = 2 << 20;
/// Tiles, or panels of centres, that stay in the second cache.
const CACHED_BYTES: usize = 384 << 10;
const TILES_MAX: usize = 16;

/// How rows, centres and columns are blocked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocking {
    /// Rows of a tile.
    points: usize,
    /// Tiles of a block.
    tiles: usize,
    /// Panels of a group.
    panels: usize,
    /// Columns of a part.
    columns: usize,
}

impl Blocking {
    #[inline(always)]
    pub(super) fn new<T: Real, S: Simd<T>>(centres: &Centres<T>) -> Blocking {
        let points = S::BLOCK.0 * S::LANES;
        let row_bytes = centres.columns() * size_of::<T>();
        let part_bytes = PART_BYTES[usize::from(centres.count() * row_bytes > CENTRES_BYTES)];
        let columns = centres.columns().min(part_bytes / (points * size_of::<T>()));
        let tile_bytes = columns * points * size_of::<T>();
        let panels = (CACHED_BYTES / (PANEL * columns * size_of::<T>())).clamp(1, centres.panels());
        // Centres that do not stay in cache are used for as many tiles as do.
        let streams = panels < centres.panels();
        let tiles = if streams { CACHED_BYTES } else { BLOCK_BYTES } / tile_bytes;
        Blocking { points, tiles: tiles.clamp(1, TILES_MAX), panels, columns }
    }

    /// Rows of a block.
    #[inline(always)]
    pub(super) fn rows(&self) -> usize {
        self.points * self.tiles
    }
}

/// Labels the first `labels.len()` rows, at most a block; `rows` may go on behind them.
///
/// `scratch.best` keeps the lowest value of each row, with `SECOND` `scratch.second` the second lowest.
#[inline(always)]
pub(super) fn assign_block<T: Real, S: Simd<T>, const SECOND: bool>(
    simd: S,
    blocking: &Blocking,
    (rows, origin): (&[T], &[T]),
    centres: &Centres<T>,
    labels: &mut [i32],
    scratch: &mut Scratch<T>,
) {
    let &Blocking { points, tiles, panels, columns: part } = blocking;
    let columns = centres.columns();
    let parted = part < columns;
    let packed = scratch.tiles.take(tiles * points * columns);
    let best = scratch.best.take(tiles * points);
    let second = scratch.second.take(if SECOND { tiles * points } else { 0 });
    second.fill(T::INFINITY);
    let partial = scratch.partial.take(if parted { panels * tiles * points * PANEL } else { 0 });
    scratch.index.resize(tiles * points, 0);
    let index = &mut scratch.index[..];
    best.fill(T::INFINITY);
    index.fill(0);
    let vectors = |tile: usize| (labels.len() - tile * points).div_ceil(S::LANES).min(S::BLOCK.0);
    let used = labels.len().div_ceil(points);
    for tile in 0..used {
        let rows = &rows[tile * points * columns..];
        let packed = &mut packed[tile * points * columns..][..points * columns];
        match vectors(tile) {
            1 => pack_tile::<T, S, 1>(simd, rows, origin, packed, &mut scratch.padded),
            2 => pack_tile::<T, S, 2>(simd, rows, origin, packed, &mut scratch.padded),
            _ => pack_tile::<T, S, 3>(simd, rows, origin, packed, &mut scratch.padded),
        }
    }
    for first in (0..centres.panels()).step_by(panels) {
        let group = first..(first + panels).min(centres.panels());
        for start in (0..columns).step_by(part) {
            let part = start..(start + part).min(columns);
            for tile in 0..used {
                let points_of_tile = tile * points..(tile + 1) * points;
                // While a tile is worked on, its successor in the next block comes from memory, once.
                let ahead = if first == 0 && start == 0 { (tiles + tile) * points * columns } else { rows.len() };
                let ahead = rows.get(ahead..).unwrap_or(&[]);
                let mut work = Tile {
                    ahead: &ahead[..ahead.len().min(points * columns)],
                    packed: &packed[tile * points * columns..][..points * columns],
                    part: part.clone(),
                    partial: &mut partial[..],
                    stride: tiles * points * PANEL,
                    offset: tile * points * PANEL,
                    best: &mut best[points_of_tile.clone()],
                    second: if SECOND { &mut second[points_of_tile.clone()] } else { &mut [] },
                    index: &mut index[points_of_tile],
                };
                match (vectors(tile), S::BLOCK.1, parted) {
                    (1, 8, false) => work.lower::<S, 1, 8, true, SECOND>(simd, centres, &group),
                    (2, 8, false) => work.lower::<S, 2, 8, true, SECOND>(simd, centres, &group),
                    (_, 8, false) => work.lower::<S, 3, 8, true, SECOND>(simd, centres, &group),
                    (1, 8, true) => work.lower::<S, 1, 8, false, SECOND>(simd, centres, &group),
                    (2, 8, true) => work.lower::<S, 2, 8, false, SECOND>(simd, centres, &group),
                    (_, 8, true) => work.lower::<S, 3, 8, false, SECOND>(simd, centres, &group),
                    (1, _, false) => work.lower::<S, 1, 4, true, SECOND>(simd, centres, &group),
                    (2, _, false) => work.lower::<S, 2, 4, true, SECOND>(simd, centres, &group),
                    (_, _, false) => work.lower::<S, 3, 4, true, SECOND>(simd, centres, &group),
                    (1, _, true) => work.lower::<S, 1, 4, false, SECOND>(simd, centres, &group),
                    (2, _, true) => work.lower::<S, 2, 4, false, SECOND>(simd, centres, &group),
                    (_, _, true) => work.lower::<S, 3, 4, false, SECOND>(simd, centres, &group),
                }
            }
        }
    }
    labels.copy_from_slice(&index[..labels.len()]);
}

/// A tile of rows on its way through a group of panels.
struct Tile<'a, T> {
    /// Rows to prefetch on the way.
    ahead: &'a [T],
    packed: &'a [T],
    part: Range<usize>,
    /// Sums over the columns before `part`, by panel of the group, then by tile.
    partial: &'a mut [T],
    stride: usize,
    offset: usize,
    best: &'a mut [T],
    second: &'a mut [T],
    index: &'a mut [i32],
}

impl<T: Real> Tile<'_, T> {
    /// Lowers the best of each point by the centres of a group, or adds a part of their columns.
    #[inline(always)]
    fn lower<S: Simd<T>, const V: usize, const C: usize, const WHOLE: bool, const SECOND: bool>(
        &mut self,
        simd: S,
        centres: &Centres<T>,
        group: &Range<usize>,
    ) {
        let pitch = V * S::LANES;
        let first = WHOLE || self.part.start == 0;
        let last = WHOLE || self.part.end == centres.columns();
        let points = &self.packed[self.part.start * pitch..self.part.end * pitch];
        let mut best: [_; V] = std::array::from_fn(|v| {
            (simd.load(&self.best[v * S::LANES..]), simd.load_index(&self.index[v * S::LANES..]))
        });
        let known = |v: usize| if SECOND { simd.load(&self.second[v * S::LANES..]) } else { best[v].0 };
        let mut second: [_; V] = std::array::from_fn(known);
        let mut ahead = self.ahead.chunks(LINE / size_of::<T>());
        let lines = ahead.len().div_ceil(group.len());
        for (slot, panel) in group.clone().enumerate() {
            ahead.by_ref().take(lines).for_each(|line| simd.prefetch(line));
            let coefficients = centres.panel(panel, &self.part);
            let norms = centres.norms(panel);
            let mut index = simd.splat_index((panel * PANEL) as i32);
            for half in 0..PANEL / C {
                let kept = if WHOLE { 0 } else { slot * self.stride + self.offset + half * C * pitch };
                let mut sums: [[S::Vector; V]; C] = if first {
                    std::array::from_fn(|c| [simd.splat(norms[half * C + c]); V])
                } else {
                    let kept = &self.partial[kept..][..C * pitch];
                    std::array::from_fn(|c| std::array::from_fn(|v| simd.load(&kept[(c * V + v) * S::LANES..])))
                };
                for (points, coefficients) in points.chunks_exact(pitch).zip(coefficients) {
                    let x: [_; V] = std::array::from_fn(|v| simd.load(&points[v * S::LANES..]));
                    for c in 0..C {
                        let coefficient = simd.splat(coefficients[half * C + c]);
                        for v in 0..V {
                            sums[c][v] = simd.multiply_add(x[v], coefficient, sums[c][v]);
                        }
                    }
                }
                if last {
                    for sums in sums {
                        for v in 0..V {
                            if SECOND {
                                second[v] = simd.second(best[v].0, second[v], sums[v]);
                            }
                            best[v] = simd.lower(best[v], sums[v], index);
                        }
                        index = simd.next_index(index);
                    }
                } else {
                    let kept = &mut self.partial[kept..][..C * pitch];
                    for c in 0..C {
                        for v in 0..V {
                            simd.store(sums[c][v], &mut kept[(c * V + v) * S::LANES..]);
                        }
                    }
                }
            }
        }
        if last {
            for (v, (value, index)) in best.into_iter().enumerate() {
                simd.store(value, &mut self.best[v * S::LANES..]);
                simd.store_index(index, &mut self.index[v * S::LANES..]);
                if SECOND {
                    simd.store(second[v], &mut self.second[v * S::LANES..]);
                }
            }
        }
    }
}
