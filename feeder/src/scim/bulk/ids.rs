//! The ids of resources to come, and where operations refer to them by `bulkId:…` (RFC 7644 section 3.7.2).

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use uuid::Uuid;

use super::BulkError;
use crate::schema::Kind;
use crate::scim::patch;

const PREFIX: &str = "bulkId:";

/// A resource that an operation of the request is to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct New {
    /// The operation's index.
    pub(super) operation: usize,
    pub(super) kind: Kind,
    /// The server's choice, before anything is carried out.
    pub(super) id: Uuid,
}

/// The resources that a request is to create, by their `bulkId`.
#[derive(Debug)]
pub(super) struct Ids<'r> {
    new: HashMap<&'r str, New>,
    by_operation: HashMap<usize, Uuid>,
    /// The API's URL.
    base: &'r str,
}

/// What a string in a body can be, by the name that it has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Id,
    Url,
    Other,
}

impl Slot {
    /// `value`, `$ref` and `manager` hold references; so does a path or URN that ends in one.
    fn named(name: &str) -> Slot {
        let leaf = name.rsplit(['.', ':']).next().unwrap_or_default();
        match leaf.to_ascii_lowercase().as_str() {
            "value" | "manager" => Slot::Id,
            "$ref" => Slot::Url,
            _ => Slot::Other,
        }
    }
}

impl<'r> Ids<'r> {
    pub(super) fn new(new: HashMap<&'r str, New>, base: &'r str) -> Ids<'r> {
        let by_operation = new.values().map(|new| (new.operation, new.id)).collect();
        Ids {
            new,
            by_operation,
            base,
        }
    }

    /// The id of what this operation creates.
    pub(super) fn of_operation(&self, index: usize) -> Option<Uuid> {
        self.by_operation.get(&index).copied()
    }

    /// What a `bulkId:…` refers to; none if the text is something else. `needs` gets the operation that creates it.
    pub(super) fn find(
        &self,
        text: &str,
        needs: &mut BTreeSet<usize>,
    ) -> Result<Option<New>, BulkError> {
        let Some(bulk_id) = text.strip_prefix(PREFIX) else {
            return Ok(None);
        };
        match self.new.get(bulk_id) {
            Some(new) => {
                needs.insert(new.operation);
                Ok(Some(*new))
            }
            None => Err(BulkError::Unknown(bulk_id.to_owned())),
        }
    }

    /// Puts ids in the place of references in the body of a POST or PUT.
    pub(super) fn resolve(
        &self,
        body: &mut Value,
        needs: &mut BTreeSet<usize>,
    ) -> Result<(), BulkError> {
        self.resolve_in(Slot::Other, body, needs)
    }

    /// Puts ids in the place of references in an operation of a PATCH, the filters of its path included.
    pub(super) fn resolve_patch(
        &self,
        operation: &mut patch::Operation,
        needs: &mut BTreeSet<usize>,
    ) -> Result<(), BulkError> {
        let mut slot = Slot::Other;
        if let Some(path) = &mut operation.path {
            slot = Slot::named(path);
            if let Some(resolved) = self.resolve_path(path, needs)? {
                *path = resolved;
            }
        }
        match &mut operation.value {
            Some(value) => self.resolve_in(slot, value, needs),
            None => Ok(()),
        }
    }

    /// Without recursion: a body may be deep.
    fn resolve_in(
        &self,
        slot: Slot,
        value: &mut Value,
        needs: &mut BTreeSet<usize>,
    ) -> Result<(), BulkError> {
        let mut open = vec![(slot, value)];
        while let Some((slot, value)) = open.pop() {
            match value {
                Value::String(text) => {
                    if let Some(resolved) = self.resolve_text(slot, text, needs)? {
                        *text = resolved;
                    }
                }
                Value::Array(list) => open.extend(list.iter_mut().map(|value| (slot, value))),
                Value::Object(object) => {
                    let named = object.iter_mut();
                    open.extend(named.map(|(key, value)| (Slot::named(key), value)));
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        Ok(())
    }

    /// What to write in the place of a reference; none if it is none.
    fn resolve_text(
        &self,
        slot: Slot,
        text: &str,
        needs: &mut BTreeSet<usize>,
    ) -> Result<Option<String>, BulkError> {
        let reference = match slot {
            Slot::Other => return Ok(None),
            Slot::Id => text,
            // Also "/Users/bulkId:…", or the same in a whole URL.
            Slot::Url => text.rsplit('/').next().unwrap_or_default(),
        };
        let new = self.find(reference, needs)?;
        Ok(new.map(|new| match slot {
            Slot::Url => format!("{}{}/{}", self.base, new.kind.endpoint(), new.id),
            Slot::Id | Slot::Other => new.id.to_string(),
        }))
    }

    /// A path with ids in the place of the references among the string literals of its filters; none if there are none.
    fn resolve_path(
        &self,
        path: &str,
        needs: &mut BTreeSet<usize>,
    ) -> Result<Option<String>, BulkError> {
        let mut resolved = String::with_capacity(path.len());
        let mut rest = path;
        let mut found = false;
        while let Some(start) = rest.find('"') {
            let (before, from) = rest.split_at(start);
            // A literal is a JSON string; what is none is left for the parser to refuse.
            let mut literals = serde_json::Deserializer::from_str(from).into_iter::<String>();
            let Some(Ok(text)) = literals.next() else {
                break;
            };
            let (literal, after) = from.split_at(literals.byte_offset());
            resolved.push_str(before);
            match self.find(&text, needs)? {
                Some(new) => {
                    found = true;
                    resolved.push_str(&format!("\"{}\"", new.id));
                }
                None => resolved.push_str(literal),
            }
            rest = after;
        }
        resolved.push_str(rest);
        Ok(found.then_some(resolved))
    }
}
