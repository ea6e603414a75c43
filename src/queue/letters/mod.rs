//! Dead letters: jobs that are not tried again, kept for a time to be looked at and redriven.

mod keys;
mod redis;

use std::{fmt, str::FromStr};

use async_trait::async_trait;

pub use self::redis::RedisLetters;
pub(super) use self::redis::found;
pub(super) use keys::Home;

use super::QueueError;

/// The most letters that one [`Letters::list`] looks at.
pub const SCAN: usize = 1000;

/// What is known about a dead letter, without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The layout of the queue that it died in.
    pub layout: &'static str,
    /// That queue.
    pub queue: &'static str,
    /// The job's id within it.
    pub id: String,
    /// Which letter it is: no two have the same serial, and a later letter has a higher one.
    pub serial: u64,
    /// Why it is not tried again.
    pub reason: String,
    /// What the attempt before its last one failed with, if there was one.
    pub last_error: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// How often a process died while it ran.
    pub crashes: u32,
    /// When the job was created, in milliseconds since 1970, if known.
    pub created_ms: Option<i64>,
    /// When it was last claimed, in milliseconds since 1970, if known.
    pub claimed_ms: Option<i64>,
    /// When it died, in milliseconds since 1970.
    pub died_ms: i64,
    /// The size of its data, in bytes.
    pub bytes: u64,
}

/// Which letters are meant: those that match every field.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The layout of their queue.
    pub layout: Option<String>,
    /// The name of their queue.
    pub queue: Option<String>,
    /// A text in their reason, ignoring case.
    pub reason: Option<String>,
    /// Their id.
    pub id: Option<String>,
    /// The range of their serials.
    pub range: Range,
}

impl Filter {
    pub(super) fn has_home(&self, layout: &str, queue: &str) -> bool {
        self.layout.as_deref().is_none_or(|wanted| wanted == layout)
            && self.queue.as_deref().is_none_or(|wanted| wanted == queue)
    }

    /// Tests whether a letter's reason has the text that is looked for.
    fn reasons(&self) -> impl Fn(&Letter) -> bool {
        let wanted = self.reason.as_ref().map(|text| text.to_lowercase());
        move |letter| wanted.as_ref().is_none_or(|text| letter.reason.to_lowercase().contains(text))
    }
}

/// Serials above one and below another. Written as `above-below`, it says where a listing continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Serials are higher than this.
    pub above: u64,
    /// Serials are lower than this.
    pub below: u64,
}

impl Default for Range {
    /// All of them: a serial is a number that both Lua and SQLite can hold.
    fn default() -> Self {
        Self { above: 0, below: 1 << 53 }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.above, self.below)
    }
}

impl FromStr for Range {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let range = || {
            let (above, below) = text.split_once('-')?;
            Some(Self { above: above.parse().ok()?, below: below.parse().ok()? })
        };
        range()
            .filter(|range| range.below <= Self::default().below)
            .ok_or("is not a `next` of an earlier listing")
    }
}

/// Which letters come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Those that died last.
    Newest,
    /// Those that died first. A walk in this order ends at the letter that was the newest when it began, so that it does
    /// not meet again what it redrove and what then died once more.
    Oldest,
}

/// Some letters, and where the rest are.
#[derive(Debug)]
pub struct Page {
    /// The letters.
    pub letters: Vec<Letter>,
    /// Where to continue, unless there is nothing more. Even after a page with few letters, or none, there may be more.
    pub next: Option<Range>,
}

impl Page {
    /// The first `limit` matching letters of those `scanned`, which are in `order`; `end` tells what lies beyond them.
    pub(super) fn of(scanned: Vec<Scanned>, filter: &Filter, order: Order, limit: usize, end: End) -> Self {
        let matches = filter.reasons();
        let (mut letters, mut last, mut left) = (Vec::new(), None, !end.whole);
        for (serial, letter) in scanned {
            if letters.len() == limit {
                left = true;
                break;
            }
            last = Some(serial);
            letters.extend(letter.filter(&matches));
        }
        let Range { above, below } = filter.range;
        let next = last.filter(|_| left).map(|last| match order {
            Order::Newest => Range { above, below: last },
            Order::Oldest => Range { above: last, below: below.min(end.newest + 1) },
        });
        Self { letters, next }
    }
}

/// A serial, and its letter, unless it has expired meanwhile.
pub(super) type Scanned = (u64, Option<Letter>);

/// What lies beyond the letters scanned.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// Whether nothing beyond could match.
    pub whole: bool,
    /// The highest serial of all.
    pub newest: u64,
}

/// What became of a letter that was to be redriven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driven {
    /// Its job is in the queue again, with the same id and time, and no attempts or crashes.
    Again,
    /// There is no such letter any more: it was redriven by somebody else, died again, or expired.
    Gone,
    /// The queue has a job with this id, which was added, or redriven by other means, since.
    InQueue,
}

/// The dead letters of all queues.
#[async_trait]
pub trait Letters: Send + Sync {
    /// Up to `limit` letters that match; looks at no more than [`SCAN`].
    async fn list(&self, filter: &Filter, order: Order, limit: usize) -> Result<Page, QueueError>;

    /// How many match, regardless of reason and id.
    async fn count(&self, filter: &Filter) -> Result<u64, QueueError>;

    /// One letter, and its data.
    async fn show(
        &self,
        layout: &str,
        queue: &str,
        id: &str,
    ) -> Result<Option<(Letter, Vec<u8>)>, QueueError>;

    /// Removes a letter and puts its job back, with new `data` if given, in one step.
    async fn drive(&self, letter: &Letter, data: Option<Vec<u8>>) -> Result<Driven, QueueError>;
}
