//! The elements of a multi-valued attribute under one operation (RFC 7644 section 3.5.2, RFC 7643 section 2.4).

use serde_json::{Map, Value};

use super::attributes::Attribute;
use super::document::{Op, write_part, write_parts};
use super::filter::{Filter, Scope};
use super::value::{INVALID_PATH, INVALID_VALUE, NO_TARGET, Refusal, elements, folded, plain};

/// What becomes of them.
pub(crate) fn change(
    attribute: &'static Attribute,
    stored: Vec<Value>,
    op: Op,
    filter: Option<&Filter>,
    part: Option<&'static Attribute>,
    value: Option<&Value>,
) -> Result<Vec<Value>, Refusal> {
    // Each with whether the operation wrote it.
    let mut list: Vec<(Value, bool)> = stored.into_iter().map(|value| (value, false)).collect();
    let null = value.is_none_or(Value::is_null);
    match (filter, part) {
        (None, None) => match op {
            Op::Remove if null => list.clear(),
            Op::Remove => {
                let named = elements(attribute, value.unwrap_or(&Value::Null))?;
                list.retain(|(element, _)| !named.iter().any(|n| names(attribute, n, element)));
            }
            Op::Add | Op::Replace => {
                let given = elements(attribute, value.unwrap_or(&Value::Null))?;
                if op == Op::Replace {
                    list.clear();
                }
                for value in given {
                    push(&mut list, value);
                }
            }
        },
        // The RFC does not say of which element: so there may be one at most.
        (None, Some(part)) => {
            if op != Op::Remove && list.len() > 1 {
                return Err(INVALID_PATH);
            }
            if op != Op::Remove && list.is_empty() {
                list.push((Value::Object(Map::new()), true));
            }
            for (element, written) in &mut list {
                *written = true;
                write_part(element.as_object_mut().unwrap(), op, part, value)?;
            }
        }
        (Some(filter), part) => {
            selected(attribute, &mut list, op, filter, part, value, null)?;
        }
    }
    only_primary(attribute, &mut list)?;
    let values = list.into_iter().map(|(value, _)| value);
    Ok(values
        .filter(|value| value.as_object().is_some_and(|object| !object.is_empty()))
        .collect())
}

fn selected(
    attribute: &'static Attribute,
    list: &mut Vec<(Value, bool)>,
    op: Op,
    filter: &Filter,
    part: Option<&'static Attribute>,
    value: Option<&Value>,
    null: bool,
) -> Result<(), Refusal> {
    let meets = |element: &Value| {
        let object = element.as_object().unwrap();
        filter.meets(Scope::Element(attribute), object)
    };
    if part.is_none() && (op == Op::Remove || op == Op::Replace && null) {
        list.retain(|(element, _)| !meets(element));
        return Ok(());
    }
    let mut met = false;
    for (element, written) in list.iter_mut().filter(|(element, _)| meets(element)) {
        met = true;
        *written = true;
        write(attribute, element, op, part, value)?;
    }
    if met || op == Op::Remove || null {
        return Ok(());
    }
    // Entra ID: what the filter describes is made.
    let mut element = Value::Object(described(attribute, filter).ok_or(NO_TARGET)?);
    write(attribute, &mut element, Op::Add, part, value)?;
    push(list, element);
    Ok(())
}

fn write(
    attribute: &'static Attribute,
    element: &mut Value,
    op: Op,
    part: Option<&'static Attribute>,
    value: Option<&Value>,
) -> Result<(), Refusal> {
    let object = element.as_object_mut().unwrap();
    match part {
        Some(part) => write_part(object, op, part, value),
        None => {
            let value = value.unwrap_or(&Value::Null);
            let value = match value {
                Value::Array(list) if list.len() == 1 => &list[0],
                other => other,
            };
            if op == Op::Replace {
                object.clear();
            }
            match value {
                Value::Array(list) if list.is_empty() => Ok(()),
                value => write_parts(object, op, attribute, value),
            }
        }
    }
}

/// Adding what is there changes nothing.
fn push(list: &mut Vec<(Value, bool)>, value: Value) {
    if !list.iter().any(|(element, _)| *element == value) {
        list.push((value, true));
    }
}

/// A new primary clears the old; two new ones contradict each other.
fn only_primary(attribute: &Attribute, list: &mut [(Value, bool)]) -> Result<(), Refusal> {
    if attribute.part("primary").is_none() {
        return Ok(());
    }
    let primary = |element: &Value| element.get("primary") == Some(&Value::Bool(true));
    let written = list.iter();
    match written
        .filter(|(e, written)| *written && primary(e))
        .count()
    {
        0 => {}
        1 => {
            for (element, _) in list
                .iter_mut()
                .filter(|(e, written)| !written && primary(e))
            {
                let object = element.as_object_mut().unwrap();
                object.insert("primary".to_owned(), Value::Bool(false));
            }
        }
        _ => return Err(INVALID_VALUE),
    }
    Ok(())
}

/// Whether a removal by value names this element: by `value` if it gives one, by all that it gives otherwise.
fn names(attribute: &Attribute, named: &Value, element: &Value) -> bool {
    let Some(value) = named.get("value") else {
        return named == element;
    };
    let exact = attribute.part("value").is_some_and(|part| part.exact);
    match (value, element.get("value")) {
        (Value::String(one), Some(Value::String(other))) if !exact => folded(one) == folded(other),
        (one, other) => Some(one) == other,
    }
}

/// The element that nothing but equations describe; none if it can't meet them all.
fn described(attribute: &'static Attribute, filter: &Filter) -> Option<Map<String, Value>> {
    let mut element = Map::new();
    for (name, literal) in filter.equations()? {
        let part = attribute.part(name)?;
        // What the part can't have is described by nothing: a certificate that is not base64.
        element.insert(part.name.to_owned(), plain(part, literal).ok()??);
    }
    let met = filter.meets(Scope::Element(attribute), &element);
    met.then_some(element)
}
