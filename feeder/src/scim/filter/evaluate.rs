//! Whether a resource, or an element of a multi-valued attribute, meets a filter.

use serde_json::{Map, Value};

use crate::schema::{Place, Type};

use super::{Filter, Operand, Operator};

impl Filter<'_> {
    /// Evaluates it over a resource (or an element) with canonical names. An attribute that is absent meets only `ne` and `eq null`.
    pub(crate) fn matches(&self, object: &Map<String, Value>) -> bool {
        match self {
            Filter::And(filters) => filters.iter().all(|filter| filter.matches(object)),
            Filter::Or(filters) => filters.iter().any(|filter| filter.matches(object)),
            Filter::Not(filter) => !filter.matches(object),
            Filter::Present(place) => present(&values(place, object)),
            Filter::Compare {
                place,
                operator,
                operand,
            } => compare(place, *operator, operand, object),
            Filter::Has { place, element } => values(place, object)
                .into_iter()
                .filter_map(Value::as_object)
                .any(|object| element.matches(object)),
        }
    }
}

fn compare(
    place: &Place<'_>,
    operator: Operator,
    operand: &Operand,
    object: &Map<String, Value>,
) -> bool {
    let values = values(place, object);
    match (operand, operator) {
        (Operand::Null, Operator::Equal) => !present(&values),
        (Operand::Null, _) => present(&values),
        (_, Operator::NotEqual) if values.is_empty() => true,
        _ => values
            .into_iter()
            .any(|value| operand.meets(place.leaf(), operator, value)),
    }
}

/// RFC 7644 table 3, `pr`: there is "a non-empty or non-null value".
fn present(values: &[&Value]) -> bool {
    values.iter().any(|value| value.as_str() != Some(""))
}

/// The assigned values at a place: none, one, or those of every element.
fn values<'v>(place: &Place<'_>, object: &'v Map<String, Value>) -> Vec<&'v Value> {
    let object = match place.extension {
        Some(schema) => object.get(&schema.id).and_then(Value::as_object),
        None => Some(object),
    };
    let Some(value) = object.and_then(|object| object.get(&place.attribute.name)) else {
        return Vec::new();
    };
    let elements = match value {
        Value::Array(elements) => elements.as_slice(),
        value => std::slice::from_ref(value),
    };
    let values = elements.iter().filter_map(|element| match place.sub {
        Some(sub) => element.as_object()?.get(&sub.name),
        None => Some(element),
    });
    values.filter(|value| assigned(place, value)).collect()
}

/// RFC 7643 section 2.5: null and empty are unassigned; so is an empty complex value.
fn assigned(place: &Place<'_>, value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(object) if place.leaf().kind == Type::Complex => !object.is_empty(),
        _ => true,
    }
}
