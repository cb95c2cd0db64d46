//! Brings tenants, bindings, extensions and the rules of the feed to what a file says, within one command of the ledger: all of it, or nothing.

use scimesh_proto::binding::Binding;

use super::wire::Change;
use crate::access::Rules;
use crate::config::{BindingForm, Desired};
use crate::directory::{Draft, Refused};
use crate::schema::Kind;

/// Makes the directory have the tenants of `desired` with exactly their bindings, and exactly their extensions where it says which, and
/// says what that took. Tenants that it does not name stay as they are, unless `prune`: then they go. The rules of who may follow the
/// feed are those of `desired` where it has any word on them, be it an empty list.
///
/// All that goes, goes first: an issuer may pass from one tenant to another, or from one tenant alone to several that
/// pin a claim, and no order of single steps by name would always be admitted.
pub fn reconcile(
    draft: &mut Draft,
    desired: &Desired,
    prune: bool,
) -> Result<Vec<Change>, Refused> {
    let mut changes = Vec::new();
    if prune {
        for tenant in unnamed(draft, desired) {
            draft.delete_tenant(&tenant)?;
            changes.push(Change::TenantDeleted { tenant });
        }
    }
    for (name, wanted) in &desired.tenants {
        for held in bindings(draft, name) {
            let voucher = held.voucher();
            let mut forms = wanted.bindings.iter();
            let same_voucher = forms.find(|form| form.0.voucher() == voucher);
            // One that names the same takes its place without anybody's being named by nothing in between.
            if same_voucher.is_some_and(|form| form.0.names_like(&held)) {
                continue;
            }
            draft.remove_binding(name, &voucher)?;
            if same_voucher.is_none() {
                changes.push(Change::BindingRemoved {
                    tenant: name.clone(),
                    issuer: held.issuer().map(str::to_owned),
                    trust_domain: held.trust_domain().map(str::to_owned),
                });
            }
        }
    }
    for (name, wanted) in &desired.tenants {
        let Some(wanted) = &wanted.extensions else {
            continue;
        };
        for (resource, urn) in extensions(draft, name) {
            let stays = wanted.iter().any(|form| {
                form.resource == resource && form.schema.urn().eq_ignore_ascii_case(&urn)
            });
            if !stays {
                draft.remove_extension(name, &urn)?;
                changes.push(Change::ExtensionRemoved {
                    tenant: name.clone(),
                    urn,
                });
            }
        }
    }
    for (name, wanted) in &desired.tenants {
        if draft.directory().tenant(name).is_none() {
            draft.create_tenant(name)?;
            changes.push(Change::TenantCreated {
                tenant: name.clone(),
            });
        }
        for form in &wanted.bindings {
            let BindingForm(binding) = form;
            if draft.tenant(name)?.binding(&binding.voucher()) == Some(binding) {
                continue;
            }
            draft.set_binding(name, binding.clone())?;
            changes.push(Change::BindingSet {
                tenant: name.clone(),
                binding: form.clone(),
            });
        }
        for form in wanted.extensions.iter().flatten() {
            if draft.set_extension(name, form.resource, form.schema.clone())? {
                changes.push(Change::ExtensionSet {
                    tenant: name.clone(),
                    urn: form.schema.urn().to_owned(),
                });
            }
        }
    }
    if let Some(wanted) = &desired.feed_access {
        changes.extend(feed_access(draft, wanted));
    }
    Ok(changes)
}

fn feed_access(draft: &mut Draft, wanted: &Rules) -> Vec<Change> {
    let held = draft.directory().feed_access().clone();
    draft.set_feed_access(wanted.clone());
    let gone = held.iter().filter(|rule| !wanted.contains(rule));
    let new = wanted.iter().filter(|rule| !held.contains(rule));
    let gone = gone.map(|rule| Change::FeedAccessRemoved { rule: rule.clone() });
    gone.chain(new.map(|rule| Change::FeedAccessAdded { rule: rule.clone() }))
        .collect()
}

fn unnamed(draft: &Draft, desired: &Desired) -> Vec<String> {
    let names = draft
        .directory()
        .tenants()
        .map(|tenant| tenant.name().to_string());
    names
        .filter(|name| !desired.tenants.contains_key(name))
        .collect()
}

fn bindings(draft: &Draft, tenant: &str) -> Vec<Binding> {
    let tenant = draft.directory().tenant(tenant);
    tenant.map_or(Vec::new(), |tenant| tenant.bindings().cloned().collect())
}

fn extensions(draft: &Draft, tenant: &str) -> Vec<(Kind, String)> {
    let tenant = draft.directory().tenant(tenant);
    let extensions = tenant.into_iter().flat_map(|tenant| tenant.extensions());
    extensions
        .map(|(kind, schema)| (kind, schema.urn().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::directory::{Directory, Keys, Touched};
    use scimesh_proto::binding::Source;
    use scimesh_proto::digest::Key;
    use scimesh_proto::position::History;

    fn empty() -> Directory {
        let history = History {
            generation: 1,
            id: [1; 16],
        };
        let keys = Keys {
            content: Key::new([1; 32]),
            proof: Key::new([2; 32]),
        };
        Directory::new(history, 0, keys)
    }

    fn apply(directory: &Directory, file: &str, prune: bool) -> (Directory, Vec<Change>) {
        let mut draft = Draft::new(directory, Timestamp::UNIX_EPOCH);
        let desired = Desired::parse(file).unwrap();
        let changes = reconcile(&mut draft, &desired, prune).unwrap();
        (draft.finish().directory, changes)
    }

    fn described(directory: &Directory) -> String {
        let tenants = directory.tenants().map(|tenant| {
            let bindings = tenant.bindings().map(|b| {
                let Source::Token {
                    issuer, claim, pin, ..
                } = &b.source
                else {
                    return b.voucher().to_string();
                };
                let pin = pin.as_ref().map_or("", |pin| pin.value.as_str());
                format!("{issuer}/{claim}/{pin}")
            });
            format!(
                "{}[{}]",
                tenant.name(),
                bindings.collect::<Vec<_>>().join(" ")
            )
        });
        tenants.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_applied_twice_changes_nothing_the_second_time() {
        let file = "tenants: {a: {bindings: [{issuer: i}]}, b: {}}";
        let (directory, changes) = apply(&empty(), file, false);
        assert_eq!(changes.len(), 3);
        assert_eq!(described(&directory), "a[i/sub/] b[]");
        let (same, changes) = apply(&directory, file, true);
        assert_eq!(changes, []);
        assert_eq!(same.revision(), directory.revision());
    }

    #[test]
    fn an_issuer_moves_between_tenants_and_comes_to_be_shared() {
        let (alone, _) = apply(
            &empty(),
            "tenants: {b: {bindings: [{issuer: i}]}, c: {}}",
            false,
        );
        let (moved, _) = apply(
            &alone,
            "tenants: {b: {}, a: {bindings: [{issuer: i}]}}",
            false,
        );
        assert_eq!(described(&moved), "a[i/sub/] b[] c[]");
        let shared = "tenants: {a: {bindings: [{issuer: i, pin: {claim: t, value: '1'}}]},
                                b: {bindings: [{issuer: i, pin: {claim: t, value: '2'}}]}}";
        let (shared, changes) = apply(&alone, shared, false);
        assert_eq!(described(&shared), "a[i/sub/1] b[i/sub/2] c[]");
        assert_eq!(
            changes.len(),
            3,
            "a changed binding is one change: {changes:?}"
        );
    }

    #[test]
    fn where_tokens_list_groups_is_set_and_taken_back_and_nobody_is_named_otherwise() {
        let plain = "tenants: {a: {bindings: [{issuer: i}]}}";
        let listing =
            "tenants: {a: {bindings: [{issuer: i, groupsClaim: g, groupsClaimIs: externalId}]}}";
        let (first, _) = apply(&empty(), plain, false);
        let (second, changes) = apply(&first, listing, false);
        let [Change::BindingSet { tenant, binding }] = changes.as_slice() else {
            panic!("{changes:?}");
        };
        let held = second.tenant(tenant).unwrap().bindings().next();
        assert_eq!(held, Some(&binding.0));
        assert!(matches!(
            &binding.0.source,
            Source::Token {
                groups: Some(_),
                ..
            }
        ));
        assert_eq!(apply(&second, listing, true).1, [], "applied again");
        let (third, changes) = apply(&second, plain, false);
        assert_eq!(changes.len(), 1);
        for directory in [&second, &third] {
            let logged = directory.changes_since(directory.revision() - 1).unwrap();
            let touched: Vec<_> = logged.iter().flat_map(|change| &change.touched).collect();
            assert_eq!(touched, [&("a".into(), Touched::GroupsClaim)]);
        }
    }

    fn extensions_of(directory: &Directory, tenant: &str) -> Vec<String> {
        let tenant = directory.tenant(tenant).unwrap();
        let extensions = tenant.extensions();
        extensions
            .map(|(kind, schema)| {
                let names: Vec<&str> = schema.names().collect();
                format!("{} {} {}", kind.name(), schema.urn(), names.join(","))
            })
            .collect()
    }

    #[test]
    fn extensions_are_those_of_the_file_if_it_says_which() {
        let file = "tenants: {a: {extensions: [
            {resource: User, schema: {id: 'urn:x:y', attributes: [{name: p}]}},
            {resource: Group, schema: {id: 'urn:x:z', attributes: [{name: q}]}}]}}";
        let (two, changes) = apply(&empty(), file, false);
        assert_eq!(
            extensions_of(&two, "a"),
            ["User urn:x:y p", "Group urn:x:z q"]
        );
        assert_eq!(changes.len(), 3);
        assert_eq!(apply(&two, file, false).1, [], "applied again");
        let (kept, changes) = apply(&two, "tenants: {a: {}}", false);
        assert_eq!((extensions_of(&kept, "a").len(), changes), (2, vec![]));

        let other = "tenants: {a: {extensions: [
            {resource: Group, schema: {id: 'urn:x:y', attributes: [{name: p}]}}]}}";
        let (one, changes) = apply(&two, other, false);
        assert_eq!(extensions_of(&one, "a"), ["Group urn:x:y p"]);
        assert_eq!(changes.len(), 3, "two went, one came: {changes:?}");
        let (none, changes) = apply(&one, "tenants: {a: {extensions: []}}", false);
        let removed = Change::ExtensionRemoved {
            tenant: "a".to_owned(),
            urn: "urn:x:y".to_owned(),
        };
        assert_eq!(
            (extensions_of(&none, "a").len(), changes),
            (0, vec![removed])
        );
    }

    #[test]
    fn the_rules_of_the_feed_are_those_of_the_file_if_it_has_a_word_on_them() {
        let peers = |directory: &Directory| directory.feed_access().iter().count();
        let file = "{tenants: {a: {}}, feedAccess: [
            {peer: 'spiffe://td/x', tenants: [a]}, {peer: 'spiffe://td/y', tenants: [a]}]}";
        let (two, changes) = apply(&empty(), file, false);
        assert_eq!((peers(&two), changes.len()), (2, 3));
        assert_eq!(apply(&two, file, true).1, [], "applied again");
        let (kept, changes) = apply(&two, "tenants: {a: {}}", true);
        assert_eq!((peers(&kept), changes.len()), (2, 0));

        let other = "{tenants: {a: {}}, feedAccess: [
            {peer: 'spiffe://td/y', tenants: [a]}, {peer: 'spiffe://td/x', tenants: [a], terms: [active]}]}";
        let (narrowed, changes) = apply(&two, other, false);
        let said: Vec<String> = changes
            .iter()
            .map(|change| match change {
                Change::FeedAccessRemoved { rule } => format!("- {}", rule.describe()),
                Change::FeedAccessAdded { rule } => format!("+ {}", rule.describe()),
                other => format!("{other:?}"),
            })
            .collect();
        let expected = [
            "- spiffe://td/x: every term of a",
            "+ spiffe://td/x: active of a",
        ];
        assert_eq!(said, expected);
        assert_eq!(
            narrowed.revision(),
            two.revision(),
            "no filter is sent a rule"
        );
        let (nobody, changes) = apply(&two, "{tenants: {a: {}}, feedAccess: []}", false);
        assert_eq!((peers(&nobody), changes.len()), (0, 2));
    }

    #[test]
    fn only_prune_deletes_a_tenant() {
        let (both, _) = apply(&empty(), "tenants: {a: {}, b: {}}", false);
        let (kept, changes) = apply(&both, "tenants: {a: {}}", false);
        assert_eq!((described(&kept).as_str(), changes.len()), ("a[] b[]", 0));
        let (pruned, changes) = apply(&both, "tenants: {a: {}}", true);
        assert_eq!(described(&pruned), "a[]");
        assert_eq!(
            changes,
            [Change::TenantDeleted {
                tenant: "b".to_owned()
            }]
        );
    }

    #[test]
    fn a_file_that_cannot_hold_is_refused_whole() {
        let mut draft = Draft::new(&empty(), Timestamp::UNIX_EPOCH);
        let desired = "tenants: {a: {bindings: [{issuer: i}]}, b: {bindings: [{issuer: i}]}}";
        let desired = Desired::parse(desired).unwrap();
        let refused = reconcile(&mut draft, &desired, false).unwrap_err();
        assert!(matches!(refused, Refused::IssuerTaken { .. }), "{refused}");
    }
}
