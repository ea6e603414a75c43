//! Whether the key that tokens are signed with can be guessed.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::report::Check;
use crate::secret::{self, STRONG_BYTES, SecretError, Weakness};

const NAME: &str = "secret";

/// A random key of enough bytes has more different ones than this, even in hex digits.
const DIFFERENT: usize = 9;

/// A key given in the settings.
pub(super) fn given(secret: &SecretString) -> Check {
    const ADVICE: &str =
        "set JWT_SECRET to a new one in every service of the platform: openssl rand -base64 48";
    judge(secret, "JWT_SECRET", ADVICE)
}

/// The key of the embedded store, given or kept in `dir`.
pub(super) fn embedded(secret: Option<&SecretString>, dir: &Path) -> Check {
    const ADVICE: &str = "delete it to get a new one, and everybody signs in again";
    if let Some(secret) = secret {
        return given(secret);
    }
    match secret::kept(dir) {
        Ok(key) => judge(&key, &format!("the key kept in {}", dir.display()), ADVICE),
        Err(SecretError::Missing(_)) => Check::ok(NAME, "none yet; the first start makes one"),
        Err(error) => {
            Check::failure(NAME, error.to_string(), format!("make it readable to octavo's user; or {ADVICE}"))
        }
    }
}

fn judge(secret: &SecretString, name: &str, advice: &str) -> Check {
    let key = secret.expose_secret();
    let different = secret::different(key);
    match Weakness::of(key) {
        Some(weakness) => Check::failure(NAME, format!("{name} {weakness}"), advice),
        None if different <= DIFFERENT => {
            let found = format!("{name} has {} bytes, but only {different} different ones", key.len());
            Check::warning(NAME, found, advice)
        }
        None => Check::ok(NAME, format!("{name} has {} bytes; {STRONG_BYTES} are enough", key.len())),
    }
}
