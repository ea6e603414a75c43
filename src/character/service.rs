//! What each command does, whatever the store.

use mongodb::bson::{DateTime, oid::ObjectId};

use super::{
    Command, Store,
    command::NewCharacter,
    filter::{CharacterFilter, Condition},
    model::{Changes, Character, id_of},
    store::{Found, SMALL, StoreError, Wanted},
};
use crate::{
    auth::Caller,
    budget::Budget,
    outcome::{Failure, Refusal, Reply},
    queue::Origin,
};

/// The most characters that a read returns.
const READ_LIMIT: u32 = 3;

/// How often an answer is in memory at a time, at the most: as characters, as JSON, and as a command to Redis.
const COPIES: usize = 3;

/// How often characters are looked at again because they have grown since their sizes were read.
const LOOKS: usize = 5;

/// Runs `command` for `caller`; a large answer holds a share of `answers`.
///
/// # Errors
/// A [`Failure`], which says what the queue does next.
pub(super) async fn run(
    (store, answers): (&dyn Store, &Budget),
    caller: &Caller,
    origin: &Origin<'_>,
    command: Command,
) -> Result<Reply, Failure> {
    match command {
        Command::Create(new) => create(store, caller, origin, new).await,
        Command::Read(filter) => read(store, answers, caller, filter).await,
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

/// Large characters are read once there is room for their answer, which has their sizes by then.
async fn read(
    store: &dyn Store,
    answers: &Budget,
    caller: &Caller,
    mut filter: CharacterFilter,
) -> Result<Reply, Failure> {
    let mut wanted = Wanted { limit: READ_LIMIT, bytes: SMALL };
    let mut share = None;
    for _ in 0..LOOKS {
        let found = store.newest(caller, &filter, wanted).await?;
        let sizes = found.iter().map(Found::bytes);
        let total = sizes.clone().sum::<usize>();
        let largest = sizes.max().unwrap_or_default();
        let ids = found.iter().map(Found::id).collect();
        let whole: Option<Vec<_>> = found.into_iter().map(Found::whole).collect();
        if let Some(whole) = whole {
            return reply(&whole).map(|reply| reply.holding(share));
        }
        // What is held is given back first: who waits for more holds nothing.
        drop(share.take());
        share = Some(answers.take(total.saturating_mul(COPIES)).await);
        wanted.bytes = largest;
        filter.0.retain(|condition| !matches!(condition, Condition::Id(_)));
        filter.0.push(Condition::Id(ids));
    }
    Err(Failure::Retry("the characters grow faster than they can be read".to_owned()))
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
            error @ StoreError::TooLarge => Self::Refused(Refusal::Wrong(error.to_string())),
            StoreError::Rejected(reason) => Self::Abort(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{auth::Auth, character::store::EmbeddedStore, embedded::Embedded};

    fn caller(user: &str) -> Caller {
        let auth = Auth::new(&"secret".into());
        auth.verify(&auth.sign(user, Duration::from_mins(1)).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_large_answer_waits_for_room_and_takes_it_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::new(Embedded::open(dir.path()).unwrap());
        let answers = Budget::new(1 << 20);
        let ada = caller("ada");
        let bob = caller("bob");
        let run = async |caller: &Caller, id: &str, command| {
            let origin = Origin { queue: "any", id, created_ms: 1, sole_until_ms: 0 };
            super::run((&store, &answers), caller, &origin, command).await.unwrap()
        };
        let new = |image: String| {
            let [name, description, image_real] = ["n", "d", "r"].map(str::to_owned);
            Command::Create(NewCharacter { name, description, image, image_real })
        };
        run(&ada, "1", new("x".repeat(100_000))).await;
        run(&ada, "2", new("small".to_owned())).await;
        run(&bob, "3", new("small".to_owned())).await;

        let taken = answers.take(1 << 20).await;
        let read = || Command::Read(CharacterFilter::default());
        let mut large = Box::pin(run(&ada, "4", read()));
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut large).await.is_err());
        run(&bob, "5", read()).await;
        drop(taken);
        let mut reply = large.await;
        assert!((COPIES * 100_000..COPIES * 150_000).contains(&answers.used()), "{}", answers.used());
        drop(reply.take_share());
        assert_eq!(answers.used(), 0);
    }
}
