//! A policy is edited twenty times while WebSockets are open and requests stream in: each request is decided by a policy that
//! is in force, and what the edits took is given back.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Client;
use scimesh_tests::envoy::{Envoy, WORKERS, filter_config};
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{EVERYWHERE, Mesh, PATIENCE, Plan, policy};
use scimesh_tests::socket::Socket;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Enough to make a snapshot that stays behind show: about 0.5 MB in each worker's VM.
const USERS: usize = 10_000;
/// Edits before the first measurement. Until then Envoy and V8 fill pools that they keep.
const WARM_UP: u32 = 5;
const EDITS: u32 = 20;
/// What the process may grow by over [`EDITS`]: one MiB that stays behind for each edit is 20 MiB. V8 does not give back all
/// that it took for a hundred VMs at once: about 7 MiB.
const GROWTH: u64 = 14 << 20;

/// Connected streams, at the feeder.
const STREAMS: &str = "scimesh_feeder_feed_streams";
/// VMs that live, and all that were ever made.
const VMS: &str = "wasm.envoy.wasm.runtime.v8.active";
const VMS_MADE: &str = "wasm.envoy.wasm.runtime.v8.created";

/// A VM on each worker and one on the main thread follow the feed; another one keeps the module for later VMs.
const STREAMS_AT_REST: f64 = (WORKERS + 1) as f64;
const VMS_AT_REST: u64 = WORKERS as u64 + 2;

/// The paths of which each policy allows one.
const PATHS: [&str; 2] = ["/even", "/odd"];

fn allowed(edit: u32) -> &'static str {
    let [even, odd] = PATHS;
    if edit.is_multiple_of(2) { even } else { odd }
}

fn marker(edit: u32) -> String {
    format!("/edit-{edit}")
}

/// Everybody may use one of two paths, by turns. A group that nobody has heard of makes each scope another one, so that the
/// filter needs the directory anew for each edit.
fn edited(edit: u32) -> Value {
    let staff = json!({ "anyOf": ["group:staff"] });
    let nobody = json!({ "anyOf": [format!("group:edit-{edit}")] });
    let require = |path| {
        if path == allowed(edit) {
            &staff
        } else {
            &nobody
        }
    };
    let mut policy = policy(json!([
        { "name": "marker", "to": [{ "paths": [marker(edit)] }], "allow": "PUBLIC" },
        { "name": "socket", "to": [{ "paths": ["/socket"] }], "require": staff },
        { "name": "even", "to": [{ "paths": ["/even"] }], "require": require("/even") },
        { "name": "odd", "to": [{ "paths": ["/odd"] }], "require": require("/odd") },
    ]));
    // On a busy machine ten thousand users may take longer than the usual two seconds.
    if let Value::Object(fields) = &mut policy {
        let hold = json!({ "timeout": "20s", "requests": 1024 });
        fields.insert("hold".to_owned(), hold);
    }
    policy
}

/// What requests are held against.
#[derive(Default)]
struct Progress {
    /// The last edit that Envoy was given.
    published: AtomicU32,
    /// The last edit that is known to be in force on every worker.
    in_force: AtomicU32,
    ended: AtomicBool,
}

/// How an edit comes into force.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reload {
    /// Another pluginConfig: a new root context in the same VMs.
    SameVm,
    /// Another environment, as Istio does it: new VMs.
    NewVm,
}

/// When nothing is under way.
struct Rest {
    /// Of Envoy's process, in bytes.
    resident: u64,
    /// VMs ever made.
    made: u64,
}

struct Story {
    mesh: Mesh,
    reload: Reload,
    staff: String,
    mallory: String,
    progress: Progress,
}

impl Story {
    async fn start(reload: Reload) -> Result<Arc<Story>> {
        let mesh = Plan::new(&edited(0)).discovered().start().await?;
        let scim = &mesh.acme.scim;
        let ids: Vec<String> = stream::iter((0..USERS).map(|i| async move {
            let name = format!("user-{i:05}");
            scim.create_user(&name, &name).await
        }))
        .buffer_unordered(32)
        .try_collect()
        .await?;
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        scim.create_group("staff", &ids).await?;
        scim.create_user("mallory", "mallory").await?;
        let story = Story {
            staff: mesh.acme.issuer.token("user-00000")?,
            mallory: mesh.acme.issuer.token("mallory")?,
            reload,
            progress: Progress::default(),
            mesh,
        };
        let token = Some(story.staff.as_str());
        story.mesh.await_status(allowed(0), token, 200).await?;
        Ok(Arc::new(story))
    }

    /// Publishes one edit and waits until it is in force on every worker.
    async fn edit(&self, edit: u32) -> Result<()> {
        let version = edit.to_string();
        let resource = match self.reload {
            Reload::SameVm => "1",
            Reload::NewVm => &version,
        };
        let config = filter_config(&edited(edit).to_string(), Some(resource))?;
        self.progress.published.store(edit, Ordering::SeqCst);
        self.mesh.envoy.update(&version, &config)?;
        self.mesh.await_status(&marker(edit), None, 200).await?;
        self.progress.in_force.store(edit, Ordering::SeqCst);
        for path in PATHS {
            let status = if path == allowed(edit) { 200 } else { 403 };
            let staff = Some(self.staff.as_str());
            self.mesh.expect(path, staff, status).await?;
            let mallory = Some(self.mallory.as_str());
            self.mesh.expect(path, mallory, 403).await?;
        }
        Ok(())
    }

    fn goes_on(&self) -> bool {
        !self.progress.ended.load(Ordering::Relaxed)
    }

    /// One request, which a policy that was in force between its sending and its answer has decided.
    async fn ask(&self, client: &Client, path: &str, token: &str) -> Result<()> {
        let since = self.progress.in_force.load(Ordering::SeqCst);
        let request = client.get(self.mesh.envoy.url(path));
        let answer = self.mesh.envoy.send(request, Some(token)).await?;
        let until = self.progress.published.load(Ordering::SeqCst);
        let may = (since..=until).any(|edit| path == allowed(edit)) && token == self.staff;
        let may_not = (since..=until).any(|edit| path != allowed(edit)) || token != self.staff;
        let right = match answer.status {
            200 => may,
            403 => {
                may_not
                    && answer.reason().as_deref().is_some_and(|reason| {
                        ["not_permitted", "unknown_subject"].contains(&reason)
                    })
            }
            _ => false,
        };
        ensure!(
            right,
            "GET {path} answers {} {} under edits {since} to {until}",
            answer.status,
            answer.body
        );
        Ok(())
    }

    /// Requests of everybody for everything: half of the lanes keep their connection, half open a new one each time.
    fn load(self: &Arc<Story>, lanes: &mut JoinSet<Result<u64>>) {
        for lane in 0..4 {
            let story = self.clone();
            lanes.spawn(async move {
                let client = if lane % 2 == 0 {
                    Client::new()
                } else {
                    Envoy::fresh_connections()?
                };
                let mut rounds = 0;
                while story.goes_on() {
                    for path in PATHS {
                        story.ask(&client, path, &story.staff).await?;
                    }
                    story.ask(&client, allowed(lane), &story.mallory).await?;
                    rounds += 1;
                }
                Ok(rounds)
            });
        }
    }

    /// A WebSocket that carries data all the time.
    async fn hold_socket(self: Arc<Story>, mut socket: Socket) -> Result<u64> {
        let mut rounds = 0;
        while self.goes_on() {
            socket.exchange().await?;
            rounds += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        socket.close().await?;
        Ok(rounds)
    }

    /// Edits under load and with open WebSockets; afterwards all of them have ended.
    async fn edits(self: &Arc<Story>, edits: RangeInclusive<u32>) -> Result<()> {
        self.progress.ended.store(false, Ordering::Relaxed);
        let mut lanes = JoinSet::new();
        // So many that each worker has some.
        for _ in 0..EVERYWHERE {
            let mut socket = Socket::open(&self.mesh.envoy, &self.staff).await?;
            socket.exchange().await?;
            lanes.spawn(self.clone().hold_socket(socket));
        }
        self.load(&mut lanes);
        for edit in edits {
            // What a lane found wrong is better to know than what came of it.
            self.edit(edit).await?;
            ensure!(
                lanes.len() == EVERYWHERE + 4,
                "a lane ended early: {:?}",
                lanes.join_next().await
            );
        }
        let open = self
            .mesh
            .envoy
            .stat("downstream_cx_upgrades_active")
            .await?;
        ensure!(open == EVERYWHERE as u64, "{open} WebSockets are open");
        self.progress.ended.store(true, Ordering::Relaxed);
        for rounds in lanes.join_all().await {
            ensure!(rounds? > 0, "a lane did nothing");
        }
        Ok(())
    }

    /// What is there once nothing is left of a policy that is over: one VM on each worker and two on the main thread, of which
    /// one checks configurations and has no stream.
    async fn at_rest(&self) -> Result<Rest> {
        eventually("what is left of old policies to go", PATIENCE, async || {
            let alive = self.mesh.envoy.stat(VMS).await?;
            let streams = self.mesh.feeder.metric(STREAMS).await?;
            ensure!(
                alive == VMS_AT_REST && streams == STREAMS_AT_REST,
                "{alive} VMs, {streams} streams"
            );
            Ok(())
        })
        .await?;
        Ok(Rest {
            resident: self.mesh.envoy.resident()?,
            made: self.mesh.envoy.stat(VMS_MADE).await?,
        })
    }
}

async fn twenty_edits(reload: Reload) -> Result<()> {
    let story = Story::start(reload).await?;
    story.at_rest().await?;
    story.edits(1..=WARM_UP).await?;
    let before = story.at_rest().await?;
    story.edits(WARM_UP + 1..=WARM_UP + EDITS).await?;
    let after = story.at_rest().await?;

    let made = after.made - before.made;
    let one_each = u64::from(EDITS);
    match reload {
        // The one that checks the configuration.
        Reload::SameVm => ensure!(made == one_each, "{made} new VMs"),
        Reload::NewVm => ensure!(made >= one_each * (1 + WORKERS as u64), "{made} new VMs"),
    }
    let grown = after.resident.saturating_sub(before.resident);
    println!("{EDITS} edits, {made} new VMs: {} KiB more", grown >> 10);
    ensure!(
        grown < GROWTH,
        "{} MiB have not been given back",
        grown >> 20
    );
    let story = Arc::into_inner(story).context("the lanes have ended")?;
    story.mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_edits_in_the_same_vm() -> Result<()> {
    twenty_edits(Reload::SameVm).await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_edits_each_with_a_new_vm() -> Result<()> {
    twenty_edits(Reload::NewVm).await
}
