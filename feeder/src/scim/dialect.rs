//! What was let through: accepted shapes that no RFC has, each with a stable word for the log.

use std::collections::BTreeSet;
use std::fmt;

use crate::schema::Unknown;

/// A shape beyond the RFCs. The word is part of the log's contract; who sends it is in the comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dialect {
    /// `"op": "Replace"` (Entra ID).
    CapitalOp,
    /// A boolean as `"True"` or `"False"`, also in a filter (Entra ID).
    StringBoolean,
    /// `remove` of a multi-valued attribute with a list of what to remove (Entra ID, JumpCloud, authentik).
    RemoveByValue,
    /// A member to be removed whose id is in capitals, in braces or without hyphens.
    IdSpelling,
    /// A key such as `name.givenName`, or with a value filter, in a value without a path (Entra ID).
    PathKey,
    /// A key such as `urn:…:User:employeeNumber` in a value (Entra ID).
    UrnKey,
    /// A value path that matched nothing made the element (Entra ID).
    CreatedByPath,
    /// A plain value for a complex attribute means its `value`: `manager` (Entra ID).
    PlainForComplex,
    /// A list of one for a single-valued attribute: `manager` (Entra ID, SCIM-SDK).
    ListForSingle,
    /// An object around the value of a plain attribute: `{"$ref": null, "value": "False"}` (Microsoft's library), `{"active": false}`.
    WrappedValue,
    /// An object or a list as a string with its JSON: app roles (Entra ID), members and whole resources (SCIM-SDK).
    JsonInString,
    /// One value for a multi-valued attribute.
    SingleForList,
    /// An extension's attribute without its URN (Entra ID: `manager eq …`).
    BareExtension,
    /// A URN and an attribute with a dot between them: `urn:…:User.department` (ConnId).
    DottedUrn,
    /// A Bulk operation's method in small letters.
    MethodCase,
    /// A PATCH's operations without the object around them, in Bulk: RFC 7644's own example has it so (section 3.7.3).
    BareOperations,
    /// `"path": ""`.
    EmptyPath,
    /// `"Operations": []`, which asks for nothing.
    NoOperations,
    /// A read-only attribute in a body (every client that sends back what it read; Okta's `groups`, and `id` in a rename).
    ReadOnlyIgnored,
    /// A password, which is never stored (Okta, client libraries).
    PasswordDropped,
    /// A value that the tenant's own schema says is never returned: it is not stored either.
    NeverReturnedDropped,
    /// An attribute or extension that nobody announced.
    UnknownAttribute,
    /// `emails[type eq "work"].value eq …` in a filter (Entra ID).
    ValuePathComparison,
    /// A bare complex attribute in a filter means its `value` (Ping: `emails eq …`).
    BareComplex,
}

impl Dialect {
    /// Its word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Dialect::CapitalOp => "capital-op",
            Dialect::StringBoolean => "string-boolean",
            Dialect::RemoveByValue => "remove-by-value",
            Dialect::IdSpelling => "id-spelling",
            Dialect::PathKey => "path-key",
            Dialect::UrnKey => "urn-key",
            Dialect::CreatedByPath => "created-by-path",
            Dialect::PlainForComplex => "plain-for-complex",
            Dialect::ListForSingle => "list-for-single",
            Dialect::WrappedValue => "wrapped-value",
            Dialect::JsonInString => "json-in-string",
            Dialect::SingleForList => "single-for-list",
            Dialect::BareExtension => "bare-extension",
            Dialect::DottedUrn => "dotted-urn",
            Dialect::MethodCase => "method-case",
            Dialect::BareOperations => "bare-operations",
            Dialect::EmptyPath => "empty-path",
            Dialect::NoOperations => "no-operations",
            Dialect::ReadOnlyIgnored => "read-only-ignored",
            Dialect::PasswordDropped => "password-dropped",
            Dialect::NeverReturnedDropped => "never-returned-dropped",
            Dialect::UnknownAttribute => "unknown-attribute",
            Dialect::ValuePathComparison => "value-path-comparison",
            Dialect::BareComplex => "bare-complex",
        }
    }
}

/// More unknown names than this are not worth a log line's length.
const UNKNOWN_NAMES: usize = 8;

/// What one request was let through with. Holds names of attributes, never values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    dialects: BTreeSet<Dialect>,
    unknown: Vec<Unknown>,
}

impl Seen {
    /// Notes a shape.
    pub(crate) fn note(&mut self, dialect: Dialect) {
        self.dialects.insert(dialect);
    }

    /// Notes an attribute that was ignored because nobody knows it.
    pub(crate) fn ignored(&mut self, unknown: Unknown) {
        self.note(Dialect::UnknownAttribute);
        self.misnamed(unknown);
    }

    /// Keeps the name of an attribute that nobody knows. Those that look misnamed go before those that don't.
    pub(crate) fn misnamed(&mut self, unknown: Unknown) {
        if self.unknown.len() < UNKNOWN_NAMES {
            self.unknown.push(unknown);
        } else if unknown.resembles.is_some()
            && let Some(least) = self.unknown.iter_mut().find(|one| one.resembles.is_none())
        {
            *least = unknown;
        }
    }

    /// Adds what another part of the same request saw.
    pub(crate) fn merge(&mut self, other: &Seen) {
        self.dialects.extend(&other.dialects);
        for unknown in &other.unknown {
            self.ignored(unknown.clone());
        }
    }

    /// Whether this shape was seen.
    #[cfg(test)]
    pub(crate) fn has(&self, dialect: Dialect) -> bool {
        self.dialects.contains(&dialect)
    }

    /// The ignored attributes.
    pub(crate) fn unknown(&self) -> &[Unknown] {
        &self.unknown
    }
}

/// The words, separated by commas.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, dialect) in self.dialects.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(dialect.as_str())?;
        }
        Ok(())
    }
}
