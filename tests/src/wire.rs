//! One HTTP/1.1 connection on a thread of its own, for measuring: no runtime and no pool between the socket and the clock.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// A connection that stays open. One that the peer ends after an answer is opened anew for the next request, and that
/// counts in its time.
pub struct Connection {
    peer: SocketAddr,
    stream: BufReader<TcpStream>,
    ended: bool,
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
        Ok(Connection {
            peer,
            stream: connect(peer)?,
            ended: false,
        })
    }

    /// Sends a request and reads its answer.
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
        let sent = self.send(request.as_bytes())?;
        self.receive(sent)
    }

    /// Sends a request that is written out already; tells when. Its answer is to be received before the next one.
    pub fn send(&mut self, request: &[u8]) -> Result<Instant> {
        let sent = Instant::now();
        if self.ended {
            self.stream = connect(self.peer)?;
        }
        self.stream.get_mut().write_all(request)?;
        Ok(sent)
    }

    /// Reads the answer to what was sent then.
    pub fn receive(&mut self, sent: Instant) -> Result<Exchange> {
        let line = self.line()?;
        let mut words = line.split(' ');
        self.ended = words.next() == Some("HTTP/1.0");
        let status = words
            .next()
            .and_then(|status| status.parse().ok())
            .context("a status line")?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            chunked |= line == "transfer-encoding: chunked";
            self.ended |= line == "connection: close";
        }
        let mut body = Vec::new();
        if chunked {
            self.chunks(&mut body)?;
        } else {
            body.resize(length, 0);
            self.stream.read_exact(&mut body)?;
        }
        Ok(Exchange {
            sent,
            received: Instant::now(),
            status,
            body,
        })
    }

    /// A body of chunks (RFC 9112 section 7.1), with neither extensions nor trailers.
    fn chunks(&mut self, body: &mut Vec<u8>) -> Result<()> {
        loop {
            let length = usize::from_str_radix(&self.line()?, 16)?;
            let start = body.len();
            body.resize(start + length, 0);
            self.stream
                .read_exact(body.get_mut(start..).unwrap_or_default())?;
            ensure!(self.line()?.is_empty(), "a chunk is longer than it says");
            if length == 0 {
                return Ok(());
            }
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("{} closed the connection", self.peer);
        }
        Ok(line.trim_end().to_owned())
    }
}

fn connect(peer: SocketAddr) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(peer).with_context(|| format!("{peer}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(300)))?;
    Ok(BufReader::new(stream))
}
