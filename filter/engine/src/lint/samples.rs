//! Requests of every kind that a policy can tell apart, and which of its rules each is for.
//!
//! The rules are asked, as in a decision, with requests that stand for all others: what no sample shows never happens.

use std::collections::BTreeSet;

use crate::matching::host::CanonicalHost;
use crate::matching::kinds::{Texts, of_each_kind};
use crate::matching::method::MethodPattern;
use crate::matching::{Operation, Target};
use crate::policy::strict::NonEmpty;
use crate::policy::{Mode, Policy};
use crate::request::{Connection, Request};

/// More samples than this are not looked at.
const MAX_SAMPLES: usize = 200_000;

/// A request, as far as rules can match it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) method: String,
    /// None for CONNECT without one.
    pub(super) path: Option<String>,
    pub(super) host: String,
    port: u16,
    /// The rules that match it, and of each the operations, in order.
    pub(super) hits: Vec<Hit>,
}

/// A place in a policy: a rule, and one of its operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    pub(super) rule: usize,
    pub(super) operation: usize,
}

/// Samples of one policy. Those that differ in the host alone stand next to each other.
#[derive(Debug)]
pub(super) struct Samples {
    all: Vec<Sample>,
    hosts: usize,
}

impl Samples {
    /// None if there are too many.
    pub(super) fn of(policy: &Policy) -> Option<Samples> {
        let operations = || policy.rules().iter().flat_map(|rule| &rule.to);
        let methods = methods(operations());
        let paths = paths(operations())?;
        let hosts = hosts(operations())?;
        let ports = ports(operations());
        let count = methods.len() * (paths.len() + 1) * ports.len() * hosts.len();
        if count > MAX_SAMPLES {
            return None;
        }
        let mut all = Vec::with_capacity(count);
        for path in paths.iter().map(Some).chain([None]) {
            for method in &methods {
                if path.is_none() && method != "CONNECT" {
                    continue;
                }
                for port in &ports {
                    for host in &hosts {
                        let mut sample = Sample {
                            method: method.clone(),
                            path: path.cloned(),
                            host: host.clone(),
                            port: *port,
                            hits: Vec::new(),
                        };
                        sample.hits = sample.hits_in(policy);
                        all.push(sample);
                    }
                }
            }
        }
        Some(Samples {
            all,
            hosts: hosts.len(),
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.all.iter()
    }

    /// Groups of samples that differ in the host alone.
    pub(super) fn by_host(&self) -> impl Iterator<Item = &[Sample]> {
        self.all.chunks(self.hosts.max(1))
    }
}

/// What samples of a policy without conditions on ports come in on.
const SOME_PORT: u16 = 8080;

impl Connection for Sample {
    fn local_port(&self) -> Option<u16> {
        Some(self.port)
    }

    fn peer(&self) -> Option<Vec<u8>> {
        None
    }
}

impl Sample {
    pub(super) fn request(&self) -> Request<'_> {
        Request {
            method: self.method.as_bytes(),
            path: self.path.as_deref().map(str::as_bytes),
            host: self.host.as_bytes(),
            connection: self,
            token: None,
        }
    }

    fn hits_in(&self, policy: &Policy) -> Vec<Hit> {
        // A text too long for a host is no request's.
        let Ok(target) = Target::new(&self.request()) else {
            return Vec::new();
        };
        let mut hits = Vec::new();
        for (rule, held) in policy.rules().iter().enumerate() {
            for (operation, to) in held.to.iter().enumerate() {
                if to.matches(&target) {
                    hits.push(Hit { rule, operation });
                }
            }
        }
        hits
    }

    /// The rule that decides it, and by which operation.
    pub(super) fn decided(&self, policy: &Policy) -> Option<Hit> {
        let enforced = |hit: &&Hit| {
            let rule = policy.rules().get(hit.rule);
            rule.is_some_and(|rule| rule.mode == Mode::Enforce)
        };
        self.hits.iter().find(enforced).copied()
    }

    /// What it is but for the method.
    pub(super) fn place(&self) -> (Option<&str>, &str, u16) {
        (self.path.as_deref(), &self.host, self.port)
    }

    /// `GET /admin`
    pub(super) fn line(&self) -> String {
        match &self.path {
            Some(path) => format!("{} {path}", self.method),
            None => self.method.clone(),
        }
    }
}

fn each<'p, T: 'p>(list: &'p Option<NonEmpty<T>>) -> impl Iterator<Item = &'p T> {
    list.iter().flat_map(NonEmpty::iter)
}

/// Those named, those that findings are about, and one that nobody names.
fn methods<'p>(operations: impl Iterator<Item = &'p Operation>) -> Vec<String> {
    let mut methods: Vec<String> = ["GET", "POST", "HEAD", "OPTIONS", "CONNECT"]
        .map(str::to_owned)
        .to_vec();
    let named = operations.flat_map(|to| each(&to.methods).chain(each(&to.not_methods)));
    for method in named {
        if let MethodPattern::Exact(method) = method
            && !methods.contains(method)
        {
            methods.push(method.clone());
        }
    }
    let mut others = std::iter::once("BREW".to_owned()).chain((0..).map(|n| format!("BREW-{n}")));
    methods.extend(others.find(|other| !methods.contains(other)));
    methods
}

fn paths<'p>(operations: impl Iterator<Item = &'p Operation>) -> Option<Vec<String>> {
    let patterns = operations.flat_map(|to| each(&to.paths).chain(each(&to.not_paths)));
    let patterns: Vec<_> = patterns.map(|pattern| pattern.parts()).collect();
    let mut paths = of_each_kind(&patterns, Texts::Paths)?;
    for root in paths.iter_mut().filter(|path| path.is_empty()) {
        root.push('/');
    }
    Some(paths)
}

fn hosts<'p>(operations: impl Iterator<Item = &'p Operation>) -> Option<Vec<String>> {
    let patterns: Vec<_> = operations
        .flat_map(|to| each(&to.hosts).chain(each(&to.not_hosts)))
        .collect();
    let parts: Vec<_> = patterns.iter().map(|pattern| pattern.parts()).collect();
    let mut hosts = of_each_kind(&parts, Texts::Hosts)?;
    // Addresses in brackets, which are no names.
    let exact = patterns.iter().filter_map(|pattern| pattern.exact());
    let addresses: BTreeSet<&str> = exact
        .map(CanonicalHost::as_str)
        .filter(|host| host.starts_with('['))
        .collect();
    hosts.extend(addresses.into_iter().map(str::to_owned));
    Some(hosts)
}

/// Those named, and one that nobody names.
fn ports<'p>(operations: impl Iterator<Item = &'p Operation>) -> Vec<u16> {
    let named = operations.flat_map(|to| each(&to.ports).chain(each(&to.not_ports)));
    let mut ports: Vec<u16> = named.map(|port| port.0).collect();
    ports.sort_unstable();
    ports.dedup();
    let other = (SOME_PORT..=u16::MAX).find(|other| !ports.contains(other));
    ports.extend(other);
    ports
}
