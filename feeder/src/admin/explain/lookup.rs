//! Users by whatever an operator calls them.

use std::sync::Arc;

use scimesh_proto::binding::Attribute;
use uuid::Uuid;

use crate::directory::{Tenant, User};

/// A user, and the attributes that it was found by.
pub(super) struct Found<'a> {
    pub(super) user: &'a Arc<User>,
    pub(super) by: Vec<Attribute>,
}

/// Whose id, userName, externalId or email this is, an email and a userName in any case. An id is nobody else's, whatever others are called.
pub(super) fn users<'a>(tenant: &'a Tenant, called: &str) -> Vec<Found<'a>> {
    let by_id = Uuid::try_parse(called).ok().and_then(|id| tenant.user(id));
    if let Some(user) = by_id {
        let by = vec![Attribute::Id];
        return vec![Found { user, by }];
    }
    let mut found: Vec<Found> = Vec::new();
    let by_name = tenant.user_by_name(called).into_iter();
    let by_external_id = tenant.users_by(Attribute::ExternalId, called);
    let hits = by_name
        .map(|user| (Attribute::UserName, user))
        .chain(
            by_external_id
                .into_iter()
                .map(|user| (Attribute::ExternalId, user)),
        )
        .chain(
            tenant
                .users_by_email(called)
                .map(|user| (Attribute::Email, user)),
        );
    for (attribute, user) in hits {
        match found.iter_mut().find(|found| found.user.slot == user.slot) {
            Some(found) => found.by.push(attribute),
            None => {
                let by = vec![attribute];
                found.push(Found { user, by });
            }
        }
    }
    found
}
