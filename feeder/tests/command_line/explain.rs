//! Why somebody may or may not, asked of the running feeder.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::feeder::{Feeder, Place, scimesh, stderr, stdout};

const ISSUER: &str = "https://idp.example";

const POLICY: &str = r#"
tenant: corp
feed: { cluster: feeder }
rules:
- name: health
  to: [{ paths: ["/healthz"], methods: ["GET"] }]
  allow: PUBLIC
- name: trial
  to: [{ paths: ["/refunds"] }]
  require: { anyOf: ["group:auditors"] }
  mode: SHADOW
- name: refunds
  to: [{ methods: ["POST"], paths: ["/refunds"] }]
  require: { anyOf: ["group:payments"], noneOf: ["group:contractors"] }
- name: jobs
  to: [{ methods: ["POST"], paths: ["/jobs"] }]
  require: { workload: { anyOf: ["role:batch"] } }
"#;

/// A company: ada is in payments by payments-admins, bob as well and a contractor, eve is inactive, batch is a machine.
struct Company {
    // Ends before its directory goes.
    feeder: Feeder,
    place: Place,
    policy: PathBuf,
    scim_token: String,
}

impl Company {
    fn new() -> Company {
        let place = Place::new();
        let feeder = place.start();
        place.done(&["tenant", "create", "corp", "--issuer", ISSUER]);
        let bind = ["binding", "set", "--tenant", "corp"];
        let by_email = [
            "--issuer",
            "https://mail.example",
            "--claim",
            "email",
            "--attribute",
            "email",
        ];
        place.done(&[&bind[..], &by_email].concat());
        place.done(&[&bind[..], &["--trust-domain", "cluster.local"]].concat());
        let token = place.done(&["token", "create", "--tenant", "corp"]);
        let create = |kind: &str, resource: Value| {
            let path = format!("POST /scim/v2/{kind}");
            let answer = feeder.scim(token.trim(), &path, &resource.to_string());
            assert_eq!(answer.status, 201, "{}", answer.body);
            let made: Value = serde_json::from_str(&answer.body).unwrap();
            made["id"].clone()
        };
        let user = |name: &str, external_id: &str, active: bool, roles: &[&str]| {
            let roles: Vec<Value> = roles.iter().map(|role| json!({"value": role})).collect();
            create(
                "Users",
                json!({
                    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name, "externalId": external_id,
                    "active": active, "emails": [{"value": format!("{name}@corp.example")}], "roles": roles,
                }),
            )
        };
        let group = |name: &str, members: &[&Value]| {
            let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
            create(
                "Groups",
                json!({
                    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": members,
                }),
            )
        };
        let (ada, bob) = (user("ada", "0a", true, &[]), user("bob", "0b", true, &[]));
        user("eve", "0e", false, &[]);
        user(
            "batch",
            "spiffe://cluster.local/ns/pay/sa/batch",
            true,
            &["batch"],
        );
        let admins = group("payments-admins", &[&ada, &bob]);
        group("payments", &[&admins]);
        group("contractors", &[&bob]);
        group("Auditors", &[]);
        let policy = place.write("policy.yaml", POLICY);
        Company {
            place,
            feeder,
            policy,
            scim_token: token.trim().to_owned(),
        }
    }

    fn arguments<'a>(&'a self, request: [&'a str; 2], more: &[&'a str]) -> Vec<&'a str> {
        let [method, path] = request;
        let file = self.policy.to_str().unwrap();
        let fixed = [
            "explain", "--policy", file, "--method", method, "--path", path,
        ];
        [&fixed[..], more].concat()
    }

    /// The one decision on `POST /refunds`.
    fn refund(&self, who: &[&str]) -> Value {
        let explained = self.place.json(&self.arguments(["POST", "/refunds"], who));
        let cases = explained["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 1, "{explained}");
        cases[0].clone()
    }

    fn refund_by(&self, claims: Value) -> Value {
        self.refund(&["--claims", &claims.to_string()])
    }
}

/// Not signed by anybody.
fn token(claims: &Value) -> String {
    use base64::Engine as _;
    let encode = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let header = json!({"alg": "RS256", "kid": "k"}).to_string();
    format!(
        "{}.{}.{}",
        encode(header),
        encode(claims.to_string()),
        encode("none".to_owned())
    )
}

#[test]
fn a_user_may_by_a_group_in_a_group_and_a_contractor_may_not() {
    let company = Company::new();
    let ada = company.refund(&["--user", "ADA", "--issuer", ISSUER]);
    assert_eq!(ada["allowed"], true);
    assert_eq!(ada["reason"], "permitted");
    assert_eq!(ada["rule"], "refunds");
    assert_eq!(ada["status"], 200);
    assert_eq!(ada["user"]["users"][0]["foundBy"], json!(["userName"]));
    let rules = ada["rules"].as_array().unwrap();
    assert_eq!(rules[0]["unmet"], json!([["methods", "paths"]]));
    assert_eq!(rules[1]["says"], "not_permitted");
    assert_eq!(rules[1]["mode"], "SHADOW");
    let trial = &rules[1]["require"]["user"][0];
    assert_eq!(trial["state"], "missing");
    assert_eq!(trial["groups"][0]["displayName"], "Auditors");
    let conditions = rules[2]["require"]["user"].as_array().unwrap();
    assert_eq!(conditions[0]["via"], json!(["payments-admins", "payments"]));
    assert_eq!(conditions[1]["state"], "not_held");

    let bob = company.refund_by(json!({"iss": ISSUER, "sub": "0b"}));
    assert_eq!(bob["allowed"], false);
    assert_eq!(bob["reason"], "not_permitted");
    assert_eq!(bob["changes"], json!(["take bob out of group:contractors"]));

    // As text, and by every binding when none is chosen.
    let said = company
        .place
        .done(&company.arguments(["POST", "/refunds/?a=b"], &["--user", "bob"]));
    for line in [
        "POST /refunds/?a=b, which rules see as /refunds",
        "refused: not_permitted (403), by the rule refunds",
        "rule health does not match, by its methods and paths",
        "rule trial (SHADOW, recorded only) says: not_permitted",
        "+ anyOf group:payments: held, by payments-admins > payments",
        "- noneOf group:contractors: held, by contractors",
        "to be allowed: take bob out of group:contractors",
        "with a lease renewed just now",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert_eq!(said.matches("refused: not_permitted").count(), 2, "{said}");
}

#[test]
fn a_token_that_names_nobody_says_exactly_why() {
    let company = Company::new();
    for (claims, reason, what, detail) in [
        (
            json!({"sub": "0a"}),
            "unknown_issuer",
            "issuer_unusable",
            "no claim iss",
        ),
        (
            json!({"iss": format!("{ISSUER}/"), "sub": "0a"}),
            "unknown_issuer",
            "issuer_not_bound",
            "differ in a final slash",
        ),
        (
            json!({"iss": ISSUER}),
            "no_subject",
            "claim_absent",
            "no claim sub",
        ),
        (
            json!({"iss": ISSUER, "sub": 7}),
            "no_subject",
            "claim_not_text",
            "not a string",
        ),
        (
            json!({"iss": ISSUER, "sub": ""}),
            "no_subject",
            "claim_empty",
            "empty",
        ),
        (
            json!({"iss": ISSUER, "sub": "0a\0"}),
            "no_subject",
            "claim_nul",
            "NUL",
        ),
        (
            json!({"iss": ISSUER, "sub": "a".repeat(1025)}),
            "no_subject",
            "claim_too_long",
            "1024",
        ),
        (
            json!({"iss": "https://mail.example", "email": "ada@corp.example", "email_verified": "true"}),
            "no_subject",
            "email_not_verified",
            "as a string",
        ),
        (
            json!({"iss": ISSUER, "sub": "ada"}),
            "unknown_subject",
            "no_user",
            "it is the userName of ada",
        ),
        (
            json!({"iss": ISSUER, "sub": "0e"}),
            "unknown_subject",
            "user_inactive",
            "eve is not active",
        ),
        (
            json!({"iss": ISSUER, "sub": "spiffe://cluster.local/ns/pay/sa/batch"}),
            "not_permitted",
            "",
            "",
        ),
    ] {
        let case = company.refund_by(claims.clone());
        assert_eq!(case["reason"], reason, "{claims}: {case}");
        if what.is_empty() {
            assert_eq!(case["user"]["problem"], Value::Null, "{case}");
            continue;
        }
        let problem = &case["user"]["problem"];
        assert_eq!(problem["what"], what, "{claims}");
        assert!(
            problem["detail"].as_str().unwrap().contains(detail),
            "{problem}"
        );
        assert_ne!(case["changes"], json!([]), "{claims}");
    }
    let nobody = company.refund(&[]);
    assert_eq!(
        (&nobody["reason"], &nobody["user"]),
        (&json!("no_token"), &Value::Null)
    );
}

#[test]
fn a_name_that_somebody_else_had_is_told_to_be_held() {
    let company = Company::new();
    let scim = |request: &str, body: Value| {
        let answer = company
            .feeder
            .scim(&company.scim_token, request, &body.to_string());
        assert!(answer.status < 300, "{}", answer.body);
        answer.body
    };
    let bob =
        company.refund(&["--user", "bob", "--issuer", ISSUER])["user"]["users"][0]["id"].clone();
    scim(
        &format!("DELETE /scim/v2/Users/{}", bob.as_str().unwrap()),
        json!({}),
    );
    let successor = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "robert", "externalId": "0r", "active": true,
        "emails": [{"value": "bob@corp.example"}],
    });
    scim("POST /scim/v2/Users", successor);
    let mail =
        json!({"iss": "https://mail.example", "email": "bob@corp.example", "email_verified": true});
    let case = company.refund_by(mail.clone());
    assert_eq!(case["reason"], "unknown_subject");
    assert_eq!(case["user"]["problem"]["what"], "name_held");
    assert_eq!(case["user"]["users"][0]["userName"], "robert");
    let until = case["user"]["heldUntil"].as_str().unwrap();
    assert!(
        case["changes"][0].as_str().unwrap().contains(until),
        "{case}"
    );
    assert!(
        case["changes"][0]
            .as_str()
            .unwrap()
            .contains("scimesh hold release"),
        "{case}"
    );

    let release = [
        "hold",
        "release",
        "--tenant",
        "corp",
        "--attribute",
        "email",
        "--value",
        "bob@corp.example",
    ];
    company.place.done(&release);
    let case = company.refund_by(mail);
    // In no group, and no rule admits every active user.
    assert_eq!(case["user"]["problem"]["what"], "no_terms");
    assert_eq!(case["user"]["heldUntil"], Value::Null);
    assert_eq!(case["changes"], json!(["give robert group:payments"]));
}

#[test]
fn a_workload_is_explained_like_a_user() {
    let company = Company::new();
    let by = |id: &str| {
        let arguments = company.arguments(["POST", "/jobs"], &["--workload", id]);
        company.place.json(&arguments)["cases"][0].clone()
    };
    let batch = by("spiffe://cluster.local/ns/pay/sa/batch");
    assert_eq!(batch["allowed"], true, "{batch}");
    assert_eq!(batch["workload"]["users"][0]["userName"], "batch");
    for (id, reason, what) in [
        (
            "spiffe://cluster.local/ns/pay/sa/other",
            "unknown_workload",
            "no_user",
        ),
        (
            "spiffe://elsewhere/ns/pay/sa/batch",
            "unknown_trust_domain",
            "trust_domain_not_bound",
        ),
        ("spiffe://cluster.local", "no_workload", "not_a_spiffe_id"),
    ] {
        let case = by(id);
        assert_eq!(case["reason"], reason, "{case}");
        assert_eq!(case["workload"]["problem"]["what"], what);
    }
}

#[test]
fn a_token_is_taken_apart_here_and_its_claims_alone_reach_the_feeder() {
    let company = Company::new();
    let secret = token(&json!({"iss": ISSUER, "sub": "0a", "exp": 1, "jti": "never-logged"}));
    let file = company.place.write("token", &secret);
    let file = file.to_str().unwrap();
    let told = company.place.json(&["explain", "--token", file]);
    assert_eq!(told["token"]["signatureVerified"], false);
    assert_eq!(told["token"]["alg"], "RS256");
    assert_eq!(told["token"]["refusedFor"], json!(["it has expired"]));
    assert_eq!(told["tenants"][0]["tenant"], "corp");
    assert_eq!(told["tenants"][0]["users"][0]["userName"], "ada");
    assert_eq!(told["tenants"][0]["problem"], Value::Null);
    let said = company.place.done(&["explain", "--token", file]);
    assert!(said.starts_with("THE SIGNATURE WAS NOT VERIFIED"), "{said}");
    assert!(
        said.contains("in tenant corp: claim sub of https://idp.example"),
        "{said}"
    );
    assert!(said.contains("names ada, id "), "{said}");

    let stranger = json!({"iss": "HTTPS://idp.example", "sub": "0a"}).to_string();
    let told = company.place.json(&["explain", "--claims", &stranger]);
    assert_eq!(told["tenants"], json!([]));
    let detail = told["problem"]["detail"].as_str().unwrap();
    assert!(
        detail.contains(
            "tenant corp has one for \"https://idp.example\": they differ in letter case"
        ),
        "{detail}"
    );

    // With a policy it is the subject; and the feeder's log has none of it.
    let case = company.refund(&["--token", file]);
    assert_eq!(case["reason"], "permitted");
    let twice = format!(
        "{}.{}.x",
        secret.split('.').next().unwrap(),
        "eyJzdWIiOjEsInN1YiI6Mn0"
    );
    let twice = company.place.write("twice", &twice);
    let error = company
        .place
        .refused(1, &["explain", "--token", twice.to_str().unwrap()]);
    assert!(error.contains("\"sub\" is there twice"), "{error}");
    let error = company.place.refused(1, &["explain", "--token", &secret]);
    assert!(
        error.contains("not the token itself") && !error.contains(&secret),
        "{error}"
    );
    let log = company.feeder.log();
    assert!(
        !log.contains("never-logged") && !log.contains(&secret[..20]),
        "{log}"
    );
}

#[test]
fn what_can_not_be_explained_is_refused_with_its_cause() {
    let company = Company::new();
    let place = &company.place;
    let refused = |arguments: &[&str], said: &str| {
        let error = place.refused(1, &company.arguments(["GET", "/"], arguments));
        assert!(error.contains(said), "{error}");
    };
    refused(
        &["--tenant", "acme", "--user", "ada"],
        "the policy is of tenant \"corp\", not of \"acme\"",
    );
    refused(&["--user", "nobody"], "no user of tenant \"corp\"");
    refused(
        &["--user", "ada", "--issuer", "https://idp.exampel"],
        "no binding is for the issuer",
    );
    refused(&["--policy-name", "7"], "not one of the policies");
    refused(&["--claims", "{\"sub\":1,\"sub\":2}"], "there twice");

    let explain = |policy: &str, more: &[&str]| {
        let file = place.write("other.yaml", policy);
        let fixed = [
            "explain",
            "--policy",
            file.to_str().unwrap(),
            "--method",
            "GET",
            "--path",
            "/healthz",
        ];
        place.run(&[&fixed[..], more].concat())
    };
    let fails = |policy: &str, more: &[&str], said: &str| {
        let output = explain(policy, more);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    };
    fails(&POLICY.replace("corp", "gone"), &[], "no tenant \"gone\"");
    fails(&POLICY.replace("PUBLIC", "SOMEBODY"), &[], "rules[0]");
    fails(
        &POLICY.replace("paths: [\"/healthz\"]", "hosts: [\"a.example\"]"),
        &[],
        "--host",
    );
    let manifest = |name: &str| {
        let indented = POLICY.replace('\n', "\n    ");
        format!(
            "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {{ name: {name} }}\nspec:\n  pluginConfig:{indented}\n"
        )
    };
    let two = format!(
        "{}---\n{}",
        manifest("first"),
        manifest("second").replace("PUBLIC", "NOBODY")
    );
    fails(&two, &[], "WasmPlugin second");
    let first = explain(&two, &["--policy-name", "first"]);
    assert!(
        stdout(&first).contains("allowed: public"),
        "{}",
        stderr(&first)
    );
    let second = explain(&two, &["--policy-name", "2"]);
    assert!(
        stdout(&second).contains("refused: nobody"),
        "{}",
        stderr(&second)
    );
    // The answer is no failure, whatever it is.
    assert_eq!(second.status.code(), Some(0));

    // What is used wrongly, and a feeder that does not run.
    for wrong in [
        &["explain", "--user", "ada"][..],
        &["explain"],
        &["explain", "--policy", "p"],
        &["explain", "--policy", "p", "--method", "GET"],
        &["explain", "--token", "a", "--claims", "{}"],
        &[
            "explain", "--policy", "p", "--method", "GET", "--path", "/", "--issuer", "x",
        ],
    ] {
        place.refused(2, wrong);
    }
    let none = scimesh()
        .args(["--data-dir", "/nonexistent", "explain", "--claims", "{}"])
        .output()
        .unwrap();
    assert_eq!(none.status.code(), Some(3), "{}", stderr(&none));
}
