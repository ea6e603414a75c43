//! What an admin sees of a dead letter's data: no token, and long texts shortened.

use serde_json::Value;

use crate::json::Json;

/// The most characters shown of a text.
const CHARS: usize = 200;

/// The data of a job: as JSON, or as text when it is not JSON. With `full`, long texts are not shortened.
pub(super) fn shown(data: &[u8], full: bool) -> Value {
    let limit = if full { usize::MAX } else { CHARS };
    match serde_json::from_slice(data) {
        Ok(Json(mut value)) => {
            redact(&mut value, limit);
            value
        }
        Err(_) => Value::String(shortened(&without_tokens(&String::from_utf8_lossy(data)), limit)),
    }
}

fn redact(value: &mut Value, limit: usize) {
    match value {
        Value::String(text) => *text = shortened(text, limit),
        Value::Array(values) => values.iter_mut().for_each(|value| redact(value, limit)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "Token" {
                    *value = Value::String("(not shown)".to_owned());
                } else {
                    redact(value, limit);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// Replaces every word that begins as all JWTs do.
fn without_tokens(mut text: &str) -> String {
    let mut kept = String::new();
    while let Some((before, token)) = text.split_once("eyJ") {
        kept = kept + before + "(not shown)";
        text = token.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_.".contains(c));
    }
    kept + text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_token_is_shown_and_of_long_texts_the_beginning() {
        let long = "x".repeat(1000);
        let data = json!({ "Id": "ada", "Token": "eyJhbGci.e30.x", "Image": long, "n": [1, { "Token": 7 }] });
        let data = data.to_string();
        let hidden = json!({ "Id": "ada", "Token": "(not shown)", "Image": long, "n": [1, { "Token": "(not shown)" }] });
        assert_eq!(shown(data.as_bytes(), true), hidden);
        let image = shown(data.as_bytes(), false)["Image"].as_str().unwrap().to_owned();
        assert_eq!(image, format!("{}… (1000 bytes)", "x".repeat(200)));
    }

    #[test]
    fn data_that_would_overflow_the_stack_is_shown() {
        let data = format!(r#"{{"Token": 1, "Filter": {}}}"#, crate::json::tests::nested());
        assert_eq!(shown(data.as_bytes(), false)["Token"], "(not shown)");
    }

    #[test]
    fn data_that_is_no_json_is_shown_as_text_without_tokens() {
        let broken = br#"{"Id": "ada", "Token": "eyJhbGci.eyJJZCI6.s-_x", "Name": "#;
        assert_eq!(shown(broken, false), json!(r#"{"Id": "ada", "Token": "(not shown)", "Name": "#));
        assert_eq!(shown(b"\x00\xff", false), json!("\u{0}\u{fffd}"));
    }
}
