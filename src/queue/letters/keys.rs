//! The key names of dead letters in Redis.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use redis::ScriptInvocation;

use crate::config;

/// The keys of the dead letters of one queue in one layout.
pub(in crate::queue) struct Home {
    /// Sorted set of ids by serial.
    pub set: String,
    /// The last serial that was given to any letter of any queue.
    pub last: String,
    /// Prefix of the hash of one letter: `octavo:letter:<layout>:<queue>:<id>`.
    pub prefix: String,
    /// How long letters are kept.
    pub ttl: Duration,
    /// Prefix of what belongs to all queues.
    pub all: String,
    quota: config::Quota,
    dropped: AtomicU64,
}

impl Home {
    pub(in crate::queue) fn new(layout: &str, queue: &str, config: &config::Queue) -> Self {
        let key = |name: &str| format!("{}octavo:{name}", config.prefix);
        Self {
            set: key(&format!("dead:{layout}:{queue}")),
            last: key("dead:last"),
            prefix: key(&format!("letter:{layout}:{queue}:")),
            ttl: config.letter_ttl,
            all: key(""),
            quota: config.quota,
            dropped: AtomicU64::new(0),
        }
    }

    /// The key of one letter.
    pub(in crate::queue) fn letter(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }

    /// Adds what a script that buries needs to know, after its own keys and arguments: two keys and five arguments.
    pub(in crate::queue) fn tell(&self, call: &mut ScriptInvocation<'_>) {
        call.key(&self.set).key(&self.last).arg(&self.prefix).arg(self.ttl.as_millis());
        call.arg(&self.all).arg(self.quota.letters).arg(self.quota.letter_bytes);
    }

    /// Notes that `many` letters of `user` went to make room for newer ones.
    pub(in crate::queue) fn note_dropped(&self, user: &str, many: u64) {
        self.dropped.fetch_add(many, Relaxed);
        tracing::warn!(
            user,
            many,
            "the oldest dead letters of a user were dropped, to keep within quota.letters"
        );
    }

    /// How many letters went to make room for newer ones.
    pub(in crate::queue) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// The lowest serial that is not too old, at `seconds` and `micros` by Redis's clock.
    pub(in crate::queue) fn oldest(&self, (seconds, micros): (u64, u64)) -> u64 {
        let ttl = u64::try_from(self.ttl.as_micros()).unwrap_or(u64::MAX);
        (seconds * 1_000_000 + micros).saturating_sub(ttl)
    }
}
