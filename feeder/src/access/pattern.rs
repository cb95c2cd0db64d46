//! The two patterns of a rule: of workloads, and of terms. Both are exact but for their stars, and can't be read in two ways.

use std::fmt;

use scimesh_proto::scope::{InvalidTerm, Term};
use scimesh_proto::spiffe::{trust_domain, valid_trust_domain};

/// Bytes of a pattern of workloads at most, as of an id.
const MAX_PEER_BYTES: usize = 1024;

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// No SPIFFE id with stars where they may be.
    #[error("{0:?}: {1}")]
    Peer(String, &'static str),
    /// Neither `active` nor a term.
    #[error("{0:?}: {1}; or `active`, for every active user")]
    Term(String, InvalidTerm),
}

/// Workloads, by their SPIFFE ids: `spiffe://TRUST-DOMAIN/SEGMENT/…`. A segment may have one `*`, which stands for any
/// characters of that segment, none included; a last segment `**` stands for one or more segments. All else is exact, the
/// trust domain always.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerPattern(String);

impl PeerPattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<PeerPattern, InvalidPattern> {
        match shape(text) {
            Ok(()) => Ok(PeerPattern(text.to_owned())),
            Err(why) => {
                let shown = text.chars().take(MAX_PEER_BYTES).collect();
                Err(InvalidPattern::Peer(shown, why))
            }
        }
    }

    /// Whether the workload of this id is meant; `id` is a valid SPIFFE id, so it has no empty segment.
    pub fn fits(&self, id: &str) -> bool {
        let (pattern, deep) = match self.0.strip_suffix("/**") {
            Some(above) => (above, true),
            None => (&*self.0, false),
        };
        let mut theirs = id.split('/');
        let mut ours = pattern.split('/');
        ours.all(|ours| theirs.next().is_some_and(|theirs| fits(ours, theirs)))
            && theirs.next().is_some() == deep
    }
}

fn fits(pattern: &str, segment: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == segment,
        Some((before, after)) => segment
            .strip_prefix(before)
            .is_some_and(|rest| rest.ends_with(after)),
    }
}

fn shape(text: &str) -> Result<(), &'static str> {
    if text.len() > MAX_PEER_BYTES {
        return Err("longer than 1024 bytes");
    }
    let rest = text.strip_prefix("spiffe://");
    let rest = rest.ok_or("a pattern begins with spiffe://")?;
    let (domain, path) = rest
        .split_once('/')
        .ok_or("a pattern has a path: spiffe://TRUST-DOMAIN/** for the whole trust domain")?;
    if !valid_trust_domain(domain) {
        return Err(
            "the trust domain is written whole, without `*`: 1 to 255 of a-z, 0-9, '.', '-' and '_'",
        );
    }
    let above = match path {
        "**" => return Ok(()),
        path => path.strip_suffix("/**").unwrap_or(path),
    };
    for segment in above.split('/') {
        if segment.matches('*').count() > 1 {
            return Err("one `*` in a segment at most, and `**` only as the last one");
        }
        // A star stands for a letter as well as for anything else: what it leaves must be an id's segment.
        let exact = segment.replace('*', "x");
        if trust_domain(format!("spiffe://{domain}/{exact}").as_bytes()).is_none() {
            return Err(
                "a segment is of a-z, A-Z, 0-9, '.', '-' and '_', neither empty nor `.` nor `..`",
            );
        }
    }
    Ok(())
}

impl fmt::Display for PeerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Terms, as policies write them: `group:payments-admins`. A `*` at the end stands for any rest, none included; anywhere
/// else it is a character like any other. `active` is every active user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TermPattern(String);

const ACTIVE: &str = "active";

impl TermPattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<TermPattern, InvalidPattern> {
        if text != ACTIVE
            && let Err(why) = Term::parse(text)
        {
            let shown = text.chars().take(MAX_PEER_BYTES).collect();
            return Err(InvalidPattern::Term(shown, why));
        }
        Ok(TermPattern(text.to_owned()))
    }

    /// Whether it is about every active user, and no term.
    pub fn is_active(&self) -> bool {
        self.0 == ACTIVE
    }

    /// Whether this term is meant, by its very letters: what it resolves to does not matter.
    pub fn fits(&self, term: &Term) -> bool {
        match self.0.strip_suffix('*') {
            // A term's kind ends with a colon, which the pattern has too.
            Some(start) => term.as_str().starts_with(start),
            None => term.as_str() == self.0,
        }
    }
}

impl fmt::Display for TermPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
