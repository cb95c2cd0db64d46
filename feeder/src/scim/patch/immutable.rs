//! What may be set once (RFC 7643 section 7, `immutable`; RFC 7644 sections 3.5.1 and 3.5.2).
//!
//! The elements of a list have no names of their own: to change one whole is to remove it and to add another. A part of one that stays is held by
//! [`change::write`](super::change::write).

use serde_json::{Map, Value};

use super::PatchError;
use crate::directory::{Attributes, fold};
use crate::schema::{Attribute, Mutability, Naming, Place, ResourceType};

/// What it means that a request's result has no value where one was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// A PUT that says nothing of it leaves it as it is.
    Kept,
    /// A PATCH has removed it.
    Removed,
}

/// The immutable values that a resource has.
#[derive(Debug)]
pub(super) struct Fixed<'s>(Vec<(Place<'s>, Value)>);

impl<'s> Fixed<'s> {
    /// Those of these attributes.
    pub(super) fn of(resources: &'s ResourceType, attributes: &Attributes) -> Fixed<'s> {
        let core = resources.top_level().map(|attribute| (None, attribute));
        let extensions = resources.extensions.iter().flat_map(|schema| {
            let attributes = schema.attributes.iter();
            attributes.map(move |attribute| (Some(schema), attribute))
        });
        let places = core.chain(extensions).flat_map(|(extension, attribute)| {
            let whole = attribute.mutability == Mutability::Immutable;
            let parts = !whole && !attribute.multi_valued;
            let subs = attribute
                .sub_attributes
                .iter()
                .filter(move |sub| parts && sub.mutability == Mutability::Immutable);
            let place = move |sub| Place {
                extension,
                attribute,
                sub,
                naming: Naming::Standard,
            };
            whole
                .then(|| place(None))
                .into_iter()
                .chain(subs.map(move |sub| place(Some(sub))))
        });
        let set = places.filter_map(|place| Some((place, value(attributes, &place)?.clone())));
        Fixed(set.collect())
    }

    /// Checks that they still are what they were.
    pub(super) fn hold(
        self,
        attributes: &mut Attributes,
        absent: Absent,
    ) -> Result<(), PatchError> {
        for (place, old) in self.0 {
            let leaf = place.leaf();
            match (value(attributes, &place), absent) {
                (Some(new), _) if same(leaf, &old, new) => set(attributes, &place, old),
                (None, Absent::Kept) => set(attributes, &place, old),
                _ => return Err(PatchError::Immutable(leaf.name.clone())),
            }
        }
        Ok(())
    }
}

/// Whether two values are one to whoever looks for either.
pub(super) fn same(attribute: &Attribute, one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) if !attribute.case_exact => {
            fold(one) == fold(other)
        }
        _ => one == other,
    }
}

fn value<'v>(attributes: &'v Attributes, place: &Place<'_>) -> Option<&'v Value> {
    let home = match place.extension {
        Some(schema) => attributes.get(&schema.id)?.as_object()?,
        None => attributes,
    };
    let value = home.get(&place.attribute.name)?;
    match place.sub {
        Some(sub) => value.as_object()?.get(&sub.name),
        None => Some(value),
    }
}

fn set(attributes: &mut Attributes, place: &Place<'_>, value: Value) {
    let home = match place.extension {
        Some(schema) => object(attributes, &schema.id),
        None => Some(attributes),
    };
    let home = match place.sub {
        Some(_) => home.and_then(|home| object(home, &place.attribute.name)),
        None => home,
    };
    if let Some(home) = home {
        home.insert(place.leaf().name.clone(), value);
    }
}

/// The object of this name, empty if there was none.
fn object<'v>(
    within: &'v mut Map<String, Value>,
    name: &str,
) -> Option<&'v mut Map<String, Value>> {
    let value = within.entry(name.to_owned());
    value
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()
}
