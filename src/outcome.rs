//! What a job comes to: the [`Outcome`] that its user is told, or the [`Failure`] that says what the queue does next.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::budget::Share;

/// What a user is told of one job. Exactly one per job.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The user's id.
    pub user: String,
    /// The `Profile_Response` as it goes over the wire: `{"Message": …, "Status": true}`.
    pub profile: Box<RawValue>,
}

/// A successful answer, a text or documents, serialised once, as the profile that its user is told.
#[derive(Debug)]
pub struct Reply {
    profile: Box<RawValue>,
    share: Option<Share>,
}

impl Reply {
    /// A reply that carries `message`.
    ///
    /// # Errors
    /// When `message` cannot be written as JSON.
    pub fn new(message: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        Ok(Self { profile: profile(message, true)?, share: None })
    }

    /// The same, with the memory that was set aside for it.
    pub(crate) fn holding(self, share: Option<Share>) -> Self {
        Self { share, ..self }
    }

    /// The memory that was set aside for it, until the job is settled.
    pub(crate) fn take_share(&mut self) -> Option<Share> {
        self.share.take()
    }
}

/// Why a job did not succeed, sorted by what happens next.
#[derive(Debug)]
pub enum Failure {
    /// The request is wrong: the user is told, and the job is over, without a dead letter.
    Refused(Refusal),
    /// This attempt did not succeed, but another may: the job is tried again. The text is for the log.
    Retry(String),
    /// What the domain depends on seems to be away. If a probe confirms that, and others have noticed before, this was no
    /// attempt. The text is for the log.
    Away(String),
    /// The job can never be done: it is buried with this reason, and the user is told.
    Abort(String),
    /// The job was not begun, since its user has too many: it is put off for this time.
    Postponed(Duration),
}

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The token does not prove that the job is its user's.
    #[error("session expired: {0}")]
    Session(#[from] crate::auth::TokenError),
    /// What the job names does not exist, or is not the caller's.
    #[error("{0}")]
    NotFound(&'static str),
    /// It can never be done as it was requested: its data is wrong, or what it makes would be too large.
    #[error("{0}")]
    Wrong(String),
}

impl Refusal {
    /// What the user is told.
    #[must_use]
    pub fn message(&self) -> &'static str {
        match self {
            Self::Session(_) => "Session expired. Please log in again.",
            Self::NotFound(_) | Self::Wrong(_) => FAILED,
        }
    }
}

/// What the user is told about anything that fails for good, except an expired session.
pub const FAILED: &str = "Error processing job";

#[derive(Serialize)]
struct Profile<'a, M: ?Sized> {
    #[serde(rename = "Message")]
    message: &'a M,
    #[serde(rename = "Status")]
    status: bool,
}

/// What takes the place of a profile that is not kept: the user should fetch the current state again.
const RESYNC: &str = r#"{"Message":"resync","Status":true}"#;

impl Outcome {
    /// What is kept of it, to be sent again: all of it or, if it has more than `most` bytes, that the user should resync.
    #[must_use]
    pub fn kept(&self, most: usize) -> &str {
        let profile = self.profile.get();
        if profile.len() <= most { profile } else { RESYNC }
    }

    /// Stands in for an outcome that is no longer kept.
    ///
    /// # Errors
    /// Never in practice: the text is JSON.
    pub fn resync(user: String) -> Result<Self, serde_json::Error> {
        Ok(Self { user, profile: RawValue::from_string(RESYNC.to_owned())? })
    }

    /// The job was done.
    #[must_use]
    pub fn success(user: String, Reply { profile, .. }: Reply) -> Self {
        Self { user, profile }
    }

    /// The job failed for good.
    ///
    /// # Errors
    /// When the message cannot be written as JSON.
    pub fn failure(user: String, message: &str) -> Result<Self, serde_json::Error> {
        Ok(Self { user, profile: profile(message, false)? })
    }
}

fn profile<M: Serialize + ?Sized>(message: &M, status: bool) -> Result<Box<RawValue>, serde_json::Error> {
    to_raw_value(&Profile { message, status })
}
