//! Listens to Redis: wakes idle queues when a key that jobs are pushed to changes, and hears which logs have grown.
//!
//! A stock push of apalis-redis only adds to a sorted set, which nobody can block on without taking from it; so the
//! connection turns on client-side caching (`CLIENT TRACKING`, Redis 6): Redis announces, once, the next change of a key
//! that was read on it, and the keys of a queue are read whenever somebody begins to wait. Broadcast mode would save these
//! reads, but then every write to any key makes Redis look at all those names, which takes 0.8 µs with 8 queues.

use std::{
    convert::Infallible,
    iter,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use redis::{PushInfo, PushKind, RedisResult, Value, aio::ConnectionLike};
use serde::Deserialize;
use tokio::sync::{Notify, mpsc};

use super::{
    connection::{Server, closed},
    log::{Grown, Message, News, Unheard},
};
use crate::backoff::Backoff;

/// How often a silent connection is pinged.
const PING_EVERY: Duration = Duration::from_secs(3);

/// Wakes whoever waits for jobs of a queue.
pub struct Wake {
    /// A push changes one of these keys.
    keys: [String; 2],
    /// Somebody begins to wait.
    idle: Notify,
    /// Something may have arrived.
    changed: Notify,
    /// Whether Redis will announce the next change.
    watched: AtomicBool,
}

impl Wake {
    /// For a queue whose pushes change one of `keys`.
    pub(super) fn new(keys: [&String; 2]) -> Arc<Self> {
        Arc::new(Self {
            keys: keys.map(String::clone),
            idle: Notify::new(),
            changed: Notify::new(),
            watched: AtomicBool::new(false),
        })
    }

    /// Waits until something may have arrived. Called after a look at the queue, it misses nothing that arrived since.
    pub(super) async fn woken(&self) {
        self.idle.notify_one();
        self.changed.notified().await;
    }

    /// Makes Redis announce the next change, on this connection, whenever somebody begins to wait.
    async fn watch(&self, mut redis: impl ConnectionLike) -> RedisResult<Infallible> {
        loop {
            self.idle.notified().await;
            if !self.watched.swap(true, Ordering::Relaxed) {
                // Redis does not announce what arrived after the last look at the queue, and before this.
                if redis::cmd("EXISTS").arg(&self.keys).query_async::<usize>(&mut redis).await? > 0 {
                    self.changed.notify_one();
                }
            }
        }
    }

    /// Something may have arrived, and Redis will announce no other change.
    fn wake(&self) {
        self.watched.store(false, Ordering::Relaxed);
        self.changed.notify_one();
    }
}

/// Listens for pushes to a number of queues, and for news of the logs, on a separate connection.
pub struct Listener {
    server: Server,
    wakes: Vec<Arc<Wake>>,
    channel: Channel,
}

/// Where processes announce which logs have grown.
pub struct Channel {
    /// Its name.
    pub name: String,
    /// What we call ourselves there.
    pub process: String,
    /// Where the news goes.
    pub news: mpsc::UnboundedSender<News>,
}

impl Listener {
    /// A listener that wakes `wakes`, and hears news on `channel`.
    pub fn new(server: Server, wakes: impl IntoIterator<Item = Arc<Wake>>, channel: Channel) -> Self {
        Self { server, wakes: wakes.into_iter().collect(), channel }
    }

    /// Listens until dropped, and follows the master meanwhile; a lost connection is replaced, and then all queues are
    /// woken, since something may have arrived.
    pub async fn run(self) {
        tokio::join!(self.server.follow(), self.listen_again());
    }

    async fn listen_again(&self) {
        let mut backoff = Backoff::default();
        loop {
            let error = match self.listen(&mut backoff).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            if backoff.is_fresh() {
                tracing::warn!(%error, "cannot listen for new jobs, trying again");
            } else {
                tracing::debug!(%error, "still cannot listen for new jobs");
            }
            let pause = backoff.next();
            tokio::time::sleep(pause).await;
        }
    }

    async fn listen(&self, backoff: &mut Backoff) -> RedisResult<Infallible> {
        let (sender, mut pushes) = mpsc::unbounded_channel::<PushInfo>();
        let mut opened = self.server.open(sender).await?;
        let mut redis = opened.redis.clone();
        redis::cmd("CLIENT").arg("TRACKING").arg("ON").query_async::<()>(&mut redis).await?;
        redis.subscribe(&self.channel.name).await?;
        *backoff = Backoff::default();
        self.tell(News::Missed);
        self.wakes.iter().for_each(|wake| wake.wake());
        let mut watching: FuturesUnordered<_> =
            self.wakes.iter().map(|wake| wake.watch(redis.clone())).collect();
        loop {
            let push = tokio::select! {
                push = tokio::time::timeout(PING_EVERY, pushes.recv()) => push,
                () = opened.moved() => return Err(closed()),
                Some(stopped) = watching.next() => return stopped,
            };
            match push {
                Ok(Some(push)) if push.kind == PushKind::Invalidate => self.wake(&push.data),
                Ok(Some(push)) if push.kind == PushKind::Message => self.hear(&push.data),
                Ok(Some(push)) if push.kind == PushKind::Disconnection => return Err(closed()),
                Ok(Some(_)) => {}
                Ok(None) => return Err(closed()),
                Err(_) => redis::cmd("PING").query_async::<()>(&mut redis).await?,
            }
        }
    }

    /// `data` is the name of the channel, and what was published there.
    fn hear(&self, data: &[Value]) {
        let Some(Value::BulkString(message)) = data.get(1) else { return };
        match news(message, &self.channel.process) {
            Ok(news) => news.into_iter().for_each(|news| self.tell(news)),
            Err(error) => {
                tracing::warn!(%error, channel = self.channel.name, "a message cannot be read");
            }
        }
    }

    fn tell(&self, news: News) {
        if self.channel.news.send(news).is_err() {
            tracing::debug!("nobody follows the logs any more");
        }
    }

    /// `data` is a list with the list of changed keys; without a list, everything may have changed.
    fn wake(&self, data: &[Value]) {
        let Some(Value::Array(keys)) = data.first() else {
            self.wakes.iter().for_each(|wake| wake.wake());
            return;
        };
        let is = |name: &String, key: &Value| matches!(key, Value::BulkString(key) if key == name.as_bytes());
        let changed = |wake: &&Arc<Wake>| wake.keys.iter().any(|name| keys.iter().any(|key| is(name, key)));
        self.wakes.iter().filter(changed).for_each(|wake| wake.wake());
    }
}

/// What is published when logs have grown (append.lua), something was not heard (mark.lua), or a message is passed on.
#[derive(Deserialize)]
struct Published {
    from: String,
    /// User, job, user, job, and so on.
    #[serde(default)]
    logged: Vec<String>,
    #[serde(default)]
    unheard: Vec<Unheard>,
    message: Option<Message>,
}

/// What a published message says; nothing, if `process` itself published it.
///
/// # Errors
/// When it is not one of ours.
pub(in crate::queue) fn news(message: &[u8], process: &str) -> serde_json::Result<Vec<News>> {
    let Published { from, logged, unheard, message } = serde_json::from_slice(message)?;
    if from == process {
        return Ok(Vec::new());
    }
    let mut logged = logged.into_iter();
    let grown = || Some(Grown { user: logged.next()?, job: logged.next()? });
    let grown: Vec<_> = iter::from_fn(grown).collect();
    let mut news = Vec::new();
    if !grown.is_empty() {
        news.push(News::Grown(grown));
    }
    if !unheard.is_empty() {
        news.push(News::Unheard(unheard));
    }
    news.extend(message.map(News::Message));
    Ok(news)
}
