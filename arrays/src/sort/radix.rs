//! One lane sorted by the digits of its keys.
//!
//! Invariant: entries with equal keys keep their order, so numbered entries that come in the order of their numbers
//! leave in the order that comparing whole entries gives.

use super::buckets;
use super::key::Key;
use super::runs::Entry;

/// Bits of a digit by which entries are brought near to their places.
const NEAR_BITS: u32 = 11;
/// Digits of a byte.
const DIGITS: usize = 256;
/// Fewer entries are sorted by comparing them, for which they stay in the nearest caches.
const LENGTH_MIN: usize = 1 << 10;
/// More bytes are split into buckets first, so that passes do not go through memory.
const NEAR_BYTES_MAX: usize = 1 << 20;
/// Steps for an entry, on average, that are worth taking to its place.
const STEPS_MAX: usize = 8;

/// Sorts entries; of equal keys, numbered ones must come in the order of their numbers.
pub(super) fn sort<E: Entry>(entries: &mut Vec<E>) {
    sort_with(entries, &mut Vec::new());
}

/// As [`sort`], with room that is used again: fresh pages cost more than a pass.
pub(super) fn sort_with<E: Entry>(entries: &mut Vec<E>, room: &mut Vec<E>) {
    if size_of_val(&entries[..]) > NEAR_BYTES_MAX { buckets::sort(entries) } else { sort_near(entries, room) }
}

/// Sorts entries, few enough for a cache.
///
/// Cost: three passes if keys lie at all evenly between the least and the greatest, else two more for each byte in
/// which they differ; room for as many entries again.
pub(super) fn sort_near<E: Entry>(entries: &mut Vec<E>, room: &mut Vec<E>) {
    if entries.len() < LENGTH_MIN {
        entries.sort_unstable();
    } else if !(by_first_bits(entries, room) || step_to_places(entries)) {
        by_all_bytes(entries, room);
    }
}

/// Sorts entries by the first bits of how far their keys are above the least; whether these are all bits.
fn by_first_bits<E: Entry>(entries: &mut [E], room: &mut Vec<E>) -> bool {
    let keys = || entries.iter().map(|entry| entry.key());
    let (Some(low), Some(high)) = (keys().min(), keys().max()) else { return true };
    let bits = 128 - high.wide().wrapping_sub(low.wide()).leading_zeros();
    let shift = bits.saturating_sub(2 * NEAR_BITS);
    const MASK: usize = (1 << NEAR_BITS) - 1;
    let digits = |entry: E| {
        let above = entry.key().above(low, shift);
        [above & MASK, (above >> NEAR_BITS) & MASK]
    };
    let mut next = [[0_usize; MASK + 1]; 2];
    for &entry in &*entries {
        let [lower, upper] = digits(entry);
        next[0][lower] += 1;
        next[1][upper] += 1;
    }
    for next in &mut next {
        let mut before = 0;
        for next in next {
            before += std::mem::replace(next, before);
        }
    }
    room.clear();
    room.extend_from_slice(entries);
    for &entry in &*entries {
        let place = &mut next[0][digits(entry)[0]];
        room[*place] = entry;
        *place += 1;
    }
    for &entry in &*room {
        let place = &mut next[1][digits(entry)[1]];
        entries[*place] = entry;
        *place += 1;
    }
    shift == 0
}

/// Moves each entry down to its place; false, with entries in some order, if that takes too many steps.
fn step_to_places<E: Entry>(entries: &mut [E]) -> bool {
    let mut steps = STEPS_MAX * entries.len();
    for at in 1..entries.len() {
        let (entry, mut place) = (entries[at], at);
        while place > 0 && entries[place - 1].key() > entry.key() {
            entries[place] = entries[place - 1];
            place -= 1;
        }
        entries[place] = entry;
        match steps.checked_sub(at - place) {
            Some(left) => steps = left,
            None => return false,
        }
    }
    true
}

/// Sorts entries by the bytes of their keys, from the lowest to the highest.
fn by_all_bytes<E: Entry>(entries: &mut Vec<E>, room: &mut Vec<E>) {
    let bytes = (E::Key::BITS / 8) as usize;
    let mut counts = vec![[0_usize; DIGITS]; bytes];
    for entry in entries.iter() {
        for (byte, counts) in counts.iter_mut().enumerate() {
            counts[entry.key().digit(byte)] += 1;
        }
    }
    room.clear();
    room.extend_from_slice(entries);
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
            room[next[digit]] = entry;
            next[digit] += 1;
        }
        std::mem::swap(entries, room);
    }
}

#[cfg(test)]
mod tests {
    use super::super::runs::Numbered;
    use super::*;

    #[track_caller]
    fn check<K: Key>(key: impl Fn(u64) -> K) {
        let mixed = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        let numbered = (0..5 * LENGTH_MIN as u64 + 5).map(|number| Numbered { key: key(mixed(number)), number });
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
        check(|_| 7_u64);
        check(|bits| bits % 2 * u64::MAX);
        // Half of them so near to one another that the first bits say nothing.
        check(|bits| if bits % 2 == 0 { bits % 5000 } else { bits });
        check(|bits| 1_u128 << (bits % 128));
        check(u128::from);
    }
}
