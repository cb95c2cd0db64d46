//! What every part of the benchmark plays on: a company in a feeder, an identity provider, and scopes of which it is known
//! whom a change concerns.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use scimesh_proto::scope::Scope;
use scimesh_tests::feeder::Feeder;
use scimesh_tests::load::change::Change;
use scimesh_tests::load::idp::Idp;
use scimesh_tests::load::install::install;
use scimesh_tests::load::staff::{Plan, Staff, Tier, tier};
use scimesh_tests::load::timeline::{Concerns, Timeline};

pub(crate) const TENANT: &str = "corp";
pub(crate) const ISSUER: &str = "https://idp.corp.example";

/// For a feeder that has much to read.
const PATIENCE: Duration = Duration::from_secs(120);
/// In every scope.
const COMMON: u32 = 0;
/// Terms of a scope.
const TERMS: usize = 16;
/// Users who join and leave; nobody else does.
const SPARES: usize = 64;
/// Of so many changes one concerns everybody.
const ONE_IN: usize = 10;

/// See the module.
pub(crate) struct Stage {
    pub(crate) feeder: Feeder,
    pub(crate) staff: Staff,
    pub(crate) idp: Idp,
    spares: Vec<u32>,
    turn: usize,
}

/// Scopes that have the largest group in common, a group each that no other has, and others that do not change.
pub(crate) struct Scopes {
    pub(crate) all: Vec<Scope>,
    own: Vec<u32>,
}

impl Stage {
    /// Puts a company into a new data directory in `dir` and starts a feeder over it.
    pub(crate) async fn set(dir: &Path, plan: &Plan) -> Result<Stage> {
        Stage::with(dir, Staff::new(plan)?).await
    }

    /// The same with this company, and some more users.
    pub(crate) async fn with(dir: &Path, mut staff: Staff) -> Result<Stage> {
        let spares = (0..SPARES).map(|_| staff.hire()).collect();
        std::fs::create_dir_all(dir)?;
        let mut feeder = Feeder::new(dir)?;
        feeder.be_patient(PATIENCE);
        install(&staff, TENANT, ISSUER, feeder.data_dir()).await?;
        start_feeder(&mut feeder).await?;
        let token = feeder.run(&["token", "create", "--tenant", TENANT]).await?;
        let idp = Idp::new(feeder.scim_address(), &token);
        Ok(Stage {
            feeder,
            staff,
            idp,
            spares,
            turn: 0,
        })
    }

    /// Ends the feeder's process and starts another.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.feeder.stop().await?;
        self.idp.reconnect();
        start_feeder(&mut self.feeder).await
    }

    /// So many scopes.
    pub(crate) fn scopes(&self, count: usize, any_active: bool) -> Result<Scopes> {
        let own = self.staff.groups_alone(count)?;
        let nested = self.staff.groups.keys().copied();
        let nested: Vec<u32> = nested
            .filter(|g| *g != COMMON && tier(*g) != Tier::Alone)
            .collect();
        let mut all = Vec::with_capacity(count);
        for (place, group) in own.iter().enumerate() {
            let others = nested.iter().cycle().skip(place * 7).take(TERMS - 2);
            let groups: Vec<u32> = [COMMON, *group]
                .into_iter()
                .chain(others.copied())
                .collect();
            all.push(self.staff.scope(TENANT, &groups, any_active)?);
        }
        Ok(Scopes { all, own })
    }

    /// A timeline that begins now.
    pub(crate) async fn timeline(&self) -> Result<Timeline> {
        Ok(Timeline::new(
            self.feeder.metric("scimesh_feeder_revision").await? as u64,
        ))
    }

    /// Pushes `rate` changes a second for that long, each at its time however long those before it took; all of them change
    /// what somebody is sent.
    pub(crate) fn churn(
        &mut self,
        scopes: &Scopes,
        rate: u32,
        time: Duration,
        timeline: &mut Timeline,
    ) -> Result<()> {
        let start = Instant::now();
        let pause = Duration::from_secs(1) / rate.max(1);
        for turn in 0.. {
            let due = pause * turn;
            if due >= time {
                return Ok(());
            }
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            self.change(scopes, timeline)?;
        }
        Ok(())
    }

    /// Pushes one change.
    pub(crate) fn change(&mut self, scopes: &Scopes, timeline: &mut Timeline) -> Result<()> {
        let turn = self.turn;
        self.turn += 1;
        let place = turn % scopes.own.len().max(1);
        let (group, concerns) = match turn % ONE_IN {
            0 => (COMMON, Concerns::All),
            _ => {
                let own = scopes.own.get(place).context("a scope")?;
                (*own, Concerns::Scope(place))
            }
        };
        let spare = (turn / scopes.own.len().max(1)) % self.spares.len().max(1);
        let user = *self.spares.get(spare).context("a spare user")?;
        let change = match self.staff.group(group)?.users.contains(&user) {
            true => Change::Part { group, user },
            false => Change::Join { group, user },
        };
        timeline.push(concerns, self.idp.push(&change)?);
        self.staff.apply(&change)
    }

    /// The feeder counts as many revisions as were pushed.
    pub(crate) async fn check(&mut self, timeline: &Timeline) -> Result<()> {
        self.feeder.process()?.check()?;
        let revision = self.feeder.metric("scimesh_feeder_revision").await? as u64;
        ensure!(
            revision == timeline.revision(),
            "the feeder is at revision {revision}, not {}",
            timeline.revision()
        );
        Ok(())
    }
}

/// Starts the feeder with room for one client that pushes as much as it can.
pub(crate) async fn start_feeder(feeder: &mut Feeder) -> Result<()> {
    feeder
        .start_with(&["--scim-limit", "requests-per-second=0"])
        .await
}
