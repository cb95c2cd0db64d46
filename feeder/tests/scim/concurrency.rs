//! Many writers at once: what their responses say happened is what happened, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use axum::body::Body;
use futures::future::join_all;
use http::{Method, StatusCode};
use scimesh_feeder::directory::Refused;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::api::{Answer, Api, CORP, request};

const CLIENTS: usize = 32;
const ROUNDS: usize = 12;

/// The version that an answer names, as the number that it counts.
fn version(answer: &Answer) -> u64 {
    let tag = answer.headers["etag"].to_str().unwrap();
    let number = tag.trim_start_matches("W/").trim_matches('"');
    number.parse().unwrap()
}

/// What one client was told.
#[derive(Debug, Default)]
struct Told {
    /// The version that each of its changes made, and the name that it gave, if it gave one.
    versions: Vec<(u64, Option<String>)>,
    /// Its members that are in the group.
    members: BTreeSet<String>,
    /// Answers of 412.
    refused: usize,
}

impl Api {
    /// PATCH that is answered with the version.
    async fn patch_for_version(&self, path: &str, operations: Value) -> u64 {
        let answer = self
            .patch(&format!("{path}?attributes=id"), operations)
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        version(&answer)
    }

    async fn put_if_match(&self, path: &str, tag: &str, body: &Value) -> Answer {
        let request = request(Method::PUT, path, CORP).header("if-match", tag);
        self.send(request, Body::from(body.to_string())).await
    }
}

/// One client: it adds, removes and renames, and now and then puts the group whole.
async fn client(api: Arc<Api>, group: String, number: usize, mine: Vec<String>) -> Told {
    let path = format!("/Groups/{group}");
    let mut told = Told::default();
    for round in 0..ROUNDS {
        let member = &mine[round % mine.len()];
        let is_in = told.members.contains(member);
        match round % 4 {
            3 if number.is_multiple_of(2) => {
                let name = format!("put-{number}-{round}");
                let read = api.get(&path).await;
                let mut body = json!({"displayName": name});
                let mut members = read.body["members"].as_array().cloned().unwrap_or_default();
                members.retain(|held| held["value"] != **member);
                if !is_in {
                    members.push(json!({"value": member}));
                }
                body["members"] = json!(members);
                let tag = read.headers["etag"].to_str().unwrap().to_owned();
                let answer = api.put_if_match(&path, &tag, &body).await;
                if answer.status == StatusCode::PRECONDITION_FAILED {
                    told.refused += 1;
                    continue;
                }
                assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
                told.versions.push((version(&answer), Some(name)));
            }
            3 => {
                let name = format!("name-{number}-{round}");
                let rename = json!([{"op": "replace", "path": "displayName", "value": name}]);
                let made = api.patch_for_version(&path, rename).await;
                told.versions.push((made, Some(name)));
                continue;
            }
            _ => {
                let operation = match (is_in, round % 2) {
                    (false, _) => {
                        json!({"op": "add", "path": "members", "value": [{"value": member}]})
                    }
                    (true, 0) => {
                        json!({"op": "remove", "path": format!("members[value eq \"{member}\"]")})
                    }
                    (true, _) => {
                        json!({"op": "remove", "path": "members", "value": [{"value": member}]})
                    }
                };
                let made = api.patch_for_version(&path, json!([operation])).await;
                told.versions.push((made, None));
            }
        }
        if !told.members.remove(member) {
            told.members.insert(member.clone());
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_to_one_group_lose_nothing() {
    let api = Arc::new(Api::start().await);
    let group = api.group("first", &[]).await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut mine = Vec::new();
        for user in 0..5 {
            mine.push(api.user(&format!("user-{number}-{user}")).await);
        }
        clients.push(tokio::spawn(client(
            api.clone(),
            group.clone(),
            number,
            mine,
        )));
    }
    let told: Vec<Told> = join_all(clients)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();

    let changes = told.iter().flat_map(|told| &told.versions);
    let changes: BTreeMap<u64, &Option<String>> =
        changes.map(|(version, name)| (*version, name)).collect();
    let count: usize = told.iter().map(|told| told.versions.len()).sum();
    // Each change made one version of its own, and nothing else made any.
    assert!(changes.keys().copied().eq(2..=count as u64 + 1));
    let end = api.get(&format!("/Groups/{group}")).await;
    assert_eq!(version(&end), count as u64 + 1);
    let last_name = changes.values().rev().find_map(|name| name.as_deref());
    assert_eq!(end.body["displayName"].as_str(), last_name);
    let members: BTreeSet<String> = api.members(&group).await.into_iter().collect();
    let expected: BTreeSet<String> = told
        .iter()
        .flat_map(|told| &told.members)
        .cloned()
        .collect();
    assert_eq!(members, expected);
    // The story was about something.
    assert!(!members.is_empty() && told.iter().any(|told| told.refused > 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_to_one_user_lose_nothing() {
    let api = Arc::new(Api::start().await);
    let anne = api.user("anne").await;
    let path = format!("/Users/{anne}");
    let clients = (0..CLIENTS).map(|number| {
        let (api, path) = (api.clone(), path.clone());
        tokio::spawn(async move {
            let mut versions = Vec::new();
            let address = |round| format!("{round}.{number}@corp.example");
            for round in 0..4 {
                let add =
                    json!([{"op": "add", "path": "emails", "value": [{"value": address(round)}]}]);
                versions.push(api.patch_for_version(&path, add).await);
            }
            let remove = format!("emails[value eq \"{}\"]", address(0));
            let remove = json!([{"op": "remove", "path": remove}]);
            versions.push(api.patch_for_version(&path, remove).await);
            versions
        })
    });
    let versions = join_all(clients).await;
    let mut versions: Vec<u64> = versions.into_iter().flat_map(Result::unwrap).collect();
    versions.sort_unstable();
    assert!(versions.into_iter().eq(2..=5 * CLIENTS as u64 + 1));
    let end = api.get(&path).await.body;
    let emails = end["emails"].as_array().unwrap().iter();
    let emails: BTreeSet<&str> = emails
        .map(|email| email["value"].as_str().unwrap())
        .collect();
    let expected: BTreeSet<String> = (0..CLIENTS)
        .flat_map(|number| (1..4).map(move |round| format!("{round}.{number}@corp.example")))
        .collect();
    assert!(emails.into_iter().eq(expected.iter().map(String::as_str)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_name_goes_to_one_of_many() {
    let api = Arc::new(Api::start().await);
    let clients = (0..CLIENTS).map(|number| {
        let api = api.clone();
        tokio::spawn(async move {
            let name = if number % 2 == 0 { "anne" } else { "ANNE" };
            let bulk = json!({"Operations": [
                {"method": "POST", "path": "/Users", "bulkId": "1", "data": {"userName": name}},
            ]});
            match number % 3 {
                0 => {
                    let answer = api.post("/Bulk", bulk).await;
                    answer.body["Operations"][0]["status"] == "201"
                }
                _ => {
                    api.post("/Users", json!({"userName": name})).await.status
                        == StatusCode::CREATED
                }
            }
        })
    });
    let made = join_all(clients).await.into_iter().map(Result::unwrap);
    assert_eq!(made.filter(|made| *made).count(), 1);
    assert_eq!(api.get("/Users").await.body["totalResults"], 1);
}

/// Changes a user again and again, until told to stop. Each change waits in the writer until the next one is in the queue, so between whatever is read
/// of the user and whatever is queued then there always is one.
async fn keep_changing(api: &Api, id: Uuid, stop: &AtomicBool) {
    let mut before: Option<(mpsc::Sender<()>, oneshot::Receiver<()>)> = None;
    for round in 0.. {
        let (go, next_is_queued) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let change = api.ledger.commit(move |draft| {
            // An error: there is no next one.
            let _ = next_is_queued.recv();
            let user = draft.tenant("corp")?.user(id).cloned();
            let mut attributes = user.ok_or(Refused::NoSuchUser(id))?.attributes();
            attributes.insert("nickName".to_owned(), json!(format!("{round}")));
            let changed = draft.update_user("corp", id, attributes);
            let _ = end.send(());
            changed
        });
        // Polled once, it is in the queue; its reply is of no interest.
        let change = Box::pin(tokio::task::unconstrained(change));
        assert!(futures::poll!(change).is_pending());
        if let Some((go, ended)) = before.replace((go, ended)) {
            go.send(()).unwrap();
            ended.await.unwrap();
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
}

/// An edit made outside of the writer is void when its resource has changed meanwhile. Here it always has.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_writes_to_what_is_always_changing_gets_there_as_well() {
    let api = Arc::new(Api::start().await);
    let anne = api.user("anne").await;
    let path = format!("/Users/{anne}");
    let stop = Arc::new(AtomicBool::new(false));
    let changing = tokio::spawn({
        let (api, stop, id) = (api.clone(), stop.clone(), anne.parse().unwrap());
        async move { keep_changing(&api, id, &stop).await }
    });
    let all = async {
        let title = json!([{"op": "replace", "path": "title", "value": "x"}]);
        assert_eq!(api.patch(&path, title).await.status, StatusCode::OK);
        let body = json!({"userName": "anne", "displayName": "x", "title": "x"});
        assert_eq!(api.put(&path, body).await.status, StatusCode::OK);
        let bulk = json!({"Operations": [{"method": "PATCH", "path": path, "data": {
            "Operations": [{"op": "replace", "path": "displayName", "value": "y"}],
        }}]});
        let answer = api.post("/Bulk", bulk).await;
        assert_eq!(answer.body["Operations"][0]["status"], "200");
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), all).await;
    stop.store(true, Ordering::Relaxed);
    changing.await.unwrap();
    ended.expect("starved");
    let end = api.get(&path).await.body;
    assert_eq!(
        (&end["title"], &end["displayName"]),
        (&json!("x"), &json!("y"))
    );
}

#[tokio::test]
async fn a_write_that_changes_nothing_writes_nothing() {
    let api = Api::start().await;
    let anne = api
        .post("/Users", json!({"userName": "anne", "active": true}))
        .await;
    let team = api.group("team", &[&anne.created()]).await;
    let (user, group) = (
        format!("/Users/{}", anne.created()),
        format!("/Groups/{team}"),
    );
    let before = (api.get(&user).await, api.get(&group).await);
    let directory = api.ledger.directory();
    for (path, body) in [(&user, &before.0.body), (&group, &before.1.body)] {
        let answer = api.put(path, body.clone()).await;
        assert_eq!((answer.status, &answer.body), (StatusCode::OK, body));
        let same = json!([{"op": "replace", "value": body}]);
        let answer = api.patch(&format!("{path}?attributes=id"), same).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.headers["etag"], "W/\"1\"");
    }
    // Nothing was stored, and so nothing shown: it is the same directory, not an equal one.
    assert!(Arc::ptr_eq(&directory, &api.ledger.directory()));
    assert_eq!(api.get(&user).await.body, before.0.body);
    assert_eq!(api.get(&group).await.body, before.1.body);
}

#[tokio::test]
async fn one_request_is_one_version() {
    let api = Api::start().await;
    let (anne, ben) = (api.user("anne").await, api.user("ben").await);
    let team = api.group("team", &[&anne]).await;
    let path = format!("/Groups/{team}");
    let operations = json!([
        {"op": "replace", "path": "displayName", "value": "crew"},
        {"op": "add", "path": "members", "value": [{"value": ben}]},
        {"op": "remove", "path": "members", "value": [{"value": anne}]},
    ]);
    assert_eq!(api.patch_for_version(&path, operations).await, 2);
    let body = json!({"displayName": "team", "members": [{"value": anne}]});
    assert_eq!(version(&api.put(&path, body).await), 3);
    assert_eq!(api.members(&team).await, [anne]);
}
