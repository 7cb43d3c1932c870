//! Distances of rows to candidates for a new centre, and potentials: the kernel of greedy k-means++.
//!
//! Distances are taken directly, in f64, so a row's distance to itself is zero and no origin is needed. Potentials
//! are sums of min(D², closest) in fixed point: exact, whatever the order and grouping of rows.
//! Never here: random numbers, the choice among candidates.

use super::Real;
use super::fixed::Scale;
use super::pack::pack_tile;
use super::scratch::{LINE, Scratch};
use super::simd::{Isa, Simd, Widening, Work};

/// A tile and the rows it came from share the first cache with the candidates.
const BLOCK_BYTES: usize = 16 << 10;
const TILES_MAX: usize = 16;
/// Candidates measured at once.
const GROUP: usize = 8;

/// Lowers each row's closest squared distance by the newest centre, and adds the potential that each candidate for the
/// next one would leave, Σ min(‖row − candidate‖², closest), to `potentials`: head and tail by candidate.
///
/// Shapes: `rows` m×d and `candidates` l×d in C order, `newest` d, `closest` m (infinity before the first centre),
/// `potentials` 2·l. With `weights`, m, each row's minimum counts as often as its weight says.
/// Returns the largest closest distance that remains, 0 of no rows.
/// Cost: 3·m·(l + 1)·d flops, one read of `rows`; no allocation beyond `scratch`.
/// Order: columns ascend, fused, in f64; the sums are exact, for a `scale` that bounds the lowered `closest` (times its
/// weight) over all rows.
pub fn lower_and_measure<T: Real>(
    (rows, newest): (&[T], &[T]),
    candidates: &[T],
    (closest, weights): (&mut [f64], Option<&[T]>),
    scale: &Scale,
    potentials: &mut [i64],
    scratch: &mut Scratch<T>,
) -> f64 {
    let columns = newest.len();
    assert_eq!(rows.len(), closest.len() * columns, "a distance for each row");
    assert_eq!(candidates.len(), potentials.len() / 2 * columns, "two words for each candidate");
    let centres = [newest, candidates].concat();
    let mut each = Potentials { lowest: Lowest { closest, largest: 0.0 }, weights, scale, potentials };
    run(Isa::best(), rows, &centres, columns, &mut each, scratch);
    each.lowest.largest
}

/// Lowers each row's closest squared distance by a new centre, and returns the largest that remains (0 of no rows).
///
/// Shapes: `rows` m×d in C order, `centre` d, `closest` m (infinity before the first centre).
/// Cost: 3·m·d flops, one read of `rows`; no allocation beyond `scratch`. The distances are those that
/// `lower_and_measure` finds, bit for bit.
pub fn lower_closest<T: Real>(rows: &[T], centre: &[T], closest: &mut [f64], scratch: &mut Scratch<T>) -> f64 {
    assert_eq!(rows.len(), closest.len() * centre.len(), "a distance for each row");
    let mut lowest = Lowest { closest, largest: 0.0 };
    run(Isa::best(), rows, centre, centre.len(), &mut lowest, scratch);
    lowest.largest
}

/// The first row at which the running potential, in units of `scale`, reaches `target`; none if it never does.
///
/// Cost: one addition a row.
pub fn find<T: Real>((closest, weights): (&[f64], Option<&[T]>), scale: &Scale, target: i128) -> Option<usize> {
    let mut running = 0;
    closest.iter().enumerate().position(|(row, &distance)| {
        let weight = weights.map_or(1.0, |weights| weights[row].widen());
        running += scale.total(scale.split(distance * weight));
        running >= target
    })
}

/// Centres measured at once, so that the distances of a block stay in cache.
const CENTRES_AT_ONCE: usize = 64;

/// The distance of each row to each centre, not squared.
///
/// Shapes: `rows` m×d and `centres` k×d in C order, `out` m×k.
/// Cost: 3·m·k·d flops; no allocation beyond `scratch`.
/// Error: differences, squares and sums in f64, so a row's distance to itself is 0.
pub fn all_distances<T: Real>((rows, columns): (&[T], usize), centres: &[T], out: &mut [T], scratch: &mut Scratch<T>) {
    let stride = centres.len() / columns;
    assert_eq!(out.len(), rows.len() / columns * stride, "a distance for each row and centre");
    for (group, centres) in centres.chunks(CENTRES_AT_ONCE * columns).enumerate() {
        let each = Roots { out, stride, first: group * CENTRES_AT_ONCE };
        run(Isa::best(), rows, centres, columns, each, scratch);
    }
}

/// The squared distance of each candidate to each row: those that `lower_and_measure` finds, bit for bit.
///
/// Shapes: `rows` m×d and `candidates` l×d in C order, `out` l×m.
pub(super) fn all_squares<T: Real>(
    (rows, columns): (&[T], usize),
    candidates: &[T],
    out: &mut [f64],
    scratch: &mut Scratch<T>,
) {
    assert_eq!(out.len() * columns, rows.len() * (candidates.len() / columns), "a distance for each pair");
    run(Isa::best(), rows, candidates, columns, Squares { out, rows: rows.len() / columns }, scratch);
}

/// What becomes of distances.
pub(super) trait Take {
    /// Takes the distances of a candidate to the rows from `start` on; to be marked `#[inline(always)]`.
    fn take(&mut self, candidate: usize, start: usize, distances: &[f64]);
}

/// The newest centre, then the candidates.
struct Potentials<'a, T> {
    lowest: Lowest<'a>,
    weights: Option<&'a [T]>,
    scale: &'a Scale,
    potentials: &'a mut [i64],
}

impl<T: Real> Take for &mut Potentials<'_, T> {
    #[inline(always)]
    fn take(&mut self, candidate: usize, start: usize, distances: &[f64]) {
        let Some(candidate) = candidate.checked_sub(1) else {
            return (&mut self.lowest).take(0, start, distances);
        };
        let rows = start..start + distances.len();
        let mut sum = [0; 2];
        let pairs = distances.iter().zip(&self.lowest.closest[rows.clone()]);
        match self.weights {
            None => pairs.for_each(|(&new, &old)| self.scale.add(&mut sum, if new < old { new } else { old })),
            Some(weights) => {
                for ((&new, &old), weight) in pairs.zip(&weights[rows]) {
                    self.scale.add(&mut sum, (if new < old { new } else { old }) * weight.widen());
                }
            }
        }
        for (word, sum) in self.potentials[2 * candidate..].iter_mut().zip(sum) {
            *word = word.wrapping_add(sum);
        }
    }
}

struct Lowest<'a> {
    closest: &'a mut [f64],
    largest: f64,
}

impl Take for &mut Lowest<'_> {
    #[inline(always)]
    fn take(&mut self, _: usize, start: usize, distances: &[f64]) {
        // Eight running maxima, as many as a vector has lanes: the maximum does not depend on their order.
        let mut largest = [0.0; 8];
        let closest = &mut self.closest[start..start + distances.len()];
        for (closest, distances) in closest.chunks_mut(8).zip(distances.chunks(8)) {
            for ((closest, &new), largest) in closest.iter_mut().zip(distances).zip(&mut largest) {
                *closest = if new < *closest { new } else { *closest };
                *largest = if *closest > *largest { *closest } else { *largest };
            }
        }
        self.largest = largest.into_iter().fold(self.largest, f64::max);
    }
}

/// Writes distances into a table of candidates by rows.
struct Squares<'a> {
    out: &'a mut [f64],
    rows: usize,
}

impl Take for Squares<'_> {
    #[inline(always)]
    fn take(&mut self, candidate: usize, start: usize, distances: &[f64]) {
        self.out[candidate * self.rows + start..][..distances.len()].copy_from_slice(distances);
    }
}

/// Writes distances into a table of rows by centres.
struct Roots<'a, T> {
    out: &'a mut [T],
    stride: usize,
    first: usize,
}

impl<T: Real> Take for Roots<'_, T> {
    #[inline(always)]
    fn take(&mut self, candidate: usize, start: usize, distances: &[f64]) {
        let out = &mut self.out[start * self.stride + self.first + candidate..];
        for (out, distance) in out.iter_mut().step_by(self.stride).zip(distances) {
            *out = T::narrow(distance.sqrt());
        }
    }
}

pub(super) fn run<T: Real>(
    isa: Isa,
    rows: &[T],
    candidates: &[T],
    columns: usize,
    each: impl Take,
    scratch: &mut Scratch<T>,
) {
    assert!(columns > 0 && candidates.len().is_multiple_of(columns), "candidates of whole rows");
    T::dispatch(isa, Distances { rows, candidates, columns, each, scratch });
}

struct Distances<'a, T, F> {
    rows: &'a [T],
    candidates: &'a [T],
    columns: usize,
    each: F,
    scratch: &'a mut Scratch<T>,
}

impl<T: Real, F: Take> Work<T> for Distances<'_, T, F> {
    #[inline(always)]
    fn run<S: Widening<T>>(mut self, simd: S) {
        let columns = self.columns;
        let count = self.candidates.len() / columns;
        let points = <S as Simd<T>>::BLOCK.0 * <S as Simd<T>>::LANES;
        let tiles = (BLOCK_BYTES / (points * columns * size_of::<T>())).clamp(1, TILES_MAX);
        let block = tiles * points;
        let Scratch { tiles: packed, candidates, distances, zeros, padded, .. } = self.scratch;
        lay_out(self.candidates, columns, candidates);
        zeros.clear();
        zeros.resize(columns, T::ZERO);
        let packed = packed.take(points * columns);
        let distances = distances.take(count * block);
        for start in (0..self.rows.len() / columns).step_by(block) {
            let used = (self.rows.len() / columns - start).min(block);
            for tile in 0..used.div_ceil(points) {
                // While a tile is measured, its successor in the next block comes from memory.
                let rows = &self.rows[(start + tile * points) * columns..];
                let ahead = rows.get(block * columns..).unwrap_or(&[]);
                let ahead = &ahead[..ahead.len().min(points * columns)];
                ahead.chunks(LINE / size_of::<T>()).for_each(|line| Simd::<T>::prefetch(simd, line));
                match <S as Simd<T>>::BLOCK.0 {
                    3 => pack_tile::<T, S, 3>(simd, rows, zeros, packed, padded),
                    _ => pack_tile::<T, S, 2>(simd, rows, zeros, packed, padded),
                }
                let vectors = <S as Simd<f64>>::BLOCK.0 * <S as Simd<f64>>::LANES;
                for first in (0..points).step_by(vectors) {
                    let out = &mut distances[tile * points + first..];
                    measure_all::<T, S>(simd, (&packed[first..], points), candidates, columns, (out, block));
                }
            }
            for candidate in 0..count {
                self.each.take(candidate, start, &distances[candidate * block..][..used]);
            }
        }
    }
}

/// Candidates in groups of `GROUP`, the last one as large as it is: column by column, a group side by side.
fn lay_out<T: Real>(candidates: &[T], columns: usize, packed: &mut Vec<f64>) {
    packed.clear();
    for group in candidates.chunks(GROUP * columns) {
        for column in 0..columns {
            packed.extend(group[column..].iter().step_by(columns).map(|value| value.widen()));
        }
    }
}

/// Distances of some points of a tile, which has `pitch`, to all candidates; by candidate `stride` apart in `out`.
#[inline(always)]
fn measure_all<T, S: Widening<T>>(
    simd: S,
    (tile, pitch): (&[T], usize),
    candidates: &[f64],
    columns: usize,
    (out, stride): (&mut [f64], usize),
) {
    for (group, candidates) in candidates.chunks(GROUP * columns).enumerate() {
        let out = (&mut out[group * GROUP * stride..], stride);
        let tile = (tile, pitch);
        match (candidates.len() / columns, <S as Simd<f64>>::BLOCK) {
            (1, (3, _)) => measure::<T, S, 3, 1, 1>(simd, tile, candidates, 0, out),
            (2, (3, _)) => measure::<T, S, 3, 2, 2>(simd, tile, candidates, 0, out),
            (3, (3, _)) => measure::<T, S, 3, 3, 3>(simd, tile, candidates, 0, out),
            (4, (3, _)) => measure::<T, S, 3, 4, 4>(simd, tile, candidates, 0, out),
            (5, (3, _)) => measure::<T, S, 3, 5, 5>(simd, tile, candidates, 0, out),
            (6, (3, _)) => measure::<T, S, 3, 6, 6>(simd, tile, candidates, 0, out),
            (7, (3, _)) => measure::<T, S, 3, 7, 7>(simd, tile, candidates, 0, out),
            (_, (3, _)) => measure::<T, S, 3, 8, 8>(simd, tile, candidates, 0, out),
            (1, _) => measure::<T, S, 2, 1, 1>(simd, tile, candidates, 0, out),
            (2, _) => measure::<T, S, 2, 2, 2>(simd, tile, candidates, 0, out),
            (3, _) => measure::<T, S, 2, 3, 3>(simd, tile, candidates, 0, out),
            (4, _) => measure::<T, S, 2, 4, 4>(simd, tile, candidates, 0, out),
            (5, _) => measure_two::<T, S, 4, 1, 5>(simd, tile, candidates, out),
            (6, _) => measure_two::<T, S, 4, 2, 6>(simd, tile, candidates, out),
            (7, _) => measure_two::<T, S, 4, 3, 7>(simd, tile, candidates, out),
            (_, _) => measure_two::<T, S, 4, 4, 8>(simd, tile, candidates, out),
        }
    }
}

/// The same for a group that needs more registers than there are: first `A`, then `B` of its `G` candidates.
#[inline(always)]
fn measure_two<T, S: Widening<T>, const A: usize, const B: usize, const G: usize>(
    simd: S,
    tile: (&[T], usize),
    candidates: &[f64],
    (out, stride): (&mut [f64], usize),
) {
    measure::<T, S, 2, A, G>(simd, tile, candidates, 0, (out, stride));
    measure::<T, S, 2, B, G>(simd, tile, candidates, A, (&mut out[A * stride..], stride));
}

/// Distances of `V` vectors of points to `C` of the `G` candidates that lie side by side, from `skip` on.
#[inline(always)]
fn measure<T, S: Widening<T>, const V: usize, const C: usize, const G: usize>(
    simd: S,
    (tile, pitch): (&[T], usize),
    candidates: &[f64],
    skip: usize,
    (out, stride): (&mut [f64], usize),
) {
    let lanes = <S as Simd<f64>>::LANES;
    let mut sums = [[Simd::<f64>::splat(simd, 0.0); V]; C];
    for (points, candidates) in tile.chunks(pitch).zip(candidates.as_chunks::<G>().0) {
        let x: [_; V] = std::array::from_fn(|v| simd.load_wide(&points[v * lanes..]));
        for c in 0..C {
            let candidate = Simd::<f64>::splat(simd, candidates[skip + c]);
            for v in 0..V {
                let difference = Simd::<f64>::subtract(simd, x[v], candidate);
                sums[c][v] = Simd::<f64>::multiply_add(simd, difference, difference, sums[c][v]);
            }
        }
    }
    for (c, sums) in sums.iter().enumerate() {
        for (v, &sum) in sums.iter().enumerate() {
            Simd::<f64>::store(simd, sum, &mut out[c * stride + v * lanes..]);
        }
    }
}
