//! Many followers in one process, over as many or as few connections as there are proxies or sidecars between.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use scimesh_proto::scope::Scope;
use tonic::transport::{Channel, Endpoint};

use super::follower::{Behaviour, Follower, Identity};

/// Between two looks at everybody: their times are their own, and to look at thousands takes time itself.
const LOOK: Duration = Duration::from_millis(50);

/// How a fleet is made.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Followers.
    pub streams: usize,
    /// HTTP/2 connections that they share. Each worker of an Envoy has one of its own; a sidecar in front of the feeder has few.
    pub connections: usize,
    /// Whether they hold no content.
    pub light: bool,
    /// Their policies' longest staleness.
    pub lease: Duration,
    /// Bytes of a stream that may be under way unread.
    pub window: u32,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape {
            streams: 1,
            connections: 1,
            light: true,
            lease: Duration::from_secs(300),
            window: 64 << 10,
        }
    }
}

/// What a whole fleet has seen.
#[derive(Debug, Default)]
pub struct Totals {
    /// Followers with a stream.
    pub connected: usize,
    /// Streams opened so far.
    pub streams: u64,
    /// Messages received.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whole contents received.
    pub snapshots: u64,
    /// Updates refused.
    pub nacks: u64,
}

/// The followers.
#[derive(Debug)]
pub struct Fleet {
    followers: Vec<Follower>,
}

impl Fleet {
    /// Starts all of them; the scopes are dealt out in turn.
    pub fn start(feed: SocketAddr, shape: &Shape, scopes: &[Scope]) -> Result<Fleet> {
        let channels = channels(feed, shape)?;
        let mut followers = Vec::with_capacity(shape.streams);
        for number in 0..shape.streams {
            let place = number % scopes.len().max(1);
            let scope = scopes.get(place).context("no scope")?.clone();
            let channel = channels.get(number % channels.len().max(1));
            let identity = Identity {
                // Two VMs a proxy, as two workers have.
                node: format!("load-{}", number / 2),
                vm: format!("{:016x}", rand::random::<u64>()),
                scope: place,
                lease: shape.lease,
            };
            let channel = channel.context("no connection")?.clone();
            followers.push(Follower::start(channel, identity, scope, shape.light));
        }
        Ok(Fleet { followers })
    }

    /// Each of them.
    pub fn followers(&self) -> &[Follower] {
        &self.followers
    }

    /// What they have seen.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for follower in &self.followers {
            let seen = follower.seen();
            totals.connected += usize::from(seen.connected);
            totals.streams += seen.streams;
            totals.messages += seen.messages;
            totals.bytes += seen.bytes;
            totals.snapshots += seen.snapshots;
            totals.nacks += seen.nacks;
        }
        totals
    }

    /// Waits until everyone who follows has had its lease renewed after `since`, so knows that it is current; gives the
    /// time of the last. Those that are away or behave badly are not waited for.
    pub async fn current(&self, since: Instant, patience: Duration) -> Result<Instant> {
        let start = Instant::now();
        loop {
            let (mut behind, mut last, mut example) = (0, since, None);
            for follower in &self.followers {
                if follower.behaviour() != Behaviour::Follow {
                    continue;
                }
                let seen = follower.seen();
                match seen.current {
                    Some((_, at)) if at >= since => last = last.max(at),
                    _ => {
                        behind += 1;
                        let place = (seen.connected, seen.position.map(|held| held.revision));
                        example = Some(format!("{place:?} {:?}", seen.ended));
                    }
                }
            }
            if behind == 0 {
                return Ok(last);
            }
            if start.elapsed() > patience {
                bail!(
                    "{behind} of {} followers are not current after {patience:?}, such as {}",
                    self.followers.len(),
                    example.unwrap_or_default()
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until everyone who follows stands at this revision or later.
    pub async fn reached(&self, of: impl Fn(&Follower) -> u64, patience: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            let behind = self.followers.iter().filter(|follower| {
                let held = follower.seen().position.map_or(0, |held| held.revision);
                follower.behaviour() == Behaviour::Follow && held < of(follower)
            });
            let behind = behind.count();
            if behind == 0 {
                return Ok(());
            }
            ensure!(
                start.elapsed() < patience,
                "{behind} of {} followers are behind after {patience:?}",
                self.followers.len()
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Fails if any of them saw what must never be.
    pub fn check(&self) -> Result<()> {
        for follower in &self.followers {
            let seen = follower.seen();
            ensure!(
                seen.violations.is_empty(),
                "{:?}: {:?}",
                follower.identity(),
                seen.violations
            );
        }
        Ok(())
    }

    /// Why streams have ended, and of how many followers that is the last reason.
    pub fn ends(&self) -> BTreeMap<String, usize> {
        let mut ends = BTreeMap::new();
        for follower in &self.followers {
            if let Some((code, why)) = &follower.seen().ended {
                *ends.entry(format!("{code:?}: {why}")).or_default() += 1;
            }
        }
        ends
    }
}

fn channels(feed: SocketAddr, shape: &Shape) -> Result<Vec<Channel>> {
    let most = take_all_descriptors();
    ensure!(
        shape.connections > 0 && shape.connections as u64 + 200 < most,
        "{} connections with {most} file descriptors",
        shape.connections
    );
    let mut channels = Vec::with_capacity(shape.connections);
    for _ in 0..shape.connections {
        let endpoint = Endpoint::from_shared(format!("http://{feed}"))?
            .tcp_nodelay(true)
            .initial_stream_window_size(shape.window)
            // Nobody's window stands in another's way.
            .initial_connection_window_size(i32::MAX as u32);
        channels.push(endpoint.connect_lazy());
    }
    Ok(channels)
}

/// Raises the soft limit to the hard one, as the feeder does; gives it.
fn take_all_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let raised = setrlimit(Resource::Nofile, all).is_ok();
    let most = if raised { limit.maximum } else { limit.current };
    most.unwrap_or(u64::MAX)
}
