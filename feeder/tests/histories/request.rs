//! Requests as structures: the model reads them, the server gets their text. Strings may hold placeholders for what only the server knows.

use std::fmt;

use http::Method;
use serde_json::{Map, Value, json};

use super::attributes::Kind;
use super::filter::{Filter, Test};
use super::sort::{Position, Sort};

/// One request of one tenant.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) tenant: usize,
    pub(crate) action: Action,
    pub(crate) attributes: Option<String>,
    pub(crate) excluded: Option<String>,
    pub(crate) if_match: Option<String>,
    pub(crate) if_none_match: Option<String>,
}

/// What it asks for.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Create(Kind, Keys),
    Replace(Kind, String, Keys),
    Patch(Kind, String, Vec<Operation>),
    Delete(Kind, String),
    Read(Kind, String),
    List(Among, Listing),
    /// Several at once. The `bulkId` of the second is `b1`.
    Bulk(Vec<Request>, Option<u64>),
    /// A body that nobody understands, and what becomes of it.
    Broken(Kind, &'static str),
}

/// What a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Among {
    Kind(Kind),
    /// The root: users, and then groups.
    All,
}

impl Among {
    pub(crate) fn kinds(self) -> Vec<Kind> {
        match self {
            Among::Kind(kind) => vec![kind],
            Among::All => vec![Kind::User, Kind::Group],
        }
    }

    pub(crate) fn endpoint(self) -> &'static str {
        match self {
            Among::Kind(kind) => kind.endpoint(),
            Among::All => "",
        }
    }
}

/// The parameters of a list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    pub(crate) filter: Option<Filter>,
    pub(crate) sort: Sort,
    pub(crate) start: Option<i64>,
    pub(crate) count: Option<i64>,
    /// Of whom goes through it by cursors.
    pub(crate) cursor: Option<Cursor>,
    /// As a SearchRequest (RFC 7644 section 3.4.3).
    pub(crate) search: bool,
}

/// Where a list goes on (RFC 9865).
#[derive(Debug, Clone, Default)]
pub(crate) struct Cursor {
    /// The server's; empty for the first page.
    pub(crate) text: String,
    /// The model's; none for the first page.
    pub(crate) after: Option<Position>,
}

/// The keys of an object that is, or changes, a resource; each leads to another place.
pub(crate) type Keys = Vec<(Path, Value)>;

/// `name[filter].part`. The name may have a URN, and a part of its own.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    pub(crate) name: String,
    pub(crate) filter: Option<Filter>,
    pub(crate) part: Option<String>,
}

/// One operation of a PATCH.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// As it is written.
    pub(crate) op: &'static str,
    pub(crate) target: Target,
}

#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A path, and a value or none.
    Path(Path, Option<Value>),
    /// No path: the value's keys.
    Keys(Keys),
}

impl Path {
    pub(crate) fn plain(name: impl Into<String>) -> Path {
        Path {
            name: name.into(),
            filter: None,
            part: None,
        }
    }

    fn map(&self, f: &impl Fn(&str) -> String) -> Path {
        Path {
            name: f(&self.name),
            filter: self.filter.as_ref().map(|filter| filter.map(f)),
            part: self.part.clone(),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(filter) = &self.filter {
            write!(f, "[{filter}]")?;
        }
        match &self.part {
            Some(part) => write!(f, ".{part}"),
            None => Ok(()),
        }
    }
}

impl Filter {
    fn map(&self, f: &impl Fn(&str) -> String) -> Filter {
        let inner = |filter: &Filter| Box::new(filter.map(f));
        let mapped = |test: &Test| Test {
            literal: map(&test.literal, f),
            ..test.clone()
        };
        match self {
            Filter::And(one, other) => Filter::And(inner(one), inner(other)),
            Filter::Or(one, other) => Filter::Or(inner(one), inner(other)),
            Filter::Not(filter) => Filter::Not(inner(filter)),
            Filter::Test(test) => Filter::Test(mapped(test)),
            Filter::Has(name, filter, test) => {
                Filter::Has(name.clone(), inner(filter), test.as_ref().map(mapped))
            }
        }
    }
}

impl Request {
    /// The same with every string mapped: placeholders become ids.
    pub(crate) fn map(&self, f: &impl Fn(&str) -> String) -> Request {
        let keys = |keys: &Keys| -> Keys {
            let mapped = |(path, value): &(Path, Value)| (path.map(f), map(value, f));
            keys.iter().map(mapped).collect()
        };
        let operation = |operation: &Operation| Operation {
            op: operation.op,
            target: match &operation.target {
                Target::Path(path, value) => {
                    Target::Path(path.map(f), value.as_ref().map(|value| map(value, f)))
                }
                Target::Keys(object) => Target::Keys(keys(object)),
            },
        };
        let action = match &self.action {
            Action::Create(kind, body) => Action::Create(*kind, keys(body)),
            Action::Replace(kind, id, body) => Action::Replace(*kind, f(id), keys(body)),
            Action::Patch(kind, id, operations) => {
                Action::Patch(*kind, f(id), operations.iter().map(operation).collect())
            }
            Action::Delete(kind, id) => Action::Delete(*kind, f(id)),
            Action::Read(kind, id) => Action::Read(*kind, f(id)),
            Action::List(among, listing) => Action::List(
                *among,
                Listing {
                    filter: listing.filter.as_ref().map(|filter| filter.map(f)),
                    ..listing.clone()
                },
            ),
            Action::Bulk(requests, errors) => {
                let requests = requests.iter().map(|request| request.map(f));
                Action::Bulk(requests.collect(), *errors)
            }
            Action::Broken(kind, body) => Action::Broken(*kind, body),
        };
        Request {
            action,
            ..self.clone()
        }
    }

    /// The kind and id of what it is about, if it is about one resource.
    pub(crate) fn about(&self) -> Option<(Kind, &str)> {
        match &self.action {
            Action::Replace(kind, id, _)
            | Action::Patch(kind, id, _)
            | Action::Delete(kind, id)
            | Action::Read(kind, id) => Some((*kind, id)),
            Action::Create(..) | Action::List(..) | Action::Bulk(..) | Action::Broken(..) => None,
        }
    }

    pub(crate) fn method(&self) -> Method {
        match &self.action {
            Action::Create(..) | Action::Bulk(..) | Action::Broken(..) => Method::POST,
            Action::Replace(..) => Method::PUT,
            Action::Patch(..) => Method::PATCH,
            Action::Delete(..) => Method::DELETE,
            Action::List(_, listing) if listing.search => Method::POST,
            Action::Read(..) | Action::List(..) => Method::GET,
        }
    }

    /// The path below the API's root, without the query.
    pub(crate) fn path(&self) -> String {
        match (&self.action, self.about()) {
            (_, Some((kind, id))) => format!("{}/{id}", kind.endpoint()),
            (Action::Create(kind, _) | Action::Broken(kind, _), None) => kind.endpoint().to_owned(),
            (Action::List(among, listing), None) if listing.search => {
                format!("{}/.search", among.endpoint())
            }
            (Action::List(among, _), None) => among.endpoint().to_owned(),
            (Action::Bulk(..), None) => "/Bulk".to_owned(),
            (action, None) => panic!("{action:?} is about something"),
        }
    }

    /// The query's parameters, as they are before they are encoded.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        match &self.action {
            Action::List(_, listing) if listing.search => Vec::new(),
            _ => self.wishes(),
        }
    }

    /// The parameters, wherever they are.
    fn wishes(&self) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        if let Action::List(_, listing) = &self.action {
            let filter = listing.filter.as_ref();
            all.extend(filter.map(|filter| ("filter", filter.to_string())));
            let Sort { by, order } = listing.sort;
            all.extend(by.map(|by| ("sortBy", by.to_owned())));
            all.extend(order.map(|order| ("sortOrder", order.to_owned())));
            all.extend(listing.start.map(|start| ("startIndex", start.to_string())));
            all.extend(listing.count.map(|count| ("count", count.to_string())));
            let cursor = listing.cursor.as_ref();
            all.extend(cursor.map(|cursor| ("cursor", cursor.text.clone())));
        }
        all.extend(self.attributes.clone().map(|list| ("attributes", list)));
        all.extend(
            self.excluded
                .clone()
                .map(|list| ("excludedAttributes", list)),
        );
        all
    }

    /// The body's text.
    pub(crate) fn body(&self) -> Option<String> {
        match &self.action {
            Action::Broken(_, body) => Some((*body).to_owned()),
            _ => self.json().map(|body| body.to_string()),
        }
    }

    fn json(&self) -> Option<Value> {
        match &self.action {
            Action::Create(_, keys) | Action::Replace(_, _, keys) => Some(object(keys)),
            Action::Patch(_, _, operations) => {
                let operations: Vec<Value> = operations.iter().map(Operation::json).collect();
                let schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
                Some(json!({"schemas": [schema], "Operations": operations}))
            }
            Action::Bulk(requests, errors) => {
                let requests = requests.iter().enumerate();
                let operations: Vec<Value> = requests
                    .map(|(index, request)| request.operation(index))
                    .collect();
                let schema = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
                Some(json!({
                    "schemas": [schema],
                    "failOnErrors": errors,
                    "Operations": operations,
                }))
            }
            Action::List(_, listing) if listing.search => Some(self.search_request()),
            Action::Delete(..) | Action::Read(..) | Action::List(..) | Action::Broken(..) => None,
        }
    }

    fn search_request(&self) -> Value {
        let schema = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
        let mut body = json!({"schemas": [schema]});
        for (name, text) in self.wishes() {
            body[name] = match name {
                "startIndex" | "count" => json!(text.parse::<i64>().unwrap()),
                "attributes" | "excludedAttributes" => text.split(',').collect(),
                _ => Value::String(text),
            };
        }
        body
    }

    /// As an operation of a Bulk.
    fn operation(&self, index: usize) -> Value {
        let mut operation = json!({"method": self.method().as_str(), "path": self.path()});
        if let Action::Create(..) = self.action {
            operation["bulkId"] = bulk_id(index).into();
        }
        if let Some(version) = &self.if_match {
            operation["version"] = version.as_str().into();
        }
        if let Some(data) = self.json() {
            operation["data"] = data;
        }
        operation
    }
}

/// What a person reads who has to find out what went wrong.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {} {}", self.tenant, self.method(), self.path())?;
        for (index, (name, value)) in self.parameters().into_iter().enumerate() {
            write!(f, "{}{name}={value}", if index == 0 { "?" } else { "&" })?;
        }
        if let Some(tags) = &self.if_match {
            write!(f, "  If-Match: {tags}")?;
        }
        if let Some(tags) = &self.if_none_match {
            write!(f, "  If-None-Match: {tags}")?;
        }
        match self.body() {
            Some(body) => write!(f, "\n        {body}"),
            None => Ok(()),
        }
    }
}

impl Operation {
    fn json(&self) -> Value {
        match &self.target {
            Target::Path(path, None) => json!({"op": self.op, "path": path.to_string()}),
            Target::Path(path, Some(value)) => {
                json!({"op": self.op, "path": path.to_string(), "value": value})
            }
            Target::Keys(keys) => json!({"op": self.op, "value": object(keys)}),
        }
    }
}

fn object(keys: &Keys) -> Value {
    let pairs = keys.iter();
    Value::Object(
        pairs
            .map(|(path, value)| (path.to_string(), value.clone()))
            .collect(),
    )
}

/// What a Bulk calls the resource that this operation creates.
pub(crate) fn bulk_id(operation: usize) -> String {
    format!("b{operation}")
}

/// A JSON value with every string in it mapped.
pub(crate) fn map(value: &Value, f: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(f(text)),
        Value::Array(list) => list.iter().map(|value| map(value, f)).collect(),
        Value::Object(object) => {
            let pairs = object.iter();
            let mapped: Map<String, Value> = pairs
                .map(|(key, value)| (key.clone(), map(value, f)))
                .collect();
            Value::Object(mapped)
        }
        other => other.clone(),
    }
}
