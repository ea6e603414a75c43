//! The key names of dead letters in Redis.

use std::time::Duration;

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
}

impl Home {
    pub(in crate::queue) fn new(layout: &str, queue: &str, config: &config::Queue) -> Self {
        let key = |name: &str| format!("{}octavo:{name}", config.prefix);
        Self {
            set: key(&format!("dead:{layout}:{queue}")),
            last: key("dead:last"),
            prefix: key(&format!("letter:{layout}:{queue}:")),
            ttl: config.letter_ttl,
        }
    }

    /// The key of one letter.
    pub(in crate::queue) fn letter(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }

    /// Adds what a script that buries needs to know, after its own keys and arguments: two of each.
    pub(in crate::queue) fn tell(&self, call: &mut ScriptInvocation<'_>) {
        call.key(&self.set).key(&self.last).arg(&self.prefix).arg(self.ttl.as_millis());
    }

    /// The lowest serial that is not too old, at `seconds` and `micros` by Redis's clock.
    pub(in crate::queue) fn oldest(&self, (seconds, micros): (u64, u64)) -> u64 {
        let ttl = u64::try_from(self.ttl.as_micros()).unwrap_or(u64::MAX);
        (seconds * 1_000_000 + micros).saturating_sub(ttl)
    }
}
