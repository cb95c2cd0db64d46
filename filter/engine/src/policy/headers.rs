//! What the upstream is told about a request that goes on, and under which names.

use std::fmt::Write as _;

use scimesh_proto::scope::TermKind;
use scimesh_proto::snapshot::{Snapshot, TermState};

use super::{InvalidPolicy, Policy, Rule, document};
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
    /// notice nothing. What the rule that decided did not ask for is left out: a PUBLIC rule knows no subject, nor does one about
    /// workloads alone, whatever a SHADOW rule before it may have found out; nor are groups told that SHADOW rules alone name.
    pub fn values(
        &self,
        policy: &Policy,
        snapshot: Option<&Snapshot>,
        decision: &Decision,
    ) -> Vec<(&str, String)> {
        if self.is_empty() || !decision.reason.allows() || policy.mode() == super::Mode::Shadow {
            return Vec::new();
        }
        let rule = decision.rule.and_then(|rule| policy.rules().get(rule));
        let asks = rule
            .and_then(Rule::demand)
            .is_some_and(|demand| demand.requirements.user.is_some());
        let subject = decision.subject.as_ref().filter(|_| asks);
        let groups = || {
            let snapshot = snapshot?;
            let held = snapshot.terms_of(&subject?.digest)?;
            let terms = snapshot.scope().terms().iter().enumerate();
            let groups = terms.filter(|(place, term)| {
                held.contains(*place)
                    && snapshot.term_state(*place) == TermState::Found
                    && matches!(term.kind(), TermKind::Group | TermKind::GroupExternalId)
                    && policy.told().contains(term)
            });
            let groups: Vec<String> = groups
                .map(|(_, term)| encode(term.as_str().as_bytes()))
                .collect();
            Some(groups.join(","))
        };
        let value = |field| match field {
            "subject" => Some(encode(&subject?.name)),
            "issuer" => Some(encode(&subject?.issuer)),
            "rule" => Some(rule?.name.clone()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn headers() -> Headers {
        Headers {
            subject: Some("x-scimesh-user-1".to_owned()),
            groups: Some("x-groups".to_owned()),
            ..Headers::default()
        }
    }

    #[test]
    fn every_spelling_that_an_upstream_might_fold_together_is_claimed() {
        for name in [
            "x-scimesh-user-1",
            "X-Scimesh-User-1",
            "x_scimesh_user_1",
            "X_SCIMESH_USER-1",
            "x.scimesh.user.1",
            "x-scimesh user~1",
            "x-groups",
            "X_Groups",
        ] {
            assert!(headers().claims(name.as_bytes()), "{name}");
        }
        assert!(headers().claims(b"x\xffgroups"));
        for name in [
            "",
            "x",
            "x-group",
            "x-groupss",
            "x-groups-",
            "-x-groups",
            "xgroups",
            "x-scimesh-user",
            "x-scimesh-user-2",
            "x-issuer",
        ] {
            assert!(!headers().claims(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn without_configured_names_nothing_is_claimed() {
        let none = Headers::default();
        assert!(none.is_empty());
        assert!(!none.claims(b"") && !none.claims(b"x-groups"));
    }

    proptest! {
        #[test]
        fn case_and_separators_never_count(name in "[a-z0-9]{1,6}([-_.][a-z0-9]{1,6}){0,3}", upper in any::<u16>(), by in "[-_. +~!]") {
            let own = format!("x-{}", name.replace(['_', '.'], "-"));
            let headers = Headers { rule: Some(own.clone()), ..Headers::default() };
            let spelled: String = own.chars().enumerate().map(|(at, c)| match c {
                '-' => by.clone(),
                c if upper >> (at % 16) & 1 == 1 => c.to_ascii_uppercase().to_string(),
                c => c.to_string(),
            }).collect();
            prop_assert!(headers.claims(spelled.as_bytes()), "{}", spelled);
        }

        #[test]
        fn what_is_encoded_is_visible_and_can_be_read_back(value in prop::collection::vec(any::<u8>(), 0..40)) {
            let text = encode(&value);
            prop_assert!(text.bytes().all(|b| b.is_ascii_graphic() && b != b','));
            let mut bytes = text.bytes();
            let mut read = Vec::new();
            while let Some(byte) = bytes.next() {
                read.push(match byte {
                    b'%' => {
                        let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                        u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                    }
                    byte => byte,
                });
            }
            prop_assert_eq!(read, value);
        }
    }
}
