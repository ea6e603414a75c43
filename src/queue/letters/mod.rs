//! Dead letters: jobs that are not tried again, kept for a time to be looked at and driven again.

mod keys;
mod redis;

use std::{fmt, str::FromStr};

use async_trait::async_trait;

pub use self::redis::RedisLetters;
pub(super) use keys::Home;

use super::QueueError;

/// Letters that one [`Letters::list`] looks at, at the most.
pub const SCAN: usize = 1000;

/// What is known of a dead letter, without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The layout of the queue that it died in.
    pub layout: &'static str,
    /// That queue.
    pub queue: &'static str,
    /// The job's id within it.
    pub id: String,
    /// Which letter it is: no two have the same, and a later one has a higher.
    pub serial: u64,
    /// Why it is not tried again.
    pub reason: String,
    /// What the attempt before its last failed with, when there was one.
    pub last_error: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// How often a process died while it ran.
    pub crashes: u32,
    /// When the job was made, in milliseconds since 1970, when known.
    pub created_ms: Option<i64>,
    /// When it was claimed last, in milliseconds since 1970, when known.
    pub claimed_ms: Option<i64>,
    /// When it died, in milliseconds since 1970.
    pub died_ms: i64,
    /// The size of its data, in bytes.
    pub bytes: u64,
}

/// Which letters are meant: those that match all of it.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The layout of their queue.
    pub layout: Option<String>,
    /// The name of their queue.
    pub queue: Option<String>,
    /// A text in their reason; upper and lower case are the same.
    pub reason: Option<String>,
    /// Their id.
    pub id: Option<String>,
    /// Where their serials are.
    pub range: Range,
}

impl Filter {
    pub(super) fn has_home(&self, layout: &str, queue: &str) -> bool {
        self.layout.as_deref().is_none_or(|wanted| wanted == layout)
            && self.queue.as_deref().is_none_or(|wanted| wanted == queue)
    }

    /// Whether a letter's reason has the text that is looked for.
    fn reasons(&self) -> impl Fn(&Letter) -> bool {
        let wanted = self.reason.as_ref().map(|text| text.to_lowercase());
        move |letter| wanted.as_ref().is_none_or(|text| letter.reason.to_lowercase().contains(text))
    }
}

/// Serials above one and below another. Written as `above-below`, it is where a listing goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Serials are higher than this.
    pub above: u64,
    /// Serials are lower than this.
    pub below: u64,
}

impl Default for Range {
    /// All of them: a serial is a number that Lua and SQLite can hold.
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
            .ok_or("is not a `next` of a listing before")
    }
}

/// Which letters come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Those that died last.
    Newest,
    /// Those that died first. A walk in this order ends at what was the newest letter when it began, so that it does not
    /// meet again what it drove and what died once more.
    Oldest,
}

/// Some letters, and where the others are.
#[derive(Debug)]
pub struct Page {
    /// The letters.
    pub letters: Vec<Letter>,
    /// Where to go on, unless there is nothing more. A page may have few letters, or none, and go on.
    pub next: Option<Range>,
}

impl Page {
    /// The first `limit` of the letters `scanned`, given in `order`, that match; `whole` when nothing comes after them.
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

/// A serial, and its letter, unless its time was up meanwhile.
pub(super) type Scanned = (u64, Option<Letter>);

/// What is behind what was scanned.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// Nothing that could match.
    pub whole: bool,
    /// The highest serial of all.
    pub newest: u64,
}

/// What became of a letter that was to be driven again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driven {
    /// Its job is in the queue again, with the same id and time, and no attempts or crashes.
    Again,
    /// There is no such letter any more: it was driven by another, died again, or its time is up.
    Gone,
    /// The queue has a job with this id, which was added, or driven by other means, since.
    InQueue,
}

/// The dead letters of all queues.
#[async_trait]
pub trait Letters: Send + Sync {
    /// Up to `limit` letters that match; looks at [`SCAN`] at the most.
    async fn list(&self, filter: &Filter, order: Order, limit: usize) -> Result<Page, QueueError>;

    /// How many match, whatever their reason and their id.
    async fn count(&self, filter: &Filter) -> Result<u64, QueueError>;

    /// One letter, and its data.
    async fn show(
        &self,
        layout: &str,
        queue: &str,
        id: &str,
    ) -> Result<Option<(Letter, Vec<u8>)>, QueueError>;

    /// Takes a letter away and puts its job back, with other `data` if given, in one step.
    async fn drive(&self, letter: &Letter, data: Option<Vec<u8>>) -> Result<Driven, QueueError>;
}
