//! Bindings of workloads, and of names without regard to case: set, listed, removed, applied from a file, and there after a restart.

use serde_json::{Value, json};

use crate::feeder::Place;

const SET: [&str; 4] = ["binding", "set", "--tenant", "corp"];
const LIST: [&str; 4] = ["binding", "list", "--tenant", "corp"];
const REMOVE: [&str; 4] = ["binding", "remove", "--tenant", "corp"];

fn with<'a>(command: [&'a str; 4], flags: &[&'a str]) -> Vec<&'a str> {
    [&command[..], flags].concat()
}

#[test]
fn workloads_are_bound_by_their_trust_domain() {
    let place = Place::new();
    let feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    place.done(&with(SET, &["--trust-domain", "cluster.local"]));
    // An issuer of the same words is something else.
    place.done(&with(SET, &["--issuer", "cluster.local"]));
    let token = json!({"issuer": "cluster.local", "claim": "sub", "attribute": "externalId"});
    let workload = json!({"trustDomain": "cluster.local", "attribute": "externalId"});
    assert_eq!(place.json(&LIST), json!([token, workload]));
    let of = ["--trust-domain", "cluster.local"];
    assert_eq!(place.json(&with(LIST, &of)), json!([workload]));
    let of_tokens = ["--issuer", "cluster.local"];
    assert_eq!(place.json(&with(LIST, &of_tokens)), json!([token]));
    let table = place.done(&LIST);
    assert!(
        table.contains("\nspiffe://cluster.local         externalId"),
        "{table}"
    );

    let by_name = ["--trust-domain", "cluster.local", "--attribute", "userName"];
    let said = place.done(&with(SET, &by_name));
    let sentence = "a SPIFFE id of cluster.local names the user with that userName";
    assert!(said.contains(sentence), "{said}");
    let workload = json!({"trustDomain": "cluster.local", "attribute": "userName"});
    assert_eq!(place.json(&LIST), json!([token, workload]));
    feeder.kill();
    let _feeder = place.start();
    assert_eq!(place.json(&LIST), json!([token, workload]));

    let said = place.done(&with(REMOVE, &of));
    let sentence = "workloads of cluster.local name nobody any more";
    assert!(said.contains(sentence), "{said}");
    assert_eq!(place.json(&LIST), json!([token]));
    place.refused(1, &with(REMOVE, &of));
}

#[test]
fn a_trust_domain_is_one_tenants() {
    let place = Place::new();
    let _feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    place.done(&["tenant", "create", "acme"]);
    place.done(&with(SET, &["--trust-domain", "cluster.local"]));
    let theirs = ["binding", "set", "--tenant", "acme"];
    let theirs = with(theirs, &["--trust-domain", "cluster.local"]);
    let said = place.refused(1, &theirs);
    assert!(
        said.contains("trust domain \"cluster.local\" is bound in tenant \"corp\""),
        "{said}"
    );
    assert_eq!(
        place.json(&["binding", "list", "--tenant", "acme"]),
        json!([])
    );
    place.done(&["tenant", "delete", "corp"]);
    place.done(&theirs);
}

#[test]
fn a_name_may_be_compared_without_regard_to_case() {
    let place = Place::new();
    let feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    let issuer = ["--issuer", "https://idp.example", "--attribute", "email"];
    let any_case = [&issuer[..], &["--ignore-case"]].concat();
    let said = place.done(&with(SET, &any_case));
    assert!(said.contains("emails.value (in any case)"), "{said}");
    let mut held = json!([{"issuer": "https://idp.example", "claim": "sub",
                           "attribute": "emails.value", "ignoreCase": true}]);
    assert_eq!(place.json(&LIST), held);
    feeder.kill();
    let _feeder = place.start();
    assert_eq!(place.json(&LIST), held);
    // Not said is not so.
    place.done(&with(SET, &issuer));
    held[0].as_object_mut().unwrap().remove("ignoreCase");
    assert_eq!(place.json(&LIST), held);
}

#[test]
fn a_binding_may_say_where_tokens_list_groups() {
    let place = Place::new();
    let feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    let issuer = ["--issuer", "https://idp.example"];
    let listing = [
        "--groups-claim",
        "roles",
        "--groups-claim-is",
        "displayName",
    ];
    let said = place.done(&with(SET, &[&issuer[..], &listing[..]].concat()));
    let sentence = "with that externalId, and claim roles lists groups by their displayName";
    assert!(said.contains(sentence), "{said}");
    let mut held = json!([{"issuer": "https://idp.example", "claim": "sub", "attribute": "externalId",
                           "groupsClaim": "roles", "groupsClaimIs": "displayName"}]);
    assert_eq!(place.json(&LIST), held);
    let table = place.done(&LIST);
    assert!(table.contains("  roles by displayName"), "{table}");
    feeder.kill();
    let _feeder = place.start();
    assert_eq!(place.json(&LIST), held);
    let dump = place.done(&["dump", "--tenant", "corp"]);
    let head: Value = serde_json::from_str(dump.lines().next().unwrap()).unwrap();
    assert_eq!(head["bindings"], held);

    let file = "tenants: { corp: { bindings: [{ issuer: https://idp.example }] } }";
    let path = place.write("plain.yaml", file);
    let shown = place.json(&["apply", "--dry-run", "-f", path.to_str().unwrap()]);
    assert_eq!(shown["changes"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(place.json(&LIST), held);
    let changes = apply(&place, file);
    let binding = held[0].as_object_mut().unwrap();
    binding.remove("groupsClaim");
    binding.remove("groupsClaimIs");
    assert_eq!(
        changes,
        json!([{"change": "bindingSet", "tenant": "corp", "binding": held[0]}])
    );
    assert_eq!(place.json(&LIST), held);
}

#[test]
fn what_makes_no_sense_together_is_refused() {
    let place = Place::new();
    let _feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    for flags in [
        &[][..],
        &["--issuer", "i", "--trust-domain", "td"],
        &["--trust-domain", "td", "--claim", "sub"],
        &["--trust-domain", "td", "--pin", "a=b"],
        &["--trust-domain", "td", "--ignore-case"],
        &[
            "--trust-domain",
            "td",
            "--groups-claim",
            "g",
            "--groups-claim-is",
            "externalId",
        ],
        &["--issuer", "i", "--groups-claim", "g"],
        &["--issuer", "i", "--groups-claim-is", "externalId"],
        &[
            "--issuer",
            "i",
            "--groups-claim",
            "g",
            "--groups-claim-is",
            "id",
        ],
    ] {
        place.refused(2, &with(SET, flags));
    }
    for (flags, said) in [
        (
            &["--trust-domain", "Cluster.Local"][..],
            "trustDomain: 1 to 255 of",
        ),
        (&["--trust-domain", ""], "trustDomain: 1 to 255 of"),
        (
            &["--trust-domain", "td", "--attribute", "email"],
            "externalId or userName",
        ),
        (
            &["--trust-domain", "td", "--attribute", "id"],
            "externalId or userName",
        ),
        (
            &["--issuer", "i", "--ignore-case"],
            "only a userName or an email",
        ),
        (
            &["--issuer", "i", "--attribute", "id", "--ignore-case"],
            "only a userName or an email",
        ),
    ] {
        let complaint = place.refused(1, &with(SET, flags));
        assert!(complaint.contains(said), "{flags:?}: {complaint}");
    }
    assert_eq!(place.json(&LIST), json!([]));
}

fn apply(place: &Place, file: &str) -> Value {
    let path = place.write("tenants.yaml", file);
    place.json(&["apply", "-f", path.to_str().unwrap()])["changes"].take()
}

#[test]
fn a_file_has_bindings_of_both_kinds() {
    let place = Place::new();
    let _feeder = place.start();
    let file = "
tenants:
  corp:
    bindings:
    - { issuer: https://idp.example, attribute: userName, ignoreCase: true }
    - { trustDomain: cluster.local }
  acme: {}
";
    let token = json!({"issuer": "https://idp.example", "claim": "sub",
                       "attribute": "userName", "ignoreCase": true});
    let workload = json!({"trustDomain": "cluster.local", "attribute": "externalId"});
    let set = |tenant: &str, binding: &Value| json!({"change": "bindingSet", "tenant": tenant, "binding": binding});
    let changes = apply(&place, file);
    assert_eq!(changes.as_array().unwrap().len(), 4, "{changes}");
    assert_eq!(changes[2], set("corp", &token));
    assert_eq!(changes[3], set("corp", &workload));
    assert_eq!(place.json(&LIST), json!([token, workload]));
    assert_eq!(apply(&place, file), json!([]));

    // The trust domain passes to the other tenant, and case counts: one change.
    let other = "
tenants:
  corp: { bindings: [{ issuer: https://idp.example, attribute: userName }] }
  acme: { bindings: [{ trustDomain: cluster.local }] }
";
    let exact = json!({"issuer": "https://idp.example", "claim": "sub", "attribute": "userName"});
    let changes = apply(&place, other);
    let removed =
        json!({"change": "bindingRemoved", "tenant": "corp", "trustDomain": "cluster.local"});
    let expected = json!([removed, set("acme", &workload), set("corp", &exact)]);
    assert_eq!(changes, expected);
}

#[test]
fn a_file_whose_bindings_make_no_sense_says_where() {
    let place = Place::new();
    let _feeder = place.start();
    for (binding, said) in [
        (
            "{ attribute: externalId }",
            "issuer or trustDomain is missing",
        ),
        (
            "{ issuer: i, trustDomain: td }",
            "issuer and trustDomain: a binding has one of them",
        ),
        (
            "{ trustDomain: td, claim: sub }",
            "claim means nothing beside trustDomain",
        ),
        (
            "{ trustDomain: td, pin: { claim: a, value: b } }",
            "pin means nothing beside trustDomain",
        ),
        (
            "{ trustDomain: td, ignoreCase: true }",
            "ignoreCase: a SPIFFE id is compared exactly",
        ),
        ("{ trustDomain: TD }", "trustDomain: 1 to 255 of"),
        (
            "{ trustDomain: td, attribute: email }",
            "attribute: a workload is named by",
        ),
        (
            "{ issuer: i, ignoreCase: true }",
            "ignoreCase: only a userName or an email",
        ),
        ("{ issuer: i, ignorecase: true }", "ignorecase"),
    ] {
        let file = format!("tenants:\n  corp:\n    bindings:\n    - {binding}\n");
        let path = place.write("tenants.yaml", &file);
        let complaint = place.refused(1, &["apply", "-f", path.to_str().unwrap()]);
        assert!(
            complaint.contains(said) && complaint.contains("line 4"),
            "{complaint}"
        );
    }
}
