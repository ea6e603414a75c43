//! Fuzzed: what sockets send, as far as we read it, and what they are sent.

use serde_json::value::RawValue;

use super::{listen::Acknowledged, profile::Profile, response::Told, rooms, sign_in::Shown};
use crate::{character::QUEUES, fuzzing::halves, json::Json, queue::fuzzing::passed_on};

/// The data of a CONNECT, of `acknowledge`, `Profile` and `joinRoom`: a `Profile` reaches other nodes as it was, a room has one
/// owner, and what is sent of a job with any id is JSON.
///
/// # Panics
/// When it is not so.
pub fn packets(input: &[u8]) {
    if let Ok(shown) = serde_json::from_slice::<Shown>(input) {
        drop(shown.resumes());
    }
    if let Ok(Acknowledged { seq }) = serde_json::from_slice(input) {
        std::hint::black_box(seq);
    }
    if let Some(message) = serde_json::from_slice::<Profile>(input).ok().and_then(Profile::message) {
        passed_on(&message);
    }
    let (name, profile) = halves(input);
    if let Ok(name) = std::str::from_utf8(name) {
        room(name);
        if let Ok(profile) = serde_json::from_slice::<&RawValue>(profile) {
            told(name, profile);
        }
    }
}

/// A room that is a user's own is nobody else's.
fn room(name: &str) {
    let queues = QUEUES.map(str::to_owned);
    if let Some((user, queue)) = rooms::split(name, &queues) {
        assert!(!user.is_empty() && !queue.is_empty());
        assert_eq!(format!("{user}_{queue}"), name);
    }
}

fn told(job: &str, profile: &RawValue) {
    if !profile.get().starts_with('{') || profile.get().trim_start_matches('{').trim() == "}" {
        return;
    }
    let told = Told { queue: QUEUES[0], job, profile };
    let Ok(response) = told.response(Some(("e", 7))) else { panic!("no JSON: {job:?} {profile}") };
    let Ok(Json(read)) = serde_json::from_str(response.get()) else { return };
    assert_eq!(read["Job"]["Id"], job);
    assert_eq!(read["Seq"], 7);
}
