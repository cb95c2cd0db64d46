//! Whatever the fleet says of a revision is held against filters that really go on by older content or don't.
//!
//! Filters, their streams and a feeder are played in a few lines, with messages that are under way for as long as they like, streams whose end
//! one side has not noticed yet, a tenant that is frozen and thawed, and feeders that are killed. When the fleet says that a revision holds
//! everywhere, or from when on it will, no filter may decide by anything older from then on.

use std::collections::VecDeque;

use proptest::prelude::*;
use scimesh_proto::scope::Term;

use super::*;

/// Of each of the filters.
const LEASES: [u64; 4] = [20, 45, 100, 30];
const TENANTS: usize = 2;
const DAYS: Duration = Duration::from_secs(100_000);

#[derive(Debug, Clone)]
enum Event {
    /// Of a tenant, or of none.
    Commit(usize),
    Freeze(usize),
    Thaw(usize),
    Ping(usize),
    /// The next message of a filter's newest stream, or one that it has given up.
    ToFeeder(usize, bool),
    ToFilter(usize),
    /// The filter gives its stream up and, if it is to, opens another at once.
    Lost(usize, bool),
    Connects(usize),
    /// The feeder notices the end of a stream that was given up.
    Noticed(usize),
    Sleep(u64),
    Restart,
}

#[derive(Debug, Clone, Copy)]
enum ToFeeder {
    Hello(Option<u64>),
    Ping { sent: Instant },
    Ack(u64),
}

#[derive(Debug, Clone, Copy)]
enum ToFilter {
    /// To this revision, with the content of that one.
    Update(u64, u64),
    Pong {
        revision: u64,
        sent: Instant,
    },
}

#[derive(Default)]
struct Stream {
    up: VecDeque<ToFeeder>,
    down: VecDeque<ToFilter>,
    presence: Option<Presence>,
    sent: Option<u64>,
    under_way: Option<u64>,
    wanted: u64,
}

struct Filter {
    lease: Duration,
    tenant: usize,
    peer: &'static str,
    node: v1::Node,
    stream: Option<Stream>,
    /// Given up by the filter; the feeder may still believe in them.
    stale: VecDeque<Stream>,
    /// The revision that it holds, and the one whose content that is.
    held: Option<(u64, u64)>,
    awaited: Option<(u64, Instant)>,
    lease_end: Option<Instant>,
}

struct World {
    now: Instant,
    revision: u64,
    /// The revisions that changed a tenant.
    changes: [Vec<u64>; TENANTS],
    /// Frozen at this revision.
    frozen: [Option<u64>; TENANTS],
    fleet: Fleet,
    stored: Duration,
    courses: [Arc<Course>; TENANTS],
    changed_at: [u64; TENANTS],
    filters: Vec<Filter>,
    /// Revisions of which it was said that they hold everywhere, from this time on.
    claims: Vec<(u64, Instant)>,
}

impl World {
    fn new() -> World {
        let now = Instant::now() + DAYS;
        let filters = LEASES.iter().enumerate().map(|(place, lease)| Filter {
            lease: Duration::from_secs(*lease),
            tenant: place % 3 % TENANTS,
            // The last one has all names of the first, and is another peer.
            peer: if place < 3 {
                "local"
            } else {
                "spiffe://td/other"
            },
            node: v1::Node {
                vm: "vm".to_owned(),
                feed: place as u32 % 3,
                ..v1::Node::default()
            },
            stream: None,
            stale: VecDeque::new(),
            held: None,
            awaited: None,
            lease_end: None,
        });
        let mut world = World {
            now,
            revision: 1,
            changes: [vec![1], vec![1]],
            frozen: [None; TENANTS],
            fleet: Fleet::new(Duration::ZERO, histogram(), now),
            stored: Duration::ZERO,
            courses: Default::default(),
            changed_at: [1; TENANTS],
            filters: filters.collect(),
            claims: Vec::new(),
        };
        world.look();
        world
    }

    /// The first change that is withheld.
    fn withheld_since(&self, tenant: usize) -> Option<u64> {
        let frozen = self.frozen[tenant]?;
        let mut changes = self.changes[tenant].iter();
        changes.find(|change| **change > frozen).copied()
    }

    /// The newest revision whose content is sent.
    fn sent(&self, tenant: usize) -> u64 {
        match self.withheld_since(tenant) {
            Some(first) => first - 1,
            None => self.revision,
        }
    }

    fn look(&mut self) {
        for tenant in 0..TENANTS {
            self.courses[tenant].reached(
                self.revision,
                self.changed_at[tenant],
                self.withheld_since(tenant),
                |_| self.now,
            );
        }
    }

    fn play(&mut self, event: Event) {
        match event {
            Event::Commit(tenant) => {
                self.revision += 1;
                if let Some(changes) = self.changes.get_mut(tenant) {
                    changes.push(self.revision);
                    if self.frozen[tenant].is_none() {
                        self.changed_at[tenant] = self.revision;
                    }
                }
                self.look();
            }
            Event::Freeze(tenant) => {
                let revision = self.revision;
                self.frozen[tenant].get_or_insert(revision);
            }
            Event::Thaw(tenant) => {
                // What was withheld is sent from a revision of its own on.
                self.revision += 1;
                if self.withheld_since(tenant).is_some() {
                    self.changes[tenant].push(self.revision);
                    self.changed_at[tenant] = self.revision;
                }
                self.frozen[tenant] = None;
                self.look();
            }
            Event::Ping(filter) => {
                let sent = self.now;
                if let Some(stream) = &mut self.filters[filter].stream {
                    stream.up.push_back(ToFeeder::Ping { sent });
                }
            }
            Event::ToFeeder(filter, stale) => self.feeder_takes(filter, stale),
            Event::ToFilter(filter) => self.filter_takes(filter),
            Event::Lost(filter, again) => {
                let filter = &mut self.filters[filter];
                filter.stale.extend(filter.stream.take());
                filter.awaited = None;
                if again {
                    filter.connect();
                }
            }
            Event::Connects(filter) => {
                let filter = &mut self.filters[filter];
                if filter.stream.is_none() {
                    filter.connect();
                }
            }
            Event::Noticed(filter) => drop(self.filters[filter].stale.pop_front()),
            Event::Sleep(seconds) => self.now += Duration::from_secs(seconds),
            Event::Restart => {
                for filter in &mut self.filters {
                    filter.stale.clear();
                    filter.stream = None;
                    filter.awaited = None;
                }
                self.fleet = Fleet::new(self.stored, histogram(), self.now);
                self.courses = Default::default();
                self.changed_at = [self.revision; TENANTS];
                self.look();
            }
        }
        for filter in 0..self.filters.len() {
            self.update(filter);
        }
    }

    fn feeder_takes(&mut self, place: usize, stale: bool) {
        let (now, revision) = (self.now, self.revision);
        let tenant = self.filters[place].tenant;
        let (sent, course) = (self.sent(tenant), self.courses[tenant].clone());
        let filter = &mut self.filters[place];
        let stream = if stale {
            filter.stale.back_mut()
        } else {
            filter.stream.as_mut()
        };
        let Some((stream, message)) =
            stream.and_then(|stream| stream.up.pop_front().map(|message| (stream, message)))
        else {
            return;
        };
        match message {
            ToFeeder::Hello(held) => {
                let held = held.filter(|held| *held <= revision);
                stream.sent = held;
                stream.presence =
                    Some(
                        self.fleet
                            .arrive(filter.peer, &filter.node, &scope(), course, held, now),
                    );
            }
            ToFeeder::Ping { sent: at } => {
                self.fleet.tell(filter.lease);
                self.stored = self.fleet.longest(self.stored, now);
                stream.wanted = revision;
                let presence = stream.presence.as_ref().unwrap();
                presence.pinged(revision.min(sent), filter.lease, now);
                stream.down.push_back(ToFilter::Pong { revision, sent: at });
            }
            ToFeeder::Ack(acked) => {
                if stream.under_way == Some(acked) {
                    stream.under_way = None;
                    stream.presence.as_ref().unwrap().acked(acked, None, now);
                }
            }
        }
    }

    /// Sends what is due.
    fn update(&mut self, place: usize) {
        let tenant = self.filters[place].tenant;
        let (revision, content) = (self.revision, self.sent(tenant));
        let changed_at = self.changed_at[tenant];
        let Some(stream) = &mut self.filters[place].stream else {
            return;
        };
        let due = match stream.sent {
            None => true,
            Some(sent) => changed_at > sent || (stream.wanted > sent && revision > sent),
        };
        if stream.presence.is_some() && due && stream.under_way.is_none() {
            stream.down.push_back(ToFilter::Update(revision, content));
            stream.sent = Some(revision);
            stream.under_way = Some(revision);
        }
    }

    fn filter_takes(&mut self, filter: usize) {
        let filter = &mut self.filters[filter];
        let Some(stream) = &mut filter.stream else {
            return;
        };
        match stream.down.pop_front() {
            Some(ToFilter::Update(revision, content)) => {
                filter.held = Some((revision, content));
                stream.up.push_back(ToFeeder::Ack(revision));
                if let Some((awaited, sent)) = filter.awaited
                    && awaited <= revision
                {
                    filter.awaited = None;
                    filter.lease_end = filter.lease_end.max(Some(sent + filter.lease));
                }
            }
            Some(ToFilter::Pong { revision, sent }) => match filter.held {
                Some((held, _)) if held == revision => {
                    filter.lease_end = filter.lease_end.max(Some(sent + filter.lease));
                }
                _ => filter.awaited = Some((revision, sent)),
            },
            None => {}
        }
    }

    fn survey(&self, revision: u64) -> Survey {
        let firsts = (0..TENANTS).filter_map(|tenant| self.withheld_since(tenant));
        let withheld = firsts.min().is_some_and(|first| first <= revision);
        self.fleet.survey(revision, None, withheld, self.now)
    }

    /// Notes what is said, and looks whether what was said is so.
    fn check(&mut self) -> Result<(), TestCaseError> {
        for revision in 0..=self.revision {
            let survey = self.survey(revision);
            let from = survey.end();
            if let Some(from) = from {
                prop_assert!(from > self.now);
                self.claims.push((revision, from));
            } else if !survey.someone_may_go_on() {
                self.claims.push((revision, self.now));
            }
        }
        for (revision, from) in &self.claims {
            if *from > self.now {
                continue;
            }
            for (place, filter) in self.filters.iter().enumerate() {
                let (Some((_, content)), Some(end)) = (filter.held, filter.lease_end) else {
                    continue;
                };
                let changes = &self.changes[filter.tenant];
                let older = changes
                    .iter()
                    .any(|change| content < *change && change <= revision);
                prop_assert!(
                    end <= self.now || !older,
                    "filter {place} goes on by {content} for {:?}, though {revision} was said to hold everywhere",
                    end - self.now
                );
            }
        }
        // Only the strongest claims are worth another look.
        self.claims
            .sort_by_key(|(revision, from)| (*from, std::cmp::Reverse(*revision)));
        let mut highest = None;
        self.claims.retain(|(revision, _)| {
            let stronger = highest.is_none_or(|highest| *revision > highest);
            highest = highest.max(Some(*revision));
            stronger
        });
        Ok(())
    }
}

impl Filter {
    fn connect(&mut self) {
        let mut stream = Stream::default();
        stream
            .up
            .push_back(ToFeeder::Hello(self.held.map(|(held, _)| held)));
        self.stream = Some(stream);
    }
}

fn histogram() -> Histogram {
    crate::metrics::FeedMetrics::default().commit_to_ack
}

fn event() -> impl Strategy<Value = Event> {
    let filter = 0..LEASES.len();
    prop_oneof![
        4 => (0..=TENANTS).prop_map(Event::Commit),
        1 => (0..TENANTS).prop_map(Event::Freeze),
        1 => (0..TENANTS).prop_map(Event::Thaw),
        6 => filter.clone().prop_map(Event::Ping),
        16 => (filter.clone(), prop::bool::weighted(0.1)).prop_map(|(filter, stale)| Event::ToFeeder(filter, stale)),
        16 => filter.clone().prop_map(Event::ToFilter),
        2 => (filter.clone(), any::<bool>()).prop_map(|(filter, again)| Event::Lost(filter, again)),
        4 => filter.clone().prop_map(Event::Connects),
        2 => filter.prop_map(Event::Noticed),
        6 => (0u64..30).prop_map(Event::Sleep),
        1 => Just(Event::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_to_hold_everywhere_does(events in prop::collection::vec(event(), 1..200)) {
        let mut world = World::new();
        for event in events {
            world.play(event);
            world.check()?;
        }
    }

    /// It is not silent either: when all is quiet, everything holds.
    #[test]
    fn when_all_have_applied_everything_it_says_so(events in prop::collection::vec(event(), 1..100)) {
        let mut world = World::new();
        for event in events {
            world.play(event);
        }
        for tenant in 0..TENANTS {
            world.play(Event::Thaw(tenant));
        }
        for filter in 0..LEASES.len() {
            world.play(Event::Connects(filter));
            for _ in 0..300 {
                world.play(Event::ToFeeder(filter, false));
                world.play(Event::ToFilter(filter));
            }
        }
        let survey = world.survey(world.revision);
        prop_assert!(!survey.someone_may_go_on(), "{survey:?}");
        world.play(Event::Sleep(100));
        let survey = world.survey(world.revision);
        prop_assert!(survey.unmet_until.is_none() && !survey.someone_may_go_on());
    }
}

fn scope() -> Scope {
    Scope::new("corp", [Term::parse("role:a").unwrap()], false).unwrap()
}

#[test]
fn of_too_many_that_have_gone_their_number_and_the_last_end_are_kept() {
    let now = Instant::now();
    let fleet = Fleet::new(Duration::ZERO, histogram(), now);
    let node = v1::Node::default();
    let come_and_go = |seconds| {
        let course = Arc::<Course>::default();
        let presence = fleet.arrive("local", &node, &scope(), course, Some(5), now);
        presence.pinged(5, Duration::from_secs(seconds), now);
    };
    for _ in 0..DEPARTED {
        come_and_go(100);
    }
    let survey = fleet.survey(7, None, false, now);
    assert_eq!((survey.departed.len(), survey.nameless), (DEPARTED, None));
    come_and_go(300);
    come_and_go(200);
    let survey = fleet.survey(7, None, false, now);
    let last = now + Duration::from_secs(300);
    assert_eq!(survey.nameless, Some((2, last)));
    assert_eq!(survey.end(), Some(last));
    assert_eq!(fleet.survey(5, None, false, now).nameless, None);
    let later = now + Duration::from_secs(150);
    assert!(fleet.survey(7, None, false, later).departed.is_empty());
    assert!(!fleet.survey(7, None, false, last).someone_may_go_on());
}

#[test]
fn the_longest_lease_falls_when_those_from_before_the_start_have_ended() {
    let now = Instant::now();
    let [minute, hour] = [60, 3600].map(Duration::from_secs);
    let fleet = Fleet::new(hour, histogram(), now);
    fleet.tell(minute);
    assert_eq!(fleet.longest(hour, now + hour / 2), hour);
    assert_eq!(fleet.longest(hour, now + hour), minute);
    fleet.tell(2 * hour);
    fleet.tell(minute);
    assert_eq!(fleet.longest(hour, now), 2 * hour);
}

#[test]
fn from_four_fifths_of_the_limit_on_memory_is_near_it() {
    let near = |content_bytes, limit_bytes| {
        near_limit(&v1::Memory {
            used_bytes: 0,
            content_bytes,
            limit_bytes,
        })
    };
    assert!(near(80, 100) && near(101, 100) && !near(79, 100));
    assert!(!near(80, 0), "no limit");
}

#[test]
fn a_peer_that_takes_anothers_names_takes_none_of_its_obligations() {
    let now = Instant::now();
    let fleet = Fleet::new(Duration::ZERO, histogram(), now);
    let node = v1::Node {
        id: "proxy".to_owned(),
        vm: "vm".to_owned(),
        ..v1::Node::default()
    };
    let come = |peer, held| fleet.arrive(peer, &node, &scope(), Arc::default(), held, now);
    let one = come("spiffe://td/one", Some(5));
    one.pinged(5, Duration::from_secs(60), now);
    drop(one);
    let other = come("spiffe://td/other", Some(7));
    let survey = fleet.survey(7, None, false, now);
    assert_eq!((survey.connected.len(), survey.departed.len()), (1, 1));
    let again = come("spiffe://td/one", Some(7));
    let survey = fleet.survey(7, None, false, now);
    assert_eq!((survey.connected.len(), survey.departed.len()), (2, 0));
    assert!(!survey.someone_may_go_on());
    drop((other, again));
}
