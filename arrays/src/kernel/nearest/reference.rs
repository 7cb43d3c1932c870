//! The same definitions, written down as plainly as possible: the oracle of the tests.

use super::Real;

/// ‖c‖² − 2x·c for the nearest centre, in f64: label, value, and the next lowest value.
pub(super) fn nearest<T: Real>(row: &[T], origin: &[T], centres: &[T]) -> (i32, f64, f64) {
    let mut best = (0, f64::INFINITY, f64::INFINITY);
    for (label, centre) in centres.chunks_exact(row.len()).enumerate() {
        let value: f64 = (0..row.len())
            .map(|j| centre[j].widen() * (centre[j].widen() - 2.0 * (row[j].widen() - origin[j].widen())))
            .sum();
        if value < best.1 {
            best = (label as i32, value, best.1);
        } else if value < best.2 {
            best.2 = value;
        }
    }
    best
}

/// The sums of the centred rows of each cluster, the counts, and the sum of squared distances.
pub(super) fn sums<T: Real>(rows: &[T], origin: &[T], centres: &[T], labels: &[i32]) -> (Vec<f64>, Vec<i64>, f64) {
    let columns = origin.len();
    let (mut sums, mut counts) = (vec![0.0; centres.len()], vec![0; centres.len() / columns]);
    let mut inertia = 0.0;
    for (row, &label) in rows.chunks_exact(columns).zip(labels) {
        counts[label as usize] += 1;
        for column in 0..columns {
            let x = row[column].widen() - origin[column].widen();
            let at = label as usize * columns + column;
            sums[at] += x;
            inertia += (x - centres[at].widen()).powi(2);
        }
    }
    (sums, counts, inertia)
}

/// ‖a − b‖².
pub(super) fn squared_distance<T: Real>(a: &[T], b: &[T]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a.widen() - b.widen()).powi(2)).sum()
}
