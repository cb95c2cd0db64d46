//! One request of a test, and what the engine decides about it.

use std::collections::BTreeMap;
use std::time::Duration;

use scimesh_engine::{Claim, Claims, Connection, Lease, Moment, Policy, Reason, Request, decide};
use scimesh_proto::snapshot::Snapshot;
use serde_json::{Value, json};

use super::table::{Asked, Verdict};

/// When all of it happens. Ages are counted back from here.
const NOW: Moment = Moment {
    monotonic: Duration::from_secs(1 << 30),
    wall: Duration::from_secs(1_800_000_000),
};

/// What a test puts to the engine.
pub(super) struct Trial {
    pub(super) request: Asked,
    pub(super) token: Option<Token>,
    pub(super) peer: Option<String>,
    pub(super) lease_age: Duration,
}

/// A token that was verified.
pub(super) struct Token(BTreeMap<String, Value>);

/// A token of this age, if it says when it was issued.
pub(super) fn issued(mut claims: BTreeMap<String, Value>, age: Option<Duration>) -> Token {
    if let Some(age) = age {
        let issued = NOW.wall.saturating_sub(age).as_secs_f64();
        claims.insert("iat".to_owned(), json!(issued));
    }
    Token(claims)
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Got {
    /// In ENFORCE, also of a policy in SHADOW.
    pub decision: Verdict,
    /// The rule that decided.
    pub rule: Option<String>,
    /// Why.
    pub reason: Reason,
}

impl Trial {
    pub(super) fn run(&self, policy: &Policy, snapshot: &Snapshot) -> Got {
        let request = Request {
            method: self.request.method.as_bytes(),
            path: self.request.path.as_deref().map(str::as_bytes),
            host: self.request.host.as_bytes(),
            connection: self,
            token: self.token.as_ref().map(|token| token as &dyn Claims),
        };
        let mut lease = Lease::default();
        lease.renew(Moment {
            monotonic: NOW.monotonic.saturating_sub(self.lease_age),
            wall: NOW.wall.saturating_sub(self.lease_age),
        });
        let decision = decide(policy, Some(snapshot), &lease, &request, NOW);
        Got {
            decision: match decision.reason.allows() {
                true => Verdict::Allow,
                false => Verdict::Deny,
            },
            rule: decision
                .rule
                .and_then(|rule| policy.rule_name(rule))
                .map(str::to_owned),
            reason: decision.reason,
        }
    }
}

impl Connection for Trial {
    fn local_port(&self) -> Option<u16> {
        self.request.port
    }

    fn peer(&self) -> Option<Vec<u8>> {
        self.peer.as_ref().map(|peer| peer.as_bytes().to_vec())
    }
}

impl Claims for Token {
    fn claim(&self, name: &str) -> Claim {
        match self.0.get(name) {
            None => Claim::Absent,
            Some(Value::String(text)) => Claim::Text(text.as_bytes().to_vec()),
            Some(Value::Number(number)) => number.as_f64().map_or(Claim::Other, Claim::Number),
            Some(Value::Bool(value)) => Claim::Bool(*value),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) => Claim::Other,
        }
    }
}
