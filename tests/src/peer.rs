//! `scim2-server`, the Python SCIM server that the benchmark is held against. It keeps everything in memory.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::eventually::eventually;
use crate::process::Process;
use crate::{address, artifact};

/// The bearer token that a peer takes.
pub const TOKEN: &str = "peer";
/// The path of its API.
pub const BASE: &str = "/v2";

/// A running peer.
pub struct Peer {
    address: SocketAddr,
    _process: Process,
}

impl Peer {
    /// The command `scim2-server`: a thread for each connection, and a connection for each request.
    pub async fn as_it_comes(dir: &Path) -> Result<Peer> {
        let address = address::free()?;
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let program = artifact::peer("scim2-server")?;
        let arguments = [
            "--hostname",
            &host,
            "--port",
            &port,
            "--bearer-token",
            TOKEN,
        ];
        Peer::start(&program, &arguments, address, &dir.join("command.log")).await
    }

    /// Its application under uvicorn: connections stay open.
    pub async fn kept_alive(dir: &Path) -> Result<Peer> {
        let address = address::free()?;
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let script = artifact::root()?.join("tests/peer.py");
        let script = script.display().to_string();
        let program = artifact::peer("python")?;
        let arguments = [&script, &host, &port, TOKEN];
        Peer::start(&program, &arguments, address, &dir.join("uvicorn.log")).await
    }

    async fn start(
        program: &Path,
        arguments: &[&str],
        address: SocketAddr,
        log: &Path,
    ) -> Result<Peer> {
        let mut process = Process::start("peer", program, arguments, &[], log)?;
        eventually("the peer to listen", Duration::from_secs(30), async || {
            process.check()?;
            TcpStream::connect(address)?;
            Ok(())
        })
        .await?;
        Ok(Peer {
            address,
            _process: process,
        })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
