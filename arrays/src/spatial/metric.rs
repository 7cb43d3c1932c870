//! Metrics, term by term: one row against many at a time, in lanes that the compiler makes vectors of.

use std::ops::Range;

/// Rows that are taken together; they lie side by side.
const LANES: usize = 32;

/// A distance between two rows. Those from `Dice` on are of truth values, given as 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are SciPy's")]
pub enum Metric {
    Euclidean,
    SquaredEuclidean,
    Cityblock,
    Chebyshev,
    /// With its exponent.
    Minkowski(f64),
    Canberra,
    BrayCurtis,
    Cosine,
    Hamming,
    Jaccard,
    /// Of rows whose sums are 1.
    JensenShannon,
    Dice,
    Yule,
    RogersTanimoto,
    RussellRao,
    SokalSneath,
}

/// Many rows, laid out to be compared with one.
pub(super) struct Pairs<'a> {
    metric: Metric,
    columns: usize,
    weights: &'a [f64],
    total: f64,
    /// Blocks of `LANES` rows, each column by column; zeros behind the last row.
    blocks: Vec<f64>,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(metric: Metric, rows: &[f64], columns: usize, weights: &'a [f64]) -> Pairs<'a> {
        let count = rows.len().checked_div(columns).unwrap_or(0);
        let mut blocks = vec![0.0; count.div_ceil(LANES) * LANES * columns];
        for (index, row) in rows.chunks(columns.max(1)).enumerate() {
            let block = &mut blocks[index / LANES * LANES * columns..];
            for (column, &value) in row.iter().enumerate() {
                block[column * LANES + index % LANES] = value;
            }
        }
        Pairs { metric, columns, weights, total: weights.iter().sum(), blocks }
    }

    /// The distances of `x` to some of the rows.
    pub(super) fn row(&self, x: &[f64], rows: Range<usize>, out: &mut [f64]) {
        let mut rest = out;
        let mut at = rows.start;
        while at < rows.end {
            let block = at / LANES;
            let end = rows.end.min((block + 1) * LANES);
            let lanes = self.block(x, block);
            let (front, back) = rest.split_at_mut(end - at);
            front.copy_from_slice(&lanes[at - block * LANES..end - block * LANES]);
            (rest, at) = (back, end);
        }
    }

    fn block(&self, x: &[f64], block: usize) -> [f64; LANES] {
        let total = self.total;
        match self.metric {
            Metric::Euclidean => self.terms::<1>(x, block, |[a], x, y, w| [a + w * (x - y) * (x - y)], |[a]| a.sqrt()),
            Metric::SquaredEuclidean => self.terms::<1>(x, block, |[a], x, y, w| [a + w * (x - y) * (x - y)], |[a]| a),
            Metric::Cityblock => self.terms::<1>(x, block, |[a], x, y, w| [a + w * (x - y).abs()], |[a]| a),
            Metric::Chebyshev => self.terms::<1>(
                x,
                block,
                |[a], x, y, w| {
                    let size = if w > 0.0 { (x - y).abs() } else { 0.0 };
                    [if size > a || size.is_nan() { size } else { a }]
                },
                |[a]| a,
            ),
            Metric::Minkowski(p) => {
                self.terms::<1>(x, block, |[a], x, y, w| [a + w * (x - y).abs().powf(p)], |[a]| a.powf(1.0 / p))
            }
            Metric::Canberra => self.terms::<1>(
                x,
                block,
                |[a], x, y, w| {
                    let size = x.abs() + y.abs();
                    [if size == 0.0 { a } else { a + w * (x - y).abs() / size }]
                },
                |[a]| a,
            ),
            Metric::BrayCurtis => self.terms::<2>(
                x,
                block,
                |[a, b], x, y, w| [a + w * (x - y).abs(), b + w * (x + y).abs()],
                |[a, b]| a / b,
            ),
            Metric::Cosine => self.terms::<3>(
                x,
                block,
                |[a, b, c], x, y, w| [a + w * x * y, b + w * x * x, c + w * y * y],
                |[a, b, c]| 1.0 - a / (b * c).sqrt(),
            ),
            Metric::Hamming => {
                self.terms::<1>(x, block, |[a], x, y, w| [a + if x == y { 0.0 } else { w }], |[a]| a / total)
            }
            Metric::Jaccard => self.terms::<2>(
                x,
                block,
                |[a, b], x, y, w| {
                    let any = if x != 0.0 || y != 0.0 { w } else { 0.0 };
                    [a + if x == y { 0.0 } else { any }, b + any]
                },
                |[a, b]| if b == 0.0 { 0.0 } else { a / b },
            ),
            Metric::JensenShannon => self.terms::<1>(
                x,
                block,
                |[a], x, y, _| [a + relative(x, y) + relative(y, x)],
                |[a]| (a.max(0.0) / 2.0).sqrt(),
            ),
            _ => self.truths(x, block),
        }
    }

    /// Metrics of truth values, from weighted counts of where both, only one and none is true.
    fn truths(&self, x: &[f64], block: usize) -> [f64; LANES] {
        let (metric, total) = (self.metric, self.total);
        self.terms::<3>(
            x,
            block,
            |[both, first, second], x, y, w| {
                let (p, q) = (x != 0.0, y != 0.0);
                let when = |holds: bool| if holds { w } else { 0.0 };
                [both + when(p && q), first + when(p && !q), second + when(!p && q)]
            },
            |[both, first, second]| {
                let different = first + second;
                let none = total - both - different;
                match metric {
                    Metric::Dice => different / (2.0 * both + different),
                    Metric::Yule => {
                        let half = first * second;
                        if half == 0.0 { 0.0 } else { 2.0 * half / (both * none + half) }
                    }
                    Metric::RogersTanimoto => 2.0 * different / (both + none + 2.0 * different),
                    Metric::RussellRao => (total - both) / total,
                    _ => 2.0 * different / (both + 2.0 * different),
                }
            },
        )
    }

    #[inline(always)]
    fn terms<const K: usize>(
        &self,
        x: &[f64],
        block: usize,
        add: impl Fn([f64; K], f64, f64, f64) -> [f64; K],
        finish: impl Fn([f64; K]) -> f64,
    ) -> [f64; LANES] {
        let mut sums = [[0.0; LANES]; K];
        let rows = &self.blocks[block * LANES * self.columns..(block + 1) * LANES * self.columns];
        for ((y, &x), &w) in rows.as_chunks::<LANES>().0.iter().zip(x).zip(self.weights) {
            for lane in 0..LANES {
                let next = add(std::array::from_fn(|k| sums[k][lane]), x, y[lane], w);
                for (sums, next) in sums.iter_mut().zip(next) {
                    sums[lane] = next;
                }
            }
        }
        std::array::from_fn(|lane| finish(std::array::from_fn(|k| sums[k][lane])))
    }
}

/// The part of x in the divergence of two distributions from their mean.
#[inline(always)]
fn relative(x: f64, y: f64) -> f64 {
    if x > 0.0 { x * (x / (0.5 * (x + y))).ln() } else { 0.0 }
}
