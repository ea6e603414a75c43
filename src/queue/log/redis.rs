//! The log in Redis.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis::{RedisResult, Script, ScriptInvocation};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::{Entry, Mark, Message, News, OutcomeLog, PAGE, PAGE_BYTES, Page, Place, Seq, Which};
use crate::{
    config,
    outcome::Outcome,
    queue::{Channel, Connection, Lease, QueueError, Settled, letters::Home, new_lease},
};

/// Prepended to the scripts that end claims.
pub(in crate::queue) const APPEND: &str = include_str!("append.lua");

static READ: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("read.lua")));
static MARK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("mark.lua")));

/// The most bytes in an entry besides what the user is told, unless its job's id is very long.
const HEADER: usize = 1024;

/// The key names and the bounds of all logs.
#[derive(Debug, Clone)]
pub(in crate::queue) struct Keys {
    /// Prefix of the entries of one user.
    entries: String,
    /// Prefix of the state of one user's log.
    state: String,
    /// Prefix of what nobody has heard: `<queue>:<user>` follows.
    unheard: String,
    /// Where all processes hear which logs have grown.
    channel: String,
    /// The name of our process on that channel.
    process: Lease,
    ttl: Duration,
    max_bytes: usize,
    total_bytes: usize,
}

impl Keys {
    pub(in crate::queue) fn new(config: &config::Queue) -> Self {
        let key = |name: &str| format!("{}octavo:{name}", config.prefix);
        Self {
            entries: key("log:"),
            state: key("log-state:"),
            unheard: key("unheard:"),
            channel: key("grown"),
            process: new_lease(),
            ttl: config.outcome_ttl,
            max_bytes: config.outcome_bytes,
            total_bytes: config.outcome_total_bytes,
        }
    }

    /// Adds what a script that ends claims needs to know about the log: nine arguments.
    pub(in crate::queue) fn args(&self, call: &mut ScriptInvocation<'_>) {
        call.arg(&self.entries)
            .arg(&self.state)
            .arg(&self.unheard)
            .arg(self.ttl_ms())
            .arg(self.max_bytes)
            .arg(&*new_lease())
            .arg(&self.channel)
            .arg(&*self.process)
            .arg(self.total_bytes);
    }

    /// The user of an outcome, and what is kept of it.
    pub(in crate::queue) fn kept<'o>(&self, outcome: Option<&'o Outcome>) -> (&'o str, &'o str) {
        outcome.map_or(("", ""), |outcome| (outcome.user.as_str(), outcome.kept(self.max_bytes - HEADER)))
    }

    /// How long outcomes are kept, in milliseconds.
    pub(in crate::queue) fn ttl_ms(&self) -> u128 {
        self.ttl.as_millis()
    }

    /// Whether an outcome at `seq` is still kept at the time `now`, in microseconds.
    pub(in crate::queue) fn keeps(&self, seq: Seq, now: Seq) -> bool {
        u128::try_from(now.saturating_sub(seq)).unwrap_or(0) < self.ttl.as_micros()
    }

    /// One outcome, if it is still kept.
    pub(in crate::queue) async fn entry(
        &self,
        redis: &mut Connection,
        user: &str,
        seq: Seq,
    ) -> RedisResult<Option<Entry>> {
        let page = self.read(redis, user, Which::After(seq - 1), 1).await?;
        Ok(page.entries.into_iter().find(|entry| entry.seq == seq))
    }

    /// Reads part of a user's log, at most `most` outcomes.
    async fn read(
        &self,
        redis: &mut Connection,
        user: &str,
        which: Which<'_>,
        most: usize,
    ) -> RedisResult<Page> {
        let mut call = READ.prepare_invoke();
        call.key(format!("{}{user}", self.entries)).key(format!("{}{user}", self.state));
        if let Which::Unheard { queue, .. } = which {
            call.key(format!("{}{queue}:{user}", self.unheard));
        }
        call.arg(self.ttl_ms()).arg(most).arg(PAGE_BYTES);
        match which {
            Which::After(after) => call.arg(after),
            Which::Unheard { after, to, .. } => call.arg(after).arg(to),
        };
        let (page, spoilt) = page(call.invoke_async(redis).await?);
        if spoilt {
            warn_of(user);
        }
        Ok(page)
    }
}

/// What `read.lua` replies.
type Reply = (String, Seq, Seq, Vec<Logged>, bool, bool);

/// What its reply says, and whether the log was spoilt.
pub(in crate::queue) fn page((epoch, last, floor, rows, more, spoilt): Reply) -> (Page, bool) {
    let entry = |(seq, queue, job, profile): Logged| {
        Some(Entry { seq, queue, job, profile: RawValue::from_string(profile).ok()? })
    };
    (Page { epoch, last, floor, entries: rows.into_iter().filter_map(entry).collect(), more }, spoilt)
}

/// An entry: its place, queue, job, and what the user is told.
type Logged = (Seq, String, String, String);

fn warn_of(user: &str) {
    tracing::warn!(user, "the outcome log of a user was spoilt in Redis, and is begun anew");
}

/// What a script that ends claims returns for one job: not ours, settled, or its place in the log; or a warning.
pub(in crate::queue) type Row = (i64, Seq, String);

/// What became of each settlement, as their script reports it; logs its warnings (warnings.lua).
pub(in crate::queue) fn settled(rows: Vec<Row>, letters: &Home) -> Vec<Settled> {
    let settled = |(seq, before, epoch): Row| match seq {
        -1 => {
            warn_of(&epoch);
            None
        }
        -2 => {
            letters.note_dropped(&epoch, before.unsigned_abs());
            None
        }
        0 => Some(Settled::Lost),
        1 => Some(Settled::Quietly),
        _ => Some(Settled::Logged(Place { seq, before, epoch: epoch.into() })),
    };
    rows.into_iter().filter_map(settled).collect()
}

/// A message, as it is published on the channel.
#[derive(Serialize)]
struct Published<'a> {
    from: &'a str,
    message: &'a Message,
}

/// A message of the process `from`, as it is published.
pub(in crate::queue) fn published(from: &str, message: &Message) -> serde_json::Result<String> {
    serde_json::to_string(&Published { from, message })
}

/// The logs in Redis.
pub struct RedisLog {
    keys: Keys,
    redis: Connection,
}

impl RedisLog {
    /// The logs under the prefix of `config`.
    #[must_use]
    pub fn new(redis: Connection, config: &config::Queue) -> Self {
        Self { keys: Keys::new(config), redis }
    }

    pub(in crate::queue) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The channel on which all processes announce which logs have grown; what others announce goes to `news`.
    #[must_use]
    pub fn channel(&self, news: mpsc::UnboundedSender<News>) -> Channel {
        Channel { name: self.keys.channel.clone(), process: self.keys.process.to_string(), news }
    }
}

#[async_trait]
impl OutcomeLog for RedisLog {
    async fn read(&self, user: &str, which: Which<'_>) -> Result<Page, QueueError> {
        Ok(self.keys.read(&mut self.redis.clone(), user, which, PAGE).await?)
    }

    async fn mark(&self, marks: &[Mark]) -> Result<(), QueueError> {
        let mut call = MARK.prepare_invoke();
        call.arg(&self.keys.state).arg(&self.keys.unheard);
        call.arg(&self.keys.channel).arg(&*self.keys.process);
        for range in marks.chunk_by(Mark::precedes) {
            let ([Mark { user, queue, seq, heard }, ..], [.., last]) = (range, range) else { continue };
            call.arg(&**user).arg(&**queue).arg(*seq).arg(last.seq).arg(*heard);
        }
        let spoilt: Vec<String> = call.invoke_async(&mut self.redis.clone()).await?;
        for user in &spoilt {
            warn_of(user);
        }
        Ok(())
    }

    async fn pass(&self, message: &Message) -> Result<(), QueueError> {
        let Keys { channel, process, .. } = &self.keys;
        let text = published(process, message).map_err(Box::from)?;
        Ok(redis::cmd("PUBLISH").arg(channel).arg(text).query_async(&mut self.redis.clone()).await?)
    }
}
