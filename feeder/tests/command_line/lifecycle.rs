//! How a feeder starts, stops and dies, and what others see of it.

use std::process::Command;

use crate::feeder::{Place, stderr};

#[test]
fn a_second_process_on_the_same_directory_is_refused() {
    let place = Place::new();
    let feeder = place.start();
    let second = place.serve().output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = stderr(&second);
    assert!(said.contains(&format!("pid {}", feeder.pid())), "{said}");
    assert!(said.contains(place.data_dir().to_str().unwrap()), "{said}");
    place.done(&["tenant", "create", "corp"]);
}

#[test]
fn a_feeder_takes_all_descriptors_that_it_may_have() {
    let place = Place::new();
    let serve = place.serve();
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"ulimit -Sn 64 && exec "$0" "$@""#]);
    shell.arg(serve.get_program()).args(serve.get_args());
    let feeder = place.start_as(shell);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", feeder.pid())).unwrap();
    let files = limits.lines().find(|l| l.starts_with("Max open files"));
    let columns: Vec<&str> = files.unwrap().split_whitespace().collect();
    assert_eq!(columns[3], columns[4], "{limits}");
}

#[test]
fn where_no_feeder_runs_a_command_says_so() {
    let place = Place::new();
    let said = place.refused(3, &["tenant", "list"]);
    let dir = place.data_dir().display().to_string();
    assert!(
        said.contains(&format!("no feeder is running on {dir}")),
        "{said}"
    );
    assert!(
        said.contains(&format!("scimesh serve --data-dir {dir}")),
        "{said}"
    );

    let feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    assert!(feeder.end("-TERM").success());
    place.refused(3, &["tenant", "list"]);

    let file = place.write("file", "");
    place.refused(3, &["tenant", "list", "--data-dir", file.to_str().unwrap()]);
}

#[test]
fn a_killed_feeder_leaves_a_socket_that_the_next_one_replaces() {
    let place = Place::new();
    let feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    let socket = feeder.socket();
    feeder.kill();
    assert!(socket.exists());
    let said = place.refused(3, &["tenant", "list"]);
    assert!(said.contains("no feeder is running"), "{said}");

    let _feeder = place.start();
    let listed = place.done(&["tenant", "list"]);
    assert!(
        listed.contains("corp"),
        "an acknowledged change outlives SIGKILL: {listed}"
    );
}

#[test]
fn a_feeder_that_is_asked_to_stop_stops_in_order() {
    for signal in ["-TERM", "-INT"] {
        let place = Place::new();
        let feeder = place.start();
        place.done(&["tenant", "create", "corp"]);
        let socket = feeder.socket();
        // A connection that asks for nothing holds nobody up.
        let _idle = std::net::TcpStream::connect(feeder.address("scim")).unwrap();
        assert!(feeder.end(signal).success());
        assert!(
            !place.log().contains("cut off"),
            "it waited for a connection without a request"
        );
        assert!(!socket.exists());
        let _again = place.start();
        assert!(place.done(&["tenant", "list"]).contains("corp"));
    }
}

#[test]
fn a_log_for_collectors_is_json() {
    let place = Place::new();
    let mut serve = place.serve();
    serve.args(["--log-format", "json"]);
    let feeder = place.start_as(serve);
    let log = feeder.log();
    assert!(log.contains("ready"), "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            line["level"].is_string() && line["timestamp"].is_string(),
            "{line}"
        );
    }
}
