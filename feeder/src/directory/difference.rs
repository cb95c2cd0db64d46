//! What became of a scope's entries: from one directory to a later one, or since a revision of which only the changes are known.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use scimesh_proto::digest::SubjectDigest;
use scimesh_proto::snapshot::TermSet;

use super::entry::{Content, Resolved};
use super::touched::Reach;

/// What some entries are now, each subject once.
#[derive(Debug, Default)]
pub struct Difference {
    /// A subject and its terms; none if it has no entry.
    pub entries: Vec<(SubjectDigest, Option<Arc<TermSet>>)>,
    /// Whether the states of terms may differ.
    pub terms: bool,
    /// Whether the bindings may differ. They name whom they named.
    pub bindings: bool,
}

impl Difference {
    /// What differs between the two, of which `new` is the later one, and nothing else. All of it lies within `reach`, and the bindings of both name the same.
    /// `content` becomes that of `new`.
    pub fn between(
        old: &mut Resolved,
        new: &mut Resolved,
        reach: &Reach,
        content: &mut Content,
    ) -> Difference {
        content.digest -= old.head();
        content.digest += new.head();
        let terms = old.states() != new.states();
        let bindings = reach.bindings && old.bindings() != new.bindings();
        // Of each name that was touched: names that differ in case may mean one subject.
        let mut named = HashSet::new();
        let mut entries = Vec::new();
        let mut step =
            |new: &Resolved, subject, before: Option<Arc<TermSet>>, after: Option<Arc<TermSet>>| {
                if let Some(before) = &before {
                    content.entries -= 1;
                    content.digest -= new.digest_of(&subject, before);
                }
                if let Some(after) = &after {
                    content.entries += 1;
                    content.digest += new.digest_of(&subject, after);
                }
                entries.push((subject, after));
            };
        for name in &reach.names {
            let both = old.entries(name).into_iter().zip(new.entries(name));
            for ((subject, before), (_, after)) in both {
                if named.insert(subject) && before != after {
                    step(new, subject, before, after);
                }
            }
        }
        let tenants = old.tenant().cloned().zip(new.tenant().cloned());
        if let Some((was, is)) = tenants {
            for slot in reach.users(&is) {
                let Some((before, after)) = was.user_at(slot).zip(is.user_at(slot)) else {
                    // Who came or went is reached by name.
                    continue;
                };
                if !Arc::ptr_eq(before, after) && before.identity != after.identity {
                    // And so is who changed.
                    continue;
                }
                let (user, groups) = (after, is.linked(slot));
                let before = old.terms_of(before, was.linked(slot));
                let after = new.terms_of(user, groups);
                if before == after {
                    continue;
                }
                // Whom a name means has changed only for names that are reached as such.
                for subject in new.subjects(&is, user) {
                    if named.is_empty() || !named.contains(&subject) {
                        step(new, subject, before.clone(), after.clone());
                    }
                }
            }
        }
        Difference {
            entries,
            terms,
            bindings,
        }
    }

    /// All that may differ from an earlier directory: everything within `reach`, whether it has changed or not.
    pub fn within(resolved: &mut Resolved, reach: &Reach) -> Difference {
        let mut entries = HashMap::new();
        for name in &reach.names {
            entries.extend(resolved.entries(name));
        }
        if let Some(tenant) = resolved.tenant().cloned() {
            for slot in reach.users(&tenant) {
                if let Some(user) = tenant.user_at(slot) {
                    let terms = resolved.terms_of(user, tenant.linked(slot));
                    let subjects = resolved.subjects(&tenant, user);
                    entries.extend(subjects.into_iter().map(|subject| (subject, terms.clone())));
                }
            }
        }
        Difference {
            entries: entries.into_iter().collect(),
            terms: reach.terms,
            bindings: reach.bindings,
        }
    }

    /// One difference after the other, as one. Only the newest counts of what several touch.
    pub fn all<'a>(steps: impl IntoIterator<Item = &'a Difference>) -> Difference {
        let (mut terms, mut bindings) = (false, false);
        let mut entries = HashMap::new();
        for step in steps {
            terms |= step.terms;
            bindings |= step.bindings;
            entries.extend(step.entries.iter().cloned());
        }
        let entries = entries.into_iter().collect();
        Difference {
            entries,
            terms,
            bindings,
        }
    }
}
