//! A sketch of rows, a byte for each value, by which most rows are known to be far from most points.
//!
//! A centred row x is kept as s·q, a step times small integers, with a bound e of ‖x − s·q‖; a point y, while it is
//! looked for, as t·b with a bound f. Then ‖x − y‖ ≥ ‖s·q − t·b‖ − e − f, and the right side follows from one exact sum
//! of products of integers. It takes an eighth of the bytes of rows in `f64`, a quarter of those in `f32`.
//! Invariant: a row that is not told near to a point is no nearer to it than its closest distance, in `f64`.
//! Never here: exact distances, what follows from them.

use super::Real;
use super::scratch::LINE;
use super::simd::{Bytes, Isa, Simd, Vectorised, Widening, Work};

/// Steps to either side of zero.
const STEPS: f64 = 127.0;
/// Columns of a sketched row are padded to so many, of which four share a lane and four lanes are read at once.
const PAD: usize = 16;
/// Columns below which rows take little more to read than their sketch.
pub const SKETCH_COLUMNS_MIN: usize = 32;
/// Columns of which sums of products stay within 32 bits.
pub const SKETCH_COLUMNS_MAX: usize = 1 << 16;
/// Points in a panel: as many as a mask has bits.
const PANEL: usize = 8;
/// Points in registers at once, and vectors of rows.
const LANES_MAX: usize = 16;
const VECTORS_MAX: usize = 2;
const ROWS_MAX: usize = LANES_MAX * VECTORS_MAX;

/// Rows in a byte for each value.
#[derive(Clone, Copy, Debug)]
pub struct Sketch<'a> {
    /// Row by row the integers, four in a word.
    words: &'a [u32],
    /// For each row the step, the bound of its error, and the squared norm of the sketched row.
    marks: &'a [[f32; 3]],
    columns: usize,
}

impl<'a> Sketch<'a> {
    /// Words of memory that a sketch of so many rows needs.
    pub fn memory_len(rows: usize, columns: usize) -> usize {
        rows * (columns.next_multiple_of(PAD) / 4 + 3)
    }

    /// Sketches rows, m×d in C order about `origin`, d, into `memory` of `memory_len` words.
    ///
    /// Cost: one read of the rows, a few operations for each value; no allocation.
    pub fn draw_up<T: Real>((rows, origin): (&[T], &[T]), memory: &mut [u32]) {
        let count = rows.len() / origin.len();
        assert_eq!(memory.len(), Self::memory_len(count, origin.len()), "memory for a sketch of {count} rows");
        let (words, marks) = memory.split_at_mut(memory.len() - 3 * count);
        let (bytes, marks) = (bytemuck::cast_slice_mut(words), bytemuck::cast_slice_mut(marks));
        T::dispatch(Isa::best(), DrawUp { rows, origin, bytes, marks });
    }

    /// The sketch that `draw_up` left in `memory`.
    pub fn drawn_up(rows: usize, columns: usize, memory: &'a [u32]) -> Sketch<'a> {
        assert_eq!(memory.len(), Self::memory_len(rows, columns), "memory for a sketch of {rows} rows");
        let (words, marks) = memory.split_at(memory.len() - 3 * rows);
        Sketch { words, marks: bytemuck::cast_slice(marks), columns }
    }

    /// For each of `list`, which ascends, a mask of the points that may be nearer to the row than `closest`, of all
    /// rows; masks of the first eight points, then of the next, and so on.
    ///
    /// Shapes: `points` l×d in C order about `origin`, d; `closest` m, in which the rounding of sums of d squares is
    /// allowed for.
    /// Cost: 2·l·d operations on integers and one read of the sketch for each row of the list; no allocation beyond
    /// `room`.
    pub(super) fn near<T: Real>(
        &self,
        (points, origin): (&[T], &[T]),
        closest: &[f64],
        list: &[u32],
        masks: &mut Vec<u8>,
        room: &mut Room,
    ) {
        self.near_on(Isa::best(), (points, origin), closest, list, masks, room);
    }

    fn near_on<T: Real>(
        &self,
        isa: Isa,
        (points, origin): (&[T], &[T]),
        closest: &[f64],
        list: &[u32],
        masks: &mut Vec<u8>,
        room: &mut Room,
    ) {
        assert_eq!(origin.len(), self.columns, "points of as many columns as the rows");
        assert_eq!(closest.len(), self.marks.len(), "a distance for each row");
        assert!(list.last().is_none_or(|&last| (last as usize) < self.marks.len()), "rows that exist");
        room.lay_out(points, origin);
        masks.clear();
        masks.resize(list.len() * room.panels.len(), 0);
        if !list.is_empty() {
            <f32 as Vectorised>::dispatch(isa, Look { sketch: *self, closest, list, masks, room });
        }
    }

    fn pitch(&self) -> usize {
        self.columns.next_multiple_of(PAD) / 4
    }
}

struct DrawUp<'a, T> {
    rows: &'a [T],
    origin: &'a [T],
    bytes: &'a mut [i8],
    marks: &'a mut [[f32; 3]],
}

impl<T: Real> Work<T> for DrawUp<'_, T> {
    #[inline(always)]
    fn run<S: Widening<T>>(self, _: S) {
        let columns = self.origin.len();
        let rows = self.rows.chunks_exact(columns).zip(self.bytes.chunks_exact_mut(columns.next_multiple_of(PAD)));
        for ((row, bytes), mark) in rows.zip(self.marks) {
            let (bytes, padding) = bytes.split_at_mut(columns);
            padding.fill(0);
            *mark = sketch_row(row, self.origin, bytes);
        }
    }
}

/// Lanes of sums that the compiler may keep in vectors.
const LANES: usize = 8;

/// Sketches a row; its mark.
#[inline(always)]
fn sketch_row<T: Real>(row: &[T], origin: &[T], bytes: &mut [i8]) -> [f32; 3] {
    let ((eights, rest), (origins, origins_rest)) = (row.as_chunks::<LANES>(), origin.as_chunks::<LANES>());
    let mut largest = [0.0; LANES];
    for (values, origin) in eights.iter().zip(origins) {
        for lane in 0..LANES {
            let size = (values[lane].widen() - origin[lane].widen()).abs();
            largest[lane] = if size > largest[lane] { size } else { largest[lane] };
        }
    }
    let sizes = rest.iter().zip(origins_rest).map(|(value, origin)| (value.widen() - origin.widen()).abs());
    let step = step(largest.into_iter().chain(sizes).fold(0.0, f64::max), STEPS);
    let inverse = if step == 0.0 { 0.0 } else { 1.0 / f64::from(step) };
    // The integer, its square and that of what it leaves.
    let sketched = |value: T, origin: T| {
        let centred = value.widen() - origin.widen();
        let rounded = centred * inverse + ROUND;
        let integer = rounded - ROUND;
        let left = centred - f64::from(step) * integer;
        (rounded.to_bits() as i8, integer * integer, left * left)
    };
    let (byte_eights, bytes_rest) = bytes.as_chunks_mut::<LANES>();
    let (mut off, mut square) = ([0.0; LANES], [0.0; LANES]);
    for ((values, origin), bytes) in eights.iter().zip(origins).zip(byte_eights) {
        for lane in 0..LANES {
            let (byte, own, left) = sketched(values[lane], origin[lane]);
            bytes[lane] = byte;
            square[lane] += own;
            off[lane] += left;
        }
    }
    for (lane, byte) in bytes_rest.iter_mut().enumerate() {
        let (value, own, left) = sketched(rest[lane], origins_rest[lane]);
        *byte = value;
        square[lane] += own;
        off[lane] += left;
    }
    let square = f64::from(step).powi(2) * square.iter().sum::<f64>();
    [step, error(off.iter().sum(), square), square as f32]
}

/// Adding it to a small number rounds that to the nearest integer, and leaves the integer in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 · 2^52

/// The size of a step with which so many reach this far; zero, if it is out of range.
#[inline(always)]
fn step(reach: f64, steps: f64) -> f32 {
    let step = (reach / steps) as f32;
    if step.is_normal() { step } else { 0.0 }
}

/// Not below the root of a sum of squares of differences; `square` is that of what was sketched.
///
/// Values are off by half a unit each by centring, and so are all terms of the sum, but for what is below all numbers.
#[inline(always)]
fn error(squares: f64, square: f64) -> f32 {
    let root = squares.sqrt() * (1.0 + 1e-9) + square.sqrt() * 1e-15;
    (root as f32).next_up() + f32::MIN_POSITIVE
}

/// What a worker keeps between calls.
#[derive(Debug, Default)]
pub(super) struct Room {
    panels: Vec<Panel>,
    gathered: Vec<u32>,
    packed: Vec<i32>,
}

/// Eight points as integers: for each four columns those of the even ones, then of the odd, in two words of a lane.
#[derive(Debug, Default)]
struct Panel {
    words: Vec<[[i32; PANEL]; 2]>,
    /// −2·t.
    steps: [f32; PANEL],
    /// Their squared norms; infinite behind the last point.
    squares: [f32; PANEL],
    /// The largest bound of their errors, and the largest squared norm.
    error: f64,
    square: f64,
    /// A bit for each point.
    points: u8,
}

impl Room {
    fn lay_out<T: Real>(&mut self, points: &[T], origin: &[T]) {
        let columns = origin.len();
        // No sum of products with bytes of rows leaves 32 bits.
        let steps = (f64::from(i32::MAX) / (STEPS * columns.next_multiple_of(PAD) as f64)).floor().min(32767.0);
        let groups = points.len().div_ceil(PANEL * columns);
        self.panels.resize_with(groups, Panel::default);
        for (panel, group) in self.panels.iter_mut().zip(points.chunks(PANEL * columns)) {
            panel.words.clear();
            panel.words.resize(columns.next_multiple_of(PAD) / 4, [[0; PANEL]; 2]);
            (panel.squares, panel.steps) = ([f32::INFINITY; PANEL], [0.0; PANEL]);
            (panel.error, panel.square, panel.points) = (0.0, 0.0, 0);
            for (at, point) in group.chunks_exact(columns).enumerate() {
                panel.lay_in(at, point, origin, steps);
            }
        }
    }
}

impl Panel {
    fn lay_in<T: Real>(&mut self, at: usize, point: &[T], origin: &[T], steps: f64) {
        let centred = |column: usize| point[column].widen() - origin[column].widen();
        let reach = (0..origin.len()).map(|column| centred(column).abs()).fold(0.0, f64::max);
        let step = step(reach, steps);
        let inverse = if step == 0.0 { 0.0 } else { 1.0 / f64::from(step) };
        let (mut off, mut square) = (0.0, 0.0);
        for column in 0..origin.len() {
            let integer = (centred(column) * inverse + ROUND) - ROUND;
            off += (centred(column) - f64::from(step) * integer).powi(2);
            square += (f64::from(step) * integer).powi(2);
            // Columns 0 and 2 of four share a lane, and 1 and 3.
            let word = (integer as i32 & 0xFFFF) << (16 * (column % 4 / 2));
            self.words[column / 4][column % 2][at] |= word;
        }
        self.points |= 1 << at;
        self.steps[at] = -2.0 * step;
        // What is out of range is no number, which is below nothing.
        self.squares[at] = if (square as f32).is_finite() { square as f32 } else { f32::NAN };
        // The maximum of two numbers: of no number nothing is known.
        let error = f64::from(error(off, square));
        self.error = if error > self.error || error.is_nan() { error } else { self.error };
        self.square = if square > self.square || square.is_nan() { square } else { self.square };
    }
}

struct Look<'a> {
    sketch: Sketch<'a>,
    closest: &'a [f64],
    list: &'a [u32],
    masks: &'a mut [u8],
    room: &'a mut Room,
}

impl Work<f32> for Look<'_> {
    #[inline(always)]
    fn run<S: Widening<f32>>(self, simd: S) {
        match <S as Simd<f32>>::BLOCK.0 {
            // Products are not fused with sums, so fewer vectors of them fit into the registers.
            3 => self.look::<S, 2, 8>(simd),
            _ => self.look::<S, 2, 4>(simd),
        }
    }
}

impl Look<'_> {
    #[inline(always)]
    fn look<S: Bytes, const V: usize, const C: usize>(self, simd: S) {
        let Look { sketch, closest, list, masks, room } = self;
        let (pitch, rows) = (sketch.pitch(), V * S::LANES);
        let Room { panels, gathered, packed, .. } = room;
        gathered.clear();
        gathered.resize(rows * pitch, 0);
        packed.clear();
        packed.resize(rows * pitch, 0);
        // Above what rounding takes from a sum of so many squares, twice.
        let above = 1.0 + 4.0 * (sketch.columns as f64 + 8.0) * f64::EPSILON;
        for (block, own) in list.chunks(rows).enumerate() {
            let ahead = list.get((block + 1) * rows..).unwrap_or(&[]);
            for (at, &row) in own.iter().enumerate() {
                if let Some(&next) = ahead.get(at) {
                    let next = &sketch.words[next as usize * pitch..][..pitch];
                    next.chunks(LINE / size_of::<u32>()).for_each(|line| simd.prefetch(line));
                }
                let (from, to) = (&sketch.words[row as usize * pitch..][..pitch], &mut gathered[at * pitch..][..pitch]);
                // A few vectors, sooner than a call.
                let (to, from) = (to.as_chunks_mut::<4>().0, from.as_chunks::<4>().0);
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
            pack::<S, V>(simd, gathered, pitch, packed);
            let mut steps = [0.0; ROWS_MAX];
            own.iter().zip(&mut steps).for_each(|(&row, step)| *step = sketch.marks[row as usize][0]);
            for (number, panel) in panels.iter().enumerate() {
                let mut bounds = [f32::NAN; ROWS_MAX];
                for (&row, bound) in own.iter().zip(&mut bounds) {
                    let [_, error, square] = sketch.marks[row as usize].map(f64::from);
                    let root = closest[row as usize].sqrt() * above + error + panel.error;
                    // Sums in `f32` are off by some units of the squared norms.
                    let slack = (root * root + square + panel.square) * 2.0_f64.powi(-19);
                    let out_of_range = if square.is_finite() { 0.0 } else { f64::NAN };
                    *bound = (root * root - square + slack + out_of_range) as f32 + f32::MIN_POSITIVE;
                }
                let distances = distances::<S, V, C>(simd, packed, panel, &steps);
                let masks = &mut masks[number * list.len() + block * rows..][..own.len()];
                let mut near = [0; ROWS_MAX];
                for (point, distances) in distances.iter().enumerate() {
                    for ((near, &distance), &bound) in near.iter_mut().zip(distances).zip(&bounds) {
                        // What is infinite, or no number at all, tells nothing.
                        let far = distance >= bound && distance < f32::INFINITY;
                        *near |= u8::from(!far) << point;
                    }
                }
                masks.iter_mut().zip(near).for_each(|(mask, near)| *mask = near & panel.points);
            }
        }
    }
}

/// Lays gathered words of rows out by word, one of each row side by side.
#[inline(always)]
fn pack<S: Bytes, const V: usize>(simd: S, gathered: &[u32], pitch: usize, packed: &mut [i32]) {
    let (lanes, rows) = (S::LANES, V * S::LANES);
    let gathered: &[f32] = bytemuck::cast_slice(gathered);
    for vector in 0..V {
        let own = &gathered[vector * lanes * pitch..];
        for four in (0..pitch).step_by(4) {
            let words = simd.columns(&own[four..], pitch);
            for (at, word) in words.into_iter().enumerate() {
                simd.store_index(simd.bits(word), &mut packed[(four + at) * rows + vector * lanes..]);
            }
        }
    }
}

/// For each point of a panel and packed row ‖t·b‖² − 2·s·t·q·b.
#[inline(always)]
fn distances<S: Bytes, const V: usize, const C: usize>(
    simd: S,
    packed: &[i32],
    panel: &Panel,
    steps: &[f32; ROWS_MAX],
) -> [[f32; ROWS_MAX]; PANEL] {
    let (lanes, rows) = (S::LANES, V * S::LANES);
    let mut out = [[0.0; ROWS_MAX]; PANEL];
    for half in 0..PANEL / C {
        let mut sums = [[simd.splat_index(0); V]; C];
        for (words, points) in packed.chunks_exact(rows).zip(&panel.words) {
            let words: [_; V] = std::array::from_fn(|v| simd.load_index(&words[v * lanes..]));
            for (parity, points) in points.iter().enumerate() {
                let x = words.map(|word| if parity == 0 { simd.even_bytes(word) } else { simd.odd_bytes(word) });
                for c in 0..C {
                    let point = simd.splat_index(points[half * C + c]);
                    for v in 0..V {
                        sums[c][v] = simd.add_products(x[v], point, sums[c][v]);
                    }
                }
            }
        }
        for (c, sums) in sums.into_iter().enumerate() {
            let point = half * C + c;
            for (v, sum) in sums.into_iter().enumerate() {
                let scaled =
                    simd.multiply_add(simd.load(&steps[v * lanes..]), simd.splat(panel.steps[point]), simd.splat(0.0));
                let distance = simd.multiply_add(scaled, simd.numbers(sum), simd.splat(panel.squares[point]));
                simd.store(distance, &mut out[point][v * lanes..]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::near::tests::Sample;
    use super::*;

    /// No row that a point is nearer to is told far, and of the others at most `share` are told near.
    #[track_caller]
    fn check<T: Real>((m, d, l): (usize, usize, usize), size: f64, offset: f64, share: f64) {
        let sample = Sample::<T>::new((m, d, l), size, offset);
        let Sample { rows, points, origin } = &sample;
        let square = |row: usize, point: usize| sample.square(row, point);
        // Around the distance to one of the points: some exactly at it, some just above.
        let closest: Vec<f64> =
            (0..m).map(|row| square(row, row % l) * [1.0, 1.0 + 1e-12, 0.9, 1.1][row % 4]).collect();
        let mut memory = vec![0xABAB_ABAB; Sketch::memory_len(m, d)];
        Sketch::draw_up((rows, origin), &mut memory);
        let sketch = Sketch::drawn_up(m, d, &memory);
        for isa in Isa::all() {
            for step in [1, 3] {
                let list: Vec<u32> = (0..m as u32).step_by(step).collect();
                let mut masks = Vec::new();
                sketch.near_on(isa, (points, origin), &closest, &list, &mut masks, &mut Room::default());
                assert_eq!(masks.len(), list.len() * l.div_ceil(8));
                let (mut far, mut told_near) = (0, 0);
                for (at, &row) in list.iter().enumerate() {
                    for point in 0..l {
                        let near = masks[point / 8 * list.len() + at] >> (point % 8) & 1 == 1;
                        if square(row as usize, point) < closest[row as usize] {
                            assert!(near, "{isa:?}: row {row} and point {point}");
                        } else {
                            (far, told_near) = (far + 1, told_near + usize::from(near));
                        }
                    }
                    assert_eq!(
                        u32::from(masks[(l - 1) / 8 * list.len() + at]) >> ((l - 1) % 8 + 1),
                        0,
                        "no such point"
                    );
                }
                assert!(told_near as f64 <= share * far as f64, "{isa:?}: {told_near} of {far}");
            }
        }
    }

    #[test]
    fn nothing_near_is_told_far() {
        check::<f32>((500, 128, 7), 1.0, 0.0, 0.4);
        check::<f64>((301, 33, 3), 1.0, 3.0, 0.6);
        check::<f64>((97, 40, 19), 1e12, -1e6, 0.6);
        check::<f32>((50, 32, 1), 1.0, 1e5, 1.0);
        check::<f64>((20, 5000, 2), 1e-3, 0.0, 0.9);
    }

    #[test]
    fn what_is_out_of_range_may_be_near() {
        check::<f64>((100, 37, 4), 1e60, 0.0, 1.0);
        check::<f64>((100, 37, 4), 1e-60, 0.0, 1.0);
        check::<f64>((100, 37, 4), 1e300, 0.0, 1.0);
        check::<f32>((100, 37, 4), 1e-30, 0.0, 1.0);
        check::<f32>((100, 37, 4), 1e19, 0.0, 1.0);
    }
}
