//! What the upstream is told about a request that goes on, and under which names.

use std::fmt::Write as _;

use scimesh_proto::scope::TermKind;
use scimesh_proto::snapshot::Snapshot;

use super::{InvalidPolicy, Policy, document};
use crate::decide::Decision;

/// Bytes of a header's name at most.
const MAX_NAME: usize = 128;

/// The names of the headers that are set, each if it is configured.
#[derive(Debug, Default)]
pub struct Headers {
    subject: Option<String>,
    issuer: Option<String>,
    rule: Option<String>,
    groups: Option<String>,
}

impl Headers {
    pub(super) fn compile(document: document::Headers) -> Result<Headers, InvalidPolicy> {
        let headers = Headers {
            subject: document.subject,
            issuer: document.issuer,
            rule: document.rule,
            groups: document.groups,
        };
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for (field, name) in headers.fields() {
            let wrong = |problem: &str| {
                InvalidPolicy::at(format!("headers.{field}"), format!("'{name}': {problem}"))
            };
            if !is_own(name) {
                return Err(wrong(
                    "x- and 1 to 126 of a-z, 0-9 and '-'; none of Envoy's, Istio's or a proxy's own",
                ));
            }
            let folded: Vec<u8> = name.bytes().map(fold).collect();
            if seen.contains(&folded) {
                return Err(wrong("two headers of one name"));
            }
            seen.push(folded);
        }
        if seen.is_empty() {
            return Err(InvalidPolicy::at(
                "headers",
                "needs subject, issuer, rule or groups",
            ));
        }
        Ok(headers)
    }

    fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("subject", &self.subject),
            ("issuer", &self.issuer),
            ("rule", &self.rule),
            ("groups", &self.groups),
        ]
        .into_iter()
        .filter_map(|(field, name)| Some((field, name.as_deref()?)))
    }

    /// Whether none is configured.
    pub fn is_empty(&self) -> bool {
        self.fields().next().is_none()
    }

    /// Whether an upstream might take a header of this name for one of these: names are compared without regard to case, and
    /// with everything but letters and digits alike, as CGI and its heirs do (RFC 3875 section 4.1.18).
    pub fn claims(&self, name: &[u8]) -> bool {
        self.fields().any(|(_, own)| {
            own.len() == name.len() && own.bytes().map(fold).eq(name.iter().copied().map(fold))
        })
    }

    /// What to set for a request that goes on, names and values. Nothing under a SHADOW policy, of which the upstream shall
    /// notice nothing. What is not known is left out: a PUBLIC rule knows no subject, nor does one about workloads alone.
    pub fn values(
        &self,
        policy: &Policy,
        snapshot: Option<&Snapshot>,
        decision: &Decision,
    ) -> Vec<(&str, String)> {
        if self.is_empty() || !decision.reason.allows() || policy.mode() == super::Mode::Shadow {
            return Vec::new();
        }
        let subject = decision.subject.as_ref();
        let groups = || {
            let snapshot = snapshot?;
            let held = snapshot.terms_of(&subject?.digest)?;
            let terms = snapshot.scope().terms().iter().enumerate();
            let groups = terms.filter(|(place, term)| {
                held.contains(*place)
                    && matches!(term.kind(), TermKind::Group | TermKind::GroupExternalId)
            });
            let groups: Vec<String> = groups
                .map(|(_, term)| encode(term.as_str().as_bytes()))
                .collect();
            Some(groups.join(","))
        };
        let value = |field| match field {
            "subject" => Some(encode(&subject?.name)),
            "issuer" => Some(encode(&subject?.issuer)),
            "rule" => policy.rule_name(decision.rule?).map(str::to_owned),
            _ => groups(),
        };
        self.fields()
            .filter_map(|(field, name)| Some((name, value(field)?)))
            .collect()
    }
}

/// Names that are nobody's but ours: others mean something to proxies, or to HTTP itself.
fn is_own(name: &str) -> bool {
    const OTHERS: [&str; 5] = ["envoy", "istio", "forwarded", "request-id", "b3"];
    name.len() <= MAX_NAME
        && name.strip_prefix("x-").is_some_and(|rest| {
            !rest.is_empty()
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !OTHERS.iter().any(|other| rest.starts_with(other))
        })
}

/// Byte by byte, so that names are compared without a copy of every header's.
fn fold(byte: u8) -> u8 {
    match byte.is_ascii_alphanumeric() {
        true => byte.to_ascii_lowercase(),
        false => b'-',
    }
}

/// Percent-encoding (RFC 3986 section 2.1) of what is no visible ASCII character, of '%' and of ',', which separates.
fn encode(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value {
        if byte.is_ascii_graphic() && !matches!(byte, b'%' | b',') {
            text.push(char::from(*byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
