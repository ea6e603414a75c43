//! The filter of a read: one typed structure, which each store translates.
//!
//! Allowed are `_id`, `Name`, `Description` and `User_Id`, each equal to a string, `{"$eq": …}` or `{"$in": […]}`.
//! Everything else in MongoDB's language is refused.

use mongodb::bson::oid::ObjectId;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::{json::Json, pipeline::FieldError};

const MAX_VALUES: usize = 100;

const MAX_ERRORS: usize = 20;

/// Conditions that must all hold. Whose characters are read is not one of them: always the caller's.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CharacterFilter(pub Vec<Condition>);

/// One field has one of several values.
#[derive(Debug, PartialEq, Eq)]
pub enum Condition {
    /// `_id`.
    Id(Vec<ObjectId>),
    /// A text field.
    Text(Field, Vec<String>),
}

/// A text field that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of Character")]
pub enum Field {
    Name,
    Description,
    User,
}

impl Field {
    /// Its name in the collection.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::Description => "Description",
            Self::User => "User_Id",
        }
    }
}

impl CharacterFilter {
    /// Checks a filter as browsers build it.
    ///
    /// # Errors
    /// The fields that are not allowed, as `Filter.<field>`; only the first few if there are very many.
    pub(super) fn parse(filter: Option<Json>) -> Result<Self, Vec<FieldError>> {
        let Some(Json(filter)) = filter else { return Ok(Self::default()) };
        let Value::Object(fields) = filter else {
            return Err(vec![FieldError::new("Filter", "must be an object")]);
        };
        let (mut conditions, mut wrong) = (Vec::new(), Vec::new());
        for (field, value) in fields {
            match condition(&field, value) {
                Ok(condition) => conditions.push(condition),
                Err(error) if wrong.len() < MAX_ERRORS => wrong.push(error),
                Err(_) => break,
            }
        }
        if wrong.is_empty() { Ok(Self(conditions)) } else { Err(wrong) }
    }
}

fn condition(field: &str, value: Value) -> Result<Condition, FieldError> {
    let wrong = |message: &str| FieldError::new(format!("Filter.{field}"), message);
    let text = match field {
        "_id" => None,
        "Name" => Some(Field::Name),
        "Description" => Some(Field::Description),
        "User_Id" => Some(Field::User),
        _ => return Err(wrong("is not allowed; _id, Name, Description and User_Id are")),
    };
    let values = values(value)
        .ok_or_else(|| wrong("must be a string, {\"$eq\": string} or {\"$in\": [up to 100 strings]}"))?;
    if let Some(text) = text {
        return Ok(Condition::Text(text, values));
    }
    let ids = values.iter().map(ObjectId::parse_str).collect::<Result<_, _>>();
    ids.map(Condition::Id).map_err(|_| wrong("must be 24 hexadecimal digits"))
}

fn values(value: Value) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Values {
        One(String),
        Operator(Operator),
    }
    #[derive(Deserialize)]
    enum Operator {
        #[serde(rename = "$eq")]
        Eq(String),
        #[serde(rename = "$in")]
        In(Vec<String>),
    }
    match serde_json::from_value(value).ok()? {
        Values::One(value) | Values::Operator(Operator::Eq(value)) => Some(vec![value]),
        Values::Operator(Operator::In(values)) => (values.len() <= MAX_VALUES).then_some(values),
    }
}

/// Written in a form that [`CharacterFilter::parse`] accepts: `{"Name": {"$in": ["Aria"]}}`.
impl Serialize for CharacterFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct In<T> {
            #[serde(rename = "$in")]
            values: T,
        }
        serializer.collect_map(self.0.iter().map(|condition| match condition {
            Condition::Id(ids) => ("_id", In { values: ids.iter().map(|id| id.to_hex()).collect() }),
            Condition::Text(field, values) => (field.name(), In { values: values.clone() }),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<CharacterFilter, String> {
        CharacterFilter::parse(Some(serde_json::from_str(json).unwrap()))
            .map_err(|wrong| wrong[0].field.clone())
    }

    #[test]
    fn equality_and_membership_are_allowed() {
        let name = |values: &[&str]| {
            CharacterFilter(vec![Condition::Text(
                Field::Name,
                values.iter().map(|value| (*value).to_owned()).collect(),
            )])
        };
        assert_eq!(parse("{}"), Ok(CharacterFilter::default()));
        assert_eq!(parse(r#"{"Name": "Aria"}"#), Ok(name(&["Aria"])));
        assert_eq!(parse(r#"{"Name": {"$eq": "Aria"}}"#), Ok(name(&["Aria"])));
        assert_eq!(parse(r#"{"Name": {"$in": ["Aria", "Bo"]}}"#), Ok(name(&["Aria", "Bo"])));
        assert!(parse(r#"{"User_Id": "u1", "_id": "0123456789abcdef01234567"}"#).is_ok());
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        for (json, field) in [
            (r#"{"$where": "sleep(1000)"}"#, "Filter.$where"),
            (r#"{"$or": [{"User_Id": "u2"}]}"#, "Filter.$or"),
            (r#"{"Image": "x"}"#, "Filter.Image"),
            (r#"{"Name": {"$regex": ".*"}}"#, "Filter.Name"),
            (r#"{"Name": {"$eq": "a", "$ne": "b"}}"#, "Filter.Name"),
            (r#"{"Name": {"$in": [{"$gt": ""}]}}"#, "Filter.Name"),
            (r#"{"User_Id": {"$ne": "u1"}}"#, "Filter.User_Id"),
            (r#"{"_id": "1"}"#, "Filter._id"),
            (r#""everything""#, "Filter"),
        ] {
            assert_eq!(parse(json), Err(field.to_owned()), "{json}");
        }
    }

    #[test]
    fn a_filter_that_would_overflow_the_stack_is_refused() {
        let nested = crate::json::tests::nested();
        assert_eq!(parse(&format!(r#"{{"Name": {nested}}}"#)), Err("Filter.Name".to_owned()));
        assert_eq!(parse(&nested), Err("Filter".to_owned()));
    }

    #[test]
    fn every_wrong_field_is_named_and_long_names_are_cut() {
        let filter = serde_json::json!({ "$where": 1, "$or": 2, "Name": "Aria", "x".repeat(10_000): 3 });
        let wrong = CharacterFilter::parse(Some(Json(filter))).unwrap_err();
        assert_eq!(wrong.len(), 3);
        assert!(wrong.iter().all(|error| error.field.len() < 200));
    }

    #[test]
    fn what_is_written_is_parsed_again() {
        let filter = parse(r#"{"_id": "0123456789abcdef01234567", "Name": {"$in": ["a", "b"]}}"#).unwrap();
        assert_eq!(parse(&serde_json::to_string(&filter).unwrap()), Ok(filter));
    }
}
