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

/// How long it is remembered which job did what: longer than a job can be run again, since dead letters are kept for at
/// most 30 days.
const EVIDENCE_KEPT: Duration = Duration::from_hours(31 * 24);

/// A character store. An operation that is run twice for the same job has one effect, and returns the same result.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores `character`, whose id is its job's; until `sole_until`, no other run of that job can have begun.
    async fn create(&self, character: Character, sole_until: DateTime) -> Result<(), StoreError>;

    /// The newest of the caller's characters that match `filter`, newest first.
    async fn newest(
        &self,
        caller: &Caller,
        filter: &CharacterFilter,
        limit: u32,
    ) -> Result<Vec<Character>, StoreError>;

    /// Changes one of the caller's characters for `job`; `false` when the caller has none with this id.
    async fn update(
        &self,
        caller: &Caller,
        id: ObjectId,
        changes: Changes,
        at: DateTime,
        job: ObjectId,
    ) -> Result<bool, StoreError>;

    /// Deletes one of the caller's characters for `job`; `false` when the caller has none with this id.
    async fn delete(&self, caller: &Caller, id: ObjectId, job: ObjectId) -> Result<bool, StoreError>;

    /// Checks that the store answers and can be written to.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It is away, too slow, or electing a new primary: the same request may succeed later.
    #[error("the character store is not available: {0}")]
    Unavailable(String),
    /// It will never do this: the document is too large, for example.
    #[error("the character store refuses: {0}")]
    Rejected(String),
}

impl StoreError {
    /// The id of a new character belongs to something else.
    fn taken() -> Self {
        Self::Rejected("the new character's id is already taken".to_owned())
    }
}
