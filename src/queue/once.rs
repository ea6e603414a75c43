//! Idempotency keys: a job that is requested twice with one key is one job.
//!
//! Over HTTP, keys follow the IETF draft "The Idempotency-Key HTTP Header Field".

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Quota;

/// How long a key stands for its job, whatever becomes of the job.
pub const KEY_TTL: Duration = Duration::from_hours(24);

/// A caller's key for one job, and what was requested with it; both as hashes, since both may be long or private.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceKey {
    /// The same only for the same caller and key.
    pub(super) name: String,
    /// The same only for the same queue and data.
    pub(super) fingerprint: String,
}

impl OnceKey {
    /// The key `key` of `user`, for a job of `queue` with `data`, which must not change with the user's token.
    #[must_use]
    pub fn new(user: &str, key: &str, queue: &str, data: &[u8]) -> Self {
        Self { name: hash(user, key.as_bytes()), fingerprint: hash(queue, data) }
    }
}

/// A job to be added.
#[derive(Debug, Clone, Default)]
pub struct Push<'a> {
    /// Its data.
    pub data: Vec<u8>,
    /// The user whose quotas count, if any.
    pub user: Option<&'a str>,
    /// The key that stands for it, if there is one.
    pub key: Option<&'a OnceKey>,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// The job was added.
    Added {
        /// Its id.
        id: String,
        /// How many more its user may add at once, if there is a limit.
        left: Option<u64>,
    },
    /// The same job had been added before, with this id.
    Before(String),
    /// The key stands for another queue or other data: nothing was added.
    KeyTaken,
    /// The user has used up a quota: nothing was added.
    Over {
        /// Which.
        quota: Quota,
        /// How long until there is room, if that is known.
        wait: Option<Duration>,
    },
}

/// A text that cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to 255 visible ASCII characters, and no spaces")]
pub struct NoKey;

/// `text`, if it can be a key.
///
/// # Errors
/// [`NoKey`] when it is empty, too long, or has anything but visible ASCII characters.
pub fn key_text(text: &str) -> Result<String, NoKey> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && (1..=255).contains(&text.len()) { Ok(text.to_owned()) } else { Err(NoKey) }
}

/// SHA-256 of both parts, in hex digits; the length of the first keeps `("a", "bc")` apart from `("ab", "c")`.
fn hash(first: &str, second: &[u8]) -> String {
    let hash = Sha256::new_with_prefix(first.len().to_be_bytes()).chain_update(first).chain_update(second);
    let halves = hash.finalize().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.filter_map(|half| char::from_digit(half.into(), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_two_callers_and_data_of_two_queues_differ() {
        let key = |user, key, queue, data: &str| OnceKey::new(user, key, queue, data.as_bytes());
        let first = key("ada", "k1", "Create_Character", "{}");
        assert_eq!(first, key("ada", "k1", "Create_Character", "{}"));
        assert_eq!(first.name.len(), 64);
        assert_ne!(first.name, key("bob", "k1", "Create_Character", "{}").name);
        assert_ne!(first.name, key("ad", "ak1", "Create_Character", "{}").name);
        assert_ne!(first.fingerprint, key("ada", "k1", "Read_Character", "{}").fingerprint);
        assert_ne!(first.fingerprint, key("ada", "k1", "Create_Character", "{ }").fingerprint);
    }

    #[test]
    fn a_key_is_1_to_255_visible_characters() {
        assert_eq!(key_text("8e03978e-40d5-43dd!~").as_deref(), Ok("8e03978e-40d5-43dd!~"));
        assert!(key_text(&"k".repeat(255)).is_ok());
        for bad in ["", "a b", "a\tb", "schl\u{fc}ssel", "\u{7f}", &"k".repeat(256)] {
            assert_eq!(key_text(bad), Err(NoKey), "{bad:?}");
        }
    }
}
