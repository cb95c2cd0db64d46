//! RFC 7643, by section: what attributes demand, and what resources look like.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, OTHER};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[tokio::test]
async fn section_8_3_the_full_enterprise_user_is_kept_to_the_letter() {
    let api = Api::start().await;
    let boss = api.user("boss").await;
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "externalId": "701984",
        "userName": "bjensen@example.com",
        "name": {
            "formatted": "Ms. Barbara J Jensen, III", "familyName": "Jensen", "givenName": "Barbara",
            "middleName": "Jane", "honorificPrefix": "Ms.", "honorificSuffix": "III",
        },
        "displayName": "Babs Jensen", "nickName": "Babs", "profileUrl": "https://login.example.com/bjensen",
        "emails": [
            {"value": "bjensen@example.com", "type": "work", "primary": true},
            {"value": "babs@jensen.org", "type": "home"},
        ],
        "addresses": [
            {
                "streetAddress": "100 Universal City Plaza", "locality": "Hollywood", "region": "CA", "postalCode": "91608",
                "country": "USA", "formatted": "100 Universal City Plaza\nHollywood, CA 91608 USA", "type": "work", "primary": true,
            },
            {"formatted": "456 Hollywood Blvd\nHollywood, CA 91608 USA", "type": "home"},
        ],
        "phoneNumbers": [{"value": "tel:555-555-5555", "type": "work"}, {"value": "tel:555-555-4444", "type": "mobile"}],
        "ims": [{"value": "someaimhandle", "type": "aim"}],
        "photos": [
            {"value": "https://photos.example.com/profilephoto/72930000000Ccne/F", "type": "photo"},
            {"value": "https://photos.example.com/profilephoto/72930000000Ccne/T", "type": "thumbnail"},
        ],
        "userType": "Employee", "title": "Tour Guide", "preferredLanguage": "en-US", "locale": "en-US",
        "timezone": "America/Los_Angeles", "active": true,
        "roles": [{"value": "guide", "display": "Guide", "type": "x", "primary": true}],
        "entitlements": [{"value": "park"}],
        "x509Certificates": [{"value": "MIIDQzCCAqygAwIBAgICEAAwDQYJKoZIhvcNAQEFBQAwTjELMAkGA1UEBhMCVVMx"}],
        (ENTERPRISE): {
            "employeeNumber": "701984", "costCenter": "4130", "organization": "Universal Studios", "division": "Theme Park",
            "department": "Tour Operations", "manager": {"value": boss},
        },
    });
    let mut sent = body.clone();
    // Read-only, or never returned: sent by the RFC's own example, and ignored.
    sent["id"] = json!("2819c223-7f76-453a-919d-413861904646");
    sent["password"] = json!("t1meMa$heen");
    sent["groups"] =
        json!([{"value": "e9e30dba-f08f-4109-8486-d5c6a331660a", "display": "Tour Guides"}]);
    sent["meta"] = json!({"version": "W/\"3694e05e9dff591\"", "created": "2010-01-23T04:56:22Z"});
    sent[ENTERPRISE]["manager"]["displayName"] = json!("John Smith");
    sent[ENTERPRISE]["manager"]["$ref"] = json!("../Users/26118915-6090-4610-87e4-49d8ca9f808d");
    let created = api.post("/Users", sent).await;
    let id = created.created();
    assert_ne!(id, "2819c223-7f76-453a-919d-413861904646");
    let mut seen = api.get(&format!("/Users/{id}")).await.body;
    assert_eq!(seen, created.body);
    let object = seen.as_object_mut().unwrap();
    assert_eq!(object.remove("id"), Some(json!(id)));
    assert_eq!(object["meta"]["version"], "W/\"1\"");
    object.remove("meta");
    assert_eq!(seen, body);
}

#[tokio::test]
async fn section_2_1_names_and_urns_are_case_insensitive_everywhere() {
    let api = Api::start().await;
    let body = json!({
        "USERNAME": "anne", "Name": {"GIVENNAME": "A"}, "EMAILS": [{"VALUE": "a@x", "Type": "work"}],
        (ENTERPRISE.to_uppercase()): {"DEPARTMENT": "D"},
    });
    let id = api.post("/Users", body).await.created();
    let path = format!("/Users/{id}");
    let operations = json!([
        {"op": "replace", "path": "NAME.familyname", "value": "B"},
        {"op": "replace", "path": "Emails[TYPE eq \"work\"].VALUE", "value": "b@x"},
        {"op": "replace", "path": format!("{}:division", ENTERPRISE.to_uppercase()), "value": "E"},
    ]);
    let body = api.patch(&path, operations).await.body;
    assert_eq!(body["name"], json!({"givenName": "A", "familyName": "B"}));
    assert_eq!(body["emails"], json!([{"value": "b@x", "type": "work"}]));
    assert_eq!(
        body[ENTERPRISE],
        json!({"department": "D", "division": "E"})
    );
    let seen = api.get(&format!("{path}?attributes=NAME.GivenName")).await;
    assert_eq!(seen.body["name"], json!({"givenName": "A"}));
    // The same name twice is no name.
    let twice = json!({"userName": "x", "UserName": "y"});
    api.post("/Users", twice)
        .await
        .is_error(400, Some("invalidValue"));
}

#[tokio::test]
async fn section_2_2_case_counts_where_the_schema_says_so_and_nowhere_else() {
    let api = Api::start().await;
    let body = json!({
        "userName": "Anne", "externalId": "E1", "title": "Dr", "roles": [{"value": "Admin"}], "emails": [{"value": "A@x"}],
    });
    let id = api.post("/Users", body).await.created();
    let group = api.group("Team", &[&id]).await;
    let reference = format!("http://scim.example.com/scim/v2/Users/{id}");
    for (path, filter, found) in [
        ("/Users", r#"userName eq "aNNE""#.to_owned(), true),
        ("/Users", r#"title eq "dR""#.to_owned(), true),
        ("/Users", r#"emails.value eq "a@X""#.to_owned(), true),
        ("/Users", r#"externalId eq "E1""#.to_owned(), true),
        ("/Users", r#"externalId eq "e1""#.to_owned(), false),
        ("/Users", r#"externalId sw "e""#.to_owned(), false),
        ("/Users", r#"roles.value eq "Admin""#.to_owned(), true),
        ("/Users", r#"roles.value eq "admin""#.to_owned(), false),
        ("/Users", format!("id eq \"{id}\""), true),
        ("/Users", format!("id eq \"{}\"", id.to_uppercase()), false),
        ("/Groups", format!("members.value eq \"{id}\""), true),
        (
            "/Groups",
            format!("members.value eq \"{}\"", id.to_uppercase()),
            false,
        ),
        ("/Groups", format!("members.$ref eq \"{reference}\""), true),
        (
            "/Groups",
            format!("members.$ref eq \"{}\"", reference.to_uppercase()),
            false,
        ),
        ("/Groups", r#"displayName eq "tEAM""#.to_owned(), true),
    ] {
        let total = &api.search(path, &filter).await.body["totalResults"];
        assert_eq!(total, &json!(u8::from(found)), "{filter}");
    }
    let upper = format!("/Groups/{}", group.to_uppercase());
    api.get(&upper).await.is_error(404, None);
}

#[tokio::test]
async fn section_2_2_read_only_is_ignored_in_a_body_and_refused_as_a_target() {
    let api = Api::start().await;
    let id = api.user("anne").await;
    let path = format!("/Users/{id}");
    let before = api.get(&path).await.body;
    let other = "00000000-0000-4000-8000-000000000000";
    let replace = json!([{"op": "replace", "value": {
        "id": other, "meta": {"created": "2000-01-01T00:00:00Z", "version": "W/\"9\""}, "groups": [{"value": other}], "schemas": ["urn:x"],
    }}]);
    assert_eq!(api.patch(&path, replace).await.body, before);
    for (target, value) in [
        ("id", json!(other)),
        ("meta.created", json!("2000-01-01T00:00:00Z")),
        ("meta", json!({})),
        ("groups", json!([{"value": other}])),
        ("groups[value eq \"x\"].display", json!("x")),
    ] {
        for op in ["add", "replace", "remove"] {
            let operation = json!([{"op": op, "path": target, "value": value}]);
            let answer = api.patch(&path, operation).await;
            answer.is_error(400, Some("mutability"));
        }
    }
    assert_eq!(api.get(&path).await.body, before);
}

#[tokio::test]
async fn section_2_4_at_most_one_value_is_primary() {
    let api = Api::start().await;
    let two = json!([{"value": "a@x", "primary": true}, {"value": "b@x", "primary": "True"}]);
    let body = json!({"userName": "anne", "emails": two});
    let answer = api.post("/Users", body.clone()).await;
    answer.is_error(400, Some("invalidValue"));
    let id = api.user("anne").await;
    let path = format!("/Users/{id}");
    api.put(&path, body)
        .await
        .is_error(400, Some("invalidValue"));
    let primaries = async |operation: Value| {
        let answer = api.patch(&path, json!([operation])).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let emails = answer.body["emails"].as_array().unwrap().clone();
        let primary = emails.iter().filter(|email| email["primary"] == true);
        primary
            .map(|email| email["value"].clone())
            .collect::<Vec<_>>()
    };
    for (operation, primary) in [
        (
            json!({"op": "add", "path": "emails", "value": [{"value": "a@x", "type": "work", "primary": true}]}),
            "a@x",
        ),
        (
            json!({"op": "add", "path": "emails", "value": [{"value": "b@x", "type": "home", "primary": true}]}),
            "b@x",
        ),
        (
            json!({"op": "replace", "path": "emails[type eq \"work\"].primary", "value": true}),
            "a@x",
        ),
        (
            json!({"op": "add", "value": {"emails": [{"value": "c@x", "primary": true}]}}),
            "c@x",
        ),
        (
            json!({"op": "replace", "path": "emails[value eq \"b@x\"]", "value": {"value": "b@x", "primary": true}}),
            "b@x",
        ),
    ] {
        assert_eq!(
            primaries(operation.clone()).await,
            [json!(primary)],
            "{operation}"
        );
    }
    let both = json!([{"op": "replace", "path": "emails[value ew \"x\"].primary", "value": true}]);
    api.patch(&path, both)
        .await
        .is_error(400, Some("invalidValue"));
}

#[tokio::test]
async fn section_2_5_absent_null_and_empty_are_the_same() {
    let api = Api::start().await;
    let full = json!({"userName": "anne", "title": "Dr", "name": {"givenName": "A"}, "emails": [{"value": "a@x"}], (ENTERPRISE): {"department": "D"}});
    let bare = json!({"userName": "anne", "active": true});
    for (title, name, emails, extension) in [
        (Value::Null, Value::Null, Value::Null, Value::Null),
        (Value::Null, json!({}), json!([]), json!({})),
        (
            Value::Null,
            json!({"givenName": null}),
            json!([{}]),
            json!({"department": null}),
        ),
        (
            Value::Null,
            json!([]),
            json!([null]),
            json!({"manager": {}}),
        ),
    ] {
        let id = api.post("/Users", full.clone()).await.created();
        let path = format!("/Users/{id}");
        let values =
            json!({"title": title, "name": name, "emails": emails, (ENTERPRISE): extension});
        let mut body = values.clone();
        body["userName"] = json!("anne");
        let mut put = api.put(&path, body).await;
        let object = put.body.as_object_mut().unwrap();
        for name in ["id", "meta", "schemas"] {
            object.remove(name);
        }
        assert_eq!(put.body, bare, "{values}");
        api.delete(&path).await;
    }
}

#[tokio::test]
async fn section_3_1_an_id_is_the_servers_and_never_comes_back() {
    let api = Api::start().await;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let body = json!({"userName": "anne", "externalId": "same", "id": "00000000-0000-4000-8000-000000000001"});
        let id = api.post("/Users", body).await.created();
        api.delete(&format!("/Users/{id}")).await;
        assert!(ids.insert(id));
    }
    // externalId is nobody's id, and an id nobody's externalId.
    let body = json!({"userName": "anne", "externalId": "3f0c7b0e-3a6d-4e1f-8a3b-4c5d6e7f8091"});
    let id = api.post("/Users", body).await.created();
    api.get("/Users/3f0c7b0e-3a6d-4e1f-8a3b-4c5d6e7f8091")
        .await
        .is_error(404, None);
    let found = api
        .search("/Users", &format!("externalId eq \"{id}\""))
        .await;
    assert_eq!(found.body["totalResults"], 0);
    // Two users may have one externalId.
    let body = json!({"userName": "ben", "externalId": "3f0c7b0e-3a6d-4e1f-8a3b-4c5d6e7f8091"});
    assert_eq!(api.post("/Users", body).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn section_4_1_1_a_user_name_is_unique_in_its_tenant_without_regard_to_case() {
    let api = Api::start().await;
    for (name, twin) in [
        ("anne@x.com", "ANNE@X.com"),
        ("Straße", "STRASSE"),
        ("ÀÉ", "àé"),
        ("Σίσυφος", "ΣΊΣΥΦΟς"),
    ] {
        api.user(name).await;
        let answer = api.post("/Users", json!({"userName": twin})).await;
        // ß and ss are two letters: lower case makes neither of the other.
        match twin {
            "STRASSE" => assert_eq!(answer.status, StatusCode::CREATED),
            _ => answer.is_error(409, Some("uniqueness")),
        }
    }
    // Look-alikes are others, long names are not cut, and another tenant has names of its own.
    for name in ["аnne@x.com", "anne@x.com\u{200b}", &"a".repeat(1024)] {
        api.user(name).await;
    }
    let almost = format!("{}b", "a".repeat(1023));
    api.user(&almost).await;
    let long = json!({"userName": "a".repeat(1025)});
    api.post("/Users", long)
        .await
        .is_error(400, Some("invalidValue"));
    let theirs = api
        .call_as(
            OTHER,
            Method::POST,
            "/Users",
            json!({"userName": "anne@x.com"}),
        )
        .await;
    theirs.created();
}

#[tokio::test]
async fn section_4_1_1_a_password_is_taken_and_leaves_no_trace() {
    let api = Api::start().await;
    let body = json!({"userName": "anne", "password": "t1meMa$heen"});
    let id = api.post("/Users", body).await.created();
    let path = format!("/Users/{id}");
    let set = json!([{"op": "replace", "path": "password", "value": "t1meMa$heen"}]);
    assert_eq!(api.patch(&path, set).await.status, StatusCode::OK);
    for query in ["", "?attributes=password", "?attributes=userName,password"] {
        let seen = api.get(&format!("{path}{query}")).await.body;
        assert!(!seen.to_string().contains("t1me"), "{seen}");
    }
    for filter in [
        "password pr",
        r#"password eq "t1meMa$heen""#,
        "not (password pr)",
    ] {
        let answer = api.search("/Users", filter).await;
        answer.is_error(400, Some("invalidFilter"));
    }
    let directory = api.ledger.directory();
    let user = directory
        .tenant("corp")
        .unwrap()
        .user_by_name("anne")
        .unwrap();
    assert!(!user.attributes().contains_key("password"));
}

#[tokio::test]
async fn section_4_2_groups_nest_and_cycles_do_no_harm() {
    let api = Api::start().await;
    let anne = api.user("anne").await;
    let inner = api.group("inner", &[&anne]).await;
    let outer = api.group("outer", &[&inner]).await;
    for member in [&outer, &inner] {
        let add = json!([{"op": "add", "path": "members", "value": [{"value": member, "type": "Group"}]}]);
        let answer = api.patch(&format!("/Groups/{inner}"), add).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    let user = api.get(&format!("/Users/{anne}")).await.body;
    let groups: Vec<_> = user["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| &g["display"])
        .collect();
    assert_eq!(groups, [&json!("inner"), &json!("outer")]);
}
