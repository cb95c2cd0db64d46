//! Pages of resources (RFC 7644 section 3.4.2), in the order of creation.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use scimesh_proto::binding::Attribute;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::context::Context;
use super::error::Error;
use super::filter::{Filter, Operand, Operator};
use super::query::Query;
use super::stored::Stored;
use super::{id, reply};
use crate::directory::{Group, Tenant, User, fold};
use crate::schema::{Kind, Place};

/// Resources of this kind: those that match, as far as they are wanted.
pub(crate) async fn answer(context: Context, kind: Kind, query: Query) -> Result<Response, Error> {
    let about = context.clone();
    let work = move |reading: &mut _| {
        let tenant = about.read()?;
        let resources = tenant.schemas().of(kind);
        let view = about.view(&tenant);
        let query = query.within(about.settings.limits.page);
        let projection = query.projection(resources, reading);
        let filter = query.filter(resources, reading)?;
        let page = match &filter {
            None => {
                let (all, total) = all(&tenant, kind);
                Page::of_all(&query, all, total)
            }
            Some(filter) => {
                let related = filter.mentions(kind.related());
                let candidates = candidates(&tenant, kind, filter);
                let weight = candidates.iter().map(Stored::weight).sum();
                filter.spend(weight, reading)?;
                let candidates = candidates.into_iter();
                Page::of_matching(&query, candidates, |stored| {
                    filter.matches(&view.resource(stored, related))
                })
            }
        };
        let related = projection.shows(kind.related());
        let response = page.response(&query, |stored| {
            projection.apply(resources, view.resource(stored, related))
        });
        Ok(reply::json(StatusCode::OK, &response))
    };
    context.compute(work).await
}

/// Every resource of this kind, the oldest first, and how many there are.
fn all(tenant: &Tenant, kind: Kind) -> (Box<dyn Iterator<Item = Stored> + '_>, usize) {
    match kind {
        Kind::User => {
            let users = tenant.users().cloned().map(Stored::User);
            (Box::new(users), tenant.user_count())
        }
        Kind::Group => {
            let groups = tenant.groups().cloned().map(Stored::Group);
            (Box::new(groups), tenant.group_count())
        }
    }
}

/// The resources among which are all that match: found by an index where the filter demands an indexed value.
fn candidates(tenant: &Tenant, kind: Kind, filter: &Filter<'_>) -> Vec<Stored> {
    match kind {
        Kind::User => {
            let users = users(tenant, filter).into_iter();
            users.cloned().map(Stored::User).collect()
        }
        Kind::Group => {
            let groups = groups(tenant, filter).into_iter();
            groups.cloned().map(Stored::Group).collect()
        }
    }
}

/// One page, and how many resources there are in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page<T> {
    pub(crate) total: usize,
    pub(crate) items: Vec<T>,
}

impl<T> Page<T> {
    /// The page that the query asks for, of all resources.
    pub(crate) fn of_all(query: &Query, all: impl Iterator<Item = T>, total: usize) -> Page<T> {
        let skip = query.start_index.saturating_sub(1);
        Page {
            total,
            items: all.skip(skip).take(query.count).collect(),
        }
    }

    /// The page that the query asks for, of those candidates that match.
    pub(crate) fn of_matching(
        query: &Query,
        candidates: impl Iterator<Item = T>,
        matches: impl Fn(&T) -> bool,
    ) -> Page<T> {
        let skip = query.start_index.saturating_sub(1);
        let mut page = Page {
            total: 0,
            items: Vec::new(),
        };
        for item in candidates.filter(matches) {
            if page.total >= skip && page.items.len() < query.count {
                page.items.push(item);
            }
            page.total += 1;
        }
        page
    }

    /// Its message, an empty one included. Each resource is rendered when its turn comes: a page of groups may have millions of members.
    pub(crate) fn response(
        &self,
        query: &Query,
        render: impl Fn(&T) -> Map<String, Value>,
    ) -> impl Serialize {
        ListResponse {
            schemas: ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            total_results: self.total,
            start_index: query.start_index,
            items_per_page: self.items.len(),
            resources: Rendered {
                items: &self.items,
                render,
            },
        }
    }
}

/// RFC 7644 section 3.4.2.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListResponse<R> {
    schemas: [&'static str; 1],
    total_results: usize,
    start_index: usize,
    items_per_page: usize,
    #[serde(rename = "Resources")]
    resources: R,
}

struct Rendered<'p, T, F> {
    items: &'p [T],
    render: F,
}

impl<T, F: Fn(&T) -> Map<String, Value>> Serialize for Rendered<'_, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.items.iter().map(&self.render))
    }
}

fn users<'t>(tenant: &'t Tenant, filter: &Filter<'_>) -> Vec<&'t Arc<User>> {
    let demands = filter.conjuncts();
    if let Some(id) = demands.iter().find_map(|f| equal(f, "id")) {
        return user(tenant, id).into_iter().collect();
    }
    if let Some(name) = demands.iter().find_map(|f| equal(f, "userName")) {
        return tenant.user_by_name(name).into_iter().collect();
    }
    if let Some(value) = demands.iter().find_map(|f| equal(f, "externalId")) {
        let mut users = tenant.users_by(Attribute::ExternalId, value);
        users.sort_by_key(|user| user.slot);
        return users;
    }
    // The directory finds emails exactly, a filter without regard to case; passing by each is still far cheaper than reading each document.
    if let Some(email) = demands.iter().find_map(|f| element(f, "emails")) {
        let email = fold(email);
        let has = |user: &&Arc<User>| user.identity.emails.iter().any(|e| fold(e) == email);
        return tenant.users().filter(has).collect();
    }
    tenant.users().collect()
}

fn groups<'t>(tenant: &'t Tenant, filter: &Filter<'_>) -> Vec<&'t Arc<Group>> {
    let demands = filter.conjuncts();
    if let Some(id) = demands.iter().find_map(|f| equal(f, "id")) {
        let group = id::parse(id).and_then(|id| tenant.group(id));
        return group.into_iter().collect();
    }
    if let Some(name) = demands.iter().find_map(|f| equal(f, "displayName")) {
        let name = fold(name);
        let named = |group: &&Arc<Group>| fold(&group.display_name) == name;
        return tenant.groups().filter(named).collect();
    }
    if let Some(value) = demands.iter().find_map(|f| equal(f, "externalId")) {
        let has = |group: &&Arc<Group>| group.external_id.as_deref() == Some(value);
        return tenant.groups().filter(has).collect();
    }
    if let Some(member) = demands.iter().find_map(|f| element(f, "members")) {
        let slot = id::parse(member).and_then(|id| tenant.slot_of(id));
        let mut groups: Vec<_> = slot
            .map(|slot| tenant.direct_groups(slot).collect())
            .unwrap_or_default();
        groups.sort_by_key(|group: &&Arc<Group>| group.slot);
        return groups;
    }
    tenant.groups().collect()
}

fn user<'t>(tenant: &'t Tenant, id: &str) -> Option<&'t Arc<User>> {
    tenant.user(id::parse(id)?)
}

/// What a filter demands that this attribute equals.
fn equal<'f>(filter: &'f Filter<'_>, name: &str) -> Option<&'f str> {
    match compared(filter)? {
        (place, written) if place.is(name) && place.sub.is_none() => Some(written),
        _ => None,
    }
}

/// What a filter demands that the `value` of an element of this attribute equals.
fn element<'f>(filter: &'f Filter<'_>, name: &str) -> Option<&'f str> {
    match filter {
        Filter::Has { place, element } if place.is(name) => {
            let demands = element.conjuncts();
            demands.into_iter().find_map(|f| equal(f, "value"))
        }
        filter => match compared(filter)? {
            (place, written) if place.is(name) && place.leaf().name == "value" => Some(written),
            _ => None,
        },
    }
}

fn compared<'f, 's>(filter: &'f Filter<'s>) -> Option<(&'f Place<'s>, &'f str)> {
    match filter {
        Filter::Compare {
            place,
            operator: Operator::Equal,
            operand: Operand::Text { written, .. },
        } => Some((place, written)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::{self, Write};

    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_is_written_resource_by_resource() {
        struct Sink<'w>(&'w RefCell<Vec<u8>>);
        impl Write for Sink<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.borrow_mut().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let query = Query::new(vec![("startIndex".to_owned(), "2".to_owned())]).unwrap();
        let page = Page::of_all(&query, 1..=4, 4);
        let written = RefCell::new(Vec::new());
        let response = page.response(&query, |number| {
            let before = String::from_utf8(written.borrow().clone()).unwrap();
            let last = format!("{{\"id\":{}}}", number - 1);
            assert!(*number == 2 || before.contains(&last), "{number}: {before}");
            json!({"id": number}).as_object().cloned().unwrap()
        });
        serde_json::to_writer(Sink(&written), &response).unwrap();
        let list: serde_json::Value = serde_json::from_slice(&written.borrow()).unwrap();
        let expected = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": 4,
            "startIndex": 2,
            "itemsPerPage": 3,
            "Resources": [{"id": 2}, {"id": 3}, {"id": 4}],
        });
        assert_eq!(list, expected);
    }
}
