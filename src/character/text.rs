//! A field of a job's data that should be a string.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// A string, or what stands in its place. Anything else is noted, but is not an error yet, so that all wrong fields can
/// be reported.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Text {
    #[default]
    Missing,
    Is(String),
    Wrong(&'static str),
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text::Is(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Text, E> {
                Ok(Text::Is(text))
            }
            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text::Wrong("null"))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
                Ok(Text::Wrong("a boolean"))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Text, E> {
                Ok(Text::Wrong("a number"))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Text, E> {
                Ok(Text::Wrong("a number"))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Text, E> {
                Ok(Text::Wrong("a number"))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text::Wrong("an array"))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text::Wrong("an object"))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}
