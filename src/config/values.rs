//! How single values are read, where their type alone does not say.

use std::{fmt::Display, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};

use crate::character::QUEUES;

/// Names of our queues, separated by commas, or `*` for all, or `none`.
pub(super) fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'static str>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.trim() {
        "*" => return Ok(QUEUES.to_vec()),
        "none" => return Ok(Vec::new()),
        _ => {}
    }
    let known = |name: &str| {
        let unknown = || {
            D::Error::custom(format!("there is no queue \"{name}\"; the queues are {}", QUEUES.join(", ")))
        };
        QUEUES.into_iter().find(|queue| *queue == name).ok_or_else(unknown)
    };
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(known).collect()
}

/// Texts separated by commas.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
}

/// Whole seconds.
pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u32::deserialize(deserializer).map(|seconds| Duration::from_secs(seconds.into()))
}

/// Days, perhaps with a fraction; at most 30.
pub(super) fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let days = f64::deserialize(deserializer)?;
    let duration = Duration::try_from_secs_f64(days * 86_400.0).ok().filter(|_| days <= 30.0);
    duration.ok_or_else(|| {
        D::Error::custom(format!(
            "is {days}, must be more than 0 and at most 30: job effects are remembered for 31 days only"
        ))
    })
}

/// A value that may be left empty.
pub(super) fn optional<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T::Err: Display,
{
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| D::Error::custom(format!("\"{text}\": {error}")))
}
