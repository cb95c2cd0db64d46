//! Policies are checked, tested and sized where nothing runs.

use serde_json::{Value, json};

use crate::feeder::{Place, stderr, stdout};

const POLICY: &str = "
tenant: corp
feed: { cluster: c }
rules:
- name: health
  to: [{ paths: [\"/healthz\"], methods: [\"GET\"] }]
  allow: PUBLIC
- name: metrics
  to: [{ paths: [\"/metrics\"] }]
  allow: NOBODY
- name: refunds
  to: [{ methods: [\"POST\"], paths: [\"/accounts/{*}/refunds\"] }]
  require: { anyOf: [\"group:payments-admins\"], noneOf: [\"group:contractors\"] }
  maxStaleness: 2m
  maxTokenAge: 15m
- name: jobs
  to: [{ paths: [\"/jobs/*\"] }]
  require: { workload: { anyOf: [\"role:batch\"] } }
- name: rest
  to: [{ paths: [\"/{**}\"] }]
  require: { anyOf: [\"active\"] }
";

/// A WasmPlugin with this policy, for the sidecars of `shop`.
fn plugin(policy: &str) -> String {
    let indented: String = policy.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{ name: shop }}\n---\napiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\n\
         metadata: {{ name: scimesh, namespace: shop }}\nspec:\n  selector: {{ matchLabels: {{ app: a }} }}\n  pluginConfig:\n{indented}"
    )
}

fn dump_line(line: Value) -> String {
    line.to_string() + "\n"
}

/// ada is in payments-admins by way of a nested group; bob left.
fn dump() -> String {
    let (ada, bob) = (
        "00000000-0000-4000-8000-000000000001",
        "00000000-0000-4000-8000-000000000002",
    );
    let (inner, outer) = (
        "00000000-0000-4000-8000-000000000003",
        "00000000-0000-4000-8000-000000000004",
    );
    [
        json!({"kind": "dump", "format": 1, "tenant": "corp", "generation": 7, "revision": 3, "new": "field",
            "bindings": [{"issuer": "https://idp.example", "claim": "sub", "attribute": "externalId"}]}),
        json!({"kind": "user", "id": ada, "userName": "ada", "externalId": "0a", "active": true, "emails": ["ada@corp.example"], "roles": ["owner"], "entitlements": []}),
        json!({"kind": "user", "id": bob, "userName": "bob", "externalId": "0b", "active": false, "emails": [], "roles": [], "entitlements": []}),
        json!({"kind": "group", "id": outer, "displayName": "payments-admins", "externalId": "1b", "users": [bob], "groups": [inner]}),
        json!({"kind": "group", "id": inner, "displayName": "Contractors", "users": [ada], "groups": []}),
    ]
    .map(dump_line)
    .concat()
}

fn path(place: &Place, name: &str, text: &str) -> String {
    place.write(name, text).display().to_string()
}

#[test]
fn a_good_policy_passes_the_check_with_its_notes() {
    let place = Place::new();
    let file = path(&place, "policy.yaml", POLICY);
    let said = place.done(&["policy", "check", "--strict", &file]);
    assert!(said.contains("note     rules[4] 'rest'"), "{said}");
    assert!(said.contains("[every-user]"), "{said}");
}

#[test]
fn errors_fail_the_check_and_warnings_only_if_it_is_strict() {
    let place = Place::new();
    let open = POLICY.replace("allow: NOBODY", "require: { noneOf: [\"group:x\"] }");
    let open = path(&place, "open.yaml", &open);
    place.done(&["policy", "check", &open]);
    let strict = place.run(&["policy", "check", "--strict", &open]);
    assert_eq!(strict.status.code(), Some(1));
    assert!(
        stdout(&strict).contains("[none-of-alone]"),
        "{}",
        stdout(&strict)
    );
    assert_eq!(stderr(&strict), "scimesh: 1 warning\n");

    let late = POLICY.replace("- name: health", "- name: first\n  to: [{ paths: [\"*\"] }]\n  require: { anyOf: [\"active\"] }\n- name: health");
    let late = path(&place, "late.yaml", &late);
    let wrong = POLICY.replace("allow: NOBODY", "allow: EVERYBODY");
    let wrong = path(&place, "wrong.yaml", &plugin(&wrong));
    let checked = place.run(&[
        "policy",
        "check",
        "--output",
        "json",
        &open,
        &late,
        &wrong,
        "none.yaml",
    ]);
    assert_eq!(checked.status.code(), Some(1));
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let codes = |index: usize| -> Vec<String> {
        let findings = checked[index]["findings"].as_array().unwrap().iter();
        let errors = findings.filter(|finding| finding["severity"] == "error");
        errors
            .map(|finding| {
                format!(
                    "{} {}",
                    finding["code"].as_str().unwrap(),
                    finding["rule"]["name"].as_str().unwrap()
                )
            })
            .collect()
    };
    assert_eq!(codes(0), [""; 0]);
    assert_eq!(
        codes(1),
        [
            "unreachable-rule metrics",
            "unreachable-rule refunds",
            "unreachable-rule jobs"
        ]
    );
    assert_eq!(checked[1]["file"], json!(late));
    assert_eq!(
        (&checked[2]["kind"], &checked[2]["namespace"]),
        (&json!("WasmPlugin"), &json!("shop"))
    );
    let error = checked[2]["error"].as_str().unwrap();
    assert!(error.starts_with("rules[1].allow: "), "{error}");
    assert!(
        checked[3]["error"].as_str().unwrap().contains("none.yaml"),
        "{checked}"
    );
}

#[test]
fn a_manifest_says_what_it_is_for_and_a_flag_says_otherwise() {
    let place = Place::new();
    let hosts = POLICY.replace(
        "[{ paths: [\"/metrics\"] }]",
        "[{ hosts: [\"in.corp\"], paths: [\"/metrics\"] }]",
    );
    let plugin = path(&place, "plugin.yaml", &plugin(&hosts));
    let refused = place.run(&["policy", "check", &plugin]);
    assert_eq!(refused.status.code(), Some(1));
    let said = stdout(&refused);
    assert!(
        said.contains("plugin.yaml:5: WasmPlugin shop/scimesh"),
        "{said}"
    );
    assert!(
        said.contains("error    rules[1] 'metrics': to: ") && said.contains("[host-evades]"),
        "{said}"
    );
    place.done(&["policy", "check", "--gateway", &plugin]);
    let bare = path(&place, "bare.yaml", &hosts);
    place.done(&["policy", "check", &bare]);
    assert_eq!(
        place
            .run(&["policy", "check", "--sidecar", &bare])
            .status
            .code(),
        Some(1)
    );
    assert_eq!(
        place
            .run(&["policy", "check", "--sidecar", "--gateway", &bare])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn terms_are_looked_up_in_a_dump() {
    let place = Place::new();
    let (file, directory) = (
        path(&place, "policy.yaml", POLICY),
        path(&place, "dump.jsonl", &dump()),
    );
    let checked = place.run(&["policy", "check", "--dump", &directory, &file]);
    assert_eq!(checked.status.code(), Some(1));
    let said = stdout(&checked);
    assert!(
        said.contains("did you mean \"group:Contractors\"?"),
        "{said}"
    );
    assert!(!said.contains("group:payments-admins:"), "{said}");
    let other = path(
        &place,
        "other.yaml",
        &POLICY.replace("tenant: corp", "tenant: acme"),
    );
    let checked = place.run(&["policy", "check", "--dump", &directory, &other]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(stdout(&checked).contains("for tenant acme, and the dump is of corp"));
    for (text, complaint) in [
        (String::new(), "dump.jsonl:1: an empty file"),
        (
            dump().replace("\"format\":1", "\"format\":2"),
            "dump.jsonl:1: format 2",
        ),
        (
            dump().replace("\"userName\":\"bob\"", "\"userName\":\"ADA\""),
            "dump.jsonl:3: userName",
        ),
        (dump() + "{\"kind\":\"user\"}\n", "dump.jsonl:6: "),
    ] {
        let directory = path(&place, "dump.jsonl", &text);
        let said = place.refused(1, &["policy", "check", "--dump", &directory, &file]);
        assert!(said.contains(complaint), "{said}");
    }
}

const TESTS: &str = "
policy: policy.yaml
tests:
- name: the probe needs nobody
  request: { path: /healthz }
  expect: { decision: allow, rule: health, reason: public }
- name: an admin may
  request: { method: POST, path: /accounts/7/refunds/ }
  subject: { groups: [payments-admins] }
  tokenAge: 10m
  expect: { decision: allow, rule: refunds }
- name: not with an old token
  request: { method: POST, path: /accounts/7/refunds }
  subject: { groups: [payments-admins] }
  tokenAge: 16m
  expect: { decision: deny, reason: token_too_old }
- name: nor on an old lease
  request: { method: POST, path: /accounts/7/refunds }
  subject: { groups: [payments-admins] }
  leaseAge: 3m
  expect: { reason: lease_ended }
- name: nor a contractor
  request: { method: POST, path: /accounts/7/refunds }
  subject: { groups: [payments-admins, contractors] }
  expect: { decision: deny, rule: refunds, reason: not_permitted }
- name: nor who left
  request: { path: / }
  subject: { active: false }
  expect: { decision: deny, rule: rest, reason: unknown_subject }
- name: the batch runs
  request: { path: /jobs/1 }
  workload: { roles: [batch] }
  expect: { decision: allow, rule: jobs }
- name: nobody else runs it
  request: { path: /jobs/1 }
  subject: { roles: [batch] }
  expect: { reason: no_workload }
- name: strangers don't either
  request: { path: /jobs/1 }
  spiffeId: spiffe://other/x
  expect: { reason: unknown_trust_domain }
- name: a tunnel
  request: { method: CONNECT, host: 'a:443' }
  expect: { decision: deny, reason: no_rule }
";

#[test]
fn tests_that_hold_pass() {
    let place = Place::new();
    place.write("policy.yaml", &plugin(POLICY));
    let tests = path(&place, "tests.yaml", TESTS);
    assert_eq!(
        place.done(&["policy", "test", &tests]),
        "10 passed, 0 failed\n"
    );
}

#[test]
fn a_test_that_fails_says_what_it_got() {
    let place = Place::new();
    place.write(
        "policy.yaml",
        &POLICY.replace(", noneOf: [\"group:contractors\"]", ""),
    );
    let tests = path(&place, "tests.yaml", TESTS);
    let failed = place.run(&["policy", "test", &tests]);
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(
        stdout(&failed),
        format!(
            "{tests}:22: nor a contractor\n  expected  deny by rule 'refunds' (not_permitted)\n  got       allow by rule 'refunds' (permitted)\n9 passed, 1 failed\n"
        )
    );
    assert_eq!(stderr(&failed), "scimesh: 1 failed test\n");
    let failed = place.run(&["policy", "test", "--output", "json", &tests]);
    assert_eq!(failed.status.code(), Some(1));
    let failed: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!(failed["failed"], 1);
    assert_eq!(
        failed["tests"][4],
        json!({"name": "nor a contractor", "line": 22, "passed": false,
            "expected": {"decision": "deny", "rule": "refunds", "reason": "not_permitted"},
            "got": {"decision": "allow", "rule": "refunds", "reason": "permitted"}})
    );
}

#[test]
fn tokens_are_held_against_a_directory() {
    let place = Place::new();
    place.write(
        "policy.yaml",
        &POLICY.replace("group:contractors", "group:Contractors"),
    );
    place.write("dump.jsonl", &dump());
    let tests = "
    - name: ada is a contractor
      request: { method: POST, path: /accounts/7/refunds }
      token: { iss: 'https://idp.example', sub: 0a }
      tokenAge: 1m
      expect: { reason: not_permitted }
    - name: of another issuer
      request: { path: / }
      token: { iss: 'https://other.example', sub: 0a }
      expect: { reason: unknown_issuer }
    - name: a number is no name
      request: { path: / }
      token: { iss: 'https://idp.example', sub: 10 }
      expect: { reason: no_subject }
    - name: bob left
      request: { path: / }
      token: { iss: 'https://idp.example', sub: 0b }
      expect: { reason: unknown_subject }
    - name: somebody new
      request: { method: POST, path: /accounts/7/refunds }
      subject: { groups: [payments-admins] }
      expect: { decision: allow }
";
    let dumped = format!("policy: policy.yaml\ndirectory: dump.jsonl\ntests:{tests}");
    let dumped = path(&place, "dumped.yaml", &dumped);
    assert_eq!(
        place.done(&["policy", "test", &dumped]),
        "5 passed, 0 failed\n"
    );
    let inline = format!(
        "policy: policy.yaml
directory:
  bindings: [{{ issuer: 'https://idp.example' }}]
  users:
  - {{ userName: ada, externalId: 0a }}
  - {{ userName: bob, externalId: 0b, active: false }}
  groups:
  - {{ displayName: payments-admins, groups: [Contractors] }}
  - {{ displayName: Contractors, users: [ada] }}
tests:{tests}"
    );
    let inline = path(&place, "inline.yaml", &inline);
    assert_eq!(
        place.done(&["policy", "test", &inline]),
        "5 passed, 0 failed\n"
    );
}

#[test]
fn a_mistake_in_a_test_is_named_with_its_line() {
    let place = Place::new();
    place.write("policy.yaml", POLICY);
    let test = |rest: &str| {
        format!("policy: policy.yaml\ntests:\n- name: t\n  request: {{ path: / }}\n  {rest}\n")
    };
    for (text, said) in [
        (
            test("expect: {}"),
            "tests.yaml:3: 't': expect: needs decision",
        ),
        (test("subject: {}"), "expect"),
        (
            test("expect: { rule: refund }"),
            "'t': expect.rule: the policy has no rule 'refund'",
        ),
        (
            test("expect: { reason: denied }"),
            "'t': expect.reason: 'denied' is no reason",
        ),
        (test("expect: { decision: maybe }"), "line 5"),
        (test("expect: { verdict: deny }"), "line 5"),
        (
            test("token: { iat: 7 }\n  expect: { decision: deny }"),
            "'t': token.iat",
        ),
        (
            test("tokenAge: 5m\n  expect: { decision: deny }"),
            "'t': tokenAge: there is no token",
        ),
        (
            test("tokenAge: 5 min\n  subject: {}\n  expect: { decision: deny }"),
            "line 5",
        ),
        (
            test("subject: { group: [a] }\n  expect: { decision: deny }"),
            "line 5",
        ),
        (
            test("subject: {}\n  token: {}\n  expect: { decision: deny }"),
            "'t': subject and token",
        ),
        (
            test("expect: { decision: deny }").replace("path: /", "method: GET"),
            "'t': request.path: missing",
        ),
        (
            test("subject: { groups: [x] }\n  expect: { decision: deny }")
                .replace("tests:", "directory: {}\ntests:"),
            "'t': subject.groups: 'x': the directory has no such group",
        ),
        (
            test("expect: { decision: deny }")
                .replace("tests:", "directory: { users: [{}] }\ntests:"),
            "tests.yaml:2: directory: ",
        ),
        (
            "policy: policy.yaml\ntests: []\n".to_owned(),
            "tests: an empty list",
        ),
        (
            "policy: none.yaml\ntests: []\n"
                .replace("[]", "[{ name: t, request: {}, expect: {} }]"),
            "none.yaml",
        ),
        (
            test("expect: { decision: deny }").replace("policy.yaml", "{ tenant: corp }"),
            "feed",
        ),
    ] {
        let tests = path(&place, "tests.yaml", &text);
        let complaint = place.refused(1, &["policy", "test", &tests]);
        assert!(complaint.contains(said), "{text}\n-> {complaint}");
    }
}

#[test]
fn a_policy_has_a_size() {
    let place = Place::new();
    let file = path(&place, "policy.yaml", POLICY);
    let directory = path(&place, "dump.jsonl", &dump());
    let size = place.json(&[
        "policy",
        "size",
        "--workers",
        "3",
        "--dump",
        &directory,
        &file,
    ]);
    let size = &size[0];
    assert_eq!((&size["users"], &size["entries"]), (&json!(2), &json!(1)));
    assert_eq!(
        (&size["terms"], &size["unresolved"], &size["termSets"]),
        (&json!(3), &json!(1), &json!(1))
    );
    let bytes = |field: &str| size[field].as_u64().unwrap();
    // An entry is a digest and the number of a set; around it are the bindings and the tables' empty places.
    assert!((100..600).contains(&bytes("wireBytes")), "{size}");
    assert!((20..1000).contains(&bytes("vmBytes")), "{size}");
    assert_eq!(bytes("proxyBytes"), 3 * bytes("vmBytes"));
    let said = place.done(&["policy", "size", "--dump", &directory, &file]);
    assert!(said.contains("3, of which 1 not resolved"), "{said}");
    let alone = path(
        &place,
        "alone.yaml",
        &POLICY.replace("anyOf: [\"active\"]", "anyOf: [\"role:nobody\"]"),
    );
    let alone = place.json(&["policy", "size", "--dump", &directory, &alone]);
    assert_eq!(alone[0]["everyUser"], false);
}

/// What a feeder prints is what the commands read.
#[test]
fn the_dump_of_a_running_feeder_is_one() {
    let place = Place::new();
    let feeder = place.start();
    place.done(&[
        "tenant",
        "create",
        "corp",
        "--issuer",
        "https://idp.example",
    ]);
    let token = place.done(&["token", "create", "--tenant", "corp"]);
    let user = r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada","externalId":"0a","active":true}"#;
    assert_eq!(
        feeder
            .scim(token.trim(), "POST /scim/v2/Users", user)
            .status,
        201
    );
    let directory = path(
        &place,
        "dump.jsonl",
        &place.done(&["dump", "--tenant", "corp"]),
    );
    let file = path(&place, "policy.yaml", POLICY);
    let size = place.json(&["policy", "size", "--dump", &directory, &file]);
    assert_eq!(
        (&size[0]["users"], &size[0]["entries"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn the_schema_for_editors_is_the_one_that_is_documented() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/policy.schema.json")).unwrap();
    let printed = Place::new().done(&["policy", "schema"]);
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), schema);
}
