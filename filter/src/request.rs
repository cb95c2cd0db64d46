//! One request, from its headers to the verdict: asks the engine, then lets go on, refuses, or holds.
//!
//! Works on the host's effective context, so that it serves a request in its own callback and one that was held in a
//! root context's. Knows no policy language and no feed.

use std::rc::Rc;

use proxy_wasm::types::{Action, LogLevel, MapType};
use scimesh_engine::{Decision, Headers, Mode, Moment, Reason, Request, decide};

use crate::claims::Token;
use crate::connection::Downstream;
use crate::headers::{Claimed, RequestHeaders};
use crate::host::{self, HostError};
use crate::logs::{self, Subject};
use crate::record::{Entry, Record};
use crate::refusal::Refusal;
use crate::stats;
use crate::vm::{self, Feed, Plugin};

const ALLOW: &[u8] = b"allow";

/// What became of a request whose headers have arrived.
pub(crate) enum Answer {
    GoesOn,
    Refused,
    /// It waits for the first content of its feed. Its end must be told to [`vm::Vm`]'s holds.
    Held,
}

impl Answer {
    /// What to tell the host.
    pub(crate) fn action(&self) -> Action {
        match self {
            Answer::GoesOn => Action::Continue,
            Answer::Refused | Answer::Held => Action::Pause,
        }
    }
}

/// Answers the request of `context`, which is the effective one. Without a plugin nothing can be decided: refused.
pub(crate) fn arrives(context: u32, plugin: Option<&Rc<Plugin>>) -> Answer {
    answer(context, plugin, true)
}

/// Answers the held requests that can be answered. `root` is the effective context, and is so again afterwards.
pub(crate) fn settle(root: u32, now: Moment) {
    let released = vm::with(|vm| vm.release(now));
    if released.is_empty() {
        return;
    }
    for (context, plugin) in released {
        // A request whose context is gone has nobody to answer to.
        if host::set_effective_context(context).is_err() {
            continue;
        }
        // Until it goes on, whatever more of it comes stays back; its context's end forgets that.
        vm::with(|vm| vm.holds.refuse(context));
        if let Answer::GoesOn = answer(context, Some(&plugin), false) {
            vm::with(|vm| vm.holds.forget(context));
            attempt(host::resume_request());
        }
    }
    attempt(host::set_effective_context(root));
}

/// The trailers of a request have come that goes on, or may yet. Returns the refusal if they can't.
pub(crate) fn ends(plugin: &Plugin) -> Option<Answer> {
    let own = plugin.policy.headers();
    if own.is_empty() {
        return None;
    }
    const TRAILERS: MapType = MapType::HttpRequestTrailers;
    let cleaned = host::header_map(TRAILERS).and_then(|map| clean(TRAILERS, &map, own).map(drop));
    let error = cleaned.err()?;
    complain(error);
    stats::count_failure(Some(plugin), Reason::Misconfigured);
    attempt(plugin.record.write(&Entry::failed()));
    // What its headers said can't be asked any more; Envoy turns the problem into gRPC if it is.
    Some(refuse(Reason::Misconfigured, false))
}

/// Answers the request of `context`, the effective one, or, if it may wait, holds it.
fn answer(context: u32, plugin: Option<&Rc<Plugin>>, may_wait: bool) -> Answer {
    let map = host::header_map(MapType::HttpRequestHeaders);
    let headers = map.as_deref().map_err(|error| *error).and_then(|map| {
        let headers = RequestHeaders::read(map).ok_or(HostError::UNREADABLE_HEADERS)?;
        Ok((map, headers))
    });
    let grpc = headers.as_ref().is_ok_and(|(_, headers)| headers.is_grpc());
    let Some(plugin) = plugin else {
        stats::count_failure(None, Reason::Misconfigured);
        attempt(Record::of(None).write(&Entry::failed()));
        return refuse(Reason::Misconfigured, grpc);
    };
    let judged = headers.as_ref().map_err(|error| *error);
    let judged = judged.and_then(|(_, headers)| judge(plugin, headers));
    let judged = judged.unwrap_or_else(|error| {
        complain(error);
        // Refused, except under a SHADOW policy, which refuses nothing.
        Judged::failed(plugin.policy.mode() == Mode::Shadow)
    });
    if judged.waits && may_wait && vm::with(|vm| vm.holds.take(context, plugin, judged.at)) {
        attempt(plugin.record.write(&Entry::HELD));
        return Answer::Held;
    }
    let mut decision = judged.decision;
    let map = headers.map(|(map, _)| map);
    if decision.allowed
        && let Err(error) = let_go(plugin, map, &judged.tells)
    {
        complain(error);
        // Under a SHADOW policy as well: the upstream would believe what the client wrote.
        decision = Judged::failed(false).decision;
    }
    stats::count(plugin, &decision);
    attempt(plugin.record.write(&Entry {
        decision: stats::word(&decision),
        rule: decision.rule.and_then(|rule| plugin.policy.rule_name(rule)),
        reason: Some(decision.reason.as_str()),
        revision: judged.revision,
    }));
    tell_shadow(plugin, &decision, judged.at);
    if decision.allowed {
        vm::with(|vm| vm.admit(context, plugin, decision, grpc, judged.at));
        Answer::GoesOn
    } else {
        refuse(decision.reason, grpc)
    }
}

struct Judged<'p> {
    decision: Decision,
    /// What the upstream is told of it, names and values.
    tells: Vec<(&'p str, String)>,
    /// Of what it was decided on.
    revision: Option<u64>,
    /// Whether the request may wait for its feed's first content.
    waits: bool,
    at: Moment,
}

impl Judged<'_> {
    fn failed(goes_on: bool) -> Judged<'static> {
        let decision = Decision {
            allowed: goes_on,
            reason: Reason::Misconfigured,
            rule: None,
            subject: None,
            workload: None,
            shadowed: Vec::new(),
            would_refuse: goes_on.then_some(Reason::Misconfigured),
        };
        Judged {
            decision,
            tells: Vec::new(),
            revision: None,
            waits: false,
            at: Moment::default(),
        }
    }
}

/// Asks the engine.
fn judge<'p>(plugin: &'p Plugin, headers: &RequestHeaders<'_>) -> Result<Judged<'p>, HostError> {
    let policy = &plugin.policy;
    let now = host::now()?;
    let token = Token::of_request(host::property);
    let connection = Downstream::new(host::property);
    let request = Request {
        method: headers.method,
        path: headers.path,
        host: headers.authority,
        connection: &connection,
        token: token.as_ref().map(|token| token as _),
    };
    Ok(vm::with(|vm| {
        let feed = vm.feed(plugin);
        let snapshot = feed.and_then(Feed::snapshot);
        let lease = feed.map(Feed::lease).copied().unwrap_or_default();
        let mut decision = decide(policy, snapshot, &lease, &request, now);
        let waits = !decision.allowed
            && matches!(decision.reason, Reason::NoSnapshot | Reason::LeaseEnded)
            && feed.is_some_and(|feed| !feed.has_begun(plugin, now));
        if decision.reason == Reason::NoSnapshot && feed.is_some_and(Feed::cluster_missing) {
            decision.reason = Reason::FeedClusterMissing;
            decision.would_refuse = decision.would_refuse.and(Some(decision.reason));
        }
        let tells = policy.headers().values(policy, snapshot, &decision);
        let revision = snapshot.map(|snapshot| snapshot.position().revision);
        if let (Some(subject), Some(token)) = (&decision.subject, &token) {
            vm.compare(plugin, subject, now, |claim| token.groups(claim));
        }
        Judged {
            tells,
            decision,
            revision,
            waits,
            at: now,
        }
    }))
}

/// Has what SHADOW would have refused reported, and some of it logged.
fn tell_shadow(plugin: &Plugin, decision: &Decision, now: Moment) {
    if decision.shadowed.is_empty() && decision.would_refuse.is_none() {
        return;
    }
    if let Some(line) = vm::with(|vm| vm.would_refuse(plugin, decision, now)) {
        host::log(LogLevel::Warn, &line);
    }
}

/// Prepares a request to go on: what the client wrote in our name is gone first, and the verdict comes last.
fn let_go(
    plugin: &Plugin,
    map: Result<&[u8], HostError>,
    tells: &[(&str, String)],
) -> Result<(), HostError> {
    let own = plugin.policy.headers();
    if !own.is_empty() {
        let claimed = clean(MapType::HttpRequestHeaders, map?, own)?;
        if let Some(connection) = claimed.connection {
            host::set_request_header("connection", &connection)?;
        }
    }
    for (name, value) in tells {
        host::set_request_header(name, value.as_bytes())?;
    }
    host::set_property(&plugin.verdict, ALLOW)
}

/// Removes what an upstream might take for ours.
fn clean<'a>(kind: MapType, map: &'a [u8], own: &Headers) -> Result<Claimed<'a>, HostError> {
    let claimed = Claimed::read(map, own).ok_or(HostError::UNREADABLE_HEADERS)?;
    for name in &claimed.names {
        host::remove_header(kind, name)?;
    }
    Ok(claimed)
}

fn refuse(reason: Reason, grpc: bool) -> Answer {
    attempt(host::send_local_response(&Refusal::new(reason, grpc)));
    Answer::Refused
}

/// For what changes nothing for the request if it fails: a refused one stays paused, and so refused, in any case.
pub(crate) fn attempt(result: Result<(), HostError>) {
    if let Err(error) = result {
        complain(error);
    }
}

pub(crate) fn complain(error: HostError) {
    logs::write(Subject::Host, LogLevel::Error, &error.to_string());
}
