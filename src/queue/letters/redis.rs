//! The dead letters of the queues in Redis, whatever their layout.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use async_trait::async_trait;
use redis::{FromRedisValue, RedisResult, Script, Value};

use super::{Driven, End, Filter, Home, Letter, Letters, Order, Page, SCAN, Scanned};
use crate::queue::{Connection, Queue, QueueError, apalis::ApalisQueue, bull::BullQueue, spoilt::invoke};

static LIST: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("../types.lua"), include_str!("trim.lua"), include_str!("list.lua")))
});

/// What is read of a letter besides its data.
const FIELDS: [&str; 8] =
    ["serial", "reason", "error", "attempts", "crashes", "created_ms", "claimed_ms", "died_ms"];

/// The dead letters of these queues.
pub struct RedisLetters {
    redis: Connection,
    origins: Vec<Origin>,
}

/// A queue that letters come from, and go back to.
enum Origin {
    Apalis(Arc<ApalisQueue>),
    Bull(Arc<BullQueue>),
}

impl Origin {
    fn home(&self) -> &Home {
        match self {
            Self::Apalis(queue) => queue.letters(),
            Self::Bull(queue) => queue.letters(),
        }
    }

    /// Its layout and its name.
    fn name(&self) -> (&'static str, &'static str) {
        match self {
            Self::Apalis(queue) => (queue.layout(), queue.name()),
            Self::Bull(queue) => (queue.layout(), queue.name()),
        }
    }

    fn letter(&self, id: String, fields: &Fields, bytes: u64) -> Option<Letter> {
        let (layout, queue) = self.name();
        let [serial, reason, error, attempts, crashes, created_ms, claimed_ms, died_ms] =
            fields.each_ref().map(|field| field.as_deref().map(String::from_utf8_lossy));
        let count = |field: Text<'_>| field.and_then(|field| field.parse().ok()).unwrap_or(0);
        let time = |field: Text<'_>| field?.parse().ok();
        let created_ms = match self {
            Self::Apalis(_) => time(created_ms).map(|first| ApalisQueue::created_ms(&id, first)),
            Self::Bull(_) => time(created_ms),
        };
        Some(Letter {
            layout,
            queue,
            id,
            serial: serial?.parse().ok()?,
            reason: reason.unwrap_or_default().into_owned(),
            last_error: error.map(Cow::into_owned),
            attempts: count(attempts),
            crashes: count(crashes),
            created_ms,
            claimed_ms: time(claimed_ms),
            died_ms: time(died_ms)?,
            bytes,
        })
    }
}

/// A value as text.
type Text<'a> = Option<Cow<'a, str>>;

/// The values of [`FIELDS`].
type Fields = [Option<Vec<u8>>; FIELDS.len()];

impl RedisLetters {
    /// The letters of these queues.
    #[must_use]
    pub fn new(redis: Connection, apalis: &[Arc<ApalisQueue>], bull: &[Arc<BullQueue>]) -> Self {
        let apalis = apalis.iter().map(|queue| Origin::Apalis(Arc::clone(queue)));
        let bull = bull.iter().map(|queue| Origin::Bull(Arc::clone(queue)));
        Self { redis, origins: apalis.chain(bull).collect() }
    }

    fn origin(&self, layout: &str, queue: &str) -> Option<&Origin> {
        self.origins.iter().find(|origin| origin.name() == (layout, queue))
    }

    fn origins_of(&self, filter: &Filter) -> Vec<&Origin> {
        let meant = |origin: &&Origin| {
            let (layout, queue) = origin.name();
            filter.has_home(layout, queue)
        };
        self.origins.iter().filter(meant).collect()
    }

    async fn page(&self, filter: &Filter, order: Order, limit: usize) -> RedisResult<Page> {
        let origins = self.origins_of(filter);
        let Some(ttl) = origins.first().map(|origin| origin.home().ttl) else {
            return Ok(Page { letters: Vec::new(), next: None });
        };
        // Without a reason to look for, every letter that is looked at is wanted.
        let most = if filter.reason.is_some() { SCAN } else { (limit + 1).min(SCAN) };
        let mut call = LIST.prepare_invoke();
        for origin in &origins {
            call.key(&origin.home().set);
        }
        call.arg(ttl.as_millis()).arg(filter.range.above).arg(filter.range.below).arg(most);
        call.arg(order == Order::Oldest).arg(filter.id.as_deref().unwrap_or_default());
        let (newest, found) = found(invoke(&call, &mut self.redis.clone()).await?)?;

        let whole = found.iter().all(|ids| ids.len() < most);
        let mut all: Vec<_> = origins
            .iter()
            .zip(found)
            .flat_map(|(origin, ids)| ids.into_iter().map(move |(id, serial)| (*origin, id, serial)))
            .collect();
        all.sort_unstable_by_key(|(.., serial)| match order {
            Order::Oldest => *serial,
            Order::Newest => u64::MAX - serial,
        });
        let end = End { whole: whole && all.len() <= most, newest };
        all.truncate(most);
        Ok(Page::of(self.read(all).await?, filter, order, limit, end))
    }

    async fn read(&self, found: Vec<(&Origin, String, u64)>) -> RedisResult<Vec<Scanned>> {
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        for (origin, id, _) in &found {
            let key = origin.home().letter(id);
            pipe.hmget(&key, &FIELDS).cmd("HSTRLEN").arg(&key).arg("data");
        }
        let answers: Vec<RedisResult<Value>> =
            pipe.ignore_errors().query_async(&mut self.redis.clone()).await?;
        let mut answers = answers.into_iter();
        let mut scanned = Vec::with_capacity(found.len());
        for (origin, id, serial) in found {
            let (Some(fields), Some(bytes)) = (answers.next(), answers.next()) else { break };
            // Where somebody wrote something else, there is no letter.
            let is_none = matches!(&fields, Err(error) if error.code() == Some("WRONGTYPE"));
            let letter = if is_none {
                None
            } else {
                origin.letter(id, &Fields::from_redis_value(fields?)?, u64::from_redis_value(bytes?)?)
            };
            scanned.push((serial, letter));
        }
        Ok(scanned)
    }

    async fn size(&self, filter: &Filter) -> RedisResult<u64> {
        let mut redis = self.redis.clone();
        let now: (u64, u64) = redis::cmd("TIME").query_async(&mut redis).await?;
        let origins = self.origins_of(filter);
        if origins.is_empty() {
            return Ok(0);
        }
        let mut pipe = redis::pipe();
        for origin in origins {
            let home = origin.home();
            let above = filter.range.above.max(home.oldest(now));
            pipe.zcount(&home.set, format!("({above}"), format!("({}", filter.range.below));
        }
        let sizes: Vec<u64> = pipe.query_async(&mut redis).await?;
        Ok(sizes.into_iter().sum())
    }
}

/// Ids with their serials.
type Ids = Vec<(String, u64)>;

/// The answer from `list.lua`: the highest serial, and what was found in each set.
pub(in crate::queue) fn found(answer: Vec<Value>) -> RedisResult<(u64, Vec<Ids>)> {
    let mut answer = answer.into_iter();
    let newest = answer.next().map_or(Ok(0), u64::from_redis_value)?;
    let sets = answer.map(Ids::from_redis_value).collect::<Result<_, _>>()?;
    Ok((newest, sets))
}

#[async_trait]
impl Letters for RedisLetters {
    async fn list(&self, filter: &Filter, order: Order, limit: usize) -> Result<Page, QueueError> {
        Ok(self.page(filter, order, limit).await?)
    }

    async fn count(&self, filter: &Filter) -> Result<u64, QueueError> {
        Ok(self.size(filter).await?)
    }

    async fn show(
        &self,
        layout: &str,
        queue: &str,
        id: &str,
    ) -> Result<Option<(Letter, Vec<u8>)>, QueueError> {
        let Some(origin) = self.origin(layout, queue) else { return Ok(None) };
        let key = origin.home().letter(id);
        let (fields, data): (Fields, Option<Vec<u8>>) = redis::pipe()
            .atomic()
            .hmget(&key, &FIELDS)
            .hget(&key, "data")
            .query_async(&mut self.redis.clone())
            .await?;
        let data = data.unwrap_or_default();
        Ok(origin.letter(id.to_owned(), &fields, data.len() as u64).map(|letter| (letter, data)))
    }

    async fn drive(&self, letter: &Letter, data: Option<Vec<u8>>) -> Result<Driven, QueueError> {
        let data = data.unwrap_or_default();
        let driven: i8 = match self.origin(letter.layout, letter.queue) {
            None => return Ok(Driven::Gone),
            Some(Origin::Apalis(queue)) => queue.drive(letter, data).await?,
            Some(Origin::Bull(queue)) => queue.drive(letter, data).await?,
        };
        Ok(match driven {
            1 => Driven::Again,
            0 => Driven::Gone,
            _ => Driven::InQueue,
        })
    }
}
