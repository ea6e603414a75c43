//! What each command does, whatever the store.

use mongodb::bson::{DateTime, oid::ObjectId};

use super::{
    Command, Store,
    command::NewCharacter,
    filter::CharacterFilter,
    model::{Changes, Character, id_of},
    store::StoreError,
};
use crate::{
    auth::Caller,
    outcome::{Failure, Refusal, Reply},
    queue::Origin,
};

/// The most characters that a read returns.
const READ_LIMIT: u32 = 3;

/// Runs `command` for `caller`.
///
/// # Errors
/// A [`Failure`], which says what the queue does next.
pub async fn run(
    store: &dyn Store,
    caller: &Caller,
    origin: &Origin<'_>,
    command: Command,
) -> Result<Reply, Failure> {
    match command {
        Command::Create(new) => create(store, caller, origin, new).await,
        Command::Read(filter) => read(store, caller, &filter).await,
        Command::Update(id, changes) => update(store, caller, origin, id, changes).await,
        Command::Delete(id) => delete(store, caller, origin, id).await,
    }
}

async fn create(
    store: &dyn Store,
    caller: &Caller,
    origin: &Origin<'_>,
    new: NewCharacter,
) -> Result<Reply, Failure> {
    // The job's time, not the clock's: a second run writes the same, and "newest first" follows the order of the requests.
    let at = DateTime::from_millis(origin.created_ms);
    let NewCharacter { name, description, image, image_real } = new;
    let (id, user) = (id_of(origin), caller.user().to_owned());
    let character =
        Character { id, name, description, image, image_real, user, created_at: at, updated_at: at };
    store.create(character, DateTime::from_millis(origin.sole_until_ms)).await?;
    reply("Character created correctly")
}

async fn read(store: &dyn Store, caller: &Caller, filter: &CharacterFilter) -> Result<Reply, Failure> {
    reply(&store.newest(caller, filter, READ_LIMIT).await?)
}

async fn update(
    store: &dyn Store,
    caller: &Caller,
    origin: &Origin<'_>,
    id: ObjectId,
    changes: Changes,
) -> Result<Reply, Failure> {
    if store.update(caller, id, changes, DateTime::now(), id_of(origin)).await? {
        reply("Character updated correctly")
    } else {
        Err(not_found())
    }
}

async fn delete(
    store: &dyn Store,
    caller: &Caller,
    origin: &Origin<'_>,
    id: ObjectId,
) -> Result<Reply, Failure> {
    if store.delete(caller, id, id_of(origin)).await? {
        reply("Character successfully eliminated")
    } else {
        Err(not_found())
    }
}

fn not_found() -> Failure {
    Failure::Refused(Refusal::NotFound("the caller has no such character"))
}

fn reply<T: serde::Serialize + ?Sized>(message: &T) -> Result<Reply, Failure> {
    Reply::new(message).map_err(|error| Failure::Abort(format!("the reply cannot be serialised: {error}")))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(reason) => Self::Away(reason),
            StoreError::Rejected(reason) => Self::Abort(reason),
        }
    }
}
