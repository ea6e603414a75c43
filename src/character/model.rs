//! A character as the platform knows it.

use mongodb::bson::{DateTime, oid::ObjectId};
use serde::{Serialize, Serializer, ser::Error};
use sha2::{Digest, Sha256};

use crate::queue::Origin;

/// A character, with the field names of the collection. Serialises to JSON as Mongoose prints a document.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it; the README lists them under \"The jobs\"")]
pub struct Character {
    #[serde(rename = "_id", serialize_with = "hex")]
    pub id: ObjectId,
    #[serde(rename = "Name")]
    pub name: String,
    #[serde(rename = "Description")]
    pub description: String,
    #[serde(rename = "Image")]
    pub image: String,
    #[serde(rename = "Image_Real")]
    pub image_real: String,
    #[serde(rename = "User_Id")]
    pub user: String,
    #[serde(rename = "createdAt", serialize_with = "iso8601")]
    pub created_at: DateTime,
    #[serde(rename = "updatedAt", serialize_with = "iso8601")]
    pub updated_at: DateTime,
}

/// What an update changes; at least one field is present.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of Character")]
pub struct Changes {
    pub name: Option<String>,
    pub description: Option<String>,
    pub image: Option<String>,
    pub image_real: Option<String>,
}

impl Changes {
    /// The changed fields, with their names in the collection.
    pub fn into_fields(self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("Name", self.name),
            ("Description", self.description),
            ("Image", self.image),
            ("Image_Real", self.image_real),
        ]
        .into_iter()
        .filter_map(|(field, value)| value.map(|value| (field, value)))
    }
}

/// What a job marks its effect with: 4 bytes of its time in seconds, 8 bytes of a hash of its queue, time and id. It is
/// the id of the character that a create makes, and the mark of an update or a delete; a second run has the same one.
#[must_use]
pub fn id_of(job: &Origin<'_>) -> ObjectId {
    let mut hash = Sha256::new();
    hash.update(job.queue.as_bytes());
    hash.update([0]);
    hash.update(job.created_ms.to_be_bytes());
    hash.update(job.id.as_bytes());
    let seconds = u32::try_from(job.created_ms / 1000).unwrap_or(0);
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    bytes[4..].copy_from_slice(&hash.finalize()[..8]);
    ObjectId::from_bytes(bytes)
}

fn hex<S: Serializer>(id: &ObjectId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&id.to_hex())
}

/// The years 0 to 9999, in milliseconds since 1970.
const YEARS: (i64, i64) = (-62_167_219_200_000, 253_402_300_799_999);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn iso8601<S: Serializer>(at: &DateTime, serializer: S) -> Result<S::Ok, S::Error> {
    // A date from another writer may be out of range; the nearest date that can be written stands in for it.
    let millis = at.timestamp_millis().clamp(YEARS.0, YEARS.1);
    let text =
        crate::iso8601::iso8601(millis).ok_or_else(|| S::Error::custom("a time that cannot be written"))?;
    serializer.serialize_str(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_looks_as_mongoose_prints_it() {
        let character = Character {
            id: ObjectId::parse_str("0123456789abcdef01234567").unwrap(),
            name: "Aria".into(),
            description: "A ranger".into(),
            image: "i".into(),
            image_real: "r".into(),
            user: "u1".into(),
            created_at: DateTime::from_millis(1_700_000_000_000),
            updated_at: DateTime::from_millis(1_700_000_000_050),
        };
        assert_eq!(
            serde_json::to_string(&character).unwrap(),
            r#"{"_id":"0123456789abcdef01234567","Name":"Aria","Description":"A ranger","Image":"i","Image_Real":"r","User_Id":"u1","createdAt":"2023-11-14T22:13:20.000Z","updatedAt":"2023-11-14T22:13:20.050Z"}"#
        );
    }

    #[test]
    fn a_date_that_cannot_be_written_does_not_hide_the_character() {
        let shown = |millis| {
            let mut text = Vec::new();
            let mut serializer = serde_json::Serializer::new(&mut text);
            iso8601(&DateTime::from_millis(millis), &mut serializer).unwrap();
            String::from_utf8(text).unwrap()
        };
        assert_eq!(shown(i64::MAX), "\"9999-12-31T23:59:59.999Z\"");
        assert_eq!(shown(i64::MIN), "\"0000-01-01T00:00:00.000Z\"");
    }

    #[test]
    fn a_jobs_id_is_its_own_and_stays_the_same() {
        let job =
            Origin { queue: "Create_Character", id: "a", created_ms: 1_700_000_000_123, sole_until_ms: 1 };
        assert_eq!(id_of(&job), id_of(&Origin { sole_until_ms: 0, ..job }));
        assert_ne!(id_of(&job), id_of(&Origin { id: "b", ..job }));
        assert_ne!(id_of(&job), id_of(&Origin { created_ms: 1_700_000_000_124, ..job }));
        assert_eq!(id_of(&job).timestamp().timestamp_millis(), 1_700_000_000_000);
    }
}
