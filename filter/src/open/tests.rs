use std::collections::BTreeMap;

use proptest::prelude::*;
use scimesh_engine::{Claim, Claims, Connection, Decision, Policy, Request as Asked, decide};
use scimesh_proto::binding::{Attribute, Binding, Source};
use scimesh_proto::digest::Key;
use scimesh_proto::position::{History, Position, Proof};
use scimesh_proto::snapshot::{TermSet, TermState};

use super::*;
use crate::vm::Vm;

const GROUPS: [&str; 2] = ["a", "b"];

fn at(milliseconds: u64) -> Moment {
    Moment {
        monotonic: Duration::from_millis(milliseconds),
        wall: Duration::from_millis(1_800_000_000_000 + milliseconds),
    }
}

fn renewed(milliseconds: u64) -> Lease {
    let mut lease = Lease::default();
    lease.renew(at(milliseconds));
    lease
}

/// `/a` is for the group a, `/b` for b, `/c` for whoever is in a and not in b; b's rule is the strictest.
fn policy() -> Policy {
    let rule = |name: &str, require: serde_json::Value| {
        serde_json::json!({
            "name": name, "to": [{ "paths": [format!("/{name}")] }], "require": require,
            "maxStaleness": if name == "b" { "20s" } else { "60s" },
        })
    };
    let document = serde_json::json!({
        "tenant": "corp", "feed": { "cluster": "feed" }, "maxStaleness": "60s",
        "rules": [
            rule("a", serde_json::json!({ "anyOf": ["group:a"] })),
            rule("b", serde_json::json!({ "anyOf": ["group:b"] })),
            rule("c", serde_json::json!({ "anyOf": ["group:a"], "noneOf": ["group:b"] })),
        ],
    });
    Policy::parse(document.to_string().as_bytes()).unwrap()
}

/// A token of `sub`, which expires then.
struct Token {
    sub: usize,
    exp: Option<Duration>,
}

impl Claims for Token {
    fn claim(&self, name: &str) -> Claim {
        match name {
            "iss" => Claim::Text(b"https://idp".to_vec()),
            "sub" => Claim::Text(format!("user-{}", self.sub).into_bytes()),
            "exp" => match self.exp {
                Some(exp) => Claim::Number(exp.as_secs_f64()),
                None => Claim::Absent,
            },
            _ => Claim::Absent,
        }
    }
}

struct Plain;

impl Connection for Plain {
    fn local_port(&self) -> Option<u16> {
        None
    }

    fn peer(&self) -> Option<Vec<u8>> {
        None
    }
}

/// What the directory says, told plainly.
#[derive(Debug, Clone)]
struct Directory {
    key: u8,
    states: [TermState; 2],
    /// By user, by group.
    members: Vec<[bool; 2]>,
}

impl Directory {
    fn of(users: usize) -> Directory {
        Directory {
            key: 1,
            states: [TermState::Found; 2],
            members: vec![[true, true]; users],
        }
    }

    fn snapshot(&self, policy: &Policy) -> Snapshot {
        let position = Position {
            history: History {
                generation: 1,
                id: [1; 16],
            },
            revision: 1,
            proof: Proof([0; 16]),
        };
        let binding = Binding {
            source: Source::Token {
                issuer: "https://idp".to_owned(),
                claim: "sub".to_owned(),
                pin: None,
                groups: None,
            },
            attribute: Attribute::ExternalId,
            ignore_case: false,
        };
        let scope = policy.scope().clone();
        let key = Key::new([self.key; 32]);
        let states = self.states.to_vec();
        let mut snapshot = Snapshot::new(scope, position, key, vec![binding.clone()], states);
        for (user, member) in self.members.iter().enumerate() {
            let held = (0..GROUPS.len()).filter(|group| member[*group]);
            let held = TermSet::from_indices(held);
            if !held.is_empty() {
                let name = format!("user-{user}");
                let subject = snapshot.subject(&binding, name.as_bytes());
                snapshot.insert(subject, held).unwrap();
            }
        }
        snapshot
    }
}

/// A VM's open requests, their directory, and what is known of them otherwise.
struct World {
    open: Open,
    plugin: Rc<Plugin>,
    directory: Directory,
    snapshot: Snapshot,
    now: u64,
    next: u32,
    /// By context: the user, the path and the token's end.
    model: BTreeMap<u32, (usize, usize, Option<Duration>)>,
}

const PATHS: [&str; 3] = ["/a", "/b", "/c"];

impl World {
    fn new(users: usize) -> World {
        let directory = Directory::of(users);
        let plugin = Vm::default().join(1, policy(), at(0));
        World {
            open: Open::default(),
            snapshot: directory.snapshot(&plugin.policy),
            plugin,
            directory,
            now: 0,
            next: 1,
            model: BTreeMap::new(),
        }
    }

    fn decide(&self, user: usize, path: usize) -> Decision {
        let token = Token {
            sub: user,
            exp: None,
        };
        let request = Asked {
            method: b"GET",
            path: Some(PATHS[path].as_bytes()),
            host: b"service",
            connection: &Plain,
            token: Some(&token),
        };
        let (lease, now) = (renewed(self.now), at(self.now));
        decide(
            &self.plugin.policy,
            Some(&self.snapshot),
            &lease,
            &request,
            now,
        )
    }

    /// A request comes; it is open if it is allowed.
    fn admit(&mut self, user: usize, path: usize, lasts: Option<u64>) -> Option<u32> {
        let decision = self.decide(user, path);
        let grant = Grant::of(&self.plugin.policy, Some(&self.snapshot), decision)?;
        let context = self.next;
        self.next += 1;
        let now = at(self.now);
        let plugin = self.plugin.clone();
        self.open.admit(context, plugin, grant, false, now);
        // As near to that as a token's number can say.
        let exp = lasts.map(|lasts| at(self.now + lasts).wall.as_secs_f64());
        let exp = exp.map(Duration::from_secs_f64);
        self.model.insert(context, (user, path, exp));
        Some(context)
    }

    fn end(&mut self, context: u32) {
        self.open.end(context);
        self.model.remove(&context);
    }

    /// The directory has another content for this user alone.
    fn change(&mut self, user: usize, member: [bool; 2]) {
        self.directory.members[user] = member;
        self.snapshot = self.replaced();
        let binding = &self.snapshot.bindings()[0];
        let name = format!("user-{user}");
        let subject = self.snapshot.subject(binding, name.as_bytes());
        self.open.touched(&Touched::Subjects(vec![subject]));
    }

    fn change_all(&mut self) {
        self.snapshot = self.replaced();
        self.open.touched(&Touched::All);
    }

    fn replaced(&self) -> Snapshot {
        self.directory.snapshot(&self.plugin.policy)
    }

    /// One tick, and as many more as that asks for.
    fn ticks(&mut self, lease: &Lease) -> Vec<(u32, Reason)> {
        let mut cut = Vec::new();
        loop {
            let now = at(self.now);
            self.open.tick(lease, Duration::from_secs(20), now);
            for context in self.open.unread() {
                let (sub, _, exp) = self.model[&context];
                self.open.read(context, Some(&Token { sub, exp }), now);
            }
            let some = self.open.cut(Some(&self.snapshot));
            assert!(some.len() <= CUTS);
            cut.extend(some.iter().map(|cut| (cut.context, cut.reason)));
            if !self.open.is_busy() {
                cut.sort_by_key(|(context, _)| *context);
                return cut;
            }
        }
    }

    /// Those that would be refused now, as the engine says.
    fn refused(&self) -> Vec<(u32, Reason)> {
        let now = at(self.now).wall;
        let refused = self
            .model
            .iter()
            .filter_map(|(context, (user, path, exp))| {
                let reason = self.decide(*user, *path).reason;
                match exp {
                    _ if !reason.allows() => Some((*context, reason)),
                    Some(exp) if now >= *exp => Some((*context, Reason::TokenExpired)),
                    _ => None,
                }
            });
        refused.collect()
    }
}

#[derive(Debug, Clone)]
enum Event {
    Admit(usize, usize, Option<u64>),
    End(usize),
    Change(usize, [bool; 2]),
    Rename(usize, u8),
    Rekey(u8),
    Pass(u64),
    Settle,
}

const USERS: usize = 4;

fn events() -> impl Strategy<Value = Vec<Event>> {
    let lasts = prop::option::weighted(0.3, 1u64..3000);
    let event = prop_oneof![
        6 => (0..USERS, 0..PATHS.len(), lasts).prop_map(|(u, p, l)| Event::Admit(u, p, l)),
        2 => (0usize..50).prop_map(Event::End),
        4 => (0..USERS, any::<[bool; 2]>()).prop_map(|(u, m)| Event::Change(u, m)),
        1 => (0..2usize, 0u8..3).prop_map(|(g, s)| Event::Rename(g, s)),
        1 => (1u8..4).prop_map(Event::Rekey),
        2 => (1u64..2000).prop_map(Event::Pass),
        4 => Just(Event::Settle),
    ];
    prop::collection::vec(event, 1..80)
}

proptest! {
    /// Whatever happened in between, in a tick or between two: those that would be refused now end, for that reason, and no others.
    #[test]
    fn those_end_that_would_be_refused_and_nobody_else(events in events()) {
        let mut world = World::new(USERS);
        for event in events.into_iter().chain([Event::Settle]) {
            match event {
                Event::Admit(user, path, lasts) => { world.admit(user, path, lasts); }
                Event::End(place) => {
                    let context = world.model.keys().nth(place).copied();
                    context.into_iter().for_each(|context| world.end(context));
                }
                Event::Change(user, member) => world.change(user, member),
                Event::Rename(group, state) => {
                    let states = [TermState::Found, TermState::Missing, TermState::Ambiguous];
                    world.directory.states[group] = states[usize::from(state)];
                    world.change_all();
                }
                Event::Rekey(key) => {
                    world.directory.key = key;
                    world.change_all();
                }
                Event::Pass(time) => world.now += time,
                Event::Settle => {
                    // What came and went between two ticks was not looked at: who is back is not cut.
                    let refused = world.refused();
                    let cut = world.ticks(&renewed(world.now));
                    let contexts = |list: &[(u32, Reason)]| list.iter().map(|(c, _)| *c).collect::<Vec<_>>();
                    prop_assert_eq!(contexts(&cut), contexts(&refused));
                    for ((context, reason), (_, refused)) in cut.iter().zip(&refused) {
                        // A token may have ended as well.
                        prop_assert!(reason == refused || *reason == Reason::TokenExpired, "{} {}", reason, refused);
                        world.model.remove(context);
                    }
                    prop_assert_eq!(world.open.len(), world.model.len());
                    prop_assert_eq!(world.open.subjects.len(), world.model.len());
                    prop_assert_eq!(world.open.by_wall.len(), world.open.by_monotonic.len());
                    prop_assert!(world.open.by_wall.len() <= world.model.len());
                }
            }
        }
    }
}

#[test]
fn what_ended_leaves_nothing_behind() {
    let mut world = World::new(1);
    for ticked in [false, true] {
        for _ in 0..100 {
            let context = world.admit(0, 0, Some(1000)).unwrap();
            if ticked {
                assert!(world.ticks(&renewed(0)).is_empty());
            }
            world.end(context);
        }
        assert!(world.ticks(&renewed(0)).is_empty());
        let open = &world.open;
        assert!(open.requests.is_empty() && open.fresh.is_empty() && open.subjects.is_empty());
        assert!(open.by_wall.is_empty() && open.by_monotonic.is_empty());
        assert!(!open.is_busy());
    }
}

#[test]
fn many_are_asked_and_ended_a_few_at_a_time() {
    let mut world = World::new(1);
    for _ in 0..5000 {
        world.admit(0, 0, None).unwrap();
    }
    world.change(0, [false, true]);
    assert_eq!(world.open.cut(Some(&world.snapshot)).len(), CUTS);
    assert!(world.open.asked.len() >= 5000 - ASKED);
    assert!(world.open.is_busy());
    assert_eq!(world.ticks(&renewed(0)).len(), 5000 - CUTS);
}

#[test]
fn a_changed_subject_concerns_nobody_elses_requests() {
    let mut world = World::new(3);
    for _ in 0..100 {
        for user in 0..3 {
            world.admit(user, 0, None).unwrap();
        }
    }
    world.change(1, [true, false]);
    assert_eq!(world.open.asked.len(), 100);
    assert!(world.ticks(&renewed(0)).is_empty());
}

fn cuts_at(world: &mut World, now: u64, lease: &Lease) -> usize {
    world.now = now;
    let cut = world.ticks(lease);
    assert!(cut.iter().all(|(_, reason)| *reason == Reason::LeaseEnded));
    cut.len()
}

#[test]
fn at_the_leases_end_none_is_left_and_they_ended_over_a_second() {
    let mut world = World::new(1);
    for _ in 0..1000 {
        world.admit(0, 0, None).unwrap();
    }
    let lease = renewed(0);
    let mut most = 0;
    let mut all = 0;
    for now in (50_000..60_000).step_by(100) {
        let cut = cuts_at(&mut world, now, &lease);
        assert!(cut == 0 || now >= 58_700, "{cut} at {now}");
        most = most.max(cut);
        all += cut;
    }
    assert_eq!((all, world.open.len()), (1000, 0));
    assert!((100..200).contains(&most), "{most} at once");
}

#[test]
fn a_stricter_rules_requests_end_first_and_alone() {
    let mut world = World::new(1);
    for _ in 0..100 {
        world.admit(0, 0, None).unwrap();
        world.admit(0, 1, None).unwrap();
    }
    let lease = renewed(0);
    let cut: usize = (18_000..20_000)
        .step_by(100)
        .map(|now| cuts_at(&mut world, now, &lease))
        .sum();
    assert_eq!((cut, world.open.len()), (100, 100));
    assert_eq!(cuts_at(&mut world, 50_000, &lease), 0);
}

#[test]
fn a_lease_that_is_renewed_ends_nothing() {
    let mut world = World::new(1);
    for _ in 0..100 {
        world.admit(0, 1, None).unwrap();
    }
    for now in (0..60_000).step_by(100) {
        assert_eq!(
            cuts_at(&mut world, now, &renewed(now.saturating_sub(15_000))),
            0
        );
    }
}

#[test]
fn what_is_let_in_in_the_last_second_has_what_is_left_of_it() {
    let mut world = World::new(1);
    let lease = renewed(0);
    world.now = 59_500;
    for _ in 0..100 {
        world.admit(0, 0, None).unwrap();
    }
    assert!(cuts_at(&mut world, 59_500, &lease) <= 2);
    let cut: usize = [59_600, 59_700, 59_800]
        .into_iter()
        .map(|now| cuts_at(&mut world, now, &lease))
        .sum();
    assert!(cut >= 98);
    assert_eq!(world.open.len(), 0);
}

#[test]
fn what_the_feeder_was_told_of_a_lease_ends_what_is_open() {
    let mut world = World::new(1);
    world.admit(0, 0, None).unwrap();
    let mut lease = Lease::default();
    lease.renew_for(at(0), Duration::from_secs(30));
    assert_eq!(cuts_at(&mut world, 28_000, &lease), 0);
    assert_eq!(cuts_at(&mut world, 29_900, &lease), 1);
}

#[test]
fn a_machine_that_slept_ends_all_of_them_and_so_does_one_whose_clock_was_set_back() {
    for sleeps in [true, false] {
        let mut world = World::new(1);
        for _ in 0..300 {
            world.admit(0, 0, Some(3_600_000)).unwrap();
        }
        assert!(world.ticks(&renewed(0)).is_empty());
        let late = Moment {
            monotonic: if sleeps {
                at(1).monotonic
            } else {
                at(7_200_000).monotonic
            },
            wall: if sleeps {
                at(7_200_000).wall
            } else {
                at(1).wall
            },
        };
        // Their tokens have ended as well: on either clock.
        let mut current = Lease::default();
        current.renew(late);
        world.open.tick(&current, Duration::from_secs(20), late);
        assert_eq!(world.open.lost.len(), 300);
        let mut leased = World::new(1);
        leased.admit(0, 0, None).unwrap();
        leased.open.tick(&renewed(0), Duration::from_secs(20), late);
        assert_eq!(leased.open.lost.front(), Some(&(1, Reason::LeaseEnded)));
    }
}

#[test]
fn a_token_that_is_gone_ends_what_it_let_in() {
    let mut world = World::new(1);
    let context = world.admit(0, 0, None).unwrap();
    world.open.tick(&renewed(0), Duration::from_secs(20), at(0));
    assert_eq!(world.open.unread(), [context]);
    world.open.read(context, None, at(0));
    let cut = world.open.cut(Some(&world.snapshot));
    assert_eq!((cut.len(), cut[0].reason), (1, Reason::NoToken));
}
