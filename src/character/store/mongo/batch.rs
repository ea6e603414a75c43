//! Writes and lookups that are sent to the server together, as one command each.

use futures_util::TryStreamExt;
use mongodb::{
    Collection,
    bson::{self, Bson, Document, RawDocumentBuf, doc},
    error::{Error, ErrorKind, IndexedWriteError, InsertManyError, WriteConcernError, WriteFailure},
    options::{ReadConcern, ReadPreference, SelectionCriteria},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    collation::exact,
    error::{DUPLICATE_KEY, is_transient, is_unreachable},
    gather::Answers,
};

/// Inserts each of `documents` that can be inserted; `false` for one whose `_id` exists already.
pub(super) async fn insert<T: Serialize + Send + Sync>(
    collection: &Collection<T>,
    documents: &[T],
) -> Answers<bool> {
    let mut answers = vec![Ok(true); documents.len()];
    if let Err(error) = collection.insert_many(documents).ordered(false).await {
        match *error.kind {
            ErrorKind::InsertMany(InsertManyError {
                write_errors: Some(refused),
                write_concern_error: None,
                ..
            }) => {
                for error in refused {
                    if let Some(answer) = answers.get_mut(error.index) {
                        *answer = if error.code == DUPLICATE_KEY { Ok(false) } else { Err(error.into()) };
                    }
                }
            }
            _ => answers.fill(Err(error.into())),
        }
    }
    answers
}

/// Runs `statements`, each affecting at most one document. One that the server refuses leaves the others alone.
pub(super) async fn write<T: Send + Sync>(
    collection: &Collection<T>,
    kind: Kind,
    statements: Vec<Document>,
) -> Result<Written, Error> {
    if statements.is_empty() {
        return Ok(Written::default());
    }
    let (command, field) = match kind {
        Kind::Update => ("update", "updates"),
        Kind::Delete => ("delete", "deletes"),
    };
    let mut all = doc! { command: collection.name(), "ordered": false };
    if let Some(concern) = collection.write_concern() {
        all.insert("writeConcern", bson::serialize_to_bson(concern)?);
    }
    let collation = bson::serialize_to_bson(&exact())?;
    let exactly = |mut statement: Document| {
        statement.insert("collation", collation.clone());
        Bson::from(statement)
    };
    all.insert(field, statements.into_iter().map(exactly).collect::<Vec<_>>());
    let all = RawDocumentBuf::try_from(&all)?;
    let database = collection.client().database(&collection.namespace().db);
    let run = async || {
        let reply = database.run_raw_command(all.clone()).await?;
        let Reply { written, concern } = bson::deserialize_from_document(reply)?;
        concern.map_or(Ok(written), |error| {
            Err(Error::from(ErrorKind::Write(WriteFailure::WriteConcernError(error))))
        })
    };
    match run().await {
        // The driver retries its own writes once, but not commands that it does not know to be safe to repeat. These are.
        Err(error) if is_transient(&error) && !is_unreachable(&error) => run().await,
        other => other,
    }
}

/// What [`write`] runs.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Update,
    Delete,
}

/// What became of the statements.
#[derive(Default, Deserialize)]
pub(super) struct Written {
    /// How many documents they matched.
    pub(super) n: usize,
    /// Those that the server refused, by index.
    #[serde(rename = "writeErrors", default)]
    pub(super) refused: Vec<IndexedWriteError>,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(flatten)]
    written: Written,
    #[serde(rename = "writeConcernError")]
    concern: Option<WriteConcernError>,
}

/// Finds at most `most` documents, in their latest state, whatever the connection string says about reads.
pub(super) async fn find<T: Send + Sync, F: DeserializeOwned + Send + Sync>(
    collection: &Collection<T>,
    filter: Document,
    projection: Document,
    most: usize,
) -> Result<Vec<F>, Error> {
    let collection = collection.clone_with_type::<F>();
    let find = collection.find(filter).projection(projection).collation(exact());
    let find = find.read_concern(ReadConcern::local());
    // So that one reply has them all, and says that there are no more.
    let find = find.batch_size(u32::try_from(most).unwrap_or(u32::MAX).saturating_add(1));
    let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
    find.selection_criteria(primary).await?.try_collect().await
}
