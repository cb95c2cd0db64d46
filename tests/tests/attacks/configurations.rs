//! However Envoy is configured around the filter, and whatever of it is missing, nothing gets past.

use std::sync::Arc;

use anyhow::{Result, ensure};
use scimesh_tests::eventually::eventually;
use scimesh_tests::exposition::sum;
use scimesh_tests::mesh::PATIENCE;

use crate::listeners::{Listeners, listed_policy};
use crate::row::{Row, authorized, bytes, get, get2, lines};
use crate::siege::Siege;

const NOBODY: &str = "403 nobody";
const AMBIGUOUS: &str = "400 ambiguous_path";

fn targets(all: &[(&str, &str)]) -> Vec<Row> {
    let row =
        |(target, expected): &(&str, &str)| Row::new(*target, get(target.as_bytes()), *expected);
    all.iter().map(row).collect()
}

/// What Envoy makes of a path before the filter sees it.
fn normalization(siege: &Siege, listeners: &Listeners) -> Result<()> {
    let [plain, merging, unescaping, rejecting, redirecting, ..] = listeners.0;
    siege.withstand_at(
        plain,
        &targets(&[
            ("/admin", NOBODY),
            ("/%61dmin", NOBODY),
            ("/admin/", NOBODY),
            ("//admin", AMBIGUOUS),
            ("/./admin", AMBIGUOUS),
            ("/admin/.", AMBIGUOUS),
            ("/x/../admin", AMBIGUOUS),
            ("/x/%2e%2e/admin", AMBIGUOUS),
            ("/%2e/admin", AMBIGUOUS),
            ("/x/..;/admin", AMBIGUOUS),
            ("/x/..%2fadmin", AMBIGUOUS),
            ("/x\\..\\admin", AMBIGUOUS),
            ("/admin%00", AMBIGUOUS),
            ("/x?y=/../admin", "GET /x?y=/../admin HTTP/1.1"),
        ]),
    )?;
    siege.withstand_at(
        merging,
        &targets(&[
            ("//admin", NOBODY),
            ("/x/..//admin", NOBODY),
            ("/%2fadmin", AMBIGUOUS),
            ("//x", "GET /x HTTP/1.1"),
        ]),
    )?;
    siege.withstand_at(
        unescaping,
        &targets(&[
            ("/x%2f..%2fadmin", NOBODY),
            ("/x%5c..%5cadmin", NOBODY),
            ("/%2fadmin", AMBIGUOUS),
            ("/x%252f..%252fadmin", AMBIGUOUS),
            ("/x%2fy", "GET /x/y HTTP/1.1"),
        ]),
    )?;
    siege.withstand_at(
        rejecting,
        &targets(&[
            ("/x%2fadmin", "400"),
            ("/x%5cadmin", "400"),
            ("/admin", NOBODY),
        ]),
    )?;
    siege.withstand_at(
        redirecting,
        &targets(&[("/x%2f..%2fadmin", "307"), ("/admin", NOBODY)]),
    )
}

/// What Envoy does after the filter has let a request go on.
fn routing(siege: &Siege, listeners: &Listeners) -> Result<()> {
    let [_, _, _, _, _, hopping, rewriting, retrying, ..] = listeners.0;
    let hop = |to: &str, expected: &str| {
        let target = format!("/hop?to={to}");
        Row::new(
            format!("a redirect to {to}"),
            get(target.as_bytes()),
            expected,
        )
        .after(&format!("GET {target} HTTP/1.1"))
    };
    // The verdict on the first target is none on the second.
    siege.withstand_at(
        hopping,
        &[
            hop("http://svc.example/admin", NOBODY),
            hop("http://svc.example/%61dmin", NOBODY),
            hop("http://svc.example//admin", AMBIGUOUS),
            hop("http://svc.example/x/../admin", NOBODY),
            hop("http://svc.example/x", "GET /x HTTP/1.1"),
            Row::new(
                "a redirect from what is public to what is not",
                lines(&[
                    "GET /hop?to=http://svc.example/x HTTP/1.1",
                    "host: svc.example",
                ]),
                "401 no_token",
            )
            .after("GET /hop?to=http://svc.example/x HTTP/1.1"),
            Row::new(
                "the same for a guest",
                authorized("/hop?to=http://svc.example/x", "Bearer $guest"),
                "403 unknown_subject",
            )
            .after("GET /hop?to=http://svc.example/x HTTP/1.1"),
        ],
    )?;
    // Rules are about what the client asks for; where a route leads is the operator's.
    siege.withstand_at(
        rewriting,
        &targets(&[
            ("/pub/x", "GET /admin/x HTTP/1.1"),
            ("/pub/../admin", NOBODY),
            ("/admin", NOBODY),
            ("/pub//x", AMBIGUOUS),
        ]),
    )?;
    siege.withstand_at(
        retrying,
        &[
            Row::new("a retry", get(b"/flaky"), "GET /flaky HTTP/1.1").after("GET /flaky HTTP/1.1"),
            Row::new("a retry by a guest", authorized("/flaky", "Bearer $guest"), "403 unknown_subject"),
            Row::new(
                "HTTP/1.0",
                bytes(b"GET /admin HTTP/1.0\r\nhost: svc.example\r\nauthorization: Bearer $member\r\n\r\n"),
                NOBODY,
            ),
            Row::new(
                "HTTP/1.0 without a host",
                bytes(b"GET /x HTTP/1.0\r\nauthorization: Bearer $member\r\n\r\n"),
                "400",
            ),
            Row::new("HTTP/0.9", bytes(b"GET /admin\r\n\r\n"), "400"),
        ],
    )
}

/// What becomes of requests where something of the enforcement is missing.
fn missing(siege: &Siege, listeners: &Listeners) -> Result<()> {
    let [.., unbacked, unfiltered, shadow, lost, deaf, foreign] = listeners.0;
    siege.withstand_at(
        unbacked,
        &targets(&[
            ("/admin", NOBODY),
            ("//admin", AMBIGUOUS),
            ("/x", "GET /x HTTP/1.1"),
        ]),
    )?;
    siege.withstand_beside(
        unfiltered,
        &[
            Row::new("no filter", get(b"/x"), "403"),
            Row::new("no filter, HTTP/2", get2(b"/x", &[]), "403"),
            Row::new("no filter, what is public", get(b"/hop"), "403"),
            Row::new(
                "no filter, a verdict of the client's own",
                lines(&[
                    "GET /x HTTP/1.1",
                    "host: svc.example",
                    "scimesh_verdict: allow",
                    "wasm.scimesh_verdict: allow",
                ]),
                "403",
            ),
        ],
    )?;
    siege.withstand_beside(
        shadow,
        &[
            Row::new(
                "a shadow policy, nobody",
                get(b"/admin"),
                "GET /admin HTTP/1.1",
            ),
            Row::new(
                "a shadow policy, ambiguous",
                get(b"//admin"),
                "GET //admin HTTP/1.1",
            ),
            Row::new(
                "a shadow policy, no token",
                lines(&["GET /x HTTP/1.1", "host: svc.example"]),
                "GET /x HTTP/1.1",
            ),
            Row::new(
                "a shadow policy, a forged token",
                authorized("/x", "Bearer x.y.z"),
                "401",
            ),
        ],
    )?;
    for (listener, reason) in [
        (lost, "503 feed_cluster_missing"),
        (deaf, "503 no_snapshot"),
        (foreign, "401 unknown_issuer"),
    ] {
        siege.withstand_beside(
            listener,
            &[
                Row::new(format!("{reason}, a member"), get(b"/x"), reason),
                Row::new(format!("{reason}, over HTTP/2"), get2(b"/x", &[]), reason),
                Row::new(format!("{reason}, nobody"), get(b"/admin"), NOBODY),
                Row::new(
                    format!("{reason}, no token"),
                    lines(&["GET /x HTTP/1.1", "host: svc.example"]),
                    "401 no_token",
                ),
                Row::new(
                    format!("{reason}, what is public"),
                    get(b"/hop"),
                    "GET /hop HTTP/1.1",
                ),
            ],
        )?;
    }
    Ok(())
}

/// Several requests on one connection, bodies, and upgrades.
fn streams() -> Vec<Row> {
    const ONE: &str =
        "GET /x HTTP/1.1\r\nhost: svc.example\r\nauthorization: Bearer $member\r\n\r\n";
    let bad = |target: &str| ONE.replace("/x", target);
    let post = |target: &str, size: usize| {
        let head = ONE.replace("GET /x", &format!("POST {target}"));
        let length = format!("\r\ncontent-length: {size}\r\n\r\n");
        let head = head.replace("\r\n\r\n", &length);
        bytes(&[head.as_bytes(), &vec![b'a'; size]].concat())
    };
    let upgrade = |target: &str, token: &str| {
        lines(&[
            &format!("GET {target} HTTP/1.1"),
            "host: svc.example",
            &format!("authorization: Bearer {token}"),
            "connection: Upgrade",
            "upgrade: websocket",
        ])
    };
    const X: &str = "GET /x HTTP/1.1";
    vec![
        // Envoy itself ends a connection after a refusal that stands between other requests, jwt_authn's as well.
        Row::new(
            "good, bad, good in one write",
            bytes([ONE, &bad("/admin"), ONE].concat().as_bytes()),
            format!("{X} | {NOBODY} | closed"),
        ),
        Row::new(
            "bad, good, ambiguous, good in one write",
            bytes(
                [&bad("/admin"), ONE, &bad("//admin"), ONE]
                    .concat()
                    .as_bytes(),
            ),
            format!("{NOBODY} | {X} | {AMBIGUOUS} | closed"),
        ),
        Row::new(
            "another's request behind the member's",
            bytes(
                [
                    ONE,
                    &ONE.replace("member", "guest"),
                    "GET /x HTTP/1.1\r\nhost: svc.example\r\n\r\n",
                ]
                .concat()
                .as_bytes(),
            ),
            format!("{X} | 403 unknown_subject | closed"),
        ),
        Row::new(
            "good, forged, good in one write",
            bytes(
                [ONE, &ONE.replace("$member", "x.y.z"), ONE]
                    .concat()
                    .as_bytes(),
            ),
            format!("{X} | 401 | closed"),
        ),
        Row::new("a body before the verdict", post("/admin", 1000), NOBODY),
        Row::new(
            "a body beyond all buffers",
            post("/x", 3_000_000),
            "POST /x HTTP/1.1",
        ),
        Row::new(
            "a shadow rule that refuses is skipped",
            get(b"/tried"),
            "GET /tried HTTP/1.1",
        ),
        Row::new(
            "and leaves the next one its say",
            authorized("/tried", "Bearer $guest"),
            "403 unknown_subject",
        ),
        Row::new(
            "a shadow rule that allows is skipped",
            lines(&["GET /opened HTTP/1.1", "host: svc.example"]),
            "401 no_token",
        ),
        Row::new(
            "a WebSocket for nobody",
            upgrade("/admin", "$member"),
            NOBODY,
        ),
        Row::new(
            "a WebSocket for a guest",
            upgrade("/x", "$guest"),
            "403 unknown_subject",
        ),
        Row::new("a WebSocket for a member", upgrade("/x", "$member"), X),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn however_envoy_is_configured_nothing_gets_past() -> Result<()> {
    let listeners = Arc::new(Listeners::new()?);
    let configured = listeners.clone();
    let siege = Siege::lay(&listed_policy(), move |envoy| configured.configure(envoy)).await?;
    siege.withstand(&streams())?;
    normalization(&siege, &listeners)?;
    routing(&siege, &listeners)?;
    missing(&siege, &listeners)?;
    // What was let go on for being in SHADOW has been counted.
    eventually("the counters", PATIENCE, async || {
        let all = siege.mesh.envoy.prometheus().await?;
        let requests = [("decision", "shadow_deny"), ("reason", "nobody")];
        ensure!(sum(&all, "scimesh_requests_total", &requests) > 0.0);
        let rules = [("rule", "tried"), ("reason", "nobody")];
        ensure!(
            sum(&all, "scimesh_shadow_rule_denials_total", &rules) > 0.0,
            "{all:?}"
        );
        Ok(())
    })
    .await?;
    siege.end().await
}
