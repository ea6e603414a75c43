//! Turns a job's data into a typed [`Command`], and back; every wrong field is named.

use super::{filter::CharacterFilter, model::Changes, text::Text};
use crate::pipeline::{FieldError, Invalid, Request};
use mongodb::bson::oid::ObjectId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What a job asks for.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Make a character.
    Create(NewCharacter),
    /// Read the newest ones.
    Read(CharacterFilter),
    /// Change one.
    Update(ObjectId, Changes),
    /// Delete one.
    Delete(ObjectId),
}

/// The fields of a character to make.
#[derive(Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of Character")]
pub struct NewCharacter {
    pub name: String,
    pub description: String,
    pub image: String,
    pub image_real: String,
}

/// The data of a job of any of the four queues, as received.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Data<'a> {
    id: Text,
    token: Text,
    name: Text,
    description: Text,
    image: Text,
    #[serde(rename = "Image_Real")]
    image_real: Text,
    #[serde(rename = "Id_Character")]
    id_character: Text,
    #[serde(borrow)]
    filter: Option<&'a RawValue>,
}

/// Parses the data of a job of `queue`.
///
/// # Errors
/// All wrong fields, with the user's id if it is known.
pub(super) fn parse(queue: &str, data: &[u8]) -> Result<Request<Command>, Invalid> {
    // serde would accept an array as the fields of a struct.
    if data.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Invalid::data("must be a JSON object"));
    }
    let mut data: Data<'_> =
        serde_json::from_slice(data).map_err(|error| Invalid::data(format!("is not valid JSON: {error}")))?;
    let mut fields = Fields::default();
    let id = fields.optional("Id", std::mem::take(&mut data.id));
    let token = match std::mem::take(&mut data.token) {
        Text::Is(token) => Some(token),
        // A token of any other type proves no more than a missing one.
        Text::Missing | Text::Wrong(_) => None,
    };
    match command(queue, data, &mut fields) {
        Some(command) if fields.0.is_empty() => Ok(Request { id, token, command }),
        _ => Err(Invalid { id, token, fields: fields.0 }),
    }
}

fn command(queue: &str, data: Data<'_>, fields: &mut Fields) -> Option<Command> {
    match queue {
        "Create_Character" => {
            let name = fields.required("Name", data.name);
            let description = fields.required("Description", data.description);
            let image = fields.required("Image", data.image);
            let image_real = fields.required("Image_Real", data.image_real);
            Some(Command::Create(NewCharacter {
                name: fields.name(name?)?,
                description: description?,
                image: image?,
                image_real: image_real?,
            }))
        }
        "Read_Character" => CharacterFilter::parse(data.filter)
            .map(Command::Read)
            .map_err(|wrong| fields.0.extend(wrong))
            .ok(),
        "Update_Character" => {
            let id = fields.object_id(data.id_character);
            let name = fields.optional("Name", data.name);
            let changes = Changes {
                name: name.and_then(|name| fields.name(name)),
                description: fields.optional("Description", data.description),
                image: fields.optional("Image", data.image),
                image_real: fields.optional("Image_Real", data.image_real),
            };
            if fields.0.is_empty() && changes == Changes::default() {
                fields.add(FieldError::new(
                    "data",
                    "changes nothing: give Name, Description, Image or Image_Real",
                ));
            }
            Some(Command::Update(id?, changes))
        }
        "Delete_Character" => fields.object_id(data.id_character).map(Command::Delete),
        _ => {
            fields.add(FieldError::new("queue", "is not a character queue"));
            None
        }
    }
}

/// The wrong fields found so far.
#[derive(Default)]
struct Fields(Vec<FieldError>);

impl Fields {
    fn add(&mut self, error: FieldError) {
        self.0.push(error);
    }

    fn required(&mut self, field: &'static str, text: Text) -> Option<String> {
        if text == Text::Missing {
            self.add(FieldError::new(field, "is missing"));
        }
        self.optional(field, text)
    }

    fn optional(&mut self, field: &'static str, text: Text) -> Option<String> {
        match text {
            Text::Is(text) => Some(text),
            Text::Missing => None,
            Text::Wrong(kind) => {
                self.add(FieldError::new(field, format!("must be a string, is {kind}")));
                None
            }
        }
    }

    fn name(&mut self, name: String) -> Option<String> {
        if name.trim().is_empty() {
            self.add(FieldError::new("Name", "must not be empty"));
            return None;
        }
        Some(name)
    }

    fn object_id(&mut self, text: Text) -> Option<ObjectId> {
        let text = self.required("Id_Character", text)?;
        let id = ObjectId::parse_str(&text).ok();
        if id.is_none() {
            self.add(FieldError::new("Id_Character", "must be 24 hexadecimal digits"));
        }
        id
    }
}

/// Writes `command` as the data of a job of `user`, as one of the platform's producers would.
pub(super) fn encode(command: &Command, user: &str, token: &str) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Default, Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Out<'a> {
        id: &'a str,
        token: &'a str,
        #[serde(rename = "Id_Character", skip_serializing_if = "Option::is_none")]
        id_character: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        image: Option<&'a str>,
        #[serde(rename = "Image_Real", skip_serializing_if = "Option::is_none")]
        image_real: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        filter: Option<&'a CharacterFilter>,
    }
    let out = Out { id: user, token, ..Out::default() };
    serde_json::to_vec(&match command {
        Command::Create(new) => Out {
            name: Some(&new.name),
            description: Some(&new.description),
            image: Some(&new.image),
            image_real: Some(&new.image_real),
            ..out
        },
        Command::Read(filter) => Out { filter: Some(filter), ..out },
        Command::Update(id, changes) => Out {
            id_character: Some(id.to_hex()),
            name: changes.name.as_deref(),
            description: changes.description.as_deref(),
            image: changes.image.as_deref(),
            image_real: changes.image_real.as_deref(),
            ..out
        },
        Command::Delete(id) => Out { id_character: Some(id.to_hex()), ..out },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(queue: &str, data: &str) -> Vec<String> {
        let invalid = parse(queue, data.as_bytes()).unwrap_err();
        invalid.fields.iter().map(|error| format!("{} {}", error.field, error.message)).collect()
    }

    #[test]
    fn a_create_names_every_wrong_field() {
        assert_eq!(
            wrong(
                "Create_Character",
                r#"{"Id": "u1", "Name": {"$gt": ""}, "Description": 7, "Image": null}"#
            ),
            [
                "Name must be a string, is an object",
                "Description must be a string, is a number",
                "Image must be a string, is null",
                "Image_Real is missing",
            ]
        );
        assert_eq!(
            wrong("Create_Character", r#"{"Name": " ", "Description": "", "Image": "", "Image_Real": ""}"#),
            ["Name must not be empty"]
        );
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for data in ["null", "7", "[]", r#"["u1", "token"]"#, r#""text""#, ""] {
            assert_eq!(wrong("Read_Character", data), ["data must be a JSON object"], "{data}");
        }
        assert!(wrong("Read_Character", "{not json}")[0].starts_with("data is not valid JSON"));
    }

    #[test]
    fn an_update_needs_an_id_and_a_change() {
        assert_eq!(wrong("Update_Character", r#"{"Name": "Aria"}"#), ["Id_Character is missing"]);
        assert_eq!(
            wrong("Update_Character", r#"{"Id_Character": "0123456789abcdef01234567"}"#),
            ["data changes nothing: give Name, Description, Image or Image_Real"]
        );
        assert_eq!(
            wrong("Delete_Character", r#"{"Id_Character": "1"}"#),
            ["Id_Character must be 24 hexadecimal digits"]
        );
    }

    #[test]
    fn the_user_is_known_even_when_the_rest_is_wrong() {
        assert_eq!(parse("Create_Character", br#"{"Id": "u1"}"#).unwrap_err().id.as_deref(), Some("u1"));
        assert_eq!(parse("Create_Character", br#"{"Id": 1}"#).unwrap_err().id, None);
    }

    #[test]
    fn what_is_encoded_is_parsed_again() {
        let id = ObjectId::parse_str("0123456789abcdef01234567").unwrap();
        let new = |name: &str| NewCharacter {
            name: name.into(),
            description: "d".into(),
            image: "i".into(),
            image_real: "r".into(),
        };
        for (queue, command) in [
            ("Create_Character", Command::Create(new("Aria"))),
            ("Read_Character", Command::Read(CharacterFilter::default())),
            (
                "Update_Character",
                Command::Update(id, Changes { image: Some("x".into()), ..Changes::default() }),
            ),
            ("Delete_Character", Command::Delete(id)),
        ] {
            let data = encode(&command, "u1", "t").unwrap();
            let request = parse(queue, &data).unwrap();
            assert_eq!((request.id.as_deref(), request.token.as_deref()), (Some("u1"), Some("t")));
            assert_eq!(request.command, command);
        }
    }
}
