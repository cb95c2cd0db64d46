//! Bulk (RFC 7644 section 3.7). The examples are the RFC's own, with ids that exist.

use http::StatusCode;
use scimesh_feeder::scim::{Limits, Settings};
use serde_json::{Value, json};

use crate::api::{Answer, Api};

const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
const BASE: &str = "http://scim.example.com/scim/v2";
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

impl Api {
    /// Sends operations and gives what is said of each.
    async fn bulk(&self, operations: Value) -> Vec<Value> {
        let body = json!({"schemas": [REQUEST], "Operations": operations});
        self.post("/Bulk", body).await.operations()
    }

    async fn total(&self, path: &str) -> u64 {
        self.get(path).await.body["totalResults"].as_u64().unwrap()
    }
}

impl Answer {
    #[track_caller]
    fn operations(&self) -> Vec<Value> {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        assert_eq!(self.body["schemas"], json!([RESPONSE]));
        self.body["Operations"].as_array().unwrap().clone()
    }
}

/// The statuses, in order.
fn statuses(operations: &[Value]) -> Vec<&str> {
    let statuses = operations.iter().map(|done| done["status"].as_str());
    statuses.map(Option::unwrap).collect()
}

/// The id at the end of what was created's location.
#[track_caller]
fn id(done: &Value) -> String {
    let location = done["location"].as_str();
    let location = location.unwrap_or_else(|| panic!("nowhere: {done}"));
    location.rsplit('/').next().unwrap().to_owned()
}

/// Checks that an operation failed with a SCIM error (RFC 7644 section 3.12) that says this.
#[track_caller]
fn failed(done: &Value, status: &str, scim_type: Option<&str>, says: &str) {
    assert_eq!(done["status"], status, "{done}");
    let error = &done["response"];
    assert_eq!(
        error["schemas"],
        json!(["urn:ietf:params:scim:api:messages:2.0:Error"])
    );
    assert_eq!(error["status"], status);
    assert_eq!(error["scimType"].as_str(), scim_type, "{done}");
    let detail = error["detail"].as_str().unwrap();
    assert!(detail.contains(says), "{detail}");
}

fn user(bulk_id: &str, name: &str) -> Value {
    json!({
        "method": "POST", "path": "/Users", "bulkId": bulk_id,
        "data": {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name},
    })
}

/// Members are references: `bulkId:…` or ids.
fn group(bulk_id: &str, name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
    json!({
        "method": "POST", "path": "/Groups", "bulkId": bulk_id,
        "data": {"displayName": name, "members": members},
    })
}

#[tokio::test]
async fn rfc7644_3_7_1_groups_that_contain_each_other() {
    let api = Api::start().await;
    let operations = json!([
        {
            "method": "POST", "path": "/Groups", "bulkId": "qwerty",
            "data": {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                "displayName": "Group A",
                "members": [{"type": "Group", "value": "bulkId:ytrewq"}],
            },
        },
        {
            "method": "POST", "path": "/Groups", "bulkId": "ytrewq",
            "data": {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                "displayName": "Group B",
                "members": [{"type": "Group", "value": "bulkId:qwerty"}],
            },
        },
    ]);
    let done = api.bulk(operations).await;
    assert_eq!(statuses(&done), ["201", "201"]);
    let (a, b) = (id(&done[0]), id(&done[1]));
    for (done, id, other, bulk_id) in [(&done[0], &a, &b, "qwerty"), (&done[1], &b, &a, "ytrewq")] {
        let stored = api.get(&format!("/Groups/{id}")).await;
        assert_eq!(
            *done,
            json!({
                "location": format!("{BASE}/Groups/{id}"),
                "method": "POST",
                "bulkId": bulk_id,
                "version": stored.body["meta"]["version"],
                "status": "201",
            })
        );
        assert_eq!(
            stored.body["members"],
            json!([{"value": other, "type": "Group", "$ref": format!("{BASE}/Groups/{other}")}])
        );
    }
}

#[tokio::test]
async fn rfc7644_3_7_2_a_new_user_in_a_new_group() {
    let api = Api::start().await;
    let operations = json!([
        {
            "method": "POST", "path": "/Users", "bulkId": "qwerty",
            "data": {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": "Alice",
            },
        },
        {
            "method": "POST", "path": "/Groups", "bulkId": "ytrewq",
            "data": {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                "displayName": "Tour Guides",
                "members": [{"type": "User", "value": "bulkId:qwerty"}],
            },
        },
    ]);
    let done = api.bulk(operations).await;
    let (alice, guides) = (id(&done[0]), id(&done[1]));
    assert_eq!(
        done,
        [
            json!({
                "location": format!("{BASE}/Users/{alice}"), "method": "POST", "bulkId": "qwerty",
                "version": "W/\"1\"", "status": "201",
            }),
            json!({
                "location": format!("{BASE}/Groups/{guides}"), "method": "POST", "bulkId": "ytrewq",
                "version": "W/\"1\"", "status": "201",
            }),
        ]
    );
    assert_eq!(api.members(&guides).await, [alice]);
}

#[tokio::test]
async fn rfc7644_3_7_2_a_manager_who_is_new() {
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let api = Api::start().await;
    let employee = |manager: Value| {
        json!([
            {
                "method": "POST", "path": "/Users", "bulkId": "qwerty",
                "data": {"userName": "Alice"},
            },
            {
                "method": "POST", "path": "/Users", "bulkId": "ytrewq",
                "data": {
                    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", enterprise],
                    "userName": "Bob",
                    enterprise: {"employeeNumber": "11250", "manager": manager},
                },
            },
        ])
    };
    for manager in [
        json!({"value": "bulkId:qwerty"}),
        json!("bulkId:qwerty"),
        json!(["bulkId:qwerty"]),
        json!([{"value": "bulkId:qwerty", "$ref": "../Users/bulkId:qwerty"}]),
    ] {
        let done = api.bulk(employee(manager.clone())).await;
        assert_eq!(statuses(&done), ["201", "201"], "{manager}");
        let (alice, bob) = (id(&done[0]), id(&done[1]));
        let stored = api.get(&format!("/Users/{bob}")).await.body;
        assert_eq!(stored[enterprise]["manager"]["value"], alice, "{manager}");
        for gone in [alice, bob] {
            api.delete(&format!("/Users/{gone}")).await;
        }
    }
    // Both ways.
    let each_other = |bulk_id: &str, other: &str| {
        json!({
            "method": "POST", "path": "Users", "bulkId": bulk_id,
            "data": {"userName": bulk_id, enterprise: {"manager": {"value": format!("bulkId:{other}")}}},
        })
    };
    let done = api
        .bulk(json!([each_other("a", "b"), each_other("b", "a")]))
        .await;
    let (a, b) = (id(&done[0]), id(&done[1]));
    for (one, other) in [(&a, &b), (&b, &a)] {
        let stored = api.get(&format!("/Users/{one}")).await.body;
        assert_eq!(stored[enterprise]["manager"]["value"], **other);
    }
}

/// The request of section 3.7.3: one operation of each method.
fn of_each_method(
    fail_on_errors: Value,
    [put, patch, delete]: [&str; 3],
    versions: [&str; 3],
) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "failOnErrors": fail_on_errors,
        "Operations": [
            {
                "method": "POST", "path": "/Users", "bulkId": "qwerty",
                "data": {
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:User"],
                    "userName": "Alice",
                },
            },
            {
                "method": "PUT", "path": format!("/Users/{put}"), "version": versions[0],
                "data": {
                    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                    "id": put,
                    "userName": "Bob",
                },
            },
            {
                "method": "PATCH", "path": format!("/Users/{patch}"), "version": versions[1],
                "data": [
                    {"op": "remove", "path": "nickName"},
                    {"op": "add", "path": "userName", "value": "Dave"},
                ],
            },
            {"method": "DELETE", "path": format!("/Users/{delete}"), "version": versions[2]},
        ],
    })
}

#[tokio::test]
async fn rfc7644_3_7_3_one_operation_of_each_method() {
    let api = Api::start().await;
    let (bob, dave, eve) = (
        api.user("bob").await,
        api.user("old-dave").await,
        api.user("eve").await,
    );
    let first = "W/\"1\"";
    let request = of_each_method(json!(1), [&bob, &dave, &eve], [first; 3]);
    let done = api.post("/Bulk", request).await.operations();
    let alice = id(&done[0]);
    assert_eq!(
        done,
        [
            json!({
                "location": format!("{BASE}/Users/{alice}"), "method": "POST", "bulkId": "qwerty",
                "version": "W/\"1\"", "status": "201",
            }),
            json!({
                "location": format!("{BASE}/Users/{bob}"), "method": "PUT",
                "version": "W/\"2\"", "status": "200",
            }),
            json!({
                "location": format!("{BASE}/Users/{dave}"), "method": "PATCH",
                "version": "W/\"2\"", "status": "200",
            }),
            json!({
                "location": format!("{BASE}/Users/{eve}"), "method": "DELETE", "status": "204",
            }),
        ]
    );
    let names = api.get("/Users").await;
    assert_eq!(names.listed("userName"), ["Bob", "Dave", "Alice"]);
}

#[tokio::test]
async fn rfc7644_3_7_3_who_accepts_one_error_sees_one() {
    let api = Api::start().await;
    let (bob, dave, eve) = (
        api.user("bob").await,
        api.user("dave").await,
        api.user("alice").await,
    );
    let first = "W/\"1\"";
    for accepted in [json!(0), json!(1)] {
        let request = of_each_method(accepted, [&bob, &dave, &eve], [first; 3]);
        let done = api.post("/Bulk", request).await.operations();
        assert_eq!(done.len(), 1);
        failed(&done[0], "409", Some("uniqueness"), "userName");
        assert_eq!(done[0]["bulkId"], "qwerty");
        assert!(done[0].get("location").is_none());
        assert!(done[0].get("version").is_none());
    }
    assert_eq!(
        api.get(&format!("/Users/{bob}")).await.body["userName"],
        "bob"
    );
    assert_eq!(api.total("/Users").await, 3);
}

#[tokio::test]
async fn rfc7644_3_7_3_without_a_bound_each_error_is_its_own() {
    let api = Api::start().await;
    let bob = api.user("bob").await;
    api.user("alice").await;
    let old = "W/\"7\"";
    let request = of_each_method(Value::Null, [&bob, NOBODY, NOBODY], [old; 3]);
    let done = api.post("/Bulk", request).await.operations();
    assert_eq!(statuses(&done), ["409", "412", "404", "404"]);
    failed(&done[1], "412", None, "version");
    assert_eq!(done[1]["location"], format!("{BASE}/Users/{bob}"));
    failed(&done[2], "404", None, "not found");
    assert_eq!(done[2]["location"], format!("{BASE}/Users/{NOBODY}"));
    // What was done before the bound stays done, and what comes after it is not.
    let mixed = json!({"failOnErrors": 2, "Operations": [
        user("1", "cyd"), user("2", "bob"), user("3", "dan"), user("4", "bob"), user("5", "fay"),
    ]});
    let done = api.post("/Bulk", mixed).await.operations();
    assert_eq!(statuses(&done), ["201", "409", "201", "409"]);
    let names = api.get("/Users").await;
    assert_eq!(names.listed("userName"), ["bob", "alice", "cyd", "dan"]);
}

#[tokio::test]
async fn rfc7644_3_7_4_the_limits_are_advertised_and_kept() {
    let limits = Limits {
        bulk_operations: 2,
        body_bytes: 1000,
        ..Limits::default()
    };
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    let api = Api::with(settings).await;
    let config = api.get("/ServiceProviderConfig").await.body;
    assert_eq!(
        config["bulk"],
        json!({"supported": true, "maxOperations": 2, "maxPayloadSize": 1000})
    );
    let three = json!({"Operations": [user("a", "a"), user("b", "b"), user("c", "c")]});
    let answer = api.post("/Bulk", three).await;
    answer.is_error(413, None);
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("3 operations") && detail.contains("maxOperations is 2"),
        "{detail}"
    );
    let long = json!({"Operations": [user("a", &"a".repeat(1000))]});
    api.post("/Bulk", long).await.is_error(413, None);
    assert_eq!(api.total("/Users").await, 0);
}

#[tokio::test]
async fn references_work_forwards_in_paths_and_in_patches() {
    let api = Api::start().await;
    let done = api
        .bulk(json!([
            {
                "method": "patch", "path": "/Groups/bulkId:team",
                "data": {"Operations": [
                    {"op": "add", "path": "members", "value": [{"value": "bulkId:ben"}]},
                    {"op": "remove", "path": "members[value eq \"bulkId:anne\"]"},
                ]},
            },
            {
                "method": "PATCH", "path": "Users/bulkId:ben",
                "data": {"Operations": [
                    {"op": "add", "path": "manager", "value": "bulkId:anne"},
                    {"op": "add", "path": "displayName", "value": "bulkId:is only text here"},
                ]},
            },
            group("org", "org", &["bulkId:team"]),
            group("team", "team", &["bulkId:anne"]),
            {"method": "PUT", "path": "/Groups/bulkId:org", "data": {
                "displayName": "Org", "members": [{"value": "bulkId:team"}, {"value": "bulkId:anne"}],
            }},
            {"method": "DELETE", "path": "/Groups/bulkId:gone"},
            user("anne", "anne"),
            user("ben", "ben"),
            group("gone", "gone", &[]),
        ]))
        .await;
    assert_eq!(
        statuses(&done),
        [
            "204", "200", "201", "201", "200", "204", "201", "201", "201"
        ]
    );
    assert_eq!(done[0]["location"], done[3]["location"]);
    assert_eq!(done[0]["method"], "PATCH");
    let (org, team, anne, ben) = (id(&done[2]), id(&done[3]), id(&done[6]), id(&done[7]));
    assert_eq!(api.members(&team).await, [ben.as_str()]);
    let mut members = api.members(&org).await;
    members.sort();
    let mut expected = [team, anne.clone()];
    expected.sort();
    assert_eq!(members, expected);
    let stored = api.get(&format!("/Users/{ben}")).await.body;
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    assert_eq!(stored[enterprise]["manager"]["value"], anne);
    assert_eq!(stored["displayName"], "bulkId:is only text here");
    assert_eq!(api.total("/Groups").await, 2);
}

#[tokio::test]
async fn a_whole_bulk_is_one_revision() {
    let api = Api::start().await;
    let before = api.ledger.directory().revision();
    let done = api
        .bulk(json!([
            user("a", "a"),
            user("b", "a"),
            group("g", "g", &["bulkId:a"])
        ]))
        .await;
    assert_eq!(statuses(&done), ["201", "409", "201"]);
    assert_eq!(api.ledger.directory().revision(), before + 1);
    // One in which nothing changes is none.
    let directory = api.ledger.directory();
    api.bulk(json!([user("b", "a")])).await;
    assert!(std::sync::Arc::ptr_eq(&directory, &api.ledger.directory()));
}

#[tokio::test]
async fn what_refers_to_what_was_not_created_says_so() {
    let api = Api::start().await;
    api.user("taken").await;
    let done = api
        .bulk(json!([
            group("g", "g", &["bulkId:u"]),
            user("u", "taken"),
            group("h", "h", &["bulkId:g"]),
            {"method": "DELETE", "path": "/Users/bulkId:u"},
            group("i", "i", &["bulkId:nobody"]),
            {"method": "DELETE", "path": "/Groups/bulkId:nobody"},
            group("fine", "fine", &[]),
        ]))
        .await;
    assert_eq!(
        statuses(&done),
        ["409", "409", "409", "409", "400", "400", "201"]
    );
    failed(&done[0], "409", None, "depends on \"bulkId:u\"");
    failed(&done[1], "409", Some("uniqueness"), "userName");
    failed(&done[2], "409", None, "depends on \"bulkId:g\"");
    failed(&done[4], "400", Some("invalidValue"), "\"bulkId:nobody\"");
    failed(&done[5], "400", Some("invalidValue"), "\"bulkId:nobody\"");
    assert!(done[5].get("location").is_none());
    assert_eq!(api.total("/Groups").await, 1);
}

#[tokio::test]
async fn a_circle_is_created_whole_or_not_at_all() {
    let api = Api::start().await;
    let circle = |name: &str| {
        json!([
            group("a", "a", &["bulkId:b"]),
            group("b", name, &["bulkId:c"]),
            group("c", "c", &["bulkId:a", "bulkId:c"]),
            group("d", "d", &["bulkId:c"]),
        ])
    };
    let done = api.bulk(circle("")).await;
    assert_eq!(statuses(&done), ["409", "400", "409", "409"]);
    failed(&done[0], "409", None, "\"bulkId:b\"");
    failed(&done[1], "400", Some("invalidValue"), "displayName");
    failed(&done[2], "409", None, "\"bulkId:b\"");
    failed(&done[3], "409", None, "\"bulkId:c\"");
    assert_eq!(api.total("/Groups").await, 0);
    let done = api.bulk(circle("b")).await;
    assert_eq!(statuses(&done), ["201"; 4]);
    let ids: Vec<String> = done.iter().map(id).collect();
    assert_eq!(api.members(&ids[0]).await, [ids[1].as_str()]);
    assert_eq!(api.members(&ids[1]).await, [ids[2].as_str()]);
    assert_eq!(
        api.members(&ids[2]).await,
        [ids[0].as_str(), ids[2].as_str()]
    );
    // A circle that is too long to nest goes as a whole.
    let long: Vec<Value> = (0..20)
        .map(|n| group(&format!("{n}"), "x", &[&format!("bulkId:{}", (n + 1) % 20)]))
        .collect();
    let done = api.bulk(json!(long)).await;
    let refused = done.iter().filter(|done| done["status"] == "400").count();
    assert_eq!((refused, done.len()), (1, 20));
    assert_eq!(api.total("/Groups").await, 4);
}

#[tokio::test]
async fn a_body_that_is_no_bulk_request_is_refused_whole() {
    let api = Api::start().await;
    let good = user("good", "good");
    for (wrong, says) in [
        (json!(7), "Operations[1]: not a JSON object"),
        (
            json!({"method": "GET", "path": "/Users"}),
            "Operations[1]: \"method\"",
        ),
        (
            json!({"method": 7, "path": "/Users"}),
            "Operations[1]: \"method\"",
        ),
        (json!({"path": "/Users"}), "Operations[1]: \"method\""),
        (
            json!({"method": "POST", "path": "/Users", "data": {}}),
            "Operations[1]: a POST needs",
        ),
        (
            json!({"method": "POST", "path": "/Users", "bulkId": "", "data": {}}),
            "Operations[1]: a POST needs",
        ),
        (
            json!({"method": "POST", "path": "/Users", "bulkId": 7, "data": {}}),
            "Operations[1]: \"bulkId\"",
        ),
        (
            json!({"method": "POST", "bulkId": "x", "data": {}}),
            "Operations[1]: there is no \"path\"",
        ),
        (
            json!({"method": "DELETE", "path": 7}),
            "Operations[1]: \"path\"",
        ),
        (
            json!({"method": "PUT", "path": format!("/Users/{NOBODY}")}),
            "Operations[1]: there is no \"data\"",
        ),
        (
            json!({"method": "DELETE", "path": "/Users/x", "version": 7}),
            "Operations[1]: \"version\"",
        ),
        (
            json!({"method": "DELETE", "path": "/Users/x", "Path": "/Users/y"}),
            "Operations[1]: a key",
        ),
        (
            user("good", "other"),
            "Operations[1] has the bulkId of Operations[0]",
        ),
    ] {
        let answer = api
            .post("/Bulk", json!({"Operations": [good, wrong]}))
            .await;
        answer.is_error(400, Some("invalidSyntax"));
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail}");
    }
    for body in [
        json!([good]),
        json!({}),
        json!({"Operations": good}),
        json!({"Operations": [good], "operations": []}),
        json!({"Operations": [good], "failOnErrors": "1"}),
        json!({"Operations": [good], "failOnErrors": -1}),
        json!({"Operations": [good], "failOnErrors": 1.5}),
    ] {
        let answer = api.post("/Bulk", body).await;
        answer.is_error(400, Some("invalidSyntax"));
    }
    assert_eq!(api.total("/Users").await, 0);
    assert_eq!(api.bulk(json!([])).await, [] as [Value; 0]);
    api.get("/Bulk").await.is_error(405, None);
}

#[tokio::test]
async fn a_path_that_is_none_fails_its_operation_alone() {
    let api = Api::start().await;
    let anne = api.user("anne").await;
    let data = json!({"userName": "x", "Operations": []});
    let mut operations = vec![user("first", "first")];
    for (method, path) in [
        ("POST", "/Bulk".to_owned()),
        ("POST", "Bulk".to_owned()),
        ("POST", format!("/Users/{anne}")),
        ("POST", "/Me".to_owned()),
        ("PUT", "/Users".to_owned()),
        ("PATCH", "/".to_owned()),
        ("DELETE", String::new()),
        ("PUT", format!("//Users/{anne}")),
        ("PUT", format!("{BASE}/Users/{anne}")),
    ] {
        operations.push(json!({"method": method, "path": path, "bulkId": path, "data": data}));
    }
    for path in [
        "/Users/".to_owned(),
        format!("/Users/{anne}/"),
        format!("/Users/{}", anne.to_uppercase()),
        format!("/Groups/{anne}"),
    ] {
        operations.push(json!({"method": "DELETE", "path": path}));
    }
    operations.push(user("last", "last"));
    let done = api.bulk(json!(operations)).await;
    let last = done.len() - 1;
    assert_eq!(
        (&done[0]["status"], &done[last]["status"]),
        (&json!("201"), &json!("201"))
    );
    for (index, done) in done.iter().enumerate().take(10).skip(1) {
        failed(
            done,
            "400",
            Some("invalidValue"),
            &format!("Operations[{index}]"),
        );
    }
    for done in &done[10..last] {
        failed(done, "404", None, "not found");
    }
    assert_eq!(api.total("/Users").await, 3);
}

#[tokio::test]
async fn each_operation_sees_what_those_before_it_did() {
    let api = Api::start().await;
    let (anne, ben) = (api.user("anne").await, api.user("ben").await);
    let rename = |id: &str, name: &str, version: &str| {
        json!({
            "method": "PATCH", "path": format!("/Users/{id}"), "version": version,
            "data": {"Operations": [{"op": "replace", "path": "userName", "value": name}]},
        })
    };
    // Names swap by way of a third: straight, the first is taken.
    let (first, second) = ("W/\"1\"", "W/\"2\"");
    let done = api
        .bulk(json!([
            rename(&anne, "ben", first),
            rename(&anne, "spare", first),
            rename(&ben, "Anne", first),
            rename(&anne, "Ben", first),
            rename(&anne, "Ben", second),
        ]))
        .await;
    assert_eq!(statuses(&done), ["409", "200", "200", "412", "200"]);
    assert_eq!(done[4]["version"], "W/\"3\"");
    let names = api.get("/Users").await;
    assert_eq!(names.listed("userName"), ["Ben", "Anne"]);
    assert_eq!(names.listed("id"), [anne, ben]);
    // Created, used, renamed and deleted, and its name given away.
    let done = api
        .bulk(json!([
            user("a", "cyd"),
            group("g", "g", &["bulkId:a"]),
            user("b", "cyd"),
            {"method": "DELETE", "path": "/Users/bulkId:a"},
            {"method": "DELETE", "path": "/Users/bulkId:a"},
            user("c", "CYD"),
        ]))
        .await;
    assert_eq!(statuses(&done), ["201", "201", "409", "204", "404", "201"]);
    assert_eq!(api.members(&id(&done[1])).await, [] as [&str; 0]);
    assert_eq!(api.total("/Users").await, 3);
}

#[tokio::test]
async fn an_operation_that_fails_halfway_leaves_nothing() {
    let api = Api::start().await;
    let anne = api.user("anne").await;
    let team = api.group("team", &[]).await;
    let patch = |members: &[&str]| {
        let members = members.iter().map(|id| json!({"value": id}));
        json!({"method": "PATCH", "path": format!("/Groups/{team}"), "data": {"Operations": [
            {"op": "replace", "path": "displayName", "value": format!("with {}", members.len())},
            {"op": "add", "path": "members", "value": members.collect::<Vec<_>>()},
        ]}})
    };
    let done = api
        .bulk(json!([
            patch(&[&anne, NOBODY]),
            group("g", "g", &[&anne, NOBODY]),
            patch(&[])
        ]))
        .await;
    assert_eq!(statuses(&done), ["400", "400", "204"]);
    failed(&done[0], "400", Some("invalidValue"), NOBODY);
    assert_eq!(done[2]["version"], "W/\"2\"");
    let stored = api.get(&format!("/Groups/{team}")).await.body;
    assert_eq!(stored["displayName"], "with 0");
    assert_eq!(api.members(&team).await, [] as [&str; 0]);
    assert_eq!(api.total("/Groups").await, 1);
}

#[tokio::test]
async fn ids_are_the_servers_also_in_bulk() {
    let api = Api::start().await;
    let anne = api.user("anne").await;
    let mut create = user("x", "ben");
    create["data"]["id"] = json!(anne);
    create["data"]["externalId"] = json!(anne);
    let mut team = group("bulkId:x", "team", &[]);
    team["data"]["id"] = json!(NOBODY);
    let done = api
        .bulk(json!([create, team, group("y", "team", &[])]))
        .await;
    assert_eq!(statuses(&done), ["201"; 3]);
    assert!(![anne.as_str(), NOBODY].contains(&id(&done[0]).as_str()));
    assert_ne!(id(&done[1]), NOBODY);
    // An externalId is no id, whatever it looks like: it is Anne who is a member.
    let done = api.bulk(json!([group("w", "w", &[&anne])])).await;
    assert_eq!(api.members(&id(&done[0])).await, [anne.as_str()]);
    let found = api.get(&format!("/Users/{anne}")).await;
    assert_eq!(found.body["userName"], "anne");
    let by_external_id = "00000000-0000-4000-8000-00000000000e";
    let mut other = user("z", "cyd");
    other["data"]["externalId"] = json!(by_external_id);
    let done = api
        .bulk(json!([other, group("g", "g", &[by_external_id])]))
        .await;
    assert_eq!(statuses(&done), ["201", "400"]);
    api.get(&format!("/Users/{by_external_id}"))
        .await
        .is_error(404, None);
}

#[tokio::test]
async fn the_work_of_a_bulk_is_bounded_as_a_whole() {
    let limits = Limits {
        work: 10_000,
        ..Limits::default()
    };
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    let api = Api::with(settings).await;
    let long = json!({"userName": "anne", "displayName": "x".repeat(3000)});
    let anne = api.post("/Users", long).await.created();
    let patch = |nick: usize| {
        json!({
            "method": "PATCH", "path": format!("/Users/{anne}"),
            "data": {"Operations": [{"op": "add", "path": "nickName", "value": format!("n{nick}")}]},
        })
    };
    let operations = |count| (0..count).map(patch).collect::<Vec<Value>>();
    assert_eq!(statuses(&api.bulk(json!(operations(3))).await), ["200"; 3]);
    let before = api.get(&format!("/Users/{anne}")).await.body;
    let answer = api
        .post("/Bulk", json!({"Operations": operations(4)}))
        .await;
    answer.is_error(413, None);
    assert_eq!(api.get(&format!("/Users/{anne}")).await.body, before);
}

#[tokio::test]
async fn what_a_bulk_does_to_groups_is_work_and_bounded_as_a_whole() {
    let limits = Limits {
        work: 5_000,
        ..Limits::default()
    };
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    let api = Api::with(settings).await;
    let mut users = Vec::new();
    for number in 0..100 {
        users.push(api.user(&format!("u{number}")).await);
    }
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let mut groups = Vec::new();
    for number in 0..8 {
        groups.push(api.group(&format!("g{number}"), &users).await);
    }
    let delete = |group: &String| json!({"method": "DELETE", "path": format!("/Groups/{group}")});
    let delete = |groups: &[String]| groups.iter().map(delete).collect::<Vec<Value>>();
    // Few words, and a lot to do.
    let all = json!({"Operations": delete(&groups)});
    api.post("/Bulk", all).await.is_error(413, None);
    assert_eq!(api.total("/Groups").await, 8);
    assert_eq!(
        statuses(&api.bulk(json!(delete(&groups[..4]))).await),
        ["204"; 4]
    );

    // Below a group of many groups, each that is added leads to all of them.
    let leaf = api.group("leaf", &[]).await;
    for number in 0..40 {
        api.group(&format!("parent{number}"), &[&leaf]).await;
    }
    let nest = |number: usize| {
        json!({
            "method": "POST", "path": "/Groups", "bulkId": format!("b{number}"),
            "data": {"displayName": "below"},
        })
    };
    let add = |number: usize| {
        json!({
            "method": "PATCH", "path": format!("/Groups/{leaf}"),
            "data": {"Operations": [{"op": "add", "path": "members", "value": [{"value": format!("bulkId:b{number}")}]}]},
        })
    };
    let operations = |count| (0..count).flat_map(|number| [nest(number), add(number)]);
    let operations = |count| operations(count).collect::<Vec<Value>>();
    assert_eq!(api.bulk(json!(operations(2))).await.len(), 4);
    let many = json!({"Operations": operations(20)});
    api.post("/Bulk", many).await.is_error(413, None);
    assert_eq!(api.members(&leaf).await.len(), 2);
}

#[tokio::test]
async fn rfc7644_3_11_me_is_not_implemented() {
    let api = Api::start().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for path in ["/Me", "/Me/", "/Me/groups/x", "/Me?attributes=id"] {
            let method = http::Method::from_bytes(method.as_bytes()).unwrap();
            let answer = api.call(method, path, Value::Null).await;
            answer.is_error(501, None);
        }
    }
    let answer = api
        .call_as("wrong", http::Method::GET, "/Me", Value::Null)
        .await;
    answer.is_error(401, None);
}

#[tokio::test]
async fn rfc7644_3_7_2_what_leads_nowhere_waits_for_what_it_refers_to_all_the_same() {
    let api = Api::start().await;
    let manager = json!([{"op": "add", "path": "manager", "value": "bulkId:boss"}]);
    let bulk = json!({"failOnErrors": 1, "Operations": [
        {"method": "PATCH", "path": "/Users/0", "data": {"Operations": manager}},
        {"method": "POST", "path": "/Users", "bulkId": "boss", "data": {"userName": "boss"}},
    ]});
    let done = api.post("/Bulk", bulk).await.operations();
    assert_eq!(statuses(&done), ["404", "201"]);
}
