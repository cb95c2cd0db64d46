//! What a filter is sent of a directory: the one definition of a scope's content.
//!
//! A snapshot is [`Resolved::entries`] over all names, a delta is the same over the names that may have changed.

use std::borrow::Cow;
use std::sync::Arc;

use scimesh_proto::binding::{Binding, Source};
use scimesh_proto::digest::{ContentDigest, SubjectDigest};
use scimesh_proto::scope::{Scope, Term, TermKind};
use scimesh_proto::snapshot::{TermSet, TermState, head_digest};
use scimesh_proto::spiffe;

use super::change::Name;
use super::holdings::{SlotMap, SlotSet, Unions};
use super::tenant::Tenant;
use super::user::{Slot, User};
use super::{Directory, Keys};

/// A scope's terms, resolved in one directory; remembers what it finds out about groups.
#[derive(Debug)]
pub struct Resolved {
    scope: Scope,
    tenant: Option<Arc<Tenant>>,
    keys: Keys,
    states: Vec<TermState>,
    /// The terms that a group itself satisfies.
    targets: SlotMap<Vec<usize>>,
    /// The terms that a member of a group has by it, nesting included; none if that is none.
    held: SlotMap<Option<Arc<TermSet>>>,
    unions: Unions,
    /// Whether a user may hold terms that no group gives.
    by_value: bool,
}

/// Totals over a scope's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Content {
    /// How many entries.
    pub entries: u64,
    /// Their digest, and that of bindings and terms.
    pub digest: ContentDigest,
}

/// What of a binding's source a user's name stands for, in the form in which the binding compares; none if for nothing.
pub(super) fn meant(binding: &Binding, name: &Name) -> Option<Arc<str>> {
    let value = &name.value;
    let stands = binding.attribute == name.attribute
        && match &binding.source {
            Source::Token { .. } => true,
            Source::Workload { trust_domain } => {
                spiffe::trust_domain(value.as_bytes()) == Some(trust_domain)
            }
        };
    if !stands {
        return None;
    }
    match binding.canonical(value.as_bytes()) {
        Cow::Borrowed(_) => Some(value.clone()),
        // ASCII letters alone have changed.
        Cow::Owned(folded) => String::from_utf8(folded).ok().map(Arc::from),
    }
}

impl Resolved {
    /// Resolves `scope` in what is published. A tenant that does not exist is an empty one without bindings.
    pub fn new(directory: &Directory, scope: &Scope) -> Resolved {
        let tenant = directory.published(scope.tenant()).cloned();
        let mut targets: SlotMap<Vec<usize>> = SlotMap::default();
        let mut states = Vec::with_capacity(scope.terms().len());
        for (index, term) in scope.terms().iter().enumerate() {
            states.push(match term.kind() {
                TermKind::Role | TermKind::Entitlement => TermState::Found,
                TermKind::Group | TermKind::GroupExternalId => {
                    let groups = match &tenant {
                        Some(tenant) => tenant.groups_of_term(term.as_str()),
                        None => Vec::new(),
                    };
                    match groups.as_slice() {
                        [] => TermState::Missing,
                        [group] => {
                            targets.entry(group.slot).or_default().push(index);
                            TermState::Found
                        }
                        _ => TermState::Ambiguous,
                    }
                }
            });
        }
        let is_value = |term: &Term| matches!(term.kind(), TermKind::Role | TermKind::Entitlement);
        Resolved {
            scope: scope.clone(),
            keys: directory.keys().clone(),
            tenant,
            states,
            targets,
            held: SlotMap::default(),
            unions: Unions::default(),
            by_value: scope.terms().iter().any(is_value),
        }
    }

    /// The scope.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What each of the scope's terms resolves to.
    pub fn states(&self) -> &[TermState] {
        &self.states
    }

    /// The tenant as it is published, if it exists.
    pub fn tenant(&self) -> Option<&Arc<Tenant>> {
        self.tenant.as_ref()
    }

    /// The tenant's bindings.
    pub fn bindings(&self) -> Vec<Binding> {
        let tenant = self.tenant.iter();
        tenant
            .flat_map(|tenant| tenant.bindings().cloned())
            .collect()
    }

    /// Whether this group decides a term of the scope.
    pub(super) fn is_target(&self, group: Slot) -> bool {
        self.targets.contains_key(&group)
    }

    /// The digest of everything but the entries.
    pub fn head(&self) -> ContentDigest {
        head_digest(
            &self.keys.content,
            &self.scope,
            &self.bindings(),
            &self.states,
        )
    }

    /// Every subject that one of a user's names may mean, under each binding that it can stand for, and the terms of the single
    /// active user whom it does mean. No terms, and so no entry, if that is nobody, several, an inactive one, or one without
    /// terms in a scope that does not ask for every active user.
    pub fn entries(&mut self, name: &Name) -> Vec<(SubjectDigest, Option<Arc<TermSet>>)> {
        let Some(tenant) = self.tenant.clone() else {
            return Vec::new();
        };
        let bindings = tenant.bindings();
        bindings
            .filter_map(|binding| Some((binding, meant(binding, name)?)))
            .map(|(binding, value)| {
                let user = tenant.user_named(binding, &value);
                let terms = user.and_then(|user| self.terms_of(user, tenant.linked(user.slot)));
                (self.subject(binding, &value), terms)
            })
            .collect()
    }

    /// Every entry: a user has one for each binding and name that means it alone.
    pub fn for_each(&mut self, mut each: impl FnMut(SubjectDigest, &TermSet)) {
        self.for_each_user(|_, subject, terms| each(subject, terms));
    }

    /// The same, with the user whom each entry means.
    pub(crate) fn for_each_user(&mut self, mut each: impl FnMut(Slot, SubjectDigest, &TermSet)) {
        let Some(tenant) = self.tenant.clone() else {
            return;
        };
        for (user, groups) in tenant.users_with_groups() {
            if let Some(terms) = self.terms_of(user, groups) {
                for subject in self.subjects(&tenant, user) {
                    each(user.slot, subject, &terms);
                }
            }
        }
    }

    /// Every subject that means this user and nobody else, under each of the tenant's bindings.
    pub(super) fn subjects(&self, tenant: &Tenant, user: &User) -> Vec<SubjectDigest> {
        let mut subjects = Vec::new();
        for binding in tenant.bindings() {
            let names = user.names_of(binding.attribute);
            let mut values: Vec<Arc<str>> = names
                .iter()
                .filter_map(|name| meant(binding, name))
                .collect();
            // Two of the user's emails may differ in case alone.
            values.sort_unstable();
            values.dedup();
            let own = values
                .iter()
                .filter(|value| tenant.means(binding, value, user));
            subjects.extend(own.map(|value| self.subject(binding, value)));
        }
        subjects
    }

    fn subject(&self, binding: &Binding, name: &str) -> SubjectDigest {
        let tenant = self.scope.tenant();
        self.keys.content.subject(tenant, binding, name.as_bytes())
    }

    /// Totals over all of the content.
    pub fn content(&mut self) -> Content {
        let mut content = Content {
            entries: 0,
            digest: self.head(),
        };
        let key = self.keys.content.clone();
        self.for_each(|subject, terms| {
            content.entries += 1;
            content.digest += key.entry(&subject, terms);
        });
        content
    }

    /// The part of the digest that one entry is.
    pub fn digest_of(&self, subject: &SubjectDigest, terms: &TermSet) -> ContentDigest {
        self.keys.content.entry(subject, terms)
    }

    /// The terms that a user holds who is a direct member of these groups; none if it has no entry.
    pub(super) fn terms_of(&mut self, user: &User, groups: &[Slot]) -> Option<Arc<TermSet>> {
        if !user.identity.active {
            return None;
        }
        let mut held: Option<Arc<TermSet>> = None;
        for group in groups {
            if let Some(more) = self.held_by_members(*group) {
                held = Some(match held {
                    None => more,
                    Some(held) => self.unions.of_two(held, &more),
                });
            }
        }
        if self.by_value {
            let of = |kind: TermKind, values: &[Arc<str>]| -> Vec<usize> {
                let term = |value| Term::parse(&format!("{}:{value}", kind.as_str())).ok();
                let terms = values.iter().filter_map(term);
                terms
                    .filter_map(|term| self.scope.index_of(&term))
                    .collect()
            };
            let mut places = of(TermKind::Role, &user.identity.roles);
            places.extend(of(TermKind::Entitlement, &user.identity.entitlements));
            if !places.is_empty() {
                let more = self.unions.of_places(places);
                held = Some(match held {
                    None => more,
                    Some(held) => self.unions.of_two(held, &more),
                });
            }
        }
        if held.is_none() && self.scope.any_active() {
            return Some(self.unions.of_places([]));
        }
        held
    }

    /// The terms of the group and of every group that it is in, however deep; none if it has none.
    fn held_by_members(&mut self, group: Slot) -> Option<Arc<TermSet>> {
        if let Some(held) = self.held.get(&group) {
            return held.clone();
        }
        let mut terms: Vec<usize> = Vec::new();
        let mut seen = SlotSet::from_iter([group]);
        let mut open = vec![group];
        while let Some(slot) = open.pop() {
            terms.extend(self.targets.get(&slot).into_iter().flatten());
            let parents = self.tenant.iter().flat_map(|tenant| tenant.linked(slot));
            open.extend(parents.filter(|parent| seen.insert(**parent)));
        }
        let held = (!terms.is_empty()).then(|| self.unions.of_places(terms));
        self.held.insert(group, held.clone());
        held
    }
}
