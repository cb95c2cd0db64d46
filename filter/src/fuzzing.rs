//! What must hold for any bytes: one function a fuzz target (`filter/fuzz`), which panics where it does not.
//!
//! Only fuzzing and tests have it. The tests here try the committed corpus, so that what the fuzzer once found is tried again by `cargo test` alone.
//! Reaches nothing that calls the host: a native program that does has nothing to link with.

#![allow(
    clippy::panic,
    reason = "a property that does not hold is told by a panic; no other build has this module"
)]

mod spelling;

use std::sync::LazyLock;

use prost::Message as _;
use scimesh_engine::{
    CanonicalPath, Claim, Claims, Connection, Lease, Mode, Moment, Policy, Reason, Request, decide,
};

use scimesh_proto::replica::{HighWater, Received, Replica};
use scimesh_proto::scope::{Scope, Term};
use scimesh_proto::wire::v1::FeederMessage;

use crate::claims::Token;
use crate::headers::{Claimed, RequestHeaders};

/// `pluginConfig`: what is a policy lets nobody in without a reason, and what is none says where.
pub fn policy(bytes: &[u8]) {
    let policy = match Policy::parse(bytes) {
        Ok(policy) => policy,
        Err(error) => {
            assert!(!error.field.is_empty() && !error.problem.is_empty());
            return;
        }
    };
    assert!(policy.rule_name(0).is_some(), "a policy has rules");
    let paths: [&[u8]; 3] = [b"/", b"/admin", b"/a/b/c"];
    for path in paths {
        for method in ["GET", "POST"] {
            let request = Request {
                method: method.as_bytes(),
                path: Some(path),
                host: b"a.example",
                connection: &Nowhere,
                token: None,
            };
            let decision = decide(&policy, None, &Lease::default(), &request, START);
            let shadow = policy.mode() == Mode::Shadow;
            assert_eq!(
                decision.allowed,
                shadow || decision.reason == Reason::Public
            );
            let told = policy.headers().values(&policy, None, &decision);
            assert!(told.len() <= 1, "only the rule is known: {told:?}");
        }
    }
}

/// What the host says of a verified token: the first byte says how long one claim's bytes are, the rest is the whole of the metadata. A claim is a
/// text only if it can be nothing else.
pub fn claims(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else {
        return;
    };
    let length = usize::from(*length).min(rest.len());
    let (value, metadata) = rest.split_at(length);
    let token = Token::of_request(|path: &[&str]| {
        Ok(Some(match path {
            ["metadata"] => metadata.to_vec(),
            [.., "_claim_names", _] | [.., "hasgroups"] => return Ok(None),
            _ => value.to_vec(),
        }))
    });
    let Some(token) = token else {
        panic!("the host knows a payload");
    };
    let in_metadata =
        |bytes: &[u8]| bytes.is_empty() || metadata.windows(bytes.len()).any(|part| part == bytes);
    let ambiguous = matches!(value, [0 | 1]) || value.len() == 8;
    for group in token.groups("groups").unwrap_or_default() {
        assert!(!group.contains(&0));
        assert!(
            value.windows(group.len().max(1)).any(|part| part == group)
                || group.is_empty()
                || in_metadata(&group)
        );
    }
    for name in ["iss", "sub", "iat"] {
        match token.claim(name) {
            Claim::Text(text) => {
                assert!(!text.contains(&0));
                assert!(if ambiguous {
                    in_metadata(&text)
                } else {
                    text == value
                });
            }
            Claim::Number(number) => {
                assert!(ambiguous && (number == 0.0 || in_metadata(&number.to_le_bytes())));
            }
            Claim::Bool(_) => assert!(ambiguous),
            Claim::Absent => panic!("the host gave it"),
            Claim::Other => assert!(ambiguous || value.contains(&0)),
        }
    }
}

/// A method, a host and a path, a line each. What a naive server would take for a request that nobody may make is not allowed, however it is spelled.
pub fn request(bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |b| *b == b'\n');
    let (Some(method), Some(host), Some(path)) = (lines.next(), lines.next(), lines.next()) else {
        return;
    };
    if let Ok(canonical) = CanonicalPath::parse(path) {
        let text = canonical.as_str();
        assert_eq!(CanonicalPath::parse(text.as_bytes()), Ok(canonical.clone()));
    }
    let request = Request {
        method,
        path: Some(path),
        host,
        connection: &Nowhere,
        token: None,
    };
    let decision = decide(&CLOSED_IN_PARTS, None, &Lease::default(), &request, START);
    match decision.reason {
        Reason::Public => {}
        Reason::Nobody => return,
        reason => {
            assert_eq!(
                reason.status(),
                400,
                "every request matches a rule: {reason}"
            );
            return;
        }
    }
    for reading in spelling::paths(path) {
        let closed = reading == "/admin" || reading.starts_with("/admin/");
        assert!(!closed, "taken for {reading}");
    }
    for reading in spelling::hosts(host) {
        assert_ne!(reading, "admin.example");
        assert_ne!(reading, "10.0.0.1");
    }
    assert_ne!(spelling::method(method), "DELETE");
}

/// A header map of the host: what is read is what stands there last under its name; what CGI would take for one of the policy's headers is removed, and no
/// `Connection` lists one afterwards.
pub fn headers(bytes: &[u8]) {
    let own = CLOSED_IN_PARTS.headers();
    let (ours, claimed) = (RequestHeaders::read(bytes), Claimed::read(bytes, own));
    let Some(all) = pairs(bytes) else {
        assert_eq!((ours, claimed), (None, None));
        return;
    };
    let last = |name: &[u8]| {
        let mut named = all.iter().rev().filter(|(key, _)| *key == name);
        named.next().map(|(_, value)| *value)
    };
    match (ours, last(b":method")) {
        (Some(ours), Some(method)) => {
            assert_eq!(ours.method, method);
            assert_eq!(ours.path, last(b":path"));
            assert_eq!(ours.authority, last(b":authority").unwrap_or_default());
        }
        (None, None) => {}
        (ours, method) => panic!("{ours:?} with the method {method:?}"),
    }
    let is_own = |name: &[u8]| {
        let folded = spelling::header(name.trim_ascii());
        ["X_USER", "X_SCIMESH_GROUPS"].contains(&folded.as_str())
    };
    let Some(claimed) = claimed else {
        panic!("the map is whole");
    };
    for (name, _) in &all {
        assert_eq!(claimed.names.contains(name), own.claims(name));
        assert!(own.claims(name) || !is_own(name) || name.trim_ascii() != *name);
    }
    let connection = all.iter().filter(|(name, _)| *name == b"connection");
    let lists_own = |value: &[u8]| value.split(|b| *b == b',').any(is_own);
    let lists = connection.clone().any(|(_, value)| lists_own(value));
    assert_eq!(claimed.connection.is_some(), lists);
    assert!(!lists_own(&claimed.connection.unwrap_or_default()));
}

/// What a feeder sends, each message behind its length. Only what is applied changes anything, the position never falls, and what is held says of
/// itself what is so. (Under the fuzzer digests are not compared: it would never find one.)
pub fn feed(bytes: &[u8]) {
    let terms = ["group:a", "group:b", "role:c"].map(Term::parse);
    let Ok(scope) = Scope::new("corp", terms.into_iter().flatten(), true) else {
        panic!("a scope");
    };
    let mut replica = Replica::new(scope, 1 << 20);
    let mut highest = HighWater::default();
    let seen = |replica: &Replica| {
        let held = replica.snapshot()?;
        let mut entries: Vec<_> = held.entries().map(|(s, set)| (s, set.clone())).collect();
        entries.sort_unstable();
        assert_eq!(held.len(), entries.len());
        Some((*held.position(), held.digest(), entries))
    };
    let mut rest = bytes;
    while let Ok(message) = FeederMessage::decode_length_delimited(&mut rest) {
        let before = (seen(&replica), highest.position().copied());
        let made = match replica.receive(message, &mut highest) {
            Ok(Received::Applied(position)) => Some(position),
            _ => {
                assert_eq!((seen(&replica), highest.position().copied()), before);
                replica.settle(&mut highest)
            }
        };
        assert!(replica.bytes() <= 2 << 20);
        match made {
            Some(position) => {
                let (_, old) = before;
                assert!(old.is_none_or(|old| old.order() <= position.order()));
                assert_eq!(highest.position(), Some(&position));
                assert_eq!(seen(&replica).map(|(at, ..)| at), Some(position));
            }
            None => assert_eq!((seen(&replica), highest.position().copied()), before),
        }
    }
    replica.disconnect();
    let before = seen(&replica);
    while !replica.is_settled() {
        assert_eq!(replica.settle(&mut highest), None);
    }
    let after = seen(&replica);
    assert_eq!(after, before);
    if let (Some((_, _, mut entries)), Some(held)) = (after, replica.snapshot()) {
        entries.sort_unstable_by(|(_, a), (_, b)| a.cmp(b));
        entries.dedup_by(|(_, a), (_, b)| a == b);
        assert_eq!(held.distinct_sets(), entries.len());
    }
}

/// The map's headers, found by places alone.
fn pairs(map: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let number = |place: usize| {
        let bytes = map.get(place..place.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let count = number(0)?;
    let mut place = count.checked_mul(8)?.checked_add(4)?;
    map.get(..place)?;
    let mut all = Vec::new();
    for at in 0..count {
        let mut next = |size: usize| {
            let text = map.get(place..place.checked_add(size)?)?;
            place = place.checked_add(size)?.checked_add(1)?;
            (place <= map.len()).then_some(text)
        };
        all.push((next(number(4 + at * 8)?)?, next(number(8 + at * 8)?)?));
    }
    Some(all)
}

struct Nowhere;

impl Connection for Nowhere {
    fn local_port(&self) -> Option<u16> {
        None
    }

    fn peer(&self) -> Option<Vec<u8>> {
        None
    }
}

const START: Moment = Moment {
    monotonic: std::time::Duration::ZERO,
    wall: std::time::Duration::ZERO,
};

/// Some things are nobody's, all else is everybody's.
static CLOSED_IN_PARTS: LazyLock<Policy> = LazyLock::new(|| {
    let document = r#"{
        "tenant": "corp",
        "feed": { "cluster": "feeder" },
        "headers": { "subject": "x-user", "groups": "x-scimesh-groups" },
        "rules": [
            { "name": "paths", "to": [{ "paths": ["/admin", "/admin/*"] }], "allow": "NOBODY" },
            { "name": "hosts", "to": [{ "hosts": ["admin.example", "10.0.0.1"] }], "allow": "NOBODY" },
            { "name": "methods", "to": [{ "methods": ["DELETE"] }], "allow": "NOBODY" },
            { "name": "rest", "to": [{ "methods": ["*"] }], "allow": "PUBLIC" }
        ]
    }"#;
    match Policy::parse(document.as_bytes()) {
        Ok(policy) => policy,
        Err(error) => panic!("{error}"),
    }
});

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The committed corpus of a target.
    #[track_caller]
    fn corpus(target: &str, property: fn(&[u8])) {
        let inputs = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target);
        let mut tried = 0;
        for input in std::fs::read_dir(&inputs).unwrap() {
            let input = input.unwrap().path();
            println!("{}", input.display());
            property(&std::fs::read(&input).unwrap());
            tried += 1;
        }
        assert!(tried > 0, "{} is empty", inputs.display());
    }

    #[test]
    fn policies_of_the_corpus() {
        corpus("policy", policy);
    }

    #[test]
    fn claims_of_the_corpus() {
        corpus("claims", claims);
    }

    #[test]
    fn requests_of_the_corpus() {
        corpus("request", request);
    }

    #[test]
    fn feeds_of_the_corpus() {
        corpus("feed", feed);
    }

    #[test]
    fn header_maps_of_the_corpus() {
        corpus("headers", headers);
    }
}
