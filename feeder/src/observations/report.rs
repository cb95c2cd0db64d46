//! A report as it was read. Whoever sends it may follow the scope, and nothing more is known of them: what no filter says is an error.

use scimesh_engine::Reason;
use scimesh_proto::digest::SubjectDigest;
use scimesh_proto::scope::{Scope, TermKind};
use scimesh_proto::wire::{Malformed, v1};

/// Drifts in a report at most, and as many refusals.
const MAX_ENTRIES: usize = 256;

/// More than that no filter has seen since its last report.
const MAX_COUNT: u64 = u32::MAX as u64;

/// Characters of a rule's or a policy's name at most.
const MAX_NAME: usize = 63;

/// See `Report` in the proto.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) drifts: Vec<Drift>,
    pub(super) compared: u64,
    pub(super) unknown: u64,
    pub(super) refusals: Vec<Refusal>,
    pub(super) left_out: u64,
}

/// What one token says otherwise: places in the scope's terms, all of which are groups.
#[derive(Debug)]
pub(super) struct Drift {
    pub(super) subject: SubjectDigest,
    pub(super) gone: Vec<usize>,
    pub(super) gained: Vec<usize>,
}

/// Requests that would have been refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) policy: String,
    pub(super) rule: String,
    pub(super) reason: Reason,
    pub(super) subject: Option<SubjectDigest>,
    pub(super) requests: u64,
}

impl Report {
    pub(super) fn read(wire: v1::Report, scope: &Scope) -> Result<Report, Malformed> {
        if wire.drifts.len() > MAX_ENTRIES {
            return invalid("report.drifts", "more than 256");
        }
        if wire.shadow_refusals.len() > MAX_ENTRIES {
            return invalid("report.shadow_refusals", "more than 256");
        }
        if wire.unknown > wire.compared {
            return invalid("report.unknown", "more than were compared");
        }
        let drifts = wire.drifts.into_iter();
        let refusals = wire.shadow_refusals.into_iter();
        Ok(Report {
            compared: count("report.compared", wire.compared)?,
            unknown: wire.unknown,
            left_out: count("report.left_out", wire.left_out)?,
            drifts: drifts
                .map(|drift| Drift::read(drift, scope))
                .collect::<Result<_, _>>()?,
            refusals: refusals.map(Refusal::read).collect::<Result<_, _>>()?,
        })
    }
}

impl Drift {
    fn read(wire: v1::Drift, scope: &Scope) -> Result<Drift, Malformed> {
        let drift = Drift {
            subject: subject("drift.subject", &wire.subject)?,
            gone: places("drift.gone", &wire.gone, scope)?,
            gained: places("drift.gained", &wire.gained, scope)?,
        };
        let both = |place| drift.gained.binary_search(place).is_ok();
        if drift.gone.iter().any(both) {
            return invalid("drift.gained", "what is gone as well");
        }
        Ok(drift)
    }
}

impl Refusal {
    fn read(wire: v1::ShadowRefusal) -> Result<Refusal, Malformed> {
        let mut reasons = Reason::ALL.into_iter();
        let refusal = |reason: &Reason| !reason.allows() && reason.as_str() == wire.reason;
        let Some(reason) = reasons.find(refusal) else {
            return invalid("shadow_refusal.reason", "no reason to refuse");
        };
        Ok(Refusal {
            policy: name("shadow_refusal.policy", wire.policy)?,
            rule: name("shadow_refusal.rule", wire.rule)?,
            reason,
            subject: match wire.subject.is_empty() {
                true => None,
                false => Some(subject("shadow_refusal.subject", &wire.subject)?),
            },
            requests: count("shadow_refusal.requests", wire.requests)?,
        })
    }
}

fn invalid<T>(field: &'static str, why: &'static str) -> Result<T, Malformed> {
    Err(Malformed::Invalid { field, why })
}

fn subject(field: &'static str, bytes: &[u8]) -> Result<SubjectDigest, Malformed> {
    let digest = bytes.try_into().map_err(|_| Malformed::Size {
        field,
        got: bytes.len(),
        want: 16,
    })?;
    Ok(SubjectDigest(digest))
}

fn places(field: &'static str, wire: &[u32], scope: &Scope) -> Result<Vec<usize>, Malformed> {
    let mut places: Vec<usize> = Vec::with_capacity(wire.len().min(scope.terms().len()));
    for place in wire {
        let place = *place as usize;
        if places.last().is_some_and(|last| *last >= place) {
            return invalid(field, "not in ascending order");
        }
        match scope.terms().get(place).map(|term| term.kind()) {
            Some(TermKind::Group | TermKind::GroupExternalId) => places.push(place),
            Some(_) => return invalid(field, "a term that is no group"),
            None => return invalid(field, "a term that the scope does not have"),
        }
    }
    Ok(places)
}

/// As policies have them, or empty: the letters go to an operator's terminal.
fn name(field: &'static str, name: String) -> Result<String, Malformed> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match name.len() <= MAX_NAME && name.bytes().all(plain) {
        true => Ok(name),
        false => invalid(field, "not up to 63 of a-z, 0-9 and '-'"),
    }
}

fn count(field: &'static str, count: u64) -> Result<u64, Malformed> {
    match count <= MAX_COUNT {
        true => Ok(count),
        false => invalid(field, "more than any filter sees"),
    }
}
