//! A token, taken apart. Its signature is *not* verified: whoever explains a token has it, and wants to know what it says.
//!
//! The payload is read as strictly as Envoy's jwt_authn reads it, and what that filter refuses a token for, its signature, keys
//! and audiences aside, is told. The token itself stays in this process: claims alone go on, and no error repeats it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::claims::{self, BadClaims};

/// Seconds by which clocks may differ: jwt_authn's default.
const SKEW: i64 = 60;

/// The algorithms that jwt_authn verifies.
const ALGORITHMS: [&str; 13] = [
    "ES256", "ES384", "ES512", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256",
    "PS384", "PS512", "EdDSA",
];

/// Why a text is no token.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadToken {
    /// RFC 7515 section 3.1.
    #[error("not a JWT: three parts with dots between them; this has {0}")]
    Parts(usize),
    /// RFC 7515 section 2: base64url without padding.
    #[error("the token's {0} is not base64url")]
    Encoding(&'static str),
    /// It is no object of JSON that could be read in one way.
    #[error("the token's {part}: {why}")]
    Json {
        /// Which part.
        part: &'static str,
        /// What is wrong with it.
        why: BadClaims,
    },
}

/// What a token says of itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    /// Always false: nothing here verifies it.
    signature_verified: bool,
    /// The header's `alg`.
    pub(super) alg: Option<String>,
    /// The header's `kid`.
    kid: Option<String>,
    /// When it was issued, as RFC 3339.
    pub(super) iat: Option<String>,
    /// Before when it is not valid.
    pub(super) nbf: Option<String>,
    /// From when it is not valid any more.
    pub(super) exp: Option<String>,
    /// For what jwt_authn refuses it, whoever signed it: a request with it has then no verified token.
    pub(super) refused_for: Vec<String>,
}

/// Takes a token apart. Space around it and a `Bearer` before it do not count.
pub(super) fn read(text: &str, now: Timestamp) -> Result<(Header, Map<String, Value>), BadToken> {
    let text = text.trim();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => text,
    };
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else {
        return Err(BadToken::Parts(parts.len()));
    };
    let header = object("header", header)?;
    let claims = object("payload", payload)?;
    URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| BadToken::Encoding("signature"))?;
    let text = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
    let time = |name: &str| {
        let seconds = claims.get(name).and_then(Value::as_f64)?;
        let time = Timestamp::from_second(seconds as i64).ok()?;
        Some(format!("{time:.0}"))
    };
    let account = Header {
        signature_verified: false,
        alg: text("alg"),
        kid: text("kid"),
        iat: time("iat"),
        nbf: time("nbf"),
        exp: time("exp"),
        refused_for: refused_for(&header, &claims, now),
    };
    Ok((account, claims))
}

fn object(part: &'static str, text: &str) -> Result<Map<String, Value>, BadToken> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| BadToken::Encoding(part))?;
    claims::read(&bytes).map_err(|why| BadToken::Json { part, why })
}

fn refused_for(
    header: &Map<String, Value>,
    claims: &Map<String, Value>,
    now: Timestamp,
) -> Vec<String> {
    let mut refused = Vec::new();
    match header.get("alg") {
        Some(Value::String(alg)) if ALGORITHMS.contains(&alg.as_str()) => {}
        Some(Value::String(alg)) => refused.push(format!("alg is {alg}, which it does not verify")),
        Some(_) => refused.push("alg is not a string".to_owned()),
        None => refused.push("it has no alg".to_owned()),
    }
    if header.get("kid").is_some_and(|kid| !kid.is_string()) {
        refused.push("kid is not a string".to_owned());
    }
    for name in ["iss", "sub", "jti"] {
        if claims.get(name).is_some_and(|claim| !claim.is_string()) {
            refused.push(format!("{name} is not a string"));
        }
    }
    let strings = |claim: &Value| match claim {
        Value::String(_) => true,
        Value::Array(list) => list.iter().all(Value::is_string),
        _ => false,
    };
    if claims.get("aud").is_some_and(|aud| !strings(aud)) {
        refused.push("aud is neither a string nor a list of strings".to_owned());
    }
    for name in ["iat", "nbf", "exp"] {
        let seconds = 0.0..u64::MAX as f64;
        let good = |claim: &Value| {
            claim
                .as_f64()
                .is_some_and(|number| seconds.contains(&number))
        };
        if claims.get(name).is_some_and(|claim| !good(claim)) {
            refused.push(format!("{name} is not a number of seconds"));
        }
    }
    let now = now.as_second() as f64;
    let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
    if seconds("exp").is_some_and(|exp| now > exp + SKEW as f64) {
        refused.push("it has expired".to_owned());
    }
    if seconds("nbf").is_some_and(|nbf| now + (SKEW as f64) < nbf) {
        refused.push("it is not valid yet (nbf)".to_owned());
    }
    refused
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn token(header: &str, payload: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!(
            "{}.{}.{}",
            encode(header),
            encode(payload),
            encode("secret")
        )
    }

    fn complaints(header: Value, claims: Value) -> Vec<String> {
        let token = token(&header.to_string(), &claims.to_string());
        let (header, _) = read(&token, now()).unwrap();
        header.refused_for
    }

    #[test]
    fn a_token_says_what_it_is() {
        let token = token(
            r#"{"alg":"RS256","kid":"k1"}"#,
            r#"{"iss":"https://idp","sub":"ada","exp":1800000600,"iat":1.8e9}"#,
        );
        for spelled in [
            token.clone(),
            format!(" Bearer {token}\n"),
            format!("bearer  {token}"),
        ] {
            let (header, claims) = read(&spelled, now()).unwrap();
            assert_eq!(header.alg.as_deref(), Some("RS256"));
            assert_eq!(header.kid.as_deref(), Some("k1"));
            assert_eq!(header.exp.as_deref(), Some("2027-01-15T08:10:00Z"));
            assert_eq!(header.refused_for, [""; 0]);
            assert!(!header.signature_verified);
            assert_eq!(claims.get("sub"), Some(&json!("ada")));
        }
    }

    #[test]
    fn what_envoy_refuses_whoever_signed_it_is_told() {
        let good = json!({"alg": "ES256"});
        assert_eq!(
            complaints(
                good.clone(),
                json!({"exp": 1_799_999_950.5, "aud": ["a", "b"]})
            ),
            [""; 0]
        );
        for (claims, said) in [
            (json!({"exp": 1_799_999_900}), "it has expired"),
            (json!({"nbf": 1_800_000_100}), "it is not valid yet (nbf)"),
            (
                json!({"exp": "1900000000"}),
                "exp is not a number of seconds",
            ),
            (json!({"iat": -1}), "iat is not a number of seconds"),
            (json!({"sub": 7}), "sub is not a string"),
            (json!({"iss": null}), "iss is not a string"),
            (
                json!({"aud": ["a", 1]}),
                "aud is neither a string nor a list of strings",
            ),
        ] {
            assert_eq!(complaints(good.clone(), claims), [said]);
        }
        assert_eq!(
            complaints(json!({"alg": "none"}), json!({})),
            ["alg is none, which it does not verify"]
        );
        assert_eq!(complaints(json!({}), json!({})), ["it has no alg"]);
    }

    #[test]
    fn what_is_no_token_is_refused_without_repeating_it() {
        let good = token(r#"{"alg":"RS256"}"#, r#"{"sub":"secret-name"}"#);
        for (bad, said) in [
            ("secret".to_owned(), "this has 1"),
            (format!("{good}.secret"), "this has 4"),
            (good.replacen('.', "=.", 1), "header is not base64url"),
            (format!("{good}!secret"), "signature is not base64url"),
            (
                token(
                    r#"{"alg":"RS256"}"#,
                    r#"{"sub":"secret-name","sub":"secret"}"#,
                ),
                "\"sub\" is there twice",
            ),
            (
                token(r#"{"alg":"RS256"}"#, r#"["secret-name"]"#),
                "no object",
            ),
            (
                token(r#"{"alg":"RS256"}"#, "secret-name"),
                "payload: not JSON",
            ),
        ] {
            let error = read(&bad, now()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
