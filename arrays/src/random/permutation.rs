//! Random orders of 0, 1, …, n − 1, of which every place can be computed by itself.
//!
//! Few numbers are shuffled; of many, each place is sent through a keyed network that is a bijection of 0..n, so that
//! no rank needs another's part.
//! Source: Fisher and Yates; Black and Rogaway, "Ciphers with arbitrary finite domains" (2002), generalised Feistel.

use super::philox::{Stream, block};

/// So many numbers are shuffled; the order of more comes from the network.
pub(crate) const SHUFFLED_MAX: usize = 4096;
const ROUNDS: usize = 12;
/// Where the keys of rounds lie among the words of a call.
const KEYS: u64 = 2;

/// A shuffle of `order` in place; `first` numbers its first element among all whose words the call uses.
pub(crate) fn shuffle<T>(stream: Stream, first: u64, order: &mut [T], mut swap: impl FnMut(&mut [T], usize, usize)) {
    for last in (1..order.len()).rev() {
        let other = stream.at(first + last as u64).below(last as u64 + 1) as usize;
        swap(order, last, other);
    }
}

/// A random order of many numbers, place by place.
pub(crate) struct Network {
    numbers: u64,
    /// Places are pairs of a number below `left` and one below `right`.
    left: u64,
    right: u64,
    keys: [u64; ROUNDS],
}

impl Network {
    pub(crate) fn new(stream: Stream, numbers: usize) -> Network {
        let numbers = numbers as u64;
        let left = (numbers as f64).sqrt().ceil().max(1.0) as u64;
        let right = numbers.div_ceil(left).max(1);
        let mut keys = [0; ROUNDS];
        for (index, keys) in keys.chunks_mut(4).enumerate() {
            keys.copy_from_slice(&block(stream.key, [index as u64, 0, stream.call, KEYS])[..keys.len()]);
        }
        Network { numbers, left, right, keys }
    }

    /// The number at a place.
    pub(crate) fn at(&self, place: u64) -> u64 {
        let mut number = place;
        loop {
            number = self.step(number);
            // Pairs beyond the last number are sent on until they come back among the numbers.
            if number < self.numbers {
                return number;
            }
        }
    }

    fn step(&self, number: u64) -> u64 {
        let (mut left, mut right) = (number / self.right, number % self.right);
        for keys in self.keys.chunks(2) {
            left = (left + scale(mix(right, keys[0]), self.left)) % self.left;
            right = (right + scale(mix(left, keys[1]), self.right)) % self.right;
        }
        left * self.right + right
    }
}

/// A word below `bound`.
fn scale(word: u64, bound: u64) -> u64 {
    ((u128::from(word) * u128::from(bound)) >> 64) as u64
}

/// A word that depends on every bit of both; the finaliser of MurmurHash3, twice.
fn mix(value: u64, key: u64) -> u64 {
    let mut word = value ^ key;
    for round in 0..2 {
        word = (word ^ (word >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        word = (word ^ (word >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        word = (word ^ (word >> 33)).wrapping_add(key.rotate_left(17 + round));
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_place() {
        for numbers in [1, 2, 3, 5, 100, 4097, 10_007, 65_536] {
            let network = Network::new(Stream { key: [5, 6], call: 1 }, numbers);
            let mut seen = vec![false; numbers];
            (0..numbers as u64).for_each(|place| seen[network.at(place) as usize] = true);
            assert!(seen.into_iter().all(|seen| seen), "{numbers} numbers");
        }
    }

    #[test]
    fn orders_have_no_trend() {
        let numbers = 20_000;
        let mut found = Vec::new();
        for call in 0..20 {
            let network = Network::new(Stream { key: [9, 9], call }, numbers);
            let centred = |number: u64| number as f64 - (numbers - 1) as f64 / 2.0;
            let product: f64 = (0..numbers as u64).map(|place| centred(place) * centred(network.at(place))).sum();
            // The correlation of two random orders has mean 0 and variance 1/(n − 1).
            let variance = (numbers as f64).powi(2) / 12.0;
            found.push(product / variance / (numbers as f64).sqrt());
        }
        assert!(found.iter().all(|z| z.abs() < 4.0), "{found:?}");
        assert!(found.iter().map(|z| z * z).sum::<f64>() < 45.0, "{found:?}");
    }
}
