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

/// The most bytes of a small character. A read may hold this many for each without asking whether there is room.
pub const SMALL: usize = 16 << 10;

/// The largest document that MongoDB keeps, in bytes; no store keeps a larger character.
const LARGEST: usize = 16 << 20;

/// How much a read asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The most characters.
    pub limit: u32,
    /// The most bytes of each: of a larger one, only the size is read.
    pub bytes: usize,
}

/// A character that was found.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// All of it.
    Whole(Character),
    /// It has more bytes than were wanted.
    Large {
        /// Its id.
        id: ObjectId,
        /// Its size in bytes, or a little more.
        bytes: usize,
    },
}

/// A character store. An operation that is run twice for the same job has one effect, and returns the same result.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores `character`, whose id is its job's; until `sole_until`, no other run of that job can have begun.
    async fn create(&self, character: Character, sole_until: DateTime) -> Result<(), StoreError>;

    /// The newest of the caller's characters that match `filter`, newest first, as much of them as is `wanted`.
    async fn newest(
        &self,
        caller: &Caller,
        filter: &CharacterFilter,
        wanted: Wanted,
    ) -> Result<Vec<Found>, StoreError>;

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
    /// The character would have more than 16 MB.
    #[error("the character would be larger than 16 MB")]
    TooLarge,
    /// It will never do this, for a reason that no user can know.
    #[error("the character store refuses: {0}")]
    Rejected(String),
}

impl Found {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        match self {
            Self::Whole(character) => character.id,
            Self::Large { id, .. } => *id,
        }
    }

    /// Its size in bytes; a small one may have fewer.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Whole(_) => SMALL,
            Self::Large { bytes, .. } => *bytes,
        }
    }

    /// The character, if all of it was read.
    #[must_use]
    pub fn whole(self) -> Option<Character> {
        match self {
            Self::Whole(character) => Some(character),
            Self::Large { .. } => None,
        }
    }
}

impl Wanted {
    /// The most bytes of all of it.
    fn most(self) -> usize {
        self.bytes.saturating_mul(self.limit as usize)
    }
}

impl StoreError {
    /// The id of a new character belongs to something else.
    fn taken() -> Self {
        Self::Rejected("the new character's id is already taken".to_owned())
    }
}
