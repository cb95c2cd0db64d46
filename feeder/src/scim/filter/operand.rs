//! The right side of a comparison, typed by the attribute on its left (RFC 7644 section 3.4.2.2, RFC 7643 section 2.3).

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::{Number, Value};

use crate::directory::fold;
use crate::schema::{Attribute, Type, number_order, time};
use crate::scim::dialect::Dialect;
use crate::scim::reading::Reading;

use super::{FilterError, Operator};

/// A value to compare with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    /// No value: `eq null` is `not pr`.
    Null,
    /// A string, reference or binary.
    Text {
        /// As the client wrote it.
        written: String,
        /// What is compared: folded, unless the attribute is caseExact.
        compared: String,
    },
    /// A boolean.
    Boolean(bool),
    /// An integer or a decimal.
    Number(Number),
    /// A dateTime.
    Time(Timestamp),
}

impl Operand {
    /// Types a literal. An operator that the type does not have, and a literal of another type, are errors.
    pub(super) fn new(
        attribute: &Attribute,
        operator: Operator,
        literal: Value,
        reading: &mut Reading,
    ) -> Result<Operand, FilterError> {
        let unsupported = |why| FilterError::Unsupported {
            attribute: attribute.name.clone(),
            why,
        };
        let plain = matches!(
            attribute.kind,
            Type::Boolean | Type::Integer | Type::Decimal | Type::DateTime
        );
        if operator.is_substring() && plain {
            return Err(unsupported("is no text: it has no substrings"));
        }
        let operand = match (attribute.kind, literal) {
            (_, Value::Null) => Operand::Null,
            (Type::String | Type::Reference | Type::Binary, Value::String(text)) => Operand::Text {
                compared: match attribute.case_exact {
                    true => text.clone(),
                    false => fold(&text),
                },
                written: text,
            },
            (Type::String | Type::Reference | Type::Binary, _) => {
                return Err(unsupported("is compared with a string"));
            }
            (Type::Boolean, Value::Bool(value)) => Operand::Boolean(value),
            (Type::Boolean, Value::String(text)) => {
                reading.note(Dialect::StringBoolean);
                parse_boolean(&text)
                    .map(Operand::Boolean)
                    .ok_or_else(|| unsupported("is compared with true or false"))?
            }
            (Type::Boolean, _) => return Err(unsupported("is compared with true or false")),
            (Type::Integer | Type::Decimal, Value::Number(number)) => Operand::Number(number),
            (Type::Integer | Type::Decimal, _) => {
                return Err(unsupported("is compared with a number"));
            }
            (Type::DateTime, Value::String(text)) => time(&text)
                .map(Operand::Time)
                .ok_or_else(|| unsupported("is compared with a dateTime"))?,
            (Type::DateTime, _) => return Err(unsupported("is compared with a dateTime")),
            (Type::Complex, _) => return Err(unsupported("is complex: name a sub-attribute")),
        };
        match (&operand, attribute.kind) {
            (Operand::Null, _) if operator.is_substring() || operator.is_order() => {
                Err(unsupported("is only compared with null by eq and ne"))
            }
            (Operand::Boolean(_), _) if operator.is_order() => {
                Err(unsupported("is boolean: only eq, ne and pr compare it"))
            }
            (_, Type::Binary) if operator.is_order() => {
                Err(unsupported("is binary: nothing orders it"))
            }
            _ => Ok(operand),
        }
    }

    /// Whether a stored value, which is never null, meets the comparison.
    pub(super) fn meets(&self, attribute: &Attribute, operator: Operator, value: &Value) -> bool {
        match (self, value) {
            (Operand::Null, _) => operator == Operator::NotEqual,
            (Operand::Text { compared, .. }, Value::String(text)) => match attribute.case_exact {
                true => compare(operator, text.as_str(), compared),
                false => compare(operator, &fold(text), compared),
            },
            (Operand::Boolean(operand), Value::Bool(value)) => ordered(operator, value, operand),
            (Operand::Number(operand), Value::Number(number)) => {
                ordered(operator, &number_order(number, operand), &Ordering::Equal)
            }
            (Operand::Time(operand), Value::String(text)) => {
                time(text).is_some_and(|time| ordered(operator, &time, operand))
            }
            _ => operator == Operator::NotEqual,
        }
    }
}

/// Entra ID writes booleans as `"True"` and `"False"`.
pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn compare(operator: Operator, value: &str, operand: &str) -> bool {
    match operator {
        Operator::Contains => value.contains(operand),
        Operator::StartsWith => value.starts_with(operand),
        Operator::EndsWith => value.ends_with(operand),
        _ => ordered(operator, value, operand),
    }
}

fn ordered<T: Ord + ?Sized>(operator: Operator, value: &T, operand: &T) -> bool {
    match operator {
        Operator::Equal => value == operand,
        Operator::NotEqual => value != operand,
        Operator::Greater => value > operand,
        Operator::GreaterOrEqual => value >= operand,
        Operator::Less => value < operand,
        Operator::LessOrEqual => value <= operand,
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => false,
    }
}
