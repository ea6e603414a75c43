//! What our user may do with the collections, and whether the index that reads need exists.

use futures_util::TryStreamExt;
use mongodb::{
    Database,
    bson::{Bson, Document, doc},
    error::{Error, ErrorKind},
};

use super::{Unanswered, command, run};
use crate::{
    character::store::{COLLECTION, MongoStore, TOMBSTONES},
    cli::doctor::report::Check,
};

/// What the service does in each collection, as MongoDB actions; MongoDB itself removes the tombstones.
const NEEDED: [(&str, &[&str]); 2] = [
    (COLLECTION, &["find", "insert", "update", "remove", "createIndex"]),
    (TOMBSTONES, &["find", "insert", "update", "createIndex"]),
];

/// MongoDB's codes for an action that our user may not take, and for a collection that does not exist.
const UNAUTHORIZED: i32 = 13;
const NAMESPACE_NOT_FOUND: i32 = 26;

/// Whether our user may read and write; nothing is written.
pub(super) async fn privileges(database: &Database) -> Result<Check, Unanswered> {
    const NAME: &str = "mongodb.privileges";
    let asked = doc! { "connectionStatus": 1, "showPrivileges": true };
    let status = command(database, asked).await?;
    let info = status.get_document("authInfo").cloned().unwrap_or_default();
    let list = |name| info.get_array(name).map(Vec::as_slice).unwrap_or_default();
    let Some(user) = list("authenticatedUsers").first().and_then(Bson::as_document) else {
        // Without access control there is nothing more to check; with it, the index check, which follows, fails.
        return Ok(Check::ok(NAME, "MONGODB_URI does not sign in as a user"));
    };
    let user = user.get_str("user").unwrap_or_default();
    let granted: Vec<_> = list("authenticatedUserPrivileges").iter().filter_map(Bson::as_document).collect();
    let lacks = |(collection, needed): (&str, &[&str])| {
        let missing = missing(&granted, database.name(), collection, needed);
        (!missing.is_empty()).then(|| format!("{} on {}.{collection}", missing.join(", "), database.name()))
    };
    let missing: Vec<_> = NEEDED.into_iter().filter_map(lacks).collect();
    if missing.is_empty() {
        let both = format!("{user} may read and write {COLLECTION} and {TOMBSTONES} of {}", database.name());
        return Ok(Check::ok(NAME, both));
    }
    let found = format!("{user} lacks {}", missing.join(", and "));
    let advice = format!(
        "in mongosh: db.grantRolesToUser(\"{user}\", [{{ role: \"readWrite\", db: \"{}\" }}]); or the smaller role of \
         docs/security.md",
        database.name()
    );
    Ok(Check::failure(NAME, found, advice))
}

/// The actions `needed` in a collection that no privilege grants.
fn missing<'n>(
    privileges: &[&Document],
    database: &str,
    collection: &str,
    needed: &[&'n str],
) -> Vec<&'n str> {
    let granted: Vec<_> = privileges
        .iter()
        .filter(|privilege| is_for(privilege, database, collection))
        .filter_map(|privilege| privilege.get_array("actions").ok())
        .flat_map(|actions| actions.iter().filter_map(Bson::as_str))
        .collect();
    let is_granted = |action: &str| granted.contains(&action) || granted.contains(&"anyAction");
    needed.iter().copied().filter(|action| !is_granted(action)).collect()
}

/// Whether a privilege applies to a collection; an empty name stands for all.
fn is_for(privilege: &Document, database: &str, collection: &str) -> bool {
    let Ok(resource) = privilege.get_document("resource") else { return false };
    let fits = |field, name| resource.get_str(field).is_ok_and(|given| given.is_empty() || given == name);
    resource.get_bool("anyResource").unwrap_or_default()
        || fits("db", database) && fits("collection", collection)
}

/// Whether reads of a user's newest characters avoid examining everybody's.
pub(super) async fn index(database: &Database) -> Result<Check, Unanswered> {
    const NAME: &str = "mongodb.index";
    let characters = database.collection::<Document>(COLLECTION);
    let list = characters.clone();
    let listed = run(async move { list.list_indexes().await?.try_collect::<Vec<_>>().await }).await;
    let indexes = match listed {
        Ok(indexes) => indexes,
        Err(Unanswered::Failed(error)) if code(&error) == Some(NAMESPACE_NOT_FOUND) => Vec::new(),
        Err(Unanswered::Failed(error)) if code(&error) == Some(UNAUTHORIZED) => {
            let found = format!("the indexes of {COLLECTION} cannot be listed: {}", error.kind);
            let advice = "give MONGODB_URI a user with the role readWrite on its database";
            return Ok(Check::failure(NAME, found, advice));
        }
        Err(error) => return Err(error),
    };
    if indexes.iter().any(|index| is_newest_first(&index.keys)) {
        return Ok(Check::ok(NAME, format!("{COLLECTION} has it: each user's characters, newest first")));
    }
    let documents = run(async move { characters.estimated_document_count().await }).await?;
    if documents == 0 {
        return Ok(Check::ok(NAME, "not there yet, and no characters either; the first start makes it"));
    }
    Ok(Check::warning(
        NAME,
        format!("missing, with {documents} characters: the next start makes it, and waits for that"),
        format!("make it first, in mongosh: db.{COLLECTION}.createIndex({})", MongoStore::newest_first()),
    ))
}

/// The same fields in the same order and directions; another client may have written the directions as other number types.
fn is_newest_first(keys: &Document) -> bool {
    let ascending = |value: &Bson| match value {
        Bson::Int32(number) => Some(*number > 0),
        Bson::Int64(number) => Some(*number > 0),
        Bson::Double(number) => Some(*number > 0.0),
        _ => None,
    };
    let directions = |keys: &Document| -> Vec<_> {
        keys.iter().map(|(field, value)| (field.clone(), ascending(value))).collect()
    };
    directions(keys) == directions(&MongoStore::newest_first())
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}
