//! A group and its direct members.

use std::sync::Arc;

use imbl::OrdSet;
use scimesh_proto::scope::TermKind;
use uuid::Uuid;

use super::Refused;
use super::user::{Attributes, Meta, Slot, document, parsed, selected, text};

/// A group of one tenant. Its members are users and groups of the same tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its internal number.
    pub slot: Slot,
    /// Its SCIM id.
    pub id: Uuid,
    /// When it was made and changed.
    pub meta: Meta,
    /// What rules refer to it by. Not unique: two of one name make the term ambiguous.
    pub display_name: Arc<str>,
    /// The IdP's own id of the group.
    pub external_id: Option<Arc<str>>,
    /// Direct members.
    pub members: OrdSet<Slot>,
    pub(crate) document: Box<str>,
}

impl Group {
    pub(crate) fn new(
        slot: Slot,
        id: Uuid,
        meta: Meta,
        attributes: &Attributes,
        members: OrdSet<Slot>,
    ) -> Result<Group, Refused> {
        Ok(Group {
            slot,
            id,
            meta,
            display_name: text(attributes, "displayName")?
                .ok_or(Refused::Missing("displayName"))?,
            external_id: text(attributes, "externalId")?,
            members,
            document: document(attributes),
        })
    }

    /// All its attributes but the members.
    pub fn attributes(&self) -> Attributes {
        parsed(&self.document)
    }

    /// Those of its attributes that have one of these names, without the members.
    pub(crate) fn selected(&self, names: &[&str]) -> Attributes {
        selected(&self.document, names)
    }

    /// The text of every term that can resolve to it.
    pub(crate) fn terms(&self) -> Vec<Arc<str>> {
        let name = format!("{}:{}", TermKind::Group.as_str(), self.display_name);
        let external_id = self
            .external_id
            .iter()
            .map(|id| format!("{}:{id}", TermKind::GroupExternalId.as_str()));
        std::iter::once(name)
            .chain(external_id)
            .map(Arc::from)
            .collect()
    }
}

/// One step of a change of a group's members: they are named, never read and put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberChange {
    /// These become members.
    Add(Vec<Uuid>),
    /// These stop being members.
    Remove(Vec<Uuid>),
    /// These, and no others, are members.
    Set(Vec<Uuid>),
}
