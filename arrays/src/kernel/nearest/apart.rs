//! Sums of distances of rows to the rows of a panel, as integers: the kernel of silhouettes.
//!
//! Invariant: a row's words do not depend on how what it is measured to is cut into panels, or on their order.
//! Never here: which rows belong together.

use super::Real;
use super::fixed::{Scale, split};
use super::scratch::Scratch;
use super::seed::{Take, run};
use super::simd::Isa;

/// Rows of a panel measured at once, so that the distances of a block stay in cache.
const PANEL_AT_ONCE: usize = 64;

/// Adds, for each row, its distances to all rows of a panel, squared or not, to the head and tail of its sum.
///
/// Shapes: `rows` m×d and `panel` p×d in C order, `heads` and `tails` m.
/// Cost: 3·m·p·d flops in f64; no allocation beyond `scratch`.
/// Error: differences and squares in f64, so a row's distance to itself is 0; the sums are exact, for a `scale` that
/// bounds the distances.
pub fn add_distances<T: Real>(
    (rows, columns): (&[T], usize),
    panel: &[T],
    (scale, squared): (&Scale, bool),
    (heads, tails): (&mut [i64], &mut [i64]),
    scratch: &mut Scratch<T>,
) {
    assert!(rows.len() == heads.len() * columns && heads.len() == tails.len(), "a head and a tail for each row");
    for panel in panel.chunks(PANEL_AT_ONCE * columns) {
        let (factor, tail) = (scale.factor(), scale.tail());
        let each = Apart { factor, tail, squared, heads, tails };
        run(Isa::best(), rows, panel, columns, each, scratch);
    }
}

struct Apart<'a> {
    factor: f64,
    tail: f64,
    squared: bool,
    heads: &'a mut [i64],
    tails: &'a mut [i64],
}

impl Take for Apart<'_> {
    #[inline(always)]
    fn take(&mut self, _: usize, start: usize, distances: &[f64]) {
        let rows = start..start + distances.len();
        let sums = self.heads[rows.clone()].iter_mut().zip(&mut self.tails[rows]);
        for ((head, tail), &distance) in sums.zip(distances) {
            let value = if self.squared { distance } else { distance.sqrt() };
            let words = split(value, self.factor, self.tail);
            *head = head.wrapping_add(words[0]);
            *tail = tail.wrapping_add(words[1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(count: usize, others: usize, columns: usize, squared: bool) {
        let value = |at: usize| ((at * 6007 + 5) % 997) as f32 / 32.0;
        let rows: Vec<f32> = (0..count * columns).map(value).collect();
        let panel: Vec<f32> = (0..others * columns).map(|at| value(at + 31)).collect();
        let scale = Scale::new(1e6, others as u64);
        let (mut heads, mut tails) = (vec![0; count], vec![0; count]);
        for panel in panel.chunks(37 * columns) {
            let sums = (&mut heads[..], &mut tails[..]);
            add_distances((&rows, columns), panel, (&scale, squared), sums, &mut Scratch::new());
        }
        for (row, (head, tail)) in rows.chunks_exact(columns).zip(heads.into_iter().zip(tails)) {
            let apart = |other: &[f32]| -> f64 {
                let squares = row.iter().zip(other).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
                let sum: f64 = squares.sum();
                if squared { sum } else { sum.sqrt() }
            };
            let expected: f64 = panel.chunks_exact(columns).map(apart).sum();
            assert!((scale.value([head, tail]) - expected).abs() <= 1e-9 * expected.max(1.0));
        }
    }

    #[test]
    fn sums_are_those_of_a_plain_loop() {
        check(1, 1, 1, false);
        check(50, 130, 3, false);
        check(129, 65, 40, true);
    }
}
