//! Versions of resources: weak entity tags (RFC 7644 section 3.14).

use http::{HeaderMap, header};

use super::error::Error;
use crate::directory::Meta;

/// `meta.version`. It counts this resource's changes and tells nothing of others.
pub(crate) fn tag(meta: &Meta) -> String {
    format!("W/\"{}\"", meta.version)
}

/// The versions that a client expects; none given is any.
#[derive(Debug, Clone)]
pub(crate) struct IfMatch(Option<String>);

impl IfMatch {
    /// From a request's headers.
    pub(crate) fn of(headers: &HeaderMap) -> IfMatch {
        let values = headers.get_all(header::IF_MATCH).iter();
        let tags: Vec<&str> = values.map(|v| v.to_str().unwrap_or_default()).collect();
        IfMatch((!tags.is_empty()).then(|| tags.join(",")))
    }

    /// From the `version` of an operation of a Bulk request (RFC 7644 section 3.7).
    pub(crate) fn version(version: Option<String>) -> IfMatch {
        IfMatch(version)
    }

    /// Whether the resource is at an expected version. Asked inside the command, so nothing comes between.
    pub(crate) fn check(&self, meta: &Meta) -> Result<(), Error> {
        let Some(expected) = &self.0 else {
            return Ok(());
        };
        // RFC 7644 has only weak tags, and compares them here nevertheless; some clients drop the W/.
        let tag = tag(meta);
        let strong = tag.trim_start_matches("W/");
        let met = expected
            .split(',')
            .map(str::trim)
            .any(|expected| expected == "*" || expected == tag || expected == strong);
        match met {
            true => Ok(()),
            false => Err(Error::PreconditionFailed),
        }
    }
}
