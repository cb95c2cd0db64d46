//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What streams, connections and the store may come to; below it, clients of one address could use up what the others need.
const WANTED: u64 = 8192;

/// Takes all descriptors that the system allows. Service managers leave the soft limit at 1,024, for programs that use
/// `select`; with it, idle SCIM connections alone would keep probes and streams from being accepted.
pub(crate) fn take_all() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let taken = match setrlimit(Resource::Nofile, all) {
        Ok(()) => all.current,
        Err(_) => limit.current,
    };
    // None is no limit.
    if let Some(limit) = taken.filter(|limit| *limit < WANTED) {
        tracing::warn!(
            limit,
            wanted = WANTED,
            "few file descriptors: raise the hard limit (ulimit -Hn)"
        );
    }
}
