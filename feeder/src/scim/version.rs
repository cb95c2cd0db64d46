//! Versions of resources: weak entity tags (RFC 7644 section 3.14, RFC 9110 sections 8.8.3 and 13).

use http::{HeaderMap, HeaderName, header};

use super::error::Error;
use crate::directory::Meta;

/// `meta.version`. It counts this resource's changes and tells nothing of others: not when someone joins a group, which is the group's change.
pub(crate) fn tag(meta: &Meta) -> String {
    format!("W/\"{}\"", meta.version)
}

/// The versions at which a client wants its request carried out; it may not care.
#[derive(Debug, Clone)]
pub(crate) struct IfMatch {
    /// Only at one of these.
    only: Option<String>,
    /// At none of these.
    not: Option<String>,
}

impl IfMatch {
    /// From a request's `If-Match` and `If-None-Match`.
    pub(crate) fn of(headers: &HeaderMap) -> IfMatch {
        IfMatch {
            only: list(headers, header::IF_MATCH),
            not: list(headers, header::IF_NONE_MATCH),
        }
    }

    /// From the `version` of an operation of a Bulk request (RFC 7644 section 3.7).
    pub(crate) fn version(version: Option<String>) -> IfMatch {
        IfMatch {
            only: version,
            not: None,
        }
    }

    /// Whether a change may be made at this version. Asked inside the command, so nothing comes between.
    pub(crate) fn check(&self, meta: &Meta) -> Result<(), Error> {
        match self.allows_reading(meta)? {
            true => Ok(()),
            // RFC 9110 section 13.1.2: "for all other methods, the server MUST respond with a 412".
            false => Err(Error::PreconditionFailed),
        }
    }

    /// Whether the client has yet to be told what the resource is like; false: it has this version.
    pub(crate) fn allows_reading(&self, meta: &Meta) -> Result<bool, Error> {
        let tag = tag(meta);
        if self.only.as_ref().is_some_and(|only| !names(only, &tag)) {
            return Err(Error::PreconditionFailed);
        }
        Ok(!self.not.as_ref().is_some_and(|not| names(not, &tag)))
    }
}

fn list(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let values = headers.get_all(name).iter();
    let tags: Vec<&str> = values.map(|v| v.to_str().unwrap_or_default()).collect();
    (!tags.is_empty()).then(|| tags.join(","))
}

/// Whether a list of tags names this one. RFC 7644 has only weak tags, and compares them also for `If-Match`; some clients drop the W/.
fn names(list: &str, tag: &str) -> bool {
    let strong = tag.trim_start_matches("W/");
    let mut tags = list.split(',').map(str::trim);
    tags.any(|listed| listed == "*" || listed == tag || listed == strong)
}
