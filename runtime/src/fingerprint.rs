//! A number that stands for what a rank is about to do: equal on two ranks if, and almost only if, that is the same.
//!
//! Equal input gives equal numbers in every process of one build. Never here: what goes in.

/// A 64-bit hash that grows with what it is given, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of a text.
    pub fn of(text: &str) -> Fingerprint {
        Fingerprint::default().bytes(text.as_bytes())
    }

    /// This one, and then a word. Cost: two multiplications.
    #[must_use]
    pub fn word(self, word: u64) -> Fingerprint {
        // The finaliser of splitmix64 (Steele, Lea and Flood 2014).
        let mixed = (self.0.rotate_left(5) ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Fingerprint(mixed ^ (mixed >> 31))
    }

    /// This one, and then bytes and their number.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Fingerprint {
        let (words, rest) = bytes.as_chunks();
        let whole = words.iter().fold(self, |print, &word| print.word(u64::from_le_bytes(word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        whole.word(u64::from_le_bytes(last)).word(bytes.len() as u64)
    }

    /// The number itself.
    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_length_and_contents_count() {
        let prints = ["", "\0", "ab", "ba", "abcdefgh", "abcdefgh\0", "abcdefghi"].map(Fingerprint::of);
        for (i, one) in prints.iter().enumerate() {
            assert!(prints[..i].iter().all(|other| other != one), "text {i} is like an earlier one");
        }
        assert_eq!(Fingerprint::of("ab"), Fingerprint::of("ab"));
    }
}
