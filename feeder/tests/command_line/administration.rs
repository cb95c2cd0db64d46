//! Tenants, bindings, tokens and dumps, through the socket.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::feeder::{Place, stderr, stdout};

#[test]
fn a_tenant_comes_and_goes() {
    let place = Place::new();
    let _feeder = place.start();
    place.done(&[
        "tenant",
        "create",
        "corp",
        "--issuer",
        "https://idp.example",
        "--claim",
        "oid",
    ]);
    place.done(&["tenant", "create", "acme"]);
    let again = place.refused(1, &["tenant", "create", "corp"]);
    assert!(
        again.contains("there is a tenant \"corp\" already"),
        "{again}"
    );
    let strange = place.refused(1, &["tenant", "create", "Corp Inc"]);
    assert!(strange.contains("can't name a tenant"), "{strange}");

    let table = place.done(&["tenant", "list"]);
    let names: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, ["NAME", "acme", "corp"]);
    let corp = json!([{"name": "corp", "users": 0, "groups": 0, "bindings": 1, "tokens": 0}]);
    assert_eq!(place.json(&["tenant", "list", "corp"]), corp);

    place.done(&["token", "create", "--tenant", "corp"]);
    let said = place.done(&["tenant", "delete", "corp"]);
    assert!(
        said.contains("0 users, 0 groups, 1 bindings and 1 tokens"),
        "{said}"
    );
    assert_eq!(place.json(&["tenant", "list"]).as_array().unwrap().len(), 1);
    place.refused(1, &["tenant", "delete", "corp"]);
}

#[test]
fn a_tenant_whose_binding_is_refused_is_not_created() {
    let place = Place::new();
    let _feeder = place.start();
    place.done(&[
        "tenant",
        "create",
        "corp",
        "--issuer",
        "https://idp.example",
    ]);
    let said = place.refused(
        1,
        &[
            "tenant",
            "create",
            "thief",
            "--issuer",
            "https://idp.example",
        ],
    );
    assert!(said.contains("corp"), "{said}");
    assert_eq!(place.json(&["tenant", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn bindings_are_set_replaced_listed_and_removed() {
    let place = Place::new();
    let _feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    let set = [
        "binding",
        "set",
        "--tenant",
        "corp",
        "--issuer",
        "https://idp.example",
    ];
    place.done(&set);
    let list = ["binding", "list", "--tenant", "corp"];
    let default =
        json!([{"issuer": "https://idp.example", "claim": "sub", "attribute": "externalId"}]);
    assert_eq!(place.json(&list), default);

    place.done(
        &[
            &set[..],
            &[
                "--claim",
                "email",
                "--attribute",
                "email",
                "--pin",
                "tid=a=b",
            ],
        ]
        .concat(),
    );
    let replaced = json!([{"issuer": "https://idp.example", "claim": "email", "attribute": "emails.value",
                           "pin": {"claim": "tid", "value": "a=b"}}]);
    assert_eq!(place.json(&list), replaced);
    assert_eq!(
        place.json(&[&list[..], &["--pin", "tid=c"]].concat()),
        json!([])
    );
    assert_eq!(
        place.json(&[&list[..], &["--issuer", "https://idp.example"]].concat()),
        replaced
    );

    let remove = [
        "binding",
        "remove",
        "--tenant",
        "corp",
        "--issuer",
        "https://idp.example",
    ];
    place.refused(1, &[&remove[..], &["--pin", "tid=c"]].concat());
    place.done(&[&remove[..], &["--pin", "tid=a=b"]].concat());
    assert_eq!(place.json(&list), json!([]));
    place.refused(1, &remove);
}

#[test]
fn what_a_list_lists_the_same_flags_remove() {
    let place = Place::new();
    let _feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    for (issuer, pin) in [
        ("a", "tid=1"),
        ("b", "tid=1"),
        ("c", "tid=2"),
        ("d", "tid=2"),
    ] {
        place.done(&[
            "binding", "set", "--tenant", "corp", "--issuer", issuer, "--pin", pin,
        ]);
    }
    let left = || {
        let rows = place.json(&["binding", "list", "--tenant", "corp"]);
        let issuers = rows.as_array().unwrap().iter();
        issuers
            .map(|row| row["issuer"].as_str().unwrap().to_owned())
            .collect::<String>()
    };
    let remove = ["binding", "remove", "--tenant", "corp"];
    let said = place.done(&[&remove[..], &["--pin", "tid=1"]].concat());
    assert_eq!(said.lines().count(), 2, "{said}");
    assert_eq!(left(), "cd");
    place.refused(
        1,
        &[&remove[..], &["--issuer", "c", "--pin", "tid=1"]].concat(),
    );
    assert_eq!(left(), "cd");
    place.done(&remove);
    assert_eq!(left(), "");
    place.refused(1, &remove);
}

#[test]
fn wrong_usage_has_a_status_of_its_own() {
    let place = Place::new();
    for usage in [
        &["tenant", "create"][..],
        &["tenant", "create", "corp", "--claim", "oid"],
        &["binding", "set", "--tenant", "corp"],
        &[
            "binding",
            "set",
            "--tenant",
            "corp",
            "--issuer",
            "i",
            "--attribute",
            "shoeSize",
        ],
        &[
            "binding", "set", "--tenant", "corp", "--issuer", "i", "--pin", "tid",
        ],
        &["binding", "set", "--tenant", "corp", "--issuer", ""],
        &[
            "binding", "set", "--tenant", "corp", "--issuer", "i", "--claim", "",
        ],
        &["token", "create", "--tenant", "corp", "--expires", "soon"],
        &["token", "create", "--tenant", "corp", "--expires", "0s"],
        &["token", "revoke", "--tenant", "corp"],
        &["serve", "--scim-listen", "here"],
        &["serve", "--scim-tls-cert", "cert.pem"],
        &[
            "serve",
            "--feed-tls-cert",
            "cert.pem",
            "--feed-tls-key",
            "key.pem",
        ],
        &["frobnicate"],
    ] {
        place.refused(2, usage);
    }
}

#[test]
fn a_token_is_shown_once_and_opens_scim_until_it_is_revoked() {
    let place = Place::new();
    let feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    let made = place.run(&["token", "create", "--tenant", "corp", "--expires", "90d"]);
    let token = stdout(&made).trim_end().to_owned();
    assert!(
        token.starts_with("scimesh_") && token.len() == 72,
        "{token}"
    );
    assert!(
        !token.contains(char::is_whitespace),
        "alone, so that $(…) takes it as it is"
    );
    assert!(!stderr(&made).contains(&token));

    let rows = place.json(&["token", "list", "--tenant", "corp"]);
    let id = rows[0]["id"].as_str().unwrap().to_owned();
    assert!(stderr(&made).contains(&id));
    assert_eq!(rows[0]["expired"], Value::Bool(false));
    assert!(!rows.to_string().contains(&token));
    assert!(!feeder.log().contains(&token), "tokens stay out of the log");

    assert_eq!(feeder.scim(&token, "GET /scim/v2/Users", "").status, 200);
    assert_eq!(
        feeder
            .scim("scimesh_other", "GET /scim/v2/Users", "")
            .status,
        401
    );
    place.refused(1, &["token", "revoke", "--tenant", "corp", "0000"]);
    place.done(&["token", "revoke", "--tenant", "corp", &id]);
    assert_eq!(feeder.scim(&token, "GET /scim/v2/Users", "").status, 401);
    assert_eq!(
        place.json(&["token", "list", "--tenant", "corp"]),
        json!([])
    );
}

#[test]
fn a_token_goes_with_its_tenant() {
    let place = Place::new();
    let feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    let token = place.done(&["token", "create", "--tenant", "corp"]);
    place.done(&["tenant", "delete", "corp"]);
    place.done(&["tenant", "create", "corp"]);
    assert_eq!(
        feeder
            .scim(token.trim_end(), "GET /scim/v2/Users", "")
            .status,
        401
    );
    place.refused(1, &["token", "create", "--tenant", "other"]);
}

#[test]
fn a_dump_has_what_terms_and_bindings_use_and_only_the_tenants_own() {
    let place = Place::new();
    let feeder = place.start();
    let mut tokens = Vec::new();
    for tenant in ["corp", "acme"] {
        place.done(&[
            "tenant",
            "create",
            tenant,
            "--issuer",
            &format!("https://{tenant}.example"),
        ]);
        tokens.push(place.done(&["token", "create", "--tenant", tenant]));
    }
    let create = |token: &str, kind: &str, mut resource: Value| {
        resource["schemas"] = json!([format!(
            "urn:ietf:params:scim:schemas:core:2.0:{}",
            &kind[..kind.len() - 1]
        )]);
        let answer = feeder.scim(
            token.trim_end(),
            &format!("POST /scim/v2/{kind}"),
            &resource.to_string(),
        );
        assert_eq!(answer.status, 201, "{}", answer.body);
        let made: Value = serde_json::from_str(&answer.body).unwrap();
        made["id"].as_str().unwrap().to_owned()
    };
    let ada = json!({"userName": "ada", "externalId": "0a", "nickName": "Countess",
                     "emails": [{"value": "ada@corp.example"}], "roles": [{"value": "owner"}]});
    let ada = create(&tokens[0], "Users", ada);
    let bob = create(
        &tokens[0],
        "Users",
        json!({"userName": "bob", "active": false}),
    );
    let inner = json!({"displayName": "inner", "members": [{"value": ada}, {"value": bob}]});
    let inner = create(&tokens[0], "Groups", inner);
    let outer = json!({"displayName": "outer", "externalId": "1b", "members": [{"value": inner}]});
    let outer = create(&tokens[0], "Groups", outer);
    create(&tokens[1], "Users", json!({"userName": "mallory"}));

    let dump = place.done(&["dump", "--tenant", "corp"]);
    let lines: Vec<Value> = dump
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["kind"], "dump");
    assert_eq!(lines[0]["format"], 1);
    assert_eq!(lines[0]["tenant"], "corp");
    assert_eq!(lines[0]["bindings"][0]["issuer"], "https://corp.example");
    assert_eq!(
        lines[1..],
        [
            json!({"kind": "user", "id": ada, "userName": "ada", "externalId": "0a", "active": true,
                   "emails": ["ada@corp.example"], "roles": ["owner"], "entitlements": []}),
            json!({"kind": "user", "id": bob, "userName": "bob", "active": false,
                   "emails": [], "roles": [], "entitlements": []}),
            json!({"kind": "group", "id": inner, "displayName": "inner", "users": [ada, bob], "groups": []}),
            json!({"kind": "group", "id": outer, "displayName": "outer", "externalId": "1b",
                   "users": [], "groups": [inner]}),
        ]
    );
    place.refused(1, &["dump", "--tenant", "nobody"]);
}

#[test]
fn the_socket_and_all_that_is_stored_are_the_owners_alone() {
    let place = Place::new();
    let feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(place.data_dir()), 0o700);
    assert_eq!(mode(feeder.socket()), 0o600);
    for entry in std::fs::read_dir(place.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(path.clone()), 0o600, "{}", path.display());
    }
}
