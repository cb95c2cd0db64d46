//! Many connections at once, each on a thread of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::service::{Service, user};

/// What was created, and how quickly.
#[derive(Debug, Default)]
pub(crate) struct Created {
    /// The ids, in no order.
    pub(crate) ids: Vec<String>,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
}

impl Created {
    /// Users created in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.ids.len() as f64 / self.took.as_secs_f64()
    }
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// After that time.
    Elapsed(Duration),
    /// When this many users are there, counted from the first ever.
    Count(usize),
}

/// Creates users on `connections` connections, in the order of the numbers that `next` gives.
pub(crate) fn create(
    service: &Service,
    connections: usize,
    next: &AtomicUsize,
    until: Until,
) -> Result<Created> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(service.connect()?);
    }
    let start = Instant::now();
    let lanes: Vec<Result<Vec<String>>> = thread::scope(|scope| {
        let lanes: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                scope.spawn(move || {
                    let mut ids = Vec::new();
                    loop {
                        let number = match until {
                            Until::Elapsed(time) if start.elapsed() >= time => break,
                            Until::Elapsed(_) => next.fetch_add(1, Ordering::Relaxed),
                            Until::Count(count) => {
                                let number = next.fetch_add(1, Ordering::Relaxed);
                                if number >= count {
                                    break;
                                }
                                number
                            }
                        };
                        ids.push(client.create("/Users", &user(number))?);
                    }
                    Ok(ids)
                })
            })
            .collect();
        lanes
            .into_iter()
            .map(|lane| {
                lane.join()
                    .unwrap_or_else(|_| Err(anyhow!("a lane panicked")))
            })
            .collect()
    });
    let took = start.elapsed();
    let mut created = Created {
        ids: Vec::new(),
        took,
    };
    for ids in lanes {
        created.ids.extend(ids?);
    }
    Ok(created)
}
