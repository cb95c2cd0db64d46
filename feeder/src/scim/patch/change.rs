//! One operation on one attribute of an object (RFC 7644 sections 3.5.2.1 to 3.5.2.3).

use serde_json::{Map, Value};

use super::elements::Elements;
use super::immutable::same;
use super::path::Selection;
use super::{Op, PatchError, value};
use crate::schema::{Attribute, Mutability, Type};
use crate::scim::reading::Reading;

/// Carries out `op` on what `selection` names in `object`. Adding what is there changes nothing; nor does removing what is not. On an error
/// the object is of no further use.
pub(super) fn apply(
    object: &mut Map<String, Value>,
    op: Op,
    selection: &Selection<'_>,
    value: Option<Value>,
    reading: &mut Reading,
) -> Result<(), PatchError> {
    let attribute = selection.place.attribute;
    if attribute.multi_valued {
        let mut elements = Elements::new(attribute, object.remove(&attribute.name));
        // Every operation takes the list apart and puts it together again.
        reading.spend(elements.count())?;
        match (&selection.filter, selection.place.sub) {
            (Some(filter), sub) => elements.selected(op, filter, sub, value, reading)?,
            (None, Some(sub)) => elements.only(op, sub, value, reading)?,
            (None, None) => elements.all(op, value, reading)?,
        }
        if let Some(list) = elements.finish()? {
            object.insert(attribute.name.clone(), list);
        }
        return Ok(());
    }
    let whole = selection.place.sub.is_none();
    match op {
        Op::Remove if whole => {
            object.remove(&attribute.name);
        }
        _ if whole && attribute.kind != Type::Complex => {
            write(object, op, attribute, value, reading)?;
        }
        _ => {
            let mut complex = match object.remove(&attribute.name) {
                Some(Value::Object(complex)) => complex,
                _ => Map::new(),
            };
            match selection.place.sub {
                Some(sub) => write(&mut complex, op, sub, value, reading)?,
                None => merge(&mut complex, op, attribute, value, reading)?,
            }
            if !complex.is_empty() {
                object.insert(attribute.name.clone(), Value::Object(complex));
            }
        }
    }
    Ok(())
}

/// Writes an attribute that is not complex. Null replaces a value by none, and adds nothing.
pub(super) fn write(
    object: &mut Map<String, Value>,
    op: Op,
    attribute: &Attribute,
    value: Option<Value>,
    reading: &mut Reading,
) -> Result<(), PatchError> {
    let value = match (op, value) {
        (Op::Remove, _) | (_, None) => None,
        (_, Some(value)) => value::plain(attribute, value, reading)?,
    };
    if attribute.mutability == Mutability::Immutable
        && let Some(old) = object.get(&attribute.name)
    {
        return match value {
            None if op == Op::Add => Ok(()),
            Some(value) if same(attribute, old, &value) => Ok(()),
            _ => Err(PatchError::Immutable(attribute.name.clone())),
        };
    }
    match value {
        Some(value) => {
            object.insert(attribute.name.clone(), value);
        }
        None if op == Op::Add => {}
        None => {
            object.remove(&attribute.name);
        }
    }
    Ok(())
}

/// Writes the sub-attributes given and leaves the others (RFC 7644 section 3.5.2.3).
pub(super) fn merge(
    complex: &mut Map<String, Value>,
    op: Op,
    attribute: &Attribute,
    value: Option<Value>,
    reading: &mut Reading,
) -> Result<(), PatchError> {
    // RFC 7643 section 2.5: null and an empty list are no value.
    let value = value.filter(|value| !value.is_null() && *value != Value::Array(Vec::new()));
    match value {
        None if op == Op::Add => {}
        None => complex.clear(),
        Some(value) => {
            for (sub, value) in value::parts(attribute, value, reading)? {
                write(complex, op, sub, Some(value), reading)?;
            }
        }
    }
    Ok(())
}
