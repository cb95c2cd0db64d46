//! The operator's brakes where they are refused: each refusal says what to do, and changes nothing.

use serde_json::Value;

use crate::feeder::{Feeder, Place};

/// A feeder with the tenant `corp`.
fn start(place: &Place) -> Feeder {
    let feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    feeder
}

fn text(path: std::path::PathBuf) -> String {
    path.to_str().unwrap().to_owned()
}

/// The feeder's history and how far it is, as a backup tells.
fn standing(place: &Place, name: &str) -> (u64, u64) {
    let told: Value = place.json(&["backup", &text(place.path().join(name))]);
    let number = |field: &str| told[field].as_u64().unwrap();
    (number("generation"), number("revision"))
}

#[test]
fn a_tenant_is_frozen_once_and_unfrozen_once() {
    let place = Place::new();
    let _feeder = start(&place);
    for command in ["freeze", "unfreeze"] {
        let said = place.refused(1, &[command, "nowhere"]);
        assert!(said.contains("there is no tenant \"nowhere\""), "{said}");
        assert!(said.contains("scimesh tenant list"), "{said}");
    }
    let said = place.refused(1, &["unfreeze", "corp", "--yes"]);
    assert!(said.contains("tenant \"corp\" is not frozen"), "{said}");

    let frozen = place.json(&["freeze", "corp"]);
    place.done(&["tenant", "create", "acme"]);
    for command in [&["freeze", "corp"][..], &["tenant", "delete", "corp"]] {
        let said = place.refused(1, command);
        assert!(said.contains("\"corp\" is frozen"), "{said}");
        assert!(said.contains("unfreeze it first"), "{said}");
    }
    let shown = place.run(&["unfreeze", "corp", "--output", "json"]);
    assert_eq!(shown.status.code(), Some(6));
    let said = String::from_utf8(shown.stderr).unwrap();
    assert!(said.contains("--yes"), "{said}");
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["frozen"], frozen, "frozen again, at another revision");

    place.done(&["unfreeze", "corp", "--yes"]);
    let said = place.refused(1, &["unfreeze", "corp", "--yes"]);
    assert!(said.contains("is not frozen"), "{said}");
    place.done(&["freeze", "corp"]);
}

#[test]
fn a_backup_goes_where_nothing_is_and_where_the_feeder_may_write() {
    let place = Place::new();
    let _feeder = start(&place);
    let there = text(place.write("there", "precious"));
    let said = place.refused(1, &["backup", &there]);
    assert!(said.contains(&there), "{said}");
    assert!(said.contains("choose another name"), "{said}");
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "precious");

    let nowhere = text(place.path().join("no-directory").join("backup"));
    let said = place.refused(1, &["backup", &nowhere]);
    assert!(said.contains(&nowhere), "{said}");
    // What is over is not left behind.
    let left = std::fs::read_dir(place.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn nothing_is_restored_under_a_running_feeder_nor_over_a_database_unasked() {
    let place = Place::new();
    let feeder = start(&place);
    let backup = text(place.path().join("backup"));
    place.done(&["backup", &backup]);
    place.done(&["tenant", "create", "acme"]);
    let pid = format!("pid {}", feeder.pid());
    for restore in [
        &["restore", &backup, "--replace"][..],
        &["restore", "--accept-rollback"],
    ] {
        let said = place.refused(1, restore);
        assert!(said.contains(&pid), "{said}");
        assert!(said.contains("stop it first"), "{said}");
    }
    assert_eq!(place.json(&["tenant", "list"]).as_array().unwrap().len(), 2);

    assert!(feeder.end("-TERM").success());
    let said = place.refused(1, &["restore", &backup]);
    assert!(said.contains("there is a database already"), "{said}");
    assert!(said.contains("--replace"), "{said}");
    let feeder = place.start();
    assert_eq!(place.json(&["tenant", "list"]).as_array().unwrap().len(), 2);

    assert!(feeder.end("-TERM").success());
    place.done(&["restore", &backup, "--replace"]);
    let _feeder = place.start();
    assert_eq!(place.json(&["tenant", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn what_is_no_backup_is_not_restored() {
    let place = Place::new();
    let feeder = start(&place);
    assert!(feeder.end("-TERM").success());
    let database = place.data_dir().join("scimesh.db");
    let before = std::fs::read(&database).unwrap();
    let garbage = text(place.write("garbage", "These are no pages of a database."));
    let empty = text(place.write("empty", ""));
    let other = text(place.path().join("other"));
    std::fs::write(&other, &before[..before.len() / 2]).unwrap();
    for file in [&garbage, &empty, &other] {
        let said = place.refused(1, &["restore", file, "--replace"]);
        assert!(said.contains(&format!("{file} is no backup")), "{said}");
        assert!(said.contains("scimesh backup"), "{said}");
    }
    let missing = text(place.path().join("missing"));
    let said = place.refused(1, &["restore", &missing, "--replace"]);
    assert!(said.contains(&missing), "{said}");
    assert_eq!(std::fs::read(&database).unwrap(), before);
    let _feeder = place.start();
    assert_eq!(place.json(&["tenant", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_rollback_can_be_accepted_that_nobody_has_proved() {
    let place = Place::new();
    let said = place.refused(1, &["restore", "--accept-rollback"]);
    assert!(said.contains("there is no database"), "{said}");
    assert!(said.contains("--data-dir"), "{said}");

    let feeder = start(&place);
    let (generation, revision) = standing(&place, "before");
    assert!(feeder.end("-TERM").success());
    // After work on disks that nobody is sure of: it costs a snapshot a proxy, and says so.
    let said = place.done(&["restore", "--accept-rollback"]);
    assert!(said.contains("no filter had proved"), "{said}");
    assert!(said.contains("proxies take it whole"), "{said}");
    let _feeder = place.start();
    let after = standing(&place, "after");
    assert!(after.0 > generation && after.1 == revision, "{after:?}");
    assert_eq!(place.json(&["tenant", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn restore_takes_a_file_or_accepts_what_is_there() {
    let place = Place::new();
    let said = place.refused(2, &["restore"]);
    assert!(said.contains("<FILE>"), "{said}");
    let said = place.refused(2, &["restore", "file", "--accept-rollback"]);
    assert!(said.contains("--accept-rollback"), "{said}");
    place.refused(2, &["restore", "--accept-rollback", "--replace"]);
    place.refused(3, &["backup", &text(place.path().join("backup"))]);
    place.refused(3, &["freeze", "corp"]);
}
