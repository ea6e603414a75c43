//! What our user may do with the collection, and whether the index is there that reads need.

use futures_util::TryStreamExt;
use mongodb::{
    Database,
    bson::{Bson, Document, doc},
    error::{Error, ErrorKind},
};

use super::{Unanswered, command, run};
use crate::{
    character::store::{COLLECTION, MongoStore},
    cli::doctor::report::Check,
};

/// What the service does, as MongoDB's actions.
const NEEDED: [&str; 5] = ["find", "insert", "update", "remove", "createIndex"];

/// MongoDB's codes for what our user may not do, and for a collection that is not there.
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
        // Without access control that is all; with it, the index, which is looked at next, says so.
        return Ok(Check::ok(NAME, "MONGODB_URI signs nobody in"));
    };
    let user = user.get_str("user").unwrap_or_default();
    let granted: Vec<&str> = list("authenticatedUserPrivileges")
        .iter()
        .filter_map(Bson::as_document)
        .filter(|privilege| is_ours(privilege, database.name()))
        .filter_map(|privilege| privilege.get_array("actions").ok())
        .flat_map(|actions| actions.iter().filter_map(Bson::as_str))
        .collect();
    let missing: Vec<_> = NEEDED
        .into_iter()
        .filter(|action| !granted.contains(action) && !granted.contains(&"anyAction"))
        .collect();
    if missing.is_empty() {
        return Ok(Check::ok(NAME, format!("{user} may read and write {}.{COLLECTION}", database.name())));
    }
    let found = format!("{user} lacks {} on {}.{COLLECTION}", missing.join(", "), database.name());
    let advice = format!(
        "in mongosh: db.grantRolesToUser(\"{user}\", [{{ role: \"readWrite\", db: \"{}\" }}])",
        database.name()
    );
    Ok(Check::failure(NAME, found, advice))
}

/// Whether a privilege is for our collection; an empty name stands for all.
fn is_ours(privilege: &Document, database: &str) -> bool {
    let Ok(resource) = privilege.get_document("resource") else { return false };
    let fits = |field, name| resource.get_str(field).is_ok_and(|given| given.is_empty() || given == name);
    resource.get_bool("anyResource").unwrap_or_default()
        || fits("db", database) && fits("collection", COLLECTION)
}

/// Whether reads of a user's newest characters need not look at everybody's.
pub(super) async fn index(database: &Database) -> Result<Check, Unanswered> {
    const NAME: &str = "mongodb.index";
    let characters = database.collection::<Document>(COLLECTION);
    let list = characters.clone();
    let listed = run(async move { list.list_indexes().await?.try_collect::<Vec<_>>().await }).await;
    let indexes = match listed {
        Ok(indexes) => indexes,
        Err(Unanswered::Failed(error)) if code(&error) == Some(NAMESPACE_NOT_FOUND) => Vec::new(),
        Err(Unanswered::Failed(error)) if code(&error) == Some(UNAUTHORIZED) => {
            let found = format!("{COLLECTION} cannot be looked at: {}", error.kind);
            let advice = "give MONGODB_URI a user with the role readWrite on its database";
            return Ok(Check::failure(NAME, found, advice));
        }
        Err(error) => return Err(error),
    };
    if indexes.iter().any(|index| is_newest_first(&index.keys)) {
        return Ok(Check::ok(NAME, format!("{COLLECTION} has it: a user's newest first")));
    }
    let documents = run(async move { characters.estimated_document_count().await }).await?;
    if documents == 0 {
        return Ok(Check::ok(NAME, "not there yet, nor any character; the first start makes it"));
    }
    Ok(Check::warning(
        NAME,
        format!("missing, with {documents} characters: the next start makes it, and waits for it"),
        format!("make it before, in mongosh: db.{COLLECTION}.createIndex({})", MongoStore::newest_first()),
    ))
}

/// The same fields in the same order and directions; another client may have written them as other numbers.
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
