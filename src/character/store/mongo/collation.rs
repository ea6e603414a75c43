//! Texts are compared byte by byte, whatever collation their collection was made with.

use mongodb::{
    Collection, IndexModel,
    error::{Error, ErrorKind},
    options::{Collation, IndexOptions},
};

use super::MongoStore;

/// MongoDB's code for an index whose name another one has, which compares texts differently.
const NAME_TAKEN: i32 = 86;

/// The collation of every operation. Without it, a collection that was made with `{locale: "es", strength: 1}` takes the
/// user `José` for `jose`.
pub(super) fn exact() -> Collation {
    Collation::builder().locale("simple").build()
}

/// Creates the index that reads need, beside one that compares texts as its collection does.
pub(super) async fn index_newest_first<T: Send + Sync>(characters: &Collection<T>) -> Result<(), Error> {
    let index = |name: Option<String>| {
        let options = IndexOptions::builder().collation(exact()).name(name).build();
        IndexModel::builder().keys(MongoStore::newest_first()).options(options).build()
    };
    let made = match characters.create_index(index(None)).await {
        Err(error) if matches!(&*error.kind, ErrorKind::Command(command) if command.code == NAME_TAKEN) => {
            characters.create_index(index(Some("octavo_newest_first".to_owned()))).await
        }
        other => other,
    };
    made.map(drop)
}
