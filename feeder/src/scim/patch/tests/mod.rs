//! Bodies onto resources, without a server.

mod bounds;
mod idps;
mod properties;
mod rfc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Edited, MemberChange, Operation, PatchError};
use crate::directory::Attributes;
use crate::schema::{ResourceType, group, user};
use crate::scim::dialect::Seen;
use crate::scim::reading::Reading;

const ANNE: Uuid = Uuid::from_u128(0xa);
const BOB: Uuid = Uuid::from_u128(0xb);

fn object(value: Value) -> Attributes {
    match value {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

/// What a body made, and what it was let through with.
#[derive(Debug)]
struct Done {
    attributes: Attributes,
    members: Vec<MemberChange>,
    seen: Seen,
}

fn read(edit: impl FnOnce(&mut Reading) -> Result<Edited, PatchError>) -> Result<Done, PatchError> {
    let mut reading = Reading::default();
    let edited = edit(&mut reading)?;
    Ok(Done {
        attributes: edited.attributes,
        members: edited.members,
        seen: reading.seen().clone(),
    })
}

fn create(resources: &ResourceType, body: Value) -> Result<Done, PatchError> {
    read(|reading| super::create(resources, body, reading))
}

fn replace(
    resources: &ResourceType,
    current: &Attributes,
    body: Value,
) -> Result<Done, PatchError> {
    read(|reading| super::replace(resources, current, body, reading))
}

fn patched(
    resources: &ResourceType,
    current: Value,
    operations: Value,
) -> Result<Done, PatchError> {
    read(|reading| {
        let operations = Operation::parse(json!({"Operations": operations}), reading)?;
        super::patch(resources, object(current), operations, reading)
    })
}

fn user_with(extra: Value) -> Value {
    let mut base = object(json!({"userName": "anne", "active": true}));
    base.extend(object(extra));
    Value::Object(base)
}

/// What the operations make of a user with these attributes besides `userName` and `active`.
#[track_caller]
fn user_after(extra: Value, operations: Value) -> Value {
    match patched(user(), user_with(extra), operations.clone()) {
        Ok(edited) => Value::Object(edited.attributes),
        Err(error) => panic!("{operations}: {error}"),
    }
}

#[track_caller]
fn user_refused(extra: Value, operations: Value) -> PatchError {
    patched(user(), user_with(extra), operations.clone())
        .map(|edited| panic!("{operations} gave {edited:?}"))
        .unwrap_err()
}

#[track_caller]
fn members_after(operations: Value) -> Vec<MemberChange> {
    match patched(group(), json!({"displayName": "G"}), operations.clone()) {
        Ok(edited) => {
            assert_eq!(edited.attributes.get("members"), None);
            edited.members
        }
        Err(error) => panic!("{operations}: {error}"),
    }
}
