//! One request, from its headers to the verdict: asks the engine, then lets go on, refuses, or holds.
//!
//! Works on the host's effective context, so that it serves a request in its own callback and one that was held in a
//! root context's. Knows no policy language and no feed.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::types::{Action, LogLevel};
use scimesh_engine::{Decision, Mode, Moment, Reason, Request, decide};

use crate::claims::Token;
use crate::connection::Downstream;
use crate::headers::RequestHeaders;
use crate::host::{self, HostError};
use crate::vm::{self, Plugin};
use crate::{problem, stats};

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
    let Some(plugin) = plugin else {
        attempt(stats::count_failure(Reason::Misconfigured));
        return refuse(Reason::Misconfigured);
    };
    match judge(plugin) {
        Ok((_, Some(since))) if vm::with(|vm| vm.holds.take(context, plugin, since)) => {
            Answer::Held
        }
        judged => conclude(plugin, judged.map(|(decision, _)| decision)),
    }
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
        let judged = judge(&plugin);
        let answer = conclude(&plugin, judged.map(|(decision, _)| decision));
        if let Answer::GoesOn = answer {
            attempt(host::resume_request());
        }
    }
    attempt(host::set_effective_context(root));
}

/// Asks the engine. If the request may wait for its feed's first content, also tells since when.
fn judge(plugin: &Plugin) -> Result<(Decision, Option<Moment>), HostError> {
    let now = host::now()?;
    let headers = host::request_headers()?;
    let headers = RequestHeaders::read(&headers).ok_or(HostError::UNREADABLE_HEADERS)?;
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
        let Some(feed) = vm.feed(plugin) else {
            let decision = decide(&plugin.policy, None, &Default::default(), &request, now);
            return (decision, None);
        };
        let mut decision = decide(&plugin.policy, feed.snapshot(), feed.lease(), &request, now);
        let waits = !decision.allowed
            && matches!(decision.reason, Reason::NoSnapshot | Reason::LeaseEnded)
            && !feed.has_begun(plugin, now);
        if decision.reason == Reason::NoSnapshot && feed.cluster_missing() {
            decision.reason = Reason::FeedClusterMissing;
            decision.would_refuse = decision.would_refuse.and(Some(decision.reason));
        }
        (decision, waits.then_some(now))
    }))
}

/// Does what was decided. What could not be is refused, except under a SHADOW policy, which refuses nothing.
fn conclude(plugin: &Plugin, decided: Result<Decision, HostError>) -> Answer {
    let done = decided.and_then(|decision| {
        if decision.allowed {
            host::set_property(&plugin.verdict, ALLOW)?;
        }
        Ok(decision)
    });
    let decision = done.unwrap_or_else(|error| {
        complain(error);
        let shadow = plugin.policy.mode() == Mode::Shadow;
        Decision {
            allowed: shadow,
            reason: Reason::Misconfigured,
            rule: None,
            subject: None,
            shadowed: Vec::new(),
            would_refuse: shadow.then_some(Reason::Misconfigured),
        }
    });
    attempt(stats::count(&decision));
    if decision.allowed {
        Answer::GoesOn
    } else {
        refuse(decision.reason)
    }
}

fn refuse(reason: Reason) -> Answer {
    let mut headers = vec![("content-type", problem::MEDIA_TYPE)];
    if reason.status() == 401 {
        // RFC 9110 section 15.5.2: a 401 carries a challenge; RFC 6750 section 3: this one.
        headers.push(("www-authenticate", "Bearer"));
    }
    let details = format!("scimesh_{reason}");
    let body = problem::body(reason);
    attempt(host::send_local_response(
        reason.status(),
        &details,
        &headers,
        &body,
    ));
    Answer::Refused
}

/// For what changes nothing for the request if it fails: a refused one stays paused, and so refused, in any case.
fn attempt(result: Result<(), HostError>) {
    if let Err(error) = result {
        complain(error);
    }
}

/// Logs at most one line a second: requests can cause these.
fn complain(error: HostError) {
    thread_local! {
        static LAST: Cell<Option<Duration>> = const { Cell::new(None) };
    }
    let now = host::now().map_or(Duration::ZERO, |now| now.monotonic);
    let recent = |last: Duration| now.saturating_sub(last) < Duration::from_secs(1);
    if !LAST.get().is_some_and(recent) {
        LAST.set(Some(now));
        host::log(LogLevel::Error, &format!("scimesh: {error}"));
    }
}
