//! Names that are held: over restarts, until their time has come, or until the operator says so.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::feeder::{Feeder, Place};

fn serve(place: &Place, hold: &str) -> Feeder {
    let mut serve = place.serve();
    serve.args(["--name-hold", hold]);
    place.start_as(serve)
}

/// A tenant whose users are known by userName, one who has the name that somebody else had, and one who was deleted and is back.
fn passed(place: &Place, feeder: &Feeder) -> String {
    let corp = ["corp", "--issuer", "i", "--attribute", "userName"];
    place.done(&[&["tenant", "create"][..], &corp].concat());
    let token = place.done(&["token", "create", "--tenant", "corp"]);
    let token = token.trim_end();
    let create = |name: &str, external_id: &str| {
        let user = json!({"userName": name, "externalId": external_id, "active": true});
        let answer = feeder.scim(token, "POST /scim/v2/Users", &user.to_string());
        assert_eq!(answer.status, 201, "{}", answer.body);
        let user: Value = serde_json::from_str(&answer.body).unwrap();
        user["id"].as_str().unwrap().to_owned()
    };
    let delete = |id: &str| {
        let gone = feeder.scim(token, &format!("DELETE /scim/v2/Users/{id}"), "");
        assert_eq!(gone.status, 204);
    };
    delete(&create("bea", "0c"));
    create("bea", "0c");
    delete(&create("ada", "0a"));
    create("ada", "0b")
}

fn holds(place: &Place) -> Value {
    place.json(&["hold", "list", "--tenant", "corp"])
}

fn metric(feeder: &Feeder, line: &str) -> bool {
    let metrics = feeder.get("admin", "/metrics").body;
    metrics.lines().any(|held| held == line)
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < patience, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_hold_outlives_the_feeder_and_ends_when_the_operator_says_so() {
    let place = Place::new();
    let feeder = serve(&place, "1h");
    let user = passed(&place, &feeder);
    let held = holds(&place);
    assert_eq!(held.as_array().unwrap().len(), 1, "{held}");
    let row = &held[0];
    assert_eq!(
        [&row["attribute"], &row["value"], &row["user"]],
        ["userName", "ada", user.as_str()]
    );
    let time = |field: &str| row[field].as_str().unwrap().parse::<jiff::Timestamp>();
    let hour = time("until").unwrap() - time("lost").unwrap();
    assert!((3600..=3601).contains(&hour.get_seconds()), "{row}");
    feeder.kill();

    let feeder = serve(&place, "2h");
    let again = holds(&place);
    assert_eq!(again[0]["lost"], row["lost"]);
    assert_ne!(again[0]["until"], row["until"], "counted from the loss");
    assert!(metric(
        &feeder,
        "scimesh_feeder_held_names{tenant=\"corp\"} 2"
    ));
    let table = place.done(&["hold", "list", "--tenant", "corp"]);
    assert!(table.starts_with("ATTRIBUTE  VALUE  USER"), "{table}");

    let release = ["hold", "release", "--tenant", "corp", "--value", "ADA"];
    let email = [&release[..], &["--attribute", "email"]].concat();
    let said = place.refused(1, &email);
    assert!(
        said.contains("tenant \"corp\" holds no such name"),
        "{said}"
    );
    let name = [&release[..], &["--attribute", "userName"]].concat();
    let said = place.done(&name);
    assert!(said.contains("(revision 8)"), "{said}");
    assert_eq!(holds(&place), json!([]));
    place.refused(1, &name);
    assert!(!feeder.log().contains("ada"), "names stay out of the log");
    feeder.kill();
    let _feeder = serve(&place, "2h");
    assert_eq!(holds(&place), json!([]), "it was stored");
}

#[test]
fn a_hold_ends_by_itself_when_its_time_has_come() {
    let place = Place::new();
    let feeder = serve(&place, "2s");
    let before = Instant::now();
    passed(&place, &feeder);
    let held = |names| format!("scimesh_feeder_held_names{{tenant=\"corp\"}} {names}");
    if before.elapsed() < Duration::from_secs(1) {
        assert!(metric(&feeder, &held(2)));
    }
    until("the holds to end", || metric(&feeder, &held(0)));
    // The name of whoever is back was never held from them: no change.
    assert!(metric(&feeder, "scimesh_feeder_revision 8"));
    assert_eq!(holds(&place), json!([]));
}

#[test]
fn what_was_over_before_the_feeder_started_ends_at_once() {
    let place = Place::new();
    let feeder = serve(&place, "1h");
    passed(&place, &feeder);
    feeder.kill();
    let feeder = serve(&place, "1ms");
    let held = "scimesh_feeder_held_names{tenant=\"corp\"} 0";
    until("the hold to end", || metric(&feeder, held));
    assert!(metric(&feeder, "scimesh_feeder_revision 8"));
}

#[test]
fn without_a_hold_nothing_is_held() {
    let place = Place::new();
    let feeder = serve(&place, "0s");
    passed(&place, &feeder);
    assert_eq!(holds(&place), json!([]));
    assert!(metric(
        &feeder,
        "scimesh_feeder_held_names{tenant=\"corp\"} 0"
    ));
    assert!(metric(&feeder, "scimesh_feeder_revision 7"));
    assert!(feeder.end("-TERM").success());
}
