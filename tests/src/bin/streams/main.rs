//! `make bench-streams`: how long after the SCIM response an open request ends, and what it costs a proxy to hold thousands.

mod listener;
mod service;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use futures::stream::{self, StreamExt, TryStreamExt};
use reqwest::Client;
use scimesh_tests::budget::Budgets;
use scimesh_tests::envoy::WORKERS;
use scimesh_tests::exposition::sum;
use scimesh_tests::mesh::{Mesh, PATIENCE, Plan, policy};
use scimesh_tests::sample::{Sample, ms};
use scimesh_tests::scim::PATCH_OP;
use scimesh_tests::wire::Connection;
use scimesh_tests::{address, machine};
use serde_json::{Value, json};

use listener::{Kind, Listener};
use service::Service;

/// Milliseconds from the SCIM 2xx to the end of an open request, of 99 in a hundred.
const BUDGET: f64 = 100.0;
/// Those whose end is measured say something as often as this: so exact is what is known of their last byte.
const EVERY: Duration = Duration::from_millis(2);
/// Streams of one HTTP/2 connection.
const SHARE: usize = 100;
/// Requests that are opened at once.
const AT_ONCE: usize = 32;

/// How long after the SCIM response an open request ends, and what it costs a proxy to hold thousands
#[derive(Parser)]
struct Arguments {
    /// Requests of other users that stay open meanwhile
    #[arg(long, default_value_t = 10_000)]
    others: usize,
    /// Removals to measure; whoever is removed has one open request of each kind
    #[arg(long, default_value_t = 200)]
    removals: usize,
    /// Seconds for which the proxy's processor time is taken while all are open and silent
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// What holding the others took of a proxy.
struct Held {
    /// Bytes of the process for each open request.
    bytes: f64,
    /// Bytes of the VMs together, for each.
    vms: f64,
    /// Processor time in a second in which nothing happened.
    idle: Duration,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.removals >= 25 && arguments.others >= SHARE && arguments.seconds > 0,
        "too little to say anything"
    );
    println!("## Open requests\n\n{}", machine::description()?);
    println!(
        "A real Envoy with {WORKERS} workers; {} requests of as many users are open, a fifth of them over HTTP/1.1. Feeder, service and clients share\n\
         these processors. Load of the machine before this: {}.\n",
        arguments.others,
        machine::load()?
    );
    println!(
        "From the arrival of the SCIM 2xx to that of the last byte of the open request, which says something every {} ms. Over HTTP/1.1 the\n\
         connection itself is closed when Envoy's `delayed_close_timeout` (a second) has passed; nothing comes or goes on it meanwhile.\n",
        EVERY.as_millis()
    );
    let without = hold_without_filter(&arguments).await?;
    let (with, times) = measure(&arguments).await?;

    println!("| SCIM 2xx -> its last byte         | requests |      p50 |      p99 |      max |");
    println!("|:----------------------------------|---------:|---------:|---------:|---------:|");
    let mut all = Vec::new();
    for (kind, times) in Kind::ALL.into_iter().zip(times) {
        all.extend(&times);
        row(kind.name(), &Sample::new(times));
    }
    let all = Sample::new(all);
    row("all", &all);

    let mut budgets = Budgets::default();
    let p99 = all.percentile(99).as_secs_f64() * 1000.0;
    budgets.hold(
        "SCIM 2xx -> the last byte of an open request, p99",
        p99,
        BUDGET,
        "ms",
    );
    budgets.tell(
        "an open request in Envoy, with the filter",
        with.bytes / 1024.0,
        "KiB",
    );
    budgets.tell(
        "an open request in Envoy, without",
        without.bytes / 1024.0,
        "KiB",
    );
    budgets.tell("of it in the filter's VMs", with.vms, "bytes");
    let idle = |held: &Held| held.idle.as_secs_f64() * 1000.0;
    budgets.tell(
        "Envoy's processor time while all are silent, with the filter",
        idle(&with),
        "ms a s",
    );
    budgets.tell(
        "Envoy's processor time while all are silent, without",
        idle(&without),
        "ms a s",
    );
    budgets.print();
    Ok(())
}

fn row(name: &str, times: &Sample) {
    println!(
        "| {name:<33} | {:>8} | {:>8} | {:>8} | {:>8} |",
        times.len(),
        ms(times.percentile(50)),
        ms(times.percentile(99)),
        ms(times.percentile(100))
    );
}

/// A mesh whose upstream is a [`Service`], with room for all that stays open.
async fn start(filter: bool) -> Result<(Mesh, Service)> {
    let service = Service::start(address::free()?).await?;
    let rules = json!([{ "name": "payments", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["group:payments"] } }]);
    let plan = Plan::new(&policy(rules)).upstream(service.address());
    let mesh = plan
        .alter(move |config| room(config, filter))
        .start()
        .await?;
    Ok((mesh, service))
}

/// Envoy lets 1,024 requests through to a service at once, unless it is told otherwise. Without the filter, its backstop goes too.
fn room(config: &mut Value, filter: bool) -> Result<()> {
    let clusters = config.pointer_mut("/static_resources/clusters");
    for cluster in clusters.and_then(Value::as_array_mut).context("clusters")? {
        const ROOM: u32 = 100_000;
        cluster["circuit_breakers"] = json!({ "thresholds": [{
            "max_connections": ROOM, "max_pending_requests": ROOM, "max_requests": ROOM,
        }] });
    }
    if !filter {
        let chain =
            "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
        let filters = config
            .pointer_mut(chain)
            .and_then(Value::as_array_mut)
            .context("filters")?;
        filters.retain(|filter| {
            let kind = filter
                .pointer("/typed_config/@type")
                .and_then(Value::as_str)
                .unwrap_or_default();
            !kind.contains("wasm") && !kind.contains("RBAC")
        });
    }
    Ok(())
}

async fn hold_without_filter(arguments: &Arguments) -> Result<Held> {
    let (mut mesh, service) = start(false).await?;
    let tokens = tokens(&mesh, arguments.others)?;
    let (held, others) = hold(&mut mesh, arguments, &tokens).await?;
    drop(others);
    drop(service);
    mesh.end().await?;
    Ok(held)
}

async fn measure(arguments: &Arguments) -> Result<(Held, [Vec<Duration>; 4])> {
    let (mut mesh, service) = start(true).await?;
    let names = (0..arguments.others + arguments.removals).collect::<Vec<_>>();
    let scim = &mesh.acme.scim;
    let users: Vec<String> = stream::iter(&names)
        .map(|number| async move {
            let (name, external_id) = (format!("user-{number}"), external_id(*number));
            scim.create_user(&name, &external_id).await
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let members: Vec<&str> = users.iter().map(String::as_str).collect();
    let group = scim.create_group("payments", &[]).await?;
    for some in members.chunks(1000) {
        let value: Vec<Value> = some.iter().map(|id| json!({ "value": id })).collect();
        let add = json!([{ "op": "add", "path": "members", "value": value }]);
        scim.patch(&format!("/Groups/{group}"), add).await?;
    }
    let tokens = tokens(&mesh, names.len())?;
    let last = tokens.last().context("a user")?;
    mesh.await_status("/", Some(last), 200).await?;

    let (others, removed) = tokens.split_at(arguments.others);
    let (held, mut others) = hold(&mut mesh, arguments, others).await?;
    let mut idp = Connection::open(mesh.feeder.scim_address())?;
    let path = format!("/scim/v2/Groups/{group}");
    let mut cut = Vec::new();
    for (token, user) in removed.iter().zip(users.iter().skip(arguments.others)) {
        let mut open = Vec::new();
        for kind in Kind::ALL {
            let client = client(kind)?;
            let query = format!("?every={}", EVERY.as_millis());
            open.push(Listener::open(kind, &client, mesh.envoy.address(), &query, token).await?);
        }
        let operation = json!({ "op": "remove", "path": format!("members[value eq \"{user}\"]") });
        let body = json!({ "schemas": [PATCH_OP], "Operations": [operation] }).to_string();
        let change = idp.exchange("PATCH", &path, mesh.acme.scim.token(), &body)?;
        ensure!(
            (200..300).contains(&change.status),
            "PATCH answered {}",
            change.status
        );
        cut.push((change.received, open));
    }
    let mut times = [const { Vec::new() }; 4];
    for (removed, open) in &mut cut {
        for (listener, times) in open.iter_mut().zip(&mut times) {
            let last = tokio::time::timeout(PATIENCE, listener.end()).await;
            let last = last.context("an open request outlived its user's membership")??;
            times.push(last.saturating_duration_since(*removed));
        }
    }
    // Nobody else was touched: every other request is open, and hears what is said now.
    let line = service.say();
    for other in &mut others {
        tokio::time::timeout(PATIENCE, other.hears(line))
            .await
            .context("silent")??;
    }
    drop(others);
    drop(service);
    mesh.end().await?;
    Ok((held, times))
}

/// Opens one request with each token, and takes what that costs.
async fn hold(
    mesh: &mut Mesh,
    arguments: &Arguments,
    tokens: &[String],
) -> Result<(Held, Vec<Listener>)> {
    let before = (mesh.envoy.resident()?, vms(mesh).await?);
    let address = mesh.envoy.address();
    let shares: Vec<(Kind, Client, &[String])> = tokens
        .chunks(SHARE)
        .enumerate()
        .map(|(number, tokens)| {
            // Of ten shares, one is of WebSockets and one of downloads over HTTP/1.1.
            let kind = match number % 10 {
                0 => Kind::WebSocket,
                1 => Kind::Download,
                number if number % 2 == 0 => Kind::DownloadOverHttp2,
                _ => Kind::Grpc,
            };
            Ok((kind, client(kind)?, tokens))
        })
        .collect::<Result<_>>()?;
    let opens = shares.iter().flat_map(|(kind, client, tokens)| {
        tokens
            .iter()
            .map(move |token| Listener::open(*kind, client, address, "", token))
    });
    let listeners: Vec<Listener> = stream::iter(opens)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = (mesh.envoy.resident()?, vms(mesh).await?);
    let (from, start) = (mesh.envoy.process().cpu_ticks()?, Instant::now());
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let idle = (mesh.envoy.process().cpu_ticks()? - from).div_f64(start.elapsed().as_secs_f64());
    ensure!(
        listeners.iter().all(|listener| listener.ended().is_none()),
        "one ended by itself"
    );
    let count = tokens.len() as f64;
    let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / count;
    let held = Held {
        bytes: each(before.0, after.0),
        vms: each(before.1, after.1),
        idle,
    };
    Ok((held, listeners))
}

/// Bytes of memory of the filter's VMs; none without it.
async fn vms(mesh: &Mesh) -> Result<u64> {
    Ok(sum(&mesh.envoy.prometheus().await?, "scimesh_memory_bytes", &[]) as u64)
}

fn client(kind: Kind) -> Result<Client> {
    let builder = Client::builder();
    let builder = match kind {
        Kind::WebSocket | Kind::Download => builder.http1_only(),
        Kind::DownloadOverHttp2 | Kind::Grpc => builder.http2_prior_knowledge(),
    };
    Ok(builder.build()?)
}

fn external_id(number: usize) -> String {
    format!("{number:06}")
}

fn tokens(mesh: &Mesh, count: usize) -> Result<Vec<String>> {
    (0..count)
        .map(|number| mesh.acme.issuer.token(&external_id(number)))
        .collect()
}
