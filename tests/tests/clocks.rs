//! The wall clock is set, and the machine sleeps, while Envoy runs: no lease lasts longer for it, nor a token.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use scimesh_tests::bootstrap::FEED_CLUSTER;
use scimesh_tests::clocks::Clocks;
use scimesh_tests::envoy::Envoy;
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{Mesh, PATIENCE, Plan};
use serde_json::json;

/// The shortest lease that a policy may ask for.
const LEASE: Duration = Duration::from_secs(5);
const HOUR: i64 = 3600;
const MINUTE: i64 = 60;

/// A proxy with clocks of its own, a lease of 5 s and `/payments` for tokens of at most 15 minutes; alice is in payments,
/// and her token, which has none of those, lasts for days.
struct Story {
    mesh: Mesh,
    alice: String,
}

impl Story {
    async fn start() -> Result<Story> {
        let policy = json!({
            "tenant": "acme",
            "feed": { "cluster": FEED_CLUSTER },
            "maxStaleness": "5s",
            "rules": [
                {
                    "name": "payments",
                    "to": [{ "paths": ["/payments"] }],
                    "require": { "anyOf": ["group:payments"] },
                    "maxTokenAge": "15m",
                },
                { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["active"] } },
            ],
        });
        let mesh = Plan::new(&policy).own_clocks().start().await?;
        let id = mesh.acme.scim.create_user("alice", "alice-0001").await?;
        mesh.acme.scim.create_group("payments", &[&id]).await?;
        let mut story = Story {
            alice: String::new(),
            mesh,
        };
        story.alice = story.token_issued(0)?;
        story.await_status("/payments", 200, "").await?;
        Ok(story)
    }

    /// Alice's, issued so many seconds from now by the kernel's clock.
    fn token_issued(&self, seconds: i64) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = json!({
            "sub": "alice-0001",
            "iat": now.saturating_add_signed(seconds),
            "exp": now + 100 * HOUR as u64,
        });
        self.mesh.acme.issuer.token_with(claims)
    }

    fn clocks(&self) -> Result<&Clocks> {
        self.mesh.clocks.as_ref().context("own_clocks")
    }

    async fn expect(&self, path: &str, status: u16, word: &str) -> Result<()> {
        self.says(path, &self.alice, status, word).await
    }

    async fn says(&self, path: &str, token: &str, status: u16, word: &str) -> Result<()> {
        let answer = self.mesh.expect(path, Some(token), status).await?;
        let reason = answer.reason().unwrap_or_default();
        ensure!(reason == word, "{path}: {reason}");
        Ok(())
    }

    async fn await_status(&self, path: &str, status: u16, word: &str) -> Result<()> {
        let what = format!("{path} to answer {status} {word}");
        eventually(&what, PATIENCE, async || {
            self.expect(path, status, word).await
        })
        .await
    }

    /// Asks until nobody is served any more; nothing is that was sent later than a lease after `since`. Before each request
    /// the wall clock is set, as `wall` says.
    async fn lease_ends(
        &self,
        since: Instant,
        mut wall: impl FnMut(u32) -> Option<i64>,
    ) -> Result<()> {
        let client = Envoy::fresh_connections()?;
        let (mut requests, mut refused_in_a_row) = (0, 0);
        while refused_in_a_row < 30 {
            if let Some(seconds) = wall(requests) {
                self.clocks()?.set_wall(seconds)?;
            }
            requests += 1;
            let sent = Instant::now();
            let request = client.get(self.mesh.envoy.url("/other"));
            let answer = self.mesh.envoy.send(request, Some(&self.alice)).await?;
            if answer.status == 200 {
                let late = sent - since;
                ensure!(late < LEASE, "allowed {late:?} after the last word");
                refused_in_a_row = 0;
            } else {
                let reason = answer.reason().unwrap_or_default();
                ensure!(reason == "lease_ended", "{} {reason}", answer.status);
                refused_in_a_row += 1;
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wall_clock_that_is_set_back_extends_no_lease() -> Result<()> {
    let mut story = Story::start().await?;
    story.clocks()?.set_wall(-HOUR)?;
    // Envoy believes it: the token is from the future.
    story.expect("/payments", 401, "token_too_old").await?;
    // While the feeder answers, nothing else is amiss.
    let set = Instant::now();
    while set.elapsed() < LEASE + LEASE / 2 {
        story.expect("/other", 200, "").await?;
    }
    // Each request finds it set back by another minute.
    story.mesh.feeder.process()?.pause()?;
    let stopped = Instant::now();
    story.expect("/other", 200, "").await?;
    story
        .lease_ends(stopped, |n| Some(-HOUR - MINUTE * i64::from(n)))
        .await?;
    story.mesh.feeder.process()?.resume()?;
    story.await_status("/other", 200, "").await?;
    story.mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wall_clock_that_is_set_forward_ends_a_lease_until_the_feeder_is_heard() -> Result<()> {
    let mut story = Story::start().await?;
    story.mesh.feeder.process()?.pause()?;
    story.expect("/other", 200, "").await?;
    story.clocks()?.set_wall(10 * MINUTE)?;
    story.expect("/other", 503, "lease_ended").await?;
    story.mesh.feeder.process()?.resume()?;
    story.await_status("/other", 200, "").await?;
    story.await_status("/payments", 200, "").await?;

    // Back again: what was renewed by a later clock is not younger for it.
    story.mesh.feeder.process()?.pause()?;
    let stopped = Instant::now();
    story.expect("/other", 200, "").await?;
    story.lease_ends(stopped, |n| (n == 0).then_some(0)).await?;
    story.mesh.feeder.process()?.resume()?;
    story.await_status("/other", 200, "").await?;
    story.mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_slept_longer_than_the_lease_allows_nothing_before_the_feeder_is_heard()
-> Result<()> {
    let mut story = Story::start().await?;
    story.mesh.feeder.process()?.pause()?;
    story.mesh.envoy.process().pause()?;
    let asleep = Instant::now();
    eventually("the lease to be over", PATIENCE, async || {
        ensure!(asleep.elapsed() > LEASE);
        Ok(())
    })
    .await?;
    // By the monotonic clock no time has passed.
    story.clocks()?.set_slept(asleep.elapsed())?;
    story.mesh.envoy.process().resume()?;
    story.expect("/other", 503, "lease_ended").await?;
    story.mesh.feeder.process()?.resume()?;
    story.await_status("/other", 200, "").await?;
    story.mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_as_old_as_the_wall_clock_says_and_never_from_the_future() -> Result<()> {
    let story = Story::start().await?;
    let refused = "token_too_old";
    for (issued, status, word) in [
        (30, 200, ""),
        (120, 401, refused),
        (-14 * MINUTE, 200, ""),
        (-16 * MINUTE, 401, refused),
    ] {
        let token = story.token_issued(issued)?;
        story.says("/payments", &token, status, word).await?;
    }
    for (wall, status, word) in [
        (-30, 200, ""),
        (-2 * MINUTE, 401, refused),
        (-24 * HOUR, 401, refused),
        (14 * MINUTE, 200, ""),
        (16 * MINUTE, 401, refused),
        (24 * HOUR, 401, refused),
        (0, 200, ""),
    ] {
        story.clocks()?.set_wall(wall)?;
        // A step forward ends the lease as well, until the next answer of the feeder.
        story.await_status("/other", 200, "").await?;
        story.await_status("/payments", status, word).await?;
    }
    story.mesh.end().await
}
