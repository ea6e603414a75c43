//! Fuzzed: what Redis replies, what is published there, and the options of Bull's jobs.

use std::sync::LazyLock;

use redis::{FromRedisValue, Value, parse_redis_value};

use super::{
    Claim, apalis,
    bull::{self, OptionsReader},
    letters,
    log::{self, Message, News},
    new_lease, wake,
};
use crate::{
    config::{Config, Environment},
    fuzzing::halves,
};

/// Where the dead letters of a queue are.
static LETTERS: LazyLock<letters::Home> = LazyLock::new(|| {
    let Ok(config) = Config::load(None, &Environment::new()) else { unreachable!("nothing is set") };
    letters::Home::new("apalis", "Create_Character", &config.queue)
});

/// Options as Bull writes them, of an attempt: they are read the same whatever was read before.
///
/// # Panics
/// When they are not.
pub fn bull_options(input: &[u8]) {
    let (attempt, opts) = halves(input);
    let attempt = attempt.iter().fold(1, |n: u32, byte| n.saturating_mul(7).saturating_add((*byte).into()));
    let mut reader = OptionsReader::default();
    let options = reader.read(opts.to_vec(), attempt);
    assert!(options.attempts.is_some() && options.timeout.is_none_or(|timeout| !timeout.is_zero()));
    assert!(options.backoff.is_none() || options.attempts > Some(1));
    reader.read(b"{\"attempts\": 3}".to_vec(), 2);
    assert_eq!(reader.read(opts.to_vec(), attempt), options);
}

/// Replies as they come over the wire, read as each of our scripts replies; and the same bytes as a published message.
///
/// # Panics
/// When a job has no attempt, or a message is another one when it is passed on.
pub fn replies(input: &[u8]) {
    if let Ok(value) = parse_redis_value(input) {
        if let Some(reply) = read(&value) {
            claimed(bull::claimed("Create_Character", reply, &new_lease()));
        }
        if let Some(reply) = read(&value) {
            claimed(apalis::claimed("Create_Character", reply, &new_lease()));
        }
        if let Some(rows) = read::<Vec<log::Row>>(&value) {
            drop(log::settled(rows, &LETTERS));
        }
        if let Some(reply) = read(&value) {
            drop(log::page(reply));
        }
        if let Some(reply) = read::<Vec<Value>>(&value) {
            drop(letters::found(reply));
        }
    }
    for news in wake::news(input, "ours").unwrap_or_default() {
        if let News::Message(message) = news {
            passed_on(&message);
        }
    }
}

fn read<T: FromRedisValue>(value: &Value) -> Option<T> {
    T::from_redis_value(value.clone()).ok()
}

/// Reckons with the times of each job, as the pipeline does.
fn claimed(claim: Claim) {
    for job in claim.jobs {
        assert!(job.attempt > 0, "{job:?}");
        std::hint::black_box((job.waited(), job.origin().sole_until_ms));
    }
}

/// What is published of a message is the same message to other processes, and nothing to our own.
pub(crate) fn passed_on(message: &Message) {
    let Ok(text) = log::published("ours", message) else { panic!("cannot be written: {message:?}") };
    assert!(wake::news(text.as_bytes(), "ours").is_ok_and(|news| news.is_empty()));
    let heard = wake::news(text.as_bytes(), "another's").unwrap_or_default();
    let [News::Message(Message { room, response })] = &heard[..] else { panic!("{text}: {heard:?}") };
    assert_eq!((room, response.get()), (&message.room, message.response.get()));
}
