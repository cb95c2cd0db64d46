//! The elements of a multi-valued attribute under an operation (RFC 7644 sections 3.5.2.1 to 3.5.2.3, RFC 7643 section 2.4).

use serde_json::{Map, Value};

use super::change::{merge, write};
use super::{Op, PatchError, ValueError, value};
use crate::directory::fold;
use crate::schema::{Attribute, Mutability};
use crate::scim::dialect::Dialect;
use crate::scim::filter::{Filter, Operand, Operator};
use crate::scim::limits::{Exceeded, Limit};
use crate::scim::reading::Reading;

/// A multi-valued attribute's elements, and which of them the operation wrote.
pub(super) struct Elements<'s> {
    attribute: &'s Attribute,
    list: Vec<Element>,
}

struct Element {
    value: Value,
    written: bool,
}

impl<'s> Elements<'s> {
    /// From the stored value, if there is one.
    pub(super) fn new(attribute: &'s Attribute, stored: Option<Value>) -> Elements<'s> {
        let list = match stored {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        };
        let unwritten = |value| Element {
            value,
            written: false,
        };
        Elements {
            attribute,
            list: list.into_iter().map(unwritten).collect(),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    /// The attribute as a whole: `emails`.
    pub(super) fn all(
        &mut self,
        op: Op,
        value: Option<Value>,
        reading: &mut Reading,
    ) -> Result<(), PatchError> {
        match (op, value) {
            (Op::Remove, None | Some(Value::Null)) => self.list.clear(),
            // The RFC has no value here and would remove everything: whoever names what to remove means no more than that.
            (Op::Remove, Some(value)) => {
                reading.note(Dialect::RemoveByValue);
                let named = value::many(self.attribute, value, reading)?;
                let attribute = self.attribute;
                reading.spend(named.len().saturating_mul(self.weight()))?;
                self.list.retain(|e| {
                    !named
                        .iter()
                        .any(|named| is_named(attribute, &e.value, named))
                });
            }
            (op, value) => {
                if op == Op::Replace {
                    self.list.clear();
                }
                for value in value::many(self.attribute, value.unwrap_or_default(), reading)? {
                    self.push(value, reading)?;
                }
            }
        }
        Ok(())
    }

    /// A sub-attribute without a filter: `emails.value`. The RFC does not say of which element, so there may be only one.
    pub(super) fn only(
        &mut self,
        op: Op,
        sub: &Attribute,
        value: Option<Value>,
        reading: &mut Reading,
    ) -> Result<(), PatchError> {
        if op != Op::Remove {
            match self.list.len() {
                0 => self.push(Value::Object(Map::new()), reading)?,
                1 => {}
                _ => {
                    return Err(PatchError::Path(
                        "there are several values: say which by a filter in brackets",
                    ));
                }
            }
        }
        for element in &mut self.list {
            element.write(op, sub, value.clone(), reading)?;
        }
        Ok(())
    }

    /// The elements that a filter selects: `emails[type eq "work"]`, or one of their sub-attributes.
    pub(super) fn selected(
        &mut self,
        op: Op,
        filter: &Filter<'_>,
        sub: Option<&Attribute>,
        value: Option<Value>,
        reading: &mut Reading,
    ) -> Result<(), PatchError> {
        // It may be asked twice, and any comparison may fold the whole element.
        let steps = filter.terms().saturating_mul(self.weight());
        reading.spend(steps.saturating_mul(2))?;
        let selects = |element: &Element| matches!(&element.value, Value::Object(object) if filter.matches(object));
        let unassigned = matches!(value, None | Some(Value::Null));
        if sub.is_none() && (op == Op::Remove || (op == Op::Replace && unassigned)) {
            self.list.retain(|element| !selects(element));
            return Ok(());
        }
        if op == Op::Remove || unassigned || self.list.iter().any(selects) {
            for element in self.list.iter_mut().filter(|element| selects(element)) {
                match sub {
                    Some(sub) => element.write(op, sub, value.clone(), reading)?,
                    None => element.put(op, self.attribute, value.clone(), reading)?,
                }
            }
            return Ok(());
        }
        // The RFC wants noTarget. Entra ID then repeats the whole request, the disable in it included, until it gives up on the user.
        let created = described(self.attribute, filter, reading).ok_or(PatchError::NoTarget(
            "no value matches the filter, and it does not describe one to create",
        ))?;
        reading.note(Dialect::CreatedByPath);
        let mut element = Element {
            value: Value::Object(created),
            written: true,
        };
        match sub {
            Some(sub) => element.write(op, sub, value, reading)?,
            None => element.put(Op::Add, self.attribute, value, reading)?,
        }
        self.push(element.value, reading)
    }

    /// The new value, without empty elements; none if nothing is left. A new primary clears the old (RFC 7644 section 3.5.2).
    pub(super) fn finish(mut self) -> Result<Option<Value>, PatchError> {
        let primary = self.attribute.sub("primary").map(|sub| sub.name.as_str());
        if let Some(primary) = primary {
            let is_primary = |e: &Element| e.value.get(primary) == Some(&Value::Bool(true));
            let new = self
                .list
                .iter()
                .filter(|e| e.written && is_primary(e))
                .count();
            if new > 1 {
                return Err(ValueError::Primaries(self.attribute.name.clone()).into());
            }
            for element in self.list.iter_mut().filter(|e| new == 1 && !e.written) {
                if let Some(old) = element.value.get_mut(primary) {
                    *old = Value::Bool(false);
                }
            }
        }
        let empty = |value: &Value| matches!(value, Value::Object(object) if object.is_empty());
        let values = self.list.into_iter().map(|element| element.value);
        let list: Vec<Value> = values.filter(|value| !empty(value)).collect();
        Ok((!list.is_empty()).then_some(Value::Array(list)))
    }

    /// Steps that it takes to look at all elements.
    fn weight(&self) -> usize {
        self.list.iter().map(|e| weight(&e.value)).sum()
    }

    /// Appends a value, unless it is there (RFC 7644 section 3.5.2.1).
    fn push(&mut self, value: Value, reading: &mut Reading) -> Result<(), PatchError> {
        reading.spend(self.list.len().saturating_mul(weight(&value)))?;
        if self.list.iter().any(|element| element.value == value) {
            return Ok(());
        }
        if let Err(Exceeded { value: limit, .. }) =
            reading.allow(Limit::Values, self.list.len() + 1)
        {
            let attribute = self.attribute.name.clone();
            return Err(ValueError::TooMany { attribute, limit }.into());
        }
        self.list.push(Element {
            value,
            written: true,
        });
        Ok(())
    }
}

impl Element {
    /// Writes one sub-attribute.
    fn write(
        &mut self,
        op: Op,
        sub: &Attribute,
        value: Option<Value>,
        reading: &mut Reading,
    ) -> Result<(), PatchError> {
        self.written = true;
        match &mut self.value {
            Value::Object(object) => write(object, op, sub, value, reading),
            _ => Err(PatchError::NoTarget("the value has no sub-attributes")),
        }
    }

    /// Adds to the element, or replaces it whole.
    fn put(
        &mut self,
        op: Op,
        attribute: &Attribute,
        value: Option<Value>,
        reading: &mut Reading,
    ) -> Result<(), PatchError> {
        self.written = true;
        let Value::Object(object) = &mut self.value else {
            return Err(PatchError::NoTarget("the value has no sub-attributes"));
        };
        let value = match value {
            Some(Value::Array(mut list)) if list.len() == 1 => {
                reading.note(Dialect::ListForSingle);
                list.pop()
            }
            value => value,
        };
        if op == Op::Replace {
            let stays = |sub: &Attribute| sub.mutability == Mutability::Immutable;
            object.retain(|name, _| attribute.sub(name).is_some_and(stays));
        }
        merge(object, op, attribute, value, reading)
    }
}

/// Bytes of a text that are compared or folded in a step.
const STEP_BYTES: usize = 64;

/// Steps that it takes to look at a value.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len() / STEP_BYTES,
        Value::Object(object) => 1 + object.values().map(weight).sum::<usize>(),
        _ => 1,
    }
}

/// Whether an element is the one that a removal names: by `value`, if that is given, otherwise by all that is.
fn is_named(attribute: &Attribute, element: &Value, named: &Value) -> bool {
    match (
        attribute.sub("value"),
        named.get("value"),
        element.get("value"),
    ) {
        (Some(sub), Some(Value::String(named)), Some(Value::String(value))) => {
            value == named || (!sub.case_exact && fold(value) == fold(named))
        }
        (_, Some(_), _) => false,
        _ => element == named,
    }
}

/// The element that a filter of nothing but `eq` and `and` describes, if the attribute can have it.
fn described(
    attribute: &Attribute,
    filter: &Filter<'_>,
    reading: &mut Reading,
) -> Option<Map<String, Value>> {
    let mut element = Map::new();
    for condition in filter.conjuncts() {
        let Filter::Compare {
            place,
            operator: Operator::Equal,
            operand,
        } = condition
        else {
            return None;
        };
        let value = match operand {
            Operand::Text { written, .. } => Value::String(written.clone()),
            Operand::Boolean(value) => Value::Bool(*value),
            Operand::Number(value) => Value::Number(value.clone()),
            Operand::Null | Operand::Time(_) => return None,
        };
        element.insert(place.attribute.name.clone(), value);
    }
    // A filter may ask for what no value could be: a certificate that is not base64, an integer with a fraction.
    let element = Value::Object(element);
    let possible = value::one(attribute, element.clone(), reading).ok()?;
    match element {
        // One that asks for two types describes nothing.
        element if possible.as_ref() != Some(&element) => None,
        Value::Object(element) if filter.matches(&element) => Some(element),
        _ => None,
    }
}
