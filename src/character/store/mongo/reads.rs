//! Reads for several users at once.

use std::{
    cmp::Reverse,
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use futures_util::{TryStreamExt, future::join_all};
use mongodb::{
    Collection,
    bson::{Document, doc},
    error::Error,
};

use super::{
    Stored,
    collation::exact,
    error::is_transient,
    gather::{Answers, Gather, Size},
};
use crate::character::{
    filter::{CharacterFilter, Condition, Field},
    store::{StoreError, Wanted},
};

/// More batches under way than for writes, because the server works through the parts of one batch one after another.
const SIZE: Size = Size { batch: 16, in_flight: 4 };

/// Reads for several users, sent together; fewer of them where answers are large, so that nobody waits long for other
/// users' data.
pub(super) struct Reads(Gather<Read, Vec<Stored>>);

/// A user's newest characters that match a filter, which selects that user's alone.
pub(super) struct Read {
    pub(super) user: String,
    pub(super) filter: Document,
    pub(super) wanted: Wanted,
}

/// Whether the server examines no more characters than the read asks for: no index covers their names and descriptions.
pub(super) fn is_bounded(CharacterFilter(conditions): &CharacterFilter) -> bool {
    let user = |condition: &Condition| matches!(condition, Condition::Text(Field::User, _));
    conditions.iter().all(user) || conditions.iter().any(|condition| matches!(condition, Condition::Id(_)))
}

impl Reads {
    /// Gathers reads: one command for several costs the server half as much as one each. A batch that takes longer than
    /// `patience` does not hold up the next.
    pub(super) fn new(characters: Collection<Stored>, patience: Duration) -> Self {
        Self(Gather::new(SIZE, patience, move |reads| read(characters.clone(), reads, patience)))
    }

    pub(super) async fn ask(&self, read: Read) -> Result<Vec<Stored>, StoreError> {
        let most = read.wanted.most();
        self.0.ask(read, most).await
    }
}

/// The results of a union are told apart by user, so one read of each user goes with the others.
async fn read(characters: Collection<Stored>, reads: Vec<Read>, patience: Duration) -> Answers<Vec<Stored>> {
    let (mut together, mut alone) = (HashMap::new(), Vec::new());
    for (n, read) in reads.iter().enumerate() {
        match together.entry(read.user.as_str()) {
            Entry::Vacant(first) => {
                first.insert(n);
            }
            Entry::Occupied(_) => alone.push(n),
        }
    }
    if together.len() == 1 {
        alone.extend(together.drain().map(|(_, n)| n));
    }
    let each = async |alone: Vec<usize>| {
        let each = alone.into_iter().filter_map(|n| Some((n, reads.get(n)?)));
        join_all(each.map(async |(n, read)| (n, find(&characters, [read], patience).await))).await
    };
    let parts = together.values().filter_map(|n| reads.get(*n));
    let (union, mut found) = tokio::join!(find(&characters, parts, patience), each(alone));
    match union {
        Ok(all) => {
            let mut of: HashMap<_, _> = together.iter().map(|(user, n)| (*user, (*n, Vec::new()))).collect();
            for character in all {
                if let Some((_, newest)) = of.get_mut(character.user.as_str()) {
                    newest.push(character);
                }
            }
            found.extend(of.into_values().map(|(n, mut newest)| {
                // The order in which a union returns its parts is not specified.
                newest.sort_unstable_by_key(|character| Reverse((character.created_at, character.id)));
                (n, Ok(newest))
            }));
        }
        Err(error) if is_transient(&error) => {
            found.extend(together.into_values().map(|n| (n, Err(error.clone()))));
        }
        // One of them is the cause, perhaps a document that cannot be read.
        Err(_) => found.extend(each(together.into_values().collect()).await),
    }
    found.sort_unstable_by_key(|(n, _)| *n);
    found.into_iter().map(|(_, found)| found.map_err(Into::into)).collect()
}

/// What each of `reads` asks for, in one command; a single one's newest first. After `patience` nobody waits for the
/// answer any more, and the server stops.
pub(super) async fn find(
    characters: &Collection<Stored>,
    reads: impl IntoIterator<Item = &Read>,
    patience: Duration,
) -> Result<Vec<Stored>, Error> {
    let (mut pipeline, mut most) = (Vec::new(), 0);
    for Read { filter, wanted, .. } in reads {
        most += wanted.limit;
        let order = doc! { "createdAt": -1, "_id": -1 };
        let newest = [doc! { "$match": filter }, doc! { "$sort": order }, doc! { "$limit": wanted.limit }];
        let part = newest.into_iter().chain([cut(wanted.bytes)]);
        if pipeline.is_empty() {
            pipeline.extend(part);
        } else {
            let part: Vec<_> = part.collect();
            pipeline.push(doc! { "$unionWith": { "coll": characters.name(), "pipeline": part } });
        }
    }
    if pipeline.is_empty() {
        return Ok(Vec::new());
    }
    // One more, so that one reply has them all and says that there are no more.
    let aggregate = characters.aggregate(pipeline).batch_size(most + 1).max_time(patience);
    aggregate.collation(exact()).with_type::<Stored>().await?.try_collect().await
}

/// Leaves a document as it is, with its marks, which [`Stored`] drops: choosing fields would make the server copy the
/// images. Of one with more than `bytes` only its size remains, and what it is told apart and ordered by.
fn cut(bytes: usize) -> Document {
    let size = doc! { "$bsonSize": "$$ROOT" };
    let most = i32::try_from(bytes).unwrap_or(i32::MAX);
    let stub =
        doc! { "_id": "$_id", "User_Id": "$User_Id", "createdAt": "$createdAt", "octavo_bytes": &size };
    doc! { "$replaceWith": { "$cond": [{ "$lte": [size, most] }, "$$ROOT", stub] } }
}
