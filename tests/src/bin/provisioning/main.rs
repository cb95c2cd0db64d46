//! `make bench-provisioning`: how quickly users and groups come in and are found, beside a Python SCIM server in the same run.

mod creates;
mod lanes;
mod patches;
mod queries;
mod service;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use scimesh_tests::feeder::Feeder;
use scimesh_tests::peer::{self, Peer};
use scimesh_tests::sample::ms;
use scimesh_tests::{artifact, machine};

use creates::Contestant;
use lanes::{Until, create};
use service::Service;

/// Members of the groups that one member is added to, and removed from.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// How long the peer may take over a step that it may not get through in any useful time.
const PATIENCE: Duration = Duration::from_secs(5);

/// How quickly users and groups come in and are found
#[derive(Parser)]
struct Arguments {
    /// Users in the large directory
    #[arg(long, default_value_t = 100_000)]
    users: usize,
    /// Turns that each server takes with each number of connections
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of a turn
    #[arg(long, default_value_t = 2)]
    seconds: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let users = arguments.users;
    ensure!(
        users >= 1000 && arguments.rounds > 0,
        "too little to say anything"
    );
    let dir = artifact::scratch()?;
    println!("## Provisioning\n\n{}", machine::description()?);
    println!(
        "Client and servers share these processors; the client is the same for all of them: threads, plain HTTP/1.1 on loopback."
    );
    let sync = machine::sync_times(dir.path())?;
    println!(
        "Load of the machine before this: {}. Its disk appends 4 KiB durably in {} (p50), {} (p99).\n",
        machine::load()?,
        ms(sync.percentile(50)),
        ms(sync.percentile(99))
    );

    let mut feeder = Feeder::new(dir.path())?;
    // One client with one token, and as much as it can: more than anybody's limit should be.
    let arguments_of_serve = ["--scim-limit", "requests-per-second=1000000"];
    feeder.start_with(&arguments_of_serve).await?;
    let tenant = async |name| -> Result<Service> {
        let scim = feeder
            .create_tenant(name, &format!("https://idp.{name}.example"))
            .await?;
        Ok(Service {
            address: feeder.scim_address(),
            base: "/scim/v2",
            token: scim.token().to_owned(),
        })
    };
    let of_peer = |peer: &Peer| Service {
        address: peer.address(),
        base: peer::BASE,
        token: peer::TOKEN.to_owned(),
    };
    let command = Peer::as_it_comes(dir.path()).await?;
    let uvicorn = Peer::kept_alive(dir.path()).await?;
    let (small, large) = (tenant("small").await?, tenant("large").await?);
    let (as_it_comes, kept_alive) = (of_peer(&command), of_peer(&uvicorn));

    let contestant = |name, service| Contestant {
        name,
        service,
        next: AtomicUsize::new(0),
    };
    let peers = [
        contestant("scim2-server, in memory", &as_it_comes),
        contestant("the same under uvicorn", &kept_alive),
    ];
    let ours = contestant("scimesh serve, on disk", &small);
    creates::race(
        &ours,
        &peers,
        arguments.rounds,
        Duration::from_secs(arguments.seconds),
    )?;
    drop(command);

    let loaded = create(&large, 32, &AtomicUsize::new(0), Until::Count(users))?;
    println!(
        "\n{users} users created on 32 connections in {:.1} s: {:.0}/s; {:.0} MiB resident, with {} users of the above.\n",
        loaded.took.as_secs_f64(),
        loaded.rate(),
        mib(feeder.process()?.resident()?),
        ours.next.load(Ordering::Relaxed)
    );

    // The peer has its own ids, and takes any for a member.
    let sizes: Vec<usize> = SIZES.into_iter().filter(|size| *size <= users).collect();
    patches::title();
    let changed = patches::change(&large, &loaded.ids, &sizes, 500, Duration::MAX)?;
    patches::print("scimesh serve, on disk", &changed);
    for size in &sizes {
        let changed = patches::change(&kept_alive, &loaded.ids, &[*size], 500, PATIENCE)?;
        patches::print("scim2-server under uvicorn, in memory", &changed);
    }
    patches::judge(&changed);

    let [_, kept] = &peers;
    let users_of_peer = kept.next.load(Ordering::Relaxed);
    let found = queries::ask(&large, users, PATIENCE)?;
    let by_peer = queries::ask(&kept_alive, users_of_peer, PATIENCE)?;
    println!();
    queries::print(users, &found, users_of_peer, &by_peer);

    feeder.stop().await?;
    let start = Instant::now();
    feeder.start().await?;
    println!(
        "\nfeeder with all of that, started again: ready after {}, {:.0} MiB resident; database {:.0} MiB",
        ms(start.elapsed()),
        mib(feeder.process()?.resident()?),
        mib(machine::size(feeder.data_dir())?)
    );
    feeder.stop().await.context("the feeder")
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1048576.0
}
