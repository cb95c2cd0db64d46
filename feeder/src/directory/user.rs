//! A user, and what of it a filter or a search may ask for.

use std::fmt;
use std::sync::Arc;

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use jiff::Timestamp;
use scimesh_proto::binding::Attribute;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Refused;
use super::change::Name;
use super::index::Locator;

/// A resource's SCIM attributes under their canonical names, without `id`, `meta`, `members` and `groups`.
pub type Attributes = Map<String, Value>;

/// Internal number of a user or group, never used twice. It never leaves the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub(crate) u32);

impl Slot {
    /// Less than any resource's.
    pub(crate) const BEFORE_ALL: Slot = Slot(0);
}

/// What the server says of a resource (RFC 7643 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
    /// 1, 2, 3, …: counts the changes of this resource and nothing else.
    pub version: u64,
}

impl Meta {
    pub(super) fn new(now: Timestamp) -> Meta {
        Meta {
            created: now,
            modified: now,
            version: 1,
        }
    }

    pub(super) fn touched(self, now: Timestamp) -> Meta {
        Meta {
            created: self.created,
            modified: now.max(self.modified),
            version: self.version + 1,
        }
    }
}

/// The attributes that decide who a user is and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whether it may do anything at all.
    pub active: bool,
    /// RFC 7643 section 4.1.1.
    pub user_name: Arc<str>,
    /// The IdP's own id of the user.
    pub external_id: Option<Arc<str>>,
    /// `emails.value`, sorted, without doubles.
    pub emails: Box<[Arc<str>]>,
    /// `roles.value`, sorted, without doubles.
    pub roles: Box<[Arc<str>]>,
    /// `entitlements.value`, sorted, without doubles.
    pub entitlements: Box<[Arc<str>]>,
}

impl Identity {
    /// Reads the identity out of a user's attributes. An absent or null `active` is false: whoever means true says so.
    pub(crate) fn of(attributes: &Attributes) -> Result<Identity, Refused> {
        let user_name = text(attributes, "userName")?.ok_or(Refused::Missing("userName"))?;
        Ok(Identity {
            active: match attributes.get("active") {
                None | Some(Value::Null) => false,
                Some(Value::Bool(active)) => *active,
                Some(_) => return Err(Refused::invalid("active", "not a boolean")),
            },
            user_name,
            external_id: text(attributes, "externalId")?,
            emails: values(attributes, "emails")?,
            roles: values(attributes, "roles")?,
            entitlements: values(attributes, "entitlements")?,
        })
    }
}

/// Longest string of an identity attribute, in bytes: what a token's claim is compared with at most.
pub const MAX_NAME_BYTES: usize = 1024;

/// A string attribute; absent, null and empty are the same.
pub(super) fn text(
    attributes: &Attributes,
    name: &'static str,
) -> Result<Option<Arc<str>>, Refused> {
    match attributes.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => bounded(name, text).map(Some),
        Some(_) => Err(Refused::invalid(name, "not a string")),
    }
}

fn bounded(name: &'static str, text: &str) -> Result<Arc<str>, Refused> {
    if text.len() > MAX_NAME_BYTES {
        return Err(Refused::invalid(name, "longer than 1024 bytes"));
    }
    if text.contains('\0') {
        return Err(Refused::invalid(name, "contains NUL"));
    }
    Ok(text.into())
}

/// The `value` of each element of a multi-valued attribute.
fn values(attributes: &Attributes, name: &'static str) -> Result<Box<[Arc<str>]>, Refused> {
    let elements = match attributes.get(name) {
        None | Some(Value::Null) => return Ok(Box::default()),
        Some(Value::Array(elements)) => elements,
        Some(_) => return Err(Refused::invalid(name, "not a list")),
    };
    let mut values = Vec::with_capacity(elements.len());
    for element in elements {
        match element.get("value") {
            Some(Value::String(text)) if !text.is_empty() => values.push(bounded(name, text)?),
            None | Some(Value::Null | Value::String(_)) => {}
            Some(_) => return Err(Refused::invalid(name, "a value that is not a string")),
        }
    }
    values.sort();
    values.dedup();
    Ok(values.into())
}

/// A user of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its internal number.
    pub slot: Slot,
    /// Its SCIM id.
    pub id: Uuid,
    /// When it was made and changed.
    pub meta: Meta,
    /// What it is known by and holds.
    pub identity: Identity,
    /// Where a search finds its displayName.
    pub(super) display_name: Option<Locator>,
    pub(crate) document: Box<str>,
}

/// The attributes that [`User::new`] reads, beyond keeping all of them.
const IDENTITY: &[&str] = &[
    "active",
    "displayName",
    "emails",
    "entitlements",
    "externalId",
    "roles",
    "userName",
];

impl User {
    pub(crate) fn new(
        slot: Slot,
        id: Uuid,
        meta: Meta,
        attributes: &Attributes,
    ) -> Result<User, Refused> {
        Ok(User {
            slot,
            id,
            meta,
            identity: Identity::of(attributes)?,
            display_name: match attributes.get("displayName") {
                Some(Value::String(name)) => Some(Locator::of(name)),
                _ => None,
            },
            document: document(attributes),
        })
    }

    /// A user as the store has it: with the text that `document` once made of its attributes.
    pub(crate) fn stored(
        slot: Slot,
        id: Uuid,
        meta: Meta,
        document: Box<str>,
    ) -> Result<User, Refused> {
        let attributes = selected(&document, IDENTITY);
        let user = User::new(slot, id, meta, &attributes)?;
        Ok(User { document, ..user })
    }

    /// Whether its `userName` may be given: no spaces around it and no control characters in it, which nobody would see. Asked when the name is
    /// written, and not when it is read: a user who has such a name already stays.
    pub(super) fn check_name(&self) -> Result<(), Refused> {
        let name = &*self.identity.user_name;
        if name.trim() != name {
            return Err(Refused::invalid("userName", "begins or ends with a space"));
        }
        if name.contains(char::is_control) {
            return Err(Refused::invalid("userName", "contains a control character"));
        }
        Ok(())
    }

    /// All its attributes.
    pub fn attributes(&self) -> Attributes {
        parsed(&self.document)
    }

    /// Those of its attributes that have one of these names. Far cheaper than all of them.
    pub(crate) fn selected(&self, names: &[&str]) -> Attributes {
        selected(&self.document, names)
    }

    /// Every name that a token can know it by, now.
    pub(crate) fn names(&self) -> impl Iterator<Item = Name> + '_ {
        let all = Attribute::ALL.into_iter();
        all.flat_map(|attribute| self.names_of(attribute))
    }

    /// Every name that a binding to `attribute` can know it by, now.
    pub(crate) fn names_of(&self, attribute: Attribute) -> Vec<Name> {
        let values = match attribute {
            Attribute::Id => vec![self.id.to_string().into()],
            Attribute::ExternalId => self.identity.external_id.iter().cloned().collect(),
            Attribute::UserName => vec![self.identity.user_name.clone()],
            Attribute::Email => self.identity.emails.to_vec(),
        };
        let name = |value| Name { attribute, value };
        values.into_iter().map(name).collect()
    }
}

pub(super) fn document(attributes: &Attributes) -> Box<str> {
    // A map of JSON values always has a text.
    serde_json::to_string(attributes)
        .unwrap_or_else(|_| "{}".to_owned())
        .into()
}

pub(super) fn parsed(document: &str) -> Attributes {
    // Written by `document` alone.
    serde_json::from_str(document).unwrap_or_default()
}

/// Those attributes of a document that have one of these names; passes over the others without making anything of them.
pub(super) fn selected(document: &str, names: &[&str]) -> Attributes {
    struct Wanted<'n>(&'n [&'n str]);
    impl<'de, 'n> DeserializeSeed<'de> for Wanted<'n> {
        type Value = Option<&'n str>;

        fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
            key.deserialize_str(self)
        }
    }
    impl<'n> Visitor<'_> for Wanted<'n> {
        type Value = Option<&'n str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a key")
        }

        fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
            Ok(self.0.iter().copied().find(|name| *name == key))
        }
    }
    struct Selection<'n>(&'n [&'n str]);
    impl<'de> Visitor<'de> for Selection<'_> {
        type Value = Attributes;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Attributes, A::Error> {
            let mut selected = Attributes::new();
            while let Some(name) = access.next_key_seed(Wanted(self.0))? {
                match name {
                    Some(name) => {
                        selected.insert(name.to_owned(), access.next_value()?);
                    }
                    None => {
                        access.next_value::<IgnoredAny>()?;
                    }
                }
            }
            Ok(selected)
        }
    }
    // Written by `document` alone.
    let mut json = serde_json::Deserializer::from_str(document);
    json.deserialize_map(Selection(names)).unwrap_or_default()
}

/// What names are compared by where case must not matter: `userName` within its tenant (RFC 7643 section 4.1.1).
///
/// Unicode's simple case folding: each character for itself, wherever it stands, to one character; folding twice is folding once. Nothing else is
/// equated: neither characters that look alike, nor composed and decomposed forms, nor `ß` and `ss`.
pub fn fold(name: &str) -> String {
    const CASES: CaseMapperBorrowed<'static> = CaseMapper::new();
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.chars().map(|c| CASES.simple_fold(c)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_does_not_matter_in_any_script_nor_where_a_letter_stands() {
        for (one, other) in [
            ("Ada@Example.com", "ada@example.COM"),
            ("ÉLAN", "élan"),
            ("ΟΔΟΣ", "οδος"),
            ("ΟΔΟΣ", "οδοσ"),
            ("Шура", "ШУРА"),
            ("ẞ", "ß"),
            ("\u{212a}elvin", "kelvin"),
            ("Ǆ", "ǅ"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn what_only_looks_alike_is_another_name() {
        for (one, other) in [
            ("ada", "аda"),
            ("\u{e9}lan", "e\u{301}lan"),
            ("stra\u{df}e", "strasse"),
            ("I", "ı"),
            ("i", "İ"),
            ("\u{fb01}n", "fin"),
            ("a\u{200b}da", "ada"),
            ("ａda", "ada"),
        ] {
            assert_ne!(fold(one), fold(other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(name: String) {
            let once = fold(&name);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn each_character_is_folded_for_itself(one: String, other: String) {
            prop_assert_eq!(fold(&format!("{one}{other}")), fold(&one) + &fold(&other));
            prop_assert_eq!(fold(&one).chars().count(), one.chars().count());
        }

        #[test]
        fn no_name_is_cut(name in "\\PC{1,40}") {
            let user = |name: &str| Identity::of(serde_json::json!({"userName": name}).as_object().unwrap());
            prop_assert_eq!(&*user(&name).unwrap().user_name, name.as_str());
            let long = name.repeat(MAX_NAME_BYTES);
            prop_assert!(long.len() <= MAX_NAME_BYTES || user(&long).is_err());
        }
    }

    #[test]
    fn all_characters_are_folded_at_once() {
        for c in char::MIN..=char::MAX {
            let once = fold(&c.to_string());
            assert_eq!(fold(&once), once, "{c:?}");
            // ASCII goes another way.
            assert_eq!(fold(&format!("{c}é")), format!("{once}é"), "{c:?}");
        }
    }
}
