//! The parts that depend on the storage: its queues, its store, its key.

use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::mpsc;

use super::StartError;
use crate::{
    auth::Auth,
    character::{QUEUES, Store, store},
    config::{self, Config, Storage},
    embedded::Embedded,
    queue::{
        Inbox, Listener, Queue, Server,
        apalis::ApalisQueue,
        bull::BullQueue,
        connect,
        embedded::{EmbeddedLetters, EmbeddedQueue},
        letters::{Letters, RedisLetters},
        log::{EmbeddedLog, News, OutcomeLog, RedisLog},
    },
    secret,
};

/// What the rest of the service is built from.
pub(super) struct Parts {
    /// Verifies and signs tokens.
    pub auth: Auth,
    /// Keeps characters.
    pub store: Arc<dyn Store>,
    /// Where the jobs that we push go.
    pub inboxes: Vec<Arc<dyn Inbox>>,
    /// All queues that are served, the inboxes among them.
    pub queues: Vec<Arc<dyn Queue>>,
    /// Their dead letters.
    pub letters: Arc<dyn Letters>,
    /// Keeps outcomes.
    pub log: Arc<dyn OutcomeLog>,
    /// Wakes the queues, and hears news of the logs, where there may be other processes.
    pub listener: Option<(Listener, mpsc::UnboundedReceiver<News>)>,
}

/// Connects to the storage that `config` names.
pub(super) async fn connect_storage(config: &Config) -> Result<Parts, StartError> {
    let weak = config.auth.allow_weak_secret;
    match &config.storage {
        Storage::Embedded { dir, secret } => {
            let secret = match secret {
                Some(secret) => secret::given(secret, weak)?,
                None => secret::kept_or_made(dir, weak)?,
            };
            embedded(Embedded::open(dir)?, auth(&secret, config), config).await
        }
        Storage::Servers { redis, mongodb, secret } => {
            let secret = secret::given(secret, weak)?;
            servers(redis, mongodb, auth(&secret, config), config).await
        }
    }
}

fn auth(secret: &SecretString, config: &Config) -> Auth {
    Auth::new(secret).at_most(config.auth.max_token)
}

async fn embedded(file: Embedded, auth: Auth, config: &Config) -> Result<Parts, StartError> {
    let mut opened = Vec::new();
    for name in QUEUES {
        opened.push(Arc::new(EmbeddedQueue::open(name, file.clone(), &config.queue).await?));
    }
    let letters = Arc::new(EmbeddedLetters::new(file.clone(), &opened));
    let queues = opened.iter().map(|queue| Arc::clone(queue) as Arc<dyn Queue>).collect();
    let inboxes = opened.into_iter().map(|queue| queue as _).collect();
    let log = Arc::new(EmbeddedLog::new(file.clone(), &config.queue));
    let store = Arc::new(store::EmbeddedStore::new(file));
    Ok(Parts { auth, store, inboxes, queues, letters, log, listener: None })
}

async fn servers(
    redis: &config::Redis,
    mongodb: &config::MongoDb,
    auth: Auth,
    config: &Config,
) -> Result<Parts, StartError> {
    let settings =
        if redis.sentinels.is_empty() { "REDIS_HOST and REDIS_PORT" } else { "the Sentinel settings" };
    let cannot = |source: redis::RedisError| {
        let asked_who = matches!(source.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
        let settings =
            if asked_who { "OCTAVO__REDIS__USERNAME and OCTAVO__REDIS__PASSWORD" } else { settings };
        StartError::Redis { address: Server::new(redis).to_string(), settings, source }
    };
    let (server, connection) = connect(redis).await.map_err(cannot)?;
    let log = Arc::new(RedisLog::new(connection.clone(), &config.queue));
    let apalis = QUEUES.map(|name| Arc::new(ApalisQueue::new(name, connection.clone(), &config.queue, &log)));
    let bull = |name: &&'static str| {
        Arc::new(BullQueue::new(name, connection.clone(), &config.bull, &config.queue, &log))
    };
    // Dead letters can be looked at and redriven even for queues that are not, or no longer, served.
    let all_bull: Vec<_> = QUEUES.iter().map(bull).collect();
    let is_served = |queue: &&Arc<BullQueue>| config.bull.queues.contains(&queue.name());
    let bull: Vec<_> = all_bull.iter().filter(is_served).map(Arc::clone).collect();
    let wakes = apalis.iter().map(|queue| queue.wake()).chain(bull.iter().map(|queue| queue.wake()));
    let (sender, news) = mpsc::unbounded_channel();
    let listener = Listener::new(server, wakes, log.channel(sender));

    let letters = Arc::new(RedisLetters::new(connection, &apalis, &all_bull));
    let mut queues: Vec<Arc<dyn Queue>> = apalis.iter().map(|queue| Arc::clone(queue) as _).collect();
    queues.extend(bull.into_iter().map(|queue| queue as _));
    let inboxes = apalis.into_iter().map(|queue| queue as _).collect();
    let connected = store::MongoStore::connect(mongodb, config.queue.connections()).await;
    let store = Arc::new(connected.map_err(StartError::MongoDb)?);
    let listener = Some((listener, news));
    Ok(Parts { auth, store, inboxes, queues, letters, log, listener })
}
