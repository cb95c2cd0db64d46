//! Table tests of a policy: requests, who asks, and what shall come of it. Decided by the engine, over a snapshot that is made
//! of a directory as the feeder makes one, so a test can't tell another story than a proxy would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use scimesh_engine::{Policy, Reason, parse_duration};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::cast::{Cast, Person};
use super::company;
use super::dump::{self, BadDump};
use super::file::{self, BadPolicyFile};
use super::trial::{self, Got, Trial};
use crate::config::{self, BadFile};

/// Why a file gives no tests.
#[derive(Debug, thiserror::Error)]
pub enum BadTable {
    /// It can't be read, or is no YAML.
    #[error(transparent)]
    File(#[from] BadFile),
    /// Its policy does not parse, or it has none.
    #[error(transparent)]
    Policy(#[from] BadPolicyFile),
    /// The dump that it names is none.
    #[error(transparent)]
    Dump(#[from] BadDump),
    /// Something in it does not fit the rest.
    #[error("{}:{line}: {why}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What, and why not.
        why: String,
    },
}

/// A file of tests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// A path, or a `pluginConfig`.
    policy: Spanned<Value>,
    /// A path, or a [`company`].
    directory: Option<Spanned<Value>>,
    tests: Vec<Spanned<Test>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Test {
    name: String,
    request: Asked,
    subject: Option<Person>,
    token: Option<BTreeMap<String, Value>>,
    token_age: Option<Span>,
    workload: Option<Person>,
    spiffe_id: Option<String>,
    lease_age: Option<Span>,
    expect: Expect,
}

/// A request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default = "get")]
    pub(super) method: String,
    pub(super) path: Option<String>,
    #[serde(default = "localhost")]
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

fn get() -> String {
    "GET".to_owned()
}

fn localhost() -> String {
    "localhost".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    decision: Option<Verdict>,
    rule: Option<String>,
    reason: Option<String>,
}

impl Expect {
    fn check(self, policy: &Policy) -> Result<Expected, String> {
        if let Some(name) = &self.rule {
            let mut names = (0..).map_while(|rule| policy.rule_name(rule));
            if !names.any(|rule| rule == name) {
                return Err(format!("expect.rule: the policy has no rule '{name}'"));
            }
        }
        let known = |word: String| {
            let mut all = Reason::ALL.into_iter();
            all.find(|reason| reason.as_str() == word)
                .ok_or_else(|| format!("expect.reason: '{word}' is no reason"))
        };
        let expected = Expected {
            decision: self.decision,
            rule: self.rule,
            reason: self.reason.map(known).transpose()?,
        };
        match expected {
            Expected {
                decision: None,
                rule: None,
                reason: None,
            } => Err("expect: needs decision, rule or reason".to_owned()),
            expected => Ok(expected),
        }
    }
}

/// What is said of an outcome beforehand, as far as anything is.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// Whether it goes on.
    pub decision: Option<Verdict>,
    /// The name of the rule that decides.
    pub rule: Option<String>,
    /// Why.
    pub reason: Option<Reason>,
}

/// What becomes of a request, in ENFORCE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It goes on.
    Allow,
    /// It is refused.
    Deny,
}

impl Verdict {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::Deny => "deny",
        }
    }
}

#[derive(Clone, Copy)]
struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text)
            .map(Span)
            .map_err(serde::de::Error::custom)
    }
}

/// What became of one test.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// Where it stands in the file.
    pub line: u64,
    /// What should have come.
    pub expected: Expected,
    /// What came.
    pub got: Got,
}

impl Outcome {
    /// Whether what was expected came.
    pub fn passed(&self) -> bool {
        let Expected {
            decision,
            rule,
            reason,
        } = &self.expected;
        decision.is_none_or(|decision| decision == self.got.decision)
            && (rule.is_none() || *rule == self.got.rule)
            && reason.is_none_or(|reason| reason == self.got.reason)
    }
}

/// Runs all tests of a file; `-` is standard input. Paths in it are relative to it.
pub fn run(path: &Path) -> Result<Vec<Outcome>, BadTable> {
    let text = config::read(path)?;
    let document: Document = serde_saphyr::from_str(&text).map_err(|error| BadFile::Malformed {
        path: path.to_owned(),
        why: error.to_string(),
    })?;
    let wrong = |line: u64, why: String| BadTable::Wrong {
        path: path.to_owned(),
        line,
        why,
    };
    if document.tests.is_empty() {
        return Err(wrong(1, "tests: an empty list".to_owned()));
    }
    let policy = policy(path, document.policy)?;
    let mut cast = match document.directory {
        None => Cast::of_terms(&policy).map_err(|why| wrong(1, why.to_string()))?,
        Some(directory) => {
            let line = directory.referenced.line();
            let stage = match directory.value {
                Value::String(other) => dump::read(&beside(path, &other))?,
                company => company::stage(policy.scope().tenant(), company)
                    .map_err(|why| wrong(line, format!("directory: {why}")))?,
            };
            let (tenant, other) = (policy.scope().tenant(), stage.tenant());
            if tenant != other {
                let why = format!("directory: of tenant {other}, and the policy is for {tenant}");
                return Err(wrong(line, why));
            }
            Cast::of(stage)
        }
    };
    let mut trials = Vec::new();
    for test in document.tests {
        let line = test.referenced.line();
        let name = test.value.name.clone();
        let prepared = prepare(test.value, &policy, &mut cast);
        let (expected, trial) = prepared.map_err(|why| wrong(line, format!("'{name}': {why}")))?;
        trials.push((name, line, expected, trial));
    }
    let snapshot = cast.stage().snapshot(policy.scope());
    let outcomes = trials
        .into_iter()
        .map(|(name, line, expected, trial)| Outcome {
            name,
            line,
            expected,
            got: trial.run(&policy, &snapshot),
        });
    Ok(outcomes.collect())
}

fn beside(path: &Path, other: &str) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join(other)
}

fn policy(path: &Path, written: Spanned<Value>) -> Result<Policy, BadTable> {
    let line = written.referenced.line();
    let Value::String(other) = written.value else {
        return Ok(file::bare(path, line, written.value).parse()?);
    };
    let found = file::read(&beside(path, &other))?;
    match found.as_slice() {
        [one] => Ok(one.parse()?),
        several => Err(BadTable::Wrong {
            path: path.to_owned(),
            line,
            why: format!(
                "policy: {other} holds {} policies, and which of them is not said: keep it in a file of its own",
                several.len()
            ),
        }),
    }
}

/// Brings everybody in whom the test needs.
fn prepare(test: Test, policy: &Policy, cast: &mut Cast) -> Result<(Expected, Trial), String> {
    let expected = test.expect.check(policy)?;
    let request = test.request;
    if request.path.is_none() && request.method != "CONNECT" {
        return Err("request.path: missing".to_owned());
    }
    let token_age = test.token_age.map(|Span(age)| age);
    let token = match (test.subject, test.token) {
        (Some(_), Some(_)) => return Err("subject and token: one of them".to_owned()),
        (None, None) if token_age.is_some() => {
            return Err("tokenAge: there is no token".to_owned());
        }
        (None, None) => None,
        (Some(person), None) => {
            let claims = cast.user(person).map_err(|why| format!("subject.{why}"))?;
            Some(trial::issued(claims, Some(token_age.unwrap_or_default())))
        }
        (None, Some(claims)) => {
            if claims.get("iat").is_some_and(Value::is_number) {
                return Err("token.iat: a test has no date; write tokenAge".to_owned());
            }
            if token_age.is_some() && claims.contains_key("iat") {
                return Err("token.iat: beside tokenAge".to_owned());
            }
            Some(trial::issued(claims, token_age))
        }
    };
    let peer = match (test.workload, test.spiffe_id) {
        (Some(_), Some(_)) => return Err("workload and spiffeId: one of them".to_owned()),
        (Some(person), None) => {
            let id = cast.workload(person);
            Some(id.map_err(|why| format!("workload.{why}"))?)
        }
        (None, id) => id,
    };
    let lease_age = test.lease_age.map_or(Duration::ZERO, |Span(age)| age);
    Ok((
        expected,
        Trial {
            request,
            token,
            peer,
            lease_age,
        },
    ))
}
