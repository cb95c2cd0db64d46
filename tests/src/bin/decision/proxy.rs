//! A running Envoy of one contestant, and what is measured on it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use scimesh_tests::address;
use scimesh_tests::envoy::{Envoy, Launch};
use scimesh_tests::eventually::eventually;
use scimesh_tests::issuer::Issuer;
use scimesh_tests::wire::Connection;

use crate::contestant::Contestant;
use crate::requests::Requests;

/// Connections with a request under way, while it is measured how much processor time one takes.
pub(crate) const LANES: usize = 8;
/// For a feeder's first snapshot.
const PATIENCE: Duration = Duration::from_secs(60);

/// One Envoy with one worker.
pub(crate) struct Proxy<'r> {
    envoy: Envoy,
    requests: &'r Requests,
    alone: Connection,
    lanes: Vec<Connection>,
    sent: usize,
}

impl<'r> Proxy<'r> {
    /// Starts it, its files in `dir`, and makes sure that it answers as this contestant has to.
    pub(crate) async fn start(
        dir: &Path,
        contestant: &Contestant<'_>,
        issuer: &Issuer,
        requests: &'r Requests,
        wasm_log_level: &str,
    ) -> Result<Proxy<'r>> {
        fs::create_dir_all(dir)?;
        let (listen, admin) = (address::free()?, address::free()?);
        let launch = Launch {
            config: contestant.bootstrap(listen, admin, issuer)?,
            listen,
            admin,
            workers: 1,
            wasm_log_level,
            clocks: None,
        };
        let envoy = Envoy::launch(dir, &launch).await?;
        let lanes = (0..LANES).map(|_| Connection::open(listen));
        let mut proxy = Proxy {
            envoy,
            requests,
            alone: Connection::open(listen)?,
            lanes: lanes.collect::<Result<_>>()?,
            sent: 0,
        };
        let what = format!("the first answer of {}", contestant.name());
        eventually(&what, PATIENCE, async || proxy.latencies(1).map(drop)).await?;
        let answers = contestant.answers();
        proxy.expect(&requests.not_permitted, answers.not_permitted)?;
        proxy.expect(&requests.forged, answers.forged)?;
        if let Contestant::Noop = contestant {
            let vms = proxy
                .envoy
                .stat("wasm.envoy.wasm.runtime.v8.active")
                .await?;
            ensure!(vms > 0, "Envoy has left the filter out");
        }
        Ok(proxy)
    }

    /// The processor time that one request takes, of all threads, with [`LANES`] of so many under way.
    pub(crate) fn cpu(&mut self, requests: usize) -> Result<Duration> {
        let rounds = requests.div_ceil(LANES);
        let before = self.envoy.process().cpu_time()?;
        for _ in 0..rounds {
            let mut sent = Vec::with_capacity(LANES);
            for lane in &mut self.lanes {
                sent.push(lane.send(next(self.requests, &mut self.sent))?);
            }
            for (lane, sent) in self.lanes.iter_mut().zip(sent) {
                allowed(lane.receive(sent)?.status)?;
            }
        }
        let taken = self.envoy.process().cpu_time()?.saturating_sub(before);
        let count = u32::try_from(rounds * LANES)?;
        Ok(taken / count)
    }

    /// How long so many requests take that are alone in the proxy, one after the other on one connection.
    pub(crate) fn latencies(&mut self, requests: usize) -> Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(requests);
        for _ in 0..requests {
            let sent = self.alone.send(next(self.requests, &mut self.sent))?;
            let answer = self.alone.receive(sent)?;
            allowed(answer.status)?;
            times.push(answer.received - answer.sent);
        }
        Ok(times)
    }

    /// It still runs, and ends in good order; gives its log.
    pub(crate) async fn end(mut self) -> Result<String> {
        self.envoy.process().check()?;
        self.envoy.stop().await?;
        Ok(self.envoy.process().log())
    }

    fn expect(&mut self, request: &[u8], status: u16) -> Result<()> {
        let sent = self.alone.send(request)?;
        let answer = self.alone.receive(sent)?;
        ensure!(
            answer.status == status,
            "answered {} where {status} is right: {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        Ok(())
    }
}

fn next<'r>(requests: &'r Requests, sent: &mut usize) -> &'r [u8] {
    *sent += 1;
    let turn = *sent % requests.allowed.len().max(1);
    requests.allowed.get(turn).map_or(&[], Vec::as_slice)
}

fn allowed(status: u16) -> Result<()> {
    ensure!(status == 200, "answered {status} where 200 is right");
    Ok(())
}
