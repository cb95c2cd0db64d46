//! What the access log can show of a request: filter state `wasm.scimesh_decision`, `…_rule`, `…_reason` and `…_revision`,
//! each with the policy's name behind it if that has one, as the verdict's is.
//!
//! For people. Nothing may be decided on it: the backstop goes by the verdict.

use crate::host::{self, HostError};

/// The names of one policy's fields.
pub(crate) struct Record {
    decision: String,
    rule: String,
    reason: String,
    revision: String,
}

/// What a request's fields are; one that does not apply is not set, and an access log shows `-`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) decision: &'static str,
    pub(crate) rule: Option<&'a str>,
    pub(crate) reason: Option<&'static str>,
    /// Of the directory that it was decided on.
    pub(crate) revision: Option<u64>,
}

impl Entry<'_> {
    /// It waits for the first content; what it says is overwritten when it is decided.
    pub(crate) const HELD: Entry<'static> = Entry {
        decision: "held",
        rule: None,
        reason: None,
        revision: None,
    };

    /// Nothing could be decided.
    pub(crate) fn failed() -> Entry<'static> {
        Entry {
            decision: "deny",
            rule: None,
            reason: Some(scimesh_engine::Reason::Misconfigured.as_str()),
            revision: None,
        }
    }
}

impl Record {
    /// Of a policy of this name.
    pub(crate) fn of(policy: Option<&str>) -> Record {
        let name = |field| match policy {
            None => format!("scimesh_{field}"),
            Some(policy) => format!("scimesh_{field}_{policy}"),
        };
        Record {
            decision: name("decision"),
            rule: name("rule"),
            reason: name("reason"),
            revision: name("revision"),
        }
    }

    /// Sets the effective context's fields.
    pub(crate) fn write(&self, entry: &Entry<'_>) -> Result<(), HostError> {
        host::set_property(&self.decision, entry.decision.as_bytes())?;
        if let Some(rule) = entry.rule {
            host::set_property(&self.rule, rule.as_bytes())?;
        }
        if let Some(reason) = entry.reason {
            host::set_property(&self.reason, reason.as_bytes())?;
        }
        if let Some(revision) = entry.revision {
            host::set_property(&self.revision, revision.to_string().as_bytes())?;
        }
        Ok(())
    }
}
