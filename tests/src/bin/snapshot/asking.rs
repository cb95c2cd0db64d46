//! Clients that ask all the time, and how long each answer took.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use scimesh_tests::envoy::Envoy;
use scimesh_tests::sample::Sample;
use scimesh_tests::wire::Connection;

/// Connections, over two workers.
const LANES: usize = 8;
/// Pause of each after an answer: the proxy is kept busy, not saturated.
const PAUSE: Duration = Duration::from_millis(1);

/// When a request was sent, and how long its answer took.
type Answer = (Instant, Duration);

/// Running clients; they end when this is dropped.
pub(crate) struct Asking {
    stop: Arc<AtomicBool>,
    lanes: Vec<JoinHandle<Result<Vec<Answer>>>>,
}

impl Asking {
    /// Begins; each connection repeats one of these requests, and every answer has to be a 200.
    pub(crate) fn start(envoy: &Envoy, requests: &[Vec<u8>]) -> Result<Asking> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut lanes = Vec::new();
        for request in requests.iter().cycle().take(LANES) {
            let mut connection = Connection::open(envoy.address())?;
            let (request, stop) = (request.clone(), stop.clone());
            let lane = thread::Builder::new().name("asking".into());
            lanes.push(lane.spawn(move || {
                let mut answers = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let sent = connection.send(&request)?;
                    let answer = connection.receive(sent)?;
                    ensure!(answer.status == 200, "answered {}", answer.status);
                    answers.push((sent, answer.received - sent));
                    thread::sleep(PAUSE);
                }
                Ok(answers)
            })?);
        }
        Ok(Asking { stop, lanes })
    }

    /// Ends them; gives what each request took that was sent within this time.
    pub(crate) fn end(mut self, from: Instant, to: Instant) -> Result<Sample> {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = Vec::new();
        for lane in std::mem::take(&mut self.lanes) {
            let answers = lane.join().map_err(|_| anyhow!("a client panicked"))?;
            let answers = answers.context("a client")?.into_iter();
            let within = answers.filter(|(sent, _)| (from..to).contains(sent));
            times.extend(within.map(|(_, took)| took));
        }
        Ok(Sample::new(times))
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for lane in self.lanes.drain(..) {
            // What it had to say nobody asks any more.
            let _ = lane.join();
        }
    }
}

/// The processor time of one request, of all of Envoy's threads, over so many.
pub(crate) fn cpu(envoy: &mut Envoy, requests: &[Vec<u8>], count: usize) -> Result<Duration> {
    let mut lanes = Vec::new();
    for _ in 0..LANES {
        lanes.push(Connection::open(envoy.address())?);
    }
    let mut next = requests.iter().cycle();
    let before = envoy.process().cpu_time()?;
    for _ in 0..count.div_ceil(LANES) {
        let mut sent = Vec::with_capacity(LANES);
        for lane in &mut lanes {
            sent.push(lane.send(next.next().context("a request")?)?);
        }
        for (lane, sent) in lanes.iter_mut().zip(sent) {
            let answer = lane.receive(sent)?;
            ensure!(answer.status == 200, "answered {}", answer.status);
        }
    }
    let taken = envoy.process().cpu_time()?.saturating_sub(before);
    Ok(taken / u32::try_from(count.div_ceil(LANES) * LANES)?)
}
