//! `make bench`: how long after the SCIM response the last request is still allowed.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use scimesh_tests::artifact;
use scimesh_tests::company::Company;
use scimesh_tests::envoy::WORKERS;
use scimesh_tests::machine;
use scimesh_tests::mesh::{Mesh, payments_policy};
use scimesh_tests::probe::{Probe, Question};
use scimesh_tests::sample::{Sample, ms};
use scimesh_tests::scim::PATCH_OP;
use scimesh_tests::wire::Connection;
use serde_json::json;

/// Connections that keep asking, for each worker.
const LANES: usize = 2;

/// From the SCIM 2xx to the last request still allowed.
#[derive(Parser)]
struct Arguments {
    /// Removals to measure; each is followed by an addition, measured likewise.
    #[arg(long, default_value_t = 500)]
    changes: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let changes = Arguments::parse().changes;
    ensure!(
        changes >= 200,
        "fewer than 200 changes say nothing of a p99"
    );
    let mut mesh = Mesh::start(&payments_policy()).await?;
    let acme = Company::acme().load(&mesh.acme.scim).await?;
    Company::globex().load(&mesh.globex.scim).await?;
    let anna = acme.people.first().context("Anna")?;
    let admins = acme.groups.get("payments-admins").context("a group")?;
    let token = mesh.acme.issuer.token("1001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;

    let question = Question {
        method: "GET",
        path: "/payments",
        token,
    };
    let start = Instant::now();
    let probe = Probe::start(&mesh.envoy, &question, LANES).await?;
    probe.settled(200, start).await?;

    let mut idp = Connection::open(mesh.feeder.scim_address())?;
    let path = format!("/scim/v2/Groups/{admins}");
    let patch = |operation| json!({ "schemas": [PATCH_OP], "Operations": [operation] }).to_string();
    let remove = patch(json!({ "op": "remove", "path": format!("members[value eq \"{anna}\"]") }));
    let add = patch(json!({ "op": "add", "path": "members", "value": [{ "value": anna }] }));
    let (mut removals, mut additions, mut patches) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..changes {
        for (body, status, times) in [(&remove, 403, &mut removals), (&add, 200, &mut additions)] {
            let change = idp.exchange("PATCH", &path, mesh.acme.scim.token(), body)?;
            ensure!(
                (200..300).contains(&change.status),
                "PATCH answered {}",
                change.status
            );
            times.push(probe.settled(status, change.received).await?);
            patches.push(change.received - change.sent);
        }
    }
    drop(probe);

    println!("{}\n", machine::description()?);
    println!(
        "From the arrival of the SCIM 2xx to the arrival of the last answer that was still the old one, on"
    );
    println!(
        "{} connections over {WORKERS} workers that ask without a pause; 0 where no such answer arrived later.",
        LANES * WORKERS
    );
    println!(
        "An answer that was under way counts, so the last *decision* was never later than this.\n"
    );
    println!(
        "| {:<42} |  changes |      p50 |      p90 |      p99 |      max |",
        ""
    );
    println!(
        "|:{:-<42}-|---------:|---------:|---------:|---------:|---------:|",
        ""
    );
    row("removed: SCIM 2xx -> last request allowed", removals);
    println!(
        "| {:<42} | {:>8} | {:>8} | {:>8} | {:>8} | {:>8} |",
        "budget", "", "2.00 ms", "", "10.0 ms", ""
    );
    row("added: SCIM 2xx -> last request refused", additions);
    row("the PATCH itself, durable", patches);

    // With the company in its database, and without Envoy's load.
    let dir = mesh.dir().to_owned();
    mesh.feeder.stop().await?;
    let start = Instant::now();
    mesh.feeder.start().await?;
    println!(
        "\nfeeder, 200 people: ready {} after its start, {:.1} MiB resident",
        ms(start.elapsed()),
        mesh.feeder.process()?.resident()? as f64 / 1048576.0
    );
    println!(
        "database: {:.2} MiB",
        machine::size(&dir.join("data"))? as f64 / 1048576.0
    );
    println!(
        "filter: {:.0} KiB of wasm",
        fs::metadata(artifact::filter()?)?.len() as f64 / 1024.0
    );
    mesh.end().await
}

fn row(name: &str, times: Vec<Duration>) {
    let times = Sample::new(times);
    println!(
        "| {name:<42} | {:>8} | {:>8} | {:>8} | {:>8} | {:>8} |",
        times.len(),
        ms(times.percentile(50)),
        ms(times.percentile(90)),
        ms(times.percentile(99)),
        ms(times.percentile(100))
    );
}
