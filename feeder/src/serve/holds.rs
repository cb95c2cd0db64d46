//! Ends the holds of names whose time has come.
//!
//! The directory has no clock: this task has. It goes by the wall clock, because holds go on over restarts. To be late is safe.

use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::directory::{Directory, Draft};
use crate::ledger::{Committed, Failed, Ledger};

/// Ended in one command at most, so that everybody else's writes wait no longer than for a large one of another kind.
const BATCH: usize = 1000;

/// The longest sleep: the wall clock may be set.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs until it is told to stop.
pub(super) async fn end_holds(ledger: Ledger, stop: CancellationToken) {
    loop {
        let mut pause = pause(&ledger.directory(), Timestamp::now());
        if pause.is_zero() && end(&ledger).await.is_err() {
            // The ledger has said why.
            pause = LONGEST;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => {}
        }
    }
}

/// How long nothing has to be done: zero if a hold is over.
fn pause(directory: &Directory, now: Timestamp) -> Duration {
    let next = match directory.next_hold_end() {
        Some(end) => end,
        None if directory.name_hold().is_zero() => return LONGEST,
        // A name that is lost from now on is held for longer than until then.
        None => directory.hold_end(now),
    };
    let pause = Duration::try_from(next.duration_since(now));
    pause.unwrap_or_default().min(LONGEST)
}

async fn end(ledger: &Ledger) -> Result<(), Failed<Infallible>> {
    let command = |draft: &mut Draft| {
        let before = draft.directory().revision();
        Ok((draft.end_holds(BATCH), before))
    };
    let Committed {
        value: (ended, before),
        revision,
    } = ledger.commit(command).await?;
    if ended > 0 {
        // Whether somebody is known by such a name from now on.
        let changed = revision > before;
        tracing::info!(ended, changed, revision, "holds of names ended");
    }
    Ok(())
}
