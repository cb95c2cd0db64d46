//! Filters and paths written out again, by the grammar of RFC 7644 and nothing beyond it but `$ref`.

use serde_json::Value;

use crate::schema::Place;
use crate::scim::filter::{Filter, Operand, Operator};
use crate::scim::patch::path::{Selection, Target};

/// A filter; parsed again it is the same, but that nothing in it is a dialect any more.
pub(crate) fn filter(filter: &Filter<'_>) -> String {
    match filter {
        Filter::And(filters) => joined(filters, " and "),
        Filter::Or(filters) => joined(filters, " or "),
        Filter::Not(inner) => format!("not ({})", self::filter(inner)),
        Filter::Present(place) => format!("{} pr", name(place)),
        Filter::Compare {
            place,
            operator,
            operand,
        } => format!("{} {} {}", name(place), word(*operator), literal(operand)),
        Filter::Has { place, element } => format!("{}[{}]", name(place), self::filter(element)),
    }
}

/// A PATCH path.
pub(crate) fn path(target: &Target<'_>) -> String {
    let Selection { place, filter } = match target {
        Target::Schema(schema) => return schema.id.clone(),
        Target::Attribute(selection) => selection,
    };
    let Some(filter) = filter else {
        return name(place);
    };
    let list = name(&Place {
        sub: None,
        ..*place
    });
    let sub = place.sub.map(|sub| format!(".{}", sub.name));
    format!(
        "{list}[{}]{}",
        self::filter(filter),
        sub.unwrap_or_default()
    )
}

/// A chain inside a chain was in parentheses.
fn joined(filters: &[Filter<'_>], operator: &str) -> String {
    let filters = filters.iter().map(|inner| match inner {
        Filter::And(_) | Filter::Or(_) => format!("({})", filter(inner)),
        inner => filter(inner),
    });
    filters.collect::<Vec<String>>().join(operator)
}

fn name(place: &Place<'_>) -> String {
    let urn = place.extension.map(|schema| format!("{}:", schema.id));
    let sub = place.sub.map(|sub| format!(".{}", sub.name));
    let (urn, sub) = (urn.unwrap_or_default(), sub.unwrap_or_default());
    format!("{urn}{}{sub}", place.attribute.name)
}

fn word(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal => "eq",
        Operator::NotEqual => "ne",
        Operator::Contains => "co",
        Operator::StartsWith => "sw",
        Operator::EndsWith => "ew",
        Operator::Greater => "gt",
        Operator::GreaterOrEqual => "ge",
        Operator::Less => "lt",
        Operator::LessOrEqual => "le",
    }
}

fn literal(operand: &Operand) -> String {
    match operand {
        Operand::Null => "null".to_owned(),
        Operand::Boolean(value) => value.to_string(),
        Operand::Number(number) => number.to_string(),
        Operand::Time(time) => format!("\"{time}\""),
        Operand::Text { written, .. } => Value::from(written.as_str()).to_string(),
    }
}
