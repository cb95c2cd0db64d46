//! A file of tenants and bindings, reconciled.

use serde_json::{Value, json};

use crate::feeder::Place;

const TWO: &str = "
tenants:
  corp:
    bindings:
    - issuer: https://idp.example
      claim: oid
  acme: {}
";

fn names(place: &Place) -> Vec<String> {
    let rows = place.json(&["tenant", "list"]);
    let names = rows.as_array().unwrap().iter();
    names
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect()
}

fn apply(place: &Place, file: &str, flags: &[&str]) -> Value {
    let path = place.write("tenants.yaml", file);
    place.json(&[&["apply", "-f", path.to_str().unwrap()], flags].concat())
}

#[test]
fn a_file_is_applied_once_and_then_changes_nothing() {
    let place = Place::new();
    let _feeder = place.start();
    let first = apply(&place, TWO, &[]);
    assert_eq!(first["changes"].as_array().unwrap().len(), 3);
    assert_eq!(first["revision"], 1, "all of it is one change: {first}");
    assert_eq!(names(&place), ["acme", "corp"]);
    let again = apply(&place, TWO, &["--prune"]);
    assert_eq!(again, json!({"changes": [], "revision": 1}));
}

#[test]
fn only_prune_deletes_what_the_file_does_not_name() {
    let place = Place::new();
    let _feeder = place.start();
    apply(&place, TWO, &[]);
    let less = "tenants: { corp: {} }";
    let kept = apply(&place, less, &[]);
    let removed =
        json!([{"change": "bindingRemoved", "tenant": "corp", "issuer": "https://idp.example"}]);
    assert_eq!(kept["changes"], removed);
    assert_eq!(names(&place), ["acme", "corp"]);
    let pruned = apply(&place, less, &["--prune"]);
    assert_eq!(
        pruned["changes"],
        json!([{"change": "tenantDeleted", "tenant": "acme"}])
    );
    assert_eq!(names(&place), ["corp"]);
}

#[test]
fn who_may_follow_the_feed_is_what_the_last_file_said_of_it() {
    let place = Place::new();
    let feeder = place.start();
    let file = "
tenants: { corp: {}, acme: {} }
feedAccess:
- peer: spiffe://cluster.local/ns/shop/sa/*
  tenants: [corp]
- peer: spiffe://cluster.local/ns/ops/sa/console
  tenants: [acme]
  terms: [active, 'group:ops-*']
";
    let rule = |value: Value| json!({ "change": "feedAccessAdded", "rule": value });
    let shop = json!({ "peer": "spiffe://cluster.local/ns/shop/sa/*", "tenants": ["corp"] });
    let ops = json!({
        "peer": "spiffe://cluster.local/ns/ops/sa/console",
        "tenants": ["acme"],
        "terms": ["active", "group:ops-*"],
    });
    let expected = json!([
        { "change": "tenantCreated", "tenant": "acme" },
        { "change": "tenantCreated", "tenant": "corp" },
        rule(ops.clone()),
        rule(shop.clone()),
    ]);
    assert_eq!(apply(&place, file, &["--dry-run"])["changes"], expected);
    assert!(names(&place).is_empty(), "a dry run changes nothing");
    assert_eq!(apply(&place, file, &[])["changes"], expected);

    feeder.kill();
    let _feeder = place.start();
    let head = place.done(&["dump", "--tenant", "corp"]);
    let head: Value = serde_json::from_str(head.lines().next().unwrap()).unwrap();
    assert_eq!(head["feedAccess"], json!([shop]));
    assert_eq!(apply(&place, file, &["--prune"])["changes"], json!([]));
    assert_eq!(apply(&place, "tenants: {}", &[])["changes"], json!([]));
    let nobody = apply(&place, "{ tenants: {}, feedAccess: [] }", &[]);
    assert_eq!(
        nobody["changes"],
        json!([
            { "change": "feedAccessRemoved", "rule": ops },
            { "change": "feedAccessRemoved", "rule": shop },
        ])
    );
}

#[test]
fn a_file_that_cannot_be_applied_changes_nothing() {
    let place = Place::new();
    let _feeder = place.start();
    let clash = "
tenants:
  acme: { bindings: [{ issuer: https://idp.example }] }
  corp: { bindings: [{ issuer: https://idp.example }] }
";
    let path = place.write("clash.yaml", clash);
    let said = place.refused(1, &["apply", "--file", path.to_str().unwrap()]);
    assert!(said.contains("https://idp.example"), "{said}");
    let path = place.write("typo.yaml", "tenants:\n  corp:\n    bindngs: []\n");
    let said = place.refused(1, &["apply", "--file", path.to_str().unwrap()]);
    assert!(
        said.contains("typo.yaml") && said.contains("line 3") && said.contains("bindngs"),
        "{said}"
    );
    let said = place.refused(1, &["apply", "--file", "/nonexistent"]);
    assert_eq!(said.matches("No such file").count(), 1, "{said}");
    assert!(names(&place).is_empty());
}

#[test]
fn a_feeder_can_start_with_a_file() {
    let place = Place::new();
    let path = place.write("tenants.yaml", TWO);
    let mut serve = place.serve();
    serve.arg("--config").arg(&path);
    let feeder = place.start_as(serve);
    assert_eq!(names(&place), ["acme", "corp"]);
    place.done(&["tenant", "create", "extra"]);
    feeder.kill();

    let mut serve = place.serve();
    serve.env("SCIMESH_CONFIG", &path);
    let _feeder = place.start_as(serve);
    assert_eq!(
        names(&place),
        ["acme", "corp", "extra"],
        "a start deletes no tenant"
    );
}
