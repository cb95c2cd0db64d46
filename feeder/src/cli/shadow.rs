//! `scimesh shadow`

use clap::Args;

use super::observed::{not_heard, sources, who};
use super::output::{self, Output, OutputArg, line};
use crate::admin::client::Client;
use crate::admin::shadow::{RefusalRow, Shadow, TenantShadow};

#[derive(Debug, Args)]
pub(super) struct ShadowArgs {
    /// Only of policies of this tenant
    tenant: Option<String>,
    #[command(flatten)]
    output: OutputArg,
}

impl ShadowArgs {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        let tenant = self.tenant;
        let report = client.call(&Shadow { tenant }).await?;
        match self.output.output {
            Output::Json => output::json(&report)?,
            Output::Table if report.tenants.is_empty() => line("there are no tenants")?,
            Output::Table => report.tenants.iter().try_for_each(of_tenant)?,
        }
        Ok(())
    }
}

fn of_tenant(shadow: &TenantShadow) -> std::io::Result<()> {
    let tenant = &shadow.tenant;
    let Some(heard) = shadow
        .heard
        .as_ref()
        .filter(|_| !shadow.refusals.is_empty())
    else {
        let what = "no request was reported that a SHADOW rule or policy would have refused";
        return line(&not_heard(tenant, what));
    };
    line(&format!(
        "tenant {tenant}: would have been refused since {}, by {}",
        heard.since,
        sources(heard)
    ))?;
    if heard.left_out > 0 {
        line(&format!(
            "incomplete: there was no room for {} of what was seen",
            heard.left_out
        ))?;
    }
    let head = ["POLICY", "RULE", "REASON", "REQUESTS", "LAST SEEN", "WHO"];
    Output::Table.rows(&shadow.refusals, head, |row| {
        [
            row.policy.clone().unwrap_or_else(|| "-".to_owned()),
            row.rule.clone().unwrap_or_else(|| "-".to_owned()),
            row.reason.clone(),
            row.requests.to_string(),
            row.last_seen.clone(),
            named(row),
        ]
    })
}

fn named(row: &RefusalRow) -> String {
    let each = row.named.iter();
    let mut text: Vec<String> = each
        .map(|one| format!("{} {}x", who(one), one.requests.unwrap_or_default()))
        .collect();
    match row.subjects - row.named.len().min(row.subjects) {
        0 if !row.more_subjects => {}
        0 => text.push("and others".to_owned()),
        more if row.more_subjects => text.push(format!("and at least {more} more")),
        more => text.push(format!("and {more} more")),
    }
    text.join(", ")
}
