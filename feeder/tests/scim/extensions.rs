//! Attributes that a tenant's operator has defined, as SCIM clients meet them.

use std::sync::mpsc;

use futures::FutureExt as _;
use http::{Method, StatusCode};
use scimesh_feeder::directory::Refused;
use scimesh_feeder::schema::{Kind, Schema};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::api::{Api, OTHER};

const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const BADGE: &str = "urn:example:params:badge:1.0:User";

impl Api {
    /// Defines attributes of corp's resources under a URN.
    async fn try_define(&self, kind: Kind, urn: &str, attributes: Value) -> Result<(), String> {
        let schema: Schema = serde_json::from_value(json!({"id": urn, "attributes": attributes}))
            .map_err(|error| error.to_string())?;
        let set = self
            .ledger
            .commit(move |draft| draft.set_extension("corp", kind, schema));
        set.await.map(drop).map_err(|error| error.to_string())
    }

    async fn define(&self, kind: Kind, urn: &str, attributes: Value) {
        self.try_define(kind, urn, attributes).await.unwrap();
    }

    /// With what doors know of users.
    async fn with_badges() -> Api {
        let api = Api::start().await;
        let attributes = json!([
            {"name": "number", "type": "integer"},
            {"name": "color"},
            {"name": "weight", "type": "decimal"},
            {"name": "issued", "type": "dateTime"},
            {"name": "photo", "type": "binary"},
            {"name": "lost", "type": "boolean"},
            {"name": "doors", "multiValued": true},
            {"name": "keys", "type": "complex", "multiValued": true, "subAttributes": [
                {"name": "value", "caseExact": true},
                {"name": "slots", "type": "integer"},
                {"name": "serial", "mutability": "immutable"},
                {"name": "primary", "type": "boolean"},
            ]},
            {"name": "holder", "type": "complex", "subAttributes": [
                {"name": "material"},
                {"name": "pin", "mutability": "writeOnly"},
                {"name": "note", "returned": "request"},
                {"name": "id", "returned": "always"},
            ]},
            {"name": "birth", "mutability": "immutable"},
            {"name": "secret", "mutability": "writeOnly"},
            {"name": "hidden", "returned": "never"},
            {"name": "asked", "returned": "request"},
            {"name": "seen", "returned": "always"},
            {"name": "counted", "type": "integer", "mutability": "readOnly"},
        ]);
        api.define(Kind::User, BADGE, attributes).await;
        api
    }

    /// A user with this under the extension; its path.
    async fn badge(&self, name: &str, badge: Value) -> String {
        let body = json!({"userName": name, BADGE: badge});
        format!("/Users/{}", self.post("/Users", body).await.created())
    }

    /// What a filter finds, by name.
    async fn found(&self, filter: &str) -> Vec<String> {
        let answer = self.search("/Users", filter).await;
        let names = answer.listed("userName").into_iter();
        names.map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn rfc7643_3_3_a_defined_extension_is_discovered_written_and_named_in_schemas() {
    let api = Api::with_badges().await;
    let types = api.get("/ResourceTypes/User").await.body;
    assert_eq!(
        types["schemaExtensions"],
        json!([{"schema": ENTERPRISE, "required": false}, {"schema": BADGE, "required": false}])
    );
    let schema = api.get(&format!("/Schemas/{BADGE}")).await.body;
    assert_eq!(
        schema["attributes"][1],
        json!({
            "name": "color", "type": "string", "multiValued": false, "description": "",
            "required": false, "caseExact": false, "mutability": "readWrite",
            "returned": "default", "uniqueness": "none",
        }),
        "what is absent has the defaults of section 2.2"
    );
    // One tenant's schemas are not another's.
    let path = format!("/Schemas/{BADGE}");
    let theirs = api.call_as(OTHER, Method::GET, &path, Value::Null).await;
    theirs.is_error(404, None);

    let ada = api.badge("ada", json!({"number": 7})).await;
    let ben = format!("/Users/{}", api.user("ben").await);
    assert_eq!(api.get(&ada).await.body["schemas"], json!([CORE, BADGE]));
    assert_eq!(api.get(&ben).await.body["schemas"], json!([CORE]));

    let by_path = json!([
        {"op": "add", "path": format!("{BADGE}:color"), "value": "red"},
        {"op": "add", "path": format!("{}:DOORS", BADGE.to_uppercase()), "value": ["a", "b"]},
        {"op": "add", "value": {(format!("{BADGE}:weight")): 1.5}},
        {"op": "add", "path": BADGE, "value": {"lost": false}},
    ]);
    let patched = api.patch(&ada, by_path).await;
    assert_eq!(patched.status, StatusCode::OK, "{}", patched.body);
    assert_eq!(
        patched.body[BADGE],
        json!({"number": 7, "color": "red", "doors": ["a", "b"], "weight": 1.5, "lost": false})
    );
    let removed = api
        .patch(&ada, json!([{"op": "remove", "path": BADGE}]))
        .await;
    assert_eq!(removed.body["schemas"], json!([CORE]));
}

#[tokio::test]
async fn rfc7643_2_3_a_value_of_another_type_is_refused() {
    let api = Api::with_badges().await;
    for (attribute, good, bad) in [
        (
            "number",
            json!([0, -5, i64::MAX]),
            json!(["5", 5.0, 5.5, true, {}, 1e30]),
        ),
        ("weight", json!([1, -1.5, 1e3]), json!(["1.5", false])),
        (
            "issued",
            json!(["2026-11-22T09:00:00Z", "2026-11-22T09:00:00+01:00"]),
            json!(["2026-11-22", "yesterday", 5]),
        ),
        (
            "photo",
            json!(["QUJD", "QQ=="]),
            json!(["Q", "a b", "ä", 5]),
        ),
        ("lost", json!([true, "False"]), json!(["yes", 1])),
        ("color", json!(["red"]), json!([5, true])),
        ("doors", json!([["a"]]), json!([[5], [{"value": "a"}]])),
    ] {
        for value in good.as_array().unwrap() {
            let user = api.badge("ada", json!({attribute: value})).await;
            api.delete(&user).await;
        }
        for value in bad.as_array().unwrap() {
            let body = json!({"userName": "ada", BADGE: {attribute: value}});
            let answer = api.post("/Users", body).await;
            answer.is_error(400, Some("invalidValue"));
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(detail.contains(attribute), "{value}: {detail}");
        }
    }
    let certificate = json!({"userName": "ada", "x509Certificates": [{"value": "not base64"}]});
    let answer = api.post("/Users", certificate).await;
    answer.is_error(400, Some("invalidValue"));
}

#[tokio::test]
async fn rfc7644_3_4_2_2_numbers_and_times_are_compared_by_value() {
    let api = Api::with_badges().await;
    for (name, badge) in [
        (
            "a",
            json!({"number": 9, "weight": 1, "issued": "2026-11-22T09:00:00Z", "keys": [{"value": "K", "slots": 2}]}),
        ),
        (
            "b",
            json!({"number": 10, "weight": 1.5, "issued": "2026-11-22T09:00:00+01:00", "photo": "QUJD"}),
        ),
        ("c", json!({"color": "Red", "doors": ["North", "South"]})),
    ] {
        api.badge(name, badge).await;
    }
    for (filter, found) in [
        ("number gt 9", "b"),
        ("number ge 9", "ab"),
        ("number lt 10", "a"),
        ("number eq 10.0", "b"),
        ("number ne 10", "ac"),
        ("number pr", "ab"),
        ("weight eq 1.0", "a"),
        ("weight eq 1", "a"),
        ("weight le 1.5", "ab"),
        ("issued lt \"2026-11-22T08:30:00Z\"", "b"),
        ("issued eq \"2026-11-22T10:00:00+01:00\"", "a"),
        ("photo eq \"QUJD\"", "b"),
        ("photo eq \"qujd\"", ""),
        ("color eq \"red\"", "c"),
        ("doors eq \"south\"", "c"),
        ("doors co \"ort\"", "c"),
        ("keys[value eq \"K\" and slots gt 1]", "a"),
        ("keys[value eq \"k\"]", ""),
        ("keys.slots ge 2", "a"),
    ] {
        let found_now = api.found(&format!("{BADGE}:{filter}")).await;
        assert_eq!(found_now.concat(), found, "{filter}");
    }
    // Bare, as an IdP writes it.
    assert_eq!(api.found("number gt 9 and weight pr").await, ["b"]);
    for filter in [
        "number gt \"9\"",
        "number co 9",
        "weight sw 1",
        "photo gt \"A\"",
        "number eq true",
    ] {
        let answer = api.search("/Users", &format!("{BADGE}:{filter}")).await;
        answer.is_error(400, Some("invalidFilter"));
    }
}

#[tokio::test]
async fn rfc7643_7_what_is_write_only_or_never_returned_can_not_be_found_out() {
    let api = Api::with_badges().await;
    let secrets = json!({
        "secret": "s3cret", "hidden": "s3cret", "color": "red",
        "holder": {"material": "steel", "pin": "s3cret"},
        "counted": 5,
    });
    let ada = api.badge("ada", secrets).await;
    let shown = json!({"color": "red", "holder": {"material": "steel"}});
    assert_eq!(api.get(&ada).await.body[BADGE], shown);
    let patch = json!([
        {"op": "add", "path": format!("{BADGE}:secret"), "value": "s3cret"},
        {"op": "add", "path": format!("{BADGE}:holder.pin"), "value": "s3cret"},
    ]);
    assert_eq!(api.patch(&ada, patch).await.body[BADGE], shown);
    let all = format!("{ada}?attributes={BADGE}:secret,{BADGE}:hidden,{BADGE}:holder.pin");
    assert!(!api.get(&all).await.body.to_string().contains("s3cret"));
    for filter in [
        "secret eq \"s3cret\"",
        "secret pr",
        "hidden pr",
        "holder.pin sw \"s\"",
    ] {
        let answer = api.search("/Users", &format!("{BADGE}:{filter}")).await;
        answer.is_error(400, Some("invalidFilter"));
    }
    let read_only = json!([{"op": "add", "path": format!("{BADGE}:counted"), "value": 5}]);
    let answer = api.patch(&ada, read_only).await;
    answer.is_error(400, Some("mutability"));
}

#[tokio::test]
async fn rfc7643_7_returned_decides_what_is_shown() {
    let api = Api::with_badges().await;
    let badge = json!({
        "color": "red", "asked": "a", "seen": "s",
        "holder": {"material": "steel", "note": "n", "id": "i"},
    });
    let ada = api.badge("ada", badge).await;
    let shown = async |query: &str| api.get(&format!("{ada}{query}")).await.body[BADGE].clone();
    let default = json!({"color": "red", "seen": "s", "holder": {"material": "steel", "id": "i"}});
    assert_eq!(shown("").await, default);
    let list = api.search("/Users", "userName eq \"ada\"").await;
    assert_eq!(list.body["Resources"][0][BADGE], default);
    assert_eq!(shown(&format!("?attributes={BADGE}")).await, default);
    for (query, expected) in [
        ("attributes=userName".to_owned(), json!({"seen": "s"})),
        (
            format!("attributes={BADGE}:asked"),
            json!({"seen": "s", "asked": "a"}),
        ),
        (
            format!("attributes={BADGE}:holder"),
            json!({"seen": "s", "holder": {"material": "steel", "id": "i"}}),
        ),
        (
            format!("attributes={BADGE}:holder.note"),
            json!({"seen": "s", "holder": {"note": "n", "id": "i"}}),
        ),
        (format!("excludedAttributes={BADGE}"), json!({"seen": "s"})),
        (
            format!("excludedAttributes={BADGE}:seen,{BADGE}:holder.id"),
            default.clone(),
        ),
        (
            format!("excludedAttributes={BADGE}:holder.material,{BADGE}:color"),
            json!({"seen": "s", "holder": {"id": "i"}}),
        ),
    ] {
        assert_eq!(shown(&format!("?{query}")).await, expected, "{query}");
    }
}

#[tokio::test]
async fn rfc7644_3_5_an_immutable_value_is_set_once() {
    let api = Api::with_badges().await;
    let ada = api.badge("ada", json!({"color": "red"})).await;
    let path = format!("{BADGE}:birth");
    let write = |op: &str, value: Value| json!([{"op": op, "path": path, "value": value}]);
    let set = api.patch(&ada, write("add", json!("here"))).await;
    assert_eq!(set.body[BADGE], json!({"color": "red", "birth": "here"}));
    for operations in [
        write("add", json!("there")),
        write("replace", json!("there")),
        write("replace", Value::Null),
        json!([{"op": "remove", "path": path}]),
        json!([{"op": "remove", "path": BADGE}]),
        json!([{"op": "replace", "value": {(BADGE): {"birth": "there"}}}]),
        json!([{"op": "remove", "path": path}, {"op": "add", "path": path, "value": "there"}]),
    ] {
        let answer = api.patch(&ada, operations.clone()).await;
        assert_eq!(answer.body["scimType"], "mutability", "{operations}");
        answer.is_error(400, Some("mutability"));
    }
    let same = api.patch(&ada, write("replace", json!("HERE"))).await;
    assert_eq!(same.body[BADGE]["birth"], "here", "case does not matter");

    let put = |badge: Value| json!({"userName": "ada", BADGE: badge});
    let other = api.put(&ada, put(json!({"birth": "there"}))).await;
    other.is_error(400, Some("mutability"));
    let without = api.put(&ada, put(json!({"color": "blue"}))).await;
    assert_eq!(
        without.body[BADGE],
        json!({"color": "blue", "birth": "here"})
    );
    let without = api.put(&ada, json!({"userName": "ada"})).await;
    assert_eq!(without.body[BADGE], json!({"birth": "here"}));
}

#[tokio::test]
async fn an_immutable_part_of_an_element_stays_as_long_as_the_element() {
    let api = Api::with_badges().await;
    let keys = json!([{"value": "A", "serial": "1"}, {"value": "B"}]);
    let ada = api.badge("ada", json!({"keys": keys})).await;
    let at = |value: &str| format!("{BADGE}:keys[value eq \"{value}\"].serial");
    let set = json!([{"op": "add", "path": at("B"), "value": "2"}]);
    assert_eq!(
        api.patch(&ada, set).await.body[BADGE]["keys"][1]["serial"],
        "2"
    );
    let change = json!([{"op": "replace", "path": at("A"), "value": "9"}]);
    let answer = api.patch(&ada, change).await;
    answer.is_error(400, Some("mutability"));
    let whole = |value: Value| {
        let path = format!("{BADGE}:keys[value eq \"A\"]");
        json!([{"op": "replace", "path": path, "value": value}])
    };
    let answer = api.patch(&ada, whole(json!({"serial": "9"}))).await;
    answer.is_error(400, Some("mutability"));
    let slots = json!({"value": "A", "slots": 3});
    let replaced = api.patch(&ada, whole(slots)).await;
    assert_eq!(
        replaced.body[BADGE]["keys"][0],
        json!({"value": "A", "slots": 3, "serial": "1"})
    );
    let gone = json!([{"op": "remove", "path": format!("{BADGE}:keys[value eq \"A\"]")}]);
    let left = api.patch(&ada, gone).await;
    assert_eq!(
        left.body[BADGE]["keys"],
        json!([{"value": "B", "serial": "2"}])
    );
}

#[tokio::test]
async fn a_name_without_urn_is_the_cores_first_and_never_one_of_several() {
    let api = Api::start().await;
    let like_core = json!([
        {"name": "active", "type": "boolean"}, {"name": "userName"}, {"name": "externalId"},
        {"name": "roles"}, {"name": "groups"}, {"name": "members"}, {"name": "id"},
        {"name": "schemas"}, {"name": "only"}, {"name": "department"},
        {"name": "name", "type": "complex", "subAttributes": [{"name": "nick"}]},
    ]);
    api.define(Kind::User, "urn:example:x", like_core).await;
    let other = json!([{"name": "only"}]);
    api.define(Kind::User, "urn:example:y", other).await;

    let inside = json!({
        "userName": "ada", "active": true, "externalId": "e",
        "urn:example:x": {
            "active": false, "userName": "eve", "externalId": "0", "roles": "owner",
            "members": "m", "id": "i", "name": {"nick": "n"},
        },
    });
    let ada = format!("/Users/{}", api.post("/Users", inside).await.created());
    let identity = api
        .ledger
        .directory()
        .tenant("corp")
        .unwrap()
        .users()
        .next()
        .unwrap()
        .identity
        .clone();
    assert!(identity.active);
    assert_eq!(&*identity.user_name, "ada");
    assert_eq!(identity.external_id.as_deref(), Some("e"));
    assert!(identity.roles.is_empty());

    // Written bare, they are the core's.
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    let off = api.patch(&ada, off).await.body;
    assert_eq!(
        (&off["active"], &off["urn:example:x"]["active"]),
        (&json!(false), &json!(false))
    );
    let on = json!([{"op": "replace", "path": "urn:example:x:active", "value": true}]);
    let on = api.patch(&ada, on).await.body;
    assert_eq!(
        (&on["active"], &on["urn:example:x"]["active"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(api.found("userName eq \"eve\"").await, Vec::<String>::new());
    assert_eq!(
        api.found("urn:example:x:userName eq \"eve\"").await,
        ["ada"]
    );
    let groups = json!([{"op": "add", "path": "groups", "value": "g"}]);
    api.patch(&ada, groups)
        .await
        .is_error(400, Some("mutability"));
    // Nor does what the core does not have below its own attribute become the extension's.
    let nick = json!([{"op": "add", "path": "name.nick", "value": "x"}]);
    api.patch(&ada, nick)
        .await
        .is_error(400, Some("invalidPath"));

    // One of several: which is not guessed.
    for answer in [
        api.patch(&ada, json!([{"op": "add", "path": "only", "value": "v"}]))
            .await,
        api.patch(&ada, json!([{"op": "add", "value": {"department": "d"}}]))
            .await,
        api.post("/Users", json!({"userName": "ben", "only": "v"}))
            .await,
        api.search("/Users", "only eq \"v\"").await,
    ] {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains("urn:example:x"), "{detail}");
        assert!(
            detail.contains("urn:example:y") || detail.contains(ENTERPRISE),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn a_groups_extension_says_nothing_of_its_members() {
    let api = Api::start().await;
    let ada = api.user("ada").await;
    let attributes = json!([{"name": "members", "multiValued": true}, {"name": "owner"}]);
    api.define(Kind::Group, "urn:example:team", attributes)
        .await;
    let body = json!({
        "displayName": "team", "members": [{"value": ada}],
        "urn:example:team": {"members": ["someone"], "owner": "eve"},
    });
    let created = api.post("/Groups", body).await;
    let team = created.created();
    assert_eq!(created.body["urn:example:team"]["owner"], "eve");
    assert_eq!(api.members(&team).await, std::slice::from_ref(&ada));
    let operations = json!([{"op": "remove", "path": "urn:example:team:members"}]);
    let patched = api.patch(&format!("/Groups/{team}"), operations).await;
    assert_eq!(patched.status, StatusCode::NO_CONTENT);
    assert_eq!(api.members(&team).await, [ada]);
}

#[tokio::test]
async fn a_definition_that_can_not_be_is_refused_and_says_why() {
    let api = Api::start().await;
    api.define(Kind::User, "urn:example:a:b", json!([{"name": "x"}]))
        .await;
    let one = || json!([{"name": "x"}]);
    for (urn, attributes, why) in [
        ("example:a", one(), "urn:"),
        ("urn:example", one(), "urn:NAMESPACE:NAME"),
        ("urn:example:a::b", one(), "urn:NAMESPACE:NAME"),
        ("urn:example:a:", one(), "urn:NAMESPACE:NAME"),
        ("urn:example:a b", one(), "ASCII"),
        ("urn:example:a[b", one(), "ASCII"),
        ("urn:example:é", one(), "ASCII"),
        (
            &format!("urn:example:{}", "x".repeat(200)),
            one(),
            "200 bytes",
        ),
        (CORE, one(), "IETF"),
        (&ENTERPRISE.to_uppercase(), one(), "every tenant has"),
        (
            "urn:ietf:params:scim:schemas:core:2.0:Device",
            one(),
            "IETF",
        ),
        (
            "urn:ietf:params:scim:api:messages:2.0:PatchOp",
            one(),
            "IETF",
        ),
        ("urn:example:a", one(), "urn:example:a:b"),
        ("urn:example:A:B:c", one(), "urn:example:a:b"),
        ("urn:example:c", json!([]), "attributes"),
        (
            "urn:example:c",
            json!([{"name": "x"}, {"name": "X"}]),
            "twice",
        ),
        ("urn:example:c", json!([{"name": ""}]), "name is 1 to 64"),
        ("urn:example:c", json!([{"name": "1x"}]), "name is 1 to 64"),
        ("urn:example:c", json!([{"name": "a.b"}]), "name is 1 to 64"),
        (
            "urn:example:c",
            json!([{"name": "$ref"}]),
            "name is 1 to 64",
        ),
        (
            "urn:example:c",
            json!([{"name": "x".repeat(65)}]),
            "name is 1 to 64",
        ),
        ("urn:example:c", json!([{}]), "name"),
        (
            "urn:example:c",
            json!([{"name": "x", "typ": "string"}]),
            "typ",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "type": "int"}]),
            "integer",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "type": "complex"}]),
            "without subAttributes",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "subAttributes": [{"name": "y"}]}]),
            "not complex",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "type": "complex", "subAttributes": [
            {"name": "y", "type": "complex", "subAttributes": [{"name": "z"}]}]}]),
            "x.y",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "type": "complex", "subAttributes": [
            {"name": "y", "multiValued": true}]}]),
            "several values",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "type": "complex", "subAttributes": [
            {"name": "y"}, {"name": "Y"}]}]),
            "twice",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "type": "complex", "multiValued": true,
            "subAttributes": [{"name": "primary"}]}]),
            "primary",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "required": true}]),
            "required",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "uniqueness": "server"}]),
            "uniqueness",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "uniqueness": "global"}]),
            "uniqueness",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "type": "reference"}]),
            "referenceTypes",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "referenceTypes": ["uri"]}]),
            "referenceTypes",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "type": "reference", "referenceTypes": ["Car"]}]),
            "referenceTypes",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "canonicalValues": [5]}]),
            "string",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "type": "integer", "canonicalValues": ["5"]}]),
            "canonicalValues",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "mutability": "writeOnly", "returned": "default"}]),
            "writeOnly",
        ),
        (
            "urn:example:c",
            json!([{"name": "x", "mutability": "once"}]),
            "immutable",
        ),
    ] {
        let refused = api.try_define(Kind::User, urn, attributes).await;
        let said = refused.expect_err(urn);
        assert!(said.contains(why), "{urn}: {said}");
    }
    let many = |count: usize| -> Value {
        (0..count)
            .map(|n| json!({"name": format!("a{n}")}))
            .collect()
    };
    let said = api
        .try_define(Kind::User, "urn:example:c", many(201))
        .await
        .unwrap_err();
    assert!(said.contains("200 attributes"), "{said}");
    api.define(Kind::User, "urn:example:c", many(200)).await;
    let said = api
        .try_define(Kind::Group, "urn:example:c", one())
        .await
        .unwrap_err();
    assert!(said.contains("extends User"), "{said}");
    for number in 2..20 {
        api.define(Kind::Group, &format!("urn:example:{number}"), one())
            .await;
    }
    let said = api
        .try_define(Kind::User, "urn:example:more", one())
        .await
        .unwrap_err();
    assert!(said.contains("20 extensions"), "{said}");
}

#[tokio::test]
async fn a_definition_in_use_can_only_grow() {
    let api = Api::start().await;
    let first = json!([
        {"name": "size", "type": "integer"},
        {"name": "at", "type": "complex", "subAttributes": [{"name": "floor", "canonicalValues": ["1"]}]},
    ]);
    api.define(Kind::User, BADGE, first.clone()).await;
    // Nobody has it: anything goes.
    api.define(Kind::User, BADGE, json!([{"name": "size"}]))
        .await;
    api.define(Kind::User, BADGE, first).await;
    let ada = api.badge("ada", json!({"size": 1})).await;
    api.user("ben").await;

    let grown = json!([
        {"name": "color"},
        {"name": "size", "type": "integer", "description": "in inches"},
        {"name": "at", "type": "complex", "subAttributes": [
            {"name": "room"}, {"name": "floor", "canonicalValues": ["0", "1"]}]},
    ]);
    api.define(Kind::User, BADGE, grown.clone()).await;
    let grow = json!([{"op": "add", "path": format!("{BADGE}:at.room"), "value": "r"}]);
    assert_eq!(
        api.patch(&ada, grow).await.body[BADGE],
        json!({"size": 1, "at": {"room": "r"}})
    );
    let changed = |pointer: &str, value: Value| {
        let mut changed = grown.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    for (attributes, why) in [
        (json!([{"name": "color"}]), "size"),
        (changed("/1/type", json!("string")), "size"),
        (changed("/1/name", json!("SIZE")), "size"),
        (
            changed("/2/subAttributes/1/canonicalValues", json!(["0"])),
            "at.floor",
        ),
        (changed("/2/subAttributes/0/name", json!("hall")), "at.room"),
        (
            changed("/0", json!({"name": "color", "returned": "never"})),
            "color",
        ),
    ] {
        let said = api
            .try_define(Kind::User, BADGE, attributes)
            .await
            .unwrap_err();
        assert!(
            said.contains(why) && said.contains("1 of its resources"),
            "{said}"
        );
    }
    let remove = || {
        api.ledger
            .commit(|draft| draft.remove_extension("corp", BADGE))
    };
    let said = remove().await.unwrap_err().to_string();
    assert!(said.contains("1 of its resources"), "{said}");
    let schema = format!("/Schemas/{BADGE}");
    assert_eq!(
        api.get(&schema).await.status,
        StatusCode::OK,
        "refused whole"
    );

    api.patch(&ada, json!([{"op": "remove", "path": BADGE}]))
        .await;
    remove().await.unwrap();
    api.get(&schema).await.is_error(404, None);
    let again = remove().await.unwrap_err().to_string();
    let none = Refused::NoSuchExtension {
        tenant: "corp".to_owned(),
        urn: BADGE.to_owned(),
    };
    assert_eq!(again, none.to_string());
}

#[tokio::test]
async fn a_text_that_looks_like_an_extension_is_no_use_of_it() {
    let api = Api::start().await;
    api.define(Kind::User, BADGE, json!([{"name": "x"}])).await;
    let text = format!("\"{BADGE}\":{{\"x\":1}}");
    let body = json!({"userName": "ada", "title": text, "nickName": BADGE});
    api.post("/Users", body).await.created();
    let removed = api
        .ledger
        .commit(|draft| draft.remove_extension("corp", BADGE));
    removed.await.unwrap();
}

#[tokio::test]
async fn a_schema_is_no_news_for_a_filter() {
    let api = Api::start().await;
    let before = api.ledger.directory().revision();
    api.define(Kind::User, BADGE, json!([{"name": "x"}])).await;
    assert_eq!(api.ledger.directory().revision(), before);
}

#[tokio::test]
async fn no_write_slips_a_value_under_a_schema_that_goes_meanwhile() {
    let api = Api::start().await;
    api.define(Kind::User, BADGE, json!([{"name": "x"}])).await;
    let ada = format!("/Users/{}", api.user("ada").await);
    let ben = format!("/Users/{}", api.user("ben").await);
    let (start, started) = oneshot::channel();
    let (release, released) = mpsc::channel::<()>();
    let busy = api.ledger.commit(move |_| {
        let _ = start.send(());
        let _ = released.recv();
        Ok::<_, Refused>(())
    });
    let remove = api
        .ledger
        .commit(|draft| draft.remove_extension("corp", BADGE));
    let write = async {
        started.await.unwrap();
        let badge = json!({"x": "v"});
        let create = api.post("/Users", json!({"userName": "cyd", BADGE: badge}));
        let replace = api.put(&ada, json!({"userName": "ada", BADGE: badge}));
        let add = json!([{"op": "add", "value": {(BADGE): badge}}]);
        let patch = api.patch(&ben, add);
        let mut writes = [
            create.boxed_local(),
            replace.boxed_local(),
            patch.boxed_local(),
        ];
        // From here on each has read the schemas that are about to change.
        for write in &mut writes {
            assert!(futures::poll!(write).is_pending());
        }
        release.send(()).unwrap();
        futures::future::join_all(writes).await
    };
    let (busy, removed, answers) = futures::join!(busy, remove, write);
    busy.unwrap();
    removed.unwrap();
    for answer in answers {
        assert!(answer.status.is_success(), "{}", answer.body);
        assert_eq!(answer.body["schemas"], json!([CORE]));
    }
    let directory = api.ledger.directory();
    let mut users = directory.tenant("corp").unwrap().users();
    assert!(users.all(|user| !user.attributes().contains_key(BADGE)));
}
