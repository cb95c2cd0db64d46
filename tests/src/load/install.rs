//! A company put into a feeder's data directory before the feeder starts, through the feeder's own ledger: what an
//! identity provider would push in hours is there in seconds.

use std::path::Path;

use anyhow::{Context, Result};
use scimesh_feeder::data_dir::DataDir;
use scimesh_feeder::directory::{MemberChange, Refused};
use scimesh_feeder::ledger::Ledger;
use scimesh_feeder::metrics::CommitMetrics;
use scimesh_feeder::store::Store;

use super::content::binding;
use super::staff::{Staff, group_attributes, group_id, user_attributes, user_id};

/// Users in one transaction.
const USERS: usize = 5_000;
/// Memberships in one transaction, about.
const MEMBERSHIPS: usize = 50_000;

/// Makes the tenant in `data_dir`, whose feeder is not running: all of `staff`, and one binding, of `sub` to
/// `externalId`, for tokens of `issuer`.
pub async fn install(staff: &Staff, tenant: &str, issuer: &str, data_dir: &Path) -> Result<()> {
    let owned = DataDir::own(data_dir)?;
    let (store, directory) = Store::open(owned.path())?;
    let (ledger, mut writer) = Ledger::start(store, directory, CommitMetrics::default())?;
    let (name, bound) = (tenant.to_owned(), binding(issuer));
    let made = ledger.commit(move |draft| {
        draft.create_tenant(&name)?;
        draft.set_binding(&name, bound)
    });
    made.await.context("the tenant")?;
    users(&ledger, staff, tenant).await?;
    groups(&ledger, staff, tenant).await?;
    drop(ledger);
    writer.ended().await;
    Ok(())
}

async fn users(ledger: &Ledger, staff: &Staff, tenant: &str) -> Result<()> {
    let users: Vec<u32> = staff.users.keys().copied().collect();
    for some in users.chunks(USERS) {
        let (some, tenant) = (some.to_vec(), tenant.to_owned());
        let made = ledger.commit(move |draft| {
            for user in some {
                draft.create_user(&tenant, user_id(user), user_attributes(user))?;
            }
            Ok::<_, Refused>(())
        });
        made.await.context("users")?;
    }
    Ok(())
}

async fn groups(ledger: &Ledger, staff: &Staff, tenant: &str) -> Result<()> {
    let mut batch = Batch::new(tenant);
    for (number, group) in &staff.groups {
        batch.steps.push(Step::Create(*number, group.name.clone()));
        let members: Vec<u32> = group.users.iter().copied().collect();
        for some in members.chunks(MEMBERSHIPS) {
            batch.steps.push(Step::Users(*number, some.to_vec()));
            batch.weight += some.len();
            if batch.weight >= MEMBERSHIPS {
                batch.commit(ledger).await?;
            }
        }
    }
    for (number, group) in &staff.groups {
        for inner in &group.groups {
            batch.steps.push(Step::Group(*number, *inner));
        }
    }
    batch.commit(ledger).await
}

enum Step {
    Create(u32, String),
    Users(u32, Vec<u32>),
    Group(u32, u32),
}

struct Batch {
    tenant: String,
    steps: Vec<Step>,
    weight: usize,
}

impl Batch {
    fn new(tenant: &str) -> Batch {
        Batch {
            tenant: tenant.to_owned(),
            steps: Vec::new(),
            weight: 0,
        }
    }

    async fn commit(&mut self, ledger: &Ledger) -> Result<()> {
        self.weight = 0;
        let (tenant, steps) = (self.tenant.clone(), std::mem::take(&mut self.steps));
        let made = ledger.commit(move |draft| {
            for step in steps {
                let (group, members) = match step {
                    Step::Create(group, name) => {
                        let attributes = group_attributes(&name);
                        draft.create_group(&tenant, group_id(group), attributes, &[])?;
                        continue;
                    }
                    Step::Users(group, users) => (group, users.into_iter().map(user_id).collect()),
                    Step::Group(group, inner) => (group, vec![group_id(inner)]),
                };
                let members = [MemberChange::Add(members)];
                draft.change_members(&tenant, group_id(group), &members)?;
            }
            Ok::<_, Refused>(())
        });
        made.await.context("groups")?;
        Ok(())
    }
}
