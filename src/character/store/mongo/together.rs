//! Writes many characters at once, as far as the server's answer for all of them tells what became of each.

use std::collections::HashMap;

use futures_util::future::join_all;
use mongodb::{
    Collection,
    bson::{DateTime, Document, doc, oid::ObjectId},
    error::Error,
};
use serde::Deserialize;

use super::{
    Stored,
    batch::{self, Kind, Written},
    effects::{MARKS, exists, laid, marked, seen, stay_deleted, tombstone, unmarked},
    error::is_transient,
    gather::Answers,
    own,
};
use crate::character::store::StoreError;

/// A job, and the user's character that it is about.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) user: String,
    pub(super) id: ObjectId,
    pub(super) job: ObjectId,
}

/// What became of one write among many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is done.
    Done,
    /// There is no such character.
    Missing,
    /// It must be run again, alone.
    Unclear,
}

/// A character that exists.
#[derive(Deserialize)]
struct Found {
    #[serde(rename = "_id")]
    id: ObjectId,
    #[serde(rename = "User_Id")]
    user: String,
    #[serde(rename = "octavo_jobs")]
    marks: Option<Vec<ObjectId>>,
}

/// Inserts each character; `false` for one whose id belongs to another. After its `sole_until`, another run of the job
/// may have begun, so we check whether the character has been deleted meanwhile: here, because this runs to its end
/// even if nobody waits.
pub(super) async fn create(
    characters: Collection<Stored>,
    tombstones: Collection<Document>,
    new: Vec<(Stored, DateTime)>,
) -> Answers<bool> {
    let (new, sole_until): (Vec<_>, Vec<_>) = new.into_iter().unzip();
    let mut answers = batch::insert(&characters, &new).await;
    let now = DateTime::now();
    let unsure = answers.iter_mut().zip(&new).zip(sole_until).filter_map(|((answer, character), until)| {
        let (inserted, again) = (*answer.as_ref().ok()?, now >= until);
        (again || !inserted).then_some((answer, character, inserted, again))
    });
    let look = async |Stored { user, id, .. }: &Stored, inserted, again| -> Result<bool, Error> {
        if again && stay_deleted(&characters, &tombstones, user, *id).await? {
            return Ok(true);
        }
        Ok(inserted
            || exists(&characters, own(user, *id)).await?
            || exists(&tombstones, tombstone(user, *id)).await?)
    };
    join_all(unsure.map(async |(answer, character, inserted, again)| {
        *answer = look(character, inserted, again).await.map_err(Into::into);
    }))
    .await;
    answers
}

/// Applies to each target its changes.
pub(super) async fn update(
    characters: Collection<Stored>,
    updates: Vec<(Target, Document)>,
) -> Answers<Fate> {
    let (targets, sets): (Vec<_>, Vec<_>) = updates.into_iter().unzip();
    let set = |(target, set): (&Target, _)| doc! { "q": unmarked(target), "u": marked(set, target.job) };
    let statements = targets.iter().zip(sets).map(set).collect();
    let written = async {
        let Written { n, refused } = batch::write(&characters, Kind::Update, statements).await?;
        // If the count falls short, the marks tell which updates were made.
        let short = n + refused.len() < targets.len();
        let there = if short { Some(look(&characters, &targets).await?.unwrap_or_default()) } else { None };
        Ok::<_, Error>((there, refused))
    };
    let (there, refused) = match written.await {
        Ok(written) => written,
        Err(error) => return vec![Err(error.into()); targets.len()],
    };
    let fate = |target| there.as_ref().map_or(Fate::Done, |there| there.updated(target));
    let mut fates: Vec<_> = targets.iter().map(|target| Ok(fate(target))).collect();
    for error in refused {
        if let Some(fate) = fates.get_mut(error.index) {
            *fate = Err(error.into());
        }
    }
    fates
}

/// Looks at the characters, lays their tombstones, and removes the documents as it saw them.
pub(super) async fn delete(
    characters: Collection<Stored>,
    tombstones: Collection<Document>,
    targets: Vec<Target>,
) -> Answers<Fate> {
    let there = match look(&characters, &targets).await {
        Ok(there) => there,
        Err(error) => return vec![Err(error.into()); targets.len()],
    };
    let Some(there) = there else { return vec![Ok(Fate::Unclear); targets.len()] };
    let mut fates = vec![Ok(Fate::Missing); targets.len()];
    let found: Vec<_> =
        targets.iter().enumerate().filter_map(|(n, target)| Some((n, target, there.of(target)?))).collect();
    let graves: Vec<_> = found.iter().map(|(_, target, found)| laid(target, found.marks())).collect();
    if found.is_empty() {
        return fates;
    }
    let mut doomed = Vec::new();
    for (found, laid) in found.iter().zip(batch::insert(&tombstones, &graves).await) {
        if matches!(laid, Ok(true)) {
            doomed.push(*found);
        }
        // If another delete has laid one, the two settle which of them deletes.
        fates[found.0] = laid.map(|_| Fate::Unclear);
    }
    let removed = match batch::write(&characters, Kind::Delete, removals(&doomed)).await {
        Ok(Written { n, .. }) if n == doomed.len() => Ok(Fate::Done),
        // An update came between somewhere.
        Ok(_) => Ok(Fate::Unclear),
        Err(error) => Err(StoreError::from(error)),
    };
    for (n, ..) in doomed {
        fates[n].clone_from(&removed);
    }
    fates
}

/// Statements that remove the documents found, as they were seen. Most characters have no marks: they go in one
/// statement, which costs the server a third of one statement each.
fn removals(found: &[(usize, &Target, &Found)]) -> Vec<Document> {
    let (unmarked, marked): (Vec<_>, Vec<_>) = found.iter().partition(|(_, _, found)| found.marks.is_none());
    let (ids, users): (Vec<_>, Vec<_>) =
        unmarked.iter().map(|(_, target, _)| (target.id, target.user.as_str())).unzip();
    let all = doc! { "_id": { "$in": ids }, "User_Id": { "$in": users }, MARKS: null };
    let mut removals: Vec<_> = marked
        .iter()
        .map(|(_, target, found)| doc! { "q": seen(target, found.marks.as_deref()), "limit": 1 })
        .collect();
    if !unmarked.is_empty() {
        removals.push(doc! { "q": all, "limit": 0 });
    }
    removals
}

/// Characters that exist, by id.
#[derive(Default)]
struct There(HashMap<ObjectId, Found>);

/// Looks them all up; `None` when the lookup fails because of one of them, perhaps a document that cannot be read.
async fn look(characters: &Collection<Stored>, targets: &[Target]) -> Result<Option<There>, Error> {
    let (ids, users): (Vec<_>, Vec<_>) =
        targets.iter().map(|target| (target.id, target.user.as_str())).unzip();
    let filter = doc! { "_id": { "$in": ids }, "User_Id": { "$in": users } };
    match batch::find(characters, filter, doc! { "User_Id": 1, MARKS: 1 }, targets.len()).await {
        Ok(found) => Ok(Some(There(found.into_iter().map(|found: Found| (found.id, found)).collect()))),
        Err(error) if is_transient(&error) => Err(error),
        Err(error) => {
            tracing::warn!(error = %error.kind, "cannot look characters up together, looking up each alone");
            Ok(None)
        }
    }
}

impl There {
    fn of(&self, target: &Target) -> Option<&Found> {
        self.0.get(&target.id).filter(|found| found.user == target.user)
    }

    /// What became of an update, judged by its mark.
    fn updated(&self, target: &Target) -> Fate {
        let done = self.of(target).is_some_and(|found| found.marks().contains(&target.job));
        if done { Fate::Done } else { Fate::Unclear }
    }
}

impl Found {
    fn marks(&self) -> &[ObjectId] {
        self.marks.as_deref().unwrap_or_default()
    }
}
