//! From a token to a [`Caller`], the proof of who asks.

pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
mod verified;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use verified::Verified;

use crate::json::Json;

/// Who asks. Only [`Auth::verify`] makes one, so a `Caller` proves that a valid token was shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    user: String,
    role: Role,
}

/// What a caller may do beyond its own data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    User,
    Service,
    Admin,
}

impl Role {
    /// The `role` claim of its tokens.
    fn claim(self) -> Option<&'static str> {
        match self {
            Self::User => None,
            Self::Service => Some(SERVICE),
            Self::Admin => Some("admin"),
        }
    }

    /// A role that we do not know counts as none.
    fn of(claim: Option<&str>) -> Self {
        [Self::Service, Self::Admin].into_iter().find(|role| role.claim() == claim).unwrap_or(Self::User)
    }
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
        self.role == Role::Service
    }

    /// Whether it may look at the jobs of all users, and redrive them.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }
}

/// Verifies and signs the platform's tokens: JWT, HS256, claims `Id` (or `sub`) and `exp`.
pub struct Auth {
    decoding: DecodingKey,
    encoding: EncodingKey,
    validation: Validation,
    /// How far away the `exp` of a token may be, in seconds.
    most: f64,
    verified: Verified,
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
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// It would be valid for too long; its `exp` may be in milliseconds.
    #[error("the token expires too far in the future (auth.max_token_days)")]
    TooLong,
    /// It was not signed with our key and HS256.
    #[error("the token is not signed by this platform")]
    Forged,
    /// It is another user's.
    #[error("the token belongs to another user")]
    AnotherUser,
}

impl TokenError {
    /// A one-word label, for metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Expired => "expired",
            Self::TooLong => "too_long",
            Self::Forged => "forged",
            Self::AnotherUser => "another_user",
        }
    }
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

impl Claims {
    fn caller(self) -> Result<Caller, TokenError> {
        let role = Role::of(self.role.as_deref());
        let user = match (self.id, self.sub) {
            (Some(id), Some(sub)) if id != sub => return Err(TokenError::Malformed),
            (Some(id), _) | (None, Some(id)) => id,
            (None, None) if role == Role::Service => SERVICE.to_owned(),
            (None, None) => return Err(TokenError::Malformed),
        };
        if user.is_empty() { Err(TokenError::Malformed) } else { Ok(Caller { user, role }) }
    }
}

/// The `role` of sibling services; also their user id when the token has none.
const SERVICE: &str = "service";

/// The claims of a token that we sign.
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
    /// For tokens signed with `secret`.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        let key = secret.expose_secret().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        let (decoding, encoding) = (DecodingKey::from_secret(key), EncodingKey::from_secret(key));
        Self { decoding, encoding, validation, most: f64::INFINITY, verified: Verified::new() }
    }

    /// Refuses tokens that are valid for longer than `most` from now, if there is a limit.
    #[must_use]
    pub fn at_most(self, most: Option<Duration>) -> Self {
        Self { most: most.map_or(f64::INFINITY, |most| most.as_secs_f64()), ..self }
    }

    /// Who the bearer of `token` is.
    ///
    /// # Errors
    /// A [`TokenError`] when the token proves nothing.
    pub fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        let now = now().as_secs_f64();
        self.verified.caller(token, now, || {
            let claims = self.claims(token, &self.validation)?;
            // The library accepts a token until the end of the second of its `exp`; Node's does not.
            if claims.exp <= now {
                return Err(TokenError::Expired);
            }
            if claims.exp - now > self.most {
                return Err(TokenError::TooLong);
            }
            let exp = claims.exp;
            Ok((claims.caller()?, exp))
        })
    }

    /// A fresh token for `user` in place of one that was `user`'s and has merely expired since; `None` for any other. It
    /// proves who the user is, and grants no role.
    #[must_use]
    pub fn renew(&self, user: &str, token: &str, lifetime: Duration) -> Option<String> {
        let validation = Validation { validate_exp: false, ..self.validation.clone() };
        let claims = self.claims(token, &validation).ok()?;
        let expired = claims.exp <= now().as_secs_f64();
        let caller = claims.caller().ok().filter(|caller| expired && caller.user == user)?;
        self.sign(&caller.user, lifetime).ok()
    }

    fn claims(&self, token: &str, validation: &Validation) -> Result<Claims, TokenError> {
        if !has_plain_header(token) {
            return Err(TokenError::Malformed);
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.decoding, validation);
        decoded.map(|token| token.claims).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => TokenError::Expired,
            ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => TokenError::Forged,
            _ => TokenError::Malformed,
        })
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
        self.sign_as(user, Role::User, lifetime)
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
        self.sign_as(name, Role::Service, lifetime)
    }

    /// A token for the admin `user` that is valid for `lifetime` from now.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign_admin(&self, user: &str, lifetime: Duration) -> Result<String, jsonwebtoken::errors::Error> {
        self.sign_as(user, Role::Admin, lifetime)
    }

    fn sign_as(
        &self,
        id: &str,
        role: Role,
        lifetime: Duration,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let iat = now().as_secs();
        let claims = NewClaims { id, role: role.claim(), iat, exp: iat + lifetime.as_secs() };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
    }
}

/// Whether the header of `token` may be given to the library, which reads unknown fields into `serde_json::Value`s before
/// it looks at the signature.
fn has_plain_header(token: &str) -> bool {
    let header = token.split('.').next().unwrap_or_default();
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).ok();
    let header: Option<Json> = header.and_then(|header| serde_json::from_slice(&header).ok());
    header.is_some_and(|header| !header.has_private_key())
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
