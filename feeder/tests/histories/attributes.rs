//! What RFC 7643 says of attributes, written down a second time: sections 3.1, 4.1 to 4.3 and 8.7.1.

/// Which resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Group,
}

/// RFC 7643 section 2.3. References compare as text does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Boolean,
    Time,
    Binary,
    Complex,
}

/// An attribute or sub-attribute.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    pub(crate) kind: Type,
    pub(crate) many: bool,
    /// Compared with regard to case.
    pub(crate) exact: bool,
    pub(crate) read_only: bool,
    /// The password: taken, never kept.
    pub(crate) dropped: bool,
    pub(crate) required: bool,
    pub(crate) parts: &'static [Attribute],
}

/// What a written name names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// The core schema, by its URN.
    Core,
    /// The enterprise extension, by its URN.
    Extension,
    /// An attribute, or one of its sub-attributes.
    Place(Place),
}

/// An attribute or a sub-attribute, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Inside of the extension's object.
    pub(crate) extended: bool,
    pub(crate) attribute: &'static Attribute,
    pub(crate) part: Option<&'static Attribute>,
}

pub(crate) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(crate) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(crate) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::User => "User",
            Kind::Group => "Group",
        }
    }

    pub(crate) fn other(self) -> Kind {
        match self {
            Kind::User => Kind::Group,
            Kind::Group => Kind::User,
        }
    }

    pub(crate) fn endpoint(self) -> &'static str {
        match self {
            Kind::User => "/Users",
            Kind::Group => "/Groups",
        }
    }

    pub(crate) fn urn(self) -> &'static str {
        match self {
            Kind::User => USER,
            Kind::Group => GROUP,
        }
    }

    /// The attributes of its core schema.
    pub(crate) fn attributes(self) -> &'static [Attribute] {
        match self {
            Kind::User => USER_ATTRIBUTES,
            Kind::Group => GROUP_ATTRIBUTES,
        }
    }

    /// What `[URN:]attribute[.part]` names, in any case; an extension's attribute also without the URN.
    pub(crate) fn named(self, written: &str) -> Option<Named> {
        let name = written.to_ascii_lowercase();
        let core = |name: &str| {
            let found = place(self.attributes(), false, name);
            found.or_else(|| place(COMMON, false, name))
        };
        let extension = |name: &str| place(ENTERPRISE_ATTRIBUTES, true, name);
        let core_urn = self.urn().to_ascii_lowercase();
        let extension_urn = ENTERPRISE.to_ascii_lowercase();
        if name == core_urn {
            return Some(Named::Core);
        }
        if let Some(rest) = name.strip_prefix(&format!("{core_urn}:")) {
            return core(rest).map(Named::Place);
        }
        if self == Kind::Group {
            return core(&name).map(Named::Place);
        }
        if name == extension_urn {
            return Some(Named::Extension);
        }
        match name.strip_prefix(&format!("{extension_urn}:")) {
            Some(rest) => extension(rest).map(Named::Place),
            None => core(&name).or_else(|| extension(&name)).map(Named::Place),
        }
    }
}

impl Attribute {
    pub(crate) fn part(&self, name: &str) -> Option<&'static Attribute> {
        let mut parts = self.parts.iter();
        parts.find(|part| part.name.eq_ignore_ascii_case(name))
    }

    const fn exact(mut self) -> Attribute {
        self.exact = true;
        self
    }

    const fn read_only(mut self) -> Attribute {
        self.read_only = true;
        self
    }

    const fn required(mut self) -> Attribute {
        self.required = true;
        self
    }

    const fn of(mut self, kind: Type) -> Attribute {
        self.kind = kind;
        self
    }
}

fn place(attributes: &'static [Attribute], extended: bool, name: &str) -> Option<Place> {
    let (name, part) = match name.split_once('.') {
        Some((name, part)) => (name, Some(part)),
        None => (name, None),
    };
    let mut attributes = attributes.iter();
    let attribute = attributes.find(|a| a.name.eq_ignore_ascii_case(name))?;
    let part = match part {
        Some(part) => Some(attribute.part(part)?),
        None => None,
    };
    Some(Place {
        extended,
        attribute,
        part,
    })
}

const fn text(name: &'static str) -> Attribute {
    Attribute {
        name,
        kind: Type::Text,
        many: false,
        exact: false,
        read_only: false,
        dropped: false,
        required: false,
        parts: &[],
    }
}

const fn complex(name: &'static str, parts: &'static [Attribute]) -> Attribute {
    let mut attribute = text(name).of(Type::Complex);
    attribute.parts = parts;
    attribute
}

const fn list(name: &'static str, parts: &'static [Attribute]) -> Attribute {
    let mut attribute = complex(name, parts);
    attribute.many = true;
    attribute
}

const fn password() -> Attribute {
    let mut attribute = text("password");
    attribute.dropped = true;
    attribute
}

const fn schemas() -> Attribute {
    let mut attribute = text("schemas").exact().read_only();
    attribute.many = true;
    attribute
}

const DISPLAY: Attribute = text("display");
const TYPE: Attribute = text("type");
const PRIMARY: Attribute = text("primary").of(Type::Boolean);

const PLAIN: &[Attribute] = &[text("value"), DISPLAY, TYPE, PRIMARY];
/// Not as in RFC 7643 section 8.7.1: policies compare roles and entitlements exactly, and a photo is a reference (section 2.3.7).
const EXACT: &[Attribute] = &[text("value").exact(), DISPLAY, TYPE, PRIMARY];
const BINARY: &[Attribute] = &[
    text("value").of(Type::Binary).exact(),
    DISPLAY,
    TYPE,
    PRIMARY,
];
const NAME: &[Attribute] = &[
    text("formatted"),
    text("familyName"),
    text("givenName"),
    text("middleName"),
    text("honorificPrefix"),
    text("honorificSuffix"),
];
const ADDRESS: &[Attribute] = &[
    text("formatted"),
    text("streetAddress"),
    text("locality"),
    text("region"),
    text("postalCode"),
    text("country"),
    TYPE,
    PRIMARY,
];
const GROUPS: &[Attribute] = &[
    text("value").exact().read_only(),
    text("$ref").exact().read_only(),
    text("display").read_only(),
    text("type").read_only(),
];
const MEMBERS: &[Attribute] = &[text("value").exact(), text("$ref").exact(), text("type")];
const MANAGER: &[Attribute] = &[
    text("value").exact(),
    text("$ref").exact().read_only(),
    text("displayName").read_only(),
];
const META: &[Attribute] = &[
    text("resourceType").exact().read_only(),
    text("created").of(Type::Time).read_only(),
    text("lastModified").of(Type::Time).read_only(),
    text("location").exact().read_only(),
    text("version").exact().read_only(),
];

static USER_ATTRIBUTES: &[Attribute] = &[
    text("userName").required(),
    complex("name", NAME),
    text("displayName"),
    text("nickName"),
    text("profileUrl").exact(),
    text("title"),
    text("userType"),
    text("preferredLanguage"),
    text("locale"),
    text("timezone"),
    text("active").of(Type::Boolean),
    password(),
    list("emails", PLAIN),
    list("phoneNumbers", PLAIN),
    list("ims", PLAIN),
    list("photos", EXACT),
    list("addresses", ADDRESS),
    list("groups", GROUPS).read_only(),
    list("entitlements", EXACT),
    list("roles", EXACT),
    list("x509Certificates", BINARY),
];
static GROUP_ATTRIBUTES: &[Attribute] = &[text("displayName").required(), list("members", MEMBERS)];
static ENTERPRISE_ATTRIBUTES: &[Attribute] = &[
    text("employeeNumber"),
    text("costCenter"),
    text("organization"),
    text("division"),
    text("department"),
    complex("manager", MANAGER),
];
static COMMON: &[Attribute] = &[
    schemas(),
    text("id").exact().read_only(),
    text("externalId").exact(),
    complex("meta", META).read_only(),
];
