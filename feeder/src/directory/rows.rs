//! A whole directory as rows: what a store would have to have written for it.

use super::{Directory, Row, Tenant};

impl Directory {
    /// Every row but the history, the change log and where it stands. Tenants come before what is theirs, groups before their members.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row> {
        // Named one by one: whoever adds a field says here whether it has rows.
        let Directory {
            history: _,
            revision: _,
            keys: _,
            next_slot: _,
            next_tenant: _,
            tenants,
            frozen,
            tokens,
            changes: _,
            feed_access,
            longest_lease,
            runs: _,
            proved,
            name_hold: _,
        } = self;
        let frozen = frozen.values().map(|frozen| Row::Freeze {
            tenant: frozen.tenant.number,
            revision: frozen.revision,
            since: frozen.since,
            kept: frozen.kept,
        });
        let tokens = tokens.values().filter_map(|token| {
            let tenant = tenants.get(&token.tenant)?;
            Some(Row::Token(tenant.number, token.clone()))
        });
        let tenants = tenants.values().flat_map(|tenant| of_tenant(tenant));
        let proved = proved.iter().map(|revision| Row::Proved(*revision));
        let access = std::iter::once(Row::FeedAccess(feed_access.clone()));
        let lease = std::iter::once(Row::LongestLease(*longest_lease));
        tenants
            .chain(access)
            .chain(lease)
            .chain(tokens)
            .chain(frozen)
            .chain(proved)
    }
}

fn of_tenant(tenant: &Tenant) -> impl Iterator<Item = Row> {
    let number = tenant.number;
    let head = std::iter::once(Row::Tenant(number, tenant.name().clone()));
    let bindings = tenant.bindings();
    let bindings = bindings.map(move |binding| Row::Binding(number, binding.clone()));
    let extensions = tenant.extensions();
    let extensions =
        extensions.map(move |(kind, schema)| Row::Extension(number, kind, schema.clone()));
    let users = tenant
        .users()
        .map(move |user| Row::User(number, user.clone()));
    let groups = tenant
        .groups()
        .map(move |group| Row::Group(number, group.clone()));
    let members = tenant.groups().flat_map(|group| {
        let members = group.members.iter();
        members.map(move |member| Row::Member(group.slot, *member))
    });
    let releases = tenant.releases();
    let releases =
        releases.map(move |(lost, release)| Row::Release(number, release.clone(), *lost));
    head.chain(bindings)
        .chain(extensions)
        .chain(users)
        .chain(groups)
        .chain(members)
        .chain(releases)
}
