//! What MongoDB says about itself: whether an acknowledged effect lasts.

use mongodb::{
    bson::Document,
    options::{Acknowledgment, ClientOptions},
};

use crate::cli::doctor::report::Check;

/// Judged by `buildInfo`.
pub(super) fn version(info: &Document) -> Check {
    const NAME: &str = "mongodb.version";
    let version = info.get_str("version").unwrap_or_default();
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(6..), _) => Check::ok(NAME, version),
        (Some(5), _) | (Some(4), Some(4..)) => Check::warning(
            NAME,
            format!("{version} works, but is no longer maintained"),
            "upgrade to 7 or newer",
        ),
        (Some(_), _) => Check::failure(NAME, format!("{version} is too old"), "4.4 is needed: upgrade to 7"),
        (None, _) => Check::warning(NAME, "cannot be checked: it names no version", "4.4 or newer is needed"),
    }
}

/// How many servers keep the characters, judged by `hello`.
pub(super) fn deployment(hello: &Document) -> Check {
    const NAME: &str = "mongodb.deployment";
    const SET: &str = "run a replica set of three members, and name them and replicaSet=… in MONGODB_URI";
    let Ok(set) = hello.get_str("setName") else {
        if hello.get_str("msg").is_ok_and(|message| message == "isdbgrid") {
            return Check::ok(NAME, "a sharded cluster");
        }
        let found = "a standalone server: jobs wait while it is away, and what its disk loses is gone";
        return Check::warning(NAME, found, SET);
    };
    if !hello.get_bool("isWritablePrimary").unwrap_or_default() {
        let found = format!("a secondary of the replica set {set}: nothing can be written");
        let advice = "name all members in MONGODB_URI, and leave directConnection out";
        return Check::failure(NAME, found, advice);
    }
    match hello.get_array("hosts").map_or(1, Vec::len) {
        1 => {
            let found = format!("the replica set {set} has one member: jobs wait while it is away");
            Check::warning(NAME, found, SET)
        }
        members => Check::ok(NAME, format!("the replica set {set} of {members} members")),
    }
}

/// What the URI changes about our write concern, which is majority and journaled.
pub(super) fn write_concern(options: &ClientOptions, hello: &Document) -> Check {
    const NAME: &str = "mongodb.write_concern";
    let concern = options.write_concern.clone().unwrap_or_default();
    let alone = hello.get_str("setName").is_err();
    let journaled = concern.journal.unwrap_or(concern.w == Some(Acknowledgment::Majority));
    match concern.w {
        Some(Acknowledgment::Nodes(0)) => Check::failure(
            NAME,
            "w=0: an effect may fail although its user is told that it is done",
            "take w out of MONGODB_URI",
        ),
        Some(Acknowledgment::Nodes(1)) if !alone => Check::warning(
            NAME,
            "w=1: a failover can undo an effect that was reported to its user",
            "take w out of MONGODB_URI: octavo asks for the majority",
        ),
        _ if !journaled => Check::warning(
            NAME,
            "not journaled: a power cut can undo an effect that was reported to its user",
            "take w and journal out of MONGODB_URI: octavo asks for both",
        ),
        w => Check::ok(NAME, format!("{}, journaled", w.map_or("the server's default".to_owned(), word))),
    }
}

fn word(w: Acknowledgment) -> String {
    match w {
        Acknowledgment::Majority => "majority".to_owned(),
        Acknowledgment::Nodes(nodes) => format!("w={nodes}"),
        Acknowledgment::Custom(name) => format!("w={name}"),
        _ => "as the URI says".to_owned(),
    }
}
