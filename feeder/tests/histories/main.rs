//! Random histories of SCIM requests, answered by the real server and by a naive model of one, which has to agree with it in everything.
//!
//! The model ([`service`]) is written from RFC 7643 and RFC 7644: plain lists, everything looked at from end to end, filters evaluated as trees over
//! JSON. It shares no code with the server. `HISTORIES=n` plays that many others; what fails prints the shortest history that was found to fail, and a
//! `HISTORY=…` that plays it again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

mod attributes;
mod bulk;
mod document;
mod filter;
mod generate;
mod history;
mod list;
mod meta;
mod nesting;
mod render;
mod request;
mod server;
mod service;
mod sort;
mod step;
mod value;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use step::Step;

/// Histories if nobody says how many.
const HISTORIES: u64 = 2000;
/// Shorter histories that are tried at most after one has failed.
const SHRINKS: usize = 2000;

#[test]
fn the_server_does_what_the_model_does() {
    if let Ok(number) = env::var("HISTORY") {
        return fail(check(number.parse().unwrap()));
    }
    // The same each time unless somebody asks for more: whoever changes nothing breaks nothing.
    let (first, wanted) = match env::var("HISTORIES") {
        Ok(number) => (rand::random::<u64>() >> 16, number.parse().unwrap()),
        Err(_) => (1, HISTORIES),
    };
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let failures = Mutex::new(Vec::new());
    let play = || {
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= wanted {
                return;
            }
            if let Some(failure) = check(first + index) {
                stop.store(true, Ordering::Relaxed);
                failures.lock().unwrap().push(failure);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(2, usize::from) * 2;
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(play);
        }
    });
    fail(failures.into_inner().unwrap().pop());
}

fn fail(failure: Option<String>) {
    if let Some(failure) = failure {
        panic!("{failure}");
    }
}

/// Plays the history of this number. If it fails, gives the shortest one that does.
fn check(number: u64) -> Option<String> {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut tree = generate::history().new_tree(&mut runner).unwrap();
    let Err(mut shortest) = play(&tree.current()) else {
        return None;
    };
    for _ in 0..SHRINKS {
        let shorter = play(&tree.current());
        let moved = match shorter {
            Err(failure) => {
                shortest = failure;
                tree.simplify()
            }
            Ok(()) => tree.complicate(),
        };
        if !moved {
            break;
        }
    }
    Some(format!("HISTORY={number}:\n{shortest}"))
}

fn play(steps: &[Step]) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let play = || runtime.unwrap().block_on(history::play(steps));
    match catch_unwind(AssertUnwindSafe(play)) {
        Ok(result) => result,
        Err(_) => Err(format!("a panic in {steps:?}")),
    }
}
