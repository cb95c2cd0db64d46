use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::Api;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[tokio::test]
async fn rfc7643_5_the_configuration_advertises_what_works() {
    let api = Api::start().await;
    let config = api.get("/ServiceProviderConfig").await;
    assert_eq!(config.status, StatusCode::OK);
    assert_eq!(config.headers["content-type"], "application/scim+json");
    for (feature, supported) in [
        ("patch", true),
        ("filter", true),
        ("bulk", true),
        ("sort", true),
        ("etag", true),
        ("changePassword", false),
    ] {
        assert_eq!(config.body[feature]["supported"], supported, "{feature}");
    }
    assert_eq!(
        config.body["pagination"],
        json!({
            "cursor": true, "index": true, "defaultPaginationMethod": "index",
            "defaultPageSize": 100, "maxPageSize": 1000, "cursorTimeout": 3600,
        })
    );
    assert_eq!(
        config.body["authenticationSchemes"][0]["type"],
        "oauthbearertoken"
    );
}

#[tokio::test]
async fn rfc7643_6_resource_types_are_listed_and_found() {
    let api = Api::start().await;
    let types = api.get("/ResourceTypes").await;
    assert_eq!(types.listed("endpoint"), ["/Users", "/Groups"]);
    let user = api.get("/ResourceTypes/User").await.body;
    assert_eq!(user, types.body["Resources"][0]);
    assert_eq!(
        user["schemaExtensions"],
        json!([{"schema": ENTERPRISE, "required": false}])
    );
    api.get("/ResourceTypes/Device").await.is_error(404, None);
}

#[tokio::test]
async fn rfc7643_7_schemas_are_listed_and_found() {
    let api = Api::start().await;
    let schemas = api.get("/Schemas").await;
    assert_eq!(schemas.body["totalResults"], 3);
    for id in schemas.listed("id") {
        assert_eq!(api.get(&format!("/Schemas/{id}")).await.body["id"], id);
    }
    let user = &schemas.body["Resources"][0];
    let find = |name: &str| -> &Value {
        let attributes = user["attributes"].as_array().unwrap();
        attributes.iter().find(|a| a["name"] == name).unwrap()
    };
    assert_eq!(find("userName")["uniqueness"], "server");
    assert_eq!(find("password")["returned"], "never");
    assert_eq!(find("groups")["mutability"], "readOnly");
    assert_eq!(find("emails")["type"], "complex");
    assert_eq!(find("emails")["multiValued"], true);
    api.get("/Schemas/urn:x").await.is_error(404, None);
}

#[tokio::test]
async fn rfc7644_4_discovery_is_read_only_and_takes_no_filter() {
    let api = Api::start().await;
    let schema = format!("/Schemas/{ENTERPRISE}");
    for path in [
        "/ServiceProviderConfig",
        "/ResourceTypes",
        "/ResourceTypes/User",
        "/Schemas",
        &schema,
    ] {
        assert_eq!(api.get(path).await.status, StatusCode::OK, "{path}");
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = api.call(method, path, json!({})).await;
            answer.is_error(405, None);
            assert!(answer.headers["allow"].to_str().unwrap().contains("GET"));
        }
        api.search(path, "id pr").await.is_error(403, None);
        let stranger = api.call_as("nobody", Method::GET, path, Value::Null).await;
        stranger.is_error(401, None);
    }
}
