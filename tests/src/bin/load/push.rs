//! `load push`

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use scimesh_tests::load::churn::Churn;
use scimesh_tests::load::idp::Idp;
use scimesh_tests::load::staff::{Plan, Staff};
use scimesh_tests::sample::{Sample, ms};

/// Between two lines.
const REPORT: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(crate) struct Arguments {
    /// The same as for `load directory`, of which nothing was changed since
    #[command(flatten)]
    plan: Plan,
    /// Where the feeder serves SCIM, without TLS
    #[arg(long, default_value = "127.0.0.1:8080")]
    scim: SocketAddr,
    /// The tenant's token, of `scimesh token create`
    #[arg(long, env = "SCIMESH_SCIM_TOKEN", hide_env_values = true)]
    token: String,
    /// Changes a second
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// How long; without an end if absent
    #[arg(long)]
    seconds: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut staff = Staff::new(&arguments.plan)?;
    let mut churn = Churn::new(arguments.plan.seed);
    let mut idp = Idp::new(arguments.scim, &arguments.token);
    if arguments.rate == 0 {
        bail!("no changes at all");
    }
    let pause = Duration::from_secs(1) / arguments.rate;
    let (start, mut times, mut reported) = (Instant::now(), Vec::new(), Instant::now());
    for turn in 0.. {
        let due = pause * turn;
        if arguments
            .seconds
            .is_some_and(|seconds| due >= Duration::from_secs(seconds))
        {
            break;
        }
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        let change = churn.next(&staff);
        let pushed = idp.push(&change)?;
        staff.apply(&change)?;
        times.push(pushed.received - pushed.sent);
        if reported.elapsed() >= REPORT {
            report(&mut times, reported.elapsed());
            reported = Instant::now();
        }
    }
    report(&mut times, reported.elapsed());
    Ok(())
}

fn report(times: &mut Vec<Duration>, since: Duration) {
    let sample = Sample::new(std::mem::take(times));
    println!(
        "{:>6.1} changes/s, answered in p50 {}, p99 {}, slowest {}",
        sample.len() as f64 / since.as_secs_f64(),
        ms(sample.percentile(50)),
        ms(sample.percentile(99)),
        ms(sample.percentile(100))
    );
}
