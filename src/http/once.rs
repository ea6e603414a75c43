//! The header `Idempotency-Key`: the same request sent twice is one job.

use axum::http::{HeaderMap, HeaderName};

use super::problem::Problem;
use crate::queue::{NoKey, key_text};

/// The header that a client sends.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header of an answer that was given before.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The request's key, if it has one: a string in quotes, as in the IETF draft, or bare, as most clients send it.
///
/// # Errors
/// 400 when it is not a valid key, or there is more than one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut given = headers.get_all(KEY).iter();
    let Some(key) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(Problem::bad_request("Idempotency-Key is given more than once"));
    }
    let told = |error: NoKey| Problem::bad_request(format!("Idempotency-Key: {error}"));
    let text = key.to_str().map_err(|_| told(NoKey))?.trim();
    let bare = text.strip_prefix('"').map_or(Some(text), |rest| rest.strip_suffix('"'));
    key_text(bare.unwrap_or_default()).map(Some).map_err(told)
}

/// The answer to a key that stands for a different request: 422.
pub(super) fn taken() -> Problem {
    Problem::unprocessable(
        "this Idempotency-Key was used for another queue or other data in the last 24 hours; use a new key",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, Problem> {
        key(&values.iter().map(|value| (KEY, value.parse().unwrap())).collect())
    }

    #[test]
    fn a_key_in_quotes_is_the_same_as_a_bare_one() {
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&["k-1"]).unwrap().as_deref(), Some("k-1"));
        assert_eq!(read(&["\"k-1\""]).unwrap().as_deref(), Some("k-1"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for values in [&[""][..], &["\"\""], &["\""], &["\"k"], &["a b"], &["k", "k"], &[&"k".repeat(256)]] {
            assert!(read(values).is_err(), "{values:?}");
        }
    }
}
