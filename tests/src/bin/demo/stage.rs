//! All that runs: feeder, upstream, Envoy, and the company in its two tenants.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use scimesh_tests::bootstrap::{Bootstrap, Delivery, FEED_CLUSTER};
use scimesh_tests::company::{Company, Loaded};
use scimesh_tests::envoy::{Envoy, filter_config};
use scimesh_tests::eventually::eventually;
use scimesh_tests::feeder::Feeder;
use scimesh_tests::issuer::Issuer;
use scimesh_tests::scim::Scim;
use scimesh_tests::upstream::Upstream;
use serde_json::{Value, json};

use crate::ports::Ports;

/// How long the printed tokens are good, in seconds.
const TOKEN_LIFE: u64 = 12 * 3600;

/// All that runs.
pub(crate) struct Stage {
    pub(crate) feeder: Feeder,
    pub(crate) envoy: Envoy,
    _upstream: Upstream,
    pub(crate) acme: Side,
    pub(crate) globex: Side,
}

impl Stage {
    /// Brings everything up, on an empty `dir`, and says how long that took.
    pub(crate) async fn set(ports: &Ports, dir: &Path) -> Result<Stage> {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        fs::DirBuilder::new().mode(0o700).create(dir)?;

        let start = Instant::now();
        let mut feeder = Feeder::at(dir, ports.scim, ports.feed, ports.feeder_admin);
        feeder.start().await?;
        println!(
            "  {:<58} {:>9}",
            "feeder ready, on an empty embedded store",
            took(start)
        );

        let start = Instant::now();
        let acme = Side::load(&feeder, "acme", Company::acme()).await?;
        let globex = Side::load(&feeder, "globex", Company::globex()).await?;
        for (name, side) in [("acme", &acme), ("globex", &globex)] {
            println!(
                "  {name}: {} people, {} groups",
                side.company.people().len(),
                side.company.group_count()
            );
        }
        println!(
            "  {:<58} {:>9}",
            "loaded over SCIM/HTTP, each write synced to disk",
            took(start)
        );

        let start = Instant::now();
        let upstream = Upstream::start(ports.upstream).await?;
        let config = filter_config(&policy().to_string(), None)?;
        let bootstrap = Bootstrap {
            listen: ports.proxy,
            admin: ports.envoy_admin,
            upstream: ports.upstream,
            feed: Some(ports.feed),
            issuers: &[acme.issuer.clone(), globex.issuer.clone()],
            filter: Delivery::Static(&config),
            authority: None,
            principal: None,
        };
        let envoy = Envoy::start(dir, &bootstrap).await?;
        eventually(
            "the first request to be allowed",
            Duration::from_secs(10),
            async || {
                let answer = envoy.get("/", Some(&acme.token(0)?)).await?;
                ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
                Ok(())
            },
        )
        .await?;
        println!(
            "  {:<58} {:>9}",
            "Envoy up: jwt_authn, filter, RBAC backstop; 2 workers",
            took(start)
        );
        Ok(Stage {
            feeder,
            envoy,
            _upstream: upstream,
            acme,
            globex,
        })
    }
}

/// One tenant.
pub(crate) struct Side {
    issuer: Issuer,
    pub(crate) scim: Scim,
    company: Company,
    pub(crate) loaded: Loaded,
}

impl Side {
    async fn load(feeder: &Feeder, name: &str, company: Company) -> Result<Side> {
        let issuer = Issuer::new(&format!("https://idp.{name}.example"))?;
        let scim = feeder.create_tenant(name, issuer.url()).await?;
        let loaded = company.load(&scim).await?;
        Ok(Side {
            issuer,
            scim,
            company,
            loaded,
        })
    }

    /// A token of the person at this place of the company.
    pub(crate) fn token(&self, person: usize) -> Result<String> {
        let person = self.company.people().get(person).context("a person")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        self.issuer.token_with(json!({
            "sub": person.number, "name": person.name, "exp": now + TOKEN_LIFE,
        }))
    }

    /// The id of a group.
    pub(crate) fn group(&self, name: &str) -> Result<&str> {
        self.loaded
            .groups
            .get(name)
            .map(String::as_str)
            .context("a group")
    }
}

fn policy() -> Value {
    json!({
        "tenant": "acme",
        "feed": { "cluster": FEED_CLUSTER },
        "maxStaleness": "1m",
        "rules": [
            { "name": "health", "to": [{ "paths": ["/healthz"], "methods": ["GET"] }], "allow": "PUBLIC" },
            {
                "name": "refunds",
                "to": [{ "methods": ["POST"], "paths": ["/accounts/{*}/refunds"] }],
                "require": { "anyOf": ["group:payments-admins"], "noneOf": ["group:contractors"] },
            },
            {
                "name": "ledger",
                "to": [{ "paths": ["/ledger", "/ledger/{**}"] }],
                "require": { "anyOf": ["group:finance"] },
            },
            { "name": "everything-else", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["active"] } },
        ],
    })
}

fn took(start: Instant) -> String {
    format!("{:.1} s", start.elapsed().as_secs_f64())
}
