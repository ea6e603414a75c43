//! Where characters are kept. Each operation takes the caller, and touches nobody else's characters.

mod embedded;
mod mongo;

use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::{DateTime, oid::ObjectId};

use super::{
    filter::CharacterFilter,
    model::{Changes, Character},
};
use crate::auth::Caller;

pub use embedded::EmbeddedStore;
pub use mongo::{COLLECTION, MongoStore, TOMBSTONES};

/// How long it is known which job did what: longer than a job can be run again, for dead letters are kept for 30 days
/// at the most.
const EVIDENCE_KEPT: Duration = Duration::from_hours(31 * 24);

/// A store of characters. An operation that is done twice for the same job has one effect, and gives the same answer.
#[async_trait]
pub trait Store: Send + Sync {
    /// Keeps `character`, whose id is its job's; until `sole_until` no other run of that job can have begun.
    async fn create(&self, character: Character, sole_until: DateTime) -> Result<(), StoreError>;

    /// The newest of the caller's characters that fit `filter`, newest first.
    async fn newest(
        &self,
        caller: &Caller,
        filter: &CharacterFilter,
        limit: u32,
    ) -> Result<Vec<Character>, StoreError>;

    /// Changes one of the caller's characters for `job`; `false` when there is none of this id.
    async fn update(
        &self,
        caller: &Caller,
        id: ObjectId,
        changes: Changes,
        at: DateTime,
        job: ObjectId,
    ) -> Result<bool, StoreError>;

    /// Deletes one of the caller's characters for `job`; `false` when there is none of this id.
    async fn delete(&self, caller: &Caller, id: ObjectId, job: ObjectId) -> Result<bool, StoreError>;

    /// Whether the store answers, and can be written to.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Why a store did not do as asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It is not there, or too slow, or changing its leader: the same may succeed later.
    #[error("the store of characters is not available: {0}")]
    Unavailable(String),
    /// It will never do this: a document too large, say.
    #[error("the store of characters refuses: {0}")]
    Rejected(String),
}

impl StoreError {
    /// The id of a character to be made is that of something else.
    fn taken() -> Self {
        Self::Rejected("the id of the new character is taken".to_owned())
    }
}
