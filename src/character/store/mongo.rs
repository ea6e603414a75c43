//! Characters in MongoDB, in the platform's own collection.

mod batch;
mod collation;
mod effects;
mod error;
mod gather;
mod reads;
mod together;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mongodb::{
    Client, Collection,
    bson::{DateTime, Document, doc, oid::ObjectId},
    error::{Error, ErrorKind},
    options::{Acknowledgment, ClientOptions, WriteConcern},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

pub use self::effects::TOMBSTONES;
use self::{
    collation::index_newest_first,
    effects::Effects,
    error::{is_transient, is_unreachable},
    reads::{Read, Reads},
    together::Target,
};
use super::{Found, LARGEST, Store, StoreError, Wanted};
use crate::{
    auth::Caller,
    backoff::Backoff,
    character::{
        filter::{CharacterFilter, Condition},
        model::{Changes, Character},
    },
    config::MongoDb,
};

/// The collection's name.
pub const COLLECTION: &str = "Characters";

/// A generous estimate, in bytes, of the parts of a write whose length does not vary.
const OVERHEAD: usize = 512;

/// The collection `Characters` of the database named in the connection string, and the tombstones beside it.
pub struct MongoStore {
    characters: Collection<Stored>,
    effects: Effects,
    reads: Reads,
    /// For reads that run alone: half of the connections are left to everything else.
    alone: Arc<Semaphore>,
    timeout: Duration,
}

/// A character as the collection keeps it. Fields that the service does not know are left alone.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "_id")]
    id: ObjectId,
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "Description", default)]
    description: String,
    #[serde(rename = "Image", default)]
    image: String,
    #[serde(rename = "Image_Real", default)]
    image_real: String,
    #[serde(rename = "User_Id")]
    user: String,
    #[serde(rename = "createdAt", default = "epoch")]
    created_at: DateTime,
    #[serde(rename = "updatedAt", default = "epoch")]
    updated_at: DateTime,
    /// The size of a document that is larger than was wanted, and of which hardly anything else is read.
    #[serde(rename = "octavo_bytes", default, skip_serializing)]
    bytes: Option<i32>,
}

impl MongoStore {
    /// Our driver options, used where the connection string says nothing; the pool is sized for `connections`.
    ///
    /// # Errors
    /// When the connection string is invalid, or names a service that DNS does not know.
    pub async fn options(config: &MongoDb, connections: u32) -> Result<ClientOptions, Error> {
        let mut options = ClientOptions::parse(config.uri.expose_secret()).await?;
        options.app_name.get_or_insert_with(|| "octavo".to_owned());
        // One more, so that a ping need not wait for the jobs.
        options.max_pool_size.get_or_insert(connections.saturating_add(1));
        options.server_selection_timeout.get_or_insert(config.timeout);
        options.connect_timeout.get_or_insert(config.timeout);
        // An acknowledged effect must survive a crash of its server, even of a standalone one.
        let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
        options.write_concern.get_or_insert(durable);
        Ok(options)
    }

    /// The index that reads need: a user's newest characters.
    #[must_use]
    pub fn newest_first() -> Document {
        doc! { "User_Id": 1, "createdAt": -1, "_id": -1 }
    }

    /// Connects, with a pool sized for `connections`, and creates the indexes.
    ///
    /// # Errors
    /// When MongoDB cannot be reached, or refuses.
    pub async fn connect(config: &MongoDb, connections: u32) -> Result<Self, Error> {
        let options = Self::options(config, connections).await?;
        // 0 means no limit.
        let pool = options.max_pool_size.filter(|size| *size > 0).unwrap_or(connections);
        let client = Client::with_options(options)?;
        let database = client.default_database().ok_or_else(|| Error::custom("the URI names no database"))?;
        let characters = database.collection(COLLECTION);
        let effects = patiently(async || {
            index_newest_first(&characters).await?;
            Effects::open(&database, config.timeout).await
        });
        let (effects, reads) = (effects.await?, Reads::new(characters.clone(), config.timeout));
        let alone = Arc::new(Semaphore::new((pool as usize / 2).max(1)));
        Ok(Self { characters, effects, reads, alone, timeout: config.timeout })
    }

    /// Waits for an operation, up to the timeout; a request already sent to the server carries on there.
    async fn in_time<T, E: From<Error>>(
        &self,
        operation: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::time::timeout(self.timeout, operation)
            .await
            .unwrap_or_else(|_| Err(Error::from(std::io::Error::from(std::io::ErrorKind::TimedOut)).into()))
    }

    async fn hello(&self) -> Result<Document, Error> {
        let database = self.characters.client().database("admin");
        self.in_time(to_its_end(async move { database.run_command(doc! { "hello": 1 }).await })).await
    }
}

#[async_trait]
impl Store for MongoStore {
    async fn create(&self, character: Character, sole_until: DateTime) -> Result<(), StoreError> {
        let made = self.in_time(self.effects.create(character.into(), sole_until)).await?;
        if made { Ok(()) } else { Err(StoreError::taken()) }
    }

    async fn newest(
        &self,
        caller: &Caller,
        filter: &CharacterFilter,
        wanted: Wanted,
    ) -> Result<Vec<Found>, StoreError> {
        let read = Read { user: caller.user().to_owned(), filter: translate(caller, filter), wanted };
        // What may take long must not hold up anybody else.
        let stored = if reads::is_bounded(filter) {
            self.in_time(self.reads.ask(read)).await?
        } else {
            let (characters, alone, patience) =
                (self.characters.clone(), Arc::clone(&self.alone), self.timeout);
            let find = async {
                let permit = alone.acquire_owned().await.map_err(Error::custom)?;
                to_its_end(async move {
                    let _until_it_ends = permit;
                    reads::find(&characters, [&read], patience).await
                })
                .await
            };
            self.in_time(find).await?
        };
        // The query selects no others; this makes sure of it.
        Ok(stored.into_iter().filter(|stored| stored.user == caller.user()).map(Found::from).collect())
    }

    async fn update(
        &self,
        caller: &Caller,
        id: ObjectId,
        changes: Changes,
        at: DateTime,
        job: ObjectId,
    ) -> Result<bool, StoreError> {
        let mut bytes = OVERHEAD;
        let mut set: Document = changes
            .into_fields()
            .inspect(|(_, value)| bytes += value.len())
            .map(|(field, value)| (field.to_owned(), value.into()))
            .collect();
        if bytes > LARGEST + OVERHEAD {
            // The server would close the connection, which it shares with others.
            return Err(StoreError::TooLarge);
        }
        set.insert("updatedAt", at);
        let target = Target { user: caller.user().to_owned(), id, job };
        self.in_time(self.effects.update(target, set, bytes)).await
    }

    async fn delete(&self, caller: &Caller, id: ObjectId, job: ObjectId) -> Result<bool, StoreError> {
        let target = Target { user: caller.user().to_owned(), id, job };
        self.in_time(self.effects.delete(target)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let hello = match self.hello().await {
            // From a connection that was already dead, or was closed because another operation failed: it proves nothing.
            Err(error)
                if matches!(&*error.kind, ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. }) =>
            {
                self.hello().await?
            }
            other => other?,
        };
        // A member that is not the primary answers a ping as well.
        if hello.get_bool("isWritablePrimary").unwrap_or(false) {
            Ok(())
        } else {
            Err(StoreError::Unavailable("the server is not the primary".to_owned()))
        }
    }
}

/// Runs a driver operation to its end, even if nobody waits any more: dropping it halfway may spoil its connection
/// (RUST-937).
async fn to_its_end<T: Send + 'static, E: From<Error> + Send + 'static>(
    operation: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E> {
    tokio::spawn(operation).await.unwrap_or_else(|panic| Err(Error::custom(panic.to_string()).into()))
}

fn own(user: &str, id: ObjectId) -> Document {
    doc! { "_id": id, "User_Id": user }
}

/// The filter in MongoDB's language; the caller's id is a condition of its own, separate from what was asked for.
fn translate(caller: &Caller, filter: &CharacterFilter) -> Document {
    let mut all = doc! { "User_Id": caller.user() };
    if !filter.0.is_empty() {
        let condition = |condition: &Condition| match condition {
            Condition::Id(ids) => doc! { "_id": { "$in": ids } },
            Condition::Text(field, values) => doc! { field.name(): { "$in": values } },
        };
        all.insert("$and", filter.0.iter().map(condition).collect::<Vec<_>>());
    }
    all
}

/// Retries several times while MongoDB reports a passing condition, such as an election.
async fn patiently<T>(mut operation: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
    const TRIES: usize = 10;
    let mut backoff = Backoff::default();
    for _ in 1..TRIES {
        match operation().await {
            // Server selection has already waited.
            Err(error) if is_transient(&error) && !is_unreachable(&error) => {
                let pause = backoff.next();
                tracing::warn!(%error, ?pause, "MongoDB is not ready, trying again");
                tokio::time::sleep(pause).await;
            }
            other => return other,
        }
    }
    operation().await
}

fn epoch() -> DateTime {
    DateTime::from_millis(0)
}

impl Stored {
    /// The document's approximate size in bytes.
    fn size(&self) -> usize {
        let Self { name, description, image, image_real, user, .. } = self;
        OVERHEAD + [name, description, image, image_real, user].map(String::len).iter().sum::<usize>()
    }
}

impl From<Character> for Stored {
    fn from(c: Character) -> Self {
        let Character { id, name, description, image, image_real, user, created_at, updated_at } = c;
        Self { id, name, description, image, image_real, user, created_at, updated_at, bytes: None }
    }
}

impl From<Stored> for Found {
    fn from(s: Stored) -> Self {
        let Stored { id, name, description, image, image_real, user, created_at, updated_at, bytes } = s;
        if let Some(bytes) = bytes {
            return Self::Large { id, bytes: usize::try_from(bytes).unwrap_or_default() };
        }
        Self::Whole(Character { id, name, description, image, image_real, user, created_at, updated_at })
    }
}
