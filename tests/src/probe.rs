//! Asks the proxy the same thing over and over, on connections to every worker, and notes when the answer changed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::envoy::{Envoy, WORKERS};
use crate::eventually::eventually;
use crate::wire::Connection;

/// Pause between an answer and the next request of a connection: the proxy is kept busy, not saturated.
const PAUSE: Duration = Duration::from_micros(250);
/// Equal answers in a row, on each connection, after which a change counts as complete.
const SETTLED: usize = 3;
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// Who asks.
    pub token: String,
}

/// A running probe; it ends when it is dropped.
pub struct Probe {
    lanes: Vec<Lane>,
    stop: Arc<AtomicBool>,
}

struct Lane {
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

/// What one connection was told.
#[derive(Default)]
struct Seen {
    status: u16,
    in_a_row: usize,
    last_answer: Option<Instant>,
    last_other: Option<Instant>,
    failure: Option<String>,
}

impl Probe {
    /// Opens `each` connections a worker, so that every worker has at least half of that, and begins to ask.
    pub async fn start(envoy: &Envoy, question: &Question, each: usize) -> Result<Probe> {
        let count = each * WORKERS;
        let others = others(envoy).await?;
        for _ in 0..50 {
            let stop = Arc::new(AtomicBool::new(false));
            let lanes = (0..count)
                .map(|_| lane(envoy, question, stop.clone()))
                .collect::<Result<_>>()?;
            let mut probe = Probe { lanes, stop };
            // The kernel spreads connections by chance: see where they went, and try again if it was one-sided.
            let spread = open_connections(envoy, others + count as u64).await?;
            if spread.iter().all(|open| *open >= each.div_ceil(2) as u64) {
                return Ok(probe);
            }
            probe.end();
            open_connections(envoy, others).await?;
        }
        bail!("the kernel gives all connections to one worker")
    }

    /// Waits until every connection is answered `status`; gives the time from `change` to the arrival of the last
    /// answer that was another. That is never less than the time to the last other *decision*; zero when no such
    /// answer arrived after `change`.
    pub async fn settled(&self, status: u16, change: Instant) -> Result<Duration> {
        let start = Instant::now();
        let mut last = Duration::ZERO;
        for lane in &self.lanes {
            loop {
                {
                    let seen = lane.seen.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(failure) = &seen.failure {
                        bail!("probe: {failure}");
                    }
                    if seen.status == status && seen.in_a_row >= SETTLED {
                        let other = seen.last_other.unwrap_or(change);
                        last = last.max(other.saturating_duration_since(change));
                        break;
                    }
                    ensure!(
                        start.elapsed() < Duration::from_secs(30),
                        "waited 30 s in vain for status {status}; it is {}",
                        seen.status
                    );
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(last)
    }

    /// Whether every connection was last answered `status`.
    pub fn answers(&self, status: u16) -> Result<bool> {
        for lane in &self.lanes {
            let seen = lane.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(failure) = &seen.failure {
                bail!("probe: {failure}");
            }
            if seen.status != status {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for lane in &mut self.lanes {
            if let Some(thread) = lane.thread.take() {
                // A thread that panicked has told so on standard error.
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.end();
    }
}

fn lane(envoy: &Envoy, question: &Question, stop: Arc<AtomicBool>) -> Result<Lane> {
    let mut connection = Connection::open(envoy.address())?;
    let question = question.clone();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let shared = seen.clone();
    let thread = thread::Builder::new()
        .name("probe".into())
        .spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let answer =
                    connection.exchange(question.method, question.path, &question.token, "");
                let mut seen = shared.lock().unwrap_or_else(PoisonError::into_inner);
                match answer {
                    Ok(answer) => {
                        if answer.status == seen.status {
                            seen.in_a_row += 1;
                        } else {
                            seen.last_other = seen.last_answer;
                            seen.status = answer.status;
                            seen.in_a_row = 1;
                        }
                        seen.last_answer = Some(answer.received);
                    }
                    Err(error) => {
                        seen.failure = Some(format!("{error:#}"));
                        return;
                    }
                }
                drop(seen);
                thread::sleep(PAUSE);
            }
        })
        .context("a thread")?;
    Ok(Lane {
        seen,
        thread: Some(thread),
    })
}

/// Waits until `total` connections are open; gives each worker's.
async fn open_connections(envoy: &Envoy, total: u64) -> Result<Vec<u64>> {
    eventually("Envoy to count its connections", PATIENCE, async || {
        let open = connections(envoy).await?;
        let sum: u64 = open.iter().sum();
        ensure!(sum == total, "{sum} connections instead of {total}");
        Ok(open)
    })
    .await
}

/// How many are open for others: what has just been closed may still be counted.
async fn others(envoy: &Envoy) -> Result<u64> {
    let mut last = None;
    eventually("Envoy's connections to be counted", PATIENCE, async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let open = connections(envoy).await?.iter().sum();
        let before = last.replace(open);
        ensure!(before == Some(open), "{before:?} connections, then {open}");
        Ok(open)
    })
    .await
}

async fn connections(envoy: &Envoy) -> Result<Vec<u64>> {
    let mut open = Vec::new();
    for worker in 0..WORKERS {
        let name = format!("worker_{worker}.downstream_cx_active");
        open.push(envoy.stat(&name).await?);
    }
    Ok(open)
}
