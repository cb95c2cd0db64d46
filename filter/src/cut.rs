//! Ends open requests that would not be let in any more.
//!
//! Works from a root context's tick, on one request's context after the other. Nothing of the VM's state is borrowed over a
//! call here that ends a request: its context may be dropped before the call returns.

use scimesh_engine::{Claims, Moment};

use crate::claims::Token;
use crate::host::{self, HostError};
use crate::open::Cut;
use crate::record::Entry;
use crate::refusal::Refusal;
use crate::request::attempt;
use crate::{stats, vm};

/// Filter state `wasm.<this>` of a request that one of its filters has ended.
const MARK: &str = "scimesh_cut";

/// Looks after the open requests of the feed that `root` leads. `root` is the effective context, and is so again afterwards.
pub(crate) fn settle(root: u32, now: Moment) {
    let unread = vm::with(|vm| vm.watch(root, now));
    let mut moved = !unread.is_empty();
    for context in unread {
        // A request whose context is gone has ended.
        if host::set_effective_context(context).is_ok() {
            let token = Token::of_request(host::property);
            let token = token.as_ref().map(|token| token as &dyn Claims);
            vm::with(|vm| vm.read(root, context, token, now));
        }
    }
    let cuts = vm::with(|vm| vm.cut(root));
    moved |= !cuts.is_empty();
    for cut in cuts {
        stats::cut(&cut);
        if host::set_effective_context(cut.context).is_ok() {
            attempt(end(&cut));
        }
    }
    if moved {
        attempt(host::set_effective_context(root));
    }
}

/// Ends the effective context's request: with a proper refusal if nothing of a response has been sent, and otherwise in the middle.
fn end(cut: &Cut) -> Result<(), HostError> {
    // Another filter of the same request has: Envoy would not stand being told twice.
    if host::property(&[MARK])?.is_some() {
        return Ok(());
    }
    attempt(host::set_property(MARK, b"cut"));
    attempt(cut.plugin.record.write(&Entry {
        decision: "cut",
        rule: cut.plugin.policy.rule_name(cut.rule),
        reason: Some(cut.reason.as_str()),
        revision: None,
    }));
    // What can't be told has begun: that ends it in any case.
    let begun = host::property(&["response", "code"]).map_or(true, is_status);
    if begun {
        host::reset_request()
    } else {
        host::send_local_response(&Refusal::new(cut.reason, cut.grpc))
    }
}

fn is_status(code: Option<Vec<u8>>) -> bool {
    code.is_some_and(|code| code.iter().any(|byte| *byte != 0))
}
