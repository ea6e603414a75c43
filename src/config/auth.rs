//! Who may sign tokens, and for how long.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de::Error};

/// Tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// As written; [`Storage`](super::Storage) has it with what its being left out means.
    pub(super) secret: SecretString,
    /// Whether the service starts with a key that can be guessed or is published.
    pub allow_weak_secret: bool,
    /// How far away the `exp` of a token may be, if that is limited.
    #[serde(rename = "max_token_days", deserialize_with = "days")]
    pub max_token: Option<Duration>,
}

/// Days, perhaps with a fraction; none for 0.
fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let days = f64::deserialize(deserializer)?;
    let duration = Duration::try_from_secs_f64(days * 86_400.0)
        .map_err(|_| D::Error::custom(format!("is {days}, must be a number of days, or 0 for no limit")))?;
    Ok(Some(duration).filter(|duration| !duration.is_zero()))
}
