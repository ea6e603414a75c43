//! `Profile_Response` as it goes over the wire.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{outcome::Outcome, queue::log::Seq};

/// What the service adds to an outcome; clients that do not know it lose nothing.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Added<'a> {
    job: Job<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Job<'a> {
    id: &'a str,
    queue: &'a str,
}

/// The outcome to send, with its job.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    /// Its queue.
    pub queue: &'a str,
    /// Its id.
    pub job: &'a str,
    /// What the user is told.
    pub profile: &'a RawValue,
}

/// The event with the place of an outcome that was sent before it had one.
pub(super) const PROFILE_LOGGED: &str = "Profile_Logged";

impl<'a> Told<'a> {
    /// `{Job: {Id, Queue}, Seq, Epoch}`.
    pub(super) fn place(&self, epoch: &'a str, seq: Seq) -> impl Serialize + 'a {
        Added { job: Job { id: self.job, queue: self.queue }, seq: Some(seq), epoch: Some(epoch) }
    }

    pub(super) fn of(queue: &'a str, job: &'a str, outcome: &'a Outcome) -> Self {
        Self { queue, job, profile: &outcome.profile }
    }

    /// `{Message, Status, Job: {Id, Queue}, Seq, Epoch}`, without the last two when its place in the log is unknown.
    ///
    /// # Errors
    /// Never in practice: all of it is JSON.
    pub(super) fn response(&self, place: Option<(&str, Seq)>) -> Result<Box<RawValue>, serde_json::Error> {
        let Self { queue, job, profile } = *self;
        let (epoch, seq) = place.unzip();
        let added = to_raw_value(&Added { job: Job { id: job, queue }, seq, epoch })?;
        // Both are objects, and neither is empty.
        let (profile, added) = (profile.get(), added.get());
        let profile = profile.trim_end().strip_suffix('}').unwrap_or(profile);
        let mut text = String::with_capacity(profile.len() + added.len() + 1);
        text.push_str(profile);
        text.push(',');
        text.push_str(added.strip_prefix('{').unwrap_or(added));
        RawValue::from_string(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_stands_beside_what_was_there() {
        let outcome = Outcome::failure("ada".to_owned(), "no}").unwrap();
        let told = Told::of("Create_Character", "a\"1", &outcome);
        assert_eq!(
            told.response(Some(("e", 7))).unwrap().get(),
            r#"{"Message":"no}","Status":false,"Job":{"Id":"a\"1","Queue":"Create_Character"},"Seq":7,"Epoch":"e"}"#
        );
        assert_eq!(
            told.response(None).unwrap().get(),
            r#"{"Message":"no}","Status":false,"Job":{"Id":"a\"1","Queue":"Create_Character"}}"#
        );
    }
}
