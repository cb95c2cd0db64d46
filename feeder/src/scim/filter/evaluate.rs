//! Whether a resource, or an element of a multi-valued attribute, meets a filter.

use serde_json::{Map, Value};

use crate::schema::{Place, Type};

use super::{Filter, Operand, Operator};

/// What a filter is evaluated over: it is asked for no more than the filter needs, and only when it does.
pub(crate) trait Source {
    /// Whether `test` accepts the value of this attribute, or, if it is multi-valued, that of one of its elements; each is offered until one is.
    /// The place's sub-attribute is not looked at.
    fn any(&self, place: &Place<'_>, test: &mut dyn FnMut(&Value) -> bool) -> bool;
}

/// An object with canonical names.
impl Source for Map<String, Value> {
    fn any(&self, place: &Place<'_>, test: &mut dyn FnMut(&Value) -> bool) -> bool {
        let object = match place.extension {
            Some(schema) => self.get(&schema.id).and_then(Value::as_object),
            None => Some(self),
        };
        match object.and_then(|object| object.get(&place.attribute.name)) {
            None => false,
            Some(Value::Array(elements)) => elements.iter().any(test),
            Some(value) => test(value),
        }
    }
}

impl Filter<'_> {
    /// Evaluates it. An attribute that is absent meets only `ne` and `eq null`.
    pub(crate) fn matches(&self, source: &impl Source) -> bool {
        match self {
            Filter::And(filters) => filters.iter().all(|filter| filter.matches(source)),
            Filter::Or(filters) => filters.iter().any(|filter| filter.matches(source)),
            Filter::Not(filter) => !filter.matches(source),
            Filter::Present(place) => any_assigned(source, place, present),
            Filter::Compare {
                place,
                operator,
                operand,
            } => compare(place, *operator, operand, source),
            Filter::Has { place, element } => source.any(place, &mut |value| {
                let object = value.as_object();
                object.is_some_and(|object| element.matches(object))
            }),
        }
    }
}

fn compare(place: &Place<'_>, operator: Operator, operand: &Operand, source: &impl Source) -> bool {
    let mut assigned = false;
    let met = any_assigned(source, place, |value| {
        assigned = true;
        match operand {
            Operand::Null => present(value),
            _ => operand.meets(place.leaf(), operator, value),
        }
    });
    if matches!(operand, Operand::Boolean(_)) && unspecified_primary(place, source, assigned) {
        return met || operand.meets(place.leaf(), operator, &Value::Bool(false));
    }
    match (operand, operator) {
        (Operand::Null, Operator::Equal) => !met,
        (_, Operator::NotEqual) if !matches!(operand, Operand::Null) => met || !assigned,
        _ => met,
    }
}

/// RFC 7643 section 2.4, of an element's `primary`: "If not specified, the value of "primary" SHALL be assumed to be "false"." Whether some element
/// does not specify it.
fn unspecified_primary(place: &Place<'_>, source: &impl Source, assigned: bool) -> bool {
    match place.sub {
        Some(sub) if sub.name == "primary" && place.attribute.multi_valued => {
            source.any(place, &mut |element| {
                let object = element.as_object();
                object.is_some_and(|object| object.get(&sub.name).is_none_or(Value::is_null))
            })
        }
        // Inside an element; no resource has an attribute of this name.
        None if place.is("primary") => !assigned,
        _ => false,
    }
}

/// RFC 7644 table 3, `pr`: there is "a non-empty or non-null value".
fn present(value: &Value) -> bool {
    value.as_str() != Some("")
}

/// Whether `test` accepts one of the assigned values at a place: there may be none, one, or those of every element.
pub(crate) fn any_assigned(
    source: &impl Source,
    place: &Place<'_>,
    mut test: impl FnMut(&Value) -> bool,
) -> bool {
    source.any(place, &mut |value| {
        let value = match place.sub {
            Some(sub) => value.as_object().and_then(|object| object.get(&sub.name)),
            None => Some(value),
        };
        value.is_some_and(|value| assigned(place, value) && test(value))
    })
}

/// RFC 7643 section 2.5: null and empty are unassigned; so is an empty complex value.
fn assigned(place: &Place<'_>, value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(object) if place.leaf().kind == Type::Complex => !object.is_empty(),
        _ => true,
    }
}
