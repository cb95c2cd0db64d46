//! A feeder with a directory of some size, and real Envoys that hold all of its users and sixteen groups of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use scimesh_tests::envoy::{Envoy, WORKERS};
use scimesh_tests::eventually::eventually;
use scimesh_tests::feeder::Feeder;
use scimesh_tests::issuer::Issuer;
use scimesh_tests::load::content::Content;
use scimesh_tests::load::document;
use scimesh_tests::load::install::install;
use scimesh_tests::load::proxy;
use scimesh_tests::load::staff::{Plan, Staff, subject};
use serde_json::json;

const TENANT: &str = "corp";
const ISSUER: &str = "https://idp.corp.example";
/// Terms in the scope.
const TERMS: u32 = 16;
/// Users who ask; jwt_authn keeps the tokens of a hundred.
const ASKERS: u32 = 64;
/// For a first snapshot.
const PATIENCE: Duration = Duration::from_secs(120);

/// See the module.
pub(crate) struct World {
    pub(crate) feeder: Feeder,
    pub(crate) users: u32,
    dir: PathBuf,
    issuer: Issuer,
    staff: Staff,
    envoys: usize,
}

/// The claims that name the user in a token.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Claims {
    /// The binding's at first, and its other one.
    Both,
    /// Only the other one.
    Other,
}

/// The binding's claim at first, and the other one that it is given, which replaces all content with the same again.
pub(crate) const CLAIMS: [&str; 2] = ["sub", "oid"];

impl World {
    /// In `dir`, which is made.
    pub(crate) async fn new(dir: &Path, users: u32) -> Result<World> {
        fs::create_dir_all(dir)?;
        let plan = Plan {
            users,
            groups: 100,
            memberships: users as usize * 4,
            seed: 1,
        };
        let staff = Staff::new(&plan)?;
        let mut feeder = Feeder::new(dir)?;
        feeder.be_patient(PATIENCE);
        install(&staff, TENANT, ISSUER, feeder.data_dir()).await?;
        feeder.start().await?;
        Ok(World {
            feeder,
            users,
            dir: dir.to_owned(),
            issuer: Issuer::new(ISSUER)?,
            staff,
            envoys: 0,
        })
    }

    /// Bytes of the proxies' content as JSON.
    pub(crate) fn document(&self) -> Result<u64> {
        let groups: Vec<u32> = (0..TERMS).collect();
        let scope = self.staff.scope(TENANT, &groups, true)?;
        let content = Content::of(&self.staff, &scope);
        Ok(document::write(&content, &scope, std::io::sink())?)
    }

    /// A request as any client sends it, of one of some users.
    pub(crate) fn request(&self, asker: u32, claims: Claims) -> Result<Vec<u8>> {
        let token = self.token(asker, claims)?;
        let request = format!(
            "GET /accounts/4711 HTTP/1.1\r\nhost: payments.corp.example\r\nuser-agent: console/3.1\r\n\
             accept: application/json\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        Ok(request.into_bytes())
    }

    /// A token of one of some users.
    pub(crate) fn token(&self, asker: u32, claims: Claims) -> Result<String> {
        let name = subject(asker % ASKERS.min(self.users));
        self.issuer.token_with(match claims {
            Claims::Both => json!({ "sub": name, "oid": name }),
            Claims::Other => json!({ "oid": name }),
        })
    }

    /// Lets this claim name the user from now on: every proxy gets a whole snapshot.
    pub(crate) async fn bind(&self, claim: &str) -> Result<()> {
        let arguments = ["binding", "set", "--tenant", TENANT, "--issuer", ISSUER];
        let names = ["--claim", claim, "--attribute", "externalId"];
        let arguments: Vec<&str> = arguments.into_iter().chain(names).collect();
        self.feeder.run(&arguments).await.map(drop)
    }

    /// Starts an Envoy and waits until every worker lets a user through.
    pub(crate) async fn envoy(&mut self, wasm_log_level: &str) -> Result<Envoy> {
        self.envoys += 1;
        let dir = self.dir.join(format!("envoy-{}", self.envoys));
        let groups = (0..TERMS).map(|group| Ok(self.staff.group(group)?.name.clone()));
        let groups: Vec<String> = groups.collect::<Result<_>>()?;
        let plan = proxy::Plan {
            tenant: TENANT,
            groups: &groups,
            max_staleness: "5m",
            wasm_log_level,
        };
        let envoy = proxy::start(&dir, self.feeder.feed_address(), &self.issuer, &plan).await?;
        self.await_entries(&envoy).await?;
        Ok(envoy)
    }

    /// Until each worker, and not only one of them, has all content.
    async fn await_entries(&self, envoy: &Envoy) -> Result<()> {
        let token = self.token(0, Claims::Both)?;
        eventually("every worker to let a user through", PATIENCE, async || {
            for _ in 0..WORKERS * 8 {
                let answer = envoy.get("/accounts/4711", Some(&token)).await?;
                ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
            }
            Ok(())
        })
        .await
    }
}
