//! The core schema of users (RFC 7643 sections 4.1 and 8.7.1). Where it differs from the RFC's on purpose, `rfc7643` says why.

use super::attribute::{Returned, Type, boolean, complex, plural, text};
use super::{Attribute, Schema, USER};

pub(super) fn schema() -> Schema {
    let mut attributes = singular();
    attributes.extend(multi_valued());
    Schema::new(USER, "User", "User account", attributes)
}

fn singular() -> Vec<Attribute> {
    vec![
        text(
            "userName",
            "What the user signs in with; unique in its tenant, without regard to case",
        )
        .required()
        .unique(),
        complex(
            "name",
            "The parts of the user's name",
            vec![
                text("formatted", "The whole name, for display"),
                text("familyName", "Family name"),
                text("givenName", "Given name"),
                text("middleName", "Middle names"),
                text("honorificPrefix", "Title before the name"),
                text("honorificSuffix", "Suffix after the name"),
            ],
        ),
        text("displayName", "Name for people"),
        text("nickName", "Casual name"),
        text("profileUrl", "URL of an online profile").refers_to(&["external"]),
        text("title", "Job title"),
        text(
            "userType",
            "Relation to the organisation, or the kind of a machine",
        ),
        text("preferredLanguage", "Preferred languages"),
        text("locale", "Where dates, numbers and currency are shown as"),
        text("timezone", "Time zone of the tz database"),
        boolean(
            "active",
            "Whether the user may do anything; absent means true on creation and unchanged on replacement",
        ),
        text("password", "Accepted, never stored and never returned")
            .exact()
            .write_only()
            .returned(Returned::Never),
    ]
}

fn multi_valued() -> Vec<Attribute> {
    let value = || text("value", "The value");
    vec![
        plural(
            "emails",
            "Email addresses",
            value(),
            &["work", "home", "other"],
        ),
        plural(
            "phoneNumbers",
            "Telephone numbers",
            value(),
            &["work", "home", "mobile", "fax", "pager", "other"],
        ),
        plural(
            "ims",
            "Instant messaging addresses",
            value(),
            &[
                "aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo", "other",
            ],
        ),
        plural(
            "photos",
            "URLs of photographs",
            value().refers_to(&["external"]),
            &["photo", "thumbnail"],
        ),
        addresses(),
        groups(),
        plural(
            "entitlements",
            "What the user is entitled to; policies may require it",
            value().exact(),
            &[],
        ),
        plural(
            "roles",
            "The user's roles; policies may require them",
            value().exact(),
            &[],
        ),
        plural(
            "x509Certificates",
            "Certificates",
            value().kind(Type::Binary).exact(),
            &[],
        ),
    ]
}

fn addresses() -> Attribute {
    complex(
        "addresses",
        "Postal addresses",
        vec![
            text("formatted", "The whole address, for display"),
            text("streetAddress", "Street and number"),
            text("locality", "City"),
            text("region", "State or region"),
            text("postalCode", "Postal code"),
            text("country", "Country, ISO 3166-1 alpha-2"),
            text("type", "What the address is for").canonical(&["work", "home", "other"]),
            boolean(
                "primary",
                "Whether it is the preferred address; at most one is",
            ),
        ],
    )
    .many()
}

/// Read-only: membership is changed at the group (RFC 7643 section 4.1.2).
fn groups() -> Attribute {
    complex(
        "groups",
        "Groups that the user is in, directly or through other groups",
        vec![
            text("value", "The group's id").exact().read_only(),
            text("$ref", "The group's URL")
                .refers_to(&["Group"])
                .read_only(),
            text("display", "The group's displayName").read_only(),
            text("type", "How the user is in it")
                .canonical(&["direct", "indirect"])
                .read_only(),
        ],
    )
    .many()
    .read_only()
}
