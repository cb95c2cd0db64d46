//! A running `scimesh serve`, and the command line that talks to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::eventually::eventually;
use crate::process::Process;
use crate::scim::Scim;
use crate::{address, artifact};

/// A feeder with its data directory and its addresses, which it keeps over restarts.
pub struct Feeder {
    data_dir: PathBuf,
    log: PathBuf,
    scim: SocketAddr,
    feed: SocketAddr,
    admin: SocketAddr,
    process: Option<Process>,
    patience: Duration,
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    /// Whether its exit status was 0.
    pub success: bool,
    /// That status, unless a signal ended it.
    pub code: Option<i32>,
    /// What it printed, without the last line break.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Feeder {
    /// On free ports, its data and log in `dir`; not started.
    pub fn new(dir: &Path) -> Result<Feeder> {
        Ok(Self::at(
            dir,
            address::free()?,
            address::free()?,
            address::free()?,
        ))
    }

    /// On given addresses, its data and log in `dir`; not started.
    pub fn at(dir: &Path, scim: SocketAddr, feed: SocketAddr, admin: SocketAddr) -> Feeder {
        Feeder {
            data_dir: dir.join("data"),
            log: dir.join("feeder.log"),
            scim,
            feed,
            admin,
            process: None,
            patience: Duration::from_secs(20),
        }
    }

    /// It may take so long to be ready: it has much to read.
    pub fn be_patient(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Where filters connect.
    pub fn feed_address(&self) -> SocketAddr {
        self.feed
    }

    /// Where identity providers connect.
    pub fn scim_address(&self) -> SocketAddr {
        self.scim
    }

    /// Where health and metrics are.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Where its database is.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) -> Result<()> {
        self.start_with(&[]).await
    }

    /// The same with more arguments.
    pub async fn start_with(&mut self, arguments: &[&str]) -> Result<()> {
        self.start_until("readyz", arguments).await
    }

    /// Starts it and waits until it is there, ready or not.
    pub async fn start_unready(&mut self) -> Result<()> {
        self.start_until("healthz", &[]).await
    }

    async fn start_until(&mut self, probe: &str, arguments: &[&str]) -> Result<()> {
        let (scim, feed, admin) = (
            self.scim.to_string(),
            self.feed.to_string(),
            self.admin.to_string(),
        );
        let mut all = vec![
            "serve",
            "--scim-listen",
            &scim,
            "--feed-listen",
            &feed,
            "--admin-listen",
            &admin,
        ];
        all.extend_from_slice(arguments);
        let data_dir = self.data_dir.display().to_string();
        let mut process = Process::start(
            "feeder",
            &artifact::feeder()?,
            all,
            &[("SCIMESH_DATA_DIR", &data_dir)],
            &self.log,
        )?;
        let ready = format!("http://{admin}/{probe}");
        eventually("the feeder to be ready", self.patience, async || {
            process.check()?;
            let status = reqwest::get(&ready).await?.status();
            ensure!(status.is_success(), "/{probe} answers {status}");
            Ok(())
        })
        .await?;
        self.process = Some(process);
        Ok(())
    }

    /// The running process.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the feeder is not running")
    }

    /// Whether it was started, and neither killed nor stopped since.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        self.process()?.kill()?;
        self.process = None;
        Ok(())
    }

    /// SIGTERM; it has to end in good order.
    pub async fn stop(&mut self) -> Result<()> {
        let status = self.process()?.end(Duration::from_secs(10)).await?;
        self.process = None;
        ensure!(status.success(), "the feeder ended with {status}");
        Ok(())
    }

    /// Runs `scimesh` with `arguments` for this data directory.
    pub async fn command(&self, arguments: &[&str]) -> Result<Outcome> {
        let output = Command::new(artifact::feeder()?)
            .args(arguments)
            .env("SCIMESH_DATA_DIR", &self.data_dir)
            .kill_on_drop(true)
            .output()
            .await?;
        let text = |bytes| String::from_utf8_lossy(bytes).trim_end().to_owned();
        Ok(Outcome {
            success: output.status.success(),
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        })
    }

    /// The same for a command that has to succeed; gives its standard output.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let outcome = self.command(arguments).await?;
        ensure!(
            outcome.success,
            "scimesh {}: {}{}",
            arguments.join(" "),
            outcome.stdout,
            outcome.stderr
        );
        Ok(outcome.stdout)
    }

    /// Creates a tenant whose `issuer`'s `sub` is the externalId; gives its SCIM client.
    pub async fn create_tenant(&self, name: &str, issuer: &str) -> Result<Scim> {
        self.run(&[
            "tenant",
            "create",
            name,
            "--issuer",
            issuer,
            "--claim",
            "sub",
            "--attribute",
            "externalId",
        ])
        .await?;
        self.scim(name).await
    }

    /// A SCIM client of the tenant, with a new token.
    pub async fn scim(&self, tenant: &str) -> Result<Scim> {
        let token = self.run(&["token", "create", "--tenant", tenant]).await?;
        Scim::new(self.scim, &token)
    }

    /// All metrics, as text.
    pub async fn metrics(&self) -> Result<String> {
        let url = format!("http://{}/metrics", self.admin);
        Ok(reqwest::get(url).await?.error_for_status()?.text().await?)
    }

    /// The sum of the metric `name` over its labels; 0 when there is none.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let mut sum = 0.0;
        for line in self.metrics().await?.lines() {
            let Some(rest) = line.strip_prefix(name) else {
                continue;
            };
            if rest.starts_with(['{', ' ']) {
                let value = rest.rsplit(' ').next().unwrap_or_default();
                sum += value.parse::<f64>().with_context(|| line.to_owned())?;
            }
        }
        Ok(sum)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}
