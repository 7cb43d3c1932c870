//! Truths about the kernel, against the plain code of `reference`.

use super::simd::Isa;
use super::{Centres, FixedPoint, Layout, Moves, Pass, Real, Row, Scale, Scratch, UNKNOWN, reference, seed};
use super::{all_distances, distances, find, lower_and_measure, lower_closest};
use proptest::prelude::*;

/// Rows, origin and centres of one case.
#[derive(Debug)]
struct Case<T> {
    columns: usize,
    rows: Vec<T>,
    origin: Vec<T>,
    centres: Vec<T>,
    bounds: Vec<f64>,
    weights: Option<Vec<T>>,
}

/// Values that repeat only by chance, or small integers, which give ties and exact products.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Values {
    Dense,
    Integers,
}

impl<T: Real + Default> Case<T> {
    fn new((m, d, k): (usize, usize, usize), values: Values, seed: u64) -> Case<T> {
        let mut state = seed;
        let mut next = |centre: f64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let unit = (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
            T::narrow(if values == Values::Integers { (unit * 5.0).round() + centre } else { unit + centre })
        };
        let rows: Vec<T> = (0..m * d).map(|_| next(3.0)).collect();
        let origin: Vec<T> = (0..d).map(|_| next(3.0)).collect();
        let centres = (0..k * d).map(|_| next(0.0)).collect();
        let mut bounds = vec![0.0_f64; d];
        for (at, value) in rows.iter().enumerate() {
            bounds[at % d] = bounds[at % d].max((value.widen() - origin[at % d].widen()).abs());
        }
        Case { columns: d, rows, origin, centres, bounds, weights: None }
    }

    /// The same rows with weights of many sizes, some of them zero.
    fn weighted(self) -> Case<T> {
        let weight = |row: usize| T::narrow((row % 7) as f64 * 10.0_f64.powi((row % 5) as i32 - 4) / 3.0);
        Case { weights: Some((0..self.rows_len()).map(weight).collect()), ..self }
    }

    fn rows_len(&self) -> usize {
        self.rows.len() / self.columns
    }

    fn fixed(&self, limbs: usize) -> FixedPoint {
        let fixed = FixedPoint::new(&self.bounds, self.rows_len() as u64, limbs);
        let bound = |weights: &Vec<T>| weights.iter().map(|weight| weight.widen()).fold(0.0, f64::max);
        self.weights.as_ref().map_or(fixed.clone(), |weights| fixed.weighted(bound(weights)))
    }

    /// Labels and words of a pass over the rows, in pieces of `piece` rows, starting from labels −1.
    fn pass(&self, isa: Isa, fixed: &FixedPoint, piece: usize) -> (Vec<i32>, Vec<i64>) {
        let count = self.centres.len() / self.columns;
        let mut memory = vec![T::ZERO; Centres::<T>::memory_len(count, self.columns)];
        let centres = Centres::pack(&self.centres, self.columns, &mut memory);
        let layout = Layout::new(count, fixed);
        let inertia = Some(fixed.inertia(centres.reach()));
        let pass = Pass { origin: &self.origin, centres, fixed, inertia, changes: false };
        let mut labels = vec![-1; self.rows_len()];
        let mut words = vec![0; layout.words()];
        let mut scratch = Scratch::new();
        let rows = self.rows.chunks(piece * self.columns);
        for (at, (rows, labels)) in rows.zip(labels.chunks_mut(piece)).enumerate() {
            let mut part = vec![0; layout.words()];
            let weights = self.weights.as_ref().map(|weights| &weights[at * piece..][..labels.len()]);
            pass.assign_and_add_on(isa, (rows, weights), labels, &mut part, &mut scratch);
            words.iter_mut().zip(&part).for_each(|(word, part)| *word = i64::wrapping_add(*word, *part));
        }
        (labels, words)
    }
}

fn unit_roundoff<T>() -> f64 {
    if size_of::<T>() == 4 { f64::from(f32::EPSILON) } else { f64::EPSILON }
}

/// Labels, sums, counts, inertia and changes of a pass are those of the plain code.
#[track_caller]
fn check_pass<T: Real + Default>(shape: (usize, usize, usize), values: Values, limbs: usize) {
    let case = Case::<T>::new(shape, values, 7);
    let (m, d, k) = shape;
    let fixed = case.fixed(limbs);
    let layout = Layout::new(k, &fixed);
    let (labels, words) = case.pass(Isa::best(), &fixed, m.max(1));
    for (row, &label) in case.rows.chunks_exact(d).zip(&labels) {
        let (best, value, _) = reference::nearest(row, &case.origin, &case.centres);
        if values == Values::Integers {
            assert_eq!(label, best, "ties go to the lowest index");
        } else {
            let centre = &case.centres[label as usize * d..][..d];
            let (_, chosen, _) = reference::nearest(row, &case.origin, centre);
            assert!(chosen - value <= 8.0 * d as f64 * unit_roundoff::<T>(), "{shape:?}: {chosen} above {value}");
        }
    }
    let (sums, counts, inertia) = reference::sums(&case.rows, &case.origin, &case.centres, &labels);
    assert_eq!(words[layout.counts()], counts);
    assert_eq!(words[layout.changed()], m as i64);
    assert_eq!(words[layout.status()], 0);
    let scale = fixed.inertia(&{
        let mut memory = vec![T::ZERO; Centres::<T>::memory_len(k, d)];
        Centres::pack(&case.centres, d, &mut memory).reach().to_vec()
    });
    assert!((layout.inertia_value(&scale, &words) - inertia).abs() <= 1e-12 * inertia.max(1.0));
    for cluster in 0..k {
        let mut mean = vec![T::ZERO; d];
        let written = layout.mean(&fixed, &words, cluster, &mut mean);
        assert_eq!(written, counts[cluster] > 0);
        for column in (0..d).filter(|_| written) {
            let expected = sums[cluster * d + column] / counts[cluster] as f64;
            let error = (mean[column].widen() - expected).abs();
            let allowed = case.bounds[column] * (1e-12 + unit_roundoff::<T>());
            assert!(error <= allowed, "{shape:?}, cluster {cluster}, column {column}: {expected} off by {error}");
        }
    }
}

/// The same labels and words in pieces of any size, and on all vectors that have a fused multiply-add.
#[track_caller]
fn check_bits<T: Real + Default>(shape: (usize, usize, usize), piece: usize) {
    for limbs in [1, 2] {
        let case = Case::<T>::new(shape, Values::Dense, 11);
        let case = if piece.is_multiple_of(2) { case.weighted() } else { case };
        let fixed = case.fixed(limbs);
        let whole = case.pass(Isa::Fused, &fixed, shape.0.max(1));
        for isa in Isa::all().into_iter().filter(|&isa| isa != Isa::Plain) {
            assert_eq!(case.pass(isa, &fixed, shape.0.max(1)), whole, "{isa:?}, {shape:?}");
            assert_eq!(case.pass(isa, &fixed, piece), whole, "{isa:?}, {shape:?} in pieces of {piece}");
        }
    }
}

#[test]
fn a_pass_over_nothing_adds_nothing() {
    check_pass::<f32>((0, 3, 4), Values::Dense, 1);
    check_pass::<f64>((0, 1, 1), Values::Dense, 2);
}

#[test]
fn long_rows_and_many_centres_are_blocked_without_a_trace() {
    check_pass::<f32>((101, 700, 20), Values::Integers, 1);
    check_pass::<f64>((50, 1100, 9), Values::Dense, 2);
    check_pass::<f64>((130, 90, 1003), Values::Dense, 2);
    check_bits::<f32>((101, 700, 20), 33);
    check_bits::<f64>((130, 90, 703), 64);
}

#[test]
fn every_lane_count_meets_every_tail() {
    for m in [1, 2, 15, 16, 17, 31, 33, 47, 48, 49, 95, 97] {
        for d in [1, 2, 3, 4, 5, 8, 17] {
            check_pass::<f32>((m, d, 5), Values::Integers, 1);
            check_pass::<f64>((m, d, 9), Values::Integers, 2);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_pass_agrees_with_the_plain_code(m in 0..100_usize, d in 1..70_usize, k in 1..100_usize) {
        check_pass::<f32>((m, d, k), Values::Dense, 1);
        check_pass::<f32>((m, d, k), Values::Integers, 2);
        check_pass::<f64>((m, d, k), Values::Dense, 2);
        check_pass::<f64>((m, d, k), Values::Integers, 1);
    }

    #[test]
    fn bits_do_not_depend_on_pieces_or_vectors(
        m in 0..100_usize, d in 1..70_usize, k in 1..40_usize, piece in 1..60_usize,
    ) {
        check_bits::<f32>((m, d, k), piece);
        check_bits::<f64>((m, d, k), piece);
    }

    #[test]
    fn two_limbs_hold_a_value_to_twice_the_bits(
        raw in -1.0..1.0_f64, exponent in -1000..1000_i32, rows in 1..1_u64 << 40,
    ) {
        let bound = 2.0_f64.powi(exponent);
        let scale = Scale::new(bound, rows);
        let error = (scale.value(scale.split(raw * bound)) / bound - raw).abs();
        prop_assert!(error <= 2.0_f64.powi(-44), "{error}");
    }
}

#[test]
fn a_pass_without_fused_operations_agrees_too() {
    let case = Case::<f64>::new((70, 5, 6), Values::Integers, 3);
    let fixed = case.fixed(2);
    assert_eq!(case.pass(Isa::Plain, &fixed, 70), case.pass(Isa::best(), &fixed, 9));
}

#[test]
fn only_changed_labels_are_counted() {
    let case = Case::<f32>::new((77, 3, 6), Values::Dense, 5);
    let fixed = case.fixed(1);
    let (mut labels, _) = case.pass(Isa::best(), &fixed, 77);
    labels[3] += 1;
    labels[76] = -1;
    let mut memory = vec![0.0; Centres::<f32>::memory_len(6, 3)];
    let centres = Centres::pack(&case.centres, 3, &mut memory);
    let layout = Layout::new(6, &fixed);
    let mut words = vec![0; layout.words()];
    let pass = Pass { origin: &case.origin, centres, fixed: &fixed, inertia: None, changes: false };
    pass.assign_and_add(&case.rows, None, &mut labels, &mut words, &mut Scratch::new());
    assert_eq!(words[layout.changed()], 2);
    assert_eq!(words[layout.inertia()], [0, 0]);
}

#[test]
fn a_moved_row_leaves_no_trace_when_moved_back() {
    for limbs in [1, 2] {
        let case = Case::<f64>::new((40, 19, 4), Values::Dense, 9);
        let fixed = case.fixed(limbs);
        let layout = Layout::new(4, &fixed);
        let (labels, before) = case.pass(Isa::best(), &fixed, 40);
        let (row, from) = (&case.rows[5 * 19..6 * 19], labels[5] as usize);
        let to = (from + 1) % 4;
        let row = Row { values: row, origin: &case.origin, weight: 1.0 };
        let move_row = |words: &mut [i64], from, to| {
            layout.take_row(&fixed, words, from, row);
            layout.add_row(&fixed, words, to, row);
        };
        let mut words = before.clone();
        move_row(&mut words, from, to);
        assert_eq!(words[layout.counts()][to], before[layout.counts()][to] + 1);
        let mut emptied = vec![0; layout.words()];
        emptied[layout.counts().start + from] = 1;
        move_row(&mut emptied, from, to);
        let mut mean = vec![0.0; 19];
        assert!(layout.mean(&fixed, &emptied, to, &mut mean));
        for column in 0..19 {
            assert!((mean[column] - (row.values[column] - case.origin[column])).abs() <= 1e-12 * case.bounds[column]);
        }
        move_row(&mut words, to, from);
        assert_eq!(words, before);
    }
}

/// Weighted means and inertia are those of the plain code, for short rows and long.
#[track_caller]
fn check_weights<T: Real + Default>(d: usize) {
    let (m, k) = (211, 6);
    let case = Case::<T>::new((m, d, k), Values::Dense, 23).weighted();
    let fixed = case.fixed(1);
    let layout = Layout::new(k, &fixed);
    let (labels, words) = case.pass(Isa::best(), &fixed, m);
    let weights = case.weights.as_ref().unwrap();
    assert_eq!(words[layout.counts()].iter().sum::<i64>(), m as i64);
    let mut inertia = 0.0;
    for cluster in 0..k {
        let members = || (0..m).filter(|&row| labels[row] == cluster as i32);
        let total: f64 = members().map(|row| weights[row].widen()).sum();
        let mut mean = vec![T::ZERO; d];
        assert_eq!(layout.mean(&fixed, &words, cluster, &mut mean), total > 0.0);
        let x = |row: usize, column: usize| case.rows[row * d + column].widen() - case.origin[column].widen();
        for column in (0..d).filter(|_| total > 0.0) {
            let sum: f64 = members().map(|row| x(row, column) * weights[row].widen()).sum();
            let error = (mean[column].widen() - sum / total).abs();
            assert!(error <= case.bounds[column] * (1e-12 + unit_roundoff::<T>()), "column {column} off by {error}");
        }
        for row in members() {
            let distance = |column| (x(row, column) - case.centres[cluster * d + column].widen()).powi(2);
            inertia += weights[row].widen() * (0..d).map(distance).sum::<f64>();
        }
    }
    let mut memory = vec![T::ZERO; Centres::<T>::memory_len(k, d)];
    let scale = fixed.inertia(Centres::pack(&case.centres, d, &mut memory).reach());
    assert!((layout.inertia_value(&scale, &words) - inertia).abs() <= 1e-12 * inertia);
}

#[test]
fn weights_count_rows_more_than_once() {
    check_weights::<f32>(3);
    check_weights::<f32>(40);
    check_weights::<f64>(3);
    check_weights::<f64>(40);
}

#[test]
fn bounds_at_the_ends_of_the_range_are_kept() {
    for bound in [0.0, 5e-324, 1e-310, 2.3e-308, 1e-300, 1.0, 1e300, f64::MAX] {
        let fixed = FixedPoint::new(&[bound], 3, 2);
        let layout = Layout::new(1, &fixed);
        let case = Case {
            columns: 1,
            rows: vec![bound; 3],
            origin: vec![0.0],
            centres: vec![0.0],
            bounds: vec![bound],
            weights: None,
        };
        let (_, words) = case.pass(Isa::best(), &fixed, 2);
        let mut mean = [0.0];
        assert!(layout.mean(&fixed, &words, 0, &mut mean));
        assert!((mean[0] - bound).abs() <= 5e-324, "{bound} became {}", mean[0]);
    }
}

#[test]
fn sums_stay_below_the_end_of_a_word() {
    for rows in [1, 2, 3, 1 << 20, (1 << 30) + 1, 1 << 45] {
        let scale = Scale::new(1.0, rows);
        for value in [1.0, -1.0, 0.999_999_999_9] {
            for word in scale.split(value) {
                assert!(i128::from(word).abs() * i128::from(rows) <= 1 << 62, "{rows} rows of {value}");
            }
        }
    }
}

/// After every move of the centres `follow` leaves the labels and sums of a whole pass.
#[track_caller]
fn check_following<T: Real + Default>(shape: (usize, usize, usize), values: Values, isa: Isa) {
    let (m, d, k) = shape;
    let mut case = Case::<T>::new(shape, values, 29);
    case.bounds.iter_mut().for_each(|bound| *bound *= 2.0);
    let case = if m.is_multiple_of(2) { case.weighted() } else { case };
    let fixed = case.fixed(2);
    let layout = Layout::new(k, &fixed);
    let mut now = case.centres.clone();
    let (mut labels, mut total) = case.pass(isa, &fixed, m.max(1));
    let mut bounds = vec![UNKNOWN; m];
    let mut scratch = Scratch::new();
    let mut spared = 0;
    for step in 0..6 {
        let before = now.clone();
        let far = 0.3_f64.powi(step);
        for (at, value) in now.iter_mut().enumerate() {
            *value = T::narrow(value.widen() + far * (((at * 37 + step as usize * 11) % 17) as f64 / 17.0 - 0.5));
        }
        let whole = Case {
            centres: now.clone(),
            rows: case.rows.clone(),
            origin: case.origin.clone(),
            bounds: case.bounds.clone(),
            weights: case.weights.clone(),
            ..case
        };
        let (expected, mut words) = whole.pass(isa, &fixed, m.max(1));
        let mut memory = vec![T::ZERO; Centres::<T>::memory_len(k, d)];
        let centres = Centres::pack(&now, d, &mut memory);
        let inertia = Some(fixed.inertia(centres.reach()));
        let pass = Pass { origin: &case.origin, centres, fixed: &fixed, inertia, changes: true };
        total[layout.inertia().start..].fill(0);
        let (mut changed_labels, mut changed) = (labels.clone(), total.clone());
        let (rows, moves) = ((&case.rows[..], case.weights.as_deref()), Moves::new(&before, &now, d));
        pass.follow_on(isa, &moves, rows, (&mut labels, &mut bounds), &mut total, &mut scratch);
        assert_eq!(labels, expected, "{shape:?}, step {step}");
        pass.assign_and_add_on(isa, rows, &mut changed_labels, &mut changed, &mut scratch);
        assert_eq!(changed_labels, expected, "{shape:?}, step {step}");
        changed[layout.looked_at()] = total[layout.looked_at()];
        assert_eq!(changed, total, "{shape:?}, step {step}");
        spared += m as i64 - total[layout.looked_at()];
        // Changed labels are counted from the labels before, which a whole pass did not have.
        for counted in [layout.changed(), layout.looked_at()] {
            (words[counted], total[counted]) = (0, 0);
        }
        assert_eq!(total, words, "{shape:?}, step {step}");
    }
    assert!(m < 50 || k > 40 || values == Values::Integers || spared > 0, "{shape:?}: no row was ever spared");
}

#[test]
fn following_the_centres_is_a_whole_pass() {
    for isa in Isa::all() {
        for (m, d, k) in [(0, 3, 4), (1, 1, 1), (200, 2, 5), (331, 8, 20), (150, 40, 9), (97, 130, 60), (64, 5, 1)] {
            check_following::<f32>((m, d, k), Values::Dense, isa);
            check_following::<f64>((m, d, k), Values::Dense, isa);
            check_following::<f32>((m, d, k), Values::Integers, isa);
            check_following::<f64>((m, d, k), Values::Integers, isa);
        }
    }
}

#[test]
fn distances_are_those_of_the_plain_code() {
    let case = Case::<f32>::new((33, 21, 3), Values::Dense, 13);
    let labels: Vec<i32> = (0..33).map(|row| row % 3).collect();
    let mut out = vec![0.0; 33];
    distances(&case.rows, &case.origin, &case.centres, &labels, &mut out);
    for (row, &distance) in out.iter().enumerate() {
        let rows = &case.rows[row * 21..][..21];
        let (_, _, expected) = reference::sums(rows, &case.origin, &case.centres, &labels[row..=row]);
        assert!((distance - expected).abs() <= 1e-13 * expected);
    }
}

#[test]
fn all_distances_are_those_of_the_plain_code() {
    for (m, d, k) in [(0, 2, 3), (1, 1, 1), (50, 7, 130), (101, 33, 5)] {
        let case = Case::<f64>::new((m, d, k), Values::Dense, 19);
        let mut out = vec![-1.0; m * k];
        all_distances((&case.rows, d), &case.centres, &mut out, &mut Scratch::new());
        for (row, out) in case.rows.chunks_exact(d).zip(out.chunks_exact(k)) {
            for (centre, out) in case.centres.chunks_exact(d).zip(out) {
                let expected = reference::squared_distance(row, centre).sqrt();
                assert!((out - expected).abs() <= 1e-13 * expected, "{out} for {expected}");
            }
        }
    }
}

struct Copies<'a> {
    all: &'a mut [f64],
    rows: usize,
}

impl seed::Take for Copies<'_> {
    fn take(&mut self, candidate: usize, start: usize, distances: &[f64]) {
        self.all[candidate * self.rows + start..][..distances.len()].copy_from_slice(distances);
    }
}

/// Potentials and distances of candidates are those of the plain code, in pieces of any size and on all vectors.
#[track_caller]
fn check_seeding<T: Real + Default>((m, d, l): (usize, usize, usize), piece: usize) {
    let case = Case::<T>::new((m, d, l), Values::Dense, 17);
    let candidates: Vec<T> = case.rows.iter().chain(&case.centres).take(l * d).copied().collect();
    let scale = Scale::new(16.0 * d as f64, m as u64);
    let mut scratch = Scratch::new();
    let mut closest = vec![f64::INFINITY; m];
    let largest = lower_closest(&case.rows, &case.origin, &mut closest, &mut scratch);
    assert_eq!(largest, closest.iter().copied().fold(0.0, f64::max));
    let mut potentials = vec![0; 2 * l];
    // The newest centre is the last candidate, too.
    let newest = &candidates[(l - 1) * d..];
    let mut lowered = closest.clone();
    let mut found = 0.0_f64;
    for (rows, closest) in case.rows.chunks(piece * d).zip(lowered.chunks_mut(piece)) {
        let largest =
            lower_and_measure((rows, newest), &candidates, (closest, None), &scale, &mut potentials, &mut scratch);
        found = found.max(largest);
    }
    let largest = lower_closest(&case.rows, newest, &mut closest, &mut scratch);
    assert_eq!((&lowered, found), (&closest, largest), "lowered as by the newest centre alone");
    for (candidate, words) in candidates.chunks_exact(d).zip(potentials.chunks_exact(2)) {
        let mut lowered = closest.clone();
        lower_closest(&case.rows, candidate, &mut lowered, &mut scratch);
        let words = [words[0], words[1]];
        let mut sum = [0; 2];
        lowered.iter().for_each(|&distance| scale.add(&mut sum, distance));
        assert_eq!(sum, words, "a chosen candidate has the potential it promised");
        let squares = case.rows.chunks_exact(d).map(|row| reference::squared_distance(row, candidate));
        let expected: f64 = squares.zip(&closest).map(|(new, &old)| new.min(old)).sum();
        assert!((scale.value(words) - expected).abs() <= 1e-12 * (expected + d as f64));
    }
    let on = |isa: Isa, scratch: &mut Scratch<T>| {
        let mut all = vec![0.0; m * l];
        seed::run(isa, &case.rows, &candidates, d, Copies { all: &mut all, rows: m }, scratch);
        all
    };
    let fused = on(Isa::Fused, &mut scratch);
    for isa in Isa::all().into_iter().filter(|&isa| isa != Isa::Plain) {
        assert_eq!(on(isa, &mut scratch), fused, "{isa:?}");
    }
}

#[test]
fn seeding_agrees_with_the_plain_code() {
    for m in [0, 1, 7, 24, 25, 100, 333] {
        for d in [1, 2, 3, 5, 16, 70, 300] {
            check_seeding::<f32>((m, d, 1 + (m + d) % 13), 1 + m / 3);
            check_seeding::<f64>((m, d, 1 + (m + d) % 11), 50);
        }
    }
}

#[test]
fn a_row_is_found_as_in_the_running_sum() {
    let closest = [0.0, 2.0, 0.0, 1.0, 4.0, 0.0];
    let scale = Scale::new(4.0, 6);
    let unit = scale.total(scale.split(1.0));
    for (target, row) in [(0, 0), (1, 1), (2 * unit, 1), (2 * unit + 1, 3), (3 * unit, 3), (7 * unit, 4)] {
        assert_eq!(find::<f64>((&closest, None), &scale, target), Some(row), "target {target}");
    }
    assert_eq!(find::<f64>((&closest, None), &scale, 7 * unit + 1), None);
}
