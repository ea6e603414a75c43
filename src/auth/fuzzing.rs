//! Fuzzed: tokens.

use std::{sync::LazyLock, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, crypto::sign};

use super::{Auth, TokenError, now};
use crate::{fuzzing::halves, json::Json};

static AUTH: LazyLock<Auth> = LazyLock::new(|| Auth::new(&"a key for fuzzing only, of 32 bytes".into()));

/// A token as it came, and one that is signed with our key, with a header and claims as they came: it proves its user only
/// until its `exp`, and only under HS256.
///
/// # Panics
/// When it proves anything else.
pub fn tokens(input: &[u8]) {
    if let Ok(token) = std::str::from_utf8(input) {
        assert!(AUTH.verify(token).is_err(), "nobody has signed this");
        assert_eq!(AUTH.renew("u1", token, Duration::from_mins(1)), None);
    }
    let (header, claims) = halves(input);
    let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let message = format!("{}.{}", encode(header), encode(claims));
    let Ok(signature) = sign(message.as_bytes(), &AUTH.encoding, Algorithm::HS256) else { return };
    proves(&format!("{message}.{signature}"), header, claims);
    let forged = sign(claims, &AUTH.encoding, Algorithm::HS256).unwrap_or_default();
    assert!(AUTH.verify(&format!("{message}.{forged}")).is_err(), "another text was signed");
}

fn proves(token: &str, header: &[u8], claims: &[u8]) {
    let Ok(caller) = AUTH.verify(token) else { return };
    // A claim that nobody reads may have bytes that are no text.
    let json =
        |text: &[u8]| serde_json::from_str::<Json>(&String::from_utf8_lossy(text)).unwrap_or_default().0;
    let header = json(header);
    let claims = json(claims);
    assert_eq!(header["alg"], "HS256");
    assert!(claims["exp"].as_f64().is_some_and(|exp| exp > now().as_secs_f64()), "{claims}");
    let named = |claim: &str| claims[claim].as_str().is_none_or(|user| user == caller.user());
    assert!(!caller.user().is_empty() && named("Id") && named("sub"), "{claims}");
    assert!(!caller.is_admin() || claims["role"] == "admin");
    assert!(!caller.is_service() || claims["role"] == "service");
    let another = format!("{}_", caller.user());
    assert_eq!(AUTH.verify_for(&another, Some(token)), Err(TokenError::AnotherUser));
    assert_eq!(AUTH.renew(caller.user(), token, Duration::from_mins(1)), None, "it has not expired");
}
