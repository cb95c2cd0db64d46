//! `scimesh status`

use std::time::{Duration, Instant};

use clap::Args;

use super::output::{self, Output, OutputArg, line};
use crate::admin::client::{Client, Failed};
use crate::admin::status::{
    Applied, DepartedRow, FilterRow, Nameless, Outcome, Stand, StandRow, Standing, Status,
    WhoApplied,
};

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Say who has applied this revision, and when all others will have stopped by their lease. Exit status 4: not all have; 5: unknown
    #[arg(long, env = "SCIMESH_REVISION", value_name = "NUMBER")]
    revision: Option<u64>,
    /// Wait that long for all to have applied it, such as 5s
    #[arg(long, env = "SCIMESH_WAIT", value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration, requires = "revision")]
    wait: Duration,
    /// Only filters of this tenant
    #[arg(long, env = "SCIMESH_TENANT", value_name = "NAME")]
    tenant: Option<String>,
    #[command(flatten)]
    output: OutputArg,
}

/// A revision does not hold everywhere, or nobody knows: an answer, with an exit status of its own.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum NotEverywhere {
    /// Some that are known have not applied it, and may go on by older content.
    #[error("not every filter has applied revision {0}")]
    Pending(u64),
    /// There may be others than those that are known.
    #[error("whether every filter has applied revision {0} is unknown")]
    Unknown(u64),
}

impl StatusArgs {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        let Some(revision) = self.revision else {
            let tenant = self.tenant;
            let standing = client.call(&Status { tenant }).await?;
            match self.output.output {
                Output::Json => output::json(&standing)?,
                Output::Table => report(&standing)?,
            }
            return Ok(());
        };
        let applied = ask(client, revision, self.tenant, self.wait).await?;
        match self.output.output {
            Output::Json => output::json(&applied)?,
            Output::Table => report_applied(&applied)?,
        }
        match applied.outcome {
            Outcome::Applied => Ok(()),
            Outcome::Pending => Err(NotEverywhere::Pending(revision).into()),
            Outcome::Unknown => Err(NotEverywhere::Unknown(revision).into()),
        }
    }
}

/// The feeder waits for so long at a time that no connection stands open for minutes.
async fn ask(
    client: &Client,
    revision: u64,
    tenant: Option<String>,
    wait: Duration,
) -> Result<Applied, Failed> {
    let begun = Instant::now();
    loop {
        let left = wait.saturating_sub(begun.elapsed());
        let wait_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let wait_ms = wait_ms.min(WhoApplied::LONGEST_WAIT_MS);
        let tenant = tenant.clone();
        let asked = WhoApplied {
            revision,
            tenant,
            wait_ms,
        };
        let applied = client.call(&asked).await?;
        if applied.outcome == Outcome::Applied || begun.elapsed() >= wait {
            return Ok(applied);
        }
    }
}

fn report(standing: &Standing) -> std::io::Result<()> {
    let feeder = &standing.feeder;
    let ready = match &feeder.not_ready {
        None => "ready".to_owned(),
        Some(why) => format!("not ready: {why}"),
    };
    line(&format!(
        "feeder {}, generation {}, revision {}, {ready}",
        feeder.version, feeder.generation, feeder.revision
    ))?;
    line(&format!(
        "{} filter VMs with {} streams follow {} scopes",
        feeder.vms, feeder.streams, feeder.scopes
    ))?;
    unmet(feeder.unknown_until.as_deref())?;
    if !standing.filters.is_empty() {
        line("")?;
        let head = [
            "PROXY",
            "VM",
            "WORKLOAD",
            "VERSION",
            "TENANT",
            "TERMS",
            "ACKED",
            "LAG",
            "NACKS",
            "MEMORY",
            "CONNECTED SINCE",
        ];
        Output::Table.rows(&standing.filters, head, |row| {
            let filter = &row.filter;
            let active = if filter.any_active { "+active" } else { "" };
            [
                filter.proxy.clone(),
                filter.vm.clone(),
                filter.workload.clone(),
                filter.version.clone(),
                filter.tenant.clone(),
                format!("{}{active}", filter.terms),
                acked(row),
                lag(row),
                nacks(row),
                memory(row),
                row.connected_since.clone(),
            ]
        })?;
    }
    departed(
        "gone, but their leases have not ended:",
        &standing.departed,
        standing.nameless.as_ref(),
    )
}

fn report_applied(applied: &Applied) -> std::io::Result<()> {
    let have = applied.filters.iter();
    let have = have.filter(|row| row.stand == Stand::Applied).count();
    line(&format!(
        "revision {}: {have} of {} connected filters have applied it",
        applied.revision,
        applied.filters.len()
    ))?;
    let others = applied.filters.iter();
    let others: Vec<&StandRow> = others.filter(|row| row.stand != Stand::Applied).collect();
    if !others.is_empty() {
        line("")?;
        let head = [
            "STANDING", "PROXY", "VM", "WORKLOAD", "TENANT", "ACKED", "LAG", "UNTIL",
        ];
        Output::Table.rows(&others, head, |stand| {
            let filter = &stand.row.filter;
            [
                match stand.stand {
                    Stand::Applied => "applied",
                    Stand::Pending => "pending",
                    Stand::Withheld => "withheld",
                    Stand::NoLease => "no lease",
                }
                .to_owned(),
                filter.proxy.clone(),
                filter.vm.clone(),
                filter.workload.clone(),
                filter.tenant.clone(),
                acked(&stand.row),
                lag(&stand.row),
                stand.until.clone().unwrap_or_default(),
            ]
        })?;
    }
    departed(
        "gone, and they may go on by older content:",
        &applied.departed,
        applied.nameless.as_ref(),
    )?;
    if applied.rolled_back {
        line(
            "unknown: a filter has proved that the database is an old copy; no lease is renewed any more",
        )?;
    }
    unmet(applied.unknown_until.as_deref())?;
    match (applied.outcome, &applied.until) {
        (Outcome::Applied, _) => line("no filter can allow anything by older content"),
        (_, Some(until)) => line(&format!(
            "by {until} no filter can allow anything by older content, whatever happens"
        )),
        (_, None) => Ok(()),
    }
}

fn unmet(until: Option<&str>) -> std::io::Result<()> {
    match until {
        None => Ok(()),
        Some(until) => line(&format!(
            "unknown: filters that followed before the feeder was started, and have not returned, may go on until {until}"
        )),
    }
}

fn departed(title: &str, rows: &[DepartedRow], nameless: Option<&Nameless>) -> std::io::Result<()> {
    if !rows.is_empty() {
        line("")?;
        line(title)?;
        let head = [
            "PROXY", "VM", "WORKLOAD", "TENANT", "APPLIED", "SINCE", "UNTIL",
        ];
        Output::Table.rows(rows, head, |row| {
            [
                row.filter.proxy.clone(),
                row.filter.vm.clone(),
                row.filter.workload.clone(),
                row.filter.tenant.clone(),
                row.applied.map_or("-".to_owned(), |at| at.to_string()),
                row.since.clone(),
                row.until.clone(),
            ]
        })?;
    }
    if let Some(Nameless { count, until }) = nameless {
        line(&format!("{count} more of those, until {until} at most"))?;
    }
    Ok(())
}

fn acked(row: &FilterRow) -> String {
    match &row.acked {
        None => "-".to_owned(),
        Some(acked) => acked.revision.to_string(),
    }
}

fn lag(row: &FilterRow) -> String {
    match (&row.lag, row.withheld_since) {
        (_, Some(first)) => format!("withheld from {first} on"),
        (None, None) => "no content".to_owned(),
        (Some(lag), None) if lag.seconds > 0.0 => {
            format!("{} ({:.1}s)", lag.revisions, lag.seconds)
        }
        (Some(lag), None) => lag.revisions.to_string(),
    }
}

fn nacks(row: &FilterRow) -> String {
    match &row.last_nack {
        None => row.nacks.to_string(),
        Some(reason) => format!("{} ({reason})", row.nacks),
    }
}

fn memory(row: &FilterRow) -> String {
    let mebibytes = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
    match &row.memory {
        None => "-".to_owned(),
        Some(memory) if memory.limit_bytes == 0 => {
            format!("{} MiB", mebibytes(memory.content_bytes))
        }
        Some(memory) => {
            let warning = if memory.near_limit {
                " (near the limit)"
            } else {
                ""
            };
            let (content, limit) = (memory.content_bytes, memory.limit_bytes);
            format!(
                "{} of {} MiB{warning}",
                mebibytes(content),
                mebibytes(limit)
            )
        }
    }
}
