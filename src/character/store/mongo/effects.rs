//! Effects that happen once, even when a job runs twice, on a server that may not support transactions.
//!
//! An update marks the document with its job, in the same write. A delete lays a tombstone, which keeps the marks,
//! before it removes the document as it saw it. Each operation may end at any `await`, and be run again from the start.
//! Whatever is gathered runs to its end even if nobody waits for it any more, and so does the rest.

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
    collation::exact,
    error::is_duplicate,
    gather::{Gather, WRITES},
    own, to_its_end,
    together::{self, Fate, Target},
};
use crate::character::store::{EVIDENCE_KEPT, StoreError};

/// The field with the jobs that changed a document last. Creates do not write it, and reads do not return it.
pub(super) const MARKS: &str = "octavo_jobs";

/// More changes than anybody makes to one character while a job waits for its second run.
const MARKS_KEPT: i32 = 1000;

/// The collection that records which characters were deleted, and by which job.
pub const TOMBSTONES: &str = "Octavo_Deleted";

/// How often a delete looks again when an update came between its look and its removal.
const LOOKS: u32 = 20;

/// The collections of characters and of tombstones, and the operations gathered for them.
#[derive(Clone)]
pub(super) struct Effects {
    characters: Collection<Stored>,
    tombstones: Collection<Document>,
    inserts: Gather<(Stored, DateTime), bool>,
    updates: Gather<(Target, Document), Fate>,
    deletes: Gather<Target, Fate>,
}

/// What a delete reads of a document before removing it: its [`MARKS`].
#[derive(Deserialize)]
struct Marks {
    #[serde(rename = "octavo_jobs")]
    jobs: Option<Vec<ObjectId>>,
}

impl Effects {
    /// Opens the collections in `database`; tombstones expire by themselves. A batch that takes longer than `patience`
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

    /// Inserts `character`, unless it existed and has been deleted since; `false` when its id belongs to another.
    pub(super) async fn create(&self, character: Stored, sole_until: DateTime) -> Result<bool, StoreError> {
        if DateTime::now() >= sole_until {
            let (effects, user, id) = (self.clone(), character.user.clone(), character.id);
            let look = async move { stay_deleted(&effects.characters, &effects.tombstones, &user, id).await };
            if to_its_end(look).await? {
                return Ok(true);
            }
        }
        let bytes = character.size();
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
            let seen = seen(target, jobs.as_deref());
            if self.characters.delete_one(seen).collation(exact()).await?.deleted_count == 1 {
                return Ok(new || self.take_over(target).await?);
            }
        }
        Err(Error::custom("the character changes faster than it can be deleted"))
    }

    /// Lays a tombstone, or adds the marks to an existing one; returns whether it is new.
    async fn lay(&self, target: &Target, marks: &[ObjectId]) -> Result<bool, Error> {
        match self.tombstones.insert_one(laid(target, marks)).await {
            Err(error) if is_duplicate(&error) => {
                let add = doc! { "$addToSet": { "updates": { "$each": marks } } };
                let laid = tombstone(&target.user, target.id);
                self.tombstones.update_one(laid, add).collation(exact()).await?;
                Ok(false)
            }
            other => other.map(|_| true),
        }
    }

    /// Records the job as the one that deleted, after it removed a document for which another job had laid the
    /// tombstone; `false` when that job has already reported the delete.
    async fn take_over(&self, Target { user, id, job }: &Target) -> Result<bool, Error> {
        let open = doc! { "$or": [{ "job": job }, { "told": { "$exists": false } }] };
        let open = tombstone(user, *id).into_iter().chain(open).collect::<Document>();
        let take = doc! { "$set": { "job": job, "expires": expires() } };
        Ok(self.tombstones.update_one(open, take).collation(exact()).await?.matched_count == 1)
    }

    /// Whether the job deleted what no longer exists; if so, no other job can take over the delete any more.
    async fn own_up(&self, Target { user, id, job }: &Target) -> Result<bool, Error> {
        let laid = tombstone(user, *id).into_iter().chain(doc! { "job": job }).collect::<Document>();
        let tell = doc! { "$set": { "told": true } };
        let told = self.tombstones.update_one(laid, tell).collation(exact()).await?;
        Ok(told.matched_count == 1)
    }
}

/// Finds the tombstone of a character of `user`: nobody can lay one for somebody else's character.
pub(super) fn tombstone(user: &str, id: ObjectId) -> Document {
    doc! { "_id": { "character": id, "user": user } }
}

/// The tombstone of a character that is being deleted, with its `marks`.
pub(super) fn laid(Target { user, id, job }: &Target, marks: &[ObjectId]) -> Document {
    let mut laid = tombstone(user, *id);
    laid.extend(doc! { "job": job, "expires": expires(), "updates": marks });
    laid
}

/// Finds the character while it still has the `marks` that were seen: an update that came between has left a mark that
/// the tombstone lacks.
pub(super) fn seen(Target { user, id, .. }: &Target, marks: Option<&[ObjectId]>) -> Document {
    // `null` matches a document that has none.
    own(user, *id).into_iter().chain(doc! { MARKS: marks }).collect()
}

/// Finds the character unless the job has updated it.
pub(super) fn unmarked(Target { user, id, job }: &Target) -> Document {
    own(user, *id).into_iter().chain(doc! { MARKS: { "$ne": job } }).collect()
}

/// Changes a character for `job`, and marks it so.
pub(super) fn marked(set: Document, job: ObjectId) -> Document {
    doc! { "$set": set, "$push": { MARKS: { "$each": [job], "$slice": -MARKS_KEPT } } }
}

fn expires() -> DateTime {
    DateTime::now().saturating_add_duration(EVIDENCE_KEPT)
}

/// Removes the user's character if it was deleted, since another run of its job may have made it again after that;
/// returns whether it was.
pub(super) async fn stay_deleted(
    characters: &Collection<Stored>,
    tombstones: &Collection<Document>,
    user: &str,
    id: ObjectId,
) -> Result<bool, Error> {
    let deleted = exists(tombstones, tombstone(user, id)).await?;
    if deleted {
        characters.delete_one(own(user, id)).collation(exact()).await?;
    }
    Ok(deleted)
}

pub(super) async fn exists<T: Send + Sync>(
    collection: &Collection<T>,
    filter: Document,
) -> Result<bool, Error> {
    Ok(find::<_, Document>(collection, filter, doc! { "_id": 1 }).await?.is_some())
}

/// Finds one document in its latest state, whatever the connection string says about reads.
async fn find<T: Send + Sync, F: DeserializeOwned + Send + Sync>(
    collection: &Collection<T>,
    filter: Document,
    projection: Document,
) -> Result<Option<F>, Error> {
    let collection = collection.clone_with_type();
    let find = collection.find_one(filter).projection(projection).collation(exact());
    let find = find.read_concern(ReadConcern::local());
    find.selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary)).await
}
