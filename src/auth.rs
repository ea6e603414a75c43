//! From a token to a [`Caller`], the proof of who asks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// Who asks. Only [`Auth::verify`] makes one, so whoever holds it has shown a valid token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    user: String,
    service: bool,
}

impl Caller {
    /// The user's id.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether it is a sibling service of the platform, and not a user.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.service
    }
}

/// Checks and makes the platform's tokens: JWT, HS256, claims `Id` (or `sub`) and `exp`.
pub struct Auth {
    decoding: DecodingKey,
    encoding: EncodingKey,
    validation: Validation,
}

/// Why a token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is none.
    #[error("there is no token")]
    Missing,
    /// It is not a JWT, or a claim is missing or of the wrong type.
    #[error("the token is malformed")]
    Malformed,
    /// Its time is up.
    #[error("the token has expired")]
    Expired,
    /// It was not signed with our key and HS256.
    #[error("the token is not signed by this platform")]
    Forged,
    /// It is another user's.
    #[error("the token belongs to another user")]
    AnotherUser,
}

/// The claims that count. `exp` may have a fraction, as any number of seconds in a JWT may.
#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "Id")]
    id: Option<String>,
    sub: Option<String>,
    role: Option<String>,
    exp: f64,
}

/// The `role` of sibling services; also their user's id when they have none.
const SERVICE: &str = "service";

/// The claims of a token that we make.
#[derive(Serialize)]
struct NewClaims<'a> {
    #[serde(rename = "Id")]
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    iat: u64,
    exp: u64,
}

impl Auth {
    /// Tokens signed with `secret`.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        let key = secret.expose_secret().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        Self { decoding: DecodingKey::from_secret(key), encoding: EncodingKey::from_secret(key), validation }
    }

    /// Who the bearer of `token` is.
    ///
    /// # Errors
    /// A [`TokenError`] when the token proves nothing.
    pub fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => TokenError::Expired,
                ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => TokenError::Forged,
                _ => TokenError::Malformed,
            })?
            .claims;
        // The library lets a token live through the second of its `exp`; Node's does not.
        if claims.exp <= now().as_secs_f64() {
            return Err(TokenError::Expired);
        }
        let service = claims.role.as_deref() == Some(SERVICE);
        let user = match (claims.id, claims.sub) {
            (Some(id), Some(sub)) if id != sub => return Err(TokenError::Malformed),
            (Some(id), _) | (None, Some(id)) => id,
            (None, None) if service => SERVICE.to_owned(),
            (None, None) => return Err(TokenError::Malformed),
        };
        if user.is_empty() { Err(TokenError::Malformed) } else { Ok(Caller { user, service }) }
    }

    /// As [`Auth::verify`], for a job that says it is `user`'s.
    ///
    /// # Errors
    /// [`TokenError::AnotherUser`] when the token is somebody else's.
    pub fn verify_for(&self, user: &str, token: Option<&str>) -> Result<Caller, TokenError> {
        let caller = self.verify(token.ok_or(TokenError::Missing)?)?;
        if caller.user == user { Ok(caller) } else { Err(TokenError::AnotherUser) }
    }

    /// A token for `user` that is valid for `lifetime` from now.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign(&self, user: &str, lifetime: Duration) -> Result<String, jsonwebtoken::errors::Error> {
        self.sign_as(user, None, lifetime)
    }

    /// A token for the sibling service `name` that is valid for `lifetime` from now.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign_service(
        &self,
        name: &str,
        lifetime: Duration,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        self.sign_as(name, Some(SERVICE), lifetime)
    }

    fn sign_as(
        &self,
        id: &str,
        role: Option<&'static str>,
        lifetime: Duration,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let iat = now().as_secs();
        let claims = NewClaims { id, role, iat, exp: iat + lifetime.as_secs() };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn auth() -> Auth {
        Auth::new(&"secret".into())
    }

    fn token(claims: &serde_json::Value) -> String {
        signed(claims, Algorithm::HS256, "secret")
    }

    fn signed(claims: &serde_json::Value, algorithm: Algorithm, secret: &str) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes()))
            .unwrap()
    }

    fn at(offset: i64) -> i64 {
        i64::try_from(now().as_secs()).unwrap() + offset
    }

    #[test]
    fn id_and_sub_are_both_accepted_and_must_agree() {
        let user = |claims| auth().verify(&token(&claims)).map(|caller| caller.user);
        assert_eq!(user(json!({"Id": "u1", "exp": at(60)})), Ok("u1".to_owned()));
        assert_eq!(user(json!({"sub": "u1", "exp": at(60)})), Ok("u1".to_owned()));
        assert_eq!(user(json!({"Id": "u1", "sub": "u1", "exp": at(60)})), Ok("u1".to_owned()));
        assert_eq!(user(json!({"Id": "u1", "sub": "u2", "exp": at(60)})), Err(TokenError::Malformed));
        assert_eq!(user(json!({"exp": at(60)})), Err(TokenError::Malformed));
        assert_eq!(user(json!({"Id": "", "exp": at(60)})), Err(TokenError::Malformed));
        assert_eq!(user(json!({"Id": 7, "exp": at(60)})), Err(TokenError::Malformed));
    }

    #[test]
    fn exp_is_required_a_number_and_without_leeway() {
        let verify = |claims| auth().verify(&token(&claims)).map(|_| ());
        assert_eq!(verify(json!({"Id": "u1", "exp": at(-1)})), Err(TokenError::Expired));
        assert_eq!(verify(json!({"Id": "u1", "exp": at(0)})), Err(TokenError::Expired));
        assert_eq!(verify(json!({"Id": "u1", "exp": at(2)})), Ok(()));
        assert_eq!(verify(json!({"Id": "u1"})), Err(TokenError::Malformed));
        assert_eq!(verify(json!({"Id": "u1", "exp": at(60).to_string()})), Err(TokenError::Malformed));
    }

    #[test]
    fn only_hs256_with_our_key_counts() {
        let claims = json!({"Id": "u1", "exp": at(60)});
        let verify = |token: &str| auth().verify(token).map(|_| ());
        assert_eq!(verify(&signed(&claims, Algorithm::HS256, "other")), Err(TokenError::Forged));
        assert_eq!(verify(&signed(&claims, Algorithm::HS512, "secret")), Err(TokenError::Forged));
        // {"alg":"none"}.{"Id":"u1","exp":9999999999}.
        let none = "eyJhbGciOiJub25lIn0.eyJJZCI6InUxIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
        assert_eq!(verify(none), Err(TokenError::Malformed));
        assert_eq!(verify("garbage"), Err(TokenError::Malformed));
        assert_eq!(verify(""), Err(TokenError::Missing));
    }

    #[test]
    fn a_service_is_told_from_a_user() {
        let service = |claims| auth().verify(&token(&claims)).map(|caller| (caller.service, caller.user));
        assert_eq!(service(json!({"role": "service", "exp": at(60)})), Ok((true, "service".to_owned())));
        assert_eq!(
            service(json!({"Id": "story", "role": "service", "exp": at(60)})),
            Ok((true, "story".to_owned()))
        );
        assert_eq!(
            service(json!({"Id": "u1", "role": "admin", "exp": at(60)})),
            Ok((false, "u1".to_owned()))
        );
        let signed = auth().sign_service("story", Duration::from_mins(1)).unwrap();
        assert!(auth().verify(&signed).unwrap().is_service());
    }

    #[test]
    fn what_is_signed_is_verified() {
        let token = auth().sign("ada", Duration::from_mins(1)).unwrap();
        assert_eq!(auth().verify_for("ada", Some(&token)).unwrap().user(), "ada");
        assert_eq!(auth().verify_for("bob", Some(&token)), Err(TokenError::AnotherUser));
        assert_eq!(auth().verify_for("ada", None), Err(TokenError::Missing));
    }
}
