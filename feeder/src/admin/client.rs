//! The command line's end of the administration socket. One connection per command.

use std::io;
use std::path::{Path, PathBuf};

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::UnixStream;

use super::wire::{self, Command};
use crate::data_dir::admin_socket;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Nobody listens in that data directory.
    #[error(
        "no feeder is running on {dir} ({why}): start it with `scimesh serve --data-dir {dir}`",
        dir = dir.display()
    )]
    NoFeeder {
        /// The data directory.
        dir: PathBuf,
        /// How that shows.
        why: &'static str,
    },
    /// Somebody else's feeder, or a directory of somebody else.
    #[error("not permitted to use {}: administer the feeder as the account that it runs as", .0.display())]
    NotPermitted(PathBuf),
    /// The feeder said no.
    #[error("{0}")]
    Refused(String),
    /// Somebody may listen there, but can't be talked to: nothing was done.
    #[error("cannot connect to {}", path.display())]
    Unreachable {
        /// The administration socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The conversation broke off: what became of the command is unknown.
    #[error("lost the feeder in the middle of the command; whether it was done is unknown: {0}")]
    Lost(String),
}

/// The feeder of one data directory.
#[derive(Debug)]
pub struct Client {
    data_dir: PathBuf,
}

impl Client {
    /// Of the feeder that runs on `data_dir`, now or later.
    pub fn new(data_dir: &Path) -> Client {
        Client {
            data_dir: data_dir.to_owned(),
        }
    }

    /// Has a command done.
    pub async fn call<C: Command>(&self, command: &C) -> Result<C::Answer, Failed> {
        let body = self.post(C::PATH, command).await?;
        let bytes = body.collect().await.map_err(lost)?.to_bytes();
        serde_json::from_slice(&bytes).map_err(lost)
    }

    /// Asks for a dump: JSON lines, in chunks that end anywhere.
    pub async fn dump(&self, dump: &wire::Dump) -> Result<Lines, Failed> {
        Ok(Lines(self.post(wire::Dump::PATH, dump).await?))
    }

    async fn post(&self, path: &str, command: &impl Serialize) -> Result<Incoming, Failed> {
        let socket = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
            .await
            .map_err(lost)?;
        // The connection ends with its answer, which this process waits for, or with this process.
        tokio::spawn(connection);
        let body = serde_json::to_vec(command).map_err(lost)?;
        let request = Request::post(path)
            .header(header::HOST, "scimesh")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(lost)?;
        let (head, body) = sender
            .send_request(request)
            .await
            .map_err(lost)?
            .into_parts();
        if head.status == StatusCode::OK {
            return Ok(body);
        }
        let bytes = body.collect().await.map_err(lost)?.to_bytes();
        Err(Failed::Refused(match serde_json::from_slice(&bytes) {
            Ok(wire::Error { error }) => error,
            Err(_) => format!("the feeder answered {}", head.status),
        }))
    }

    async fn connect(&self) -> Result<UnixStream, Failed> {
        let path = admin_socket(&self.data_dir);
        let no_feeder = |why| Failed::NoFeeder {
            dir: self.data_dir.clone(),
            why,
        };
        UnixStream::connect(&path)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    if !self.data_dir.is_dir() =>
                {
                    no_feeder("there is no such directory")
                }
                io::ErrorKind::NotFound => no_feeder("it has no admin.sock"),
                io::ErrorKind::ConnectionRefused => no_feeder("nobody answers on its admin.sock"),
                io::ErrorKind::InvalidInput => no_feeder("its path is too long for a Unix socket"),
                io::ErrorKind::PermissionDenied => Failed::NotPermitted(path),
                _ => Failed::Unreachable {
                    path,
                    source: error,
                },
            })
    }
}

fn lost(error: impl std::fmt::Display) -> Failed {
    Failed::Lost(error.to_string())
}

/// A dump, arriving.
#[derive(Debug)]
pub struct Lines(Incoming);

impl Lines {
    /// The next bytes; none at the end. A feeder that dies in the middle is an error, not an end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failed> {
        while let Some(frame) = self.0.frame().await {
            if let Ok(data) = frame.map_err(lost)?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}
