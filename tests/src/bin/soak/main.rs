//! `make soak`: everything that goes wrong in a mesh, for as long as one likes, and at the end every proxy holds what it should.

mod company;
mod leaks;
mod trouble;
mod verdicts;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use scimesh_proto::scope::Scope;
use scimesh_tests::envoy::Envoy;
use scimesh_tests::eventually::eventually;
use scimesh_tests::feeder::Feeder;
use scimesh_tests::issuer::Issuer;
use scimesh_tests::load::content::{Content, binding};
use scimesh_tests::load::fleet::{Fleet, Shape};
use scimesh_tests::load::follower::Behaviour;
use scimesh_tests::load::install::install;
use scimesh_tests::load::proxy;
use scimesh_tests::load::staff::{Plan, Staff};
use scimesh_tests::{artifact, machine};

use company::{Past, Pushing};
use leaks::Moment;
use trouble::Trouble;

const TENANT: &str = "corp";
const ISSUER: &str = "https://idp.corp.example";
/// Scopes of the simulated proxies, and terms of each.
const SCOPES: usize = 20;
const TERMS: usize = 16;
/// Short, so that everybody asks often whether it is current.
const LEASE: Duration = Duration::from_secs(9);
/// For everybody to be current.
const PATIENCE: Duration = Duration::from_secs(60);
/// Restarts of the feeder, over the whole time.
const RESTARTS: u32 = 8;
/// Between two troubles.
const PAUSE: Duration = Duration::from_millis(50);

/// Everything that goes wrong in a mesh, and what it comes to
#[derive(Parser)]
struct Arguments {
    /// How long
    #[arg(long, default_value_t = 20.0)]
    minutes: f64,
    /// Streams that hold nothing, and say what the feeder told them
    #[arg(long, default_value_t = 300)]
    light: usize,
    /// Streams that hold everything, as a filter does
    #[arg(long, default_value_t = 60)]
    whole: usize,
    /// Users
    #[arg(long, default_value_t = 5000)]
    users: u32,
    /// Changes a second
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// The same seed makes the same company, and the same changes as long as the machine makes the same pauses
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

struct Soak {
    feeder: Feeder,
    pushing: Pushing,
    light: Fleet,
    whole: Fleet,
    scopes: Vec<Scope>,
    envoy: Envoy,
    issuer: Issuer,
    groups: Vec<String>,
    envoy_scope: Scope,
    random: StdRng,
    backup: PathBuf,
    started: Instant,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.minutes > 0.0 && arguments.light > 0 && arguments.whole > 0,
        "too little to say anything"
    );
    println!("## Soak\n\n{}", machine::description()?);
    let dir = artifact::scratch()?;
    let mut soak = Soak::set(dir.path().to_owned(), &arguments).await?;
    let ran = soak.run(&arguments).await;
    if ran.is_err() {
        eprintln!("---- the feeder's log ends:\n{}", tail(&soak.feeder.log()));
        eprintln!(
            "---- Envoy's log ends:\n{}",
            soak.envoy.process().log_tail(10)
        );
    }
    ran
}

impl Soak {
    async fn set(dir: PathBuf, arguments: &Arguments) -> Result<Soak> {
        let plan = Plan {
            users: arguments.users,
            groups: 200,
            memberships: arguments.users as usize * 10,
            seed: arguments.seed,
        };
        let staff = Staff::new(&plan)?;
        let mut random = StdRng::seed_from_u64(arguments.seed);
        let mut scopes = Vec::new();
        for place in 0..SCOPES {
            let groups: Vec<u32> = (0..TERMS).map(|_| random.random_range(0..200)).collect();
            scopes.push(staff.scope(TENANT, &groups, place % 2 == 0)?);
        }
        let groups: Vec<u32> = (0..10).collect();
        let envoy_scope = staff.scope(TENANT, &groups, true)?;
        let names = groups
            .iter()
            .map(|group| Ok(staff.group(*group)?.name.clone()));
        let names: Vec<String> = names.collect::<Result<_>>()?;
        let mut feeder = Feeder::new(&dir)?;
        feeder.be_patient(PATIENCE);
        install(&staff, TENANT, ISSUER, feeder.data_dir()).await?;
        start(&mut feeder).await?;
        let token = feeder.run(&["token", "create", "--tenant", TENANT]).await?;
        let issuer = Issuer::new(ISSUER)?;
        let plan = proxy::Plan {
            tenant: TENANT,
            groups: &names,
            max_staleness: "9s",
            wasm_log_level: "info",
        };
        let feed = feeder.feed_address();
        let envoy = proxy::start(&dir.join("envoy"), feed, &issuer, &plan).await?;
        let fleet = |streams: usize, light| {
            let shape = Shape {
                streams,
                // As if some had a sidecar before them, and others not.
                connections: streams.div_ceil(4),
                light,
                lease: LEASE,
                ..Shape::default()
            };
            Fleet::start(feed, &shape, &scopes)
        };
        let scim = feeder.scim_address();
        Ok(Soak {
            light: fleet(arguments.light, true)?,
            whole: fleet(arguments.whole, false)?,
            pushing: Pushing::start(staff, scim, &token, arguments.rate, arguments.seed)?,
            scopes,
            envoy,
            issuer,
            groups: names,
            envoy_scope,
            random,
            backup: dir.join("backup.db"),
            feeder,
            started: Instant::now(),
        })
    }

    async fn run(&mut self, arguments: &Arguments) -> Result<()> {
        let time = Duration::from_secs_f64(arguments.minutes * 60.0);
        self.agree("at the start").await?;
        let (mut light, mut whole) = (Trouble::default(), Trouble::default());
        let mut restarts = 0;
        let mut past: Option<Past> = None;
        let mut restored = false;
        let mut before: Option<Moment> = None;
        while self.started.elapsed() < time {
            self.pushing.check()?;
            light.go_on(&self.light, &mut self.random)?;
            whole.go_on(&self.whole, &mut self.random)?;
            let gone = self.started.elapsed().as_secs_f64() / time.as_secs_f64();
            // The last third goes without restarts: whether anything grows shows only in one process.
            if gone < 0.67 && gone * f64::from(RESTARTS) / 0.67 > f64::from(restarts + 1) {
                restarts += 1;
                self.restart(restarts % 2 == 0).await?;
                light.end(&self.light);
                whole.end(&self.whole);
                self.agree(&format!("after restart {restarts}")).await?;
            }
            if past.is_none() && !restored && gone > 0.2 {
                past = self.back_up().await?;
            }
            if !restored && gone > 0.45 {
                restored = true;
                match past.take() {
                    None => println!("no restore: this feeder has no `scimesh backup`"),
                    Some(past) => {
                        self.restore(past).await?;
                        light.end(&self.light);
                        whole.end(&self.whole);
                        self.agree("after the restore").await?;
                    }
                }
            }
            if before.is_none() && gone > 0.7 {
                light.end(&self.light);
                whole.end(&self.whole);
                self.agree("before the last stretch").await?;
                before = Some(self.moment().await?);
            }
            tokio::time::sleep(PAUSE).await;
        }
        light.end(&self.light);
        whole.end(&self.whole);
        self.agree("at the end").await?;
        let after = self.moment().await?;
        after.bounded(&before.context("a moment before the last stretch")?)?;
        // A machine that is too busy to be troubled proves nothing.
        ensure!(
            restarts > 0 && restored && !light.counts().is_empty(),
            "too little happened to say anything: {restarts} restarts; give it more MINUTES"
        );
        println!(
            "{} changes, {restarts} restarts; light streams: {:?}; whole ones: {:?}",
            self.pushing.pushed(),
            light.counts(),
            whole.counts()
        );
        self.end().await
    }

    /// While nothing is pushed: every stream becomes current, and holds what the model says; so does the real Envoy.
    async fn agree(&mut self, when: &str) -> Result<()> {
        self.pushing.check()?;
        let start = Instant::now();
        let company = self.pushing.pause().await;
        let light = self.light.current(start, PATIENCE).await;
        let whole = self.whole.current(start, PATIENCE).await;
        // Whoever saw what must never be may not be current for it: that is told first.
        for fleet in [&self.light, &self.whole] {
            fleet.check().with_context(|| when.to_owned())?;
        }
        light.and(whole).with_context(|| when.to_owned())?;
        let bindings = [binding(ISSUER)];
        let first = self.whole.followers().first().context("a whole follower")?;
        let key = first.seen().key.clone().context("a key")?;
        let contents = self.scopes.iter().map(|scope| {
            let content = Content::of(&company.staff, scope);
            content.digest(&key, scope, &bindings)
        });
        let wanted: Vec<_> = contents.collect();
        for fleet in [&self.light, &self.whole] {
            for follower in fleet.followers() {
                let identity = follower.identity();
                let held = follower.seen().digest;
                ensure!(
                    held.is_some() && held == wanted.get(identity.scope).copied(),
                    "{when}, {identity:?} holds {held:?} where {:?} is right",
                    wanted.get(identity.scope)
                );
            }
        }
        let allowed = verdicts::check(
            &self.envoy,
            &self.issuer,
            &company.staff,
            &self.envoy_scope,
            &self.groups,
            &mut self.random,
        );
        let allowed = allowed.await?;
        let [light, whole] = [&self.light, &self.whole].map(Fleet::totals);
        println!(
            "{:>4} s, {when}: {} streams agree with the model, as does Envoy ({allowed} allowed); {} users, {} groups, {} messages, {} snapshots, {} nacks",
            self.started.elapsed().as_secs(),
            self.light.followers().len() + self.whole.followers().len(),
            company.staff.users.len(),
            company.staff.groups.len(),
            light.messages + whole.messages,
            light.snapshots + whole.snapshots,
            light.nacks + whole.nacks
        );
        let nacks = light.nacks + whole.nacks;
        ensure!(nacks == 0, "{when}, {nacks} updates had been refused");
        Ok(())
    }

    async fn restart(&mut self, in_order: bool) -> Result<()> {
        self.feeder.process()?.check()?;
        match in_order {
            true => self.feeder.stop().await?,
            false => self.feeder.kill()?,
        }
        start(&mut self.feeder).await
    }

    /// A backup while everything runs; none if this feeder can't make one.
    async fn back_up(&self) -> Result<Option<Past>> {
        if !self.feeder.command(&["backup", "--help"]).await?.success {
            return Ok(None);
        }
        let company = self.pushing.pause().await;
        let file = self.backup.display().to_string();
        self.feeder.run(&["backup", &file]).await?;
        Ok(Some(company.past()))
    }

    /// The database becomes that of the backup, a history of its own, and everybody goes on from there.
    async fn restore(&mut self, past: Past) -> Result<()> {
        let mut company = self.pushing.pause().await;
        self.feeder.stop().await?;
        let file = self.backup.display().to_string();
        self.feeder.run(&["restore", "--replace", &file]).await?;
        start(&mut self.feeder).await?;
        company.restore(past);
        Ok(())
    }

    async fn moment(&mut self) -> Result<Moment> {
        Moment::take(&mut self.feeder, Some(&self.envoy)).await
    }

    /// Everybody goes, and the feeder is left with nothing of them.
    async fn end(&mut self) -> Result<()> {
        self.pushing.end()?;
        self.envoy.process().check()?;
        self.envoy.stop().await?;
        let log = self.envoy.process().log();
        for word in ["panicked", "update refused"] {
            ensure!(!log.contains(word), "Envoy's log has {word:?}");
        }
        for fleet in [&self.light, &self.whole] {
            for follower in fleet.followers() {
                follower.behave(Behaviour::Away);
            }
        }
        let feeder = &mut self.feeder;
        eventually("the feeder to be left alone", PATIENCE, async || {
            Moment::take(feeder, None).await?.idle()
        })
        .await?;
        let log = self.feeder.log();
        ensure!(!log.contains("panicked"), "the feeder panicked");
        self.feeder.stop().await
    }
}

/// With room for one client that pushes as much as it likes.
async fn start(feeder: &mut Feeder) -> Result<()> {
    feeder
        .start_with(&["--scim-limit", "requests-per-second=0"])
        .await
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().rev().take(10).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
