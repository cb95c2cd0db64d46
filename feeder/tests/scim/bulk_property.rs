//! Any Bulk does what its operations do one by one, each as a request of its own, in the order of the request but for those that wait for what they
//! refer to. Two tenants of one feeder are given the same, the one by Bulk and the other one by one.

use std::collections::BTreeMap;

use axum::body::Body;
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::api::{Api, CORP, OTHER, request};

/// A resource: one that was there before, one that an operation of this Bulk creates, or none.
#[derive(Debug, Clone)]
enum Ref {
    Old(usize),
    New(usize),
    Nobody,
}

#[derive(Debug, Clone)]
enum Payload {
    User { name: u8, active: Option<bool> },
    Group { name: u8, members: Vec<Ref> },
    Patch(Vec<Change>),
}

#[derive(Debug, Clone)]
enum Change {
    UserName(u8),
    DisplayName(u8),
    Add(Vec<Ref>),
    RemoveList(Vec<Ref>),
    Remove(Ref),
}

#[derive(Debug, Clone)]
struct Step {
    method: &'static str,
    endpoint: &'static str,
    target: Option<Ref>,
    version: Option<u8>,
    body: Option<Payload>,
}

/// What references are written as.
trait Names {
    fn of(&self, reference: &Ref, users: bool) -> String;
}

/// The POSTs of a Bulk, by index; those of users alone, where circles must not come about.
struct Posts {
    all: Vec<usize>,
    users: Vec<usize>,
}

impl Posts {
    fn of(steps: &[Step]) -> Posts {
        let of = |wanted: fn(&Step) -> bool| {
            let steps = steps.iter().enumerate();
            let posts = steps.filter(move |(_, step)| step.method == "POST" && wanted(step));
            posts.map(|(index, _)| index).collect()
        };
        Posts {
            all: of(|_| true),
            users: of(|step| step.endpoint == "/Users"),
        }
    }

    /// The operation that a reference means, if it means one.
    fn operation(&self, reference: &Ref, users: bool) -> Option<usize> {
        let posts = if users { &self.users } else { &self.all };
        match reference {
            Ref::New(number) if !posts.is_empty() => Some(posts[number % posts.len()]),
            _ => None,
        }
    }
}

fn old(reference: &Ref, ids: &[String]) -> String {
    match reference {
        Ref::Old(number) | Ref::New(number) => ids[number % ids.len()].clone(),
        Ref::Nobody => "00000000-0000-4000-8000-000000000000".to_owned(),
    }
}

struct ByBulkId<'t> {
    posts: &'t Posts,
    ids: &'t [String],
}

impl Names for ByBulkId<'_> {
    fn of(&self, reference: &Ref, users: bool) -> String {
        match self.posts.operation(reference, users) {
            Some(index) => format!("bulkId:b{index}"),
            None => old(reference, self.ids),
        }
    }
}

struct ById<'t> {
    posts: &'t Posts,
    ids: &'t [String],
    created: &'t BTreeMap<usize, String>,
}

impl Names for ById<'_> {
    fn of(&self, reference: &Ref, users: bool) -> String {
        match self.posts.operation(reference, users) {
            Some(index) => self.created[&index].clone(),
            None => old(reference, self.ids),
        }
    }
}

impl Step {
    fn path(&self, names: &impl Names) -> String {
        match &self.target {
            None => self.endpoint.to_owned(),
            Some(target) => format!("{}/{}", self.endpoint, names.of(target, false)),
        }
    }

    fn body(&self, names: &impl Names) -> Value {
        let members = |members: &[Ref]| -> Vec<Value> {
            let ids = members.iter().map(|member| names.of(member, true));
            ids.map(|id| json!({"value": id})).collect()
        };
        match &self.body {
            None => Value::Null,
            Some(Payload::User { name, active }) => {
                let mut user = json!({"userName": format!("u{name}")});
                if let Some(active) = active {
                    user["active"] = json!(active);
                }
                user
            }
            // No name is an error.
            Some(Payload::Group { name: 0, .. }) => json!({"externalId": "x"}),
            Some(Payload::Group { name, members: of }) => {
                json!({"displayName": format!("g{name}"), "members": members(of)})
            }
            Some(Payload::Patch(changes)) => {
                let changes = changes.iter().map(|change| match change {
                    Change::UserName(name) => {
                        json!({"op": "replace", "path": "userName", "value": format!("U{name}")})
                    }
                    Change::DisplayName(name) => {
                        json!({"op": "replace", "path": "displayName", "value": format!("g{name}")})
                    }
                    Change::Add(of) => {
                        json!({"op": "add", "path": "members", "value": members(of)})
                    }
                    Change::RemoveList(of) => {
                        json!({"op": "remove", "path": "members", "value": members(of)})
                    }
                    Change::Remove(of) => {
                        let id = names.of(of, true);
                        json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")})
                    }
                });
                json!({"Operations": changes.collect::<Vec<_>>()})
            }
        }
    }

    /// The operations that create what it refers to.
    fn needs(&self, posts: &Posts) -> Vec<usize> {
        let none = Vec::new();
        let members: Vec<&Ref> = match &self.body {
            Some(Payload::Group { name, members }) if *name > 0 => members.iter().collect(),
            Some(Payload::Patch(changes)) => changes
                .iter()
                .flat_map(|change| match change {
                    Change::Add(members) | Change::RemoveList(members) => members.iter(),
                    Change::Remove(member) => std::slice::from_ref(member).iter(),
                    Change::UserName(_) | Change::DisplayName(_) => none.iter(),
                })
                .collect(),
            _ => Vec::new(),
        };
        let members = members.into_iter();
        let members = members.filter_map(|member| posts.operation(member, true));
        let target = self.target.iter();
        let target = target.filter_map(|target| posts.operation(target, false));
        members.chain(target).collect()
    }
}

fn reference() -> impl Strategy<Value = Ref> {
    prop_oneof![
        5 => (0..12_usize).prop_map(Ref::Old),
        5 => (0..12_usize).prop_map(Ref::New),
        1 => Just(Ref::Nobody),
    ]
}

fn members() -> impl Strategy<Value = Vec<Ref>> {
    prop::collection::vec(reference(), 0..3)
}

fn step() -> impl Strategy<Value = Step> {
    let user = || {
        (0..5_u8, any::<Option<bool>>()).prop_map(|(name, active)| Payload::User { name, active })
    };
    let group =
        || (0..4_u8, members()).prop_map(|(name, members)| Payload::Group { name, members });
    let change = prop_oneof![
        (0..5_u8).prop_map(Change::UserName),
        (0..4_u8).prop_map(Change::DisplayName),
        members().prop_map(Change::Add),
        members().prop_map(Change::RemoveList),
        reference().prop_map(Change::Remove),
    ];
    let patch = prop::collection::vec(change, 1..3).prop_map(Payload::Patch);
    let endpoint = prop_oneof![Just("/Users"), Just("/Groups")];
    let version = prop_oneof![3 => Just(None), 1 => (1..4_u8).prop_map(Some)];
    let made = prop_oneof![
        3 => user().prop_map(|body| ("POST", Some("/Users"), Some(body))),
        2 => group().prop_map(|body| ("POST", Some("/Groups"), Some(body))),
        1 => user().prop_map(|body| ("PUT", Some("/Users"), Some(body))),
        1 => group().prop_map(|body| ("PUT", Some("/Groups"), Some(body))),
        4 => patch.prop_map(|body| ("PATCH", None, Some(body))),
        1 => Just(("DELETE", None, None)),
    ];
    (made, endpoint, reference(), version).prop_map(
        |((method, fixed, body), endpoint, target, version)| Step {
            method,
            endpoint: fixed.unwrap_or(endpoint),
            target: (method != "POST").then_some(target),
            version: version.filter(|_| method != "POST"),
            body,
        },
    )
}

/// By Bulk: the statuses, none for what was left, and what was created by operation.
async fn by_bulk(
    api: &Api,
    steps: &[Step],
    fail_on_errors: Option<usize>,
    ids: &[String],
) -> (Vec<Option<String>>, BTreeMap<usize, String>) {
    let posts = Posts::of(steps);
    let names = ByBulkId { posts: &posts, ids };
    let operations: Vec<Value> = steps
        .iter()
        .enumerate()
        .map(|(index, step)| {
            let mut operation = json!({
                "method": step.method,
                "path": step.path(&names),
                "bulkId": format!("b{index}"),
                "data": step.body(&names),
            });
            if let Some(version) = step.version {
                operation["version"] = json!(format!("W/\"{version}\""));
            }
            operation
        })
        .collect();
    let body = json!({"Operations": operations, "failOnErrors": fail_on_errors});
    let answer = api.call_as(CORP, Method::POST, "/Bulk", body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut statuses = vec![None; steps.len()];
    let mut created = BTreeMap::new();
    for done in answer.body["Operations"].as_array().unwrap() {
        let index: usize = done["bulkId"].as_str().unwrap()[1..].parse().unwrap();
        statuses[index] = Some(done["status"].as_str().unwrap().to_owned());
        if done["status"] == "201" {
            let location = done["location"].as_str().unwrap();
            created.insert(index, location.rsplit('/').next().unwrap().to_owned());
        }
    }
    (statuses, created)
}

/// One by one, the same.
async fn one_by_one(
    api: &Api,
    steps: &[Step],
    fail_on_errors: Option<usize>,
    ids: &[String],
) -> (Vec<Option<String>>, BTreeMap<usize, String>) {
    let posts = Posts::of(steps);
    let mut statuses: Vec<Option<String>> = vec![None; steps.len()];
    let mut created = BTreeMap::new();
    let mut errors = 0;
    loop {
        let ready = steps.iter().enumerate().find(|(index, step)| {
            let mut needs = step.needs(&posts).into_iter();
            statuses[*index].is_none() && needs.all(|needed| statuses[needed].is_some())
        });
        let Some((index, step)) = ready else { break };
        let mut needs = step.needs(&posts).into_iter();
        let status = if needs.all(|needed| created.contains_key(&needed)) {
            let names = ById {
                posts: &posts,
                ids,
                created: &created,
            };
            let method = Method::from_bytes(step.method.as_bytes()).unwrap();
            let mut request = request(method, &step.path(&names), OTHER);
            if let Some(version) = step.version {
                request = request.header("if-match", format!("W/\"{version}\""));
            }
            let body = match step.body(&names) {
                Value::Null => Body::empty(),
                body => Body::from(body.to_string()),
            };
            let answer = api.send(request, body).await;
            if answer.status == 201 {
                created.insert(index, answer.created());
            }
            answer.status.as_u16()
        } else {
            409
        };
        statuses[index] = Some(status.to_string());
        errors += usize::from(status >= 400);
        if fail_on_errors.is_some_and(|accepted| errors >= accepted) {
            break;
        }
    }
    (statuses, created)
}

/// Every resource that has ever been, with numbers in the place of ids and without times.
async fn everything(api: &Api, token: &str, ids: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for id in ids {
        for endpoint in ["/Users", "/Groups"] {
            let path = format!("{endpoint}/{id}");
            let mut body = api
                .call_as(token, Method::GET, &path, Value::Null)
                .await
                .body;
            if let Some(meta) = body["meta"].as_object_mut() {
                meta.remove("created");
                meta.remove("lastModified");
            }
            let mut text = body.to_string();
            for (number, id) in ids.iter().enumerate() {
                text = text.replace(id, &format!("#{number}"));
            }
            all.push(text);
        }
    }
    for endpoint in ["/Users", "/Groups"] {
        let list = api.call_as(token, Method::GET, endpoint, Value::Null).await;
        all.push(list.body["totalResults"].to_string());
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_bulk_is_its_operations_one_by_one(
        bulks in prop::collection::vec(
            (prop::collection::vec(step(), 1..12), prop::option::of(1..4_usize)),
            1..4,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let api = Api::start().await;
            let mut ids = [Vec::new(), Vec::new()];
            for (token, ids) in [CORP, OTHER].into_iter().zip(&mut ids) {
                for name in ["u0", "u1", "old"] {
                    let body = json!({"userName": name});
                    ids.push(api.call_as(token, Method::POST, "/Users", body).await.created());
                }
                let body = json!({"displayName": "g1", "members": [{"value": ids[0]}]});
                ids.push(api.call_as(token, Method::POST, "/Groups", body).await.created());
            }
            for (steps, fail_on_errors) in &bulks {
                let (bulk, new) = by_bulk(&api, steps, *fail_on_errors, &ids[0]).await;
                let (single, new_too) = one_by_one(&api, steps, *fail_on_errors, &ids[1]).await;
                assert_eq!(bulk, single);
                ids[0].extend(new.into_values());
                ids[1].extend(new_too.into_values());
                let (corp, other) = (
                    everything(&api, CORP, &ids[0]).await,
                    everything(&api, OTHER, &ids[1]).await,
                );
                assert_eq!(corp, other);
            }
        });
    }
}
