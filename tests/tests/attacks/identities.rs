//! What the upstream is told about the caller is told by the filter alone, however the caller spells it.

use crate::headers::{ALLOWED, TOKEN, plain, text};
use crate::row::{Row, bytes, get2};

/// Spellings of what the upstream is told about the caller, sent by the caller.
const SPOOFS: &[&[u8]] = &[
    b"x-who: root",
    b"X-Who: root",
    b"X-WHO: root",
    b"x_who: root",
    b"X_WHO: root",
    b"x.who: root",
    b"x-who: root\r\nx-who: other",
    b"x-who: member-0001\r\nx_who: root",
    b"x-who:",
    b"x-who: a\r\n root",
    b"connection: x-who\r\nx-who: root",
    b"x-groups: group:root",
    b"x_groups: group:root",
    b"x-rule: admin",
    b"X_Rule: admin",
    b"x-note: \xff\r\nx-who: root",
];

/// The names under which an upstream may look for the caller's.
const SPELLINGS: &[&str] = &[
    "x-who", "x_who", "x.who", "x-groups", "x_groups", "x-rule", "x_rule",
];

/// The upstream is told who asks by the filter alone.
pub(crate) fn rows() -> Vec<Row> {
    let told = |mut row: Row, told: &[(&str, &str)]| {
        for name in SPELLINGS {
            let value = told.iter().find(|(other, _)| other == name);
            let value: Vec<&str> = value.map(|(_, value)| *value).into_iter().collect();
            row = row.arriving(name, &value);
        }
        row
    };
    let member = [
        ("x-who", "member-0001"),
        ("x-groups", "group:payments"),
        ("x-rule", "rest"),
    ];
    let stranger = [("x-rule", "public")];
    let mut rows = Vec::new();
    for spoof in SPOOFS {
        let by_member = plain(b"GET /x HTTP/1.1", &[TOKEN, spoof]);
        let by_nobody = plain(b"GET /public HTTP/1.1", &[spoof]);
        rows.extend([
            told(
                Row::new(format!("{} by a member", text(spoof)), by_member, ALLOWED),
                &member,
            ),
            told(
                Row::new(
                    format!("{} by nobody", text(spoof)),
                    by_nobody,
                    "GET /public HTTP/1.1",
                ),
                &stranger,
            ),
        ]);
    }
    for (name, value) in [
        ("x-who", &b"root"[..]),
        ("x_who", b"root"),
        ("x.who", b"\xff"),
        ("x-rule", b""),
    ] {
        let row = Row::new(
            format!("{name} over HTTP/2"),
            get2(b"/x", &[(name, value), (name, value)]),
            ALLOWED,
        );
        rows.push(told(row, &member));
    }
    rows.push(told(
        Row::new(
            "x-who as a trailer",
            bytes(b"POST /x HTTP/1.1\r\nhost: svc.example\r\nauthorization: Bearer $member\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-who: root\r\n\r\n"),
            "POST /x HTTP/1.1",
        ),
        &member,
    ));
    rows
}
