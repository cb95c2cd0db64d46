//! Who can reach the feeder's ports, decided before any is opened: nothing that matters leaves the machine in the clear.

use std::net::SocketAddr;

use crate::feed;
use crate::scim::Limits;
use crate::tls::{IdentityFiles, MutualFiles};

/// Where SCIM is served, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimEndpoint {
    /// Port 0: any free one.
    pub listen: SocketAddr,
    /// Present: HTTPS.
    pub tls: Option<IdentityFiles>,
    /// The operator's word that something in front does TLS.
    pub behind_tls_proxy: bool,
    /// The URL as clients see it.
    pub base_url: Option<String>,
    /// What clients may ask for at most.
    pub limits: Limits,
}

/// Where the feed is served, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEndpoint {
    /// Port 0: any free one.
    pub listen: SocketAddr,
    /// Present: mutual TLS.
    pub tls: Option<MutualFiles>,
    /// The pod's sidecar is in front, and says who the peer is.
    pub behind_sidecar: bool,
    /// What peers may take at most.
    pub limits: feed::Limits,
}

/// An endpoint that would be open to whom it must not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Exposed {
    /// Bearer tokens and personal data in the clear.
    #[error(
        "SCIM on {0}, which is not loopback, needs TLS: give --scim-tls-cert and --scim-tls-key, or --behind-tls-proxy if a proxy in front does TLS"
    )]
    ScimWithoutTls(SocketAddr),
    /// The directory to anybody who connects.
    #[error(
        "the feed on {0}, which is not loopback, needs mutual TLS: give --feed-tls-cert, --feed-tls-key and --feed-client-ca"
    )]
    FeedWithoutMutualTls(SocketAddr),
    /// The header that names the peer could be anybody's.
    #[error(
        "--feed-behind-sidecar needs the feed on loopback, where only the sidecar reaches it, not on {0}"
    )]
    SidecarOffLoopback(SocketAddr),
    /// Two ways to know the peer, which would have to agree.
    #[error(
        "--feed-behind-sidecar and the feed's own TLS exclude each other: the sidecar does TLS"
    )]
    SidecarAndTls,
}

impl ScimEndpoint {
    /// Refuses SCIM in the clear off loopback.
    pub fn check(&self) -> Result<(), Exposed> {
        if self.tls.is_none() && !self.behind_tls_proxy && !is_loopback(self.listen) {
            return Err(Exposed::ScimWithoutTls(self.listen));
        }
        Ok(())
    }
}

impl FeedEndpoint {
    /// Refuses a feed whose peers nobody would know.
    pub fn check(&self) -> Result<(), Exposed> {
        match (self.behind_sidecar, &self.tls, is_loopback(self.listen)) {
            (true, Some(_), _) => Err(Exposed::SidecarAndTls),
            (true, None, false) => Err(Exposed::SidecarOffLoopback(self.listen)),
            (false, None, false) => Err(Exposed::FeedWithoutMutualTls(self.listen)),
            (true, None, true) | (false, Some(_), _) | (false, None, true) => Ok(()),
        }
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    // ::ffff:127.0.0.1 is 127.0.0.1.
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: [&str; 3] = ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"];
    const OPEN: [&str; 4] = ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1"];

    fn identity() -> IdentityFiles {
        IdentityFiles {
            cert: "c".into(),
            key: "k".into(),
        }
    }

    #[test]
    fn scim_leaves_the_machine_only_under_tls_or_on_the_operators_word() {
        let scim = |listen: &str, tls, behind_tls_proxy| {
            let listen = listen.parse().unwrap();
            ScimEndpoint {
                listen,
                tls,
                behind_tls_proxy,
                base_url: None,
                limits: Limits::default(),
            }
            .check()
        };
        for address in LOOPBACK {
            assert_eq!(scim(address, None, false), Ok(()));
        }
        for address in OPEN {
            let refused = Exposed::ScimWithoutTls(address.parse().unwrap());
            assert_eq!(scim(address, None, false), Err(refused));
            assert_eq!(scim(address, Some(identity()), false), Ok(()));
            assert_eq!(scim(address, None, true), Ok(()));
        }
    }

    #[test]
    fn the_feed_leaves_the_machine_only_under_mutual_tls() {
        let feed = |listen: &str, tls: bool, behind_sidecar| {
            let tls = tls.then(|| MutualFiles {
                identity: identity(),
                client_ca: "a".into(),
            });
            FeedEndpoint {
                listen: listen.parse().unwrap(),
                tls,
                behind_sidecar,
                limits: feed::Limits::default(),
            }
            .check()
        };
        for address in LOOPBACK {
            assert_eq!(feed(address, false, false), Ok(()));
            assert_eq!(feed(address, true, false), Ok(()));
            assert_eq!(feed(address, false, true), Ok(()));
            assert_eq!(feed(address, true, true), Err(Exposed::SidecarAndTls));
        }
        for address in OPEN {
            let parsed = address.parse().unwrap();
            assert_eq!(
                feed(address, false, false),
                Err(Exposed::FeedWithoutMutualTls(parsed))
            );
            assert_eq!(feed(address, true, false), Ok(()));
            assert_eq!(
                feed(address, false, true),
                Err(Exposed::SidecarOffLoopback(parsed))
            );
        }
    }
}
