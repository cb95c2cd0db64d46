//! What a hostile or broken client can take of a feeder: no more than the limits say, and nothing for good.

use scimesh_feeder::limits::Named as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::feeder::{Answer, Feeder, Place, stderr};

/// Sends a request without an end in sight, and reads the answer. Also how many bytes of the body the feeder, or the system for it, has taken.
fn pour(
    feeder: &Feeder,
    head: &str,
    mut chunk: impl FnMut(usize) -> Option<Vec<u8>> + Send,
) -> (Answer, usize) {
    let mut stream = TcpStream::connect(feeder.address("scim")).unwrap();
    let mut reader = stream.try_clone().unwrap();
    stream
        .write_all(format!("{head}\r\nhost: test\r\n\r\n").as_bytes())
        .unwrap();
    thread::scope(|scope| {
        let writing = scope.spawn(move || {
            let mut taken = 0;
            while let Some(bytes) = chunk(taken) {
                // The feeder has answered and closed.
                if stream.write_all(&bytes).is_err() {
                    break;
                }
                taken += bytes.len();
            }
            taken
        });
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..length]);
        }
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let answer = Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            body: body.to_owned(),
        };
        (answer, writing.join().unwrap())
    })
}

fn is_scim_error(answer: &Answer, status: u16, what: &str) {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(answer.status, status, "{body}");
    assert_eq!(body["status"], status.to_string(), "{body}");
    assert!(body["detail"].as_str().unwrap().contains(what), "{body}");
}

/// Resident memory, in MiB.
fn resident(feeder: &Feeder) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", feeder.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

fn corp(place: &Place) -> String {
    place.done(&["tenant", "create", "corp"]);
    place
        .done(&["token", "create", "--tenant", "corp"])
        .trim()
        .to_owned()
}

const MIB: usize = 1 << 20;
/// What the two ends of a connection buffer on its way.
const IN_FLIGHT: usize = 16 * MIB;

#[test]
fn a_body_of_200_mb_is_refused_after_no_more_than_the_limit() {
    let place = Place::new();
    let feeder = place.start();
    let token = corp(&place);
    let head = |rest: &str| {
        format!("POST /scim/v2/Users HTTP/1.1\r\nauthorization: Bearer {token}\r\n{rest}")
    };
    let size = 200 * MIB;
    let plain = |taken| (taken < size).then(|| vec![b' '; 64 << 10]);
    let chunked =
        |taken| plain(taken).map(|bytes| [b"10000\r\n", bytes.as_slice(), b"\r\n"].concat());

    // Who says how long it is need not be read at all.
    let (answer, taken) = pour(&feeder, &head(&format!("content-length: {size}")), plain);
    is_scim_error(
        &answer,
        413,
        "more than 16777216 bytes in a body: the limit is body-bytes",
    );
    assert!(taken < IN_FLIGHT, "{taken}");
    let (answer, taken) = pour(&feeder, &head("transfer-encoding: chunked"), chunked);
    is_scim_error(
        &answer,
        413,
        "more than 16777216 bytes in a body: the limit is body-bytes",
    );
    assert!((16 * MIB..16 * MIB + IN_FLIGHT).contains(&taken), "{taken}");
    // Who has no token is read even less of.
    let head = "POST /scim/v2/Users HTTP/1.1\r\ntransfer-encoding: chunked";
    let (answer, taken) = pour(&feeder, head, chunked);
    is_scim_error(&answer, 401, "token");
    assert!(taken < IN_FLIGHT, "{taken}");
    // Nor is there anything beside the API.
    let (answer, taken) = pour(
        &feeder,
        "POST /scim/v1/Users HTTP/1.1\r\ntransfer-encoding: chunked",
        chunked,
    );
    is_scim_error(&answer, 404, "not found");
    assert!(taken < IN_FLIGHT, "{taken}");
}

#[test]
fn a_body_that_comes_byte_by_byte_is_not_waited_for_and_holds_up_nobody() {
    let place = Place::new();
    let mut serve = place.serve();
    serve.args(["--scim-limit", "request-seconds=2,bodies-bytes=16777216"]);
    let feeder = place.start_as(serve);
    let token = corp(&place);
    let head = |length| {
        format!(
            "POST /scim/v2/Users HTTP/1.1\r\nauthorization: Bearer {token}\r\ncontent-length: {length}"
        )
    };
    thread::scope(|scope| {
        let slow: Vec<_> = (0..3)
            .map(|_| {
                let head = head(10 * MIB);
                let feeder = &feeder;
                scope.spawn(move || pour(feeder, &head, |_| Some(vec![b' '])).0)
            })
            .collect();
        // Small ones have room meanwhile.
        for name in ["a", "b", "c"] {
            let body = format!("{{\"userName\":\"{name}\"}}");
            assert_eq!(
                feeder.scim(&token, "POST /scim/v2/Users", &body).status,
                201
            );
        }
        for slow in slow {
            is_scim_error(
                &slow.join().unwrap(),
                408,
                "more than 2 seconds for a request: the limit is request-seconds",
            );
        }
    });
}

/// Rounds of what takes most memory while it is refused.
const ROUNDS: usize = 20;

#[test]
fn hostile_bodies_are_refused_and_leave_no_memory_behind() {
    let place = Place::new();
    let mut serve = place.serve();
    // A debug build takes its time for every step.
    serve.args(["--scim-limit", "work=1000000"]);
    let feeder = place.start_as(serve);
    let token = corp(&place);
    let created = feeder.scim(&token, "POST /scim/v2/Users", "{\"userName\":\"anne\"}");
    let created: Value = serde_json::from_str(&created.body).unwrap();
    let user = format!("PATCH /scim/v2/Users/{}", created["id"].as_str().unwrap());
    let users = "POST /scim/v2/Users";
    let send = |request: &str, body: &str, status, what| {
        is_scim_error(&feeder.scim(&token, request, body), status, what);
    };
    let operations = |operation: String, count| {
        let list = vec![operation; count].join(",");
        format!("{{\"Operations\":[{list}]}}")
    };
    let remove = |path: String| format!("{{\"op\":\"remove\",\"path\":\"{path}\"}}");
    let keys = |count| -> String {
        let keys: String = (0..count).map(|n| format!("\"{n:06}\":1,")).collect();
        format!("{{{keys}\"userName\":\"x\"}}")
    };
    let name = "n".repeat(MIB);
    let objects = format!("[{}0]", "{\"\":0},".repeat(2_000_000));
    let deep = "[".repeat(15 * MIB);
    send(users, &"{\"a\":".repeat(100_000), 400, "json-depth");
    send(users, &keys(1_000_000), 413, "body-memory");
    send(users, &keys(10_000), 413, "the limit is work");
    send(users, &format!("{{\"{name}\":1}}"), 400, "filter-bytes");
    send(
        users,
        &format!("{{\"userName\":{}}}", "9".repeat(MIB)),
        400,
        "out of range",
    );
    send(
        &user,
        &operations("{\"op\":\"add\"}".to_owned(), 1_000_000),
        413,
        "body-memory",
    );
    send(
        &user,
        &operations("{\"op\":\"add\"}".to_owned(), 50_001),
        413,
        "patch-operations",
    );
    send(
        &user,
        &operations(remove(name.clone()), 10),
        400,
        "filter-bytes",
    );
    let parentheses = remove(format!("emails[{}", "(".repeat(100)));
    send(&user, &operations(parentheses, 1), 400, "filter-depth");

    let before = resident(&feeder);
    for _ in 0..ROUNDS {
        send(users, &objects, 413, "body-memory");
        send(users, &deep, 400, "json-depth");
        send(
            users,
            &format!("{{\"userName\":\"{name}\"}}"),
            413,
            "resource-bytes",
        );
    }
    // Large ones that are read, and worked on side by side, are what an allocator keeps pieces of.
    let members = (0..20_000)
        .map(|n| format!("{{\"value\":\"00000000-0000-4000-8000-{n:012}\",\"display\":\"{n}\"}}"));
    let members: Vec<String> = members.collect();
    let group = format!(
        "{{\"displayName\":\"g\",\"members\":[{}]}}",
        members.join(",")
    );
    for _ in 0..4 {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| send("POST /scim/v2/Groups", &group, 400, "members: there is no"));
            }
        });
        send(users, "{\"userName\":\"anne\"}", 409, "taken");
    }
    // What was freed goes back within seconds; if it did not, this would wait in vain.
    let given_back = (0..600).any(|_| {
        thread::sleep(Duration::from_millis(100));
        resident(&feeder) < 100.min(before + 40)
    });
    assert!(given_back, "{before} MiB became {} MiB", resident(&feeder));
    let listed = feeder.scim(&token, "GET /scim/v2/Users", "");
    assert!(
        listed.body.contains("\"totalResults\":1"),
        "{}",
        listed.body
    );
}

#[test]
fn a_limit_is_set_by_its_name_and_a_wrong_one_is_refused_with_those_that_there_are() {
    let place = Place::new();
    for (setting, said) in [
        (
            "body-byte=1",
            "there is no limit \"body-byte\"; there are body-bytes, bodies-bytes, ",
        ),
        ("body-bytes", "not NAME=VALUE"),
        (
            "body-bytes=16MiB",
            "body-bytes has to be a whole number from 1 to ",
        ),
        (
            "json-depth=0",
            "json-depth has to be a whole number from 1 to 100",
        ),
    ] {
        let mut serve = place.serve();
        let output = serve.args(["--scim-limit", setting]).output().unwrap();
        let complaint = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains(said), "{complaint}");
    }
    let mut serve = place.serve();
    serve.env("SCIMESH_SCIM_LIMIT", "users=1,body-bytes=100");
    let feeder = place.start_as(serve);
    let token = corp(&place);
    let post = |body: &str| feeder.scim(&token, "POST /scim/v2/Users", body);
    let long = format!("{{\"userName\":\"{}\"}}", "x".repeat(100));
    is_scim_error(
        &post(&long),
        413,
        "more than 100 bytes in a body: the limit is body-bytes",
    );
    assert_eq!(post("{\"userName\":\"a\"}").status, 201);
    is_scim_error(
        &post("{\"userName\":\"b\"}"),
        413,
        "more than 1 users in a tenant: the limit is users",
    );
}

#[test]
fn every_limit_is_in_the_help_and_in_the_documentation_with_its_default() {
    let place = Place::new();
    let help = place.done(&["serve", "--help"]);
    let documented = include_str!("../../../docs/cli.md");
    let scim = scimesh_feeder::scim::Limits::default();
    let feed = scimesh_feeder::feed::Limits::default();
    let of_scim = scimesh_feeder::scim::Limit::ALL.iter();
    let of_scim = of_scim.map(|limit| (limit.name(), scim.get(*limit)));
    let of_feed = scimesh_feeder::feed::Limit::ALL.iter();
    let of_feed = of_feed.map(|limit| (limit.name(), feed.get(*limit)));
    for (name, default) in of_scim.chain(of_feed) {
        assert!(
            help.contains(&format!("{name}={default}")),
            "{name}: {help}"
        );
        let row = format!("| `{name}` | {default} |");
        assert!(documented.contains(&row), "docs/cli.md has no {row:?}");
    }
}
