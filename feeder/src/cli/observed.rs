//! What the texts of `scimesh drift` and `scimesh shadow` have in common.

use std::collections::BTreeMap;

use super::output::plain;
use crate::admin::observed::{Heard, SubjectRow, UserRow};

/// That there is nothing to tell of a tenant.
pub(super) fn not_heard(tenant: &str, what: &str) -> String {
    format!(
        "tenant {tenant}: {what} in the last hour, or since the feeder was started; proxies report every 10 seconds at most, if they have requests"
    )
}

/// Who has reported: workloads, and how many proxies each has.
pub(super) fn sources(heard: &Heard) -> String {
    let mut proxies: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &heard.proxies {
        *proxies.entry(&row.workload).or_default() += 1;
    }
    let each = proxies.iter().map(|(workload, count)| match count {
        1 => format!("{workload} (1 proxy)"),
        _ => format!("{workload} ({count} proxies)"),
    });
    plain(&each.collect::<Vec<_>>().join(", "))
}

/// Who a subject is.
pub(super) fn who(row: &SubjectRow) -> String {
    let user = |user: &UserRow| {
        let inactive = if user.active { "" } else { ", inactive" };
        format!("{} ({}{inactive})", user.user_name, user.id)
    };
    match row.users.as_slice() {
        [] => format!("nobody known ({})", row.subject),
        users => plain(&users.iter().map(user).collect::<Vec<_>>().join(" or ")),
    }
}
