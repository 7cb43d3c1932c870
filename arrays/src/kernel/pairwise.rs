//! The words of pieces of one run, combined pairwise.
//!
//! Order: that of a binary tree over the pieces, so the bits follow from their number alone.

use super::fold::{Fold, combine, unit};
use crate::dtype::DType;

/// Combines the words of pieces of one run pairwise, as they come.
#[derive(Debug, Default)]
pub(crate) struct Pairwise {
    /// Words with the number of pieces behind each, a power of two.
    stack: Vec<(usize, [u64; 2])>,
}

impl Pairwise {
    /// Adds the words of the next piece.
    pub(crate) fn push(&mut self, fold: Fold, dtype: DType, words: &[u64]) {
        let unit = unit(fold, dtype);
        let (mut pieces, mut all) = (1, [0; 2]);
        all[..unit].copy_from_slice(words);
        while let Some((_, mut left)) = self.stack.pop_if(|(left, _)| *left == pieces) {
            combine(fold, dtype, &mut left[..unit], &all[..unit]);
            all = left;
            pieces *= 2;
        }
        self.stack.push((pieces, all));
    }

    /// The words of all pieces; ready for another run.
    pub(crate) fn finish(&mut self, fold: Fold, dtype: DType) -> [u64; 2] {
        let unit = unit(fold, dtype);
        let mut all = fold.identity(dtype);
        for (_, mut left) in self.stack.drain(..).rev() {
            combine(fold, dtype, &mut left[..unit], &all[..unit]);
            all = left;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_combine_pairwise() {
        for pieces in 0..20_i64 {
            let mut pairwise = Pairwise::default();
            (0..pieces).for_each(|piece| pairwise.push(Fold::Sum, DType::Int64, &[piece as u64]));
            assert_eq!(pairwise.finish(Fold::Sum, DType::Int64), [(pieces * (pieces - 1) / 2) as u64, 0]);
            assert_eq!(pairwise.finish(Fold::Sum, DType::Int64), [0, 0]);
        }
    }

    #[test]
    fn complex_numbers_combine_pairwise() {
        let mut pairwise = Pairwise::default();
        for part in 0..5 {
            pairwise.push(Fold::Sum, DType::Complex64, &[f64::from(part).to_bits(), 1.0_f64.to_bits()]);
        }
        assert_eq!(pairwise.finish(Fold::Sum, DType::Complex64).map(f64::from_bits), [10.0, 5.0]);
    }
}
