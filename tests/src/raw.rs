//! One TCP connection that any bytes can be sent over, and the answers of HTTP/1.1 that come back.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

/// How long an answer may take; none takes as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What came back for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP response.
    Response {
        /// The status code.
        status: u16,
        /// Names in lower case, and values; HTTP/2 answers come without.
        headers: Vec<(String, String)>,
        /// The body, lossily as text.
        body: String,
    },
    /// The peer reset the stream (HTTP/2), or ended the connection, without one.
    Ended,
}

impl Answer {
    /// The stable word in the problem document of a refusal by the filter.
    pub fn reason(&self) -> Option<String> {
        let Answer::Response { body, .. } = self else {
            return None;
        };
        let problem: Value = serde_json::from_str(body).ok()?;
        Some(problem.get("reason")?.as_str()?.to_owned())
    }

    /// The status code, if there is one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Answer::Response { status, .. } => Some(*status),
            Answer::Ended => None,
        }
    }

    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let Answer::Response { headers, .. } = self else {
            return None;
        };
        let mut headers = headers.iter();
        let found = headers.find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A connection on which requests are written as they are.
pub struct Raw {
    stream: BufReader<TcpStream>,
}

impl Raw {
    /// Connects.
    pub fn open(peer: SocketAddr) -> Result<Raw> {
        let stream = TcpStream::connect(peer).with_context(|| format!("{peer}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Raw {
            stream: BufReader::new(stream),
        })
    }

    /// Writes all of `bytes`; a peer that has had enough before is no error: what it answered can still be read.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self.stream.get_mut().write_all(bytes) {
            Err(error) if is_end(error.kind()) => Ok(()),
            done => Ok(done?),
        }
    }

    /// The next answer. One to HEAD or to an upgrade has no body, so that its `content-length` must not be believed:
    /// `bodiless`.
    pub fn answer(&mut self, bodiless: bool) -> Result<Answer> {
        match self.response(bodiless) {
            Ok(response) => Ok(response),
            Err(error) => match error.downcast_ref::<std::io::Error>() {
                Some(cause) if is_end(cause.kind()) => Ok(Answer::Ended),
                _ => Err(error),
            },
        }
    }

    fn response(&mut self, bodiless: bool) -> Result<Answer> {
        let line = self.line()?;
        let status: u16 = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .with_context(|| format!("no status line: {line:?}"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if status == 100 {
            return self.response(bodiless);
        }
        let mut answer = Answer::Response {
            status,
            headers,
            body: String::new(),
        };
        let mut content = Vec::new();
        if !bodiless && status != 101 && status != 204 && status != 304 {
            if answer.header("transfer-encoding") == Some("chunked") {
                self.chunks(&mut content)?;
            } else if let Some(length) = answer.header("content-length") {
                content.resize(length.parse()?, 0);
                self.stream.read_exact(&mut content)?;
            } else {
                // RFC 9112 section 6.3: up to the end of the connection.
                self.stream.read_to_end(&mut content)?;
            }
        }
        if let Answer::Response { body, .. } = &mut answer {
            *body = String::from_utf8_lossy(&content).into_owned();
        }
        Ok(answer)
    }

    /// A body of chunks (RFC 9112 section 7.1), without trailers.
    fn chunks(&mut self, body: &mut Vec<u8>) -> Result<()> {
        loop {
            let length = usize::from_str_radix(&self.line()?, 16)?;
            let start = body.len();
            body.resize(start + length, 0);
            let chunk = body.get_mut(start..).unwrap_or_default();
            self.stream.read_exact(chunk)?;
            self.line()?;
            if length == 0 {
                return Ok(());
            }
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::Error::from(ErrorKind::UnexpectedEof).into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

/// Whether it says that the peer has ended the connection.
pub(crate) fn is_end(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
    )
}
