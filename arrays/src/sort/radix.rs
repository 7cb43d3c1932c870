//! One lane sorted by the digits of its keys, from the lowest to the highest.
//!
//! Invariant: entries with equal keys keep their order, so numbered entries that come in the order of their numbers
//! leave in the order that comparing whole entries gives.

use super::key::Key;
use super::runs::Entry;

const DIGITS: usize = 256;
/// Fewer entries are sorted by comparing them, for which they stay in the nearest caches.
const LENGTH_MIN: usize = 1 << 12;

/// Sorts entries; of equal keys, numbered ones must come in the order of their numbers.
///
/// Cost: two passes for each byte of the key in which entries differ, with room for as many entries again.
pub(super) fn sort<E: Entry>(entries: &mut Vec<E>) {
    let bytes = (E::Key::BITS / 8) as usize;
    if entries.len() < LENGTH_MIN || bytes > 8 {
        entries.sort_unstable();
        return;
    }
    let mut counts = vec![[0_usize; DIGITS]; bytes];
    for entry in entries.iter() {
        for (byte, counts) in counts.iter_mut().enumerate() {
            counts[entry.key().digit(byte)] += 1;
        }
    }
    let mut other = entries.clone();
    for (byte, counts) in counts.iter().enumerate() {
        if counts.contains(&entries.len()) {
            continue;
        }
        let mut next = [0; DIGITS];
        for digit in 1..DIGITS {
            next[digit] = next[digit - 1] + counts[digit - 1];
        }
        for &entry in entries.iter() {
            let digit = entry.key().digit(byte);
            other[next[digit]] = entry;
            next[digit] += 1;
        }
        std::mem::swap(entries, &mut other);
    }
}

#[cfg(test)]
mod tests {
    use super::super::runs::Numbered;
    use super::*;

    #[track_caller]
    fn check<K: Key>(key: impl Fn(u64) -> K) {
        let mixed = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        let numbered = (0..3 * LENGTH_MIN as u64 + 5).map(|number| Numbered { key: key(mixed(number)), number });
        let mut entries: Vec<Numbered<K>> = numbered.collect();
        let mut expected = entries.clone();
        expected.sort();
        sort(&mut entries);
        assert_eq!(entries, expected);
    }

    #[test]
    fn long_lanes_are_sorted_and_equal_keys_keep_their_order() {
        check(|bits| bits as u8);
        check(|bits| bits as u16);
        check(|bits| bits as u32);
        check(|bits| bits);
        check(|bits| bits % 1000);
        check(u128::from);
    }
}
