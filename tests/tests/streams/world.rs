//! A mesh in which alice and bob are in the group payments, and what they have open.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{Mesh, PATIENCE, Plan, policy};
use serde_json::{Value, json};

use crate::lane::{KINDS, Kind, Lane};

/// Connections of each kind and user: all on one of two workers once in two thousand runs, for each.
const EACH: usize = 12;

/// What is open is for the group payments; `/health` for everybody.
pub(crate) fn streams_policy() -> Value {
    policy(json!([
        { "name": "health", "to": [{ "paths": ["/health"] }], "allow": "PUBLIC" },
        { "name": "streams", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["group:payments"] } },
    ]))
}

/// A user, and the id that SCIM knows them by.
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// See the module.
pub(crate) struct World {
    pub(crate) mesh: Mesh,
    pub(crate) alice: User,
    pub(crate) bob: User,
    pub(crate) payments: String,
    access_log: PathBuf,
}

/// One line of Envoy's access log.
pub(crate) struct Line(Value);

impl Line {
    pub(crate) fn get(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or("-")
    }
}

impl World {
    pub(crate) async fn start(policy: &Value) -> Result<World> {
        Self::with(Plan::new(policy)).await
    }

    pub(crate) async fn with(plan: Plan) -> Result<World> {
        Self::altered(plan, |_| Ok(())).await
    }

    /// Envoy's configuration is changed like this before it starts.
    pub(crate) async fn altered(
        plan: Plan,
        alter: impl FnOnce(&mut Value) -> Result<()> + Send + 'static,
    ) -> Result<World> {
        let dir = tempfile::Builder::new().prefix("scimesh-").tempdir()?;
        let access_log = dir.keep().join("access.log");
        let path = access_log.clone();
        let plan = plan.alter(move |config| {
            alter(config)?;
            log_access(config, &path)
        });
        let mesh = plan.start().await?;
        let alice = user(&mesh, "alice").await?;
        let bob = user(&mesh, "bob").await?;
        let scim = &mesh.acme.scim;
        let payments = scim.create_group("payments", &[&alice.id, &bob.id]).await?;
        let world = World {
            mesh,
            alice,
            bob,
            payments,
            access_log,
        };
        for user in [&world.alice, &world.bob] {
            world
                .mesh
                .await_status("/any", Some(&user.token), 200)
                .await?;
        }
        Ok(world)
    }

    /// Opens so many of each kind that each worker has some.
    pub(crate) async fn open(&self, user: &User) -> Result<Vec<Lane>> {
        let mut lanes = Vec::new();
        for kind in KINDS {
            lanes.extend(self.open_kind(kind, &user.token).await?);
        }
        Ok(lanes)
    }

    pub(crate) async fn open_kind(&self, kind: Kind, token: &str) -> Result<Vec<Lane>> {
        let lanes = (0..EACH).map(|_| Lane::open(&self.mesh.envoy, kind, token));
        try_join_all(lanes).await
    }

    /// Requests that were cut, as the access log has them, once there are so many.
    pub(crate) async fn logged_cuts(&self, count: usize) -> Result<Vec<Line>> {
        eventually("the access log", PATIENCE, async || {
            let text = std::fs::read_to_string(&self.access_log)?;
            let lines = text
                .lines()
                .map(|line| Ok(Line(serde_json::from_str(line)?)));
            let lines = lines.collect::<Result<Vec<Line>>>()?;
            let cut = lines.into_iter().filter(|line| line.get("cut") == "cut");
            let cut: Vec<Line> = cut.collect();
            ensure!(
                cut.len() == count,
                "{} instead of {count}: {text}",
                cut.len()
            );
            Ok(cut)
        })
        .await
    }

    /// What the filters have counted under a name with all of these in it.
    pub(crate) async fn counted(&self, parts: &[&str]) -> Result<u64> {
        let stats = self.mesh.envoy.stats("scimesh_").await?;
        let all = stats
            .iter()
            .filter(|(name, _)| parts.iter().all(|part| name.contains(part)));
        Ok(all.map(|(_, value)| value).sum())
    }

    /// The same, once it stands still.
    pub(crate) async fn settled(&self, parts: &[&str]) -> Result<u64> {
        eventually("the filters to have counted", PATIENCE, async || {
            let before = self.counted(parts).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            let now = self.counted(parts).await?;
            ensure!(now == before, "{before}, then {now}");
            Ok(now)
        })
        .await
    }

    /// Waits until they have counted so many.
    pub(crate) async fn await_count(&self, parts: &[&str], count: usize) -> Result<()> {
        eventually("the filters to count", PATIENCE, async || {
            let counted = self.counted(parts).await?;
            ensure!(counted == count as u64, "{counted} {parts:?}, not {count}");
            Ok(())
        })
        .await
    }

    pub(crate) async fn end(self) -> Result<()> {
        let dir = self.access_log.parent().context("a directory")?.to_owned();
        self.mesh.end().await?;
        Ok(std::fs::remove_dir_all(dir)?)
    }
}

/// All of them are cut; gives when each client knew. Over HTTP/1.1 Envoy keeps the connection for a second more.
pub(crate) async fn all_cut(lanes: &mut [Lane]) -> Result<Vec<Instant>> {
    let cuts = lanes.iter_mut().map(async |lane| {
        lane.cut().await?;
        anyhow::Ok(Instant::now())
    });
    try_join_all(cuts).await
}

/// All of them go on.
pub(crate) async fn all_flow(lanes: &mut [Lane]) -> Result<()> {
    try_join_all(lanes.iter_mut().map(Lane::flows))
        .await
        .map(drop)
}

pub(crate) async fn user(mesh: &Mesh, name: &str) -> Result<User> {
    Ok(User {
        id: mesh.acme.scim.create_user(name, name).await?,
        token: mesh.acme.issuer.token(name)?,
    })
}

/// Seconds since the epoch, as tokens count.
pub(crate) fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// Waits until the clock says so.
pub(crate) async fn until(second: u64) -> Result<()> {
    eventually("the time to pass", 3 * PATIENCE, async || {
        ensure!(now()? >= second);
        Ok(())
    })
    .await
}

fn log_access(config: &mut Value, path: &Path) -> Result<()> {
    let manager = config
        .pointer_mut("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config")
        .context("a connection manager")?;
    manager["access_log"] = json!([{
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": { "json_format": {
                "path": "%REQ(:PATH)%",
                "protocol": "%PROTOCOL%",
                "status": "%RESPONSE_CODE%",
                "details": "%RESPONSE_CODE_DETAILS%",
                "flags": "%RESPONSE_FLAGS%",
                // Set by whichever of several filters ends it.
                "cut": "%FILTER_STATE(wasm.scimesh_cut:PLAIN)%",
                "reason": "%FILTER_STATE(wasm.scimesh_reason:PLAIN)%",
            } },
        },
    }]);
    Ok(())
}
