//! Filters as trees.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::values;
use crate::attributes::ENTERPRISE;
use crate::filter::{Filter, Test};

const OPS: &[&str] = &[
    "eq", "eq", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr", "EQ", "Co", "PR",
];

fn test(
    path: impl Strategy<Value = &'static str> + 'static,
    literal: BoxedStrategy<Value>,
) -> BoxedStrategy<Test> {
    let literal = prop_oneof![40 => literal, 1 => select(vec![json!(null), json!(true), json!(1)])];
    (path, select(OPS), literal)
        .prop_map(|(path, op, literal)| Test {
            path: path.to_owned(),
            op,
            literal,
        })
        .boxed()
}

/// Equal or not, or there: no order.
fn plain_test(path: &'static [&'static str], literal: BoxedStrategy<Value>) -> BoxedStrategy<Test> {
    let ops = &["eq", "ne", "pr", "Eq"][..];
    (select(path), select(ops), literal)
        .prop_map(|(path, op, literal)| Test {
            path: path.to_owned(),
            op,
            literal,
        })
        .boxed()
}

fn tree(leaf: BoxedStrategy<Filter>) -> BoxedStrategy<Filter> {
    leaf.prop_recursive(3, 8, 2, |inner| {
        let two = || (inner.clone(), inner.clone());
        prop_oneof![
            two().prop_map(|(one, other)| Filter::And(Box::new(one), Box::new(other))),
            two().prop_map(|(one, other)| Filter::Or(Box::new(one), Box::new(other))),
            inner.clone().prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    })
    .boxed()
}

fn element_test() -> BoxedStrategy<Test> {
    prop_oneof![
        6 => plain_test(&["type", "TYPE"], values::sort().boxed()),
        4 => plain_test(&["value", "Value"], values::valued().boxed()),
        2 => plain_test(&["primary"], select(vec![json!(true), json!(false), json!("True")]).boxed()),
        2 => test(select(&["value", "display", "type", "locality"][..]), prop_oneof![values::valued(), values::text()].boxed()),
        1 => plain_test(&["nothing", "primary", "display"], values::text().boxed()),
    ]
    .boxed()
}

/// Over the elements of a list.
pub(super) fn of_element() -> BoxedStrategy<Filter> {
    let leaf = element_test().prop_map(Filter::Test).boxed();
    prop_oneof![2 => leaf.clone(), 1 => tree(leaf)].boxed()
}

fn has(lists: &'static [&'static str], inner: BoxedStrategy<Filter>) -> BoxedStrategy<Filter> {
    let test = proptest::option::weighted(0.4, element_test());
    (select(lists), inner, test)
        .prop_map(|(list, inner, test)| Filter::Has(list.to_owned(), Box::new(inner), test))
        .boxed()
}

fn related(kind: &'static str) -> BoxedStrategy<Value> {
    (0..5_usize)
        .prop_map(move |number| Value::from(format!("<{kind} {number}>")))
        .boxed()
}

fn time() -> BoxedStrategy<Value> {
    select(vec![
        json!("2020-01-01T00:00:00Z"),
        json!("2020-01-01T00:00:00Z"),
        json!("2120-01-01T00:00:00.5+01:00"),
        json!("today"),
    ])
    .boxed()
}

/// Over users.
pub(super) fn of_user() -> BoxedStrategy<Filter> {
    let leaf = prop_oneof![
        4 => test(select(&["userName", "USERNAME"][..]), values::user_name().boxed()),
        8 => test(select(USER_TEXTS), values::text().boxed()),
        3 => test(select(USER_LISTED), prop_oneof![values::valued(), values::sort()].boxed()),
        2 => plain_test(&["active", "emails.primary"], values::boolean().boxed()),
        1 => plain_test(&["manager", "manager.value", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value"],
            select(vec![json!("m1"), json!("M1")]).boxed()),
        2 => plain_test(&["id"], related("user")),
        2 => plain_test(&["groups", "groups.value"], related("group")),
        1 => plain_test(&["groups.display", "groups.type"], select(vec![json!("ADMINS"), json!("direct"), json!("indirect")]).boxed()),
        1 => test(select(&["meta.created", "meta.lastModified"][..]), time()),
        1 => plain_test(&["schemas", "meta.resourceType", "meta", "meta.location"],
            select(vec![json!(ENTERPRISE), json!("User"), json!("user")]).boxed()),
        1 => plain_test(&["password", "nothing", "name", ENTERPRISE, "emails", "x509Certificates"], values::text().boxed()),
    ]
    .prop_map(Filter::Test);
    let leaf = prop_oneof![
        16 => leaf,
        6 => has(&["emails", "Emails", "roles", "addresses", "phoneNumbers"], of_element()),
        2 => has(&["groups"], plain_test(&["value", "type"], related("group")).prop_map(Filter::Test).boxed()),
        1 => has(&["userName", "name", "emails.value"], of_element()),
    ];
    let leaf = leaf.boxed();
    prop_oneof![1 => leaf.clone(), 1 => tree(leaf)].boxed()
}

const USER_TEXTS: &[&str] = &[
    "title",
    "displayName",
    "nickName",
    "externalId",
    "name.givenName",
    "name.familyName",
    "urn:ietf:params:scim:schemas:core:2.0:User:title",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "department",
    "emails.display",
    "addresses.locality",
];
const USER_LISTED: &[&str] = &[
    "emails",
    "emails.value",
    "emails.type",
    "roles",
    "roles.value",
    "phoneNumbers.value",
];

/// Over groups.
pub(super) fn of_group() -> BoxedStrategy<Filter> {
    let name = select(vec![
        json!("admins"),
        json!("STAFF"),
        json!("s"),
        json!("link"),
    ]);
    let leaf = prop_oneof![
        4 => test(Just("displayName"), name.boxed()),
        2 => test(Just("externalId"), values::text().boxed()),
        2 => plain_test(&["id"], related("group")),
        2 => plain_test(&["members", "members.value"], related("group")),
        2 => plain_test(&["members", "members.value"], related("user")),
        1 => plain_test(&["members.type"], select(vec![json!("user"), json!("Group")]).boxed()),
        1 => test(select(&["meta.created", "meta.lastModified"][..]), time()),
        1 => plain_test(&["userName", "active"], values::text().boxed()),
    ]
    .prop_map(Filter::Test);
    let inner = prop_oneof![
        plain_test(&["value"], related("user")),
        plain_test(&["type"], Just(json!("User")).boxed()),
    ];
    let leaf = prop_oneof![
        6 => leaf,
        1 => has(&["members"], tree(inner.prop_map(Filter::Test).boxed())),
    ];
    let leaf = leaf.boxed();
    prop_oneof![1 => leaf.clone(), 1 => tree(leaf)].boxed()
}
