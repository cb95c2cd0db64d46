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
use crate::request::{attempt, complain};
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
        if host::set_effective_context(cut.context).is_ok() {
            match end(&cut) {
                Ok(true) => stats::cut(&cut),
                Ok(false) => {}
                Err(error) => complain(error),
            }
        }
    }
    if moved {
        attempt(host::set_effective_context(root));
    }
}

/// Ends the effective context's request: with a proper refusal if nothing of a response has been sent, and otherwise in the middle. False if
/// another filter of the same request has: Envoy would not stand being told twice.
fn end(cut: &Cut) -> Result<bool, HostError> {
    // What can't be told has not been marked: it is forgotten from here on, so it must end.
    if matches!(host::property(&[MARK]), Ok(Some(_))) {
        return Ok(false);
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
    let ended = match begun {
        true => host::reset_request(),
        false => host::send_local_response(&Refusal::new(cut.reason, cut.grpc))
            .or_else(|_| host::reset_request()),
    };
    ended.map(|()| true)
}

fn is_status(code: Option<Vec<u8>>) -> bool {
    code.is_some_and(|code| code.iter().any(|byte| *byte != 0))
}
