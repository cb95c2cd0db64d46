//! The company that is pushed, the model that it is held against, and the time of its backup: one lock, so that the feeder
//! and the model are at the same change whenever somebody holds it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use scimesh_tests::load::churn::Churn;
use scimesh_tests::load::idp::{Idp, Ids};
use scimesh_tests::load::staff::Staff;
use tokio::sync::{Mutex, MutexGuard};

/// For one change, while the feeder is away.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is pushed, and by whom.
pub(crate) struct Company {
    pub(crate) staff: Staff,
    idp: Idp,
    churn: Churn,
}

/// A company at the time of a backup.
pub(crate) struct Past {
    staff: Staff,
    ids: Ids,
}

impl Company {
    pub(crate) fn past(&self) -> Past {
        Past {
            staff: self.staff.clone(),
            ids: self.idp.ids(),
        }
    }

    /// The feeder's database is that of another time.
    pub(crate) fn restore(&mut self, past: Past) {
        self.idp.restore(&past.ids);
        self.staff = past.staff;
    }

    fn change(&mut self) -> Result<()> {
        let change = self.churn.next(&self.staff);
        self.idp.push_through(&change, PATIENCE)?;
        self.staff.apply(&change)
    }
}

/// Pushes changes without an end, until it is dropped.
pub(crate) struct Pushing {
    company: Arc<Mutex<Company>>,
    stop: Arc<AtomicBool>,
    pushed: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Pushing {
    /// Begins, with so many changes a second.
    pub(crate) fn start(
        staff: Staff,
        scim: SocketAddr,
        token: &str,
        rate: u32,
        seed: u64,
    ) -> Result<Pushing> {
        let company = Arc::new(Mutex::new(Company {
            staff,
            idp: Idp::new(scim, token),
            churn: Churn::new(seed),
        }));
        let (stop, pushed) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let shared = (company.clone(), stop.clone(), pushed.clone());
        let thread = thread::Builder::new().name("pushing".into());
        let thread = thread.spawn(move || {
            let (company, stop, pushed) = shared;
            let pause = Duration::from_secs(1) / rate.max(1);
            let mut due = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                // What was missed while the feeder was away is not made up for.
                due = due.max(Instant::now()) + pause;
                company.blocking_lock().change()?;
                pushed.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        })?;
        Ok(Pushing {
            company,
            stop,
            pushed,
            thread: Some(thread),
        })
    }

    /// Nothing is pushed while this is held. Not to be asked for while the feeder is away: a push would wait for it.
    pub(crate) async fn pause(&self) -> MutexGuard<'_, Company> {
        self.company.lock().await
    }

    /// How many changes were made.
    pub(crate) fn pushed(&self) -> u64 {
        self.pushed.load(Ordering::Relaxed)
    }

    /// Fails if it could not go on.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.thread.take_if(|thread| thread.is_finished()) {
            Some(thread) => ended(thread),
            None => Ok(()),
        }
    }

    /// The last change was pushed, which takes the feeder.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map_or(Ok(()), ended)
    }
}

impl Drop for Pushing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Only `check` tells what it had to say.
            let _ = thread.join();
        }
    }
}

fn ended(thread: JoinHandle<Result<()>>) -> Result<()> {
    let ended = thread.join().map_err(|_| anyhow!("it panicked"));
    ended.and_then(|ended| ended).context("pushing")
}
