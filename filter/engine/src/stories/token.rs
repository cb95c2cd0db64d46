//! Whom a token names, and when it names nobody.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn the_same_sub_of_another_issuer_is_someone_else() {
    let policy = admins();
    for token in [
        Token::of("https://idp.evil.example").says("sub", "alice"),
        Token::of(&format!("{ISSUER}/")).says("sub", "alice"),
        Token::of(&ISSUER.to_ascii_uppercase()).says("sub", "alice"),
        Token::default().says("sub", "alice"),
        sub("alice").with("iss", Claim::Other),
        sub("alice").says("iss", ""),
        sub("alice").says("iss", &format!("{ISSUER}\0")),
    ] {
        assert_eq!(
            reason(&policy, &token),
            Reason::UnknownIssuer,
            "{:?}",
            token.claims
        );
    }
    // A known issuer, but its binding reads another claim.
    let token = Token::of(MAIL_ISSUER).says("sub", "alice");
    assert_eq!(reason(&policy, &token), Reason::NoSubject);
    // A claim value of one binding names nobody under another.
    let token = sub("eve@corp.example");
    assert_eq!(reason(&policy, &token), Reason::UnknownSubject);
}

#[test]
fn a_claim_that_is_no_plain_text_names_nobody() {
    let policy = admins();
    let long = "a".repeat(1025);
    for claim in [
        Claim::Absent,
        Claim::Other,
        Claim::Bool(true),
        Claim::Number(7.0),
        Claim::Text(vec![]),
        Claim::Text(b"alice\0".to_vec()),
        Claim::Text(long.into_bytes()),
    ] {
        let token = Token::of(ISSUER).with("sub", claim.clone());
        assert_eq!(reason(&policy, &token), Reason::NoSubject, "{claim:?}");
    }
    for near in ["Alice", "alice ", " alice", "alice\n", "alic", "alicee"] {
        assert_eq!(
            reason(&policy, &sub(near)),
            Reason::UnknownSubject,
            "{near:?}"
        );
    }
    let token = Token::of(ISSUER).with("sub", Claim::Text(b"alice\xff".to_vec()));
    assert_eq!(reason(&policy, &token), Reason::UnknownSubject);
}

#[test]
fn an_email_counts_only_when_the_token_says_that_it_was_verified() {
    let policy = admins();
    let eve = || Token::of(MAIL_ISSUER).says("email", "eve@corp.example");
    assert_eq!(
        reason(&policy, &eve().with("email_verified", Claim::Bool(true))),
        Reason::Permitted
    );
    for claim in [
        Claim::Absent,
        Claim::Bool(false),
        Claim::Number(1.0),
        Claim::Text(b"true".to_vec()),
        Claim::Other,
    ] {
        let token = eve().with("email_verified", claim.clone());
        assert_eq!(reason(&policy, &token), Reason::NoSubject, "{claim:?}");
    }
}

#[test]
fn a_pin_tells_the_tenants_of_a_shared_issuer_apart() {
    let policy = admins();
    let frank = || Token::of(SHARED_ISSUER).says("oid", "frank");
    assert_eq!(
        reason(&policy, &frank().says("tid", "corp-tid")),
        Reason::Permitted
    );
    for token in [
        frank(),
        frank().says("tid", "other-tid"),
        frank().says("tid", "corp-tid\0"),
        frank().says("tid", ""),
        frank().with("tid", Claim::Other),
    ] {
        assert_eq!(
            reason(&policy, &token),
            Reason::UnknownIssuer,
            "{:?}",
            token.claims
        );
    }
}

#[test]
fn a_rule_that_wants_a_fresh_token_refuses_old_ones() {
    let policy = policy_of(json!([{
        "name": "fresh", "to": [{ "methods": ["*"] }], "require": { "anyOf": ["group:admins"] }, "maxTokenAge": "15m"
    }]));
    let issued = |ago: f64| Claim::Number(NOW.wall.as_secs_f64() - ago);
    for (claim, fresh) in [
        (issued(0.0), true),
        (issued(900.0), true),
        (issued(901.0), false),
        (issued(-60.0), true),
        (issued(-61.0), false),
        (Claim::Absent, false),
        (Claim::Number(f64::NAN), false),
        (Claim::Number(f64::INFINITY), false),
        (Claim::Number(f64::NEG_INFINITY), false),
        (Claim::Text(b"1800000000".to_vec()), false),
        (Claim::Bool(true), false),
        (Claim::Other, false),
    ] {
        let token = sub("alice").with("iat", claim.clone());
        let expected = if fresh {
            Reason::Permitted
        } else {
            Reason::TokenTooOld
        };
        assert_eq!(reason(&policy, &token), expected, "{claim:?}");
    }
}
