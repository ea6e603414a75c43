//! Whether the key that tokens are signed with can be guessed.

use std::{collections::BTreeSet, path::Path};

use secrecy::{ExposeSecret, SecretString};

use super::report::Check;
use crate::secret::{self, PUBLISHED, STRONG_BYTES, SecretError};

const NAME: &str = "secret";

/// A random key of enough bytes has more distinct ones than this, even in hex digits.
const DIFFERENT: usize = 9;

/// A key given in the settings.
pub(super) fn given(secret: &SecretString) -> Check {
    const ADVICE: &str =
        "set JWT_SECRET to a new one in every service of the platform: openssl rand -base64 48";
    let key = secret.expose_secret();
    let different = key.bytes().collect::<BTreeSet<_>>().len();
    if key == PUBLISHED {
        Check::failure(NAME, "JWT_SECRET is the published example: anybody can sign tokens", ADVICE)
    } else if key.len() < STRONG_BYTES {
        let found = format!("JWT_SECRET has {} bytes: it can be guessed from one token", key.len());
        Check::failure(NAME, found, format!("at least {STRONG_BYTES} are needed; {ADVICE}"))
    } else if different <= DIFFERENT {
        let found = format!("JWT_SECRET has {} bytes, but only {different} different ones", key.len());
        Check::warning(NAME, found, ADVICE)
    } else {
        Check::ok(NAME, format!("{} bytes", key.len()))
    }
}

/// The key of the embedded store, given or kept in `dir`.
pub(super) fn embedded(secret: Option<&SecretString>, dir: &Path) -> Check {
    if let Some(secret) = secret {
        return given(secret);
    }
    match secret::kept(dir) {
        Ok(_) => Check::ok(NAME, format!("kept in {}", dir.display())),
        Err(SecretError::Missing(_)) => Check::ok(NAME, "none yet; the first start makes one"),
        Err(error) => Check::failure(
            NAME,
            error.to_string(),
            "make it readable to octavo's user; or delete it to get a new one, and everybody signs in again",
        ),
    }
}
