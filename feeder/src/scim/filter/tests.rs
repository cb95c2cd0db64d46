use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Filter, FilterError};
use crate::schema::{group, user};
use crate::scim::dialect::Dialect;
use crate::scim::limits::{Limit, Limits};
use crate::scim::reading::Reading;

fn bjensen() -> Value {
    json!({
        "id": "2819c223",
        "externalId": "Bjensen-1",
        "userName": "bjensen@example.com",
        "displayName": "Straße",
        "active": true,
        "name": {"familyName": "O'Malley", "givenName": "Barbara"},
        "emails": [
            {"value": "bjensen@example.com", "type": "work", "primary": true},
            {"value": "babs@jensen.org", "type": "home"}
        ],
        "roles": [{"value": "Admin"}],
        "meta": {"lastModified": "2011-05-13T04:42:34Z"},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "employeeNumber": "701984", "manager": {"value": "26118915"}
        }
    })
}

#[track_caller]
fn parsed(text: &str) -> (Filter<'static>, Reading) {
    let mut reading = Reading::default();
    match Filter::parse(text, user(), &mut reading) {
        Ok(filter) => (filter, reading),
        Err(error) => panic!("{text}: {error}"),
    }
}

#[track_caller]
fn holds(text: &str) -> bool {
    parsed(text).0.matches(bjensen().as_object().unwrap())
}

fn refused(text: &str) -> FilterError {
    Filter::parse(text, user(), &mut Reading::default()).expect_err(text)
}

#[test]
fn rfc7644_3_4_2_2_the_sections_own_examples() {
    for (text, expected) in [
        (r#"userName eq "bjensen@example.com""#, true),
        (r#"name.familyName co "O'Malley""#, true),
        (r#"userName sw "J""#, false),
        (
            r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#,
            false,
        ),
        ("title pr", false),
        (r#"meta.lastModified gt "2011-05-13T04:42:34Z""#, false),
        (r#"meta.lastModified ge "2011-05-13T04:42:34Z""#, true),
        (
            r#"meta.lastModified lt "2011-05-13T06:42:34.5+01:00""#,
            true,
        ),
        (r#"title pr and userType eq "Employee""#, false),
        (r#"title pr or userType ne "Employee""#, true),
        (
            r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
            false,
        ),
        (
            r#"emails[type eq "work" and value co "@example.com"]"#,
            true,
        ),
        (
            r#"emails[type eq "home" and value co "@example.com"] or ims[type eq "xmpp"]"#,
            false,
        ),
        (r#"schemas eq "urn:x""#, false),
    ] {
        assert_eq!(holds(text), expected, "{text}");
    }
}

#[test]
fn rfc7644_3_4_2_2_and_binds_before_or_and_not_before_and() {
    assert!(holds(r#"active eq true or title pr and title pr"#));
    assert!(!holds(r#"(active eq true or title pr) and title pr"#));
    assert!(!holds(r#"not (active eq true) and title pr or title pr"#));
    assert!(holds(r#"not (title pr and active eq true)"#));
}

#[test]
fn rfc7643_2_2_case_matters_only_where_the_schema_says_so() {
    assert!(holds(r#"USERNAME EQ "BJensen@Example.COM""#));
    assert!(holds(r#"displayName eq "STRAßE""#));
    assert!(!holds(r#"externalId eq "bjensen-1""#));
    assert!(holds(r#"externalId eq "Bjensen-1""#));
    assert!(!holds(r#"roles.value eq "admin""#));
    assert!(!holds(r#"id eq "2819C223""#));
}

#[test]
fn rfc7643_2_4_a_primary_that_is_not_specified_is_false() {
    for (text, expected) in [
        (r#"emails[type eq "home" and primary eq false]"#, true),
        (r#"emails[type eq "home" and primary eq "False"]"#, true),
        (r#"emails[type eq "home" and primary ne true]"#, true),
        (r#"emails[type eq "home" and primary eq true]"#, false),
        (r#"emails[type eq "work" and primary eq false]"#, false),
        (r#"emails[type eq "home" and primary pr]"#, false),
        ("emails.primary eq false", true),
        ("emails.primary ne true", true),
        ("roles.primary eq true", false),
        // No element, no primary; and only an element's has a value that is assumed.
        ("phoneNumbers.primary eq false", false),
        ("active ne true", false),
    ] {
        assert_eq!(holds(text), expected, "{text}");
    }
}

#[test]
fn rfc7643_2_5_an_absent_attribute_meets_ne_and_null_only() {
    for (text, expected) in [
        (r#"title eq "x""#, false),
        (r#"title ne "x""#, true),
        ("title eq null", true),
        ("title ne null", false),
        ("active ne null", true),
        (r#"title gt "a""#, false),
        ("emails pr", true),
        ("name pr", true),
        ("ims pr", false),
    ] {
        assert_eq!(holds(text), expected, "{text}");
    }
}

#[test]
fn rfc7644_3_4_2_2_an_empty_text_is_not_present() {
    let resource =
        json!({"title": "", "name": {"givenName": ""}, "emails": [{"value": ""}, {"value": "a"}]});
    for (text, expected) in [
        ("title pr", false),
        ("title eq null", true),
        (r#"title eq """#, true),
        ("name.givenName pr", false),
        ("emails.value pr", true),
    ] {
        let met = parsed(text).0.matches(resource.as_object().unwrap());
        assert_eq!(met, expected, "{text}");
    }
}

#[test]
fn entra_compares_behind_a_value_path() {
    let text = r#"emails[type eq "work"].value eq "BJENSEN@example.com""#;
    assert!(holds(text));
    assert!(parsed(text).1.seen().has(Dialect::ValuePathComparison));
    // One element has to meet both.
    assert!(!holds(
        r#"emails[type eq "home"].value eq "bjensen@example.com""#
    ));
}

#[test]
fn entra_sends_booleans_as_strings_and_the_manager_without_its_urn() {
    let (_, reading) = parsed(r#"active eq "True""#);
    assert!(reading.seen().has(Dialect::StringBoolean));
    assert!(holds(r#"active eq "True""#));
    assert!(holds(r#"emails[primary eq "True"].type eq "work""#));
    assert!(holds(r#"id eq "2819c223" and manager eq "26118915""#));
    assert!(!holds(r#"id eq "2819c223" and manager eq "1""#));
}

#[test]
fn ping_compares_a_bare_complex_attribute() {
    assert!(holds(r#"emails eq "babs@jensen.org""#));
    assert!(
        parsed(r#"emails eq "x""#)
            .1
            .seen()
            .has(Dialect::BareComplex)
    );
    assert!(matches!(
        refused(r#"name eq "Barbara""#),
        FilterError::Unsupported { .. }
    ));
}

#[test]
fn databricks_clients_ask_for_a_reference() {
    let mut reading = Reading::default();
    let filter = Filter::parse(
        r#"members.$ref ew "/1" or members[$ref pr]"#,
        group(),
        &mut reading,
    );
    let group = json!({"members": [{"value": "1", "$ref": "https://x/Users/1"}]});
    assert!(filter.unwrap().matches(group.as_object().unwrap()));
}

#[test]
fn rfc7643_4_1_1_a_password_is_never_filterable() {
    for text in ["password pr", r#"password eq "x""#, r#"PassWord sw "a""#] {
        assert!(matches!(refused(text), FilterError::Unsupported { .. }));
    }
}

#[test]
fn rfc7644_3_12_what_is_no_filter_is_refused() {
    for text in [
        "",
        " ",
        "userName",
        "userName eq",
        "userName eq bjensen",
        r#"userName eq "bjensen"#,
        r#"userName eq "a" garbage"#,
        r#"userName eq "a" and"#,
        r#"and userName eq "a""#,
        r#"userName xx "a""#,
        r#"(userName eq "a""#,
        r#"userName eq "a")"#,
        r#"not userName eq "a""#,
        r#"emails[type eq "work""#,
        "emails[]",
        r#"emails[type eq "work"]."#,
        r#"emails[type eq "work"].value"#,
        r#"userName[value eq "a"]"#,
        r#"emails.value[type eq "a"]"#,
        r#"emails[value[x eq 1] eq 2]"#,
        r#"usrName eq "a""#,
        r#"urn:other:2.0:User:userName eq "a""#,
        "urn:ietf:params:scim:schemas:core:2.0:User pr",
        "userName eq 5",
        "active gt true",
        r#"active eq "yes""#,
        r#"active co "t""#,
        "userName gt null",
        r#"meta.created gt "yesterday""#,
        r#"meta.created co "2011-05-13T04:42:34Z""#,
        r#"x509Certificates.value gt "a""#,
    ] {
        refused(text);
    }
}

#[test]
fn a_hundred_thousand_parentheses_do_no_harm() {
    let beyond = |text: &str, limits: Limits| {
        let mut reading = Reading::new(limits);
        match Filter::parse(text, user(), &mut reading) {
            Err(FilterError::Exceeded(exceeded)) => Some(exceeded.limit),
            _ => None,
        }
    };
    let limits = Limits::default();
    assert_eq!(
        beyond(&"(".repeat(100_000), limits),
        Some(Limit::FilterBytes)
    );
    let longer = Limits {
        filter_bytes: 1 << 20,
        ..limits
    };
    let nested =
        |start: &str, depth| format!("{}active pr{}", start.repeat(depth), ")".repeat(depth));
    for start in ["(", "not ("] {
        assert_eq!(
            beyond(&start.repeat(100_000), longer),
            Some(Limit::FilterDepth)
        );
        assert_eq!(beyond(&nested(start, 33), limits), Some(Limit::FilterDepth));
        assert!(Filter::parse(&nested(start, 32), user(), &mut Reading::default()).is_ok());
        // As deep as it can be set, the stack holds.
        let deepest = Limits {
            filter_depth: 100,
            ..limits
        };
        assert!(Filter::parse(&nested(start, 100), user(), &mut Reading::new(deepest)).is_ok());
    }
    // Long is not deep.
    let long = |terms| vec!["id pr"; terms].join(" or ");
    assert!(holds(&long(1500)));
    let fewer = Limits {
        filter_terms: 1499,
        ..limits
    };
    assert_eq!(beyond(&long(1500), fewer), Some(Limit::FilterTerms));
}

#[test]
fn a_misnamed_attribute_is_named_in_the_error() {
    let error = refused(r#"usernam eq "a""#).to_string();
    assert!(error.contains("did you mean \"userName\""), "{error}");
}

fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("userName".to_owned()),
        Just("emails".to_owned()),
        Just("active".to_owned()),
        Just("[type eq \"work\"]".to_owned()),
        Just(".value".to_owned()),
        Just(" eq ".to_owned()),
        Just(" pr".to_owned()),
        Just("\"a\\\"".to_owned()),
        Just("\"a\"".to_owned()),
        Just(" and ".to_owned()),
        Just(" or ".to_owned()),
        Just("not (".to_owned()),
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just("]".to_owned()),
        Just("true".to_owned()),
        Just("urn:ietf:params:scim:schemas:core:2.0:User:".to_owned()),
        ".{0,3}",
    ]
}

proptest! {
    #[test]
    fn no_text_panics(text: String, parts in prop::collection::vec(fragment(), 0..12)) {
        for text in [text, parts.concat()] {
            if let Ok(filter) = Filter::parse(&text, user(), &mut Reading::default()) {
                filter.matches(bjensen().as_object().unwrap());
            }
        }
    }
}
