//! The order of lists (RFC 7644 section 3.4.2.3).

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::attributes::{Kind, Place, Type};
use super::filter::{Scope, values};
use super::value::folded;

/// What a client asks for, as it is written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sort {
    pub(crate) by: Option<&'static str>,
    pub(crate) order: Option<&'static str>,
}

/// Where a resource stands in a list, or stood.
#[derive(Debug, Clone)]
pub(crate) struct Position {
    /// None comes last.
    pub(crate) key: Option<Key>,
    /// Users come before groups.
    pub(crate) kind: Kind,
    /// How many were made before.
    pub(crate) born: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Bool(bool),
    Text(String),
}

impl Sort {
    /// Whether it has a meaning.
    pub(crate) fn is_valid(self, scope: Scope) -> bool {
        let order = self.order.unwrap_or_default().to_ascii_lowercase();
        let by = self.by.is_none_or(|by| {
            let place = scope.place(by).map(sorted);
            place.is_some_and(|place| {
                let leaf = place.part.unwrap_or(place.attribute);
                leaf.kind != Type::Complex && !leaf.dropped
            })
        });
        by && ["", "ascending", "descending"].contains(&&*order)
    }

    /// By what this resource is sorted. Only for a valid one.
    pub(crate) fn key(self, scope: Scope, shown: &Map<String, Value>) -> Option<Key> {
        let place = sorted(scope.place(self.by?).unwrap());
        let leaf = place.part.unwrap_or(place.attribute);
        let whole = Place {
            part: None,
            ..place
        };
        // "The value of the primary, or else the first."
        let mut elements = values(whole, shown);
        elements.sort_by_key(|element| element.get("primary") != Some(&Value::Bool(true)));
        let mut values = elements.into_iter().filter_map(|element| match place.part {
            Some(part) => element.get(part.name).cloned(),
            None => Some(element),
        });
        Some(match values.next()? {
            Value::Bool(value) => Key::Bool(value),
            Value::String(text) if leaf.exact => Key::Text(text),
            Value::String(text) => Key::Text(folded(&text)),
            other => panic!("stored {other:?}"),
        })
    }

    /// What has no value is last, and first when descending; what is equal stays in the order of creation.
    pub(crate) fn compare(self, one: &Position, other: &Position) -> Ordering {
        let absent = |position: &Position| position.key.is_none();
        let ascending = absent(one)
            .cmp(&absent(other))
            .then(one.key.cmp(&other.key));
        let order = self.order.unwrap_or_default();
        let keys = match order.eq_ignore_ascii_case("descending") {
            true => ascending.reverse(),
            false => ascending,
        };
        let groups = |position: &Position| position.kind == Kind::Group;
        let creation = groups(one).cmp(&groups(other));
        keys.then(creation).then(one.born.cmp(&other.born))
    }
}

/// A complex attribute is sorted by its `value`.
fn sorted(place: Place) -> Place {
    match (place.attribute.kind, place.part) {
        (Type::Complex, None) => Place {
            part: place.attribute.part("value"),
            ..place
        },
        _ => place,
    }
}
