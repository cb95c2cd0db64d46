//! What a feeder refuses to open, and says instead.

use std::process::Command;

use crate::feeder::{Place, stderr, stdout};

fn refused(mut serve: Command) -> String {
    let output = serve.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(stdout(&output), "", "it never was ready");
    stderr(&output)
}

#[test]
fn scim_in_the_clear_stays_on_loopback() {
    let place = Place::new();
    let mut serve = place.serve();
    serve.env("SCIMESH_SCIM_LISTEN", "0.0.0.0:0");
    // A flag goes before its variable.
    let feeder = place.start_as(serve);
    assert!(feeder.address("scim").ip().is_loopback());
    drop(feeder);

    let off_loopback = |more: &[&str]| {
        let mut serve = crate::feeder::scimesh();
        serve.arg("serve").arg("--data-dir").arg(place.data_dir());
        serve.args(["--scim-listen", "0.0.0.0:0", "--feed-listen", "127.0.0.1:0"]);
        serve.args(["--admin-listen", "127.0.0.1:0"]).args(more);
        serve
    };
    let said = refused(off_loopback(&[]));
    assert!(
        said.contains("--scim-tls-cert") && said.contains("--behind-tls-proxy"),
        "{said}"
    );
    let feeder = place.start_as(off_loopback(&["--behind-tls-proxy"]));
    assert!(feeder.address("scim").ip().is_unspecified());
}

#[test]
fn the_feed_leaves_loopback_only_with_mutual_tls() {
    let place = Place::new();
    let feed = |address: &str, more: &[&str]| {
        let mut serve = crate::feeder::scimesh();
        serve.arg("serve").arg("--data-dir").arg(place.data_dir());
        serve.args([
            "--scim-listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ]);
        serve.args(["--feed-listen", address]).args(more);
        serve
    };
    let said = refused(feed("0.0.0.0:0", &[]));
    assert!(said.contains("--feed-client-ca"), "{said}");
    let said = refused(feed("0.0.0.0:0", &["--feed-behind-sidecar"]));
    assert!(said.contains("loopback"), "{said}");

    let feeder = place.start_as(feed("127.0.0.1:0", &[]));
    assert!(
        feeder
            .log()
            .contains("the feed serves every process of this machine")
    );
    drop(feeder);
    let feeder = place.start_as(feed("127.0.0.1:0", &["--feed-behind-sidecar"]));
    assert!(
        !feeder
            .log()
            .contains("the feed serves every process of this machine")
    );
}

#[test]
fn a_port_in_use_is_named() {
    let place = Place::new();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let mut serve = crate::feeder::scimesh();
    serve
        .arg("serve")
        .arg("--data-dir")
        .arg(place.data_dir())
        .args(["--scim-listen", &address]);
    serve.args([
        "--feed-listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
    ]);
    let said = refused(serve);
    assert!(
        said.contains(&format!("cannot listen on {address} for SCIM")),
        "{said}"
    );
}

#[test]
fn the_admin_address_has_probes_and_metrics_and_nothing_else() {
    let place = Place::new();
    let feeder = place.start();
    place.done(&["tenant", "create", "corp"]);
    assert_eq!(feeder.get("admin", "/healthz").status, 200);
    assert_eq!(feeder.get("admin", "/readyz").status, 200);
    let metrics = feeder.get("admin", "/metrics").body;
    for line in [
        "scimesh_feeder_revision 1",
        "scimesh_feeder_tenants 1",
        "scimesh_feeder_users{tenant=\"corp\"} 0",
    ] {
        assert!(
            metrics.lines().any(|held| held == line),
            "{line}\n{metrics}"
        );
    }
    for path in ["/", "/tenant/list", "/dump", "/scim/v2/Users"] {
        assert_eq!(feeder.get("admin", path).status, 404, "{path}");
        let post = format!("POST {path} HTTP/1.1\r\ncontent-type: application/json");
        assert_eq!(feeder.http("admin", &post, "{}").status, 404, "{path}");
    }
    // And what administers is not to be had over SCIM's address.
    let post = "POST /tenant/list HTTP/1.1\r\ncontent-type: application/json";
    assert_eq!(feeder.http("scim", post, "{}").status, 404);
}
