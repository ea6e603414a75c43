//! Fuzzed: the data of jobs, and filters.

use serde_json::value::{RawValue, to_raw_value};

use super::{
    QUEUES,
    command::{encode, parse},
    filter::CharacterFilter,
};
use crate::{
    json::Json,
    pipeline::{FieldError, owner},
};

/// Data of jobs of each queue: what is parsed and written again is the same command, of the same user.
///
/// # Panics
/// When it is not.
pub fn job_data(input: &[u8]) {
    for queue in QUEUES {
        match parse(queue, input) {
            Ok(request) => {
                let user = request.id.as_deref();
                let token = request.token.as_deref();
                assert!(user.is_none() || owner(input).as_deref() == user, "{queue}: another owner");
                let user = user.unwrap_or("u1");
                let token = token.unwrap_or("t");
                let written = encode(&request.command, user, token).unwrap_or_default();
                let Ok(again) = parse(queue, &written) else {
                    panic!("{queue}: what was written cannot be read: {}", written.escape_ascii())
                };
                assert_eq!(again.command, request.command, "{queue}");
                assert_eq!((again.id.as_deref(), again.token.as_deref()), (Some(user), Some(token)));
            }
            Err(invalid) => assert_told(&invalid.fields),
        }
    }
}

/// Filters: what is let through is one condition for each of four fields, and is the same when written and read again.
///
/// # Panics
/// When it is not.
pub fn filters(input: &[u8]) {
    let Ok(filter) = serde_json::from_slice::<&RawValue>(input) else { return };
    // Some of what a filter refuses is too deep for this.
    let json = serde_json::from_slice::<Json>(input).unwrap_or_default();
    let fields = json.0.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    let known = |field: &String| ["_id", "Name", "Description", "User_Id"].contains(&field.as_str());
    match CharacterFilter::parse(Some(filter)) {
        Ok(filter) => {
            let fields = fields.unwrap_or_default();
            assert!(fields.iter().all(known) && filter.0.len() == fields.len(), "{filter:?}");
            let written = to_raw_value(&filter).unwrap_or_default();
            assert_eq!(CharacterFilter::parse(Some(&written)).ok(), Some(filter));
        }
        Err(wrong) => assert_told(&wrong),
    }
}

/// Something is named, and in few words, however much is wrong.
fn assert_told(wrong: &[FieldError]) {
    assert!((1..=20).contains(&wrong.len()), "{} mistakes", wrong.len());
    for FieldError { field, message } in wrong {
        assert!(field.chars().count() <= 110 && message.chars().count() <= 500, "{field} {message}");
    }
}
