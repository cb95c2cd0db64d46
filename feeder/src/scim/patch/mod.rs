//! What a body does to a resource: POST and PUT (RFC 7644 sections 3.3 and 3.5.1) and PATCH (section 3.5.2), as pure functions.
//!
//! `(attributes, operations) -> (new attributes, member changes)`, all or nothing. The list of members is never read: a group of 100,000 costs what a
//! group of ten does. What touches `members` or `active` and is not understood is an error; other unknown attributes of a body are ignored and
//! noted. It knows nothing of HTTP, stores or who exists.

mod change;
mod edit;
mod elements;
mod immutable;
mod members;
mod operation;
pub(super) mod path;
#[cfg(test)]
mod tests;
mod value;

use serde_json::Value;
use thiserror::Error;
use uuid::Uuid;

use self::immutable::{Absent, Fixed};
use super::filter::FilterError;
use super::limits::{Exceeded, Limit};
use super::reading::Reading;
use crate::directory::{Attributes, MemberChange};
use crate::schema::{ResourceType, Unknown};

pub(crate) use operation::{Op, Operation};
pub(crate) use value::ValueError;

/// A resource as a request wants it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edited {
    /// All its attributes, without members.
    pub(crate) attributes: Attributes,
    /// What happens to its members, in this order.
    pub(crate) members: Vec<MemberChange>,
}

impl Edited {
    /// The members of a new group: a body names them once.
    pub(crate) fn initial_members(&self) -> &[Uuid] {
        match self.members.last() {
            Some(MemberChange::Set(members)) => members,
            _ => &[],
        }
    }
}

/// Why a body can't be carried out. Nothing of it has been.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum PatchError {
    /// Not the body of a PATCH.
    #[error("{0}")]
    Body(&'static str),
    /// A path that is none.
    #[error("path: {0}")]
    Path(&'static str),
    /// A path to an attribute that does not exist.
    #[error("path: {0}")]
    Unknown(#[from] Unknown),
    /// A path's value filter that is none.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A value that the attribute can't have.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A path to what only the server writes.
    #[error("{0:?} is read-only")]
    ReadOnly(String),
    /// A value that can be set once was to be changed.
    #[error("{0:?} is immutable and has a value")]
    Immutable(String),
    /// A required attribute was to be removed.
    #[error("{0:?} is required and can't be removed")]
    Required(String),
    /// Nothing there to operate on.
    #[error("{0}")]
    NoTarget(&'static str),
    /// More than a limit allows.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// A shape of `members` that is not understood, and so might mean anything.
    #[error("members: {0}")]
    Members(&'static str),
    /// A part of a member that no member has.
    #[error("members: {0}")]
    MemberKey(Unknown),
}

/// The resource that a POST describes. An absent `active` is true.
pub(crate) fn create(
    resources: &ResourceType,
    body: Value,
    reading: &mut Reading,
) -> Result<Edited, PatchError> {
    let mut edit = edit::Edit::new(resources, Attributes::new(), reading);
    edit.body(body)?;
    edit.default_active(Value::Bool(true));
    let edited = edit.finish()?;
    check_size(0, &edited, reading)?;
    Ok(edited)
}

/// The resource that a PUT describes. An absent `active` stays as it is: a default of true would re-enable people.
pub(crate) fn replace(
    resources: &ResourceType,
    current: &Attributes,
    body: Value,
    reading: &mut Reading,
) -> Result<Edited, PatchError> {
    let mut edit = edit::Edit::new(resources, Attributes::new(), reading);
    edit.body(body)?;
    edit.default_active(current.get("active").cloned().unwrap_or(Value::Bool(false)));
    let mut edited = edit.finish()?;
    Fixed::of(resources, current).hold(&mut edited.attributes, Absent::Kept)?;
    check_size(size(current), &edited, reading)?;
    Ok(edited)
}

/// What a PATCH makes of the resource.
pub(crate) fn patch(
    resources: &ResourceType,
    current: Attributes,
    operations: Vec<Operation>,
    reading: &mut Reading,
) -> Result<Edited, PatchError> {
    let fixed = Fixed::of(resources, &current);
    let old = size(&current);
    let mut edit = edit::Edit::new(resources, current, reading);
    for operation in operations {
        edit.operation(operation)?;
    }
    let mut edited = edit.finish()?;
    fixed.hold(&mut edited.attributes, Absent::Removed)?;
    check_size(old, &edited, reading)?;
    Ok(edited)
}

/// Refuses attributes that are too large, unless the old ones were so and were no smaller.
fn check_size(old: usize, edited: &Edited, reading: &Reading) -> Result<(), Exceeded> {
    let new = size(&edited.attributes);
    match reading.allow(Limit::ResourceBytes, new) {
        Err(_) if new <= old => Ok(()),
        allowed => allowed,
    }
}

/// In bytes, without `active`: no limit must ever keep a user from being disabled.
fn size(attributes: &Attributes) -> usize {
    let counted = attributes.iter().filter(|(name, _)| *name != "active");
    let text = |value: &Value| serde_json::to_string(value).map_or(0, |text| text.len());
    counted.map(|(name, value)| name.len() + text(value)).sum()
}
