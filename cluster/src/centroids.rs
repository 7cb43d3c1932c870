//! From sums and counts to new centres. Serial, and the same on all ranks.

use girih_arrays::kernel::nearest::{FixedPoint, Layout, Real};

/// New centred centres from summed words; clusters still without weight take the centre of the heaviest.
///
/// Cost: k·d divisions.
pub(crate) fn means<T: Real>(clusters: usize, columns: usize, fixed: &FixedPoint, words: &[i64]) -> Vec<T> {
    let layout = Layout::new(clusters, fixed);
    let mut centres = vec![T::ZERO; clusters * columns];
    let mut empty = Vec::new();
    for (cluster, centre) in centres.chunks_exact_mut(columns).enumerate() {
        if !layout.mean(fixed, words, cluster, centre) {
            empty.push(cluster);
        }
    }
    if !empty.is_empty() {
        let weight = |&cluster: &usize| layout.weight(fixed, words, cluster);
        // The first of several heaviest, as NumPy's argmax.
        let largest = (0..clusters).rev().max_by_key(weight).expect("there is a cluster");
        for cluster in empty {
            centres.copy_within(largest * columns..(largest + 1) * columns, cluster * columns);
        }
    }
    centres
}

/// True if no cluster is without weight.
pub(crate) fn all_have_weight(clusters: usize, fixed: &FixedPoint, words: &[i64]) -> bool {
    let layout = Layout::new(clusters, fixed);
    (0..clusters).all(|cluster| layout.weight(fixed, words, cluster) > 0)
}

/// The means of clusters with weight; the old centres of the others. Cost: k·d divisions.
pub(crate) fn means_or<T: Real>(old: &[T], columns: usize, fixed: &FixedPoint, words: &[i64]) -> Vec<T> {
    let layout = Layout::new(old.len() / columns, fixed);
    let mut centres = old.to_vec();
    for (cluster, centre) in centres.chunks_exact_mut(columns).enumerate() {
        layout.mean(fixed, words, cluster, centre);
    }
    centres
}

/// The sum of squared distances between old and new centres: eight sums side by side, each in the order of values.
pub(crate) fn shift<T: Real>(old: &[T], new: &[T]) -> f64 {
    let square = |old: &T, new: &T| (new.widen() - old.widen()) * (new.widen() - old.widen());
    let ((old, old_rest), (new, new_rest)) = (old.as_chunks::<8>(), new.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (old, new) in old.iter().zip(new) {
        for at in 0..8 {
            sums[at] += square(&old[at], &new[at]);
        }
    }
    sums.iter_mut().zip(old_rest.iter().zip(new_rest)).for_each(|(sum, (old, new))| *sum += square(old, new));
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use girih_arrays::kernel::nearest::Row;

    #[test]
    fn an_empty_cluster_takes_the_first_of_the_largest() {
        let fixed = FixedPoint::new(&[8.0], 10, 2);
        let layout = Layout::new(4, &fixed);
        let mut words = vec![0; layout.words()];
        for (cluster, value) in [(0, 1.0), (2, 3.0), (2, 3.0), (3, 5.0), (3, 5.0)] {
            layout.add_row(&fixed, &mut words, cluster, Row { values: &[value], origin: &[0.0], weight: 1.0 });
        }
        assert_eq!(means::<f64>(4, 1, &fixed, &words), [1.0, 3.0, 3.0, 5.0]);
    }

    #[test]
    fn the_shift_is_the_sum_of_squares() {
        assert_eq!(shift(&[0.0, 1.0, 2.0_f32], &[3.0, 1.0, 0.0]), 13.0);
    }
}
