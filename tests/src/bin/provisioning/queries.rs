//! Filters that find one user among many.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use scimesh_tests::sample::{Sample, ms};
use serde_json::Value;

use crate::creates::verdict;
use crate::service::Service;

/// At most, of each filter.
const QUERIES: usize = 1000;
/// For the median of an indexed filter.
const BUDGET: Duration = Duration::from_millis(5);

/// A filter for the user of a number.
struct Query {
    filter: fn(usize) -> String,
    /// Whether the budget is for it.
    indexed: bool,
}

const ALL: [Query; 6] = [
    Query {
        filter: |user| format!("userName eq \"ada.lovelace.{user:07}@corp.example\""),
        indexed: true,
    },
    Query {
        filter: |user| format!("externalId eq \"00u{user:017}\""),
        indexed: true,
    },
    Query {
        filter: |user| format!("emails.value eq \"ada.lovelace.{user:07}@home.example\""),
        indexed: true,
    },
    Query {
        filter: |user| format!("displayName eq \"Ada Lovelace {user}\""),
        indexed: true,
    },
    Query {
        filter: |user| {
            format!("emails[type eq \"work\" and value eq \"ada.lovelace.{user:07}@corp.example\"]")
        },
        indexed: false,
    },
    Query {
        filter: |user| format!("name.familyName eq \"Lovelace {user}\""),
        indexed: false,
    },
];

/// What one filter took.
pub(crate) struct Taken {
    shape: String,
    indexed: bool,
    sample: Sample,
}

/// Asks each filter for users whose numbers are below `users`, again and again, for `limit` at most.
pub(crate) fn ask(service: &Service, users: usize, limit: Duration) -> Result<Vec<Taken>> {
    let mut client = service.connect()?;
    let mut all = Vec::new();
    for query in &ALL {
        let start = Instant::now();
        let mut times = Vec::new();
        while times.is_empty() || times.len() < QUERIES && start.elapsed() < limit {
            let number = times.len() * 7919 % users;
            let path = format!("/Users?filter={}", encoded(&(query.filter)(number)));
            let answer = client.ask("GET", &path, "")?;
            let body: Value = serde_json::from_slice(&answer.body)?;
            let found = body.get("totalResults").and_then(Value::as_u64);
            ensure!(found == Some(1), "{path} finds {found:?}");
            times.push(answer.received - answer.sent);
        }
        let shape = (query.filter)(0);
        let (shape, _) = shape.rsplit_once("eq \"").context("a comparison")?;
        all.push(Taken {
            shape: format!("{shape}eq …"),
            indexed: query.indexed,
            sample: Sample::new(times),
        });
    }
    Ok(all)
}

/// Prints those of ours beside the peer's.
pub(crate) fn print(users: usize, ours: &[Taken], users_of_peer: usize, peer: &[Taken]) {
    println!("### GET /Users?filter=…: one user found, one connection\n");
    println!(
        "| {:<36} | queries | p50       | p99       | budget, p50      | the peer's p50 |",
        format!("of {users} users; the peer: of {users_of_peer}")
    );
    println!(
        "|:{:-<36}-|--------:|----------:|----------:|-----------------:|---------------:|",
        ""
    );
    for (own, other) in ours.iter().zip(peer) {
        let median = own.sample.percentile(50);
        let budget = match own.indexed {
            true => format!("{}: {}", ms(BUDGET), verdict(median <= BUDGET)),
            false => String::new(),
        };
        println!(
            "| {:<36} | {:>7} | {:>9} | {:>9} | {budget:>16} | {:>14} |",
            own.shape,
            own.sample.len(),
            ms(median),
            ms(own.sample.percentile(99)),
            ms(other.sample.percentile(50))
        );
    }
}

/// As a query's value (RFC 3986 section 3.4).
fn encoded(filter: &str) -> String {
    let mut text = String::new();
    for byte in filter.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
