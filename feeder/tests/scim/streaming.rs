//! Answers that are larger than anyone should hold in memory.

use axum::body::Body;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use scimesh_feeder::directory::Refused;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::{Api, CORP, request};

/// More than a piece of an answer may have.
const TOO_LONG: usize = 64 << 10;

/// A tenant with this many users, all of them in each of so many groups.
async fn crowd(users: usize, groups: usize) -> Api {
    let api = Api::start().await;
    let attributes = |value: Value| value.as_object().cloned().unwrap();
    let made = api.ledger.commit(move |draft| {
        let mut members = Vec::new();
        for name in 0..users {
            let user = attributes(json!({"userName": format!("u{name}"), "active": true}));
            let user = draft.create_user("corp", Uuid::new_v4(), user)?;
            members.push(user.id);
        }
        for name in 0..groups {
            let group = attributes(json!({"displayName": format!("g{name}")}));
            draft.create_group("corp", Uuid::new_v4(), group, &members)?;
        }
        Ok::<_, Refused>(())
    });
    made.await.unwrap();
    api
}

#[tokio::test]
async fn a_list_is_sent_piece_by_piece() {
    let api = crowd(2000, 5).await;
    for path in [
        "/Groups",
        "/?sortBy=userName&sortOrder=descending&count=1000",
    ] {
        let request = request(Method::GET, path, CORP);
        let response = api.response(request, Body::empty()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let mut body = response.into_body();
        let mut text = Vec::new();
        let mut longest = 0;
        while let Some(frame) = body.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            longest = longest.max(piece.len());
            text.extend(piece);
        }
        assert!(longest < TOO_LONG, "{longest} bytes at once");
        let list: Value = serde_json::from_slice(&text).unwrap();
        let resources = list["Resources"].as_array().unwrap();
        assert_eq!(list["itemsPerPage"], resources.len());
        let groups = resources
            .iter()
            .filter(|r| r["meta"]["resourceType"] == "Group");
        let sizes: Vec<usize> = groups
            .map(|group| group["members"].as_array().unwrap().len())
            .collect();
        assert_eq!(sizes, [2000; 5]);
    }
}

#[tokio::test]
async fn a_large_group_is_sent_piece_by_piece() {
    let api = crowd(2000, 1).await;
    let id = api.get("/Groups?attributes=id").await.listed("id")[0].to_owned();
    let request = request(Method::GET, &format!("/Groups/{id}"), CORP);
    let mut body = api.response(request, Body::empty()).await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.len() < TOO_LONG, "{} bytes at once", first.len());
    assert_eq!(api.members(&id).await.len(), 2000);
}

/// More answers are under way than there are threads for work, and nobody reads them.
#[tokio::test]
async fn clients_that_stop_reading_hold_up_nobody() {
    let api = crowd(1000, 1).await;
    let mut held = Vec::new();
    for _ in 0..600 {
        let request = request(Method::GET, "/Groups", CORP);
        let mut body = api.response(request, Body::empty()).await.into_body();
        assert!(body.frame().await.is_some());
        held.push(body);
    }
    let id = api.get("/Groups?attributes=id").await.listed("id")[0].to_owned();
    let gone = api.delete(&format!("/Groups/{id}")).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    // Whoever goes on reading gets the rest, as it was.
    let rest = held.pop().unwrap().collect().await.unwrap().to_bytes();
    assert!(rest.ends_with(b"]}]}"));
}

#[tokio::test]
async fn rfc7644_3_9_sub_attributes_of_members_are_chosen() {
    let api = crowd(3, 1).await;
    for (query, keys) in [
        ("attributes=members.value", vec!["value"]),
        ("excludedAttributes=members.$ref", vec!["type", "value"]),
        ("attributes=members", vec!["$ref", "type", "value"]),
        (
            "attributes=urn:ietf:params:scim:schemas:core:2.0:Group:members.type",
            vec!["type"],
        ),
    ] {
        let groups = api.get(&format!("/Groups?{query}")).await;
        let member = &groups.body["Resources"][0]["members"][2];
        let found: Vec<&String> = member.as_object().unwrap().keys().collect();
        assert_eq!(found, keys, "{query}");
    }
    for query in [
        "attributes=displayName",
        "excludedAttributes=members",
        "attributes=members&excludedAttributes=members",
    ] {
        let groups = api.get(&format!("/Groups?{query}")).await;
        assert_eq!(groups.body["Resources"][0].get("members"), None, "{query}");
    }
}
