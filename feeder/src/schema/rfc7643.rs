//! The schemas held against those of RFC 7643 section 8.7.1, attribute by attribute. A line is an attribute and what the RFC says of it beyond the
//! defaults of section 2.2; where ours is another on purpose, the list of differences says so and why.

use std::collections::BTreeSet;

use super::attribute::Uniqueness;
use super::{Attribute, ENTERPRISE_USER, Mutability, Returned, Schema, Schemas, Type, group, user};

const USERS: &str = "
userName string required unique:server
name complex
name.formatted string
name.familyName string
name.givenName string
name.middleName string
name.honorificPrefix string
name.honorificSuffix string
displayName string
nickName string
profileUrl reference to external
title string
userType string
preferredLanguage string
locale string
timezone string
active boolean
password string writeOnly returned:never
emails[] complex
emails.value string
emails.display string
emails.type string of work|home|other
emails.primary boolean
phoneNumbers[] complex
phoneNumbers.value string
phoneNumbers.display string
phoneNumbers.type string of work|home|mobile|fax|pager|other
phoneNumbers.primary boolean
ims[] complex
ims.value string
ims.display string
ims.type string of aim|gtalk|icq|xmpp|msn|skype|qq|yahoo
ims.primary boolean
photos[] complex
photos.value reference to external
photos.display string
photos.type string of photo|thumbnail
photos.primary boolean
addresses[] complex
addresses.formatted string
addresses.streetAddress string
addresses.locality string
addresses.region string
addresses.postalCode string
addresses.country string
addresses.type string of work|home|other
groups[] complex readOnly
groups.value string readOnly
groups.$ref reference to User|Group readOnly
groups.display string readOnly
groups.type string of direct|indirect readOnly
entitlements[] complex
entitlements.value string
entitlements.display string
entitlements.type string
entitlements.primary boolean
roles[] complex
roles.value string
roles.display string
roles.type string
roles.primary boolean
x509Certificates[] complex
x509Certificates.value binary
x509Certificates.display string
x509Certificates.type string
x509Certificates.primary boolean
";

const ENTERPRISE_USERS: &str = "
employeeNumber string
costCenter string
organization string
division string
department string
manager complex
manager.value string
manager.$ref reference to User
manager.displayName string readOnly
";

const GROUPS: &str = "
displayName string
members[] complex
members.value string immutable
members.$ref reference to User|Group immutable
members.type string of User|Group immutable
";

/// The RFC's line, ours, and why; an empty line is none.
const USER_DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "profileUrl reference to external",
        "profileUrl reference to external caseExact",
        "section 2.3.7: a reference is case exact",
    ),
    (
        "password string writeOnly returned:never",
        "password string caseExact writeOnly returned:never",
        "passwords that differ in case differ; nothing is compared with one here",
    ),
    (
        "ims.type string of aim|gtalk|icq|xmpp|msn|skype|qq|yahoo",
        "ims.type string of aim|gtalk|icq|xmpp|msn|skype|qq|yahoo|other",
        "section 4.1.2 has \"other\"",
    ),
    (
        "photos.value reference to external",
        "photos.value reference to external caseExact",
        "section 2.3.7",
    ),
    (
        "",
        "addresses.primary boolean",
        "section 2.4: every multi-valued attribute has it, and clients send it",
    ),
    (
        "groups.value string readOnly",
        "groups.value string caseExact readOnly",
        "section 3.1: an id is case exact",
    ),
    (
        "groups.$ref reference to User|Group readOnly",
        "groups.$ref reference to Group caseExact readOnly",
        "section 2.3.7; and a user is in groups, not in users",
    ),
    (
        "entitlements.value string",
        "entitlements.value string caseExact",
        "a policy's term is compared to the letter: \"Owner\" must not become \"owner\" here and not there",
    ),
    (
        "roles.value string",
        "roles.value string caseExact",
        "as for entitlements",
    ),
    (
        "x509Certificates.value binary",
        "x509Certificates.value binary caseExact",
        "section 2.3.6: base64 is case exact",
    ),
];

const ENTERPRISE_DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "manager.value string",
        "manager.value string caseExact",
        "section 3.1: an id is case exact",
    ),
    (
        "manager.$ref reference to User",
        "manager.$ref reference to User caseExact readOnly",
        "section 2.3.7; and it follows from value: a URL that a client wrote would outlive it",
    ),
];

const GROUP_DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "displayName string",
        "displayName string required",
        "section 4.2 requires it, and policies name groups by it",
    ),
    (
        "members.value string immutable",
        "members.value string caseExact immutable",
        "section 3.1: an id is case exact",
    ),
    (
        "members.$ref reference to User|Group immutable",
        "members.$ref reference to User|Group caseExact immutable",
        "section 2.3.7",
    ),
    // `display` is in neither, though many servers have it: it would be a copy of a name that changes elsewhere.
];

fn lines(attributes: &[Attribute], within: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for attribute in attributes {
        let json = serde_json::to_value(attribute).unwrap();
        let word = |field: &str| json[field].as_str().unwrap().to_owned();
        let mut line = format!("{within}{}", attribute.name);
        if attribute.multi_valued {
            line.push_str("[]");
        }
        let mut words = vec![line, word("type")];
        for (before, list) in [
            ("to ", &attribute.reference_types),
            ("of ", &attribute.canonical_values),
        ] {
            if !list.is_empty() {
                words.push(format!("{before}{}", list.join("|")));
            }
        }
        for (said, flag) in [
            (attribute.required, "required"),
            (attribute.case_exact, "caseExact"),
        ] {
            words.extend(said.then(|| flag.to_owned()));
        }
        if attribute.mutability != Mutability::ReadWrite {
            words.push(word("mutability"));
        }
        if attribute.returned != Returned::Default {
            words.push(format!("returned:{}", word("returned")));
        }
        if attribute.uniqueness != Uniqueness::None {
            words.push(format!("unique:{}", word("uniqueness")));
        }
        lines.push(words.join(" "));
        let within = format!("{}.", attribute.name);
        lines.extend(self::lines(&attribute.sub_attributes, &within));
    }
    lines
}

#[track_caller]
fn hold(ours: &Schema, rfc: &str, differences: &[(&str, &str, &str)]) {
    let ours = lines(&ours.attributes, "");
    let ours: BTreeSet<&str> = ours.iter().map(String::as_str).collect();
    let mut expected: BTreeSet<&str> = rfc.trim().lines().collect();
    for (theirs, instead, why) in differences {
        assert!(
            theirs.is_empty() || expected.remove(theirs),
            "{theirs}: {why}"
        );
        expected.insert(instead);
    }
    assert_eq!(ours, expected);
}

#[test]
fn rfc7643_8_7_1_every_attribute_has_the_rfcs_characteristics_or_a_reason() {
    hold(&user().core, USERS, USER_DIFFERENCES);
    let enterprise = user().extensions.iter().find(|s| s.id == ENTERPRISE_USER);
    hold(
        enterprise.unwrap(),
        ENTERPRISE_USERS,
        ENTERPRISE_DIFFERENCES,
    );
    hold(&group().core, GROUPS, GROUP_DIFFERENCES);
}

#[test]
fn rfc7643_2_3_references_and_binaries_are_case_exact_everywhere() {
    for resources in Schemas::standard().all() {
        for attribute in resources.everywhere() {
            let exact = matches!(attribute.kind, Type::Reference | Type::Binary);
            assert!(!exact || attribute.case_exact, "{}", attribute.name);
        }
    }
}
