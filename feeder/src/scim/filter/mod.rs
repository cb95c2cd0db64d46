//! Filters (RFC 7644 section 3.4.2.2): parsed against a schema, so that what parses can be evaluated.
//!
//! All operators, `and`, `or`, `not`, grouping and value paths. Beyond the grammar, because IdPs send it: `emails[type eq "work"].value eq …`, a bare
//! complex attribute for its `value`, an extension's attribute without its URN, booleans as strings.
//! It asks a resource for the values at a place ([`Source`]) and knows nothing of stores.

mod evaluate;
mod operand;
mod parse;
#[cfg(test)]
mod tests;

use thiserror::Error;

use super::limits::Exceeded;
use super::reading::Reading;
use crate::schema::{Place, ResourceType, Unknown};

pub(crate) use evaluate::{Source, any_assigned};
pub(crate) use operand::{Operand, parse_boolean};
pub(crate) use parse::Parser;

/// A filter over resources of one type, or over the elements of one attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter<'s> {
    /// All of them.
    And(Vec<Filter<'s>>),
    /// Any of them.
    Or(Vec<Filter<'s>>),
    /// Not this.
    Not(Box<Filter<'s>>),
    /// `pr`: a value is assigned.
    Present(Place<'s>),
    /// A comparison; of a multi-valued attribute, any value may meet it.
    Compare {
        /// The left side.
        place: Place<'s>,
        /// The operator.
        operator: Operator,
        /// The right side, of the attribute's type.
        operand: Operand,
    },
    /// A value path: one element meets all of the inner filter.
    Has {
        /// A multi-valued complex attribute.
        place: Place<'s>,
        /// Over the element's sub-attributes.
        element: Box<Filter<'s>>,
    },
}

/// RFC 7644 table 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Operator {
    /// Operators are case-insensitive (RFC 7644 section 3.4.2.2).
    fn parse(word: &str) -> Option<Operator> {
        Some(match word.to_ascii_lowercase().as_str() {
            "eq" => Operator::Equal,
            "ne" => Operator::NotEqual,
            "co" => Operator::Contains,
            "sw" => Operator::StartsWith,
            "ew" => Operator::EndsWith,
            "gt" => Operator::Greater,
            "ge" => Operator::GreaterOrEqual,
            "lt" => Operator::Less,
            "le" => Operator::LessOrEqual,
            _ => return None,
        })
    }

    fn is_substring(self) -> bool {
        matches!(
            self,
            Operator::Contains | Operator::StartsWith | Operator::EndsWith
        )
    }

    fn is_order(self) -> bool {
        !self.is_substring() && !matches!(self, Operator::Equal | Operator::NotEqual)
    }
}

/// Why a text is not a filter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum FilterError {
    /// The grammar does not allow what stands there.
    #[error("filter: expected {expected} at character {at}")]
    Syntax {
        /// What would have been right.
        expected: &'static str,
        /// Counted in bytes, from 0.
        at: usize,
    },
    /// More than a limit allows.
    #[error("filter: {0}")]
    Exceeded(#[from] Exceeded),
    /// No such attribute.
    #[error("filter: {0}")]
    Unknown(#[from] Unknown),
    /// The attribute cannot be compared in this way, or with this value.
    #[error("filter: {attribute:?} {why}")]
    Unsupported {
        /// The attribute's canonical name.
        attribute: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl<'s> Filter<'s> {
    /// Parses a filter over resources of this type. Notes in `reading` what the RFC does not have.
    pub(crate) fn parse(
        text: &str,
        resources: &'s ResourceType,
        reading: &mut Reading,
    ) -> Result<Filter<'s>, FilterError> {
        Filter::parse_in(text, parse::Scope::Resource(resources, None), reading)
    }

    /// The same for a query over several types: an attribute that these resources lack and `others` have is absent here.
    pub(crate) fn parse_beside(
        text: &str,
        resources: &'s ResourceType,
        others: &'s ResourceType,
        reading: &mut Reading,
    ) -> Result<Filter<'s>, FilterError> {
        Filter::parse_in(
            text,
            parse::Scope::Resource(resources, Some(others)),
            reading,
        )
    }

    fn parse_in(
        text: &str,
        scope: parse::Scope<'s>,
        reading: &mut Reading,
    ) -> Result<Filter<'s>, FilterError> {
        let mut parser = Parser::new(text, reading)?;
        let filter = parser.filter(scope)?;
        parser.end()?;
        Ok(filter)
    }

    /// The filters that must all hold for this one to hold.
    pub(crate) fn conjuncts(&self) -> Vec<&Filter<'s>> {
        match self {
            Filter::And(filters) => filters.iter().flat_map(Filter::conjuncts).collect(),
            other => vec![other],
        }
    }

    /// How many comparisons it makes of a resource or an element.
    pub(crate) fn terms(&self) -> usize {
        match self {
            Filter::And(filters) | Filter::Or(filters) => filters.iter().map(Filter::terms).sum(),
            Filter::Not(filter) => filter.terms(),
            Filter::Has { element, .. } => 1 + element.terms(),
            Filter::Present(_) | Filter::Compare { .. } => 1,
        }
    }

    /// The places that it looks at, each as often as it does.
    pub(crate) fn places(&self) -> Vec<&Place<'s>> {
        match self {
            Filter::And(filters) | Filter::Or(filters) => {
                filters.iter().flat_map(Filter::places).collect()
            }
            Filter::Not(filter) => filter.places(),
            Filter::Present(place) | Filter::Compare { place, .. } => vec![place],
            // What is inside an element belongs to the attribute.
            Filter::Has { place, element } => vec![place; element.places().len().max(1)],
        }
    }
}
