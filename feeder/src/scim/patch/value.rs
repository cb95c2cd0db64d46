//! From JSON as clients write it to values as the schema has them: canonical names, right types, nothing unassigned (RFC 7643 sections 2.3 to 2.5).

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::schema::{Attribute, Mutability, Type, is_base64, time};
use crate::scim::dialect::Dialect;
use crate::scim::filter::parse_boolean;
use crate::scim::json;
use crate::scim::limits::Exceeded;
use crate::scim::reading::Reading;

/// A value that an attribute can't have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ValueError {
    /// Of another type.
    #[error("{attribute:?} is not {expected}")]
    Type {
        /// The attribute's canonical name.
        attribute: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// No value where one is needed.
    #[error("{attribute:?} has no value{}", meant(.written))]
    Missing {
        /// The attribute's canonical name.
        attribute: String,
        /// What the client wrote, and may have meant by it.
        written: Option<String>,
    },
    /// The same attribute twice, in different spelling.
    #[error("{0:?} is given twice")]
    Twice(String),
    /// A longer list than the server keeps.
    #[error("{attribute:?} has more than {limit} values: the limit is values")]
    TooMany {
        /// The attribute's canonical name.
        attribute: String,
        /// The bound.
        limit: usize,
    },
    /// RFC 7643 section 2.4.
    #[error("{0:?} has more than one primary value")]
    Primaries(String),
    /// More than another limit allows.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
}

fn meant(written: &Option<String>) -> String {
    match written {
        Some(written) => format!("; did the client mean it by {written:?}?"),
        None => String::new(),
    }
}

/// The value of a single-valued attribute, or one element of a multi-valued one; none if it is unassigned.
pub(crate) fn one(
    attribute: &Attribute,
    value: Value,
    reading: &mut Reading,
) -> Result<Option<Value>, ValueError> {
    if attribute.kind != Type::Complex {
        return plain(attribute, value, reading);
    }
    let mut object = Map::new();
    for (sub, value) in parts(attribute, value, reading)? {
        if let Some(value) = plain(sub, value, reading)? {
            object.insert(sub.name.clone(), value);
        }
    }
    Ok((!object.is_empty()).then_some(Value::Object(object)))
}

/// The elements of a multi-valued attribute; null and `[]` are none.
pub(crate) fn many(
    attribute: &Attribute,
    value: Value,
    reading: &mut Reading,
) -> Result<Vec<Value>, ValueError> {
    let values = match decoded(value, reading) {
        Value::Null => return Ok(Vec::new()),
        Value::Array(values) => values,
        value => {
            reading.note(Dialect::SingleForList);
            vec![value]
        }
    };
    reading.spend(values.len())?;
    values
        .into_iter()
        .filter_map(|value| one(attribute, value, reading).transpose())
        .collect()
}

/// A complex value as its sub-attributes and what each is to be, null included. What is unknown or the server's is left out, and noted.
pub(crate) fn parts<'s>(
    attribute: &'s Attribute,
    value: Value,
    reading: &mut Reading,
) -> Result<Vec<(&'s Attribute, Value)>, ValueError> {
    let value = match value {
        Value::Array(mut list) if list.len() < 2 && !attribute.multi_valued => {
            reading.note(Dialect::ListForSingle);
            list.pop().unwrap_or_default()
        }
        value => value,
    };
    let object = match decoded(value, reading) {
        Value::Null => return Ok(Vec::new()),
        Value::Object(object) => encoded(object, reading),
        Value::Array(_) => return Err(wrong(attribute, "an object")),
        scalar => {
            let value = attribute
                .sub("value")
                .ok_or_else(|| wrong(attribute, "an object"))?;
            reading.note(Dialect::PlainForComplex);
            // Nobody's id is empty: a manager of "" is none.
            let none = scalar.as_str().is_some_and(str::is_empty);
            let scalar = if none { Value::Null } else { scalar };
            return Ok(vec![(value, scalar)]);
        }
    };
    let mut given = BTreeSet::new();
    let mut parts = Vec::with_capacity(object.len());
    for (key, value) in object {
        reading.spend(1)?;
        let sub = match attribute.resolve(&key) {
            Ok(sub) => sub,
            Err(unknown) => {
                reading.ignored(unknown);
                continue;
            }
        };
        if !given.insert(&sub.name) {
            return Err(ValueError::Twice(sub.name.clone()));
        }
        match sub.mutability {
            Mutability::ReadOnly => reading.note(Dialect::ReadOnlyIgnored),
            _ if sub.is_dropped() => reading.note(Dialect::NeverReturnedDropped),
            _ => parts.push((sub, value)),
        }
    }
    Ok(parts)
}

/// A value that is not complex.
pub(crate) fn plain(
    attribute: &Attribute,
    value: Value,
    reading: &mut Reading,
) -> Result<Option<Value>, ValueError> {
    match (attribute.kind, unwrapped(attribute, value, reading)) {
        (_, Value::Null) => Ok(None),
        (Type::Boolean, Value::Bool(value)) => Ok(Some(Value::Bool(value))),
        (Type::Boolean, Value::String(text)) => match parse_boolean(&text) {
            Some(value) => {
                reading.note(Dialect::StringBoolean);
                Ok(Some(Value::Bool(value)))
            }
            None => Err(wrong(attribute, "a boolean")),
        },
        (Type::Boolean, _) => Err(wrong(attribute, "a boolean")),
        (Type::Integer, Value::Number(number)) if !number.is_f64() => {
            Ok(Some(Value::Number(number)))
        }
        (Type::Integer, _) => Err(wrong(attribute, "an integer of at most 64 bits")),
        (Type::Decimal, Value::Number(number)) => Ok(Some(Value::Number(number))),
        (Type::Decimal, _) => Err(wrong(attribute, "a number")),
        (Type::DateTime, Value::String(text)) if time(&text).is_some() => {
            Ok(Some(Value::String(text)))
        }
        (Type::DateTime, _) => Err(wrong(attribute, "a dateTime such as 2026-11-22T09:00:00Z")),
        (Type::Binary, Value::String(text)) if is_base64(&text) => Ok(Some(Value::String(text))),
        (Type::Binary, _) => Err(wrong(attribute, "binary in base64")),
        (Type::String | Type::Reference, Value::String(text)) => {
            // However it got here: kept as it is, it would become another when the resource is put back.
            match encoded_value(attribute, &text, reading) {
                Some(inner) => plain(attribute, inner, reading),
                None => Ok(Some(Value::String(text))),
            }
        }
        (Type::String | Type::Reference, _) => Err(wrong(attribute, "a string")),
        (Type::Complex, _) => Err(wrong(attribute, "a plain value")),
    }
}

/// A value that a client put into a list of one, or into an object under `value` or its own name. A null is left where it is, for an error: what it would do
/// to `active` is not certain.
fn unwrapped(attribute: &Attribute, value: Value, reading: &mut Reading) -> Value {
    if attribute.multi_valued {
        return value;
    }
    let value = match value {
        Value::Array(mut list) if matches!(list.as_slice(), [one] if !one.is_null()) => {
            reading.note(Dialect::ListForSingle);
            list.pop().unwrap_or_default()
        }
        value => value,
    };
    let Value::Object(mut object) = value else {
        return value;
    };
    let given = object.iter().filter(|(_, value)| !value.is_null());
    let names = |key: &str| key == "value" || key == attribute.name;
    match given.collect::<Vec<_>>().as_slice() {
        [(key, _)] if names(key) => {
            let key = String::clone(key);
            reading.note(Dialect::WrappedValue);
            object.remove(&key).unwrap_or_default()
        }
        _ => Value::Object(object),
    }
}

/// What a string says that is the JSON of an object or a list, where one of these belongs.
pub(super) fn decoded(value: Value, reading: &mut Reading) -> Value {
    let Value::String(text) = &value else {
        return value;
    };
    match json::parse(text.as_bytes(), reading.limits()) {
        Ok(inner @ (Value::Object(_) | Value::Array(_))) => {
            reading.note(Dialect::JsonInString);
            inner
        }
        _ => value,
    }
}

/// An element whose `value`, and nothing else, is the JSON of an element with a `value`.
fn encoded(object: Map<String, Value>, reading: &mut Reading) -> Map<String, Value> {
    let text = match object.get("value") {
        Some(Value::String(text)) if object.len() == 1 => text,
        _ => return object,
    };
    match json::parse(text.as_bytes(), reading.limits()) {
        Ok(Value::Object(inner)) if inner.contains_key("value") => {
            reading.note(Dialect::JsonInString);
            inner
        }
        _ => object,
    }
}

/// The `value` of an element whose JSON is written into a `value`. Each level of strings in strings takes twice the text: there are not many.
fn encoded_value(attribute: &Attribute, text: &str, reading: &mut Reading) -> Option<Value> {
    if attribute.name != "value" || !text.trim_start().starts_with('{') {
        return None;
    }
    let Ok(Value::Object(mut inner)) = json::parse(text.as_bytes(), reading.limits()) else {
        return None;
    };
    let value = inner.remove("value")?;
    reading.note(Dialect::JsonInString);
    Some(value)
}

fn wrong(attribute: &Attribute, expected: &'static str) -> ValueError {
    ValueError::Type {
        attribute: attribute.name.clone(),
        expected,
    }
}
