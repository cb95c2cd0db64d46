//! What changes of large groups cost: the writer, everybody else's writes, and the way of a revocation behind them.
//!
//! `cargo test --release --package scimesh-feeder --lib feed::bulk -- --ignored --nocapture`, with `USERS` and `MEMBERSHIPS` (of each user) in the
//! environment, and `DATA` for a directory that is kept, so that it is filled once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use scimesh_proto::binding::{Attribute, Binding, Source};
use scimesh_proto::scope::{Scope, Term};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::scope::{Scopes, Standing};
use crate::directory::{Attributes, Directory, Draft, MemberChange, Refused};
use crate::ledger::{Failed, Ledger};
use crate::metrics::CommitMetrics;
use crate::store::Store;

const TENANT: &str = "corp";
/// Members of the large group.
const LARGE: usize = 100_000;
/// Groups that everybody is spread over.
const TEAMS: usize = 2_000;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn attributes(value: serde_json::Value) -> Attributes {
    value.as_object().unwrap().clone()
}

fn user(number: usize, active: bool) -> Attributes {
    attributes(json!({
        "userName": format!("user{number:07}@example.com"),
        "externalId": format!("{:032x}", number as u128 * 0x9e37_79b9_7f4a_7c15),
        "displayName": format!("User {number}"),
        "name": {"givenName": "User", "familyName": format!("Number {number}")},
        "emails": [{"value": format!("user{number:07}@example.com"), "type": "work", "primary": true}],
        "active": active,
    }))
}

fn group(name: &str) -> Attributes {
    attributes(json!({ "displayName": name }))
}

fn user_id(number: usize) -> Uuid {
    Uuid::from_u128(1 << 100 | (number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn group_id(number: usize) -> Uuid {
    Uuid::from_u128(1 << 101 | number as u128)
}

/// Numbers of groups that are more than teams.
const OUTER: usize = 900_000;
const BIG: usize = 900_001;
const INNER: usize = 900_002;
const MANY: usize = 1_000_000;

async fn commit<T: Send + 'static>(
    ledger: &Ledger,
    command: impl FnOnce(&mut Draft) -> Result<T, Refused> + Send + 'static,
) -> T {
    let committed: Result<_, Failed<Refused>> = ledger.commit(command).await;
    committed.unwrap().value
}

async fn fill(ledger: &Ledger, users: usize, memberships: usize) {
    commit(ledger, |draft| {
        draft.create_tenant(TENANT)?;
        for (issuer, attribute) in [
            ("https://idp.example.com", Attribute::ExternalId),
            ("https://other.example.com", Attribute::UserName),
        ] {
            let source = Source::Token {
                issuer: issuer.to_owned(),
                claim: "sub".to_owned(),
                pin: None,
            };
            draft.set_binding(
                TENANT,
                Binding {
                    source,
                    attribute,
                    ignore_case: false,
                },
            )?;
        }
        Ok(())
    })
    .await;
    for from in (0..users).step_by(20_000) {
        let to = users.min(from + 20_000);
        commit(ledger, move |draft| {
            for number in from..to {
                draft.create_user(TENANT, user_id(number), user(number, true))?;
            }
            Ok(())
        })
        .await;
    }
    // Team t has every user of a row that begins at a place of its own.
    let size = users * memberships / TEAMS;
    for team in 0..TEAMS {
        commit(ledger, move |draft| {
            let start = team * 7919 * 31;
            let members: Vec<_> = (0..size).map(|n| user_id((start + n) % users)).collect();
            let name = group(&format!("team-{team}"));
            draft.create_group(TENANT, group_id(team), name, &members)?;
            Ok(())
        })
        .await;
    }
    commit(ledger, move |draft| {
        draft.create_group(TENANT, group_id(OUTER), group("outer"), &[])?;
        draft.create_group(TENANT, group_id(INNER), group("inner"), &[])?;
        let members: Vec<_> = (0..LARGE.min(users)).map(user_id).collect();
        draft.create_group(TENANT, group_id(BIG), group("big"), &members)?;
        Ok(())
    })
    .await;
}

fn scope(terms: &[&str], any_active: bool) -> Scope {
    let terms = terms.iter().map(|term| Term::parse(term).unwrap());
    Scope::new(TENANT, terms, any_active).unwrap()
}

fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib / 1024.0
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    let place = (times.len().max(1) - 1) * percent / 100;
    times.get(place).copied().unwrap_or_default()
}

/// Small writes one after the other, for as long as it is not told to stop; how long each took.
async fn write_others(ledger: Ledger, users: usize, stop: CancellationToken) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut round = 0;
    while !stop.is_cancelled() {
        let number = users - 1 - round % 1000;
        let title = format!("{round}");
        let start = Instant::now();
        commit(&ledger, move |draft| {
            let mut attributes = user(number, true);
            attributes.insert("title".to_owned(), title.into());
            draft.update_user(TENANT, user_id(number), attributes)
        })
        .await;
        times.push(start.elapsed());
        round += 1;
    }
    times
}

/// How late a task comes that wants to run every millisecond: the longest.
async fn tick(stop: CancellationToken) -> Duration {
    let mut latest = Duration::ZERO;
    while !stop.is_cancelled() {
        let start = Instant::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        latest = latest.max(start.elapsed());
    }
    latest
}

/// A filter that takes no time to apply what it is sent: when it has which revision.
async fn follow(
    mut standing: watch::Receiver<Option<Arc<Standing>>>,
    has: watch::Sender<(u64, usize)>,
) {
    let mut held = None;
    loop {
        let now = standing.borrow_and_update().clone();
        if let Some(now) = now {
            let messages = now.update(held).await;
            let bytes = messages.iter().map(prost::Message::encoded_len).sum();
            held = Some(now.revision());
            has.send_replace((now.revision(), bytes));
        }
        if standing.changed().await.is_err() {
            return;
        }
    }
}

/// What a scope's step over one change of a large group takes by itself, and the delta, in the processor's time.
async fn alone(directory: &Arc<Directory>) {
    let scope = scope(&["group:outer", "group:big", "group:bigger"], true);
    let mut standing = Arc::new(Standing::read(directory.clone(), scope, Arc::default()));
    type Change = fn(&mut Draft) -> Result<(), Refused>;
    let changes: [(&str, Change); 4] = [
        ("nest", |draft| {
            let big = MemberChange::Add(vec![group_id(BIG)]);
            draft
                .change_members(TENANT, group_id(OUTER), &[big])
                .map(drop)
        }),
        ("nest under another name", |draft| {
            draft
                .update_group(TENANT, group_id(OUTER), group("other"), &[])
                .map(drop)
        }),
        ("rename", |draft| {
            draft
                .update_group(TENANT, group_id(BIG), group("bigger"), &[])
                .map(drop)
        }),
        ("delete", |draft| draft.delete_group(TENANT, group_id(BIG))),
    ];
    for (name, change) in changes {
        let mut draft = Draft::new(&standing.directory, Timestamp::now());
        let start = used();
        change(&mut draft).unwrap();
        let made = draft.finish();
        let made_in = used() - start;
        let held = standing.revision();
        let start = used();
        let next = Arc::new(standing.advance(Arc::new(made.directory)));
        let advanced = used() - start;
        let start = Instant::now();
        let bytes: usize = next
            .update(Some(held))
            .await
            .iter()
            .map(prost::Message::encoded_len)
            .sum();
        println!(
            "{name}: made in {} ms, a scope's step in {} ms of the processor, encoded in {} ms, {bytes} bytes",
            ms(made_in),
            ms(advanced),
            ms(start.elapsed())
        );
        standing = next;
    }
}

/// Time that all threads of this process have had a processor.
fn used_by_all() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
    let ticks: u64 = fields[12..14]
        .iter()
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(10 * ticks)
}

/// Time that this thread has had a processor.
fn used() -> Duration {
    let time = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(time.split(' ').next().unwrap().parse().unwrap())
}

type Step = Box<dyn FnOnce(&mut Draft) -> Result<(), Refused> + Send>;

struct Bench {
    ledger: Ledger,
    users: usize,
    has: watch::Receiver<(u64, usize)>,
}

impl Bench {
    /// Runs the commands of one operation one after the other, beside small writes, and a revocation after the last.
    async fn measure(&self, name: &str, steps: Vec<Step>) {
        let stop = CancellationToken::new();
        let others = tokio::spawn(write_others(self.ledger.clone(), self.users, stop.clone()));
        let ticks = tokio::spawn(tick(stop.clone()));
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut has = self.has.clone();
        let count = steps.len();
        let start = Instant::now();
        for step in steps {
            commit(&self.ledger, step).await;
        }
        let committed = start.elapsed();
        let start = Instant::now();
        let number = 17;
        let active = |active| {
            move |draft: &mut Draft| {
                draft.update_user(TENANT, user_id(number), user(number, active))
            }
        };
        let revoked = self.ledger.commit(active(false)).await.unwrap().revision;
        let durable = start.elapsed();
        let start = Instant::now();
        let bytes = has.wait_for(|(held, _)| *held >= revoked).await.unwrap().1;
        let reached = start.elapsed();
        tokio::time::sleep(Duration::from_millis(200)).await;
        stop.cancel();
        let mut others = others.await.unwrap();
        let ticks = ticks.await.unwrap();
        commit(&self.ledger, active(true)).await;
        println!(
            "| {name:<44} | {:>9} | {:>7} | {:>7} | {:>9} | {:>9} | {:>9} | {:>7} |",
            ms(committed / count as u32),
            ms(percentile(&mut others, 50)),
            ms(percentile(&mut others, 100)),
            ms(durable),
            ms(reached),
            bytes,
            ms(ticks),
        );
    }
}

fn step(command: impl FnOnce(&mut Draft) -> Result<(), Refused> + Send + 'static) -> Vec<Step> {
    vec![Box::new(command)]
}

fn members(group: usize, change: MemberChange) -> Step {
    Box::new(move |draft| {
        draft
            .change_members(TENANT, group_id(group), &[change])
            .map(drop)
    })
}

#[test]
#[ignore = "a measurement of minutes"]
fn what_changes_of_large_groups_cost() {
    let (users, memberships) = (number("USERS", 200_000), number("MEMBERSHIPS", 5));
    let kept = std::env::var("DATA").map(PathBuf::from);
    let dir = tempfile::tempdir().unwrap();
    let data = kept.unwrap_or_else(|_| dir.path().to_owned());
    std::fs::create_dir_all(&data).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (store, directory) = Store::open(&data).unwrap();
        let empty = directory.tenant(TENANT).is_none();
        let (ledger, mut writer) =
            Ledger::start(store, directory, CommitMetrics::default()).unwrap();
        if empty {
            let start = Instant::now();
            fill(&ledger, users, memberships).await;
            println!("filled in {:.1} s", start.elapsed().as_secs_f64());
            drop(ledger);
            writer.ended().await;
        } else {
            drop(ledger);
            writer.ended().await;
        }
        let before = resident();
        let (start, used) = (Instant::now(), used_by_all());
        let (store, directory) = Store::open(&data).unwrap();
        let tenant = directory.tenant(TENANT).unwrap();
        println!(
            "{} users, {} groups, {} memberships: read in {:.2} s ({:.2} s of processors), {:.0} MiB resident ({before:.0} before)",
            tenant.user_count(),
            tenant.group_count(),
            tenant.membership_count(),
            start.elapsed().as_secs_f64(),
            (used_by_all() - used).as_secs_f64(),
            resident()
        );
        let directory = Arc::new(directory);
        for (name, scope) in [
            ("2 terms", scope(&["group:outer", "group:big"], false)),
            ("16 teams, everybody", scope(&TEAMS16, true)),
        ] {
            let (start, used) = (Instant::now(), used_by_all());
            let standing = Arc::new(Standing::read(directory.clone(), scope, Arc::default()));
            let read = start.elapsed();
            let start = Instant::now();
            let bytes: usize = standing.update(None).await.iter().map(prost::Message::encoded_len).sum();
            println!(
                "scope of {name}: {} entries read in {} ms, encoded in {} ms, {} ms of processors, {bytes} bytes, {:.0} MiB resident",
                standing.entries(), ms(read), ms(start.elapsed()), ms(used_by_all() - used), resident()
            );
        }
        alone(&directory).await;
        let directory = Arc::into_inner(directory).unwrap();
        let (ledger, mut writer) =
            Ledger::start(store, directory, CommitMetrics::default()).unwrap();
        let scopes = Scopes::default();
        let feed = scopes.follow(&ledger, &scope(&["group:outer", "group:big", "group:bigger", "group:team-1"], true));
        let idle: Vec<_> = (0..number("SCOPES", 0))
            .map(|n| scopes.follow(&ledger, &scope(&["group:outer", &format!("group:team-{n}")], true)))
            .collect();
        let (send, has) = watch::channel((0, 0));
        let follower = tokio::spawn(follow(feed.watch(), send));
        for feed in &idle {
            feed.watch().wait_for(Option::is_some).await.unwrap();
        }
        has.clone().wait_for(|(held, _)| *held > 0).await.unwrap();
        println!(
            "\n| {:<44} | {:>9} | {:>7} | {:>7} | {:>9} | {:>9} | {:>9} | {:>7} |",
            "ms", "command", "others", "max", "revoked", "reaches", "bytes", "tick"
        );
        let bench = Bench { ledger, users, has };
        bench.measure("(nothing)", step(|draft| {
            draft.change_members(TENANT, group_id(OUTER), &[]).map(drop)
        })).await;
        let big = || vec![group_id(BIG)];
        bench.measure("nest", vec![members(OUTER, MemberChange::Add(big()))]).await;
        bench.measure("take out", vec![members(OUTER, MemberChange::Remove(big()))]).await;
        bench.measure("nest and take out, each once, three times", (0..3).flat_map(|_| [
            members(OUTER, MemberChange::Add(big())),
            members(OUTER, MemberChange::Remove(big())),
        ]).collect()).await;
        for name in ["bigger", "elsewhere", "big"] {
            bench.measure(&format!("rename to {name}"), step(move |draft| {
                draft.update_group(TENANT, group_id(BIG), group(name), &[]).map(drop)
            })).await;
        }
        // Through a chain of ten.
        bench.measure("a chain of ten above", (0..10).map(|n| -> Step { Box::new(move |draft| {
            let below = if n == 0 { group_id(BIG) } else { group_id(MANY + n - 1) };
            draft.create_group(TENANT, group_id(MANY + n), group(&format!("chain-{n}")), &[below]).map(drop)
        })}).collect()).await;
        bench.measure("nest the chain", vec![members(OUTER, MemberChange::Add(vec![group_id(MANY + 9)]))]).await;
        bench.measure("delete the chain's top", step(|draft| draft.delete_group(TENANT, group_id(MANY + 9)))).await;
        for n in 0..9 {
            commit(&bench.ledger, move |draft| draft.delete_group(TENANT, group_id(MANY + n))).await;
        }
        bench.measure("500 groups of 1 added one by one to one", (0..500).map(|n| -> Step { Box::new(move |draft| {
            draft.create_group(TENANT, group_id(MANY + n), group(&format!("many-{n}")), &[user_id(n)])?;
            draft.change_members(TENANT, group_id(INNER), &[MemberChange::Add(vec![group_id(MANY + n)])]).map(drop)
        })}).collect()).await;
        bench.measure("a user into 500 groups", step(|draft| {
            for n in 0..500 {
                draft.change_members(TENANT, group_id(MANY + n), &[MemberChange::Add(vec![user_id(1000)])])?;
            }
            Ok(())
        })).await;
        bench.measure("deletes that user, and creates it again", step(|draft| {
            draft.delete_user(TENANT, user_id(1000))?;
            draft.create_user(TENANT, user_id(1000), user(1000, true)).map(drop)
        })).await;
        for n in 0..500 {
            commit(&bench.ledger, move |draft| draft.delete_group(TENANT, group_id(MANY + n))).await;
        }
        bench.measure("PUT without the members", vec![members(BIG, MemberChange::Set(vec![]))]).await;
        let all = || (0..LARGE.min(users)).map(user_id).collect::<Vec<_>>();
        bench.measure("PUT with 100,000 members", vec![members(BIG, MemberChange::Set(all()))]).await;
        bench.measure("PUT with the same again", vec![members(BIG, MemberChange::Set(all()))]).await;
        bench.measure("nest, to delete", vec![members(OUTER, MemberChange::Add(big()))]).await;
        bench.measure("delete", step(|draft| draft.delete_group(TENANT, group_id(BIG)))).await;
        bench.measure("create with 100,000 members", step(move |draft| {
            let members: Vec<_> = (0..LARGE.min(users)).map(user_id).collect();
            draft.create_group(TENANT, group_id(BIG), group("big"), &members).map(drop)
        })).await;
        println!("{:.0} MiB resident", resident());
        drop((feed, idle));
        follower.await.unwrap();
        drop(bench);
        writer.ended().await;
    });
}

const TEAMS16: [&str; 16] = [
    "group:team-0",
    "group:team-1",
    "group:team-2",
    "group:team-3",
    "group:team-4",
    "group:team-5",
    "group:team-6",
    "group:team-7",
    "group:team-8",
    "group:team-9",
    "group:team-10",
    "group:team-11",
    "group:team-12",
    "group:team-13",
    "group:outer",
    "group:big",
];
