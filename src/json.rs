//! JSON from outside whose shape is not known beforehand.
//!
//! With its feature `raw_value`, `serde_json` reads an object whose first key is `$serde_json::private::RawValue` into a
//! [`Value`] by parsing that key's text again, with a fresh limit of 128 levels: 80 texts inside each other, 84 kB, overflow
//! the stack. [`Json`] reads the same texts, and that key is a key like any other: nothing from outside is
//! read into a `Value` itself.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// The key that `serde_json` takes for an instruction.
const PRIVATE_KEY: &str = "$serde_json::private::RawValue";

/// Any JSON value, at most 128 levels deep. A number that has no finite `f64` is null.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Json(pub(crate) Value);

impl Json {
    /// Whether an object in it has the key that `serde_json` takes for an instruction: it must not be given to a library
    /// that reads a [`Value`] from it.
    pub(crate) fn has_private_key(&self) -> bool {
        has_private_key(&self.0)
    }
}

/// At most 128 levels deep, as everything that is read.
fn has_private_key(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(has_private_key),
        Value::Object(fields) => {
            fields.iter().any(|(key, value)| key == PRIVATE_KEY || has_private_key(value))
        }
        _ => false,
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(AnyValue)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key()? {
            fields.insert(key, map.next_value_seed(AnyValue)?);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Texts of many brackets inside each other, each of which `serde_json` would parse with a fresh limit: 84 kB.
    pub(crate) fn nested() -> String {
        let quoted = |text: &str| text.replace('\\', "\\u005c").replace('"', "\\u0022");
        let brackets = |inside: &str| format!("{}{inside}{}", "[".repeat(120), "]".repeat(120));
        (0..80)
            .fold("1".to_owned(), |text, _| brackets(&format!("{{\"{PRIVATE_KEY}\":\"{}\"}}", quoted(&text))))
    }

    #[test]
    fn the_private_key_of_serde_json_is_a_key_like_any_other() {
        let Json(value) = serde_json::from_str(&nested()).unwrap();
        let innermost = (0..120).fold(&value, |value, _| &value[0]);
        assert!(innermost[PRIVATE_KEY].as_str().unwrap().starts_with("[[["));
    }

    #[test]
    fn everything_else_is_read_as_serde_json_reads_it() {
        for text in [
            "null",
            "true",
            "-7",
            "18446744073709551615",
            "1.5e3",
            r#""\u00e1""#,
            "[]",
            "{}",
            r#"{"a": [1, {"b": null}], "a": 2, "": [[]]}"#,
        ] {
            let read: Json = serde_json::from_str(text).unwrap();
            assert_eq!(read.0, serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
        for text in ["", "[", "{\"a\"}", "1e999", &"[".repeat(129)] {
            assert!(serde_json::from_str::<Json>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_private_key_is_found_at_any_depth() {
        let has = |text: &str| serde_json::from_str::<Json>(text).unwrap().has_private_key();
        assert!(has(&format!("[{{\"a\": 1, \"{PRIVATE_KEY}\": 2}}]")));
        assert!(has(r#"{"a": {"\u0024serde_json::private::RawValue": ""}}"#));
        assert!(!has(&format!("{{\"a\": \"{PRIVATE_KEY}\"}}")));
    }
}
