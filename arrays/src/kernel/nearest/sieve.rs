//! Sieves rows to which none of some centres comes nearer than the centre that they have, by distances in `f32`.
//!
//! What is known of such a row stays as it is, so nothing needs its exact distances. Distances are those of centred
//! rows, ‖x‖² + ‖c‖² − 2x·c, less than they can be wrong by: a product in `f32` for all centres at once takes a quarter
//! of the time of exact differences in `f64`.
//! Invariant: a row that is sifted out is no nearer to any of the centres than its closest distance, in `f64`.
//! Never here: exact distances, what follows from them.

use super::Real;
use super::pack::{PANEL, pack_tile};
use super::scratch::{Aligned, LINE};
use super::simd::{Isa, Simd, Vectorised, Widening, Work};

/// What a worker keeps between calls.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Centres by panel: column by column eight values −2c side by side.
    panels: Vec<[f32; PANEL]>,
    /// Their squared norms, less what the distances can be wrong by.
    norms: Vec<[f32; PANEL]>,
    packed: Aligned<f32>,
    padded: Vec<f32>,
    gathered: Vec<f32>,
    zeros: Vec<f32>,
}

/// Keeps of `list`, which ascends, the rows to which some of the centres may be nearer than `closest`, of all rows.
///
/// Shapes: `rows` m×d and `centres` l×d in C order, `origin` d, `closest` m.
/// Cost: 2·l·d flops in `f32` and one read for each row of the list; no allocation beyond `room`.
pub(super) fn sift<T: Real>(
    (rows, origin): (&[T], &[T]),
    centres: &[T],
    closest: &[f64],
    list: &mut Vec<u32>,
    room: &mut Room,
) {
    sift_on(Isa::best(), (rows, origin), centres, closest, list, room);
}

fn sift_on<T: Real>(
    isa: Isa,
    (rows, origin): (&[T], &[T]),
    centres: &[T],
    closest: &[f64],
    list: &mut Vec<u32>,
    room: &mut Room,
) {
    let columns = origin.len();
    assert_eq!(rows.len(), closest.len() * columns, "a distance for each row");
    assert!(list.last().is_none_or(|&last| (last as usize) < closest.len()), "rows that exist");
    let excess = excess(columns);
    room.panels.clear();
    room.norms.clear();
    for group in centres.chunks(PANEL * columns) {
        let centred = |at: usize, column: usize| match group.get(at * columns + column) {
            Some(value) => narrowed(*value, origin[column]),
            None => 0.0,
        };
        room.panels.extend((0..columns).map(|column| std::array::from_fn(|at| -2.0 * centred(at, column))));
        let norm = |at: usize| (0..columns).map(|column| f64::from(centred(at, column)).powi(2)).sum::<f64>();
        let exists = |at: usize| at * columns < group.len();
        let norm = |at: usize| if exists(at) { (norm(at) * (1.0 - excess)) as f32 } else { f32::INFINITY };
        room.norms.push(std::array::from_fn(norm));
    }
    <f32 as Vectorised>::dispatch(isa, Sieve { rows, origin, closest, list, room });
}

/// What a distance can be wrong by, relative to ‖x‖² + ‖c‖².
///
/// Norms and products are sums of d terms of which each, and each addition, is rounded to half a unit; so are the
/// centred values. All terms together are below (‖x‖ + ‖c‖)² ≤ 2(‖x‖² + ‖c‖²), and half of this would do.
fn excess(columns: usize) -> f64 {
    2.0 * (columns as f64 + 16.0) * f64::from(f32::EPSILON)
}

/// A centred value; infinite, if it is out of range.
#[inline(always)]
fn narrowed<T: Real>(value: T, origin: T) -> f32 {
    (value.widen() - origin.widen()) as f32
}

struct Sieve<'a, T> {
    rows: &'a [T],
    origin: &'a [T],
    closest: &'a [f64],
    list: &'a mut Vec<u32>,
    room: &'a mut Room,
}

impl<T: Real> Work<f32> for Sieve<'_, T> {
    #[inline(always)]
    fn run<S: Widening<f32>>(self, simd: S) {
        match <S as Simd<f32>>::BLOCK.0 {
            3 => self.sift::<S, 3, 8>(simd),
            _ => self.sift::<S, 2, 4>(simd),
        }
    }
}

impl<T: Real> Sieve<'_, T> {
    #[inline(always)]
    fn sift<S: Widening<f32>, const V: usize, const C: usize>(self, simd: S) {
        let Sieve { rows, origin, closest, list, room } = self;
        let (columns, lanes) = (origin.len(), <S as Simd<f32>>::LANES);
        let points = V * lanes;
        let (excess, least) = (excess(columns), (columns as f64 + 16.0) * f64::from(f32::MIN_POSITIVE));
        let Room { panels, norms, packed, padded, gathered, zeros } = room;
        let packed = packed.take(points * columns);
        zeros.clear();
        zeros.resize(columns, 0.0);
        // Rows of the type can be packed where they lie.
        let plain: Option<(&[f32], &[f32])> =
            (size_of::<T>() == 4).then(|| (bytemuck::cast_slice(rows), bytemuck::cast_slice(origin)));
        let mut kept = 0;
        for start in (0..list.len()).step_by(points) {
            let own = start..(start + points).min(list.len());
            let first = list[own.start] as usize;
            let adjoin = list[own.end - 1] as usize - first == own.len() - 1;
            let (tile, origin) = match plain {
                Some((rows, origin)) if adjoin => {
                    let (tile, behind) = rows[first * columns..].split_at(own.len() * columns);
                    let ahead = &behind[..behind.len().min(points * columns)];
                    ahead.chunks(LINE / size_of::<f32>()).for_each(|line| Simd::<f32>::prefetch(simd, line));
                    (tile, origin)
                }
                _ => {
                    gathered.clear();
                    for &row in &list[own.clone()] {
                        let values = &rows[row as usize * columns..][..columns];
                        gathered.extend(values.iter().zip(origin).map(|(&value, &origin)| narrowed(value, origin)));
                    }
                    (&gathered[..], &zeros[..])
                }
            };
            pack_tile::<f32, S, V>(simd, tile, origin, packed, padded);
            let (lowest, squares) = lowest::<S, V, C>(simd, packed, panels, norms);
            for (at, listed) in own.enumerate() {
                let row = list[listed];
                let bound = f64::from(lowest[at / lanes][at % lanes])
                    + f64::from(squares[at / lanes][at % lanes]) * (1.0 - excess)
                    - least;
                // What is infinite, or no number at all, tells nothing.
                if !(bound >= closest[row as usize] && bound < f64::INFINITY) {
                    list[kept] = row;
                    kept += 1;
                }
            }
        }
        list.truncate(kept);
    }
}

/// Lanes of the widest vector.
const LANES_MAX: usize = 16;

/// For each row of a packed tile the lowest ‖c‖² − 2x·c of all centres, and ‖x‖².
#[inline(always)]
fn lowest<S: Simd<f32>, const V: usize, const C: usize>(
    simd: S,
    packed: &[f32],
    panels: &[[f32; PANEL]],
    norms: &[[f32; PANEL]],
) -> ([[f32; LANES_MAX]; V], [[f32; LANES_MAX]; V]) {
    let pitch = V * S::LANES;
    let columns = packed.len() / pitch;
    let mut lowest = [(simd.splat(f32::INFINITY), simd.splat_index(0)); V];
    let mut squares = [simd.splat(0.0); V];
    for (panel, norms) in panels.chunks_exact(columns).zip(norms) {
        for half in 0..PANEL / C {
            let mut sums: [[S::Vector; V]; C] = std::array::from_fn(|c| [simd.splat(norms[half * C + c]); V]);
            let mut own = [simd.splat(0.0); V];
            for (points, coefficients) in packed.chunks_exact(pitch).zip(panel) {
                let x: [_; V] = std::array::from_fn(|v| simd.load(&points[v * S::LANES..]));
                for v in 0..V {
                    own[v] = simd.multiply_add(x[v], x[v], own[v]);
                }
                for c in 0..C {
                    let coefficient = simd.splat(coefficients[half * C + c]);
                    for v in 0..V {
                        sums[c][v] = simd.multiply_add(x[v], coefficient, sums[c][v]);
                    }
                }
            }
            squares = own;
            for sums in sums {
                for v in 0..V {
                    lowest[v] = simd.lower(lowest[v], sums[v], simd.splat_index(0));
                }
            }
        }
    }
    let mut out = ([[0.0; LANES_MAX]; V], [[0.0; LANES_MAX]; V]);
    for v in 0..V {
        simd.store(lowest[v].0, &mut out.0[v]);
        simd.store(squares[v], &mut out.1[v]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::near::tests::Sample;
    use super::*;

    /// Rows that a centre is nearer to stay in the list, and `share` of the others at most.
    #[track_caller]
    fn check<T: Real>((m, d, l): (usize, usize, usize), size: f64, offset: f64, share: f64) {
        let sample = Sample::<T>::new((m, d, l), size, offset);
        let Sample { rows, points: centres, origin } = &sample;
        let square = |row: usize, centre: usize| sample.square(row, centre);
        // Around the distance to the nearest centre: some exactly at it, some just above.
        let nearest = |row: usize| (0..l).map(|centre| square(row, centre)).fold(f64::INFINITY, f64::min);
        let closest: Vec<f64> = (0..m).map(|row| nearest(row) * [1.0, 1.0 + 1e-12, 0.9, 1.1][row % 4]).collect();
        for isa in Isa::all() {
            for step in [1, 3] {
                let all: Vec<u32> = (0..m as u32).step_by(step).collect();
                let mut list = all.clone();
                sift_on(isa, (rows, origin), centres, &closest, &mut list, &mut Room::default());
                let nearer = |&&row: &&u32| nearest(row as usize) < closest[row as usize];
                assert!(all.iter().filter(nearer).all(|row| list.binary_search(row).is_ok()), "{isa:?}: a row is lost");
                let others = all.iter().filter(|row| !nearer(row));
                let left = others.clone().filter(|row| list.binary_search(row).is_ok()).count();
                assert!(left as f64 <= share * others.count() as f64, "{isa:?}: {left} rows are left");
            }
        }
    }

    #[test]
    fn nothing_nearer_is_sifted_out() {
        // Half of the rows that no centre is nearer to are just as near.
        check::<f32>((500, 128, 8), 1.0, 0.0, 0.6);
        check::<f64>((301, 20, 3), 1.0, 3.0, 0.6);
        check::<f64>((97, 5, 19), 1e12, -1e6, 0.6);
        check::<f32>((50, 1, 1), 1.0, 1e5, 1.0);
    }

    #[test]
    fn what_is_out_of_range_stays() {
        check::<f64>((100, 7, 4), 1e60, 0.0, 1.0);
        check::<f64>((100, 7, 4), 1e-60, 0.0, 1.0);
        check::<f32>((100, 7, 4), 1e-30, 0.0, 1.0);
        check::<f32>((100, 7, 4), 1e19, 0.0, 1.0);
    }
}
