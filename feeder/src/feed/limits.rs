//! What the feed's peers may take at most, by name. The defaults are far above what a large mesh needs, and low enough that one workload
//! can't take everybody's share.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::limits::{self, limits};

limits! {
    Connections, connections = 20_000, "connections", "connections at once";
    ConnectionsPerPeer, connections_per_peer = 10_000, "connections-per-peer", "connections at once of one peer";
    Streams, streams = 20_000, "streams", "streams at once";
    StreamsPerPeer, streams_per_peer = 10_000, "streams-per-peer", "streams at once of one peer";
    ScopesPerPeer, scopes_per_peer = 128, "scopes-per-peer", "different scopes that one peer follows";
    TermsPerPeer, terms_per_peer = 8192, "terms-per-peer", "terms in the different scopes that one peer follows";
    HandshakeSeconds, handshake_seconds = 10, "handshake-seconds", "seconds for a TLS handshake";
    KeepaliveSeconds, keepalive_seconds = 20, "keepalive-seconds", "seconds from one HTTP/2 ping of a connection to the next";
    KeepaliveTimeoutSeconds, keepalive_timeout_seconds = 10, "keepalive-timeout-seconds", "seconds for the answer to such a ping";
}

/// `NAME=VALUE` of one of these limits.
pub type Setting = limits::Setting<Limit>;

impl Limit {
    /// The values that it may have.
    fn range(self) -> RangeInclusive<usize> {
        let most = match self {
            Limit::HandshakeSeconds | Limit::KeepaliveSeconds | Limit::KeepaliveTimeoutSeconds => {
                3600
            }
            _ => u32::MAX as usize,
        };
        1..=most
    }
}

impl Limits {
    pub(crate) fn handshake(&self) -> Duration {
        Duration::from_secs(self.handshake_seconds as u64)
    }

    pub(crate) fn keepalive(&self) -> Duration {
        Duration::from_secs(self.keepalive_seconds as u64)
    }

    pub(crate) fn keepalive_timeout(&self) -> Duration {
        Duration::from_secs(self.keepalive_timeout_seconds as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Named as _;

    #[test]
    fn every_default_is_a_value_that_can_be_set() {
        let mut limits = Limits::default();
        for limit in Limit::ALL {
            let text = format!("{}={}", limit.name(), limits.get(*limit));
            let Setting { limit, value } = text.parse().unwrap();
            limits.set(limit, value);
        }
        assert_eq!(limits, Limits::default());
        assert!("streams-per-peer=0".parse::<Setting>().is_err());
        assert!("keepalive-seconds=3601".parse::<Setting>().is_err());
    }
}
