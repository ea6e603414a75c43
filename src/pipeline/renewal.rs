//! Fresh tokens for old jobs: new data for a job whose token has merely expired since.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::auth::Auth;

/// How long a fresh token is valid, like the platform's own.
const LIFETIME: Duration = Duration::from_hours(1);

#[derive(Deserialize)]
struct Proof<'a> {
    #[serde(rename = "Id")]
    id: String,
    #[serde(borrow, rename = "Token")]
    token: &'a RawValue,
}

/// `data` with a fresh token for the same user, and every other byte as it was. `None` when its token is still valid, or
/// never was.
#[must_use]
pub fn with_fresh_token(data: &[u8], auth: &Auth) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(data).ok().filter(|text| text.trim_start().starts_with('{'))?;
    let Proof { id, token } = serde_json::from_str(text).ok()?;
    let token = token.get();
    let fresh = auth.renew(&id, &serde_json::from_str::<String>(token).ok()?, LIFETIME)?;
    // A raw value is a slice of the text that it was read from.
    let start = (token.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let (before, after) = (text.get(..start)?, text.get(start + token.len()..)?);
    Some([before, "\"", &fresh, "\"", after].concat().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth() -> Auth {
        Auth::new(&"secret".into())
    }

    #[test]
    fn only_the_token_changes() {
        let expired = auth().sign("ada", Duration::ZERO).unwrap();
        let data = format!(
            " {{\"Name\" : \"\\u00c1ria\",\n \"Token\":  \"{expired}\", \"n\": 1.50, \"Id\":\"ada\"}} "
        );
        let renewed = String::from_utf8(with_fresh_token(data.as_bytes(), &auth()).unwrap()).unwrap();
        let fresh = serde_json::from_str::<serde_json::Value>(&renewed).unwrap()["Token"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(renewed, data.replace(&expired, &fresh));
        assert!(auth().verify_for("ada", Some(&fresh)).is_ok());
    }

    #[test]
    fn what_is_not_an_expired_token_of_the_same_user_is_left() {
        let valid = auth().sign("ada", LIFETIME).unwrap();
        let expired = auth().sign("ada", Duration::ZERO).unwrap();
        for data in [
            format!(r#"{{"Id": "ada", "Token": "{valid}"}}"#),
            format!(r#"{{"Id": "bob", "Token": "{expired}"}}"#),
            format!(r#"{{"Id": "ada", "Token": "{expired}", "Token": "{expired}"}}"#),
            format!(r#"["ada", "{expired}"]"#),
            r#"{"Id": "ada", "Token": 7}"#.to_owned(),
            r#"{"Id": "ada"}"#.to_owned(),
            "{not json".to_owned(),
        ] {
            assert_eq!(with_fresh_token(data.as_bytes(), &auth()), None, "{data}");
        }
        assert_eq!(with_fresh_token(b"\xff", &auth()), None);
    }
}
