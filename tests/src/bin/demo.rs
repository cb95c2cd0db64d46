//! `make run`: all of Scimesh on this machine, doing its job before your eyes.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use scimesh_tests::artifact;
use scimesh_tests::bootstrap::{Bootstrap, Delivery, FEED_CLUSTER};
use scimesh_tests::company::{Company, Loaded};
use scimesh_tests::envoy::{Envoy, filter_config};
use scimesh_tests::eventually::eventually;
use scimesh_tests::feeder::Feeder;
use scimesh_tests::issuer::Issuer;
use scimesh_tests::probe::{Probe, Question};
use scimesh_tests::scim::{PATCH_OP, Scim};
use scimesh_tests::upstream::Upstream;
use scimesh_tests::wire::Connection;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

/// Connections that keep asking, for each worker of Envoy.
const LANES: usize = 2;
/// How long the printed tokens are good, in seconds.
const TOKEN_LIFE: u64 = 12 * 3600;
/// What the scenes ask for.
const REFUND: &str = "/accounts/7/refunds";

/// A feeder, an Envoy with the filter, and a sample company, on loopback.
#[derive(Parser)]
#[command(name = "make run")]
struct Arguments {
    /// First of six ports in a row on 127.0.0.1: proxy, SCIM, feed, feeder's admin, Envoy's admin, upstream.
    #[arg(long, env = "SCIMESH_DEMO_PORT", default_value_t = 18080,
          value_parser = clap::value_parser!(u16).range(1..=65530))]
    port: u16,
    /// Show the scenes and end.
    #[arg(long, env = "SCIMESH_DEMO_ONCE")]
    once: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let ports = Ports::new(arguments.port)?;
    let dir = artifact::root()?.join(".run");
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let outcome = tokio::select! {
        outcome = play(&ports, &dir, arguments.once) => outcome,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    match &outcome {
        Ok(()) if dir.exists() => fs::remove_dir_all(&dir).context("cleaning up")?,
        Ok(()) => {}
        Err(_) => eprintln!("\nThe logs are in {}.", dir.display()),
    }
    outcome
}

/// Where everything listens.
struct Ports {
    proxy: SocketAddr,
    scim: SocketAddr,
    feed: SocketAddr,
    feeder_admin: SocketAddr,
    envoy_admin: SocketAddr,
    upstream: SocketAddr,
}

impl Ports {
    fn new(first: u16) -> Result<Ports> {
        let names = [
            "proxy",
            "SCIM",
            "feed",
            "feeder's admin",
            "Envoy's admin",
            "upstream",
        ];
        let [proxy, scim, feed, feeder_admin, envoy_admin, upstream] = [0, 1, 2, 3, 4, 5]
            .map(|i| SocketAddr::from((Ipv4Addr::LOCALHOST, first.saturating_add(i))));
        for (name, address) in
            names
                .into_iter()
                .zip([proxy, scim, feed, feeder_admin, envoy_admin, upstream])
        {
            TcpListener::bind(address).with_context(|| {
                format!(
                    "port {} of 127.0.0.1 (for the {name}) can't be had. Is another `make run` going on? Stop what \
                     listens there, or take six other ports in a row: make run ARGS='--port {}'",
                    address.port(),
                    if first < 40_000 { first + 10_000 } else { 28_080 },
                )
            })?;
        }
        Ok(Ports {
            proxy,
            scim,
            feed,
            feeder_admin,
            envoy_admin,
            upstream,
        })
    }
}

fn policy() -> Value {
    json!({
        "tenant": "acme",
        "feed": { "cluster": FEED_CLUSTER },
        "maxStaleness": "1m",
        "rules": [
            { "name": "health", "to": [{ "paths": ["/healthz"], "methods": ["GET"] }], "allow": "PUBLIC" },
            {
                "name": "refunds",
                "to": [{ "methods": ["POST"], "paths": ["/accounts/{*}/refunds"] }],
                "require": { "anyOf": ["group:payments-admins"], "noneOf": ["group:contractors"] },
            },
            {
                "name": "ledger",
                "to": [{ "paths": ["/ledger", "/ledger/{**}"] }],
                "require": { "anyOf": ["group:finance"] },
            },
            { "name": "everything-else", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["active"] } },
        ],
    })
}

/// All that runs.
struct Stage {
    feeder: Feeder,
    envoy: Envoy,
    _upstream: Upstream,
    acme: Side,
    globex: Side,
}

/// One tenant.
struct Side {
    issuer: Issuer,
    scim: Scim,
    company: Company,
    loaded: Loaded,
}

impl Side {
    fn token(&self, person: usize) -> Result<String> {
        let person = self.company.people().get(person).context("a person")?;
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_secs();
        self.issuer.token_with(json!({
            "sub": person.number, "name": person.name, "exp": now + TOKEN_LIFE,
        }))
    }

    fn group(&self, name: &str) -> Result<&str> {
        self.loaded
            .groups
            .get(name)
            .map(String::as_str)
            .context("a group")
    }
}

async fn play(ports: &Ports, dir: &Path, once: bool) -> Result<()> {
    let mut stage = set(ports, dir).await?;
    scenes(&stage).await?;
    if once {
        stage.envoy.stop().await?;
        return stage.feeder.stop().await;
    }
    invitation(&stage, dir)?;
    // Main ends this by dropping it; what is left to watch for is a part that ends by itself.
    loop {
        stage.envoy.process().check()?;
        stage.feeder.process()?.check()?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn set(ports: &Ports, dir: &Path) -> Result<Stage> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::DirBuilder::new().mode(0o700).create(dir)?;

    let start = Instant::now();
    let mut feeder = Feeder::at(dir, ports.scim, ports.feed, ports.feeder_admin);
    feeder.start().await?;
    println!(
        "  {:<58} {:>9}",
        "feeder ready, on an empty embedded store",
        took(start)
    );

    let start = Instant::now();
    let acme = side(&feeder, "acme", Company::acme()).await?;
    let globex = side(&feeder, "globex", Company::globex()).await?;
    for (name, side) in [("acme", &acme), ("globex", &globex)] {
        println!(
            "  {name}: {} people, {} groups",
            side.company.people().len(),
            side.company.group_count()
        );
    }
    println!(
        "  {:<58} {:>9}",
        "loaded over SCIM/HTTP, each write synced to disk",
        took(start)
    );

    let start = Instant::now();
    let upstream = Upstream::start(ports.upstream).await?;
    let config = filter_config(&policy().to_string(), None)?;
    let bootstrap = Bootstrap {
        listen: ports.proxy,
        admin: ports.envoy_admin,
        upstream: ports.upstream,
        feed: Some(ports.feed),
        issuers: &[acme.issuer.clone(), globex.issuer.clone()],
        filter: Delivery::Static(&config),
    };
    let envoy = Envoy::start(dir, &bootstrap).await?;
    eventually(
        "the first request to be allowed",
        Duration::from_secs(10),
        async || {
            let answer = envoy.get("/", Some(&acme.token(0)?)).await?;
            ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
            Ok(())
        },
    )
    .await?;
    println!(
        "  {:<58} {:>9}",
        "Envoy up: jwt_authn, filter, RBAC backstop; 2 workers",
        took(start)
    );
    Ok(Stage {
        feeder,
        envoy,
        _upstream: upstream,
        acme,
        globex,
    })
}

async fn side(feeder: &Feeder, name: &str, company: Company) -> Result<Side> {
    let issuer = Issuer::new(&format!("https://idp.{name}.example"))?;
    let scim = feeder.create_tenant(name, issuer.url()).await?;
    let loaded = company.load(&scim).await?;
    Ok(Side {
        issuer,
        scim,
        company,
        loaded,
    })
}

/// What is shown live. Every answer that is not as announced ends the show with an error.
async fn scenes(stage: &Stage) -> Result<()> {
    let acme = &stage.acme;
    let anna = acme.loaded.people.first().context("Anna")?;
    let admins = format!("/Groups/{}", acme.group("payments-admins")?);
    let user = format!("/Users/{anna}");
    let question = Question {
        method: "POST",
        path: REFUND,
        token: acme.token(0)?,
    };

    println!(
        "\nAnna Berg is in payments-admins, which is in payments, which is in finance. She asks, without a pause,"
    );
    println!(
        "on {} connections over both workers: POST {REFUND}\n",
        LANES * 2
    );
    let start = Instant::now();
    let probe = Probe::start(&stage.envoy, &question, LANES).await?;
    probe.settled(200, start).await?;
    println!("  {:<58} {:>9}", "allowed", 200);

    let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{anna}\"]") }]);
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": anna }] }]);
    let active = |active: bool| json!([{ "op": "replace", "path": "active", "value": active }]);
    let script = [
        ("removed from the group", &admins, remove, 403),
        ("put back", &admins, add, 200),
        ("deactivated", &user, active(false), 403),
        ("activated again", &user, active(true), 200),
    ];
    let mut idp = Connection::open(stage.feeder.scim_address())?;
    for (what, path, operations, status) in script {
        let body = json!({ "schemas": [PATCH_OP], "Operations": operations }).to_string();
        let path = format!("/scim/v2{path}");
        let change = idp.exchange("PATCH", &path, acme.scim.token(), &body)?;
        ensure!(
            (200..300).contains(&change.status),
            "{what}: the feeder answered {}",
            change.status
        );
        let last = probe.settled(status, change.received).await?;
        let verdict = if status == 200 { "allowed" } else { "refused" };
        let other = if status == 200 {
            "refusal"
        } else {
            "allowed answer"
        };
        println!(
            "  SCIM: {what:<52} {:>9}",
            ms(change.received - change.sent)
        );
        println!(
            "  {:<58} {status:>9}",
            format!(
                "  {verdict}; last {other} {} after the SCIM response",
                ms(last)
            )
        );
    }
    drop(probe);

    println!("\nOthers, the same request:\n");
    for (who, token, status) in [
        ("no token", None, 401),
        (
            "Dora Berg, in payments-admins, but a contractor",
            Some(acme.token(3)?),
            403,
        ),
        (
            "globex' number 1001, in globex' payments-admins",
            Some(stage.globex.token(0)?),
            401,
        ),
    ] {
        let answer = stage
            .envoy
            .request(reqwest::Method::POST, REFUND, token.as_deref())
            .await?;
        ensure!(
            answer.status == status,
            "{who}: {} {}",
            answer.status,
            answer.body
        );
        let reason = answer.reason().unwrap_or_default();
        println!("  {who:<47} {reason:>15} {status:>4}");
    }
    Ok(())
}

/// Lines to paste.
fn invitation(stage: &Stage, dir: &Path) -> Result<()> {
    let acme = &stage.acme;
    let tokens = dir.join("tokens");
    fs::create_dir(&tokens)?;
    for (name, token) in [
        ("anna", acme.token(0)?),
        ("dora", acme.token(3)?),
        ("globex-1001", stage.globex.token(0)?),
        ("scim-acme", acme.scim.token().to_owned()),
    ] {
        fs::write(tokens.join(name), token)?;
    }
    let ids = dir.join("ids");
    fs::create_dir(&ids)?;
    let anna = acme.loaded.people.first().context("Anna")?;
    let admins = acme.group("payments-admins")?;
    fs::write(ids.join("anna"), anna)?;
    fs::write(ids.join("payments-admins"), admins)?;

    let bearer = |name: &str| {
        format!(
            "-H \"Authorization: Bearer $(cat {})\"",
            path(&tokens, name)
        )
    };
    let refund = |who: &str| {
        format!(
            "curl -i -X POST {} {}",
            bearer(who),
            stage.envoy.url(REFUND)
        )
    };
    let scim = |body: &Value, path: &str| {
        format!(
            "curl -i -X PATCH {} -H 'Content-Type: application/scim+json' -d '{body}' http://{}/scim/v2{path}",
            bearer("scim-acme"),
            stage.feeder.scim_address(),
        )
    };
    let patch = |operation: Value| json!({ "schemas": [PATCH_OP], "Operations": [operation] });
    let group = format!("/Groups/{admins}");
    println!("\nNow you, from another terminal (the tokens are good for 12 hours):\n");
    println!("# Anna may\n{}\n", refund("anna"));
    println!(
        "# Her identity provider removes her from the group: now she may not\n{}\n",
        scim(
            &patch(json!({ "op": "remove", "path": format!("members[value eq \"{anna}\"]") })),
            &group
        )
    );
    println!(
        "# ... puts her back: she may again\n{}\n",
        scim(
            &patch(json!({ "op": "add", "path": "members", "value": [{ "value": anna }] })),
            &group
        )
    );
    println!(
        "# ... and ends her account: her token is as valid as ever, and she may nothing\n{}\n",
        scim(
            &patch(json!({ "op": "replace", "path": "active", "value": false })),
            &format!("/Users/{anna}")
        )
    );
    println!(
        "# Dora is an admin too, but a contractor\n{}\n",
        refund("dora")
    );
    println!(
        "# The same `sub`, from another company's issuer\n{}\n",
        refund("globex-1001")
    );
    println!("Ctrl-C ends all of it.");
    Ok(())
}

fn path(dir: &Path, name: &str) -> String {
    PathBuf::from(dir).join(name).display().to_string()
}

fn took(start: Instant) -> String {
    format!("{:.1} s", start.elapsed().as_secs_f64())
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
