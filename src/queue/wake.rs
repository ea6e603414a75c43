//! Listens to Redis: wakes idle queues when a key changes that jobs are pushed to, and hears which logs have grown.
//!
//! A stock push of apalis-redis only adds to a sorted set, which nobody can block on without taking from it; so the
//! connection asks for client-side caching in broadcast mode (`CLIENT TRACKING`, Redis 6) of the keys of all queues.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::{PushInfo, PushKind, RedisResult, Value};
use serde::Deserialize;
use tokio::sync::{Notify, mpsc};

use super::{
    connection::{Server, closed},
    log::{Grown, News, Unheard},
};
use crate::backoff::Backoff;

/// A silent connection is asked for a sign of life this often.
const PING_EVERY: Duration = Duration::from_secs(3);

/// Listens for pushes to a number of queues, and for news of the logs, over a connection of its own.
pub struct Listener {
    server: Server,
    wakes: HashMap<String, Arc<Notify>>,
    channel: Channel,
}

/// Where processes tell which logs have grown.
pub struct Channel {
    /// Its name.
    pub name: String,
    /// What we call ourselves there.
    pub process: String,
    /// Who wants to know.
    pub news: mpsc::UnboundedSender<News>,
}

impl Listener {
    /// A listener for keys, and what is woken when one changes, and for news.
    pub fn new(
        server: Server,
        wakes: impl IntoIterator<Item = (String, Arc<Notify>)>,
        channel: Channel,
    ) -> Self {
        Self { server, wakes: wakes.into_iter().collect(), channel }
    }

    /// Listens until dropped, and follows the master meanwhile; a lost connection is made again, and wakes all queues, for
    /// something may have come.
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
            let pause = backoff.next();
            tracing::warn!(%error, ?pause, "cannot hear of new jobs, trying again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn listen(&self, backoff: &mut Backoff) -> RedisResult<std::convert::Infallible> {
        let (sender, mut pushes) = mpsc::unbounded_channel::<PushInfo>();
        let mut opened = self.server.open(sender).await?;
        let mut redis = opened.redis.clone();
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("BCAST");
        for key in self.wakes.keys() {
            tracking.arg("PREFIX").arg(key);
        }
        tracking.query_async::<()>(&mut redis).await?;
        redis.subscribe(&self.channel.name).await?;
        *backoff = Backoff::default();
        self.tell(News::Missed);
        self.wakes.values().for_each(|wake| wake.notify_one());
        loop {
            let push = tokio::select! {
                push = tokio::time::timeout(PING_EVERY, pushes.recv()) => push,
                () = opened.moved() => return Err(closed()),
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
        match serde_json::from_slice::<Message>(message) {
            Ok(message) if message.from == self.channel.process => {}
            Ok(Message { logged, unheard, .. }) => {
                if !logged.is_empty() {
                    self.tell(News::Grown(logged));
                }
                if !unheard.is_empty() {
                    self.tell(News::Unheard(unheard));
                }
            }
            Err(error) => {
                tracing::warn!(%error, channel = self.channel.name, "a message that nobody can read");
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
            self.wakes.values().for_each(|wake| wake.notify_one());
            return;
        };
        for key in keys {
            if let Value::BulkString(key) = key
                && let Some(wake) = std::str::from_utf8(key).ok().and_then(|key| self.wakes.get(key))
            {
                wake.notify_one();
            }
        }
    }
}

/// What is published when logs have grown (append.lua), or something was not heard (mark.lua).
#[derive(Deserialize)]
struct Message {
    from: String,
    #[serde(default)]
    logged: Vec<Grown>,
    #[serde(default)]
    unheard: Vec<Unheard>,
}
