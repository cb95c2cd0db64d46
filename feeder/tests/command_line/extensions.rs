//! Attributes of a tenant's own, from the operator's file to the SCIM client.

use serde_json::{Value, json};

use crate::feeder::{Feeder, Place};

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
