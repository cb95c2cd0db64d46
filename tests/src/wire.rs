//! One HTTP/1.1 connection on a thread of its own, for measuring: no runtime and no pool between the socket and the clock.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// A connection that stays open.
pub struct Connection {
    peer: SocketAddr,
    stream: BufReader<TcpStream>,
}

/// One request and its answer.
#[derive(Debug)]
pub struct Exchange {
    /// Just before its first byte was written.
    pub sent: Instant,
    /// Just after the answer's last byte was read.
    pub received: Instant,
    /// The answer's status code.
    pub status: u16,
    /// The answer's body.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(peer: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(peer).with_context(|| format!("{peer}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Connection {
            peer,
            stream: BufReader::new(stream),
        })
    }

    /// Sends a request and reads its answer, which has to state its length.
    pub fn exchange(
        &mut self,
        method: &str,
        path: &str,
        bearer: &str,
        body: &str,
    ) -> Result<Exchange> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {bearer}\r\n\
             content-type: application/scim+json\r\ncontent-length: {}\r\n\r\n{body}",
            self.peer,
            body.len(),
        );
        let sent = Instant::now();
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self
            .line()?
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .context("a status line")?;
        let mut length = 0;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            ensure!(!line.starts_with("transfer-encoding:"), "no length");
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Exchange {
            sent,
            received: Instant::now(),
            status,
            body,
        })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("{} closed the connection", self.peer);
        }
        Ok(line.trim_end().to_owned())
    }
}
