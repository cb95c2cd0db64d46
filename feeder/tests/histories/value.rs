//! From what a client writes to what is kept (RFC 7643 sections 2.1 to 2.5), and refusals.

use serde_json::{Map, Value};

use super::attributes::{Attribute, Type};

/// A status and a `scimType` that a request may be refused with.
pub(crate) type Refusal = (u16, Option<&'static str>);

pub(crate) const INVALID_VALUE: Refusal = (400, Some("invalidValue"));
pub(crate) const INVALID_PATH: Refusal = (400, Some("invalidPath"));
pub(crate) const INVALID_FILTER: Refusal = (400, Some("invalidFilter"));
pub(crate) const INVALID_SYNTAX: Refusal = (400, Some("invalidSyntax"));
pub(crate) const MUTABILITY: Refusal = (400, Some("mutability"));
pub(crate) const NO_TARGET: Refusal = (400, Some("noTarget"));
pub(crate) const UNIQUENESS: Refusal = (409, Some("uniqueness"));
pub(crate) const NOT_FOUND: Refusal = (404, None);
pub(crate) const PRECONDITION_FAILED: Refusal = (412, None);

/// What text is compared by where case does not matter.
pub(crate) fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// A value that is not complex; none if it is unassigned.
pub(crate) fn plain(attribute: &Attribute, written: &Value) -> Result<Option<Value>, Refusal> {
    let written = &unwrapped(attribute, written);
    match (attribute.kind, written) {
        (_, Value::Null) => Ok(None),
        (Type::Boolean, Value::Bool(_)) => Ok(Some(written.clone())),
        // Entra ID.
        (Type::Boolean, Value::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(Value::Bool(true))),
            "false" => Ok(Some(Value::Bool(false))),
            _ => Err(INVALID_VALUE),
        },
        (Type::Text, Value::String(_)) => Ok(Some(written.clone())),
        // RFC 7643 section 2.3.6: base64, here always without padding.
        (Type::Binary, Value::String(text))
            if text.len() % 4 != 1 && text.chars().all(|c| c.is_ascii_alphanumeric()) =>
        {
            Ok(Some(written.clone()))
        }
        _ => Err(INVALID_VALUE),
    }
}

/// Microsoft's library and SCIM-SDK put a plain value into a list of one, or into an object of one key.
fn unwrapped(attribute: &Attribute, written: &Value) -> Value {
    let one = match written {
        Value::Array(list) if list.len() == 1 && !list[0].is_null() => &list[0],
        other => other,
    };
    let Value::Object(object) = one else {
        return one.clone();
    };
    let given: Vec<_> = object
        .iter()
        .filter(|(_, value)| !value.is_null())
        .collect();
    match given.as_slice() {
        [(key, value)] if *key == "value" || *key == attribute.name => Value::clone(value),
        _ => one.clone(),
    }
}

/// SCIM-SDK and Entra ID put objects and lists, as JSON, into strings.
pub(crate) fn decoded(written: &Value) -> Value {
    let text = written.as_str().unwrap_or_default();
    match serde_json::from_str(text) {
        Ok(inner @ (Value::Object(_) | Value::Array(_))) => inner,
        _ => written.clone(),
    }
}

/// The parts that a complex value gives, null ones included.
pub(crate) fn parts(
    attribute: &'static Attribute,
    written: &Value,
) -> Result<Vec<(&'static Attribute, Value)>, Refusal> {
    // Entra ID sends the manager as a list of one.
    let one = match written {
        Value::Array(list) if !attribute.many && list.len() < 2 => {
            list.first().cloned().unwrap_or_default()
        }
        other => other.clone(),
    };
    match decoded(&one) {
        Value::Null => Ok(Vec::new()),
        Value::Object(object) => {
            let inner = object.get("value").map(decoded);
            let object = match inner {
                Some(Value::Object(inner)) if object.len() == 1 && inner.contains_key("value") => {
                    inner
                }
                _ => object,
            };
            let mut parts: Vec<(&'static Attribute, Value)> = Vec::new();
            for (key, value) in object {
                // Nobody knows it: it is ignored.
                let Some(part) = attribute.part(&key) else {
                    continue;
                };
                if parts.iter().any(|(other, _)| other.name == part.name) {
                    return Err(INVALID_VALUE);
                }
                if !part.read_only {
                    parts.push((part, value));
                }
            }
            Ok(parts)
        }
        Value::Array(_) => Err(INVALID_VALUE),
        // Entra ID sends the manager as a string.
        scalar => match attribute.part("value") {
            Some(value) if scalar == "" => Ok(vec![(value, Value::Null)]),
            Some(value) => Ok(vec![(value, scalar)]),
            None => Err(INVALID_VALUE),
        },
    }
}

/// A whole complex value; none if nothing of it is assigned.
pub(crate) fn complex(
    attribute: &'static Attribute,
    written: &Value,
) -> Result<Option<Value>, Refusal> {
    let mut object = Map::new();
    for (part, value) in parts(attribute, written)? {
        if let Some(value) = plain(part, &value)? {
            object.insert(part.name.to_owned(), value);
        }
    }
    Ok((!object.is_empty()).then_some(Value::Object(object)))
}

/// The elements of a list; one value alone is a list of one.
pub(crate) fn elements(
    attribute: &'static Attribute,
    written: &Value,
) -> Result<Vec<Value>, Refusal> {
    let written = match decoded(written) {
        Value::Null => Vec::new(),
        Value::Array(list) => list,
        one => vec![one],
    };
    let mut elements = Vec::new();
    for value in &written {
        elements.extend(complex(attribute, value)?);
    }
    Ok(elements)
}
