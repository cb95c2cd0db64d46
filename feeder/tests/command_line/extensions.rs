//! Attributes of a tenant's own, from the operator's file to the SCIM client.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::feeder::{Feeder, Place, scimesh};

const BADGE: &str = "urn:example:params:badge:1.0:User";

const FILE: &str = "
id: urn:example:params:badge:1.0:User
name: Badge
description: What the doors know
attributes:
- { name: number, type: integer, description: On the card }
- { name: color, canonicalValues: [red, blue] }
";

/// A tenant and its token.
fn tenant(place: &Place, name: &str) -> String {
    place.done(&["tenant", "create", name]);
    let token = place.done(&["token", "create", "--tenant", name]);
    token.trim_end().to_owned()
}

/// Sets an extension of corp's users from a file.
fn set(path: &str) -> [&str; 8] {
    let [tenant, resource] = ["corp", "User"];
    [
        "extension",
        "set",
        "--tenant",
        tenant,
        "--resource",
        resource,
        "-f",
        path,
    ]
}

fn written(place: &Place, text: &str) -> String {
    place
        .write("schema.yaml", text)
        .to_str()
        .unwrap()
        .to_owned()
}

fn get(feeder: &Feeder, token: &str, path: &str) -> Value {
    let answer = feeder.scim(token, &format!("GET /scim/v2{path}"), "");
    serde_json::from_str(&answer.body).unwrap()
}

fn create(feeder: &Feeder, token: &str, user: &Value) -> u16 {
    let request = "POST /scim/v2/Users";
    feeder.scim(token, request, &user.to_string()).status
}

#[test]
fn what_an_operator_defines_clients_use_at_once_and_after_a_restart() {
    let place = Place::new();
    let feeder = place.start();
    let (corp, acme) = (tenant(&place, "corp"), tenant(&place, "acme"));
    let path = written(&place, FILE);
    place.done(&set(&path));
    assert!(place.done(&set(&path)).contains("already"));

    let ada = json!({"userName": "ada", BADGE: {"number": 7, "color": "red"}});
    assert_eq!(create(&feeder, &corp, &ada), 201);
    let schema = get(&feeder, &corp, &format!("/Schemas/{BADGE}"));
    assert_eq!(schema["attributes"][0]["type"], "integer");
    assert_eq!(
        get(&feeder, &acme, &format!("/Schemas/{BADGE}"))["status"],
        "404"
    );
    feeder.kill();

    let feeder = place.start();
    let found = format!("/Users?filter={BADGE}:number%20gt%206");
    let found = get(&feeder, &corp, &found);
    assert_eq!(found["totalResults"], 1, "{found}");
    assert_eq!(
        found["Resources"][0][BADGE],
        json!({"number": 7, "color": "red"})
    );
    let rows = place.json(&["extension", "list", "--tenant", "corp"]);
    assert_eq!(rows[0]["resource"], "User");
    assert_eq!(rows[0]["schema"]["id"], BADGE);
}

#[test]
fn a_schema_can_come_from_standard_input_and_go_back_as_it_is_listed() {
    let place = Place::new();
    let _feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    place.done(&["tenant", "create", "acme"]);
    place.done(&set(&written(&place, FILE)));
    let listed = place.json(&["extension", "list", "--tenant", "corp"]);
    let schema = listed[0]["schema"].to_string();
    let mut command = scimesh();
    command
        .env("SCIMESH_DATA_DIR", place.data_dir())
        .args(["extension", "set", "--tenant", "acme", "--resource", "User"])
        .args(["--file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut process = command.spawn().unwrap();
    let mut input = process.stdin.take().unwrap();
    input.write_all(schema.as_bytes()).unwrap();
    drop(input);
    assert!(process.wait().unwrap().success());
    let theirs = place.json(&["extension", "list", "--tenant", "acme"]);
    assert_eq!(theirs, listed);
    let table = place.done(&["extension", "list", "--tenant", "acme"]);
    assert!(table.contains("number color"), "{table}");
}

#[test]
fn a_schema_that_can_not_be_is_refused_with_the_place_of_the_mistake() {
    let place = Place::new();
    let _feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    for (file, words) in [
        (FILE.replace("type:", "typ:"), ["line 6", "typ"]),
        (FILE.replace("integer", "int"), ["line 6", "int"]),
        (
            FILE.replace("attributes:", "attribute:"),
            ["line 5", "attribute"],
        ),
        (FILE.replace("color", "number"), ["number", "twice"]),
        (FILE.replace("urn:example", "example"), ["id", "urn:"]),
        (
            FILE.replace("color,", "color, required: true,"),
            ["color", "required"],
        ),
    ] {
        let said = place.refused(1, &set(&written(&place, &file)));
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
    let path = written(&place, FILE);
    let device = [
        "extension",
        "set",
        "--tenant",
        "corp",
        "--resource",
        "Device",
        "-f",
        &path,
    ];
    assert!(place.refused(2, &device).contains("User or Group"));
    let nobody = [
        "extension",
        "set",
        "--tenant",
        "nobody",
        "--resource",
        "User",
        "-f",
        &path,
    ];
    assert!(place.refused(1, &nobody).contains("nobody"));
    assert_eq!(
        place.json(&["extension", "list", "--tenant", "corp"]),
        json!([])
    );
}

#[test]
fn what_is_in_use_stays_and_what_is_not_goes() {
    let place = Place::new();
    let feeder = place.start();
    let corp = tenant(&place, "corp");
    let path = written(&place, FILE);
    place.done(&set(&path));
    for (name, number) in [("ada", 1), ("ben", 2)] {
        let user = json!({"userName": name, BADGE: {"number": number}});
        assert_eq!(create(&feeder, &corp, &user), 201);
    }
    let remove = ["extension", "remove", "--tenant", "corp", BADGE];
    assert!(place.refused(1, &remove).contains("2 of its resources"));
    let narrower = written(&place, &FILE.replace("number", "serial"));
    let said = place.refused(1, &set(&narrower));
    assert!(
        said.contains("\"number\"") && said.contains("2 of its"),
        "{said}"
    );
    let none = place.write("none.yaml", "tenants: { corp: { extensions: [] } }");
    let said = place.refused(1, &["apply", "-f", none.to_str().unwrap()]);
    assert!(said.contains("2 of its"), "{said}");

    let wider = FILE.to_owned() + "- { name: floor }\n";
    place.done(&set(&written(&place, &wider)));
    let users = get(&feeder, &corp, "/Users");
    for user in users["Resources"].as_array().unwrap() {
        let request = format!("DELETE /scim/v2/Users/{}", user["id"].as_str().unwrap());
        assert_eq!(feeder.scim(&corp, &request, "").status, 204);
    }
    let remove_as_written_elsewhere = BADGE.to_uppercase();
    let gone = place.done(&[
        "extension",
        "remove",
        "--tenant",
        "corp",
        &remove_as_written_elsewhere,
    ]);
    assert!(gone.contains(BADGE), "{gone}");
    place.refused(1, &remove);
    feeder.kill();
    let _feeder = place.start();
    assert_eq!(
        place.json(&["extension", "list", "--tenant", "corp"]),
        json!([])
    );
}

#[test]
fn a_file_of_tenants_has_their_extensions_too() {
    let place = Place::new();
    let file = "
tenants:
  corp:
    extensions:
    - resource: User
      schema:
        id: urn:example:params:badge:1.0:User
        attributes: [{ name: number, type: integer }]
";
    let path = place.write("tenants.yaml", file);
    let mut serve = place.serve();
    serve.arg("--config").arg(&path);
    let feeder = place.start_as(serve);
    let token = place.done(&["token", "create", "--tenant", "corp"]);
    let badge = format!("/Schemas/{BADGE}");
    assert_eq!(get(&feeder, token.trim_end(), &badge)["id"], BADGE);
    let apply = |text: &str| {
        let path = place.write("again.yaml", text);
        place.json(&["apply", "-f", path.to_str().unwrap()])["changes"].clone()
    };
    assert_eq!(apply(file), json!([]));
    let wider = file.replace("}]", "}, { name: color }]");
    let set = json!([{"change": "extensionSet", "tenant": "corp", "urn": BADGE}]);
    assert_eq!(apply(&wider), set);
    assert_eq!(
        apply("tenants: { corp: {} }"),
        json!([]),
        "said nothing of them"
    );
    let removed = json!([{"change": "extensionRemoved", "tenant": "corp", "urn": BADGE}]);
    assert_eq!(apply("tenants: { corp: { extensions: [] } }"), removed);
}

#[test]
fn extensions_go_with_their_tenant() {
    let place = Place::new();
    let feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    place.done(&set(&written(&place, FILE)));
    place.done(&["tenant", "delete", "corp"]);
    place.done(&["tenant", "create", "corp"]);
    feeder.kill();
    let _feeder = place.start();
    assert_eq!(
        place.json(&["extension", "list", "--tenant", "corp"]),
        json!([])
    );
}

#[test]
fn the_example_of_the_documentation_works() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/scim.md");
    let page = std::fs::read_to_string(page).unwrap();
    let block = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    let place = Place::new();
    let feeder = place.start();
    let corp = tenant(&place, "corp");
    place.done(&set(&written(&place, &block("yaml"))));
    let user: Value = serde_json::from_str(&block("json")).unwrap();
    assert_eq!(create(&feeder, &corp, &user), 201);
    let filters: Vec<&str> = page
        .lines()
        .filter_map(|line| line.trim().strip_prefix("filter="))
        .collect();
    assert_eq!(filters.len(), 2);
    for filter in filters {
        let filter = filter.replace(' ', "%20").replace('"', "%22");
        let filter = filter.replace('[', "%5B").replace(']', "%5D");
        let found = get(&feeder, &corp, &format!("/Users?filter={filter}"));
        assert_eq!(found["totalResults"], 1, "{filter}: {found}");
        let id = found["Resources"][0]["id"].as_str().unwrap().to_owned();
        let line = page.lines().find(|line| line.contains("\"op\"")).unwrap();
        let body = format!("{{\"Operations\": [{}]}}", line.trim());
        let answer = feeder.scim(&corp, &format!("PATCH /scim/v2/Users/{id}"), &body);
        assert!(
            answer.body.contains("\"color\":\"blue\""),
            "{}",
            answer.body
        );
    }
}
