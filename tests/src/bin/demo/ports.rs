//! Where everything of the demonstration listens: known ports, so that its lines can be pasted and documented.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result};

/// Where everything listens.
pub(crate) struct Ports {
    pub(crate) proxy: SocketAddr,
    pub(crate) scim: SocketAddr,
    pub(crate) feed: SocketAddr,
    pub(crate) feeder_admin: SocketAddr,
    pub(crate) envoy_admin: SocketAddr,
    pub(crate) upstream: SocketAddr,
}

impl Ports {
    /// Six in a row from `first`, each of them free.
    pub(crate) fn new(first: u16) -> Result<Ports> {
        let names = [
            "proxy",
            "SCIM",
            "feed",
            "feeder's admin",
            "Envoy's admin",
            "upstream",
        ];
        let [proxy, scim, feed, feeder_admin, envoy_admin, upstream] = [0, 1, 2, 3, 4, 5]
            .map(|i| SocketAddr::from((Ipv4Addr::LOCALHOST, first.saturating_add(i))));
        for (name, address) in
            names
                .into_iter()
                .zip([proxy, scim, feed, feeder_admin, envoy_admin, upstream])
        {
            TcpListener::bind(address).with_context(|| {
                format!(
                    "port {} of 127.0.0.1 (for the {name}) can't be had. Is another `make run` going on? Stop what \
                     listens there, or take six other ports in a row: make run ARGS='--port {}'",
                    address.port(),
                    if first < 40_000 { first + 10_000 } else { 28_080 },
                )
            })?;
        }
        Ok(Ports {
            proxy,
            scim,
            feed,
            feeder_admin,
            envoy_admin,
            upstream,
        })
    }
}
