//! The same kernel for sparse rows: nearest centres, sums, and distances for seeding, at a cost of their entries.
//!
//! Centres lie in lanes: for each column the values −2c of all centres side by side, so an entry of a row is one
//! multiply-add of a vector. There is no origin: subtracting one would fill the rows.
//! Invariant: what a row gets depends on the row, in the order of its entries, and the centres alone.
//! A distance is Σ(x − c)² over the row's entries plus what ‖c‖² has outside them: exactly 0 from a row to itself.
//! Never here: the pattern's origin, dense rows.

use super::Real;
use super::fixed::{FixedPoint, Scale, head, split};
use super::scratch::Scratch;
use super::simd::{Isa, Simd, Widening, Work};
use super::sums::Layout;

/// Centres are padded to the widest vectors, so that the memory does not depend on the machine.
const LANES_MAX: usize = 16;
/// Vectors of sums that stay in registers while a row is read.
const VECTORS: usize = 4;

/// Rows in compressed form: row i has the entries `starts[i]..starts[i + 1]`.
#[derive(Clone, Copy, Debug)]
pub struct SparseRows<'a, T> {
    /// One more than rows, ascending; counted from the first entry of `columns` and `values`.
    pub starts: &'a [usize],
    /// The column of each entry; no column twice in a row.
    pub columns: &'a [u32],
    /// The value of each entry.
    pub values: &'a [T],
}

impl<'a, T> SparseRows<'a, T> {
    /// The number of rows.
    pub fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Columns and values of a row.
    #[inline(always)]
    pub fn row(&self, row: usize) -> (&'a [u32], &'a [T]) {
        let entries = self.starts[row]..self.starts[row + 1];
        (&self.columns[entries.clone()], &self.values[entries])
    }
}

/// The centres of one iteration, packed for sparse rows in memory that the caller provides.
#[derive(Clone, Copy, Debug)]
pub struct SparseCentres<'a, T> {
    columns: usize,
    padded: usize,
    squares: &'a [f64],
    coefficients: &'a [T],
    norms: &'a [T],
    rows: &'a [T],
    reach: &'a [T],
}

impl<'a, T: Real> SparseCentres<'a, T> {
    /// Values of memory that `count` packed centres need.
    pub fn memory_len(count: usize, columns: usize) -> usize {
        let padded = count.next_multiple_of(LANES_MAX);
        count * (size_of::<f64>() / size_of::<T>()) + padded * columns + padded + count * columns + columns
    }

    /// Packs centres, a C-order k×d slice, into `memory` of `memory_len` values that start at a multiple of 8 bytes.
    ///
    /// Cost: 2·k·d values written; no allocation.
    pub fn pack(centres: &[T], columns: usize, memory: &'a mut [T]) -> SparseCentres<'a, T> {
        let count = centres.len() / columns;
        let padded = count.next_multiple_of(LANES_MAX);
        assert_eq!(memory.len(), Self::memory_len(count, columns), "memory for {count} centres of {columns} columns");
        let (squares, rest) = memory.split_at_mut(count * (size_of::<f64>() / size_of::<T>()));
        let squares: &mut [f64] = bytemuck::cast_slice_mut(squares);
        let (coefficients, rest) = rest.split_at_mut(padded * columns);
        let (norms, rest) = rest.split_at_mut(padded);
        let (rows, reach) = rest.split_at_mut(centres.len());
        norms.fill(T::INFINITY);
        reach.fill(T::ZERO);
        rows.copy_from_slice(centres);
        for (column, coefficients) in coefficients.chunks_exact_mut(padded).enumerate() {
            coefficients.fill(T::ZERO);
            for (index, coefficient) in coefficients[..count].iter_mut().enumerate() {
                let value = centres[index * columns + column].widen();
                *coefficient = T::narrow(-2.0 * value);
                let size = T::narrow(value.abs());
                reach[column] = if size > reach[column] { size } else { reach[column] };
            }
        }
        for (index, centre) in centres.chunks_exact(columns).enumerate() {
            squares[index] = centre.iter().fold(0.0, |sum, value| sum + value.widen() * value.widen());
            norms[index] = T::narrow(squares[index]);
        }
        SparseCentres::packed(count, columns, memory)
    }

    /// The centres that `pack` left in `memory`.
    pub fn packed(count: usize, columns: usize, memory: &'a [T]) -> SparseCentres<'a, T> {
        let padded = count.next_multiple_of(LANES_MAX);
        assert_eq!(memory.len(), Self::memory_len(count, columns), "memory for {count} centres of {columns} columns");
        let (squares, rest) = memory.split_at(count * (size_of::<f64>() / size_of::<T>()));
        let (coefficients, rest) = rest.split_at(padded * columns);
        let (norms, rest) = rest.split_at(padded);
        let (rows, reach) = rest.split_at(count * columns);
        let squares = bytemuck::cast_slice(squares);
        SparseCentres { columns, padded, squares, coefficients, norms, rows, reach }
    }

    /// The largest absolute value of each column.
    pub fn reach(&self) -> &'a [T] {
        self.reach
    }

    fn distance(&self, (columns, values): (&[u32], &[T]), cluster: usize) -> f64 {
        let centre = &self.rows[cluster * self.columns..][..self.columns];
        let at = |column: u32| centre[column as usize].widen();
        distance((columns, values), at, self.squares[cluster])
    }
}

/// ‖row − centre‖² for a centre given by its values and ‖centre‖².
#[inline(always)]
fn distance<T: Real>((columns, values): (&[u32], &[T]), centre: impl Fn(u32) -> f64, square: f64) -> f64 {
    let (mut apart, mut met) = (0.0, 0.0);
    for (&column, value) in columns.iter().zip(values) {
        let centre = centre(column);
        let difference = value.widen() - centre;
        apart += difference * difference;
        met += centre * centre;
    }
    apart + (square - met).max(0.0)
}

/// What a pass over sparse rows needs besides rows; the same for all tasks of an iteration.
#[derive(Clone, Copy, Debug)]
pub struct SparsePass<'a, T> {
    /// The centres to which rows are assigned.
    pub centres: SparseCentres<'a, T>,
    /// The scales of the sums.
    pub fixed: &'a FixedPoint,
    /// The scale of the inertia.
    pub inertia: Scale,
}

impl<T: Real> SparsePass<'_, T> {
    /// Labels rows by their nearest centre, the lowest index on ties, and adds them to `words`, as `Pass` does.
    ///
    /// Cost: 2·k flops and a few operations for each entry; no allocation beyond `scratch`.
    pub fn assign_and_add(
        &self,
        rows: &SparseRows<T>,
        weights: Option<&[T]>,
        labels: &mut [i32],
        words: &mut [i64],
        scratch: &mut Scratch<T>,
    ) {
        assert_eq!(rows.count(), labels.len(), "a label for each row");
        let layout = Layout::new(self.centres.squares.len(), self.fixed);
        assert_eq!(words.len(), layout.words(), "words as the layout has them");
        scratch.fresh.resize(labels.len(), 0);
        let mut fresh = std::mem::take(&mut scratch.fresh);
        let sums = scratch.best.take(self.centres.padded);
        T::dispatch(Isa::best(), Assign { rows, centres: &self.centres, labels: &mut fresh[..labels.len()], sums });
        for (row, (label, &fresh)) in labels.iter_mut().zip(&fresh).enumerate() {
            words[layout.changed()] += i64::from(*label != fresh);
            *label = fresh;
            let weight = weights.map_or(1.0, |weights| weights[row].widen());
            self.add(&layout, rows.row(row), fresh as usize, weight, words);
        }
        scratch.fresh = fresh;
    }

    #[inline(always)]
    fn add(&self, layout: &Layout, row: (&[u32], &[T]), cluster: usize, weight: f64, words: &mut [i64]) {
        add_sparse_row(layout, self.fixed, words, cluster, row, weight);
        let distance = self.centres.distance(row, cluster) * weight;
        let limbs = self.inertia.split(distance.clamp(-f64::MAX, f64::MAX));
        for (word, limb) in words[layout.inertia()].iter_mut().zip(limbs) {
            *word = word.wrapping_add(limb);
        }
    }
}

/// Adds one sparse row, with its weight, to the sums and count of a cluster.
#[inline(always)]
fn add_sparse_row<T: Real>(
    layout: &Layout,
    fixed: &FixedPoint,
    words: &mut [i64],
    cluster: usize,
    (columns, values): (&[u32], &[T]),
    weight: f64,
) {
    let tail = fixed.columns();
    let sum = &mut words[layout.sum(cluster)];
    for (&column, value) in columns.iter().zip(values) {
        let (column, value) = (column as usize, value.widen() * weight);
        if fixed.limbs() == 1 {
            sum[column] = sum[column].wrapping_add(head(value, fixed.factors()[column]));
        } else {
            let limbs = split(value, fixed.factors()[column], fixed.tail());
            sum[column] = sum[column].wrapping_add(limbs[0]);
            sum[tail + column] = sum[tail + column].wrapping_add(limbs[1]);
        }
    }
    words[layout.counts().start + cluster] += 1;
    if let Some(scale) = fixed.weights() {
        let (limbs, at) = (scale.split(weight), layout.weights());
        words[at.start + cluster] = words[at.start + cluster].wrapping_add(limbs[0]);
        let tails = at.start + at.len() / 2;
        words[tails + cluster] = words[tails + cluster].wrapping_add(limbs[1]);
    }
}

struct Assign<'a, T> {
    rows: &'a SparseRows<'a, T>,
    centres: &'a SparseCentres<'a, T>,
    labels: &'a mut [i32],
    sums: &'a mut [T],
}

impl<T: Real> Work<T> for Assign<'_, T> {
    #[inline(always)]
    fn run<S: Widening<T>>(self, simd: S) {
        let lanes = <S as Simd<T>>::LANES;
        for (row, label) in self.labels.iter_mut().enumerate() {
            let row = self.rows.row(row);
            let mut done = 0;
            while done + VECTORS * lanes <= self.centres.padded {
                lower::<T, S, VECTORS>(simd, row, self.centres, done, self.sums);
                done += VECTORS * lanes;
            }
            while done < self.centres.padded {
                lower::<T, S, 1>(simd, row, self.centres, done, self.sums);
                done += lanes;
            }
            let mut best = (0, T::INFINITY);
            for (index, &value) in self.sums.iter().enumerate() {
                best = if value < best.1 { (index as i32, value) } else { best };
            }
            *label = best.0;
        }
    }
}

/// ‖c‖² − 2x·c for `V` vectors of centres from `first` on.
#[inline(always)]
fn lower<T: Real, S: Widening<T>, const V: usize>(
    simd: S,
    (columns, values): (&[u32], &[T]),
    centres: &SparseCentres<T>,
    first: usize,
    sums: &mut [T],
) {
    let lanes = <S as Simd<T>>::LANES;
    let mut own: [_; V] = std::array::from_fn(|v| Simd::<T>::load(simd, &centres.norms[first + v * lanes..]));
    for (&column, &value) in columns.iter().zip(values) {
        let value = Simd::<T>::splat(simd, value);
        let coefficients = &centres.coefficients[column as usize * centres.padded + first..][..V * lanes];
        for (v, own) in own.iter_mut().enumerate() {
            *own = Simd::<T>::multiply_add(simd, value, Simd::<T>::load(simd, &coefficients[v * lanes..]), *own);
        }
    }
    for (v, own) in own.into_iter().enumerate() {
        Simd::<T>::store(simd, own, &mut sums[first + v * lanes..]);
    }
}

/// Squared distances of sparse rows to the centres of their labels.
///
/// Shapes: `centres` k×d in C order; `labels` and `out` one for each row. Cost: a few operations an entry, and k·d.
pub fn sparse_distances<T: Real>(rows: &SparseRows<T>, centres: &[T], columns: usize, labels: &[i32], out: &mut [f64]) {
    let squares = squares(centres, columns);
    for (row, (&label, out)) in labels.iter().zip(out).enumerate() {
        let centre = &centres[label as usize * columns..][..columns];
        *out = distance(rows.row(row), |column| centre[column as usize].widen(), squares[label as usize]);
    }
}

/// As `all_distances`, for sparse rows. Cost: a few operations for each entry and centre, and k·d.
pub fn all_sparse_distances<T: Real>((rows, columns): (&SparseRows<T>, usize), centres: &[T], out: &mut [T]) {
    let squares = squares(centres, columns);
    for (row, out) in out.chunks_exact_mut(squares.len()).enumerate() {
        for ((centre, &square), out) in centres.chunks_exact(columns).zip(&squares).zip(out) {
            let apart = distance(rows.row(row), |column| centre[column as usize].widen(), square);
            *out = T::narrow(apart.sqrt());
        }
    }
}

/// Adds the potentials of candidates as `lower_and_measure` does, for sparse rows and no new centre.
///
/// Cost: a few operations for each entry and candidate, and l·d.
pub fn sparse_potentials<T: Real>(
    (rows, columns): (&SparseRows<T>, usize),
    candidates: &[T],
    (closest, weights): (&[f64], Option<&[T]>),
    scale: &Scale,
    potentials: &mut [i64],
) {
    let squares = squares(candidates, columns);
    for (row, &closest) in closest.iter().enumerate() {
        let weight = weights.map_or(1.0, |weights| weights[row].widen());
        let each = candidates.chunks_exact(columns).zip(&squares).zip(potentials.chunks_exact_mut(2));
        for ((candidate, &square), potential) in each {
            let new = distance(rows.row(row), |column| candidate[column as usize].widen(), square);
            let limbs = scale.split(new.min(closest) * weight);
            potential.iter_mut().zip(limbs).for_each(|(word, limb)| *word = word.wrapping_add(limb));
        }
    }
}

/// As `lower_closest`, for sparse rows. Cost: a few operations for each entry, and d.
pub fn sparse_lower_closest<T: Real>(rows: &SparseRows<T>, centre: &[T], closest: &mut [f64]) -> f64 {
    let square = squares(centre, centre.len())[0];
    let mut largest = 0.0_f64;
    for (row, closest) in closest.iter_mut().enumerate() {
        let new = distance(rows.row(row), |column| centre[column as usize].widen(), square);
        *closest = closest.min(new);
        largest = largest.max(*closest);
    }
    largest
}

fn squares<T: Real>(centres: &[T], columns: usize) -> Vec<f64> {
    let square = |centre: &[T]| centre.iter().fold(0.0, |sum, value| sum + value.widen() * value.widen());
    centres.chunks_exact(columns).map(square).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Centres, Pass};
    use super::*;

    /// Sparse rows get the labels, sums and inertia of the same rows written out.
    #[track_caller]
    fn check<T: Real + Default>((m, d, k): (usize, usize, usize), weighted: bool) {
        let entry = |at: usize| (at.wrapping_mul(2_654_435_761) >> 7) % 1000;
        // Multiples of 1/8, so that both ways of summing are exact and ties are ties.
        let value = |at: usize| if entry(at) < 700 { 0.0 } else { (entry(at) % 64) as f64 / 8.0 - 4.0 };
        let dense: Vec<T> = (0..m * d).map(|at| T::narrow(value(at))).collect();
        let centres: Vec<T> = (0..k * d).map(|at| T::narrow((entry(at + 77) % 32) as f64 / 8.0)).collect();
        let weights: Vec<T> = (0..m).map(|row| T::narrow((row % 4) as f64 / 2.0)).collect();
        let weights = weighted.then_some(&weights[..]);
        let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in dense.chunks_exact(d) {
            for (column, &value) in row.iter().enumerate().filter(|(_, value)| value.widen() != 0.0) {
                columns.push(column as u32);
                values.push(value);
            }
            starts.push(values.len());
        }
        let rows = SparseRows { starts: &starts, columns: &columns, values: &values };
        let fixed = FixedPoint::new(&vec![4.0; d], m as u64, 2);
        let fixed = if weighted { fixed.weighted(1.5) } else { fixed };
        let layout = Layout::new(k, &fixed);
        let mut scratch = Scratch::new();
        let (mut expected, mut found) =
            ((vec![-1; m], vec![0; layout.words()]), (vec![-1; m], vec![0; layout.words()]));
        let mut memory = vec![T::ZERO; Centres::<T>::memory_len(k, d)];
        let packed = Centres::pack(&centres, d, &mut memory);
        let scale = fixed.inertia(packed.reach());
        let origin = vec![T::ZERO; d];
        let pass = Pass { origin: &origin, centres: packed, fixed: &fixed, inertia: Some(scale), changes: false };
        pass.assign_and_add(&dense, weights, &mut expected.0, &mut expected.1, &mut scratch);
        let mut memory = vec![0.0_f64; SparseCentres::<T>::memory_len(k, d)];
        let memory = &mut bytemuck::cast_slice_mut(&mut memory)[..SparseCentres::<T>::memory_len(k, d)];
        let centres = SparseCentres::pack(&centres, d, memory);
        let pass = SparsePass { centres, fixed: &fixed, inertia: scale };
        pass.assign_and_add(&rows, weights, &mut found.0, &mut found.1, &mut scratch);
        assert_eq!(found, expected, "{m}×{d}, {k} centres");
    }

    #[test]
    fn sparse_rows_are_the_rows_they_stand_for() {
        for weighted in [false, true] {
            check::<f32>((50, 30, 3), weighted);
            check::<f32>((40, 9, 70), weighted);
            check::<f64>((33, 100, 17), weighted);
            check::<f64>((5, 1, 1), weighted);
            check::<f64>((0, 4, 2), weighted);
        }
    }

    #[test]
    fn a_row_is_at_no_distance_from_itself() {
        let (starts, columns, values) = ([0, 3], [1, 4, 2], [0.1, 0.7, 1e-3]);
        let rows = SparseRows { starts: &starts, columns: &columns, values: &values };
        let mut own = [0.0; 6];
        columns.iter().zip(values).for_each(|(&column, value)| own[column as usize] = value);
        let mut closest = [f64::INFINITY];
        assert!(sparse_lower_closest(&rows, &[0.0; 6], &mut closest) > 0.0);
        // Columns out of order may leave the rounding of one sum behind, nothing more.
        assert!(sparse_lower_closest(&rows, &own, &mut closest) <= 1e-16);
    }
}
