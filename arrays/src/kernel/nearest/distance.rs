//! Squared distances from the differences themselves, for what must stay exact near zero.
//!
//! Invariant: the columns are added in one fixed order, without fused operations: the same bits on every machine.
//! Never here: a search for the nearest centre.

use super::Real;

/// Squared distances of rows to their centres: `out[i] = ‖(rows[i] − origin) − centres[labels[i]]‖²`.
///
/// Shapes: `rows` m×d and `centres` k×d in C order, `origin` d, `labels` and `out` m.
/// Cost: 3·m·d flops; no allocation.
/// Error: each difference is rounded once or twice, in f64.
pub fn distances<T: Real>(rows: &[T], origin: &[T], centres: &[T], labels: &[i32], out: &mut [f64]) {
    let columns = origin.len();
    assert_eq!(rows.len(), labels.len() * columns, "a label for each row");
    assert_eq!(out.len(), labels.len(), "a distance for each row");
    for ((row, &label), out) in rows.chunks_exact(columns).zip(labels).zip(out) {
        *out = squared_distance(row, origin, &centres[label as usize * columns..][..columns]);
    }
}

/// ‖(row − origin) − centre‖², in eight running sums that are then added pairwise.
#[inline(always)]
pub(super) fn squared_distance<T: Real, O: Real>(row: &[T], origin: &[O], centre: &[T]) -> f64 {
    let mut sums = [0.0; 8];
    let (rows, row) = row.as_chunks::<8>();
    let (origins, origin) = origin.as_chunks::<8>();
    let (centres, centre) = centre.as_chunks::<8>();
    let square = |x: T, origin: O, centre: T| {
        let difference = x.widen() - origin.widen() - centre.widen();
        difference * difference
    };
    for ((row, origin), centre) in rows.iter().zip(origins).zip(centres) {
        for lane in 0..8 {
            sums[lane] += square(row[lane], origin[lane], centre[lane]);
        }
    }
    let rest = row.len().min(origin.len()).min(centre.len());
    // By lane, not by entry: so the sums stay in registers.
    for lane in 0..8 {
        if lane < rest {
            sums[lane] += square(row[lane], origin[lane], centre[lane]);
        }
    }
    ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))
}
