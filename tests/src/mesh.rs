//! One story's world: a feeder with two tenants, an upstream, and an Envoy with the filter between them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::address;
use crate::bootstrap::{Bootstrap, Delivery, FEED_CLUSTER, Named, nothing};
use crate::clocks::Clocks;
use crate::envoy::{Answer, Envoy, Launch, WORKERS, discovery_file, filter_config, publish};
use crate::eventually::eventually;
use crate::feeder::Feeder;
use crate::issuer::Issuer;
use crate::scim::Scim;
use crate::upstream::Upstream;
use crate::workload::Authority;

/// How long a story waits for something that should take milliseconds, on a machine that is busy with other stories.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// So many new connections in a row miss one of two workers once in 500 million times.
pub const EVERYWHERE: usize = 30;

/// A pluginConfig of tenant `acme` with these rules.
pub fn policy(rules: Value) -> Value {
    json!({ "tenant": "acme", "feed": { "cluster": FEED_CLUSTER }, "rules": rules })
}

/// `policy` with this field as well.
pub fn with(mut policy: Value, field: &str, value: Value) -> Value {
    if let Some(fields) = policy.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
    policy
}

/// The policy of most stories: `/payments` is for the group payments, `/health` for everybody, all else for acme's users.
pub fn payments_policy() -> Value {
    policy(json!([
        { "name": "health", "to": [{ "paths": ["/health"] }], "allow": "PUBLIC" },
        {
            "name": "payments",
            "to": [{ "paths": ["/payments", "/payments/{**}"] }],
            "require": { "anyOf": ["group:payments"] },
        },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["active"] } },
    ]))
}

/// What one story wants otherwise than the others.
pub struct Plan {
    plugin_config: String,
    others: Vec<String>,
    left_out: Option<usize>,
    discovered: bool,
    feed_cluster: bool,
    feeder_stopped: bool,
    mutual_tls: bool,
    principal: Option<&'static str>,
    workers: usize,
    upstream: Option<SocketAddr>,
    alter: Alter,
    own_clocks: bool,
    feeder: Vec<String>,
}

/// Changes Envoy's configuration.
type Alter = Box<dyn FnOnce(&mut Value) -> Result<()> + Send>;

impl Plan {
    /// With this pluginConfig.
    pub fn new(policy: &Value) -> Plan {
        Self::with_text(&policy.to_string())
    }

    /// With this pluginConfig, which need not be JSON at all.
    pub fn with_text(plugin_config: &str) -> Plan {
        Plan {
            plugin_config: plugin_config.to_owned(),
            others: Vec::new(),
            left_out: None,
            discovered: false,
            feed_cluster: true,
            feeder_stopped: false,
            mutual_tls: false,
            principal: None,
            workers: WORKERS,
            upstream: None,
            alter: Box::new(|_| Ok(())),
            own_clocks: false,
            feeder: Vec::new(),
        }
    }

    /// Another filter behind those before it, with this pluginConfig, in the same VM.
    pub fn and(mut self, policy: &Value) -> Plan {
        self.others.push(policy.to_string());
        self
    }

    /// Envoy leaves this one of several filters out, as it does when one fails on a worker.
    pub fn left_out(self, filter: usize) -> Plan {
        Plan {
            left_out: Some(filter),
            ..self
        }
    }

    /// The filters of [`Delivery::Several`].
    fn chain(&self) -> Result<Vec<Named>> {
        let mut chain = Vec::new();
        for text in std::iter::once(&self.plugin_config).chain(&self.others) {
            let config = if self.left_out == Some(chain.len()) {
                nothing()
            } else {
                filter_config(text, None)?
            };
            let policy: Value = serde_json::from_str(text)?;
            let name = policy
                .get("name")
                .and_then(Value::as_str)
                .map(str::to_owned);
            chain.push(Named { name, config });
        }
        Ok(chain)
    }

    /// The filter's configuration comes by extension discovery.
    pub fn discovered(self) -> Plan {
        Plan {
            discovered: true,
            ..self
        }
    }

    /// Envoy does not know the cluster that the policy names.
    pub fn without_feed_cluster(self) -> Plan {
        Plan {
            feed_cluster: false,
            ..self
        }
    }

    /// The feeder is set up and then stopped before Envoy starts.
    pub fn feeder_stopped(self) -> Plan {
        Plan {
            feeder_stopped: true,
            ..self
        }
    }

    /// Requests come over TLS; see [`Mesh::authority`].
    pub fn mutual_tls(self) -> Plan {
        Plan {
            mutual_tls: true,
            ..self
        }
    }

    /// Envoy has one worker, and so one VM.
    pub fn with_one_worker(self) -> Plan {
        Plan { workers: 1, ..self }
    }

    /// Requests go to a service of the story's own.
    pub fn upstream(self, address: SocketAddr) -> Plan {
        Plan {
            upstream: Some(address),
            ..self
        }
    }

    /// A waypoint whose tunnels' peers are named by this request header.
    pub fn principal_from(self, header: &'static str) -> Plan {
        Plan {
            principal: Some(header),
            ..self
        }
    }

    /// Envoy's whole configuration is changed like this before it starts.
    pub fn alter(self, alter: impl FnOnce(&mut Value) -> Result<()> + Send + 'static) -> Plan {
        Plan {
            alter: Box::new(alter),
            ..self
        }
    }

    /// The feeder is started with these arguments.
    pub fn feeder_with(self, arguments: &[&str]) -> Plan {
        Plan {
            feeder: arguments.iter().map(|text| (*text).to_owned()).collect(),
            ..self
        }
    }

    /// Envoy has clocks that the story may set: [`Mesh::clocks`].
    pub fn own_clocks(self) -> Plan {
        Plan {
            own_clocks: true,
            ..self
        }
    }

    /// Brings everything up.
    pub async fn start(self) -> Result<Mesh> {
        Mesh::start_as(self).await
    }
}

/// A tenant and who signs its users' tokens (`sub` is the externalId).
pub struct Tenant {
    /// Signs the tokens.
    pub issuer: Issuer,
    /// Pushes users and groups.
    pub scim: Scim,
}

/// Everything that one story needs, already running. A story that succeeds calls [`end`](Self::end); otherwise the logs
/// are printed when it is dropped.
pub struct Mesh {
    /// Under test.
    pub feeder: Feeder,
    /// Under test, as the filter's host.
    pub envoy: Envoy,
    /// What is protected.
    pub upstream: Upstream,
    /// The tenant of the policy.
    pub acme: Tenant,
    /// Another one.
    pub globex: Tenant,
    /// Its tokens are verified, but no binding names it.
    pub stranger: Issuer,
    /// Whose client certificates Envoy accepts, if it asks for any.
    pub authority: Authority,
    /// Envoy's, if it has clocks of its own.
    pub clocks: Option<Clocks>,
    logs: Logs,
}

impl Mesh {
    /// With this pluginConfig, delivered with Envoy's own configuration.
    pub async fn start(policy: &Value) -> Result<Mesh> {
        Plan::new(policy).start().await
    }

    async fn start_as(plan: Plan) -> Result<Mesh> {
        let logs = Logs::new()?;
        let dir = logs.dir.path();
        let mut feeder = Feeder::new(dir)?;
        let arguments: Vec<&str> = plan.feeder.iter().map(String::as_str).collect();
        feeder.start_with(&arguments).await?;
        let acme = tenant(&feeder, "acme").await?;
        let globex = tenant(&feeder, "globex").await?;
        let stranger = Issuer::new("https://idp.stranger.example")?;
        let upstream = Upstream::start(address::free()?).await?;
        if plan.feeder_stopped {
            feeder.stop().await?;
        }
        let config = filter_config(&plan.plugin_config, plan.discovered.then_some("1"))?;
        let discovery = discovery_file(dir);
        if plan.discovered {
            publish(dir, "1", &config)?;
        }
        let several = !plan.others.is_empty();
        let chain = if several { plan.chain()? } else { Vec::new() };
        let authority = Authority::new()?;
        let clocks = plan.own_clocks.then(|| Clocks::new(dir)).transpose()?;
        let bootstrap = Bootstrap {
            listen: address::free()?,
            admin: address::free()?,
            upstream: plan.upstream.unwrap_or(upstream.address()),
            feed: plan.feed_cluster.then(|| feeder.feed_address()),
            issuers: &[acme.issuer.clone(), globex.issuer.clone(), stranger.clone()],
            filter: if plan.discovered {
                Delivery::Discovery(&discovery)
            } else if several {
                Delivery::Several(&chain)
            } else {
                Delivery::Static(&config)
            },
            authority: plan.mutual_tls.then_some(&authority),
            principal: plan.principal,
        };
        let mut launch = Launch::of(&bootstrap);
        launch.workers = plan.workers;
        launch.clocks = clocks.as_ref();
        (plan.alter)(&mut launch.config)?;
        let envoy = Envoy::launch(dir, &launch).await?;
        Ok(Mesh {
            feeder,
            envoy,
            upstream,
            acme,
            globex,
            stranger,
            authority,
            clocks,
            logs,
        })
    }

    /// Where this story's files are.
    pub fn dir(&self) -> &Path {
        self.logs.dir.path()
    }

    /// GET on [`EVERYWHERE`] new connections at once, and so on every worker.
    pub async fn get_everywhere(&self, path: &str, token: Option<&str>) -> Result<Vec<Answer>> {
        let client = Envoy::fresh_connections()?;
        let url = self.envoy.url(path);
        try_join_all(
            (0..EVERYWHERE).map(|_| self.envoy.send(client.request(Method::GET, &url), token)),
        )
        .await
    }

    /// Every worker answers `status` to GET, now. Gives one of the answers.
    pub async fn expect(&self, path: &str, token: Option<&str>, status: u16) -> Result<Answer> {
        let mut answers = self.get_everywhere(path, token).await?;
        for answer in &answers {
            ensure!(
                answer.status == status,
                "GET {path} answers {} where {status} is right: {}",
                answer.status,
                answer.body
            );
        }
        answers
            .pop()
            .ok_or_else(|| anyhow::anyhow!("EVERYWHERE is not zero"))
    }

    /// Every worker answers `status` to GET, soon. Gives one of the answers.
    pub async fn await_status(
        &self,
        path: &str,
        token: Option<&str>,
        status: u16,
    ) -> Result<Answer> {
        let what = format!("GET {path} to answer {status} on every worker");
        eventually(&what, PATIENCE, async || {
            self.expect(path, token, status).await
        })
        .await
    }

    /// The story is over and was right: all of it still runs, and ends in good order.
    pub async fn end(mut self) -> Result<()> {
        self.envoy.process().check()?;
        self.envoy.stop().await?;
        self.end_without_envoy().await
    }

    /// The same for a story that has killed its Envoy.
    pub async fn end_without_envoy(mut self) -> Result<()> {
        let log = self.envoy.process().log();
        ensure!(!log.contains("panicked"), "the filter panicked");
        if self.feeder.is_running() {
            self.feeder.process()?.check()?;
            self.feeder.stop().await?;
        }
        ensure!(
            !self.feeder.log().contains("panicked"),
            "the feeder panicked"
        );
        self.logs.wanted = false;
        Ok(())
    }
}

async fn tenant(feeder: &Feeder, name: &str) -> Result<Tenant> {
    let issuer = Issuer::new(&format!("https://idp.{name}.example"))?;
    let scim = feeder.create_tenant(name, issuer.url()).await?;
    Ok(Tenant { issuer, scim })
}

/// The story's directory, and what to print of it.
struct Logs {
    dir: TempDir,
    wanted: bool,
}

impl Logs {
    fn new() -> Result<Logs> {
        Ok(Logs {
            dir: tempfile::Builder::new().prefix("scimesh-").tempdir()?,
            wanted: true,
        })
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        if !self.wanted {
            return;
        }
        for name in ["feeder.log", "envoy.log"] {
            let path: PathBuf = self.dir.path().join(name);
            let text = std::fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let skipped = text.lines().count().saturating_sub(200);
            eprintln!("---- {name}");
            for line in text.lines().skip(skipped) {
                eprintln!("{line}");
            }
        }
    }
}
