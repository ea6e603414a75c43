//! Keys with which anybody could sign tokens.

use std::{collections::BTreeSet, fmt};

use sha2::{Digest, Sha256};

/// What is wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// It is in a public repository.
    Published,
    /// It has only so many bytes.
    Short(usize),
    /// It has only so many different bytes.
    Uniform(usize),
}

/// A shorter key can be guessed from one token (RFC 7518, 3.2).
pub const STRONG_BYTES: usize = 32;

/// A key of fewer different bytes is a pattern; of 32 random digits, one in 10¹¹ has so few.
const DIFFERENT: usize = 5;

/// SHA-256 of the keys that the platform's repository shows: of its service that signs tokens, and of its examples.
const PUBLISHED: [&str; 5] = [
    "7f1ee8c23a52ed58ab94ab07382660f780da7468764cc76e1777dc26ff057069",
    "a9ee59cf6f8bbd8bbe2485119bdb7b7334db052ac99a1a69a04c0efdd892fece",
    "730d7ccacc0854e2c819a17be3755a177a2a74497b9359cc0f67f6ddd0fcb2d8",
    "ec485373b8e90b8e64163375339293c5c7ec4a2a9904046a0f9e0a32e7e0d5bc",
    "526cd5844570c5828fde6bd78a3ce3b0021162590f410ed05b274022fdff77d7",
];

impl Weakness {
    /// Why `key` is weak, if it is.
    #[must_use]
    pub fn of(key: &str) -> Option<Self> {
        let halves = Sha256::digest(key.trim()).into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let hash: String = halves.filter_map(|half| char::from_digit(half.into(), 16)).collect();
        let different = different(key);
        if PUBLISHED.contains(&hash.as_str()) {
            Some(Self::Published)
        } else if key.len() < STRONG_BYTES {
            Some(Self::Short(key.len()))
        } else {
            (different < DIFFERENT).then_some(Self::Uniform(different))
        }
    }
}

/// How many different bytes `key` has.
#[must_use]
pub fn different(key: &str) -> usize {
    key.bytes().collect::<BTreeSet<_>>().len()
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published => f.write_str("is published: anybody can sign tokens with it"),
            Self::Short(bytes) => {
                write!(
                    f,
                    "has {bytes} bytes, and {STRONG_BYTES} are needed: it can be guessed from one token"
                )
            }
            Self::Uniform(different) => {
                write!(f, "has only {different} different bytes: it can be guessed from one token")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_can_guess_or_look_up_is_weak() {
        assert_eq!(Weakness::of("your_secret_key"), Some(Weakness::Published));
        assert_eq!(Weakness::of(" your_secret_key\n"), Some(Weakness::Published));
        assert_eq!(Weakness::of(""), Some(Weakness::Short(0)));
        assert_eq!(Weakness::of(&"0123456789".repeat(4)[..31]), Some(Weakness::Short(31)));
        assert_eq!(Weakness::of(&"0123456789".repeat(4)[..32]), None);
        assert_eq!(Weakness::of(&"1234".repeat(8)), Some(Weakness::Uniform(4)));
    }
}
