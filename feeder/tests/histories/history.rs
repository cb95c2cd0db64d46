//! A history: requests that both the server and the model answer, and every difference between them.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::attributes::Kind;
use super::bulk;
use super::request::{Action, Among, Cursor, Listing, Request};
use super::server::{Answer, Server};
use super::service::{Expected, Seen, Service, Tenant};
use super::step::{Step, bind};

/// Plays a history. An error is what a person needs to see: the requests, and in what the answers differ.
pub(crate) async fn play(steps: &[Step]) -> Result<(), String> {
    let mut played = Played {
        server: Server::start().await,
        service: Service::default(),
        transcript: String::new(),
    };
    for step in steps {
        match step {
            Step::Compare => {
                played.compare_all(false).await?;
                let _ = writeln!(played.transcript, "  all that there is");
            }
            Step::Walk(list, between) => played.walk(list, between).await?,
            Step::One(_) | Step::Chain { .. } => {
                for request in step.requests() {
                    let request = bind(&request, &played.service);
                    played.exchange(&request).await?;
                }
            }
        }
    }
    played.compare_all(true).await?;
    played.server = played.server.restart().await;
    let _ = writeln!(played.transcript, "  restart");
    played.compare_all(true).await
}

struct Played {
    server: Server,
    service: Service,
    transcript: String,
}

impl Played {
    /// From page to page to the end of a list, while other things happen.
    async fn walk(&mut self, list: &Request, between: &[Request]) -> Result<(), String> {
        let mut page = bind(list, &self.service);
        let mut between = between.iter();
        while let Some(next) = self.exchange(&page).await? {
            if let Some(request) = between.next() {
                let request = bind(request, &self.service);
                self.exchange(&request).await?;
            }
            if let Action::List(_, listing) = &mut page.action {
                listing.cursor = Some(next);
            }
        }
        Ok(())
    }

    /// Gives the next page's cursor, if there is one.
    async fn exchange(&mut self, request: &Request) -> Result<Option<Cursor>, String> {
        let before = Timestamp::now();
        let answer = self.server.send(request).await;
        let at = (before, Timestamp::now());
        let _ = writeln!(self.transcript, "  {request}\n     -> {}", answer.status);
        if let Action::Bulk(requests, errors) = &request.action {
            let tenant = &mut self.service.tenants[request.tenant];
            let differs = bulk::differs(tenant, requests, *errors, &answer, at);
            let differs = differs.map_err(|what| self.failure(request, &answer, &what));
            return differs.map(|()| None);
        }
        let new = match (&request.action, answer.body.get("id")) {
            (Action::Create(..), Some(Value::String(id))) => id.clone(),
            _ => Uuid::nil().to_string(),
        };
        let known = |tenant: &Tenant| {
            let mut held = tenant.resources.iter().map(|resource| &resource.id);
            held.any(|id| *id == new) || tenant.gone.contains(&new)
        };
        if self.service.tenants.iter().any(known) {
            return Err(self.failure(request, &answer, "the id was used before"));
        }
        let tenant = &mut self.service.tenants[request.tenant];
        let seen = Seen {
            new: &new,
            at,
            status: answer.status,
        };
        let expected = tenant.answer(request, seen);
        let differs = differs(tenant, request, &expected, &answer);
        differs.map_err(|what| self.failure(request, &answer, &what))?;
        Ok(match (expected, &answer.body["nextCursor"]) {
            (Expected::Page { end: Some(end), .. }, Value::String(text)) => Some(Cursor {
                text: text.clone(),
                after: Some(end),
            }),
            _ => None,
        })
    }

    /// Compares all users and groups; also one by one.
    async fn compare_all(&mut self, singly: bool) -> Result<(), String> {
        for tenant in 0..self.service.tenants.len() {
            for kind in [Kind::User, Kind::Group] {
                let whole = |action| Request {
                    tenant,
                    action,
                    attributes: None,
                    excluded: None,
                    if_match: None,
                    if_none_match: None,
                };
                let listing = Listing {
                    count: Some(1000),
                    ..Listing::default()
                };
                let mut requests = vec![whole(Action::List(Among::Kind(kind), listing))];
                if singly {
                    let all = self.service.tenants[tenant].of(kind);
                    requests.extend(all.map(|r| whole(Action::Read(kind, r.id.clone()))));
                }
                for request in requests {
                    let length = self.transcript.len();
                    self.exchange(&request).await?;
                    self.transcript.truncate(length);
                }
            }
        }
        Ok(())
    }

    fn failure(&self, request: &Request, answer: &Answer, what: &str) -> String {
        let mut text = self.transcript.clone();
        if !text.contains(&request.to_string()) {
            let _ = writeln!(text, "  {request}");
        }
        let _ = writeln!(text, "answered: {} {}", answer.status, answer.body);
        let _ = writeln!(text, "but: {what}");
        // Names are easier to follow than ids.
        for (number, tenant) in self.service.tenants.iter().enumerate() {
            for kind in [Kind::User, Kind::Group] {
                for (index, resource) in tenant.of(kind).enumerate() {
                    let name = format!("{}-{index}-of-{number}", kind.name().to_lowercase());
                    text = text.replace(&resource.id, &name);
                }
            }
            for (index, id) in tenant.gone.iter().enumerate() {
                text = text.replace(id, &format!("gone-{index}-of-{number}"));
            }
        }
        text
    }
}

/// Says in what the answer differs from what is expected; takes in what only the server knows.
fn differs(
    tenant: &mut Tenant,
    request: &Request,
    expected: &Expected,
    answer: &Answer,
) -> Result<(), String> {
    match expected {
        Expected::Refused(refusals) => {
            let scim_type = answer.body["scimType"].as_str();
            let error = json!(["urn:ietf:params:scim:api:messages:2.0:Error"]);
            let met = refusals.contains(&(answer.status, scim_type))
                && answer.body["schemas"] == error
                && answer.body["status"] == json!(answer.status.to_string());
            match met {
                true => Ok(()),
                false => Err(format!("expected an error, one of {refusals:?}")),
            }
        }
        Expected::Empty => match (answer.status, &answer.body) {
            (204, Value::Null) => Ok(()),
            _ => Err("expected 204".to_owned()),
        },
        Expected::One(status, id) => {
            if answer.status != *status {
                return Err(format!("expected {status}"));
            }
            let meta = tenant.meta_mut(id).unwrap();
            let tag = answer.etag.as_deref();
            meta.learn_tag(tag.ok_or("there is no ETag")?)?;
            learn(tenant, &answer.body)?;
            let resource = tenant.resource(id).unwrap();
            let location = super::render::render(tenant, resource)["meta"]["location"].clone();
            if answer.location.as_deref() != location.as_str() {
                return Err(format!("Location is {:?}", answer.location));
            }
            same(&tenant.shown(resource, request).into(), &answer.body)
        }
        Expected::Known(id) => {
            if answer.status != 304 || answer.body != Value::Null {
                return Err("expected 304".to_owned());
            }
            let tag = answer.etag.as_deref();
            let meta = tenant.meta_mut(id).unwrap();
            meta.learn_tag(tag.ok_or("there is no ETag")?)
        }
        Expected::Page { total, ids, end } => {
            if answer.status != 200 {
                return Err(format!("expected 200, {total} in all, on the page {ids:?}"));
            }
            let Some(listed) = answer.body["Resources"].as_array() else {
                return Err("there are no Resources".to_owned());
            };
            for resource in listed {
                learn(tenant, resource)?;
            }
            let Action::List(_, listing) = &request.action else {
                return Err("no list".to_owned());
            };
            let shown = ids.iter().map(|id| {
                let resource = tenant.resource(id).unwrap();
                Value::Object(tenant.shown(resource, request))
            });
            let mut expected = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
                "totalResults": total,
                "itemsPerPage": ids.len(),
                "Resources": shown.collect::<Vec<Value>>(),
            });
            match (&listing.cursor, end, &answer.body["nextCursor"]) {
                (None, ..) => expected["startIndex"] = listing.start.unwrap_or(1).max(1).into(),
                // Its text is the server's.
                (Some(_), Some(_), next @ Value::String(_)) => {
                    expected["nextCursor"] = next.clone();
                }
                (Some(_), Some(_), _) => return Err("expected a nextCursor".to_owned()),
                (Some(_), None, _) => {}
            }
            same(&expected, &answer.body)
        }
    }
}

/// Takes in the `meta` of a resource that the server shows.
fn learn(tenant: &mut Tenant, shown: &Value) -> Result<(), String> {
    let id = shown["id"].as_str().unwrap_or_default();
    match tenant.meta_mut(id) {
        Some(meta) => meta.learn(&shown["meta"]),
        None => Err(format!("{id} is nobody")),
    }
}

fn same(expected: &Value, answered: &Value) -> Result<(), String> {
    let (expected, answered) = (unordered(expected), unordered(answered));
    match expected == answered {
        true => Ok(()),
        false => Err(format!("expected {expected}\n         got {answered}")),
    }
}

/// The order of members, and of a user's groups, means nothing.
fn unordered(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(unordered).collect(),
        Value::Object(object) => {
            let pairs = object.iter().map(|(key, value)| {
                let mut value = unordered(value);
                if let ("members" | "groups", Value::Array(list)) = (key.as_str(), &mut value) {
                    list.sort_by_key(Value::to_string);
                }
                (key.clone(), value)
            });
            Value::Object(pairs.collect())
        }
        other => other.clone(),
    }
}
