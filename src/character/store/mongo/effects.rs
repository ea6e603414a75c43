//! Effects that happen once, whoever runs a job twice, on a server that may have no transactions.
//!
//! An update marks the document with its job, in the same write. A delete lays a tombstone, which keeps the marks, before
//! it removes what it has seen. Each operation may end at any `await`, and be run again from the start. What is gathered runs
//! to its end whoever waits, and the rest is run so.

use std::time::Duration;

use mongodb::{
    Collection, Database, IndexModel,
    bson::{DateTime, Document, doc, oid::ObjectId},
    error::Error,
    options::{IndexOptions, ReadConcern, ReadPreference, SelectionCriteria},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    COLLECTION, Stored,
    error::is_duplicate,
    gather::{Gather, WRITES},
    own, to_its_end,
    together::{self, Fate, Target},
};
use crate::character::store::{EVIDENCE_KEPT, StoreError};

/// The jobs that changed a document last. Creates do not write it, and reads do not give it.
pub(super) const MARKS: &str = "octavo_jobs";

/// More changes than anybody makes to one character while a job waits for its second run.
const MARKS_KEPT: i32 = 1000;

/// Which characters were deleted, and by which job.
pub const TOMBSTONES: &str = "Octavo_Deleted";

/// How often a delete looks again, after an update came between its look and its removal.
const LOOKS: u32 = 20;

/// The collections of characters and of tombstones, and what is gathered for them.
#[derive(Clone)]
pub(super) struct Effects {
    characters: Collection<Stored>,
    tombstones: Collection<Document>,
    inserts: Gather<(Stored, DateTime), bool>,
    updates: Gather<(Target, Document), Fate>,
    deletes: Gather<Target, Fate>,
}

/// What a delete looks at before it removes a document: its [`MARKS`].
#[derive(Deserialize)]
struct Marks {
    #[serde(rename = "octavo_jobs")]
    jobs: Option<Vec<ObjectId>>,
}

impl Effects {
    /// The collections in `database`; tombstones go when their time is over. A batch that takes longer than `patience`
    /// does not hold up others.
    pub(super) async fn open(database: &Database, patience: Duration) -> Result<Self, Error> {
        let tombstones = database.collection(TOMBSTONES);
        let at_once = IndexOptions::builder().expire_after(Duration::ZERO).build();
        let expires = IndexModel::builder().keys(doc! { "expires": 1 }).options(at_once).build();
        tombstones.create_index(expires).await?;
        let characters: Collection<Stored> = database.collection(COLLECTION);
        let (all, graves) = (characters.clone(), tombstones.clone());
        let deletes = Gather::new(WRITES, patience, move |targets| {
            together::delete(all.clone(), graves.clone(), targets)
        });
        let all = characters.clone();
        let updates = Gather::new(WRITES, patience, move |updates| together::update(all.clone(), updates));
        let (all, graves) = (characters.clone(), tombstones.clone());
        let inserts =
            Gather::new(WRITES, patience, move |new| together::create(all.clone(), graves.clone(), new));
        Ok(Self { characters, tombstones, inserts, updates, deletes })
    }

    /// Inserts `character`, unless it was there and was deleted since then; `false` when its id is another's.
    pub(super) async fn create(&self, character: Stored, sole_until: DateTime) -> Result<bool, StoreError> {
        if DateTime::now() >= sole_until {
            let (effects, user, id) = (self.clone(), character.user.clone(), character.id);
            let look = async move { stay_deleted(&effects.characters, &effects.tombstones, &user, id).await };
            if to_its_end(look).await? {
                return Ok(true);
            }
        }
        let bytes = character.bytes();
        self.inserts.ask((character, sole_until), bytes).await
    }

    /// Applies `set`, of about `bytes`, to the user's character, unless the job has done so; `false` when there is none.
    pub(super) async fn update(
        &self,
        target: Target,
        set: Document,
        bytes: usize,
    ) -> Result<bool, StoreError> {
        match self.updates.ask((target.clone(), set), bytes).await? {
            Fate::Done => Ok(true),
            Fate::Missing | Fate::Unclear => Ok(to_its_end(self.clone().has_updated(target)).await?),
        }
    }

    async fn has_updated(self, Target { user, id, job }: Target) -> Result<bool, Error> {
        let marked = own(&user, id).into_iter().chain(doc! { MARKS: job }).collect();
        // In this order: a delete lays the tombstone first.
        let buried = tombstone(&user, id).into_iter().chain(doc! { "updates": job }).collect();
        Ok(exists(&self.characters, marked).await? || exists(&self.tombstones, buried).await?)
    }

    /// Removes the user's character; `false` when there is none, or another job has removed it.
    pub(super) async fn delete(&self, target: Target) -> Result<bool, StoreError> {
        let fate = self.deletes.ask(target.clone(), 0).await?;
        if fate == Fate::Done {
            return Ok(true);
        }
        let effects = self.clone();
        let alone = async move {
            if fate == Fate::Unclear {
                effects.delete_alone(&target).await
            } else {
                effects.own_up(&target).await
            }
        };
        Ok(to_its_end(alone).await?)
    }

    async fn delete_alone(&self, target: &Target) -> Result<bool, Error> {
        for _ in 0..LOOKS {
            let there = find(&self.characters, own(&target.user, target.id), doc! { MARKS: 1 }).await?;
            let Some(Marks { jobs }) = there else {
                return self.own_up(target).await;
            };
            let new = self.lay(target, jobs.as_deref().unwrap_or_default()).await?;
            if self.characters.delete_one(seen(target, jobs.as_deref())).await?.deleted_count == 1 {
                return Ok(new || self.take_over(target).await?);
            }
        }
        Err(Error::custom("the character changes faster than it can be deleted"))
    }

    /// Lays a tombstone, or adds the marks to the one that is there; gives whether it is new.
    async fn lay(&self, target: &Target, marks: &[ObjectId]) -> Result<bool, Error> {
        match self.tombstones.insert_one(laid(target, marks)).await {
            Err(error) if is_duplicate(&error) => {
                let add = doc! { "$addToSet": { "updates": { "$each": marks } } };
                self.tombstones.update_one(tombstone(&target.user, target.id), add).await?;
                Ok(false)
            }
            other => other.map(|_| true),
        }
    }

    /// Makes the job the one that deleted, after it removed a document for which another job had laid the tombstone;
    /// `false` when that one has said that it did.
    async fn take_over(&self, Target { user, id, job }: &Target) -> Result<bool, Error> {
        let open = doc! { "$or": [{ "job": job }, { "told": { "$exists": false } }] };
        let open = tombstone(user, *id).into_iter().chain(open).collect::<Document>();
        let take = doc! { "$set": { "job": job, "expires": expires() } };
        Ok(self.tombstones.update_one(open, take).await?.matched_count == 1)
    }

    /// Whether the job deleted what is not there; if so, no other job can take that over any more.
    async fn own_up(&self, Target { user, id, job }: &Target) -> Result<bool, Error> {
        let laid = tombstone(user, *id).into_iter().chain(doc! { "job": job }).collect::<Document>();
        let told = self.tombstones.update_one(laid, doc! { "$set": { "told": true } }).await?;
        Ok(told.matched_count == 1)
    }
}

/// Finds the tombstone of a character of `user`: nobody can lay one for a character of somebody else.
pub(super) fn tombstone(user: &str, id: ObjectId) -> Document {
    doc! { "_id": { "character": id, "user": user } }
}

/// The tombstone of a character that is deleted now, with its `marks`.
pub(super) fn laid(Target { user, id, job }: &Target, marks: &[ObjectId]) -> Document {
    let mut laid = tombstone(user, *id);
    laid.extend(doc! { "job": job, "expires": expires(), "updates": marks });
    laid
}

/// Finds the character while it has the `marks` that were seen: an update that came between has left one that the tombstone
/// lacks.
pub(super) fn seen(Target { user, id, .. }: &Target, marks: Option<&[ObjectId]>) -> Document {
    // `null` finds what has none.
    own(user, *id).into_iter().chain(doc! { MARKS: marks }).collect()
}

/// Finds the character unless the job has updated it.
pub(super) fn unmarked(Target { user, id, job }: &Target) -> Document {
    own(user, *id).into_iter().chain(doc! { MARKS: { "$ne": job } }).collect()
}

/// Changes a character for `job`, and says so in it.
pub(super) fn marked(set: Document, job: ObjectId) -> Document {
    doc! { "$set": set, "$push": { MARKS: { "$each": [job], "$slice": -MARKS_KEPT } } }
}

fn expires() -> DateTime {
    DateTime::now().saturating_add_duration(EVIDENCE_KEPT)
}

/// Removes the user's character if it was deleted, for another run of its job may have made it after that; gives whether
/// it was.
pub(super) async fn stay_deleted(
    characters: &Collection<Stored>,
    tombstones: &Collection<Document>,
    user: &str,
    id: ObjectId,
) -> Result<bool, Error> {
    let deleted = exists(tombstones, tombstone(user, id)).await?;
    if deleted {
        characters.delete_one(own(user, id)).await?;
    }
    Ok(deleted)
}

pub(super) async fn exists<T: Send + Sync>(
    collection: &Collection<T>,
    filter: Document,
) -> Result<bool, Error> {
    Ok(find::<_, Document>(collection, filter, doc! { "_id": 1 }).await?.is_some())
}

/// Finds what was written last, whatever the connection string says of reads.
async fn find<T: Send + Sync, F: DeserializeOwned + Send + Sync>(
    collection: &Collection<T>,
    filter: Document,
    projection: Document,
) -> Result<Option<F>, Error> {
    let collection = collection.clone_with_type();
    let find = collection.find_one(filter).projection(projection).read_concern(ReadConcern::local());
    find.selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary)).await
}
