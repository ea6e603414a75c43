//! Where characters are kept. Each operation takes the caller, and touches nobody else's characters.

mod embedded;
mod mongo;

use async_trait::async_trait;
use mongodb::bson::{DateTime, oid::ObjectId};

use super::{
    filter::CharacterFilter,
    model::{Changes, Character},
};
use crate::auth::Caller;

pub use embedded::EmbeddedStore;
pub use mongo::{COLLECTION, MongoStore};

/// A store of characters.
#[async_trait]
pub trait Store: Send + Sync {
    /// Keeps `character`. One with the same id that is there already is the same job's: that is success too.
    async fn create(&self, character: Character) -> Result<(), StoreError>;

    /// The newest of the caller's characters that fit `filter`, newest first.
    async fn newest(
        &self,
        caller: &Caller,
        filter: &CharacterFilter,
        limit: u32,
    ) -> Result<Vec<Character>, StoreError>;

    /// Changes one of the caller's characters; `false` when there is none of this id.
    async fn update(
        &self,
        caller: &Caller,
        id: ObjectId,
        changes: Changes,
        at: DateTime,
    ) -> Result<bool, StoreError>;

    /// Deletes one of the caller's characters; `false` when there is none of this id.
    async fn delete(&self, caller: &Caller, id: ObjectId) -> Result<bool, StoreError>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Why a store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is not there, or too slow, or changing its leader: the same may succeed later.
    #[error("the store of characters is not available: {0}")]
    Unavailable(String),
    /// It will never do this: a document too large, say.
    #[error("the store of characters refuses: {0}")]
    Rejected(String),
}
