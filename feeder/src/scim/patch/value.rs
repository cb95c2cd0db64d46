//! From JSON as clients write it to values as the schema has them: canonical names, right types, nothing unassigned (RFC 7643 sections 2.3 to 2.5).

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::schema::{Attribute, Mutability, Type};
use crate::scim::dialect::Dialect;
use crate::scim::filter::parse_boolean;
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
    let values = match value {
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
    let object = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Object(object) => object,
        Value::Array(mut list) if list.len() < 2 && !attribute.multi_valued => {
            reading.note(Dialect::ListForSingle);
            return match list.pop() {
                Some(Value::Array(_)) => Err(wrong(attribute, "an object")),
                Some(only) => parts(attribute, only, reading),
                None => Ok(Vec::new()),
            };
        }
        Value::Array(_) => return Err(wrong(attribute, "an object")),
        scalar => {
            let value = attribute
                .sub("value")
                .ok_or_else(|| wrong(attribute, "an object"))?;
            reading.note(Dialect::PlainForComplex);
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
    match (attribute.kind, value) {
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
        (Type::DateTime, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(Some(Value::String(text))),
            Err(_) => Err(wrong(attribute, "a dateTime")),
        },
        (Type::DateTime, _) => Err(wrong(attribute, "a dateTime")),
        (Type::String | Type::Reference | Type::Binary, Value::String(text)) => {
            Ok(Some(Value::String(text)))
        }
        (Type::String | Type::Reference | Type::Binary, _) => Err(wrong(attribute, "a string")),
        (Type::Complex, _) => Err(wrong(attribute, "a plain value")),
    }
}

fn wrong(attribute: &Attribute, expected: &'static str) -> ValueError {
    ValueError::Type {
        attribute: attribute.name.clone(),
        expected,
    }
}
