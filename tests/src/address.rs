//! Addresses that nobody else on this machine uses, so that any number of test runs can share it.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result};

/// A loopback address of this process alone. Envoy binds with SO_REUSEPORT, so a port that two runs happen to pick
/// would give two Envoys that share its connections, silently; and on 127.0.0.1 a port that was free a moment ago
/// may by now be the source of somebody's outgoing connection. Neither happens on an address of one's own, of which
/// Linux has sixteen million.
static HOME: LazyLock<IpAddr> = LazyLock::new(|| {
    let [a, b, c, _] = rand::random::<u32>().to_le_bytes();
    if cfg!(target_os = "linux") {
        // 127.0.0.0/16 is left alone: 127.0.0.1, and the addresses that distributions give to the host's own name.
        IpAddr::V4(Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254)))
    } else {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    }
});

static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A free port on this process's address, never given twice.
pub fn free() -> Result<SocketAddr> {
    loop {
        let address = TcpListener::bind((*HOME, 0))
            .and_then(|listener| listener.local_addr())
            .with_context(|| format!("no free port on {}", *HOME))?;
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if given.get_or_insert_default().insert(address.port()) {
            return Ok(address);
        }
    }
}
