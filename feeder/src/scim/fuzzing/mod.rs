//! What must hold for any bytes: one function a fuzz target (`feeder/fuzz`), which panics where it does not.
//!
//! Only fuzzing and tests have it: everything that it looks into stays private to the crate. The tests here try the committed corpus, so that what
//! the fuzzer once found is tried again by `cargo test` alone.

#![allow(
    clippy::panic,
    reason = "a property that does not hold is told by a panic; no other build has this module"
)]

pub(crate) mod print;
mod scan;

use std::sync::LazyLock;

use axum::extract::Query as Pairs;
use scimesh_proto::digest::Key;
use scimesh_proto::position::History;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::bulk;
use super::filter::{Filter, FilterError};
use super::json::{self, JsonError};
use super::limits::{Limit, Limits};
use super::patch::path::Target;
use super::patch::{self, Edited, Op, Operation, PatchError};
use super::projection::Projection;
use super::query::Query;
use super::reading::Reading;
use crate::directory::{Attributes, Directory, Draft, Keys, MemberChange};
use crate::schema::{Kind, Resolved, ResourceType, Schema, Schemas, narrows};

/// Steps that one text may ask for here. Enough for anything this long, and little enough that a fuzzer's run is not spent on one text.
const WORK: usize = 1_000_000;

fn reading() -> Reading {
    Reading::new(limits())
}

fn limits() -> Limits {
    Limits {
        work: WORK,
        ..Limits::default()
    }
}

/// Those of every tenant, and an extension of users with what they have no example of.
pub(crate) fn schemas() -> &'static Schemas {
    static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| {
        let standard = Schemas::standard();
        let extension = serde_json::from_value::<Schema>(badge());
        match extension.map(|schema| (standard.admit(Kind::User, &schema), schema)) {
            Ok((Ok(()), schema)) => standard.with(Kind::User, schema),
            refused => panic!("{refused:?}"),
        }
    });
    &SCHEMAS
}

fn badge() -> Value {
    json!({
        "id": "urn:example:params:scim:schemas:Badge",
        "attributes": [
            {"name": "level", "type": "integer"},
            {"name": "score", "type": "decimal"},
            {"name": "scores", "type": "decimal", "multiValued": true},
            {"name": "tags", "multiValued": true, "caseExact": true},
            {"name": "since", "type": "dateTime", "mutability": "immutable"},
            {"name": "pin", "mutability": "writeOnly", "returned": "never"},
            {"name": "photo", "type": "binary", "returned": "request"},
            // The enterprise extension has one too.
            {"name": "department"},
            {"name": "locker", "type": "complex", "subAttributes": [
                {"name": "floor", "type": "integer"},
                {"name": "keeper", "type": "reference", "referenceTypes": ["User"]}
            ]},
            {"name": "cards", "type": "complex", "multiValued": true, "subAttributes": [
                {"name": "value", "type": "integer"},
                {"name": "primary", "type": "boolean"},
                {"name": "until", "type": "dateTime"},
                {"name": "code", "returned": "never"}
            ]}
        ]
    })
}

/// The resource types, each with a resource to try things on.
fn tried() -> [(&'static ResourceType, Attributes); 2] {
    [
        (schemas().of(Kind::User), object(user())),
        (schemas().of(Kind::Group), object(group())),
    ]
}

fn object(value: Value) -> Attributes {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn user() -> Value {
    json!({
        "externalId": "Bjensen-1",
        "userName": "bjensen@example.com",
        "displayName": "Straße",
        "active": false,
        "name": {"familyName": "O'Malley", "givenName": "Barbara"},
        "emails": [
            {"value": "bjensen@example.com", "type": "work", "primary": true},
            {"value": "babs@jensen.org", "type": "home"}
        ],
        "addresses": [{"type": "work", "country": "US"}],
        "roles": [{"value": "Admin"}],
        "x509Certificates": [{"value": "MII="}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "employeeNumber": "701984", "manager": {"value": "26118915"}
        },
        "urn:example:params:scim:schemas:Badge": {
            "level": 5,
            "scores": [1, 2.5],
            "tags": ["a"],
            "since": "2011-05-13T04:42:34Z",
            "cards": [{"value": 7, "primary": true}, {"value": 8}]
        }
    })
}

fn group() -> Value {
    json!({"displayName": "Tour Guides", "externalId": "g-1"})
}

/// What a client is shown of a resource, and filters see.
fn rendered(attributes: &Attributes) -> Attributes {
    let mut resource = attributes.clone();
    resource.extend(object(json!({
        "id": "2819c223-7f76-453a-919d-413861904646",
        "schemas": ["urn:x"],
        "meta": {"created": "2011-05-13T04:42:34Z", "lastModified": "2011-05-13T04:42:34Z"},
        "members": [{"value": "1", "$ref": "https://x/Users/1", "type": "User"}],
        "groups": [{"value": "2", "$ref": "https://x/Groups/2", "display": "G", "type": "direct"}],
    })));
    resource
}

/// A filter that is accepted can be evaluated, and means the same when it is written by the grammar.
pub fn filter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for (resources, attributes) in tried() {
        let Ok(filter) = Filter::parse(text, resources, &mut reading()) else {
            continue;
        };
        let resource = rendered(&attributes);
        let matches = filter.matches(&resource);
        assert_ne!(
            Filter::Not(Box::new(filter.clone())).matches(&resource),
            matches,
            "it is neither met nor not met"
        );
        let printed = print::filter(&filter);
        match Filter::parse(&printed, resources, &mut reading()) {
            Ok(again) => {
                assert_eq!(print::filter(&again), printed);
                assert_eq!(again.matches(&resource), matches, "{printed}");
            }
            Err(error) => assert!(is_too_much(&error), "{printed}: {error}"),
        }
    }
}

/// By the grammar, `a[b].c eq 1` is `a[(b) and c eq 1]`, which nests one level deeper, and names are longer with their URNs.
fn is_too_much(error: &FilterError) -> bool {
    matches!(error, FilterError::Exceeded(_))
}

/// A path that is accepted means the same when it is written by the grammar, and every operation on it leaves a proper resource.
pub fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for (resources, attributes) in tried() {
        let Ok(target) = Target::parse(text, resources, &mut reading()) else {
            continue;
        };
        let printed = print::path(&target);
        match Target::parse(&printed, resources, &mut reading()) {
            Ok(again) => assert_eq!(print::path(&again), printed),
            Err(PatchError::Filter(error)) if is_too_much(&error) => {}
            Err(error) => panic!("{printed}: {error}"),
        }
        for op in [Op::Add, Op::Replace, Op::Remove] {
            for value in values() {
                let operation = Operation {
                    op,
                    path: Some(text.to_owned()),
                    value,
                };
                let before = attributes.clone();
                if let Ok(edited) = patch::patch(resources, before, vec![operation], &mut reading())
                {
                    is_proper(resources, &edited.attributes);
                }
            }
        }
    }
}

fn values() -> Vec<Option<Value>> {
    vec![
        None,
        Some(Value::Null),
        Some(json!("True")),
        Some(json!("2011-05-13T04:42:34Z")),
        Some(json!({"value": "a", "type": "work", "primary": true})),
        Some(json!([{"value": "2819c223-7f76-453a-919d-413861904646"}])),
    ]
}

/// A body that is accepted as a PATCH, PUT or POST gives a proper resource; nobody becomes active or a member without being named.
pub fn patch(bytes: &[u8]) {
    let Ok(body) = json::parse(bytes, &limits()) else {
        return;
    };
    let said = Said::of(&body);
    for (resources, before) in tried() {
        let mut reading = reading();
        let patched = Operation::parse(body.clone(), &mut reading).and_then(|operations| {
            patch::patch(resources, before.clone(), operations, &mut reading)
        });
        if let Ok(edited) = patched {
            is_proper(resources, &edited.attributes);
            said.allows(&before, &edited);
        }
        let replaced = patch::replace(resources, &before, body.clone(), &mut self::reading());
        if let Ok(edited) = replaced {
            is_proper(resources, &edited.attributes);
            said.allows(&before, &edited);
        }
        if let Ok(edited) = patch::create(resources, body.clone(), &mut self::reading()) {
            is_proper(resources, &edited.attributes);
        }
    }
}

/// What is stored is as the schema has it: sent back whole, it stays as it is. Members are never among it.
fn is_proper(resources: &ResourceType, attributes: &Attributes) {
    assert!(!attributes.contains_key(resources.kind.related()));
    assert!(!attributes.contains_key("password"));
    let mut expected = attributes.clone();
    if resources.kind == Kind::User {
        assert!(matches!(
            attributes.get("active"),
            None | Some(Value::Bool(_))
        ));
        // A PUT says of an absent `active` what it means.
        expected.entry("active").or_insert(Value::Bool(false));
    }
    let body = Value::Object(attributes.clone());
    match patch::replace(resources, attributes, body, &mut reading()) {
        Ok(again) => assert_eq!(again.attributes, expected),
        Err(error) => panic!("{attributes:?} can't be put back: {error}"),
    }
}

/// Every key, string and boolean of a body, in lower case.
#[derive(Debug, Default)]
struct Said(Vec<String>);

impl Said {
    fn of(body: &Value) -> Said {
        let mut said = Said::default();
        said.collect(body);
        said
    }

    fn collect(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                // Some clients write JSON into strings.
                if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text)
                {
                    self.collect(&inner);
                }
                self.0.push(text.to_lowercase());
            }
            Value::Bool(value) => self.0.push(value.to_string()),
            Value::Array(list) => list.iter().for_each(|value| self.collect(value)),
            Value::Object(object) => {
                for (key, value) in object {
                    self.0.push(key.to_lowercase());
                    self.collect(value);
                }
            }
            Value::Null | Value::Number(_) => {}
        }
    }

    fn mentions(&self, part: &str) -> bool {
        self.0.iter().any(|said| said.contains(part))
    }

    fn says(&self, whole: &str) -> bool {
        self.0.iter().any(|said| said == whole)
    }

    /// Whether that this became of what was before can have been asked for.
    fn allows(&self, before: &Attributes, after: &Edited) {
        let active = |attributes: &Attributes| attributes.get("active") == Some(&Value::Bool(true));
        if active(&after.attributes) && !active(before) {
            assert!(self.mentions("active") && self.says("true"), "{self:?}");
        }
        for change in &after.members {
            let named: &[Uuid] = match change {
                MemberChange::Add(ids) | MemberChange::Set(ids) => ids,
                MemberChange::Remove(_) => &[],
            };
            for id in named {
                assert!(
                    self.mentions("members") && self.says(&id.to_string()),
                    "{id}: {self:?}"
                );
            }
        }
    }
}

/// Keys that serde_json gives a meaning of its own when it reads a `Value`; they are of no interest to ours.
const MAGIC: &[u8] = b"$serde_json::private::";

/// A Bulk request does what its rehearsal did, what fails in it changes nothing, and it leaves proper resources.
pub fn bulk(bytes: &[u8]) {
    let Ok(body) = json::parse(bytes, &limits()) else {
        return;
    };
    let Some(directory) = bulk::fuzzing::carried_out(&DIRECTORY, TENANT, body, &mut reading())
    else {
        return;
    };
    let Some(tenant) = directory.tenant(TENANT) else {
        panic!("the tenant is gone");
    };
    for user in tenant.users() {
        is_proper(tenant.schemas().of(Kind::User), &user.attributes());
    }
    for group in tenant.groups() {
        is_proper(tenant.schemas().of(Kind::Group), &group.attributes());
    }
}

const TENANT: &str = "corp";

/// A tenant with one user, in one group.
static DIRECTORY: LazyLock<Directory> = LazyLock::new(|| {
    let history = History {
        generation: 1,
        id: [1; 16],
    };
    let keys = Keys {
        content: Key::new([1; 32]),
        proof: Key::new([2; 32]),
    };
    let mut draft = Draft::new(
        &Directory::new(history, 0, keys),
        jiff::Timestamp::UNIX_EPOCH,
    );
    let made = draft.create_tenant(TENANT).and_then(|()| {
        for (kind, schema) in schemas().defined() {
            draft.set_extension(TENANT, kind, schema.clone())?;
        }
        let (member, group_id) = (Uuid::from_u128(0xa), Uuid::from_u128(0xb));
        draft.create_user(TENANT, member, object(user()))?;
        draft.create_group(TENANT, group_id, object(group()), &[member])
    });
    match made {
        Ok(_) => draft.finish().directory,
        Err(refused) => panic!("{refused}"),
    }
});

/// The file of an extension: a schema that is admitted is the same when it is read from what is served, takes nothing from the core, and its attributes
/// can be named, filtered by and written to.
pub fn extension(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(schema) = serde_saphyr::from_str::<Schema>(text) else {
        return;
    };
    for kind in Kind::ALL {
        if Schemas::standard().admit(kind, &schema).is_ok() {
            is_usable(kind, &schema);
        }
    }
}

fn is_usable(kind: Kind, schema: &Schema) {
    let served = serde_json::to_value(schema).unwrap_or_default();
    match serde_json::from_value::<Schema>(served) {
        Ok(again) => assert_eq!(again, *schema),
        Err(error) => panic!("what is served can't be read: {error}"),
    }
    assert_eq!(narrows(schema, schema), None);
    let schemas = Schemas::standard().with(kind, schema.clone());
    let resources = schemas.of(kind);
    for name in ["active", "members", "userName", "emails", "displayName"] {
        let is_core = |resources: &ResourceType| match resources.resolve(name) {
            Ok(Resolved::Attribute(place)) => Some(place.extension.is_none()),
            Ok(Resolved::Schema(_)) => None,
            Err(_) => Some(false),
        };
        assert!(
            !is_core(Schemas::standard().of(kind)).unwrap_or_default()
                || is_core(resources) == Some(true),
            "{name} is no longer the core's"
        );
    }
    for attribute in &schema.attributes {
        let subs = attribute.sub_attributes.iter();
        let subs = subs.map(|sub| (format!("{}.{}", attribute.name, sub.name), sub));
        for (name, leaf) in subs.chain([(attribute.name.clone(), attribute)]) {
            let name = format!("{}:{name}", schema.id);
            match resources.resolve(&name) {
                Ok(Resolved::Attribute(place)) => assert_eq!(place.leaf(), leaf, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
            if !attribute.is_dropped() && !leaf.is_dropped() {
                let filter = Filter::parse(&format!("{name} pr"), resources, &mut reading());
                assert!(filter.is_ok(), "{name}: {filter:?}");
            }
            for value in values() {
                let body = json!({"Operations": [{"op": "add", "path": name, "value": value}]});
                let before = match kind {
                    Kind::User => object(json!({"userName": "anne"})),
                    Kind::Group => object(json!({"displayName": "g"})),
                };
                let mut reading = reading();
                let edited = Operation::parse(body, &mut reading).and_then(|operations| {
                    patch::patch(resources, before, operations, &mut reading)
                });
                if let Ok(edited) = edited {
                    is_proper(resources, &edited.attributes);
                }
            }
        }
    }
}

/// JSON is accepted exactly if serde_json accepts it, it nests no deeper than the limit and no key is twice in an object; and it means the same.
pub fn json(bytes: &[u8]) {
    let limits = limits();
    let ours = json::parse(bytes, &limits);
    if bytes.windows(MAGIC.len()).any(|part| part == MAGIC) {
        return;
    }
    let (duplicate, depth) = match std::str::from_utf8(bytes) {
        Ok(text) => (scan::has_duplicate(text), scan::depth(text)),
        Err(_) => (false, scan::depth(&String::from_utf8_lossy(bytes))),
    };
    match (ours, serde_json::from_slice::<Value>(bytes)) {
        (Ok(ours), theirs) => {
            assert!(!duplicate, "a key is there twice: {ours}");
            assert!(depth <= limits.json_depth, "it nests {depth} deep");
            match theirs {
                Ok(theirs) => assert_eq!(ours, theirs),
                Err(error) => panic!("only we accept it: {ours}: {error}"),
            }
        }
        (Err(JsonError::Syntax(error)), theirs) => {
            assert!(duplicate || theirs.is_err(), "only we refuse it: {error}");
        }
        (Err(JsonError::Exceeded(exceeded)), _) => {
            assert_eq!(exceeded.limit, Limit::JsonDepth);
            assert!(depth > limits.json_depth, "it nests {depth} deep");
        }
    }
}

/// A query is drawn in to what can be answered; what is shown of a resource is a part of it, with its `id`.
pub fn query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(uri) = format!("/Users?{text}").parse::<http::Uri>() else {
        return;
    };
    let Ok(pairs) = Pairs::<Vec<(String, String)>>::try_from_uri(&uri) else {
        return;
    };
    let Ok(query) = Query::of_pairs(pairs.0) else {
        return;
    };
    for (resources, attributes) in tried() {
        let resource = rendered(&attributes);
        let text = query.filter.as_deref().unwrap_or_default();
        if let Ok(filter) = Filter::parse(text, resources, &mut reading()) {
            filter.matches(&resource);
        }
        let projection = Projection::new(resources, None, &query, &mut reading());
        let shown = projection.apply(resource.clone());
        assert_eq!(shown.get("id"), resource.get("id"));
        assert!(is_part(&Value::Object(shown), &Value::Object(resource)));
    }
}

fn is_part(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => part
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|whole| is_part(value, whole))),
        (Value::Array(part), Value::Array(whole)) => part
            .iter()
            .all(|part| whole.iter().any(|whole| is_part(part, whole))),
        (part, whole) => part == whole,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The committed corpus of a target.
    #[track_caller]
    fn corpus(target: &str, property: fn(&[u8])) {
        let inputs = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target);
        let mut tried = 0;
        for input in std::fs::read_dir(&inputs).unwrap() {
            let input = input.unwrap().path();
            println!("{}", input.display());
            property(&std::fs::read(&input).unwrap());
            tried += 1;
        }
        assert!(tried > 0, "{} is empty", inputs.display());
    }

    #[test]
    fn filters_of_the_corpus() {
        corpus("filter", filter);
    }

    #[test]
    fn paths_of_the_corpus() {
        corpus("path", path);
    }

    #[test]
    fn bodies_of_the_corpus() {
        corpus("patch", patch);
    }

    #[test]
    fn bulk_requests_of_the_corpus() {
        corpus("bulk", bulk);
    }

    #[test]
    fn extensions_of_the_corpus() {
        corpus("extension", extension);
    }

    #[test]
    fn json_of_the_corpus() {
        corpus("json", json);
    }

    #[test]
    fn queries_of_the_corpus() {
        corpus("query", query);
    }

    #[test]
    fn the_scan_for_duplicate_keys_finds_them() {
        for (text, duplicate) in [
            (r#"{"a":1,"b":{"a":2},"c":["a","a"]}"#, false),
            (r#"{"a":1,"\u0061":2}"#, true),
            (r#"[{"a\"":1},{"a\"":2,"b":[{"x":"{","x" : 1}]}]"#, true),
            (r#"{"a":"a","b":"\"a\":"}"#, false),
        ] {
            assert_eq!(scan::has_duplicate(text), duplicate, "{text}");
        }
    }
}
