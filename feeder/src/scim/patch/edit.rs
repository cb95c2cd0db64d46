//! A resource in the making: operations and bodies, one attribute after the other.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::path::{Selection, Target};
use super::{Edited, Op, Operation, PatchError, ValueError, change, members, value};
use crate::directory::{Attributes, MemberChange};
use crate::schema::{
    Mutability, Naming, Place, Resolved, ResourceType, Schema, Unknown, WRITTEN_CHARS,
};
use crate::scim::dialect::Dialect;
use crate::scim::reading::Reading;

/// Whether the client named an attribute as the target, or it came along in a value. The first is an error where the second is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    ByPath,
    ByKey,
}

/// Attributes being changed. Dropped on any error, so nothing is half-applied.
#[derive(Debug)]
pub(crate) struct Edit<'s, 'r> {
    resources: &'s ResourceType,
    attributes: Attributes,
    members: Vec<MemberChange>,
    /// Whether a part of the resource is being changed, which is done or not done, rather than all of it described.
    in_part: bool,
    reading: &'r mut Reading,
}

impl<'s, 'r> Edit<'s, 'r> {
    /// From these attributes.
    pub(crate) fn new(
        resources: &'s ResourceType,
        attributes: Attributes,
        reading: &'r mut Reading,
    ) -> Edit<'s, 'r> {
        Edit {
            resources,
            attributes,
            members: Vec::new(),
            in_part: false,
            reading,
        }
    }

    /// A whole resource, as POST and PUT give it. Absent members are none (RFC 7643 section 2.5).
    pub(crate) fn body(&mut self, body: Value) -> Result<(), PatchError> {
        let Value::Object(body) = body else {
            return Err(PatchError::Body("the body is not a JSON object"));
        };
        self.members.push(MemberChange::Set(Vec::new()));
        self.object(Op::Replace, body)
    }

    /// One PATCH operation.
    pub(crate) fn operation(&mut self, operation: Operation) -> Result<(), PatchError> {
        let Operation { op, path, value } = operation;
        self.in_part = true;
        let Some(path) = path else {
            let value = value.map(|value| value::decoded(value, self.reading));
            return match (op, value) {
                // RFC 7644 section 3.5.2.2.
                (Op::Remove, _) => Err(PatchError::NoTarget("remove needs a path")),
                (_, Some(Value::Object(object))) => self.object(op, object),
                _ => Err(PatchError::Body(
                    "without a path, the value has to be an object",
                )),
            };
        };
        if op != Op::Remove && value.is_none() {
            return Err(missing(&shortened(&path), None));
        }
        match Target::parse(&path, self.resources, self.reading)? {
            Target::Attribute(selection) => self.attribute(op, &selection, value, Named::ByPath),
            Target::Schema(schema) => self.schema(op, schema, value, &mut BTreeSet::new()),
        }
    }

    /// What `active` is if nobody said.
    pub(crate) fn default_active(&mut self, active: Value) {
        if self.resources.top_level().any(|a| a.name == "active") {
            self.attributes.entry("active".to_owned()).or_insert(active);
        }
    }

    /// The result, if what is required is there.
    pub(crate) fn finish(self) -> Result<Edited, PatchError> {
        for attribute in self.resources.top_level().filter(|a| a.required) {
            let assigned = match self.attributes.get(&attribute.name) {
                Some(Value::String(text)) => !text.trim().is_empty(),
                value => value.is_some(),
            };
            if !assigned {
                let mut unknown = self.reading.seen().unknown().iter();
                let meant = unknown.find(|one| one.resembles.as_ref() == Some(&attribute.name));
                let written = meant.map(|unknown| unknown.written.clone());
                return Err(missing(&attribute.name, written));
            }
        }
        Ok(Edited {
            attributes: self.attributes,
            members: members::settled(self.members),
        })
    }

    /// A value without a path.
    fn object(&mut self, op: Op, object: Map<String, Value>) -> Result<(), PatchError> {
        self.keys(op, None, object, &mut BTreeSet::new())
    }

    /// Every key of a value without a path, or of a schema's object in it: names, and the paths and URNs that Entra ID writes there. `given` has what
    /// the value names elsewhere: of two `active`, one inside the core schema's object, neither counts.
    fn keys(
        &mut self,
        op: Op,
        within: Option<&'s Schema>,
        object: Map<String, Value>,
        given: &mut BTreeSet<String>,
    ) -> Result<(), PatchError> {
        for (key, value) in object {
            self.reading.spend(1)?;
            let path = match within {
                Some(schema) => format!("{}:{key}", schema.id),
                None => key,
            };
            let target = match Target::parse(&path, self.resources, self.reading) {
                Ok(target) => target,
                Err(PatchError::Unknown(unknown))
                    if unknown.is_nothing() && !self.grants(&path) && !self.misspells(&unknown) =>
                {
                    self.reading.ignored(unknown);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if !given.insert(spelled(&target, &path)) {
                return Err(ValueError::Twice(shortened(&path)).into());
            }
            match target {
                Target::Schema(schema) => self.schema(op, schema, Some(value), given)?,
                Target::Attribute(selection) => {
                    if selection.filter.is_some() || selection.place.sub.is_some() {
                        self.reading.note(Dialect::PathKey);
                    }
                    let place = &selection.place;
                    if within.is_none() && place.extension.is_some() && place.naming != Naming::Bare
                    {
                        self.reading.note(Dialect::UrnKey);
                    }
                    self.attribute(op, &selection, Some(value), Named::ByKey)?;
                }
            }
        }
        Ok(())
    }

    /// Whether an unknown path begins at `members` or `active`, and so must not be ignored.
    fn grants(&self, path: &str) -> bool {
        let name = path
            .split(['[', ' '])
            .next()
            .unwrap_or_default()
            .trim_end_matches('.');
        // No name of either is longer than this.
        let longest = self.resources.core.id.len() + ":members".len();
        let dots = name.match_indices('.').map(|(at, _)| at);
        let mut prefixes: Vec<usize> = dots.take_while(|at| *at <= longest).collect();
        prefixes.push(name.len());
        prefixes.into_iter().any(|end| {
            let prefix = name.get(..end).unwrap_or_default();
            matches!(self.resources.resolve(prefix), Ok(Resolved::Attribute(place))
                if place.is("members") || place.is("active"))
        })
    }

    /// Whether a PATCH most likely means `members` or `active` by this name: whoever disables somebody by `actve` must not be told that it is done.
    fn misspells(&self, unknown: &Unknown) -> bool {
        let meant = unknown.resembles.as_deref();
        self.in_part && meant.is_some_and(|name| name == "members" || name == "active")
    }

    /// A whole extension, or the core schema, by its URN.
    fn schema(
        &mut self,
        op: Op,
        schema: &'s Schema,
        value: Option<Value>,
        given: &mut BTreeSet<String>,
    ) -> Result<(), PatchError> {
        let core = schema.id == self.resources.core.id;
        match (op, value) {
            (Op::Remove | Op::Replace, None | Some(Value::Null)) if core => {
                Err(PatchError::Required(schema.name.clone()))
            }
            (Op::Remove | Op::Replace, None | Some(Value::Null)) => {
                self.attributes.remove(&schema.id);
                Ok(())
            }
            (Op::Add, None | Some(Value::Null)) => Ok(()),
            (Op::Remove, Some(_)) => Err(PatchError::Path("remove attributes one by one")),
            (_, Some(Value::Object(object))) => self.keys(op, Some(schema), object, given),
            (_, Some(_)) => Err(ValueError::Type {
                attribute: schema.id.clone(),
                expected: "an object",
            }
            .into()),
        }
    }

    fn attribute(
        &mut self,
        op: Op,
        selection: &Selection<'s>,
        value: Option<Value>,
        named: Named,
    ) -> Result<(), PatchError> {
        let place = &selection.place;
        if place.is("members") {
            let change = members::change(op, selection, value, self.reading)?;
            self.member_change(change);
            return Ok(());
        }
        match (written(place), named) {
            (Mutability::ReadOnly, Named::ByPath) => {
                return Err(PatchError::ReadOnly(place.leaf().name.clone()));
            }
            (Mutability::ReadOnly, Named::ByKey) => {
                // `schemas` is in every body and says nothing that the other keys don't.
                if !place.is("schemas") {
                    self.reading.note(Dialect::ReadOnlyIgnored);
                }
                return Ok(());
            }
            _ => {}
        }
        if place.is_dropped() {
            self.reading.note(match place.is("password") {
                true => Dialect::PasswordDropped,
                false => Dialect::NeverReturnedDropped,
            });
            return Ok(());
        }
        if op == Op::Remove && place.sub.is_none() && place.attribute.required {
            return Err(PatchError::Required(place.attribute.name.clone()));
        }
        // Null is false, and says so. Removed, it is unassigned (RFC 7643 section 2.5), which the directory reads as false.
        if place.is("active") && op != Op::Remove && value == Some(Value::Null) {
            self.attributes
                .insert(place.attribute.name.clone(), Value::Bool(false));
            return Ok(());
        }
        let Some(schema) = place.extension else {
            return change::apply(&mut self.attributes, op, selection, value, self.reading);
        };
        let mut extension = match self.attributes.remove(&schema.id) {
            Some(Value::Object(extension)) => extension,
            _ => Map::new(),
        };
        change::apply(&mut extension, op, selection, value, self.reading)?;
        if !extension.is_empty() {
            self.attributes
                .insert(schema.id.clone(), Value::Object(extension));
        }
        Ok(())
    }

    /// Joins changes of one kind: authentik sends an operation a member.
    fn member_change(&mut self, change: MemberChange) {
        match (self.members.last_mut(), change) {
            (Some(MemberChange::Add(ids)), MemberChange::Add(more))
            | (Some(MemberChange::Set(ids)), MemberChange::Add(more))
            | (Some(MemberChange::Remove(ids)), MemberChange::Remove(more)) => ids.extend(more),
            (_, MemberChange::Set(ids)) => self.members = vec![MemberChange::Set(ids)],
            (_, change) => self.members.push(change),
        }
    }
}

/// No value for this attribute.
fn missing(attribute: &str, written: Option<String>) -> PatchError {
    let attribute = attribute.to_owned();
    ValueError::Missing { attribute, written }.into()
}

/// What a client wrote, as far as it is repeated.
fn shortened(written: &str) -> String {
    written.chars().take(WRITTEN_CHARS).collect()
}

/// The stricter mutability of an attribute and the sub-attribute named.
fn written(place: &Place<'_>) -> Mutability {
    match place.attribute.mutability {
        Mutability::ReadWrite => place.leaf().mutability,
        mutability => mutability,
    }
}

/// A target's one spelling, to find out that it was given twice.
fn spelled(target: &Target<'_>, path: &str) -> String {
    match target {
        Target::Schema(schema) => schema.id.clone(),
        Target::Attribute(Selection {
            filter: Some(_), ..
        }) => path.to_owned(),
        Target::Attribute(Selection { place, .. }) => format!(
            "{}:{}.{}",
            place.extension.map_or("", |schema| schema.id.as_str()),
            place.attribute.name,
            place.sub.map_or("", |sub| sub.name.as_str()),
        ),
    }
}
