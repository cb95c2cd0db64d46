//! The edits that the operations of a request have led to so far.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::directory::Tenant;
use crate::schema::{Kind, Schemas};
use crate::scim::error::Error;
use crate::scim::patch::{self, Edited};
use crate::scim::reading::Reading;
use crate::scim::write::{Base, Edit};

/// By operation. An edit is the dear part of an operation, and a pure function of what it was made from: where that is the same, so is the edit.
#[derive(Debug, Default)]
pub(super) struct Edits(HashMap<usize, (Source, Result<Edited, Error>)>);

/// What an edit was made from.
#[derive(Debug)]
enum Source {
    /// Nothing: the resource is new.
    Schemas(Arc<Schemas>),
    Resource(Base),
}

impl Source {
    fn is(&self, other: &Source) -> bool {
        match (self, other) {
            (Source::Schemas(one), Source::Schemas(other)) => Arc::ptr_eq(one, other),
            (Source::Resource(one), Source::Resource(other)) => one.is(other),
            _ => false,
        }
    }
}

impl Edits {
    /// The new resource that an operation describes.
    pub(super) fn create(
        &mut self,
        operation: usize,
        tenant: &Tenant,
        kind: Kind,
        body: &Value,
        reading: &mut Reading,
    ) -> Result<Edited, Error> {
        let schemas = tenant.schemas();
        self.made(operation, Source::Schemas(schemas.clone()), || {
            Ok(patch::create(schemas.of(kind), body.clone(), reading)?)
        })
    }

    /// What an operation makes of a resource.
    pub(super) fn change(
        &mut self,
        operation: usize,
        base: &Base,
        edit: &Edit,
        reading: &mut Reading,
    ) -> Result<Edited, Error> {
        self.made(operation, Source::Resource(base.clone()), || {
            // Each operation reads and keeps its resource whole: many small changes to a large one are a lot of work.
            reading.spend(base.stored.document().len())?;
            base.edit(edit, reading)
        })
    }

    fn made(
        &mut self,
        operation: usize,
        source: Source,
        make: impl FnOnce() -> Result<Edited, Error>,
    ) -> Result<Edited, Error> {
        if let Some((from, edited)) = self.0.get(&operation)
            && from.is(&source)
        {
            return edited.clone();
        }
        let edited = make();
        self.0.insert(operation, (source, edited.clone()));
        edited
    }
}
