//! The measured jobs, as the platform's producers write them.

use std::time::Duration;

use clap::ValueEnum;
use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use serde_json::json;

use super::CliError;
use crate::auth::Auth;

/// How long the tokens are valid, as on the platform.
const LIFETIME: Duration = Duration::from_hours(1);

/// How many documents each user has for reads: as many as a read returns.
pub(super) const EACH_READS: usize = 3;

const NAME: &str = "Aria";
const DESCRIPTION: &str = "A brave ranger of the north";

/// What the jobs of one measurement ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Each creates a character.
    Create,
    /// Each reads its user's three characters.
    Read,
    /// Each deletes an existing character.
    Delete,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Delete => "delete",
        }
    }

    pub(super) fn queue(self) -> &'static str {
        match self {
            Self::Create => "Create_Character",
            Self::Read => "Read_Character",
            Self::Delete => "Delete_Character",
        }
    }

    /// How many users own the jobs: one with a long list of them, or many who each read their own.
    pub(super) fn users(self) -> usize {
        if self == Self::Read { 500 } else { 1 }
    }
}

/// A user, and the token that proves it.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub id: String,
    pub token: String,
}

/// `count` users, with tokens signed now.
pub(super) fn users(auth: &Auth, count: usize) -> Result<Vec<User>, CliError> {
    let user = |n| {
        let id = format!("bench-user-{n}");
        Ok(User { token: auth.sign(&id, LIFETIME)?, id })
    };
    (0..count).map(user).collect()
}

/// The jobs of one measurement, and the documents that they need.
pub(super) struct Jobs {
    pub kind: Kind,
    pub users: Vec<User>,
    /// Characters in each of the two images.
    image: usize,
    /// The characters to delete.
    ids: Vec<ObjectId>,
}

impl Jobs {
    /// `count` jobs of `users`, with images of `image` characters.
    pub(super) fn new(kind: Kind, users: Vec<User>, count: usize, image: usize) -> Self {
        let ids = if kind == Kind::Delete { count } else { 0 };
        Self { kind, users, image, ids: (0..ids).map(|_| ObjectId::new()).collect() }
    }

    /// The user who owns job `n`.
    pub(super) fn user(&self, n: usize) -> &User {
        &self.users[n % self.users.len()]
    }

    /// The data of job `n`.
    pub(super) fn data(&self, n: usize) -> String {
        let User { id, token } = self.user(n);
        let data = match self.kind {
            Kind::Create => json!({
                "Id": id, "Token": token, "Name": NAME, "Description": DESCRIPTION,
                "Image": "x".repeat(self.image), "Image_Real": "y".repeat(self.image),
            }),
            Kind::Read => json!({ "Id": id, "Token": token, "Filter": { "User_Id": id } }),
            Kind::Delete => json!({ "Id": id, "Token": token, "Id_Character": self.ids[n].to_hex() }),
        };
        data.to_string()
    }

    /// The documents that must exist beforehand.
    pub(super) fn documents(&self) -> Box<dyn Iterator<Item = Document> + '_> {
        match self.kind {
            Kind::Create => Box::new(std::iter::empty()),
            Kind::Read => {
                let all = 0..self.users.len() * EACH_READS;
                Box::new(all.map(|n| self.document(ObjectId::new(), &self.user(n).id)))
            }
            Kind::Delete => {
                let all = self.ids.iter().enumerate();
                Box::new(all.map(|(n, id)| self.document(*id, &self.user(n).id)))
            }
        }
    }

    /// A character as the platform keeps it.
    pub(super) fn document(&self, id: ObjectId, user: &str) -> Document {
        let now = DateTime::now();
        doc! {
            "_id": id, "Name": NAME, "Description": DESCRIPTION,
            "Image": "x".repeat(self.image), "Image_Real": "y".repeat(self.image),
            "User_Id": user, "createdAt": now, "updatedAt": now,
        }
    }
}
