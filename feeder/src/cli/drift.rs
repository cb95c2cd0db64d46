//! `scimesh drift`

use clap::Args;

use super::observed::{not_heard, sources, who};
use super::output::{self, Output, OutputArg, line, plain};
use crate::admin::client::Client;
use crate::admin::drift::{Drift, DriftRow, TenantDrift};

#[derive(Debug, Args)]
pub(super) struct DriftArgs {
    /// Only of this tenant
    tenant: Option<String>,
    #[command(flatten)]
    output: OutputArg,
}

impl DriftArgs {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        let tenant = self.tenant;
        let report = client.call(&Drift { tenant }).await?;
        match self.output.output {
            Output::Json => output::json(&report)?,
            Output::Table if report.tenants.is_empty() => line("there are no tenants")?,
            Output::Table => report.tenants.iter().try_for_each(of_tenant)?,
        }
        Ok(())
    }
}

fn of_tenant(drift: &TenantDrift) -> std::io::Result<()> {
    let tenant = &drift.tenant;
    if drift.issuers.is_empty() {
        line(&format!(
            "tenant {tenant}: no binding says where tokens list groups, so none is compared (`scimesh binding set --groups-claim`)"
        ))?;
    }
    let Some(heard) = drift.heard.as_ref().filter(|_| drift.compared > 0) else {
        return match drift.issuers.is_empty() {
            true => Ok(()),
            false => line(&not_heard(tenant, "no token was compared")),
        };
    };
    line(&format!(
        "tenant {tenant}: {} tokens compared since {}, by {}",
        drift.compared,
        heard.since,
        sources(heard)
    ))?;
    if drift.unknown > 0 {
        line(&format!(
            "unknown: {} of these do not list their groups, and nothing is told of them",
            drift.unknown
        ))?;
    }
    if heard.left_out > 0 {
        line(&format!(
            "incomplete: there was no room for {} of what was seen",
            heard.left_out
        ))?;
    }
    if drift.groups.is_empty() {
        return line("no token that lists groups differs from the directory");
    }
    line(&format!(
        "{} subjects' tokens claim groups that they are out of, and {} subjects' lack groups that they are in",
        drift.gone, drift.gained
    ))?;
    let head = [
        "GROUP",
        "OUT OF IT",
        "NEW IN IT",
        "LAST SEEN",
        "OUT OF IT ARE",
    ];
    Output::Table.rows(&drift.groups, head, |group| {
        let seen = [&group.gone.last_seen, &group.gained.last_seen];
        [
            plain(&group.term),
            group.gone.subjects.to_string(),
            group.gained.subjects.to_string(),
            seen.into_iter()
                .flatten()
                .max()
                .cloned()
                .unwrap_or_default(),
            named(&group.gone),
        ]
    })
}

fn named(row: &DriftRow) -> String {
    let mut text: Vec<String> = row.named.iter().map(who).collect();
    match row.subjects - row.named.len().min(row.subjects) {
        0 => {}
        more => text.push(format!("and {more} more")),
    }
    text.join(", ")
}
