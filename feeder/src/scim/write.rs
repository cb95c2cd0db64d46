//! Writes: what a client wants of one resource, made ready outside of the writer and carried out inside.
//!
//! A body may ask for a lot of work and the writer is everybody's, so an edit is made outside of it, from the resource as it then is, and made again
//! if that has changed meanwhile. Members are never read and put back: they change one by one, inside.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::context::Context;
use super::error::Error;
use super::patch::{self, Edited, Operation};
use super::reading::Reading;
use super::stored::Stored;
use super::version::IfMatch;
use crate::directory::{Attributes, Draft, Tenant};
use crate::schema::{Kind, Schemas};

/// Edits made outside of the writer, before the next one is made inside: whoever writes to what everybody writes to gets there as well.
const ATTEMPTS: usize = 4;

/// What a body wants of a resource that is there.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    /// PUT: all of its attributes (RFC 7644 section 3.5.1).
    Replace(Value),
    /// PATCH (RFC 7644 section 3.5.2).
    Patch(Vec<Operation>),
}

impl Edit {
    /// What it makes of these attributes.
    fn apply(
        &self,
        schemas: &Schemas,
        kind: Kind,
        current: Attributes,
        reading: &mut Reading,
    ) -> Result<Edited, Error> {
        let resources = schemas.of(kind);
        Ok(match self {
            Edit::Replace(body) => patch::replace(resources, &current, body.clone(), reading)?,
            Edit::Patch(operations) => {
                patch::patch(resources, current, operations.clone(), reading)?
            }
        })
    }
}

/// POST: a new resource of the body's attributes.
pub(crate) async fn create(context: &Context, kind: Kind, body: Value) -> Result<Stored, Error> {
    let body = Arc::new(body);
    loop {
        let schemas = context.read()?.schemas().clone();
        let (made_by, body) = (schemas.clone(), body.clone());
        let edit = move |reading: &mut Reading| {
            let body = Value::clone(&body);
            Ok(patch::create(made_by.of(kind), body, reading)?)
        };
        let edited = context.compute_on(context.body_bytes, edit).await?;
        let name = context.tenant.clone();
        let command = move |draft: &mut Draft| {
            if !Arc::ptr_eq(draft.tenant(&name)?.schemas(), &schemas) {
                return Ok(None);
            }
            insert(draft, &name, kind, Uuid::new_v4(), edited).map(Some)
        };
        if let Some(stored) = context.commit(command).await? {
            return Ok(stored);
        }
    }
}

/// PUT or PATCH of a resource, as long as it is at an expected version.
pub(crate) async fn change(
    context: &Context,
    kind: Kind,
    id: Uuid,
    if_match: IfMatch,
    edit: Edit,
) -> Result<Stored, Error> {
    let edit = Arc::new(edit);
    for _ in 0..ATTEMPTS {
        let base = Base::of(&*context.read()?, kind, id)?;
        if_match.check(base.stored.meta())?;
        let (from, edit) = (base.clone(), edit.clone());
        let bytes = context
            .body_bytes
            .saturating_add(base.stored.document().len());
        let edited = context
            .compute_on(bytes, move |reading| from.edit(&edit, reading))
            .await?;
        let (name, if_match) = (context.tenant.clone(), if_match.clone());
        let command = move |draft: &mut Draft| {
            let now = Base::of(draft.tenant(&name)?, kind, id)?;
            if_match.check(now.stored.meta())?;
            match now.is(&base) {
                true => update(draft, &name, kind, id, edited).map(Some),
                false => Ok(None),
            }
        };
        if let Some(stored) = context.commit(command).await? {
            return Ok(stored);
        }
    }
    let name = context.tenant.clone();
    let (mut reading, note) = (context.reading(), context.note().clone());
    let command = move |draft: &mut Draft| {
        let base = Base::of(draft.tenant(&name)?, kind, id)?;
        if_match.check(base.stored.meta())?;
        let edited = base.edit(&edit, &mut reading);
        note.seen(reading.seen());
        update(draft, &name, kind, id, edited?)
    };
    context.commit(command).await
}

/// DELETE of a resource, as long as it is at an expected version.
pub(crate) async fn delete(
    context: &Context,
    kind: Kind,
    id: Uuid,
    if_match: IfMatch,
) -> Result<(), Error> {
    let name = context.tenant.clone();
    let command = move |draft: &mut Draft| drop_one(draft, &name, kind, id, &if_match);
    context.commit(command).await
}

/// What an edit is made from.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    schemas: Arc<Schemas>,
    pub(crate) stored: Stored,
}

impl Base {
    pub(crate) fn of(tenant: &Tenant, kind: Kind, id: Uuid) -> Result<Base, Error> {
        let stored = Stored::find(tenant, kind, id).ok_or(Error::NotFound)?;
        let schemas = tenant.schemas().clone();
        Ok(Base { schemas, stored })
    }

    pub(crate) fn edit(&self, edit: &Edit, reading: &mut Reading) -> Result<Edited, Error> {
        let (kind, current) = (self.stored.kind(), self.stored.attributes());
        edit.apply(&self.schemas, kind, current, reading)
    }

    /// Whether an edit made from the other is one made from this.
    pub(crate) fn is(&self, other: &Base) -> bool {
        Arc::ptr_eq(&self.schemas, &other.schemas) && self.stored.same_attributes(&other.stored)
    }
}

/// Puts a new resource into a draft.
pub(crate) fn insert(
    draft: &mut Draft,
    tenant: &str,
    kind: Kind,
    id: Uuid,
    edited: Edited,
) -> Result<Stored, Error> {
    Ok(match kind {
        Kind::User => Stored::User(draft.create_user(tenant, id, edited.attributes)?),
        Kind::Group => {
            let members = edited.initial_members().to_vec();
            Stored::Group(draft.create_group(tenant, id, edited.attributes, &members)?)
        }
    })
}

/// Carries an edit out in a draft.
pub(crate) fn update(
    draft: &mut Draft,
    tenant: &str,
    kind: Kind,
    id: Uuid,
    edited: Edited,
) -> Result<Stored, Error> {
    let attributes = edited.attributes;
    Ok(match kind {
        Kind::User => Stored::User(draft.update_user(tenant, id, attributes)?),
        Kind::Group => {
            Stored::Group(draft.update_group(tenant, id, attributes, &edited.members)?)
        }
    })
}

/// Takes a resource out of a draft.
pub(crate) fn drop_one(
    draft: &mut Draft,
    tenant: &str,
    kind: Kind,
    id: Uuid,
    if_match: &IfMatch,
) -> Result<(), Error> {
    if_match.check(Base::of(draft.tenant(tenant)?, kind, id)?.stored.meta())?;
    match kind {
        Kind::User => draft.delete_user(tenant, id)?,
        Kind::Group => draft.delete_group(tenant, id)?,
    }
    Ok(())
}
