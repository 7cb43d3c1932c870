//! Random words as a function of a key and a counter, and the words that one element of an array may use.
//!
//! Invariant: a word depends on the key, the number of the call, the element and how many words the element has used,
//! and on nothing else; so neither ranks nor tiles nor threads show in what is drawn.
//! Source: Philox4x64-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).

use rand_core::TryRng;
use std::convert::Infallible;

const MULTIPLIERS: [u64; 2] = [0xD2E7_470E_E14C_6C93, 0xCA5A_8263_9512_1157];
const WEYL: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B];
const ROUNDS: usize = 10;
/// Words of a block.
pub(crate) const WORDS: u64 = 4;

/// A call's random numbers: a key, which follows from the seed, and the number of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// What the seed was made into.
    pub key: [u64; 2],
    /// Calls made before this one.
    pub call: u64,
}

/// A block of four random words.
///
/// Cost: ten rounds of two 128-bit products.
#[inline]
pub(crate) fn block(key: [u64; 2], counter: [u64; 4]) -> [u64; 4] {
    let (mut key, mut words) = (key, counter);
    for _ in 0..ROUNDS {
        let [a, b] = [words[0], words[2]].map(u128::from);
        let (a, b) = (a * u128::from(MULTIPLIERS[0]), b * u128::from(MULTIPLIERS[1]));
        words = [(b >> 64) as u64 ^ words[1] ^ key[0], b as u64, (a >> 64) as u64 ^ words[3] ^ key[1], a as u64];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    words
}

impl Stream {
    /// Block `index` of the words that elements share: each of four neighbours begins with one of them.
    #[inline]
    pub(crate) fn shared(self, index: u64) -> [u64; 4] {
        block(self.key, [0, index, self.call, 0])
    }

    /// Calls `use_word` with each element of a range and the generator of its words.
    #[inline]
    pub(crate) fn each(self, elements: std::ops::Range<u64>, mut use_draws: impl FnMut(&mut Draws)) {
        let mut words = [0; 4];
        for element in elements.clone() {
            if element % WORDS == 0 || element == elements.start {
                words = self.shared(element / WORDS);
            }
            let first = words[(element % WORDS) as usize];
            use_draws(&mut Draws { stream: self, element, first, used: 0, words: [0; 4] });
        }
    }

    /// The words of one element.
    pub(crate) fn at(self, element: u64) -> Draws {
        let first = self.shared(element / WORDS)[(element % WORDS) as usize];
        Draws { stream: self, element, first, used: 0, words: [0; 4] }
    }
}

/// The random words of one element, without end.
pub(crate) struct Draws {
    stream: Stream,
    element: u64,
    first: u64,
    used: u64,
    words: [u64; 4],
}

impl Draws {
    #[inline]
    pub(crate) fn word(&mut self) -> u64 {
        let used = self.used;
        self.used += 1;
        if used == 0 {
            return self.first;
        }
        let place = (used - 1) % WORDS;
        if place == 0 {
            self.words = block(self.stream.key, [(used - 1) / WORDS, self.element, self.stream.call, 1]);
        }
        self.words[place as usize]
    }

    /// A number in [0, 1), a multiple of 2⁻⁵³.
    #[inline]
    pub(crate) fn unit(&mut self) -> f64 {
        to_unit(self.word())
    }

    /// A number in (0, 1).
    #[inline]
    pub(crate) fn open_unit(&mut self) -> f64 {
        ((self.word() >> 12) as f64 + 0.5) * 2.0_f64.powi(-52)
    }

    /// A whole number below `bound`, each equally likely; any word if `bound` is 0.
    ///
    /// Source: Lemire, "Fast random integer generation in an interval" (2019).
    #[inline]
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return self.word();
        }
        let mut product = u128::from(self.word()) * u128::from(bound);
        if (product as u64) < bound {
            let refused = bound.wrapping_neg() % bound;
            while (product as u64) < refused {
                product = u128::from(self.word()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }
}

/// The number in [0, 1) that a word stands for.
#[inline]
pub(crate) fn to_unit(word: u64) -> f64 {
    (word >> 11) as f64 * 2.0_f64.powi(-53)
}

impl TryRng for Draws {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.word() >> 32) as u32)
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.word())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for bytes in bytes.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            bytes.copy_from_slice(&word[..bytes.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_of_the_published_test_vectors() {
        let ones = u64::MAX;
        for (key, counter, expected) in [
            (
                [0, 0],
                [0; 4],
                [0x1655_4d9e_ca36_314c, 0xdb20_fe9d_672d_0fdc, 0xd7e7_72ce_e186_176b, 0x7e68_b68a_ec7b_a23b],
            ),
            (
                [ones, ones],
                [ones; 4],
                [0x87b0_92c3_013f_e90b, 0x438c_3c67_be8d_0224, 0x9cc7_d7c6_9cd7_77b6, 0xa09c_aebf_594f_0ba0],
            ),
        ] {
            assert_eq!(block(key, counter), expected);
        }
    }

    #[test]
    fn numbers_below_a_bound_are_equally_likely() {
        let stream = Stream { key: [1, 2], call: 3 };
        let mut counts = [0; 6];
        stream.each(0..60_000, |draws| counts[draws.below(6) as usize] += 1);
        let squares: f64 = counts.iter().map(|&count| (f64::from(count) - 10_000.0).powi(2) / 10_000.0).sum();
        assert!(squares < 20.5, "chi squared of 5 degrees: {squares}, counts {counts:?}");
    }

    #[test]
    fn an_element_has_the_same_words_however_it_is_reached() {
        let stream = Stream { key: [7, 8], call: 0 };
        let mut together = Vec::new();
        stream.each(3..11, |draws| together.push((0..7).map(|_| draws.word()).collect::<Vec<_>>()));
        for (element, words) in (3..11).zip(together) {
            let mut draws = stream.at(element);
            assert_eq!((0..7).map(|_| draws.word()).collect::<Vec<_>>(), words, "element {element}");
        }
    }
}
