//! The model: what a SCIM service is, as plain lists that are walked from end to end.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::attributes::Kind;
use super::document::Document;
use super::filter::Scope;
use super::meta::Meta;
use super::nesting;
use super::render::{project, render};
use super::request::{Action, Among, Keys, Listing, Operation, Request};
use super::sort::Position;
use super::value::{
    INVALID_FILTER, INVALID_SYNTAX, INVALID_VALUE, MUTABILITY, NOT_FOUND, PRECONDITION_FAILED,
    Refusal, UNIQUENESS, folded,
};

/// More groups than this may not contain each other in a row.
const DEPTH: usize = 16;

/// Two tenants that know nothing of each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Service {
    pub(crate) tenants: [Tenant; 2],
}

/// One tenant's users and groups, from the oldest to the newest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tenant {
    pub(crate) resources: Vec<Resource>,
    /// Ids that were somebody's.
    pub(crate) gone: Vec<String>,
    /// Ids of those that are created together with who is being created.
    pub(crate) coming: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) id: String,
    /// How many were made before.
    pub(crate) born: usize,
    pub(crate) document: Document,
    pub(crate) meta: Meta,
}

/// What the server has to answer.
#[derive(Debug, Clone)]
pub(crate) enum Expected {
    /// With one of these.
    Refused(Vec<Refusal>),
    /// 204.
    Empty,
    /// This resource, as far as it is wanted.
    One(u16, String),
    /// 304: this resource is what the client knows.
    Known(String),
    /// These of all that match.
    Page {
        total: usize,
        ids: Vec<String>,
        /// Where it ends, if the list goes on.
        end: Option<Position>,
    },
}

/// When a request was under way: from before it was sent until after it was answered.
pub(crate) type Window = (Timestamp, Timestamp);

/// What of the server's answer the model may know before it answers itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// The id of what was made.
    pub(crate) new: &'a str,
    /// When.
    pub(crate) at: Window,
    /// Its status, where it may be the one or the other.
    pub(crate) status: u16,
}

impl Tenant {
    pub(crate) fn find(&self, kind: Kind, id: &str) -> Option<&Resource> {
        self.of(kind).find(|resource| resource.id == id)
    }

    pub(crate) fn resource(&self, id: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.id == id)
    }

    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = &Resource> {
        let resources = self.resources.iter();
        resources.filter(move |resource| resource.document.kind == kind)
    }

    pub(crate) fn meta_mut(&mut self, id: &str) -> Option<&mut Meta> {
        let mut resources = self.resources.iter_mut();
        resources.find(|r| r.id == id).map(|r| &mut r.meta)
    }

    /// A resource as a client sees it.
    pub(crate) fn shown(&self, resource: &Resource, request: &Request) -> Map<String, Value> {
        let (included, excluded) = (request.attributes.as_deref(), request.excluded.as_deref());
        let whole = render(self, resource);
        project(resource.document.kind, whole, included, excluded)
    }

    /// Carries a request out.
    pub(crate) fn answer(&mut self, request: &Request, seen: Seen<'_>) -> Expected {
        let at = seen.at;
        match &request.action {
            Action::Create(kind, body) => self.create(*kind, body, seen.new, at),
            Action::Read(kind, id) => match self.find(*kind, id) {
                Some(held) => {
                    let (met, unknown) = preconditions(&held.meta, request);
                    let may = |met: Option<bool>, status: u16| {
                        met == Some(false) || met.is_none() && seen.status == status
                    };
                    match () {
                        () if may(met, 412) => Expected::Refused(vec![PRECONDITION_FAILED]),
                        () if may(unknown, 304) => Expected::Known(id.clone()),
                        () => Expected::One(200, id.clone()),
                    }
                }
                None => Expected::Refused(vec![NOT_FOUND]),
            },
            Action::List(among, listing) => self.list(*among, listing),
            Action::Broken(..) => Expected::Refused(vec![INVALID_SYNTAX]),
            Action::Bulk(..) => panic!("a Bulk has an answer for each of its operations"),
            Action::Replace(kind, id, _)
            | Action::Patch(kind, id, _)
            | Action::Delete(kind, id) => {
                let Some(old) = self.find(*kind, id).cloned() else {
                    let syntax = match &request.action {
                        Action::Patch(_, _, operations) if unknown_op(operations) => {
                            vec![INVALID_SYNTAX]
                        }
                        _ => Vec::new(),
                    };
                    return Expected::Refused([vec![NOT_FOUND], syntax].concat());
                };
                let mut refused = Vec::new();
                let (met, unknown) = preconditions(&old.meta, request);
                for holds in [met, unknown] {
                    match holds {
                        Some(false) => refused.push(PRECONDITION_FAILED),
                        None if seen.status == 412 => refused.push(PRECONDITION_FAILED),
                        _ => {}
                    }
                }
                match &request.action {
                    Action::Replace(_, _, body) => self.replace(&old, body, refused, at),
                    Action::Patch(_, _, operations) => {
                        let wanted = request.attributes.is_some();
                        self.patch(&old, operations, wanted, refused, seen)
                    }
                    _ => self.delete(&old, refused, at),
                }
            }
        }
    }

    fn create(&mut self, kind: Kind, body: &Keys, new: &str, at: Window) -> Expected {
        let mut document = Document::new(kind);
        let mut refused = document.body(body);
        if kind == Kind::User {
            let active = document.attributes.entry("active");
            active.or_insert(Value::Bool(true));
        }
        let mut after = self.clone();
        after.resources.push(Resource {
            id: new.to_owned(),
            born: self.resources.len() + self.gone.len(),
            document,
            meta: Meta::new(at),
        });
        refused.extend(after.faults(new));
        if !refused.is_empty() {
            return Expected::Refused(refused);
        }
        *self = after;
        Expected::One(201, new.to_owned())
    }

    fn replace(
        &mut self,
        old: &Resource,
        body: &Keys,
        mut refused: Vec<Refusal>,
        at: Window,
    ) -> Expected {
        let mut document = Document::new(old.document.kind);
        refused.extend(document.body(body));
        if old.document.kind == Kind::User {
            // Absent, it stays as it is; and it is false if it was removed.
            let stays = old.document.attributes.get("active").cloned();
            let active = document.attributes.entry("active");
            active.or_insert(stays.unwrap_or(Value::Bool(false)));
        }
        match self.put(old, document, false, refused, at) {
            Ok(()) => Expected::One(200, old.id.clone()),
            Err(refused) => Expected::Refused(refused),
        }
    }

    fn patch(
        &mut self,
        old: &Resource,
        operations: &[Operation],
        wanted: bool,
        mut refused: Vec<Refusal>,
        seen: Seen<'_>,
    ) -> Expected {
        let mut document = old.document.clone();
        let mut touched = false;
        for operation in operations {
            let before = document.clone();
            refused.extend(document.operation(operation));
            touched |= document != before;
            // Who is added and removed again may have to exist, or not.
            if seen.status == 400
                && self
                    .with(old, document.clone())
                    .members_fault(&document)
                    .is_some()
            {
                refused.push(INVALID_VALUE);
            }
        }
        // RFC 7644 section 3.5.2.2 calls it so where the attribute is removed; replaced by nothing, it may be either.
        refused.extend(required(&document).map(|_| MUTABILITY));
        let kind = document.kind;
        match self.put(old, document, touched, refused, seen.at) {
            Ok(()) if kind == Kind::Group && !wanted => Expected::Empty,
            Ok(()) => Expected::One(200, old.id.clone()),
            Err(refused) => Expected::Refused(refused),
        }
    }

    /// Puts a document in the place of what it was. `touched`: something was done to it, and perhaps undone.
    fn put(
        &mut self,
        old: &Resource,
        document: Document,
        touched: bool,
        mut refused: Vec<Refusal>,
        at: Window,
    ) -> Result<(), Vec<Refusal>> {
        let changed = document != old.document;
        let mut after = self.with(old, document);
        refused.extend(after.faults(&old.id));
        if !refused.is_empty() {
            return Err(refused);
        }
        let meta = after.meta_mut(&old.id).unwrap();
        match changed {
            true => meta.changed(at),
            false if touched => meta.may_have_changed(at),
            false => {}
        }
        *self = after;
        Ok(())
    }

    fn with(&self, old: &Resource, document: Document) -> Tenant {
        let mut after = self.clone();
        let mut resources = after.resources.iter_mut();
        resources.find(|r| r.id == old.id).unwrap().document = document;
        after
    }

    fn delete(&mut self, old: &Resource, refused: Vec<Refusal>, at: Window) -> Expected {
        if !refused.is_empty() {
            return Expected::Refused(refused);
        }
        self.resources.retain(|resource| resource.id != old.id);
        for resource in &mut self.resources {
            if resource.document.members.remove(&old.id) {
                resource.meta.changed(at);
            }
        }
        self.gone.push(old.id.clone());
        Expected::Empty
    }

    fn list(&self, among: Among, listing: &Listing) -> Expected {
        let scope = |kind: Kind| match among {
            Among::Kind(_) => Scope::Resource(kind),
            Among::All => Scope::Any(kind),
        };
        let (filter, sort) = (listing.filter.as_ref(), listing.sort);
        let mut refused = Vec::new();
        for kind in among.kinds() {
            if filter.is_some_and(|filter| !filter.is_valid(scope(kind))) {
                refused.push(INVALID_FILTER);
            }
            if !sort.is_valid(scope(kind)) {
                refused.push(INVALID_VALUE);
            }
        }
        if !refused.is_empty() {
            return Expected::Refused(refused);
        }
        let mut all: Vec<(Position, String)> = Vec::new();
        for resource in &self.resources {
            let kind = resource.document.kind;
            if !among.kinds().contains(&kind) {
                continue;
            }
            let shown = render(self, resource);
            if filter.is_none_or(|filter| filter.meets(scope(kind), &shown)) {
                let position = Position {
                    key: sort.key(scope(kind), &shown),
                    kind,
                    born: resource.born,
                };
                all.push((position, resource.id.clone()));
            }
        }
        all.sort_by(|(one, _), (other, _)| sort.compare(one, other));
        let total = all.len();
        if let Some(after) = listing.cursor.as_ref().and_then(|c| c.after.as_ref()) {
            all.retain(|(position, _)| sort.compare(position, after).is_gt());
        }
        let first = listing.start.unwrap_or(1).max(1) as usize - 1;
        let count = listing.count.unwrap_or(100).max(0) as usize;
        let rest = all.get(first..).unwrap_or_default();
        let page = &rest[..count.min(rest.len())];
        let last = page.last().filter(|_| rest.len() > page.len());
        let end = last.filter(|_| listing.cursor.is_some());
        Expected::Page {
            total,
            end: end.map(|(position, _)| position.clone()),
            ids: page.iter().map(|(_, id)| id.clone()).collect(),
        }
    }

    /// What is wrong with this resource as it now is.
    fn faults(&self, id: &str) -> Vec<Refusal> {
        let mut faults = Vec::new();
        let mut resources = self.resources.iter();
        let document = &resources.find(|r| r.id == id).unwrap().document;
        faults.extend(required(document));
        let name = |document: &Document| {
            let name = document.attributes.get("userName")?;
            Some(folded(name.as_str()?))
        };
        // Names that look alike, but for what nobody sees, are not given.
        let written = document.attributes.get("userName").and_then(Value::as_str);
        if written.is_some_and(|name| name.trim() != name) {
            faults.push(INVALID_VALUE);
        }
        let others = self.of(Kind::User).filter(|other| other.id != id);
        if let Some(mine) = name(document)
            && others
                .into_iter()
                .any(|other| name(&other.document).as_ref() == Some(&mine))
        {
            faults.push(UNIQUENESS);
        }
        faults.extend(self.members_fault(document));
        faults
    }

    fn members_fault(&self, document: &Document) -> Option<Refusal> {
        let exists = |member: &String| {
            self.resources.iter().any(|r| r.id == *member) || self.coming.contains(member)
        };
        let fine = document.members.iter().all(exists) && nesting::depth(self) <= DEPTH;
        (!fine).then_some(INVALID_VALUE)
    }
}

/// Whether `If-Match` and `If-None-Match` hold; none if they may or may not.
fn preconditions(meta: &Meta, request: &Request) -> (Option<bool>, Option<bool>) {
    let matches = |tags: &Option<String>| tags.as_ref().map(|tags| meta.matches(tags));
    let met = matches(&request.if_match).unwrap_or(Some(true));
    let unmet = matches(&request.if_none_match).unwrap_or(Some(false));
    (met, unmet.map(|unmet| !unmet))
}

fn required(document: &Document) -> Option<Refusal> {
    let mut attributes = document.kind.attributes().iter();
    attributes
        .any(|attribute| {
            let value = document.attributes.get(attribute.name);
            let text = value.and_then(Value::as_str).unwrap_or_default();
            attribute.required && text.trim().is_empty()
        })
        .then_some(INVALID_VALUE)
}

/// Whether it can't be read at all.
pub(crate) fn unknown_op(operations: &[Operation]) -> bool {
    let known = ["add", "replace", "remove"];
    let mut operations = operations.iter();
    operations.any(|operation| !known.contains(&&*operation.op.to_ascii_lowercase()))
}
