//! Sorted runs: made, cut at exact places, merged.
//!
//! What is sorted is a key, or a key with the number of its element, which makes every order stable.
//! Never here: ranks.

use super::key::Key;

/// What is sorted.
pub(super) trait Entry: Copy + Ord + Send + Sync + 'static {
    type Key: Key;
    fn key(self) -> Self::Key;
}

impl<K: Key> Entry for K {
    type Key = K;

    #[inline(always)]
    fn key(self) -> K {
        self
    }
}

/// A key and the number of its element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Numbered<K> {
    pub(super) key: K,
    pub(super) number: u64,
}

impl<K: Key> Entry for Numbered<K> {
    type Key = K;

    #[inline(always)]
    fn key(self) -> K {
        self.key
    }
}

/// How many entries of a run have smaller keys, and how many have smaller or equal ones.
pub(super) fn count<E: Entry>(run: &[E], key: E::Key) -> (usize, usize) {
    let less = run.partition_point(|entry| entry.key() < key);
    (less, less + run[less..].partition_point(|entry| entry.key() == key))
}

/// Where each of several runs is cut so that together `place` entries come before; of equal ones those of earlier runs.
pub(super) fn cuts<E: Entry>(runs: &[&[E]], place: usize) -> Vec<usize> {
    let total: usize = runs.iter().map(|run| run.len()).sum();
    if place >= total {
        return runs.iter().map(|run| run.len()).collect();
    }
    // The key at that place, bit by bit from the highest.
    let mut key = 0_u128;
    for bit in (0..E::Key::BITS).rev() {
        let tried = key | 1 << bit;
        let before: usize = runs.iter().map(|run| count(run, E::Key::narrow(tried)).0).sum();
        if before <= place {
            key = tried;
        }
    }
    let counts: Vec<(usize, usize)> = runs.iter().map(|run| count(run, E::Key::narrow(key))).collect();
    let mut equal = place - counts.iter().map(|count| count.0).sum::<usize>();
    let cut = |&(less, upto): &(usize, usize)| {
        let taken = equal.min(upto - less);
        equal -= taken;
        less + taken
    };
    counts.iter().map(cut).collect()
}

/// One sorted run of several; of equal entries those of earlier runs come first.
pub(super) fn merge<E: Entry>(runs: &[&[E]]) -> Vec<E> {
    match runs {
        [] => Vec::new(),
        [run] => run.to_vec(),
        [one, two] => merge_two(one, two),
        _ => {
            let (front, back) = runs.split_at(runs.len() / 2);
            merge_two(&merge(front), &merge(back))
        }
    }
}

fn merge_two<E: Entry>(one: &[E], two: &[E]) -> Vec<E> {
    let mut merged = Vec::with_capacity(one.len() + two.len());
    let (mut i, mut j) = (0, 0);
    while i < one.len() && j < two.len() {
        let second = two[j].key() < one[i].key();
        merged.push(if second { two[j] } else { one[i] });
        j += usize::from(second);
        i += usize::from(!second);
    }
    merged.extend_from_slice(&one[i..]);
    merged.extend_from_slice(&two[j..]);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_exact_and_equal_keys_stay_with_earlier_runs() {
        let runs: [&[u8]; 3] = [&[1, 3, 3, 9], &[], &[0, 3, 3, 255, 255]];
        let mut all: Vec<u8> = runs.concat();
        all.sort_unstable();
        for place in 0..=all.len() {
            let cut = cuts(&runs, place);
            assert_eq!(cut.iter().sum::<usize>(), place);
            let mut front: Vec<u8> = runs.iter().zip(&cut).flat_map(|(run, &cut)| run[..cut].to_vec()).collect();
            front.sort_unstable();
            assert_eq!(front, all[..place]);
        }
        assert_eq!(cuts(&runs, 3), [3, 0, 1].map(|cut| if cut == 3 { 2 } else { cut }));
        assert_eq!(merge(&runs), all);
    }
}
