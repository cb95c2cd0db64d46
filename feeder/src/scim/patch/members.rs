//! What an operation does to a group's members. They are named, never read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::path::Selection;
use super::value::decoded;
use super::{Op, PatchError};
use crate::directory::MemberChange;
use crate::schema::Attribute;
use crate::scim::dialect::Dialect;
use crate::scim::filter::{Filter, Operand, Operator};
use crate::scim::id;
use crate::scim::reading::Reading;

const NO_ID: PatchError = PatchError::Members("a value is not the id of a user or group");

/// The same steps in as few as possible: each costs the writer a new version of the group, and a body may bring thousands. After a step that says who
/// all members are, the last word on each id counts.
pub(super) fn settled(changes: Vec<MemberChange>) -> Vec<MemberChange> {
    if changes.len() < 3 {
        return changes;
    }
    let mut settled = Vec::new();
    let mut last: BTreeMap<Uuid, bool> = BTreeMap::new();
    for change in changes {
        match change {
            MemberChange::Add(ids) => last.extend(ids.into_iter().map(|id| (id, true))),
            MemberChange::Remove(ids) => last.extend(ids.into_iter().map(|id| (id, false))),
            MemberChange::Set(ids) => {
                last.clear();
                settled = vec![MemberChange::Set(ids)];
            }
        }
    }
    let of = |is: bool| {
        last.iter()
            .filter(move |(_, added)| **added == is)
            .map(|(id, _)| *id)
    };
    settled.push(MemberChange::Remove(of(false).collect()));
    settled.push(MemberChange::Add(of(true).collect()));
    settled
}

/// What `op` on `members` means. A shape that is not certain is refused: members are access.
pub(crate) fn change(
    op: Op,
    selection: &Selection<'_>,
    value: Option<Value>,
    reading: &mut Reading,
) -> Result<MemberChange, PatchError> {
    let members = selection.place.attribute;
    if selection.place.sub.is_some() {
        return Err(PatchError::Path(
            "a member is added or removed whole; it has no part that can be written",
        ));
    }
    match (op, &selection.filter, value) {
        (Op::Remove, Some(filter), value) => {
            let ids = selected(filter, reading)?;
            // ConnId names whom it removes twice.
            let again = match value.filter(|value| !value.is_null()) {
                None => ids.clone(),
                Some(value) => by_value(members, value, reading)?,
            };
            match same(&ids, &again) {
                true => Ok(MemberChange::Remove(ids)),
                false => Err(PatchError::Members(
                    "the path and the value name different members",
                )),
            }
        }
        (_, Some(_), _) => Err(PatchError::Path("members[…] can only be removed")),
        (Op::Remove, None, None | Some(Value::Null)) => Ok(MemberChange::Set(Vec::new())),
        (Op::Remove, None, Some(value)) => {
            by_value(members, value, reading).map(MemberChange::Remove)
        }
        (Op::Add, None, Some(value)) => existing(members, value, reading).map(MemberChange::Add),
        (Op::Replace, None, Some(value)) => {
            existing(members, value, reading).map(MemberChange::Set)
        }
        (Op::Add | Op::Replace, None, None) => Err(PatchError::Members("no value")),
    }
}

/// The ids of those whom the value of a removal names.
fn by_value(
    members: &Attribute,
    value: Value,
    reading: &mut Reading,
) -> Result<Vec<Uuid>, PatchError> {
    reading.note(Dialect::RemoveByValue);
    let named = named(members, value, reading)?;
    named.iter().map(|text| removed(text, reading)).collect()
}

/// Whether both name the same, in whatever order.
fn same(one: &[Uuid], other: &[Uuid]) -> bool {
    let set = |ids: &[Uuid]| ids.iter().copied().collect::<BTreeSet<_>>();
    set(one) == set(other)
}

/// The ids of members to be; each has to be one.
fn existing(
    members: &Attribute,
    value: Value,
    reading: &mut Reading,
) -> Result<Vec<Uuid>, PatchError> {
    named(members, value, reading)?
        .iter()
        .map(|text| id::parse(text).ok_or(NO_ID))
        .collect()
}

/// The id of who is to go, who need not be a member. What can't be an id is refused, and another spelling of an id is that id: if either were
/// nobody, the IdP would be told that someone is out who is in.
fn removed(text: &str, reading: &mut Reading) -> Result<Uuid, PatchError> {
    if let Some(id) = id::parse(text) {
        return Ok(id);
    }
    let id = Uuid::try_parse(text).map_err(|_| NO_ID)?;
    reading.note(Dialect::IdSpelling);
    Ok(id)
}

/// The `value` of each member given: a list of objects, or one object; ConnId has a mode with the list in an object.
fn named(
    members: &Attribute,
    value: Value,
    reading: &mut Reading,
) -> Result<Vec<String>, PatchError> {
    let value = match decoded(value, reading) {
        Value::Object(mut object) if object.len() == 1 && object.contains_key("members") => {
            reading.note(Dialect::WrappedValue);
            object.remove("members").unwrap_or_default()
        }
        value => value,
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => {
            let list = list.into_iter();
            list.map(|one| member(members, decoded(one, reading)))
                .collect()
        }
        value @ Value::Object(_) => {
            reading.note(Dialect::SingleForList);
            member(members, value).map(|member| vec![member])
        }
        _ => Err(PatchError::Members("not a list of objects")),
    }
}

/// `$ref`, `type` and `display` follow from the id and are ignored; so is `primary`, which RFC 7643 section 2.4 gives to every list. Any
/// other key might change what is meant (SCIM 1.1 has `"operation": "delete"`).
fn member(members: &Attribute, member: Value) -> Result<String, PatchError> {
    let Value::Object(member) = member else {
        return Err(PatchError::Members("a member is not an object"));
    };
    let mut id = None;
    for (key, value) in member as Map<String, Value> {
        match (key.to_ascii_lowercase().as_str(), value) {
            ("value", Value::String(value)) if id.is_none() => id = Some(value),
            ("value", _) => return Err(PatchError::Members("a value is not one string")),
            ("$ref" | "type" | "display" | "primary", _) => {}
            _ => {
                members.resolve(&key).map_err(PatchError::MemberKey)?;
            }
        }
    }
    id.ok_or(PatchError::Members("a member without a value"))
}

/// The ids that a filter names: `value eq "…"`, or several joined by `or`. Anything else would need the list of members.
fn selected(filter: &Filter<'_>, reading: &mut Reading) -> Result<Vec<Uuid>, PatchError> {
    let mut ids = Vec::new();
    let alternatives = match filter {
        Filter::Or(filters) => filters.as_slice(),
        filter => std::slice::from_ref(filter),
    };
    for filter in alternatives {
        match filter {
            Filter::Compare {
                place,
                operator: Operator::Equal,
                operand: Operand::Text { written, .. },
            } if place.is("value") => ids.push(removed(written, reading)?),
            _ => {
                return Err(PatchError::Members(
                    "only value eq \"…\" selects members to remove",
                ));
            }
        }
    }
    Ok(ids)
}
