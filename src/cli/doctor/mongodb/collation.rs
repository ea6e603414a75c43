//! Whether a collection compares texts in a way of its own.

use futures_util::TryStreamExt;
use mongodb::{
    Database,
    bson::doc,
    error::{Error, ErrorKind},
    results::CollectionSpecification,
};

use super::{Unanswered, run};
use crate::{
    character::store::{COLLECTION, TOMBSTONES},
    cli::doctor::report::Check,
};

/// Warns of our collections that were made with a collation; says nothing if there is none, or our user may not see it.
pub(super) async fn own(database: &Database) -> Result<Option<Check>, Unanswered> {
    let list = database.clone();
    let ours = doc! { "name": { "$in": [COLLECTION, TOMBSTONES] } };
    let listed =
        run(async move { list.list_collections().filter(ours).await?.try_collect::<Vec<_>>().await });
    let collections = match listed.await {
        Ok(collections) => collections,
        Err(Unanswered::Failed(error)) if is_refusal(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let collations: Vec<_> = collections.iter().filter_map(collation).collect();
    Ok((!collations.is_empty()).then(|| {
        Check::warning(
            "mongodb.collation",
            format!("made with a collation: {}", collations.join(", ")),
            "octavo tells users apart exactly all the same, but every other program must ask for that, with the \
             collation { locale: \"simple\" }: copy the documents into a collection that was made without one",
        )
    }))
}

fn collation(collection: &CollectionSpecification) -> Option<String> {
    let collation = collection.options.collation.as_ref()?;
    Some(format!("{} ({})", collection.name, collation.locale))
}

/// Whether the server understood, and refused.
fn is_refusal(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Command(_))
}
