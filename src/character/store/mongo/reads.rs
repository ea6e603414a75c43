//! Reads of several users at once.

use std::{collections::HashMap, time::Duration};

use futures_util::{TryStreamExt, future::join_all};
use mongodb::{
    Collection,
    bson::{Document, doc},
    error::Error,
};

use super::{
    Stored,
    error::is_transient,
    gather::{Answers, Gather},
};
use crate::character::store::StoreError;

/// About as many bytes as an answer with images: few enough go together that nobody waits for much of others.
pub(super) const BYTES: usize = 256 << 10;

/// A user's newest characters that fit a filter, which asks for that user's alone.
pub(super) struct Read {
    pub(super) user: String,
    pub(super) filter: Document,
    pub(super) limit: u32,
}

/// Gathers reads: one command for many costs the server less than half.
pub(super) fn gathered(characters: Collection<Stored>, patience: Duration) -> Gather<Read, Vec<Stored>> {
    Gather::new(patience, move |reads| read(characters.clone(), reads))
}

async fn read(characters: Collection<Stored>, reads: Vec<Read>) -> Answers<Vec<Stored>> {
    let mut answers: Vec<_> = reads.iter().map(|_| Ok(Vec::new())).collect();
    // What comes of a union is told apart by its user.
    let (mut together, mut alone) = (HashMap::new(), Vec::new());
    for (n, read) in reads.iter().enumerate() {
        if let Some(other) = together.insert(read.user.as_str(), n) {
            alone.push(other);
        }
    }
    if together.len() == 1 {
        alone.extend(together.drain().map(|(_, n)| n));
    }
    let parts = together.values().filter_map(|n| reads.get(*n));
    match union(&characters, parts).await {
        Ok(found) => {
            for character in found {
                let answer = together.get(character.user.as_str()).and_then(|n| answers.get_mut(*n));
                if let Some(Ok(answer)) = answer {
                    answer.push(character);
                }
            }
        }
        Err(error) if is_transient(&error) => {
            let failed = together.into_values().map(|n| (n, Err(error.clone().into())));
            fill(&mut answers, failed);
        }
        // One of them is the reason, a document that cannot be read perhaps.
        Err(_) => alone.extend(together.into_values()),
    }
    let each = alone.into_iter().filter_map(|n| Some((n, reads.get(n)?)));
    let found = join_all(each.map(async |(n, read)| (n, find(&characters, read).await))).await;
    fill(&mut answers, found.into_iter().map(|(n, found)| (n, found.map_err(Into::into))));
    answers
}

fn fill<R>(answers: &mut Answers<R>, known: impl Iterator<Item = (usize, Result<R, StoreError>)>) {
    for (n, known) in known {
        if let Some(answer) = answers.get_mut(n) {
            *answer = known;
        }
    }
}

/// Newest first.
fn order() -> Document {
    doc! { "createdAt": -1, "_id": -1 }
}

/// Marks come too, and are left out by [`Stored`]: a projection would have the server copy the images.
pub(super) async fn find(characters: &Collection<Stored>, read: &Read) -> Result<Vec<Stored>, Error> {
    let find = characters.find(read.filter.clone()).sort(order()).limit(read.limit.into());
    find.await?.try_collect().await
}

/// What [`find`] finds for each of `reads`, as one.
async fn union(
    characters: &Collection<Stored>,
    reads: impl Iterator<Item = &Read>,
) -> Result<Vec<Stored>, Error> {
    let (mut pipeline, mut most) = (Vec::new(), 0);
    for Read { filter, limit, .. } in reads {
        most += limit;
        let part = [doc! { "$match": filter }, doc! { "$sort": order() }, doc! { "$limit": limit }];
        if pipeline.is_empty() {
            pipeline.extend(part);
        } else {
            pipeline.push(doc! { "$unionWith": { "coll": characters.name(), "pipeline": &part[..] } });
        }
    }
    if pipeline.is_empty() {
        return Ok(Vec::new());
    }
    // One more, so that one answer has them all and says that there are no more.
    let found = characters.aggregate(pipeline).batch_size(most + 1).with_type::<Stored>().await?;
    found.try_collect().await
}
