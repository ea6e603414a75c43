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
fn a_token_that_would_hardly_ever_end_is_refused() {
    let auth = auth().at_most(Some(Duration::from_hours(24)));
    let verify = |exp: f64| auth.verify(&token(&json!({"Id": "u1", "exp": exp}))).map(|_| ());
    let now = now().as_secs_f64();
    assert_eq!(verify(now + 86_390.0), Ok(()));
    for exp in [now + 86_500.0, (now + 60.0) * 1000.0, 253_402_300_799.0] {
        assert_eq!(verify(exp), Err(TokenError::TooLong), "{exp}");
    }
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
fn a_header_that_would_overflow_the_stack_is_malformed() {
    let nested = crate::json::tests::nested();
    for field in ["x", "jwk"] {
        let header = format!(r#"{{"alg": "HS256", "{field}": {nested}}}"#);
        let token = format!("{}.e30.AA", BASE64_URL_SAFE_NO_PAD.encode(header));
        assert_eq!(auth().verify(&token).map(drop), Err(TokenError::Malformed), "{field}");
    }
}

#[test]
fn a_service_is_told_from_a_user() {
    let service = |claims| auth().verify(&token(&claims)).map(|caller| (caller.is_service(), caller.user));
    assert_eq!(service(json!({"role": "service", "exp": at(60)})), Ok((true, "service".to_owned())));
    assert_eq!(
        service(json!({"Id": "story", "role": "service", "exp": at(60)})),
        Ok((true, "story".to_owned()))
    );
    assert_eq!(service(json!({"Id": "u1", "role": "admin", "exp": at(60)})), Ok((false, "u1".to_owned())));
    let signed = auth().sign_service("story", Duration::from_mins(1)).unwrap();
    assert!(auth().verify(&signed).unwrap().is_service());
}

#[test]
fn an_admin_is_told_from_a_user() {
    let admin = |claims| auth().verify(&token(&claims)).map(|caller| caller.is_admin());
    assert_eq!(admin(json!({"Id": "u1", "role": "admin", "exp": at(60)})), Ok(true));
    assert_eq!(admin(json!({"Id": "u1", "role": "Admin", "exp": at(60)})), Ok(false));
    assert_eq!(admin(json!({"Id": "u1", "exp": at(60)})), Ok(false));
    assert_eq!(admin(json!({"role": "admin", "exp": at(60)})), Err(TokenError::Malformed));
    assert!(auth().verify(&auth().sign_admin("root", Duration::from_mins(1)).unwrap()).unwrap().is_admin());
}

#[test]
fn only_a_token_that_proved_the_same_and_expired_is_renewed() {
    let minute = Duration::from_mins(1);
    let renewed = |claims| auth().renew("u1", &token(&claims), minute);
    let fresh = renewed(json!({"Id": "u1", "role": "admin", "exp": at(-60)})).unwrap();
    assert_eq!(auth().verify_for("u1", Some(&fresh)).map(|caller| caller.is_admin()), Ok(false));
    assert_eq!(renewed(json!({"Id": "u1", "exp": at(60)})), None, "not expired");
    assert_eq!(renewed(json!({"Id": "u2", "exp": at(-60)})), None, "another's");
    assert_eq!(renewed(json!({"Id": "u1", "exp": at(-60), "nbf": at(60)})), None, "never valid");
    let forged = signed(&json!({"Id": "u1", "exp": at(-60)}), Algorithm::HS256, "other");
    assert_eq!(auth().renew("u1", &forged, minute), None);
    assert_eq!(auth().renew("u1", "garbage", minute), None);
}

#[test]
fn what_is_signed_is_verified() {
    let token = auth().sign("ada", Duration::from_mins(1)).unwrap();
    assert_eq!(auth().verify_for("ada", Some(&token)).unwrap().user(), "ada");
    assert_eq!(auth().verify_for("bob", Some(&token)), Err(TokenError::AnotherUser));
    assert_eq!(auth().verify_for("ada", None), Err(TokenError::Missing));
}

#[test]
fn a_token_is_verified_once_while_it_is_valid_and_never_longer() {
    let verified = Verified::new();
    let caller = Caller { user: "u1".to_owned(), role: Role::User };
    let verify = || Ok::<_, TokenError>((caller.clone(), 10.0));
    assert_eq!(verified.caller("a.b.c", 1.0, || Err(TokenError::Forged)), Err(TokenError::Forged));
    assert_eq!(verified.caller("a.b.c", 1.0, verify), Ok(caller.clone()), "a failure is not remembered");
    assert_eq!(verified.caller("a.b.c", 9.9, || Err(TokenError::Forged)), Ok(caller.clone()));
    assert_eq!(verified.caller("a.b.d", 9.9, || Err(TokenError::Forged)), Err(TokenError::Forged));
    assert_eq!(verified.caller("a.b.c", 10.0, || Err(TokenError::Expired)), Err(TokenError::Expired));
    assert_eq!(verified.caller("a.b.c", 9.9, || Err(TokenError::Expired)), Err(TokenError::Expired));
}

#[test]
fn a_token_that_expires_after_it_was_verified_is_refused() {
    let auth = auth();
    let exp = now().as_secs_f64() + 0.4;
    let token = token(&json!({"Id": "u1", "exp": exp}));
    assert_eq!(auth.verify(&token).unwrap().user(), "u1");
    assert_eq!(auth.verified.len(), 1);
    while now().as_secs_f64() < exp {
        std::thread::yield_now();
    }
    assert_eq!(auth.verify(&token), Err(TokenError::Expired));
}

#[test]
fn a_token_with_one_other_byte_is_not_the_one_that_was_verified() {
    let auth = auth();
    let token = token(&json!({"Id": "u1", "exp": at(60)}));
    assert!(auth.verify(&token).is_ok());
    for at in 0..token.len() - 1 {
        let mut other = token.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        assert!(auth.verify(&String::from_utf8(other).unwrap()).is_err(), "byte {at}");
    }
    assert_eq!(auth.verified.len(), 1, "what was refused is not remembered");
    assert_eq!(auth.verify_for("u2", Some(&token)), Err(TokenError::AnotherUser));
}

#[test]
fn only_so_many_tokens_are_remembered() {
    let verified = Verified::new();
    let caller = Caller { user: "u1".to_owned(), role: Role::User };
    for n in 0..3 * verified::MOST {
        let proven = verified.caller(&n.to_string(), 1.0, || Ok::<_, TokenError>((caller.clone(), 10.0)));
        assert_eq!(proven, Ok(caller.clone()));
    }
    assert!((1..=verified::MOST).contains(&verified.len()), "{}", verified.len());
}
