//! Lists of resources (RFC 7644 sections 3.4.2 and 3.4.3, RFC 9865): `GET` on an endpoint and `POST` to its `.search`.
//!
//! ```text
//! query -> candidates (indexes) -> subject (lazily) -> filter -> order -> page -> rendering
//!             cursor -----------------------------------------------'  '-> cursor
//! ```
//!
//! It reads one tenant at one moment and changes nothing.

mod candidates;
mod cursor;
mod order;
mod page;
mod subject;
#[cfg(test)]
mod tests;

use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;

use super::context::Context;
use super::error::Error;
use super::filter::Filter;
use super::projection::Projection;
use super::query::{Paging, Query};
use super::reading::Reading;
use super::rendering::{Envelope, Rendering};
use super::reply;
use super::resource::View;
use super::stored::Stored;
use crate::directory::{Slot, Tenant};
use crate::schema::{Kind, ResourceType, Schemas};
use candidates::Candidates;
pub(crate) use cursor::CursorError;
use cursor::{Cursor, Seal};
use order::{Order, Position};
use page::{Collecting, From, Page, Part};
use subject::{Subject, names};

/// Resources on a page if the client does not say.
pub(crate) const DEFAULT_COUNT: usize = 100;

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Among {
    /// The resources of one kind.
    Kind(Kind),
    /// All: the users, then the groups (RFC 7644 section 3.4.2.1).
    Everything,
}

impl Among {
    fn kinds(self) -> Vec<Kind> {
        match self {
            Among::Kind(kind) => vec![kind],
            Among::Everything => Kind::ALL.into(),
        }
    }

    /// What is searched along with this kind.
    pub(crate) fn others(self, schemas: &Schemas, kind: Kind) -> Option<&ResourceType> {
        match (self, kind) {
            (Among::Kind(_), _) => None,
            (Among::Everything, Kind::User) => Some(schemas.of(Kind::Group)),
            (Among::Everything, Kind::Group) => Some(schemas.of(Kind::User)),
        }
    }

    fn endpoint(self) -> &'static str {
        match self {
            Among::Kind(kind) => kind.endpoint(),
            Among::Everything => "/",
        }
    }
}

/// The resources that match, as far as they are wanted.
pub(crate) async fn answer(
    context: Context,
    among: Among,
    query: Query,
) -> Result<Response, Error> {
    let about = context.clone();
    let work = move |reading: &mut Reading| {
        let tenant = about.read()?;
        note_names(&tenant, among, &query, reading);
        let now = Timestamp::now();
        let seal = seal(&about, among, &query)?;
        let part = part(&about, &query, &seal, now)?;
        let count = part.count;
        let page = page(about.view(&tenant), among, &query, part, reading)?;
        let next = page.end.map(|after| Cursor {
            after,
            count,
            issued: now,
        });
        let (start_index, next) = match query.paging {
            Paging::Index(start_index) => (Some(start_index), None),
            Paging::Cursor(_) => (None, next.map(|next| seal.close(&next)).transpose()?),
        };
        let envelope = Envelope::List {
            total: page.total,
            start_index,
            next,
        };
        let base = about.base.clone();
        let rendering = Rendering::new(tenant, base, among, &query, envelope, page.items);
        Ok(rendering.begin())
    };
    let begun = context.compute(work).await?;
    Ok(reply::text(StatusCode::OK, begun.body()))
}

/// Names of attributes that select nothing are noted; here, because a list is rendered in pieces.
fn note_names(tenant: &Tenant, among: Among, query: &Query, reading: &mut Reading) {
    for kind in among.kinds() {
        let resources = tenant.schemas().of(kind);
        let others = among.others(tenant.schemas(), kind);
        Projection::new(resources, others, query, reading);
    }
}

/// What has to stay the same from page to page.
fn seal(context: &Context, among: Among, query: &Query) -> Result<Seal, Error> {
    let filter = query.filter.as_deref().unwrap_or_default();
    let (sort_by, order) = match &query.sort_by {
        Some(sort_by) if sort_by.descending => (sort_by.attribute.as_str(), "descending"),
        Some(sort_by) => (sort_by.attribute.as_str(), "ascending"),
        None => ("", ""),
    };
    let bound = [&*context.tenant, among.endpoint(), filter, sort_by, order];
    Ok(Seal::new(&context.key(), &bound)?)
}

/// Which part of the list the query asks for.
fn part(context: &Context, query: &Query, seal: &Seal, now: Timestamp) -> Result<Part, Error> {
    let limits = context.settings.limits;
    let wanted = query.count.map(|count| count.min(limits.page));
    let first = wanted.unwrap_or(DEFAULT_COUNT.min(limits.page));
    match &query.paging {
        Paging::Index(start_index) => Ok(Part {
            from: From::Index(start_index.saturating_sub(1)),
            count: first,
        }),
        Paging::Cursor(None) => Ok(Part {
            from: From::After(None),
            count: first,
        }),
        Paging::Cursor(Some(text)) => {
            let cursor = seal.open(text, now, limits.cursor_timeout())?;
            let count = cursor.count.min(limits.page);
            // RFC 9865 section 2.1: it "must equal count of the initial query".
            if wanted.is_some_and(|wanted| wanted != count) {
                return Err(Error::Count);
            }
            Ok(Part {
                from: From::After(Some(cursor.after)),
                count,
            })
        }
    }
}

/// One kind's part of a query.
struct Search<'s> {
    kind: Kind,
    filter: Option<Filter<'s>>,
    order: Order<'s>,
}

fn page(
    view: View<'_>,
    among: Among,
    query: &Query,
    part: Part,
    reading: &mut Reading,
) -> Result<Page, Error> {
    let schemas = view.tenant.schemas();
    let mut searches = Vec::new();
    for kind in among.kinds() {
        let resources = schemas.of(kind);
        let others = among.others(schemas, kind);
        let filter = query.filter.as_deref();
        let parse = |text| match others {
            None => Filter::parse(text, resources, reading),
            Some(others) => Filter::parse_beside(text, resources, others, reading),
        };
        searches.push(Search {
            kind,
            filter: filter.map(parse).transpose()?,
            order: Order::new(query.sort_by.as_ref(), resources, others)?,
        });
    }
    // They differ in where an attribute is found, not in how its values are compared.
    let order = searches
        .first()
        .map_or(Order::default(), |search| search.order);
    let mut collecting = Collecting::new(part, order);
    for search in &searches {
        match (&search.filter, search.order.place()) {
            (None, None) => search.all(view.tenant, &mut collecting),
            _ => search.matching(view, &mut collecting, reading)?,
        }
    }
    Ok(collecting.page())
}

impl Search<'_> {
    /// Every resource: only those of the page are looked at.
    fn all(&self, tenant: &Tenant, collecting: &mut Collecting<'_>) {
        let all = match self.kind {
            Kind::User => tenant.user_count(),
            Kind::Group => tenant.group_count(),
        };
        let begin = collecting.after().map(|after| (after.kind, after.slot));
        let after = match begin {
            Some((kind, _)) if kind > self.kind => return collecting.pass(all),
            Some((kind, slot)) if kind == self.kind => slot,
            _ => Slot::BEFORE_ALL,
        };
        let before = collecting.before(all);
        collecting.pass(before);
        let mut looked_at = 0;
        for stored in resources(tenant, self.kind, after)
            .skip(before)
            .take(collecting.room())
        {
            looked_at += 1;
            collecting.take(self.position(&stored, None), stored);
        }
        collecting.pass(all - before - looked_at);
    }

    fn matching(
        &self,
        view: View<'_>,
        collecting: &mut Collecting<'_>,
        reading: &mut Reading,
    ) -> Result<(), Error> {
        let tenant = view.tenant;
        let candidates = match &self.filter {
            Some(filter) => Candidates::of(tenant, self.kind, filter),
            None => Candidates::default(),
        };
        let Candidates { slots, rest } = candidates;
        let stored: Box<dyn Iterator<Item = Stored>> = match slots {
            Some(slots) => Box::new(slots.into_iter().filter_map(|s| Stored::at(tenant, s))),
            None => Box::new(resources(tenant, self.kind, Slot::BEFORE_ALL)),
        };
        let mut places: Vec<_> = rest.iter().flat_map(|filter| filter.places()).collect();
        places.extend(self.order.place());
        let steps = 1 + places.len();
        let mentioned = names(view, &places);
        for stored in stored {
            let subject = Subject::new(view, &stored, &mentioned);
            let matches = rest.iter().all(|filter| filter.matches(&subject));
            let position = matches.then(|| self.position(&stored, self.order.key(&subject)));
            let spent = reading.spend(steps * subject.weight());
            spent.map_err(Error::TooMany)?;
            if let Some(position) = position {
                collecting.take(position, stored);
            }
        }
        Ok(())
    }

    fn position(&self, stored: &Stored, key: order::Key) -> Position {
        Position {
            key,
            kind: self.kind,
            slot: stored.slot(),
        }
    }
}

/// The resources of a kind after this one, the oldest first.
fn resources(tenant: &Tenant, kind: Kind, after: Slot) -> Box<dyn Iterator<Item = Stored> + '_> {
    match kind {
        Kind::User => Box::new(tenant.users_after(after).cloned().map(Stored::User)),
        Kind::Group => Box::new(tenant.groups_after(after).cloned().map(Stored::Group)),
    }
}
