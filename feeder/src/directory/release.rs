//! Names that their holders have lost. Until its hold ends, such a name means nobody else: tokens that were made for the former holder must not become
//! the next one.
//!
//! Knows no clock, and not how long a hold is: a release is there until it is taken out.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use jiff::Timestamp;
use scimesh_proto::binding::Attribute;

use super::change::Name;
use super::user::{Slot, User};

/// Who somebody is beyond a single name. An `externalId` is one person, whatever resource has it; without one the resource is the person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Person {
    /// Whoever has this `externalId`.
    ExternalId(Arc<str>),
    /// The user of this number, as long as it has no `externalId`.
    Resource(Slot),
}

impl Person {
    /// Who this user is now.
    pub fn of(user: &User) -> Person {
        match &user.identity.external_id {
            Some(external_id) => Person::ExternalId(external_id.clone()),
            None => Person::Resource(user.slot),
        }
    }
}

/// A name that somebody has lost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// A userName or an email, to the letter.
    pub name: Name,
    /// Who had it.
    pub person: Person,
}

/// A user's userName and emails: what may pass to somebody else.
fn passing_names(user: &User) -> impl Iterator<Item = Name> + '_ {
    let of = |attribute| user.names_of(attribute);
    of(Attribute::UserName)
        .into_iter()
        .chain(of(Attribute::Email))
}

/// Whether a resource that was `old` and is `new` has been one person all the time. One that had no `externalId` and gets one has: nobody else was there.
fn is_one_person(old: &User, new: &User) -> bool {
    let before = &old.identity.external_id;
    before.is_none() || *before == new.identity.external_id
}

/// The names of `user` that `other`, the same resource at another time, has not.
fn names_beyond(user: &User, other: Option<&User>) -> Vec<Name> {
    let has = |name: &Name| {
        other.is_some_and(|other| match name.attribute {
            Attribute::UserName => other.identity.user_name == name.value,
            _ => other.identity.emails.binary_search(&name.value).is_ok(),
        })
    };
    passing_names(user).filter(|name| !has(name)).collect()
}

/// The names that the person who `old` was loses when the resource becomes `new`, or goes.
pub(super) fn lost(old: &User, new: Option<&User>) -> Vec<Name> {
    names_beyond(old, new.filter(|new| is_one_person(old, new)))
}

/// The names that the person who `new` is gets by a write, before which the resource was `old`, if it was there.
pub(super) fn gained(old: Option<&User>, new: &User) -> Vec<Name> {
    names_beyond(new, old.filter(|old| is_one_person(old, new)))
}

/// When somebody last lost a name, and how many spellings of it.
#[derive(Debug, Clone, Copy)]
struct Loss {
    at: Timestamp,
    spellings: usize,
}

/// Who has lost one name: nearly always one.
#[derive(Debug, Clone)]
enum Former {
    One(Person, Loss),
    Many(OrdMap<Person, Loss>),
}

impl Former {
    fn get(&self, person: &Person) -> Option<Loss> {
        match self {
            Former::One(one, loss) => (one == person).then_some(*loss),
            Former::Many(many) => many.get(person).copied(),
        }
    }

    fn other_than(&self, person: &Person) -> bool {
        match self {
            Former::One(one, _) => one != person,
            Former::Many(many) => many.len() > usize::from(many.contains_key(person)),
        }
    }

    fn latest_other_than(&self, person: &Person) -> Option<Timestamp> {
        match self {
            Former::One(one, loss) => (one != person).then_some(loss.at),
            Former::Many(many) => {
                let others = many.iter().filter(|(other, _)| *other != person);
                others.map(|(_, loss)| loss.at).max()
            }
        }
    }
}

/// Former holders by name.
#[derive(Debug, Clone, Default)]
struct Formers {
    user_names: OrdMap<Arc<str>, Former>,
    emails: OrdMap<Arc<str>, Former>,
}

impl Formers {
    fn of(&self, attribute: Attribute) -> Option<&OrdMap<Arc<str>, Former>> {
        match attribute {
            Attribute::UserName => Some(&self.user_names),
            Attribute::Email => Some(&self.emails),
            Attribute::Id | Attribute::ExternalId => None,
        }
    }

    fn get(&self, attribute: Attribute, value: &str) -> Option<&Former> {
        self.of(attribute)?.get(value)
    }

    fn loss(&self, attribute: Attribute, value: &str, person: &Person) -> Option<Loss> {
        self.get(attribute, value)?.get(person)
    }

    fn of_mut(&mut self, attribute: Attribute) -> Option<&mut OrdMap<Arc<str>, Former>> {
        match attribute {
            Attribute::UserName => Some(&mut self.user_names),
            Attribute::Email => Some(&mut self.emails),
            Attribute::Id | Attribute::ExternalId => None,
        }
    }

    fn put(&mut self, attribute: Attribute, value: &Arc<str>, person: Person, loss: Loss) {
        let Some(names) = self.of_mut(attribute) else {
            return;
        };
        match names.get_mut(value) {
            None => {
                names.insert(value.clone(), Former::One(person, loss));
            }
            Some(Former::Many(many)) => {
                many.insert(person, loss);
            }
            Some(one) => {
                *one = match one.clone() {
                    Former::One(other, earlier) if other != person => {
                        Former::Many(OrdMap::from_iter([(other, earlier), (person, loss)]))
                    }
                    _ => Former::One(person, loss),
                };
            }
        }
    }

    fn remove(&mut self, attribute: Attribute, value: &str, person: &Person) {
        let Some(names) = self.of_mut(attribute) else {
            return;
        };
        let gone = match names.get_mut(value) {
            None => false,
            Some(Former::One(one, _)) => one == person,
            Some(Former::Many(many)) => {
                many.remove(person);
                many.is_empty()
            }
        };
        if gone {
            names.remove(value);
        }
    }
}

/// A tenant's releases. Some 400 bytes each; what a write asks of them does not grow with their number.
#[derive(Debug, Clone, Default)]
pub(super) struct Releases {
    /// To the letter.
    exact: Formers,
    /// By the name in small ASCII letters; of several spellings, when the last was lost.
    any_case: Formers,
    by_time: OrdSet<(Timestamp, Release)>,
    /// What users lost who had no `externalId`.
    of_resources: OrdMap<Slot, OrdSet<Name>>,
}

impl Releases {
    pub(super) fn len(&self) -> usize {
        self.by_time.len()
    }

    /// The oldest one.
    pub(super) fn first(&self) -> Option<&(Timestamp, Release)> {
        self.by_time.get_min()
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Timestamp, Release)> {
        self.by_time.iter()
    }

    /// Whether the name, in the form in which a binding compares it, was lost by somebody else than this person.
    pub(super) fn keep_from(&self, person: &Person, name: Compared<'_>) -> bool {
        self.get(name)
            .is_some_and(|former| former.other_than(person))
    }

    /// When somebody else than this person last lost the name.
    pub(super) fn lost_to(&self, person: &Person, name: Compared<'_>) -> Option<Timestamp> {
        self.get(name)?.latest_other_than(person)
    }

    fn get(&self, name: Compared<'_>) -> Option<&Former> {
        match name.ignore_case {
            true => self.any_case.get(name.attribute, name.value),
            false => self.exact.get(name.attribute, name.value),
        }
    }

    /// A person has lost a name. Losing it again counts from then. False if it is known to have been lost later than that.
    pub(super) fn put(&mut self, release: Release, at: Timestamp) -> bool {
        let Release { name, person } = &release;
        let Name { attribute, value } = name;
        let before = self.exact.loss(*attribute, value, person);
        if let Some(before) = before {
            // A clock that was set back ends nothing earlier.
            if before.at >= at {
                return false;
            }
            self.by_time.remove(&(before.at, release.clone()));
        }
        let folded = small(value);
        let others = self.any_case.loss(*attribute, &folded, person);
        let any_case = Loss {
            at: others.map_or(at, |others| others.at.max(at)),
            spellings: others.map_or(0, |others| others.spellings) + usize::from(before.is_none()),
        };
        self.any_case
            .put(*attribute, &folded, person.clone(), any_case);
        let exact = Loss { at, spellings: 1 };
        self.exact.put(*attribute, value, person.clone(), exact);
        if let Person::Resource(slot) = person {
            let names = self.of_resources.entry(*slot).or_default();
            names.insert(name.clone());
        }
        self.by_time.insert((at, release));
        true
    }

    /// What the user of this number lost while it had no `externalId`, and when.
    pub(super) fn of_resource(&self, slot: Slot) -> Vec<(Timestamp, Release)> {
        let names = self.of_resources.get(&slot).into_iter().flatten();
        let releases = names.filter_map(|name| {
            let person = Person::Resource(slot);
            let loss = self.exact.loss(name.attribute, &name.value, &person)?;
            let name = name.clone();
            Some((loss.at, Release { name, person }))
        });
        releases.collect()
    }

    /// A release ends.
    pub(super) fn remove(&mut self, release: &Release) {
        let Release { name, person } = release;
        let Name { attribute, value } = name;
        let Some(loss) = self.exact.loss(*attribute, value, person) else {
            return;
        };
        self.exact.remove(*attribute, value, person);
        self.by_time.remove(&(loss.at, release.clone()));
        if let Person::Resource(slot) = person
            && let Some(names) = self.of_resources.get_mut(slot)
        {
            names.remove(name);
            if names.is_empty() {
                self.of_resources.remove(slot);
            }
        }
        let folded = small(value);
        match self.any_case.loss(*attribute, &folded, person) {
            Some(Loss { at, spellings }) if spellings > 1 => {
                let spellings = spellings - 1;
                let left = Loss { at, spellings };
                self.any_case.put(*attribute, &folded, person.clone(), left);
            }
            _ => self.any_case.remove(*attribute, &folded, person),
        }
    }
}

/// A name as a binding compares it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared<'n> {
    pub(super) attribute: Attribute,
    /// In small ASCII letters if case is ignored.
    pub(super) value: &'n str,
    pub(super) ignore_case: bool,
}

/// A name in small ASCII letters. One that has no others shares its text.
fn small(value: &Arc<str>) -> Arc<str> {
    match value.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => value.to_ascii_lowercase().into(),
        false => value.clone(),
    }
}
