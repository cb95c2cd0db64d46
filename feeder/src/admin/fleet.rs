//! `scimesh status`: what the fleet knows, told with times of the wall clock.

use std::time::{Duration, Instant};

use axum::extract::{Json, State};
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};

use super::router::{Asked, Denied, Done, Running};
use super::status::{
    Acked, Applied, DepartedRow, FeederStanding, Filter, FilterRow, Lag, Memory, Nameless, Outcome,
    Stand, StandRow, Standing, Status, WhoApplied,
};
use crate::directory::{Directory, Refused};
use crate::fleet::{self, Survey, Vm, near_limit};

/// How often it is looked again while somebody waits.
const LOOK: Duration = Duration::from_millis(20);

/// One moment on both clocks, so that all times of an answer fit together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    wall: Timestamp,
}

impl Now {
    pub(super) fn read() -> Now {
        Now {
            instant: Instant::now(),
            wall: Timestamp::now(),
        }
    }

    /// A moment that is ahead, or past.
    pub(super) fn text(self, moment: Instant) -> String {
        let ahead = moment.saturating_duration_since(self.instant);
        let ago = self.instant.saturating_duration_since(moment);
        let signed = |span| SignedDuration::try_from(span).unwrap_or_default();
        let end = self.wall.saturating_add(signed(ahead));
        let end = end.and_then(|end| end.saturating_sub(signed(ago)));
        end.map_or_else(|_| text(self.wall), text)
    }
}

fn text(time: Timestamp) -> String {
    format!("{time:.3}")
}

pub(super) async fn status(running: State<Running>, asked: Asked<Status>) -> Done<Status> {
    let Json(Status { tenant }) = asked?;
    let State(Running {
        ledger,
        feed,
        unready,
    }) = running;
    let directory = ledger.directory();
    let now = Now::read();
    let tenant = tenant.as_deref();
    // Every lease that has not ended is of interest here, whatever it was renewed for.
    let survey = feed.fleet().survey(u64::MAX, tenant, false, now.instant);
    known(&directory, tenant, &survey)?;
    let connected = survey.connected.iter();
    let departed = survey.departed.iter();
    let not_ready = unready();
    Ok(Json(Standing {
        feeder: FeederStanding {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            generation: directory.history().generation,
            revision: directory.revision(),
            ready: not_ready.is_none(),
            not_ready,
            rolled_back: feed.rolled_back(),
            scopes: feed.scopes(),
            streams: feed.streams(),
            vms: feed.fleet().totals(now.instant).vms,
            unknown_until: survey.unmet_until.map(|end| now.text(end)),
        },
        filters: connected
            .map(|(vm, _)| filter_row(&directory, vm, now))
            .collect(),
        departed: departed
            .map(|(vm, end)| departed_row(vm, *end, now))
            .collect(),
        nameless: nameless(&survey, now),
    }))
}

pub(super) async fn who_applied(
    running: State<Running>,
    asked: Asked<WhoApplied>,
) -> Done<WhoApplied> {
    let Json(WhoApplied {
        revision,
        tenant,
        wait_ms,
    }) = asked?;
    let State(Running { ledger, feed, .. }) = running;
    let wait = Duration::from_millis(wait_ms.min(WhoApplied::LONGEST_WAIT_MS));
    let deadline = Instant::now() + wait;
    loop {
        let directory = ledger.directory();
        if revision > directory.revision() {
            let error = format!(
                "revision {revision} is ahead of this feeder, which is at {}",
                directory.revision()
            );
            return Err(Denied(StatusCode::BAD_REQUEST, error));
        }
        let now = Now::read();
        let mut frozen = directory.all_frozen();
        let withheld = frozen.any(|(name, frozen)| {
            let asked = tenant.as_deref().is_none_or(|tenant| tenant == &**name);
            asked && frozen.withheld_since.is_some_and(|first| first <= revision)
        });
        let survey = feed
            .fleet()
            .survey(revision, tenant.as_deref(), withheld, now.instant);
        known(&directory, tenant.as_deref(), &survey)?;
        let rolled_back = feed.rolled_back();
        let outcome = outcome(&survey, rolled_back);
        if outcome == Outcome::Applied || now.instant >= deadline {
            let connected = survey.connected.iter();
            let departed = survey.departed.iter();
            return Ok(Json(Applied {
                generation: directory.history().generation,
                revision,
                outcome,
                until: survey
                    .end()
                    .filter(|_| !rolled_back)
                    .map(|end| now.text(end)),
                filters: connected
                    .map(|(vm, stand)| stand_row(&directory, vm, *stand, now))
                    .collect(),
                departed: departed
                    .map(|(vm, end)| departed_row(vm, *end, now))
                    .collect(),
                nameless: nameless(&survey, now),
                unknown_until: survey.unmet_until.map(|end| now.text(end)),
                rolled_back,
            }));
        }
        let next = (now.instant + LOOK).min(deadline);
        tokio::time::sleep_until(next.into()).await;
    }
}

/// A tenant that is misspelled has no filters, and of none it would be true that all have applied everything.
fn known(directory: &Directory, tenant: Option<&str>, survey: &Survey) -> Result<(), Denied> {
    match tenant {
        Some(tenant)
            if directory.tenant(tenant).is_none()
                && survey.connected.is_empty()
                && survey.departed.is_empty() =>
        {
            Err(Refused::NoSuchTenant(tenant.to_owned()).into())
        }
        _ => Ok(()),
    }
}

fn outcome(survey: &Survey, rolled_back: bool) -> Outcome {
    if survey.someone_may_go_on() {
        Outcome::Pending
    } else if rolled_back || survey.unmet_until.is_some() {
        Outcome::Unknown
    } else {
        Outcome::Applied
    }
}

fn filter(vm: &Vm) -> Filter {
    Filter {
        proxy: vm.identity.node.clone(),
        cluster: vm.cluster.clone(),
        vm: vm.identity.vm.clone(),
        workload: vm.identity.peer.clone(),
        version: vm.version.clone(),
        tenant: vm.tenant.clone(),
        terms: vm.terms,
        any_active: vm.any_active,
    }
}

fn filter_row(directory: &Directory, vm: &Vm, now: Now) -> FilterRow {
    let facts = vm.facts();
    let applied = facts.applied();
    let waits = facts.awaited_since();
    let waits = waits.map(|since| now.instant.saturating_duration_since(since));
    FilterRow {
        filter: filter(vm),
        connected_since: text(facts.since),
        acked: facts
            .acked
            .zip(applied)
            .map(|((revision, at), applied)| Acked {
                generation: directory.history().generation,
                revision,
                at: now.text(at),
                applied,
            }),
        lag: applied.map(|applied| Lag {
            revisions: directory.revision().saturating_sub(applied),
            seconds: waits.unwrap_or_default().as_secs_f64(),
        }),
        withheld_since: facts.withheld_since(),
        nacks: facts.nacks,
        last_nack: facts.last_nack.map(str::to_owned),
        memory: facts.memory.map(|memory| Memory {
            used_bytes: memory.used_bytes,
            content_bytes: memory.content_bytes,
            limit_bytes: memory.limit_bytes,
            near_limit: near_limit(&memory),
        }),
    }
}

fn stand_row(directory: &Directory, vm: &Vm, stand: fleet::Stand, now: Now) -> StandRow {
    let (stand, until) = match stand {
        fleet::Stand::Applied => (Stand::Applied, None),
        fleet::Stand::Pending(end) => (Stand::Pending, Some(now.text(end))),
        fleet::Stand::Withheld => (Stand::Withheld, None),
        fleet::Stand::NoLease => (Stand::NoLease, None),
    };
    StandRow {
        row: filter_row(directory, vm, now),
        stand,
        until,
    }
}

fn departed_row(vm: &Vm, end: Instant, now: Now) -> DepartedRow {
    let facts = vm.facts();
    DepartedRow {
        filter: filter(vm),
        applied: facts.applied(),
        since: text(facts.since),
        until: now.text(end),
    }
}

fn nameless(survey: &Survey, now: Now) -> Option<Nameless> {
    survey.nameless.map(|(count, end)| Nameless {
        count,
        until: now.text(end),
    })
}
