//! Only a token that its issuer signed, for this mesh and for now, is one.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use scimesh_tests::issuer::Issuer;
use scimesh_tests::mesh::policy;
use serde_json::{Value, json};

use crate::row::{Row, authorized};
use crate::siege::{Siege, http_of};

fn token_policy() -> Value {
    policy(json!([
        {
            "name": "fresh", "to": [{ "paths": ["/fresh"] }],
            "require": { "anyOf": ["group:payments"] }, "maxTokenAge": "15m",
        },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["group:payments"] } },
    ]))
}

const ALLOWED: &str = "GET /x HTTP/1.1";
const TOO_OLD: &str = "401 token_too_old";
/// Envoy itself refuses it.
const UNVERIFIED: &str = "401";
const NO_TOKEN: &str = "401 no_token";

/// A token whose three parts are these.
fn assembled(header: &Value, payload: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(payload))
}

fn rows(acme: &Issuer, audience: &Issuer) -> Result<Vec<Row>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let good = acme.token("member-0001")?;
    let claims = json!({ "iss": acme.url(), "sub": "member-0001", "iat": now, "exp": now + 3600 });
    let without = |name: &str| {
        let mut claims = claims.clone();
        if let Some(claims) = claims.as_object_mut() {
            claims.remove(name);
        }
        acme.sign(&acme.header(), &claims)
    };
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        acme.sign(&acme.header(), &claims)
    };
    let aud = |aud: Value| audience.token_with(json!({ "sub": "member-0001", "aud": aud }));
    let (signed, signature) = good.rsplit_once('.').context("a signature")?;
    let (header, payload) = signed.split_once('.').context("a payload")?;

    let kid = json!(acme.header().kid);
    let unsigned = |alg: &str| {
        assembled(
            &json!({ "alg": alg, "typ": "JWT", "kid": kid }),
            &claims,
            "",
        )
    };
    let hmac = |secret: &[u8]| {
        let header = Header {
            kid: acme.header().kid,
            ..Header::new(Algorithm::HS256)
        };
        encode(&header, &claims, &EncodingKey::from_secret(secret))
    };
    let jwks: Value = serde_json::from_str(acme.jwks())?;
    let forger = Issuer::new(acme.url())?;
    let forged = forger.sign(&acme.header(), &claims)?;
    let own_key: Value = serde_json::from_str(forger.jwks())?;
    let other_kid = |kid: Option<&str>| {
        let kid = kid.map(str::to_owned);
        acme.sign(
            &Header {
                kid,
                ..acme.header()
            },
            &claims,
        )
    };
    let embedded = json!({ "alg": "ES256", "jwk": own_key["keys"][0], "jku": "http://127.0.0.1:1/", "kid": kid });
    let issued_by = |url: &str| Issuer::new(url)?.token("member-0001");

    let bearer = |name: &str, token: String, expected: &str| {
        Row::new(name, authorized("/x", &format!("Bearer {token}")), expected)
    };
    let fresh = |name: &str, token: String, expected: &str| {
        Row::new(
            name,
            authorized("/fresh", &format!("Bearer {token}")),
            expected,
        )
    };
    let allowed_fresh = "GET /fresh HTTP/1.1";
    Ok(vec![
        bearer("as it should be", good.clone(), ALLOWED),
        bearer("expired", with("exp", json!(now - 3600))?, UNVERIFIED),
        bearer(
            "expired two minutes ago",
            with("exp", json!(now - 120))?,
            UNVERIFIED,
        ),
        // Envoy takes it for none.
        bearer("expired at zero", with("exp", json!(0))?, ALLOWED),
        bearer("exp as text", with("exp", json!("9999999999"))?, UNVERIFIED),
        bearer("exp negative", with("exp", json!(-1))?, UNVERIFIED),
        // Envoy's clock_skew_seconds is 60.
        bearer(
            "expired within the skew",
            with("exp", json!(now - 20))?,
            ALLOWED,
        ),
        bearer("not yet valid", with("nbf", json!(now + 3600))?, UNVERIFIED),
        bearer("nbf as text", with("nbf", json!("0"))?, UNVERIFIED),
        // Istio's jwt_authn does not demand one (docs/policy.md: maxTokenAge does).
        bearer("without exp", without("exp")?, ALLOWED),
        bearer("without sub", without("sub")?, "401 no_subject"),
        bearer("without iss", without("iss")?, UNVERIFIED),
        bearer(
            "no claims at all",
            acme.sign(&acme.header(), &json!({}))?,
            UNVERIFIED,
        ),
        bearer(
            "claims that are a list",
            acme.sign(&acme.header(), &json!([claims]))?,
            UNVERIFIED,
        ),
        bearer(
            "claims that are a text",
            acme.sign(&acme.header(), &json!("member-0001"))?,
            UNVERIFIED,
        ),
        // Of its own issuer's tokens, Envoy demands an audience here.
        bearer("for this mesh", aud(json!("mesh"))?, ALLOWED),
        bearer(
            "for this mesh and others",
            aud(json!(["other", "mesh"]))?,
            ALLOWED,
        ),
        bearer("for others", aud(json!("other"))?, "403"),
        bearer("for another case of this mesh", aud(json!("MESH"))?, "403"),
        bearer("for nobody", audience.token("member-0001")?, "403"),
        bearer("for an object", aud(json!({ "mesh": "mesh" }))?, UNVERIFIED),
        bearer("signed with another key", forged, UNVERIFIED),
        bearer(
            "a cut signature",
            good.trim_end_matches(|c| c != '.').to_owned(),
            UNVERIFIED,
        ),
        bearer(
            "half a signature",
            good.get(..good.len() - 20).context("long")?.to_owned(),
            UNVERIFIED,
        ),
        bearer("no signature at all", signed.to_owned(), UNVERIFIED),
        bearer(
            "another payload under the signature",
            {
                let other = URL_SAFE_NO_PAD.encode(claims.to_string().replace("member", "guest"));
                format!("{header}.{other}.{signature}")
            },
            UNVERIFIED,
        ),
        bearer(
            "another header over the signature",
            {
                let other = URL_SAFE_NO_PAD
                    .encode(json!({ "alg": "ES256", "kid": kid, "x": 1 }).to_string());
                format!("{other}.{payload}.{signature}")
            },
            UNVERIFIED,
        ),
        bearer("alg none", unsigned("none"), UNVERIFIED),
        bearer("alg None", unsigned("None"), UNVERIFIED),
        bearer("alg empty", unsigned(""), UNVERIFIED),
        bearer(
            "alg none with a signature",
            assembled(&json!({ "alg": "none" }), &claims, signature),
            UNVERIFIED,
        ),
        bearer(
            "HS256 with the public key as PEM",
            hmac(acme.public_key().as_bytes())?,
            UNVERIFIED,
        ),
        bearer(
            "HS256 with the key set",
            hmac(acme.jwks().as_bytes())?,
            UNVERIFIED,
        ),
        bearer(
            "HS256 with a coordinate",
            hmac(jwks["keys"][0]["x"].as_str().context("x")?.as_bytes())?,
            UNVERIFIED,
        ),
        bearer("HS256 with nothing", hmac(b"")?, UNVERIFIED),
        bearer(
            "a key of its own in the header",
            assembled(&embedded, &claims, signature),
            UNVERIFIED,
        ),
        bearer("an unknown kid", other_kid(Some("other"))?, UNVERIFIED),
        bearer(
            "a kid that is a path",
            other_kid(Some("../../dev/null"))?,
            UNVERIFIED,
        ),
        // Any key of the issuer's will do then.
        bearer("no kid", other_kid(None)?, ALLOWED),
        bearer(
            "an unknown issuer",
            issued_by("https://idp.unknown.example")?,
            UNVERIFIED,
        ),
        bearer(
            "the issuer with a slash",
            issued_by(&format!("{}/", acme.url()))?,
            UNVERIFIED,
        ),
        bearer(
            "the issuer in capitals",
            issued_by(&acme.url().to_uppercase())?,
            UNVERIFIED,
        ),
        bearer(
            "its key under another's name",
            acme.token_with(json!({ "iss": audience.url(), "sub": "member-0001", "aud": "mesh" }))?,
            UNVERIFIED,
        ),
        bearer(
            "its key under a slash more",
            with("iss", json!(format!("{}/", acme.url())))?,
            UNVERIFIED,
        ),
        bearer(
            "iss as a list",
            with("iss", json!([acme.url()]))?,
            UNVERIFIED,
        ),
        bearer(
            "iss as an object",
            with("iss", json!({ "url": acme.url() }))?,
            UNVERIFIED,
        ),
        bearer(
            "padding",
            format!("{header}=.{payload}==.{signature}=="),
            UNVERIFIED,
        ),
        bearer(
            "a space within",
            format!("{header}. {payload}.{signature}"),
            UNVERIFIED,
        ),
        bearer("a fourth part", format!("{good}.{signature}"), UNVERIFIED),
        bearer(
            "an encrypted token's five parts",
            format!("{good}.x.y"),
            UNVERIFIED,
        ),
        bearer("two dots", "..".to_owned(), UNVERIFIED),
        bearer(
            "a very long one",
            format!("{header}.{}.{signature}", "A".repeat(60_000)),
            UNVERIFIED,
        ),
        // Envoy, and Istio as well, look for a token there by themselves.
        Row::new(
            "in the query",
            authorized(&format!("/x?access_token={good}"), "none"),
            format!("GET /x?access_token={good} HTTP/1.1"),
        ),
        Row::new(
            "a forged one in the query",
            authorized(&format!("/x?access_token={header}.{payload}.AAAA"), "none"),
            UNVERIFIED,
        ),
        Row::new(
            "a forged one in the query beside a good one",
            authorized(
                &format!("/x?access_token={header}.{payload}.AAAA"),
                "Bearer $member",
            ),
            UNVERIFIED,
        ),
        Row::new(
            "in another parameter",
            authorized(&format!("/x?token={good}"), "none"),
            NO_TOKEN,
        ),
        fresh("issued just now", good.clone(), allowed_fresh),
        fresh("issued long ago", with("iat", json!(now - 1000))?, TOO_OLD),
        fresh("issued at zero", with("iat", json!(0))?, TOO_OLD),
        fresh(
            "issued almost too long ago",
            with("iat", json!(now - 800))?,
            allowed_fresh,
        ),
        fresh(
            "issued within the skew",
            with("iat", json!(now + 30))?,
            allowed_fresh,
        ),
        fresh(
            "issued in two minutes",
            with("iat", json!(now + 120))?,
            TOO_OLD,
        ),
        fresh("without iat", without("iat")?, TOO_OLD),
        fresh(
            "iat as text",
            with("iat", json!(now.to_string()))?,
            UNVERIFIED,
        ),
        fresh("iat negative", with("iat", json!(-5))?, UNVERIFIED),
        fresh("iat beyond all", with("iat", json!(1e300))?, UNVERIFIED),
        fresh("iat null", with("iat", json!(null))?, UNVERIFIED),
        fresh("iat as a list", with("iat", json!([now]))?, UNVERIFIED),
        fresh(
            "too old, and somebody else's",
            acme.token_with(json!({ "sub": "guest-0001", "iat": 1 }))?,
            TOO_OLD,
        ),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_its_issuer_signed_for_now_is_a_token() -> Result<()> {
    let siege = Siege::lay(&token_policy(), |envoy| {
        let providers = &mut http_of(envoy, 0)["http_filters"][0]["typed_config"]["providers"];
        providers["origins-2"]["audiences"] = json!(["mesh"]);
        Ok(())
    })
    .await?;
    let audience = &siege.mesh.stranger;
    siege.bind(audience, &[]).await?;
    let token = audience.token_with(json!({ "sub": "member-0001", "aud": "mesh" }))?;
    siege.await_status(&token, 200).await?;
    siege.withstand(&rows(&siege.mesh.acme.issuer, audience)?)?;
    siege.end().await
}
