//! The order of a list (RFC 7644 section 3.4.2.3): by an attribute if the client names one, and always by creation.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::directory::{Slot, fold};
use crate::schema::{Kind, Place, Resolved, ResourceType, Returned, Type, time};
use crate::scim::error::Error;
use crate::scim::filter::{Source, any_assigned};
use crate::scim::query::SortBy;

/// Bytes of a value that order it. Values that are the same up to there count as the same; so a cursor can hold one, and 100,000 of them fit.
const KEY_BYTES: usize = 256;

/// How the resources of one kind are ordered.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Order<'s> {
    /// By what; none: by creation alone.
    place: Option<Place<'s>>,
    descending: bool,
}

/// What a resource is ordered by: bytes that are in the order of the values.
pub(crate) type Key = Option<Box<[u8]>>;

/// Where a resource stands in the whole list. It means the same after the resource has gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) key: Key,
    pub(crate) kind: Kind,
    pub(crate) slot: Slot,
}

impl<'s> Order<'s> {
    /// The order that a client asks for. `others` are searched along with these resources.
    pub(crate) fn new(
        sort_by: Option<&SortBy>,
        resources: &'s ResourceType,
        others: Option<&'s ResourceType>,
    ) -> Result<Order<'s>, Error> {
        let Some(SortBy {
            attribute,
            descending,
        }) = sort_by
        else {
            return Ok(Order::default());
        };
        let place = match resources
            .resolve_beside(others, attribute)
            .map_err(Error::SortByUnknown)?
        {
            Resolved::Attribute(place) => place,
            Resolved::Schema(_) => return Err(Error::SortBy("a schema is no attribute")),
        };
        Ok(Order {
            place: Some(sortable(place)?),
            descending: *descending,
        })
    }

    /// What it looks at.
    pub(crate) fn place(&self) -> Option<&Place<'s>> {
        self.place.as_ref()
    }

    /// Of a multi-valued attribute the primary value counts, or else the first.
    pub(crate) fn key(&self, resource: &impl Source) -> Key {
        let place = self.place?;
        let mut chosen = None;
        let mut choose = |value: &Value| {
            chosen = chosen.take().or_else(|| key(&place, value));
            chosen.is_some()
        };
        if let Some(primary) = place.attribute.sub("primary")
            && let Some(sub) = place.sub
        {
            let found = resource.any(&place, &mut |element| {
                element.get(&primary.name) == Some(&Value::Bool(true))
                    && element.get(&sub.name).is_some_and(&mut choose)
            });
            if found {
                return chosen;
            }
        }
        any_assigned(resource, &place, choose);
        chosen
    }

    /// "If it's not present, it's last when ascending and first when descending"; what is equal is in the order of creation either way.
    pub(crate) fn compare(&self, one: &Position, other: &Position) -> Ordering {
        let keys = match (&one.key, &other.key) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(one), Some(other)) => one.cmp(other),
        };
        let keys = match self.descending {
            true => keys.reverse(),
            false => keys,
        };
        keys.then(one.kind.cmp(&other.kind))
            .then(one.slot.cmp(&other.slot))
    }
}

/// A complex attribute is ordered by its `value`; one that has none can't be.
fn sortable(place: Place<'_>) -> Result<Place<'_>, Error> {
    if place.attribute.returned == Returned::Never {
        return Err(Error::SortBy(
            "nothing is ordered by what is never returned",
        ));
    }
    if place.sub.is_some() || place.attribute.kind != Type::Complex {
        return Ok(place);
    }
    match place.attribute.sub("value") {
        Some(value) => Ok(Place {
            sub: Some(value),
            ..place
        }),
        None => Err(Error::SortBy("a complex attribute takes a sub-attribute")),
    }
}

fn key(place: &Place<'_>, value: &Value) -> Key {
    let leaf = place.leaf();
    let bytes = match (leaf.kind, value) {
        (Type::DateTime, Value::String(text)) => signed(time(text)?.as_nanosecond()).to_vec(),
        (_, Value::String(text)) if leaf.case_exact => text.as_bytes().to_vec(),
        (_, Value::String(text)) => fold(text).into_bytes(),
        (_, Value::Bool(value)) => vec![u8::from(*value)],
        (_, Value::Number(number)) => numeric(number)?,
        _ => return None,
    };
    Some(bytes.into_iter().take(KEY_BYTES).collect())
}

/// Bytes in the order of integers: the highest bit turned round puts what is below zero before what is above.
fn signed(integer: i128) -> [u8; 16] {
    (integer ^ i128::MIN).to_be_bytes()
}

/// A floating-point number holds no integer beyond 2^53 exactly: what it leaves of one comes after it.
fn numeric(number: &Number) -> Option<Vec<u8>> {
    let float = number.as_f64()?;
    // The float stands for this integer of at most 64 bits: the conversion cuts nothing.
    let left = number.as_i128().map_or(0, |exact| exact - float as i128);
    Some([ordered(float).to_be_bytes().as_slice(), &signed(left)].concat())
}

/// A number's bits in the order of numbers.
fn ordered(number: f64) -> u64 {
    let bits = number.to_bits();
    match bits >> 63 {
        0 => bits | (1 << 63),
        _ => !bits,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::schema::user;

    fn order(attribute: &str) -> Order<'static> {
        let sort_by = SortBy {
            attribute: attribute.to_owned(),
            descending: false,
        };
        Order::new(Some(&sort_by), user(), None).unwrap()
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn rfc7644_3_4_2_3_the_primary_value_counts_or_else_the_first() {
        let key = |value: Value| {
            let key = order("emails").key(&object(json!({ "emails": value })))?;
            Some(String::from_utf8(key.into()).unwrap())
        };
        let (a, b) = (
            json!({"value": "a"}),
            json!({"value": "B", "primary": true}),
        );
        assert_eq!(key(json!([a, b])).as_deref(), Some("b"));
        assert_eq!(key(json!([a, {"value": "c"}])).as_deref(), Some("a"));
        assert_eq!(key(json!([{"type": "work"}, a])).as_deref(), Some("a"));
        assert_eq!(key(json!([{"primary": true}, a])).as_deref(), Some("a"));
        assert_eq!(key(json!([])), None);
    }

    #[test]
    fn keys_are_in_the_order_of_their_values() {
        let created = |text: &str| {
            let key = order("meta.created").key(&object(json!({"meta": {"created": text}})));
            key.unwrap()
        };
        assert!(created("1969-12-31T23:59:59Z") < created("1970-01-01T00:00:00Z"));
        assert!(created("2026-01-01T00:00:00Z") < created("2026-01-01T00:00:00.001Z"));
        assert!(created("2026-01-01T00:00:00Z") > created("2026-01-01T00:00:00+01:00"));
        // Without a zone it is UTC, as in a filter.
        assert_eq!(
            created("2026-01-01T00:00:00"),
            created("2026-01-01T00:00:00Z")
        );
        let mut numbers = [1.5, -3.0, 0.0, 7e9, -0.5];
        numbers.sort_by_key(|number| ordered(*number));
        assert_eq!(numbers, [-3.0, -0.5, 0.0, 1.5, 7e9]);
        let sorted = [
            json!(i64::MIN),
            json!(i64::MIN + 1),
            json!(-1),
            json!(1.5),
            json!((1_i64 << 53) - 1),
            json!(1_i64 << 53),
            json!((1_i64 << 53) + 1),
            json!((1_i64 << 53) + 2),
            json!(i64::MAX - 1),
            json!(i64::MAX),
            json!(u64::MAX - 1),
            json!(u64::MAX),
            json!(1e300),
        ];
        let keys = sorted.map(|number| numeric(number.as_number().unwrap()).unwrap());
        assert!(keys.is_sorted_by(|one, next| one < next), "{keys:?}");
    }

    #[test]
    fn what_can_not_order_is_refused() {
        for attribute in [
            "name",
            "addresses",
            "meta",
            "password",
            "usrName",
            ENTERPRISE,
        ] {
            let sort_by = SortBy {
                attribute: attribute.to_owned(),
                descending: true,
            };
            assert!(
                Order::new(Some(&sort_by), user(), None).is_err(),
                "{attribute}"
            );
        }
    }

    const ENTERPRISE: &str = crate::schema::ENTERPRISE_USER;
}
