//! The filter of a read: one typed structure, which each store translates.
//!
//! Allowed are `_id`, `Name`, `Description` and `User_Id`, each equal to a string, `{"$eq": …}` or `{"$in": […]}`.
//! Everything else in MongoDB's language is refused.

use std::fmt;

use mongodb::bson::oid::ObjectId;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::pipeline::FieldError;

/// The longest text of a filter, in bytes: a hundred ids of 24 digits have 3 kB.
const MAX_BYTES: usize = 64 << 10;

/// The most strings after `$in`.
const MAX_VALUES: usize = 100;

/// The most mistakes that are told.
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

impl Condition {
    /// The name of its field in the collection.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Id(_) => "_id",
            Self::Text(field, _) => field.name(),
        }
    }
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
    /// Checks a filter as browsers build it; no filter selects all.
    ///
    /// # Errors
    /// The fields that are not allowed, as `Filter.<field>`; only the first few if there are very many.
    pub fn parse(filter: Option<&RawValue>) -> Result<Self, Vec<FieldError>> {
        let Some(filter) = filter.map(RawValue::get) else { return Ok(Self::default()) };
        let wrong = |message: String| vec![FieldError::new("Filter", message)];
        if filter.len() > MAX_BYTES {
            return Err(wrong(format!("must not be longer than {MAX_BYTES} bytes, is {}", filter.len())));
        }
        if !filter.starts_with('{') {
            return Err(wrong("must be an object".to_owned()));
        }
        let checked = serde_json::from_str(filter);
        let Checked(checked) = checked.map_err(|error| wrong(format!("is not valid JSON: {error}")))?;
        checked
    }
}

/// A filter read in one pass, without a tree of what it should not contain; or the mistakes in it.
struct Checked(Result<CharacterFilter, Vec<FieldError>>);

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Checked;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Checked, A::Error> {
                let mut conditions = Vec::<Condition>::new();
                let mut wrong = Vec::new();
                while wrong.len() < MAX_ERRORS
                    && let Some(field) = map.next_key::<String>()?
                {
                    match condition(&field, map.next_value::<&RawValue>()?) {
                        Ok(new) => {
                            // Of a field that is there twice, the last one counts, as in any map.
                            conditions.retain(|condition| condition.field() != new.field());
                            conditions.push(new);
                        }
                        Err(error) => wrong.push(error),
                    }
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Checked(if wrong.is_empty() { Ok(CharacterFilter(conditions)) } else { Err(wrong) }))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

fn condition(field: &str, value: &RawValue) -> Result<Condition, FieldError> {
    let wrong = |message: &str| FieldError::new(format!("Filter.{field}"), message);
    let text = match field {
        "_id" => None,
        "Name" => Some(Field::Name),
        "Description" => Some(Field::Description),
        "User_Id" => Some(Field::User),
        _ => return Err(wrong("is not allowed; _id, Name, Description and User_Id are")),
    };
    let values = values(value.get())
        .ok_or_else(|| wrong("must be a string, {\"$eq\": string} or {\"$in\": [up to 100 strings]}"))?;
    if let Some(text) = text {
        return Ok(Condition::Text(text, values));
    }
    let ids = values.iter().map(ObjectId::parse_str).collect::<Result<_, _>>();
    ids.map(Condition::Id).map_err(|_| wrong("must be 24 hexadecimal digits"))
}

fn values(value: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    enum Operator {
        #[serde(rename = "$eq")]
        Eq(String),
        #[serde(rename = "$in")]
        In(Vec<String>),
    }
    if value.starts_with('"') {
        return serde_json::from_str(value).ok().map(|value| vec![value]);
    }
    match serde_json::from_str(value).ok()? {
        Operator::Eq(value) => Some(vec![value]),
        Operator::In(values) => (values.len() <= MAX_VALUES).then_some(values),
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
        assert_eq!(parse(&format!(r#"{{"Name": {nested}}}"#)), Err("Filter".to_owned()));
        assert_eq!(parse(&nested), Err("Filter".to_owned()));
    }

    fn mistakes(json: &str) -> Vec<String> {
        let wrong = CharacterFilter::parse(Some(serde_json::from_str(json).unwrap())).unwrap_err();
        wrong.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_wrong_field_is_named_and_long_names_are_cut() {
        let long = "x".repeat(10_000);
        let wrong = mistakes(&format!(r#"{{"$where": 1, "$or": 2, "Name": "Aria", "{long}": 3}}"#));
        assert_eq!(wrong.len(), 3);
        assert!(wrong.iter().all(|error| error.len() < 200), "{wrong:?}");
    }

    #[test]
    fn the_first_mistakes_are_told_and_a_filter_has_an_end() {
        let fields = |count| (0..count).map(|n| format!(r#""f{n}": [[{{}}]]"#)).collect::<Vec<_>>().join(",");
        assert_eq!(mistakes(&format!("{{{}}}", fields(1000))).len(), MAX_ERRORS);
        assert_eq!(mistakes(r#"{"Name": "a", "Name": ["\ud800"]}"#).len(), 1);
        let [long] = &mistakes(&format!("{{{}}}", fields(10_000)))[..] else { panic!("one mistake") };
        assert!(long.starts_with("Filter must not be longer than 65536 bytes"), "{long}");
        let deep = format!(r#"{{"Name": {}{}}}"#, "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(parse(&deep), Err("Filter.Name".to_owned()));
    }

    #[test]
    fn of_a_field_that_is_there_twice_the_last_one_counts() {
        assert_eq!(parse(r#"{"Name": "a", "Name": "b"}"#), parse(r#"{"Name": "b"}"#));
    }

    #[test]
    fn what_is_written_is_parsed_again() {
        let filter = parse(r#"{"_id": "0123456789abcdef01234567", "Name": {"$in": ["a", "b"]}}"#).unwrap();
        assert_eq!(parse(&serde_json::to_string(&filter).unwrap()), Ok(filter));
    }
}
