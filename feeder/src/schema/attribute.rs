//! One attribute's definition (RFC 7643 sections 2.2, 2.3 and 7), and a terse way of writing it down.

use serde::{Deserialize, Serialize};

/// RFC 7643 section 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Type {
    String,
    Boolean,
    Decimal,
    Integer,
    DateTime,
    Binary,
    Reference,
    Complex,
}

/// RFC 7643 section 7, `mutability`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Mutability {
    ReadOnly,
    ReadWrite,
    Immutable,
    WriteOnly,
}

/// RFC 7643 section 7, `returned`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Returned {
    Always,
    Never,
    Default,
    Request,
}

/// RFC 7643 section 7, `uniqueness`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Uniqueness {
    None,
    Server,
    Global,
}

/// An attribute or sub-attribute. Written, and read from a tenant's definition, as RFC 7643 section 7 shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "Written")]
pub struct Attribute {
    /// Its canonical spelling.
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: Type,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sub_attributes: Vec<Attribute>,
    pub(crate) multi_valued: bool,
    pub(crate) description: String,
    pub(crate) required: bool,
    /// Suggestions; other values are accepted (RFC 7643 section 7 leaves it to the server).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) canonical_values: Vec<String>,
    pub(crate) case_exact: bool,
    pub(crate) mutability: Mutability,
    pub(crate) returned: Returned,
    pub(crate) uniqueness: Uniqueness,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) reference_types: Vec<String>,
}

/// An attribute as a definition has it: what is absent has the default of RFC 7643 section 2.2.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(rename = "type", default = "Written::string")]
    kind: Type,
    #[serde(default)]
    sub_attributes: Vec<Attribute>,
    #[serde(default)]
    multi_valued: bool,
    #[serde(default)]
    description: String,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    canonical_values: Vec<String>,
    #[serde(default)]
    case_exact: bool,
    #[serde(default)]
    mutability: Option<Mutability>,
    #[serde(default)]
    returned: Option<Returned>,
    #[serde(default)]
    uniqueness: Option<Uniqueness>,
    #[serde(default)]
    reference_types: Vec<String>,
}

impl Written {
    fn string() -> Type {
        Type::String
    }
}

impl From<Written> for Attribute {
    fn from(written: Written) -> Attribute {
        let mutability = written.mutability.unwrap_or(Mutability::ReadWrite);
        let unsaid = match mutability {
            Mutability::WriteOnly => Returned::Never,
            _ => Returned::Default,
        };
        Attribute {
            name: written.name,
            // RFC 7643 sections 2.3.6 and 2.3.7: these are always case exact; its own examples say otherwise.
            case_exact: written.case_exact
                || matches!(written.kind, Type::Binary | Type::Reference),
            kind: written.kind,
            sub_attributes: written.sub_attributes,
            multi_valued: written.multi_valued,
            description: written.description,
            required: written.required,
            canonical_values: written.canonical_values,
            mutability,
            returned: written.returned.unwrap_or(unsaid),
            uniqueness: written.uniqueness.unwrap_or(Uniqueness::None),
            reference_types: written.reference_types,
        }
    }
}

impl Attribute {
    /// Whether its values are accepted and then dropped: nobody could ever see them, or find anything by them.
    pub(crate) fn is_dropped(&self) -> bool {
        self.mutability == Mutability::WriteOnly || self.returned == Returned::Never
    }

    /// The sub-attribute of this name, without regard to case (RFC 7643 section 2.1).
    pub(crate) fn sub(&self, name: &str) -> Option<&Attribute> {
        self.sub_attributes
            .iter()
            .find(|sub| sub.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn kind(mut self, kind: Type) -> Attribute {
        self.kind = kind;
        self
    }

    pub(super) fn many(mut self) -> Attribute {
        self.multi_valued = true;
        self
    }

    pub(super) fn required(mut self) -> Attribute {
        self.required = true;
        self
    }

    pub(super) fn exact(mut self) -> Attribute {
        self.case_exact = true;
        self
    }

    pub(super) fn unique(mut self) -> Attribute {
        self.uniqueness = Uniqueness::Server;
        self
    }

    pub(super) fn read_only(mut self) -> Attribute {
        self.mutability = Mutability::ReadOnly;
        self
    }

    pub(super) fn immutable(mut self) -> Attribute {
        self.mutability = Mutability::Immutable;
        self
    }

    pub(super) fn write_only(mut self) -> Attribute {
        self.mutability = Mutability::WriteOnly;
        self
    }

    pub(super) fn returned(mut self, returned: Returned) -> Attribute {
        self.returned = returned;
        self
    }

    pub(super) fn canonical(mut self, values: &[&str]) -> Attribute {
        self.canonical_values = values.iter().map(|&value| value.to_owned()).collect();
        self
    }

    /// Makes it a reference to these resource types, or to `external` or `uri`. References are case exact (RFC 7643 section 2.3.7).
    pub(super) fn refers_to(mut self, types: &[&str]) -> Attribute {
        self.kind = Type::Reference;
        self.case_exact = true;
        self.reference_types = types.iter().map(|&name| name.to_owned()).collect();
        self
    }
}

/// A string with the defaults of RFC 7643 section 2.2.
pub(super) fn text(name: &str, description: &str) -> Attribute {
    Attribute {
        name: name.to_owned(),
        kind: Type::String,
        sub_attributes: Vec::new(),
        multi_valued: false,
        description: description.to_owned(),
        required: false,
        canonical_values: Vec::new(),
        case_exact: false,
        mutability: Mutability::ReadWrite,
        returned: Returned::Default,
        uniqueness: Uniqueness::None,
        reference_types: Vec::new(),
    }
}

/// A boolean.
pub(super) fn boolean(name: &str, description: &str) -> Attribute {
    text(name, description).kind(Type::Boolean)
}

/// A complex attribute.
pub(super) fn complex(name: &str, description: &str, sub: Vec<Attribute>) -> Attribute {
    let mut attribute = text(name, description).kind(Type::Complex);
    attribute.sub_attributes = sub;
    attribute
}

/// A multi-valued complex attribute with the sub-attributes of RFC 7643 section 2.4, around `value`.
pub(super) fn plural(name: &str, description: &str, value: Attribute, types: &[&str]) -> Attribute {
    let sub = vec![
        value,
        text("display", "Name for people"),
        text("type", "What the value is for").canonical(types),
        boolean(
            "primary",
            "Whether it is the preferred value; at most one is",
        ),
    ];
    complex(name, description, sub).many()
}
