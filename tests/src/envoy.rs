//! A running Envoy: the real one, from the project's virtual environment.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method};
use serde_json::Value;

use crate::artifact;
use crate::bootstrap::{Bootstrap, discovery_response, wasm};
use crate::clocks::Clocks;
use crate::eventually::eventually;
use crate::exposition::{self, Series};
use crate::process::Process;

/// Worker threads of an Envoy, unless a story wants otherwise; each has its own VM.
pub const WORKERS: usize = 2;

/// One proxy.
pub struct Envoy {
    listen: SocketAddr,
    admin: SocketAddr,
    discovery: PathBuf,
    process: Process,
}

/// What an Envoy is started with, whatever its configuration.
pub struct Launch<'a> {
    /// The whole of it.
    pub config: Value,
    /// Where it says that requests come in.
    pub listen: SocketAddr,
    /// Where it says that the administration is.
    pub admin: SocketAddr,
    /// Worker threads.
    pub workers: usize,
    /// How much the log says of wasm: `info`, or `trace` for every call between filter and host.
    pub wasm_log_level: &'a str,
    /// Its clocks; the kernel's without them.
    pub clocks: Option<&'a Clocks>,
}

impl<'a> Launch<'a> {
    /// As a story has it that wants nothing else.
    pub fn of(bootstrap: &Bootstrap<'_>) -> Launch<'a> {
        Launch {
            config: bootstrap.to_json(),
            listen: bootstrap.listen,
            admin: bootstrap.admin,
            workers: WORKERS,
            wasm_log_level: "info",
            clocks: None,
        }
    }
}

/// A proxy's answer to a request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: reqwest::header::HeaderMap,
    /// The body, lossily as text.
    pub body: String,
}

impl Answer {
    /// The stable word in the problem document of a refusal by the filter.
    pub fn reason(&self) -> Option<String> {
        let problem: Value = serde_json::from_str(&self.body).ok()?;
        Some(problem.get("reason")?.as_str()?.to_owned())
    }
}

/// Where the file of extension discovery is, within an Envoy's directory.
pub fn discovery_file(dir: &Path) -> PathBuf {
    dir.join("scimesh.json")
}

/// The filter's configuration with the built module; see [`wasm`].
pub fn filter_config(plugin_config: &str, resource_version: Option<&str>) -> Result<Value> {
    Ok(wasm(&artifact::filter()?, plugin_config, resource_version))
}

/// Puts `config` where extension discovery sees it, at once and whole.
pub fn publish(dir: &Path, version: &str, config: &Value) -> Result<()> {
    let new = dir.join("scimesh.json.new");
    fs::write(&new, discovery_response(version, config).to_string())?;
    fs::rename(&new, discovery_file(dir))?;
    Ok(())
}

impl Envoy {
    /// Starts one, its files in `dir`, and waits until it says that it is live.
    pub async fn start(dir: &Path, bootstrap: &Bootstrap<'_>) -> Result<Envoy> {
        Self::launch(dir, &Launch::of(bootstrap)).await
    }

    /// Starts one with any configuration, its files in `dir`, and waits until it says that it is live.
    pub async fn launch(dir: &Path, launch: &Launch<'_>) -> Result<Envoy> {
        let config = dir.join("envoy.json");
        fs::write(&config, format!("{:#}", launch.config))?;
        let workers = launch.workers.to_string();
        let wasm_log_level = format!("wasm:{}", launch.wasm_log_level);
        let mut process = Process::start(
            "envoy",
            &artifact::envoy()?,
            [
                "-c",
                &config.display().to_string(),
                "--concurrency",
                &workers,
                "--disable-hot-restart",
                "-l",
                "warning",
                // Envoy's own format, to the microsecond.
                "--log-format",
                "[%Y-%m-%d %T.%f][%t][%l][%n] [%g:%#] %v",
                "--component-log-level",
                &wasm_log_level,
            ],
            launch
                .clocks
                .map(Clocks::environment)
                .as_slice()
                .as_flattened(),
            &dir.join("envoy.log"),
        )?;
        let ready = format!("http://{}/ready", launch.admin);
        eventually("Envoy to be live", Duration::from_secs(30), async || {
            process.check()?;
            let response = reqwest::get(&ready).await?;
            ensure!(response.status().is_success(), "{}", response.text().await?);
            Ok(())
        })
        .await?;
        Ok(Envoy {
            listen: launch.listen,
            admin: launch.admin,
            discovery: dir.to_owned(),
            process,
        })
    }

    /// Where requests go.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> Result<u64> {
        self.process.resident()
    }

    /// The running process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Changes the filter's configuration by extension discovery.
    pub fn update(&self, version: &str, config: &Value) -> Result<()> {
        publish(&self.discovery, version, config)
    }

    /// A client that opens a new connection for each request, so that many requests meet every worker.
    pub fn fresh_connections() -> Result<Client> {
        Ok(Client::builder().pool_max_idle_per_host(0).build()?)
    }

    /// One request on a new connection.
    pub async fn request(&self, method: Method, path: &str, token: Option<&str>) -> Result<Answer> {
        self.send(
            Self::fresh_connections()?.request(method, self.url(path)),
            token,
        )
        .await
    }

    /// GET on a new connection.
    pub async fn get(&self, path: &str, token: Option<&str>) -> Result<Answer> {
        self.request(Method::GET, path, token).await
    }

    /// Any request, as built by the caller.
    pub async fn send(
        &self,
        mut request: reqwest::RequestBuilder,
        token: Option<&str>,
    ) -> Result<Answer> {
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: String::from_utf8_lossy(&response.bytes().await?).into_owned(),
        })
    }

    /// The URL of `path` behind this proxy.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    /// The sum of all counters and gauges whose names contain `part`; 0 when there is none.
    pub async fn stat(&self, part: &str) -> Result<u64> {
        Ok(self.stats(part).await?.iter().map(|(_, value)| value).sum())
    }

    /// All counters and gauges whose names contain `part`.
    pub async fn stats(&self, part: &str) -> Result<Vec<(String, u64)>> {
        let url = format!("http://{}/stats?format=json", self.admin);
        let all: Value = serde_json::from_slice(&reqwest::get(url).await?.bytes().await?)?;
        let all = all
            .get("stats")
            .and_then(Value::as_array)
            .context("stats")?;
        Ok(all
            .iter()
            .filter_map(|stat| {
                Some((
                    stat.get("name")?.as_str()?.to_owned(),
                    stat.get("value")?.as_u64()?,
                ))
            })
            .filter(|(name, _)| name.contains(part))
            .collect())
    }

    /// What it shows to Prometheus, of the filter: metrics whose names begin with `scimesh_`.
    pub async fn prometheus(&self) -> Result<Vec<Series>> {
        let url = format!("http://{}/stats/prometheus?filter=^wasmcustom", self.admin);
        let page = reqwest::get(url).await?.error_for_status()?.text().await?;
        let mut series = exposition::parse(&page)?;
        series.retain(|series| series.name.starts_with("scimesh_"));
        Ok(series)
    }

    /// SIGTERM; it has to end in good order.
    pub async fn stop(&mut self) -> Result<()> {
        let status = self.process.end(Duration::from_secs(10)).await?;
        ensure!(status.success(), "Envoy ended with {status}");
        Ok(())
    }
}
