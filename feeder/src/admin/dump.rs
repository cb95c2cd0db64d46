//! A tenant's directory as JSON lines, for policy tests and support: a head, every user, every group (`docs/cli.md`). One
//! consistent, durable revision; the documents as SCIM clients wrote them are not in it, only what terms and bindings use.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures::stream;
use serde::Serialize;
use uuid::Uuid;

use crate::access::Rule;
use crate::config::BindingForm;
use crate::directory::{Directory, Group, Member, Tenant, User};

/// The format of the lines. A reader refuses a higher one.
const FORMAT: u32 = 1;

/// Lines are sent together up to about this size.
const CHUNK_BYTES: usize = 64 << 10;

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum Line<'a> {
    #[serde(rename_all = "camelCase")]
    Dump {
        format: u32,
        tenant: &'a str,
        generation: u64,
        revision: u64,
        bindings: Vec<BindingForm>,
        /// The rules that let somebody follow this tenant.
        feed_access: Vec<&'a Rule>,
    },
    #[serde(rename_all = "camelCase")]
    User {
        id: Uuid,
        user_name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        external_id: Option<&'a str>,
        active: bool,
        emails: Vec<&'a str>,
        roles: Vec<&'a str>,
        entitlements: Vec<&'a str>,
    },
    #[serde(rename_all = "camelCase")]
    Group {
        id: Uuid,
        display_name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        external_id: Option<&'a str>,
        /// Direct members that are users.
        users: Vec<Uuid>,
        /// Direct members that are groups.
        groups: Vec<Uuid>,
    },
}

/// The tenant's dump, written as fast as it is read: it never exists as a whole.
pub(super) fn body(directory: &Directory, tenant: Arc<Tenant>) -> Body {
    let head = line(&head(directory, &tenant));
    // Pointers alone: eight bytes a resource for as long as the dump runs.
    let users: Vec<Arc<User>> = tenant.users().cloned().collect();
    let groups: Vec<Arc<Group>> = tenant.groups().cloned().collect();
    let users = users.into_iter().map(|held| line(&user(&held)));
    let groups = groups
        .into_iter()
        .map(move |held| line(&group(&held, &tenant)));
    let mut lines = std::iter::once(head).chain(users).chain(groups);
    Body::from_stream(stream::iter(std::iter::from_fn(move || {
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK_BYTES
            && let Some(line) = lines.next()
        {
            chunk.extend(line);
        }
        (!chunk.is_empty()).then(|| Ok::<_, Infallible>(Bytes::from(chunk)))
    })))
}

fn head<'a>(directory: &'a Directory, tenant: &'a Tenant) -> Line<'a> {
    let rules = directory.feed_access().iter();
    Line::Dump {
        format: FORMAT,
        tenant: tenant.name(),
        generation: directory.history().generation,
        revision: directory.revision(),
        bindings: tenant.bindings().cloned().map(BindingForm).collect(),
        feed_access: rules.filter(|rule| rule.names(tenant.name())).collect(),
    }
}

fn user(user: &User) -> Line<'_> {
    let identity = &user.identity;
    Line::User {
        id: user.id,
        user_name: &identity.user_name,
        external_id: identity.external_id.as_deref(),
        active: identity.active,
        emails: identity.emails.iter().map(AsRef::as_ref).collect(),
        roles: identity.roles.iter().map(AsRef::as_ref).collect(),
        entitlements: identity.entitlements.iter().map(AsRef::as_ref).collect(),
    }
}

fn group<'a>(group: &'a Group, tenant: &Tenant) -> Line<'a> {
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    for slot in &group.members {
        match tenant.member(*slot) {
            Some(Member::User(user)) => users.push(user.id),
            Some(Member::Group(group)) => groups.push(group.id),
            None => {}
        }
    }
    Line::Group {
        id: group.id,
        display_name: &group.display_name,
        external_id: group.external_id.as_deref(),
        users,
        groups,
    }
}

fn line(line: &Line<'_>) -> Vec<u8> {
    // Strings, numbers and lists always have a JSON form.
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    text
}
