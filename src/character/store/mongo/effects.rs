//! Effects that happen once, whoever runs a job twice, on a server that may have no transactions.
//!
//! An update marks the document with its job, in the same write. A delete lays a tombstone, which keeps the marks, before
//! it removes what it has seen. Each operation may end at any `await`, and be run again from the start.

use mongodb::{
    Collection, Database, IndexModel,
    bson::{DateTime, Document, doc, oid::ObjectId},
    error::Error,
    options::{IndexOptions, ReadConcern, ReadPreference, SelectionCriteria},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{COLLECTION, Stored, is_duplicate, own};
use crate::character::store::EVIDENCE_KEPT;

/// The jobs that changed a document last. Creates do not write it, and reads do not give it.
pub(super) const MARKS: &str = "octavo_jobs";

/// More changes than anybody makes to one character while a job waits for its second run.
const MARKS_KEPT: i32 = 1000;

/// Which characters were deleted, and by which job.
pub const TOMBSTONES: &str = "Octavo_Deleted";

/// How often a delete looks again, after an update came between its look and its removal.
const LOOKS: u32 = 20;

/// The collections of characters and of tombstones.
#[derive(Clone)]
pub(super) struct Effects {
    characters: Collection<Stored>,
    tombstones: Collection<Document>,
}

/// What a delete looks at before it removes a document: its [`MARKS`].
#[derive(Deserialize)]
struct Marks {
    #[serde(rename = "octavo_jobs")]
    jobs: Option<Vec<ObjectId>>,
}

impl Effects {
    /// The collections in `database`; tombstones go when their time is over.
    pub(super) async fn open(database: &Database) -> Result<Self, Error> {
        let tombstones = database.collection(TOMBSTONES);
        let at_once = IndexOptions::builder().expire_after(std::time::Duration::ZERO).build();
        let expires = IndexModel::builder().keys(doc! { "expires": 1 }).options(at_once).build();
        tombstones.create_index(expires).await?;
        Ok(Self { characters: database.collection(COLLECTION), tombstones })
    }

    /// Inserts `character`, unless it was there and was deleted since then; `false` when its id is another's.
    pub(super) async fn create(self, character: Stored, sole_until: DateTime) -> Result<bool, Error> {
        let tombstone = tombstone(&character.user, character.id);
        let own = own(&character.user, character.id);
        let again = || DateTime::now() >= sole_until;
        let mut deleted = again() && exists(&self.tombstones, tombstone.clone()).await?;
        if !deleted {
            match self.characters.insert_one(&character).await {
                Ok(_) => {}
                Err(error) if is_duplicate(&error) => {
                    let there = exists(&self.characters, own.clone()).await?;
                    if !there && !exists(&self.tombstones, tombstone.clone()).await? {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
            // Another run may have made the character, and its user deleted it, while this insert was on its way.
            deleted = again() && exists(&self.tombstones, tombstone).await?;
        }
        if deleted {
            self.characters.delete_one(own).await?;
        }
        Ok(true)
    }

    /// Applies `set` to the user's character, unless `job` has done so; `false` when there is none.
    pub(super) async fn update(
        self,
        user: String,
        id: ObjectId,
        set: Document,
        job: ObjectId,
    ) -> Result<bool, Error> {
        let with_marks = |marks: Document| own(&user, id).into_iter().chain(marks).collect::<Document>();
        let unmarked = with_marks(doc! { MARKS: { "$ne": job } });
        let mark = doc! { MARKS: { "$each": [job], "$slice": -MARKS_KEPT } };
        let updated = self.characters.update_one(unmarked, doc! { "$set": set, "$push": mark }).await?;
        if updated.matched_count == 1 {
            return Ok(true);
        }
        // In this order: a delete lays the tombstone first.
        let marked = tombstone(&user, id).into_iter().chain(doc! { "updates": job }).collect();
        Ok(exists(&self.characters, with_marks(doc! { MARKS: job })).await?
            || exists(&self.tombstones, marked).await?)
    }

    /// Removes the user's character; `false` when there is none, or another job has removed it.
    pub(super) async fn delete(self, user: String, id: ObjectId, job: ObjectId) -> Result<bool, Error> {
        for _ in 0..LOOKS {
            let seen: Option<Marks> = find(&self.characters, own(&user, id), doc! { MARKS: 1 }).await?;
            let Some(Marks { jobs }) = seen else {
                return self.own_up(&user, id, job).await;
            };
            let new = self.lay(&user, id, job, jobs.as_deref().unwrap_or_default()).await?;
            // An update that came between has left a mark that the tombstone lacks. `null` finds what has none.
            let seen = own(&user, id).into_iter().chain(doc! { MARKS: jobs }).collect();
            if self.characters.delete_one(seen).await?.deleted_count == 1 {
                return Ok(new || self.take_over(&user, id, job).await?);
            }
        }
        Err(Error::custom("the character changes faster than it can be deleted"))
    }

    /// Lays a tombstone, or adds the marks to the one that is there; gives whether it is new.
    async fn lay(&self, user: &str, id: ObjectId, job: ObjectId, marks: &[ObjectId]) -> Result<bool, Error> {
        let mut laid = tombstone(user, id);
        laid.extend(doc! { "job": job, "expires": expires(), "updates": marks });
        match self.tombstones.insert_one(laid).await {
            Err(error) if is_duplicate(&error) => {
                let add = doc! { "$addToSet": { "updates": { "$each": marks } } };
                self.tombstones.update_one(tombstone(user, id), add).await?;
                Ok(false)
            }
            other => other.map(|_| true),
        }
    }

    /// Makes `job` the one that deleted, after it removed a document for which another job had laid the tombstone;
    /// `false` when that one has said that it did.
    async fn take_over(&self, user: &str, id: ObjectId, job: ObjectId) -> Result<bool, Error> {
        let open = doc! { "$or": [{ "job": job }, { "told": { "$exists": false } }] };
        let open = tombstone(user, id).into_iter().chain(open).collect::<Document>();
        let take = doc! { "$set": { "job": job, "expires": expires() } };
        Ok(self.tombstones.update_one(open, take).await?.matched_count == 1)
    }

    /// Whether `job` deleted what is not there; if so, no other job can take that over any more.
    async fn own_up(&self, user: &str, id: ObjectId, job: ObjectId) -> Result<bool, Error> {
        let laid = tombstone(user, id).into_iter().chain(doc! { "job": job }).collect::<Document>();
        let told = self.tombstones.update_one(laid, doc! { "$set": { "told": true } }).await?;
        Ok(told.matched_count == 1)
    }
}

/// Finds the tombstone of a character of `user`: nobody can lay one for a character of somebody else.
fn tombstone(user: &str, id: ObjectId) -> Document {
    doc! { "_id": { "character": id, "user": user } }
}

fn expires() -> DateTime {
    DateTime::now().saturating_add_duration(EVIDENCE_KEPT)
}

async fn exists<T: Send + Sync>(collection: &Collection<T>, filter: Document) -> Result<bool, Error> {
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
