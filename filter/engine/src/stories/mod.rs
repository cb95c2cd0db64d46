//! What happens to requests: a small company behind a policy, told request by request.

mod drift;
mod explained;
mod open;
mod properties;
mod shadow;
mod token;
mod upstream;
mod when;
mod which_rule;
mod who;
mod workload;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use scimesh_proto::binding::{Attribute, Binding, Pin, Source};
use scimesh_proto::digest::Key;
use scimesh_proto::position::{History, Position, Proof};
use scimesh_proto::scope::{Scope, Term};
use scimesh_proto::snapshot::{Snapshot, TermSet, TermState};
use serde_json::{Value, json};

use crate::{Claim, Claims, Connection, Decision, Lease, Moment, Policy, Reason, Request, decide};

const ISSUER: &str = "https://idp.corp.example";
const MAIL_ISSUER: &str = "https://mail.example";
const NAME_ISSUER: &str = "https://names.example";
const BATCH: &str = "spiffe://cluster.local/ns/pay/sa/batch";
const REPORTS: &str = "spiffe://cluster.local/ns/pay/sa/reports";
const SHARED_ISSUER: &str = "https://login.shared.example";

/// A token: its claims, and which of them were asked for.
#[derive(Default)]
struct Token {
    claims: BTreeMap<String, Claim>,
    asked: RefCell<Vec<String>>,
}

impl Token {
    fn with(mut self, name: &str, claim: Claim) -> Token {
        self.claims.insert(name.to_owned(), claim);
        self
    }

    fn says(self, name: &str, text: &str) -> Token {
        self.with(name, Claim::Text(text.as_bytes().to_vec()))
    }

    fn of(issuer: &str) -> Token {
        Token::default().says("iss", issuer)
    }
}

impl Claims for Token {
    fn claim(&self, name: &str) -> Claim {
        self.asked.borrow_mut().push(name.to_owned());
        self.claims.get(name).cloned().unwrap_or(Claim::Absent)
    }
}

fn sub(value: &str) -> Token {
    Token::of(ISSUER).says("sub", value)
}

/// What a request came in on.
#[derive(Default)]
struct Wire {
    port: Option<u16>,
    peer: Option<Vec<u8>>,
}

impl Connection for Wire {
    fn local_port(&self) -> Option<u16> {
        self.port
    }

    fn peer(&self) -> Option<Vec<u8>> {
        self.peer.clone()
    }
}

/// Plaintext, to port 8080.
const PLAIN: Wire = Wire {
    port: Some(8080),
    peer: None,
};

fn from_peer(uri: &str) -> Wire {
    Wire {
        peer: Some(uri.into()),
        ..PLAIN
    }
}

/// alice is in admins, bob a contractor in admins, carol in nothing; eve is known by her email, frank by the shared issuer, gus by
/// his name in any case. The service account batch is in jobs, reports in nothing.
fn company(scope: &Scope) -> Snapshot {
    company_where(scope, |_| TermState::Found)
}

fn company_where(scope: &Scope, state: impl Fn(&str) -> TermState) -> Snapshot {
    let position = Position {
        history: History {
            generation: 1,
            id: [1; 16],
        },
        revision: 7,
        proof: Proof([0; 16]),
    };
    let binding = |issuer: &str, claim: &str, attribute, pin| Binding {
        source: Source::Token {
            issuer: issuer.to_owned(),
            claim: claim.to_owned(),
            pin,
            groups: None,
        },
        attribute,
        ignore_case: attribute == Attribute::UserName,
    };
    let pin = Pin {
        claim: "tid".to_owned(),
        value: "corp-tid".to_owned(),
    };
    let bindings = vec![
        binding(ISSUER, "sub", Attribute::ExternalId, None),
        binding(SHARED_ISSUER, "oid", Attribute::Id, Some(pin)),
        binding(MAIL_ISSUER, "email", Attribute::Email, None),
        binding(NAME_ISSUER, "upn", Attribute::UserName, None),
        Binding {
            source: Source::Workload {
                trust_domain: "cluster.local".to_owned(),
            },
            attribute: Attribute::ExternalId,
            ignore_case: false,
        },
    ];
    let states = scope.terms().iter().map(|term| state(term.as_str()));
    let mut snapshot = Snapshot::new(
        scope.clone(),
        position,
        Key::new([3; 32]),
        bindings.clone(),
        states.collect(),
    );
    for (binding, value, terms) in [
        (&bindings[0], "alice", &["group:admins", "role:owner"][..]),
        (&bindings[0], "bob", &["group:admins", "group:contractors"]),
        (&bindings[0], "carol", &[]),
        (&bindings[1], "frank", &["group:admins"]),
        (&bindings[2], "eve@corp.example", &["group:admins"]),
        (&bindings[3], "gus@corp.example", &["group:admins"]),
        (&bindings[4], BATCH, &["group:jobs"]),
        (&bindings[4], REPORTS, &[]),
    ] {
        let places = terms
            .iter()
            .filter_map(|term| scope.index_of(&Term::parse(term).unwrap()));
        let held = TermSet::from_indices(places);
        if scope.any_active() || !held.is_empty() {
            let subject = snapshot.subject(binding, value.as_bytes());
            snapshot.insert(subject, held).unwrap();
        }
    }
    snapshot
}

fn policy_of(rules: Value) -> Policy {
    policy_in("ENFORCE", rules)
}

fn policy_in(mode: &str, rules: Value) -> Policy {
    let document =
        json!({ "tenant": "corp", "feed": { "cluster": "feeder" }, "mode": mode, "rules": rules });
    Policy::parse(document.to_string().as_bytes()).unwrap()
}

/// One rule over every request.
fn requiring(require: Value) -> Policy {
    policy_of(json!([{ "name": "all", "to": [{ "methods": ["*"] }], "require": require }]))
}

fn admins() -> Policy {
    requiring(json!({ "anyOf": ["group:admins"] }))
}

const NOW: Moment = Moment {
    monotonic: Duration::from_secs(1_000),
    wall: Duration::from_secs(1_800_000_000),
};

fn renewed(seconds_ago: u64) -> Lease {
    let mut lease = Lease::default();
    lease.renew(Moment {
        monotonic: NOW.monotonic - Duration::from_secs(seconds_ago),
        wall: NOW.wall - Duration::from_secs(seconds_ago),
    });
    lease
}

fn get<'a>(path: &'a str, token: Option<&'a Token>) -> Request<'a> {
    Request {
        method: b"GET",
        path: Some(path.as_bytes()),
        host: b"svc.example.com",
        connection: &PLAIN,
        token: token.map(|token| token as &dyn Claims),
    }
}

fn decided(policy: &Policy, request: &Request<'_>) -> Decision {
    let snapshot = company(policy.scope());
    decide(policy, Some(&snapshot), &renewed(1), request, NOW)
}

/// Why `policy` answers `GET /` with this token as it does.
fn reason(policy: &Policy, token: &Token) -> Reason {
    let decision = decided(policy, &get("/", Some(token)));
    assert_eq!(decision.allowed, decision.reason.allows());
    decision.reason
}

fn asked<'a>(method: &'a str, path: &'a str, token: &'a Token) -> Request<'a> {
    Request {
        method: method.as_bytes(),
        ..get(path, Some(token))
    }
}

/// Public, closed, for owners, for everybody active.
fn layered() -> Value {
    json!([
        { "name": "health", "to": [{ "paths": ["/healthz"], "methods": ["GET"] }], "allow": "PUBLIC" },
        { "name": "metrics", "to": [{ "paths": ["/metrics"] }, { "paths": ["/debug/*"] }], "allow": "NOBODY" },
        { "name": "refunds", "to": [{ "methods": ["POST"], "paths": ["/accounts/{*}/refunds"] }], "require": { "anyOf": ["role:owner"] } },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["active"] } },
    ])
}
