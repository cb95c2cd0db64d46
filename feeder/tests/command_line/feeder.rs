//! A feeder of one's own, and the commands that go to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The program, in an environment that sets no flag of it.
pub(crate) fn scimesh() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scimesh"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SCIMESH_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// A running feeder. It is killed when dropped.
pub(crate) struct Feeder {
    process: Child,
    // Kept open: the feeder may write to it.
    _stdout: BufReader<ChildStdout>,
    pub(crate) addresses: Value,
    log: PathBuf,
    data_dir: PathBuf,
}

/// A directory to put things into, and the data directory in it.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What the last feeder here has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("log")).unwrap()
    }

    /// `scimesh serve` on free ports, about to be started.
    pub(crate) fn serve(&self) -> Command {
        let mut command = scimesh();
        command.arg("serve").arg("--data-dir").arg(self.data_dir());
        for listen in ["--scim-listen", "--feed-listen", "--admin-listen"] {
            command.args([listen, "127.0.0.1:0"]);
        }
        command
    }

    /// Starts a feeder and waits until it is ready.
    pub(crate) fn start(&self) -> Feeder {
        self.start_as(self.serve())
    }

    pub(crate) fn start_as(&self, mut command: Command) -> Feeder {
        let log = self.path().join("log");
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Ok(addresses) = serde_json::from_str(&line) else {
            let _ = process.wait();
            panic!(
                "the feeder did not start: {}",
                std::fs::read_to_string(log).unwrap()
            );
        };
        Feeder {
            process,
            _stdout: stdout,
            addresses,
            log,
            data_dir: self.data_dir(),
        }
    }

    /// Runs a command for the feeder of this place.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        scimesh()
            .env("SCIMESH_DATA_DIR", self.data_dir())
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Runs a command that must be done, and gives what it printed.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        stdout(&output)
    }

    /// Runs a command that prints JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--output", "json"]].concat();
        serde_json::from_str(&self.done(&arguments)).unwrap()
    }

    /// Runs a command that must be refused with this status, and gives what it complained of.
    pub(crate) fn refused(&self, status: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert_eq!(stdout(&output), "", "{arguments:?}");
        said
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

impl Feeder {
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn address(&self, of: &str) -> SocketAddr {
        self.addresses[of].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.data_dir.join("admin.sock")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self, signal: &str) -> ExitStatus {
        let pid = self.pid().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        self.process.wait().unwrap()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// One HTTP request to one of its addresses.
    pub(crate) fn http(&self, of: &str, head: &str, body: &str) -> Answer {
        let stream = TcpStream::connect(self.address(of)).unwrap();
        exchange(stream, head, body)
    }

    pub(crate) fn get(&self, of: &str, path: &str) -> Answer {
        self.http(of, &format!("GET {path} HTTP/1.1"), "")
    }

    /// A SCIM request with a token.
    pub(crate) fn scim(&self, token: &str, request: &str, body: &str) -> Answer {
        let head = format!(
            "{request} HTTP/1.1\r\nauthorization: Bearer {token}\r\ncontent-type: application/scim+json"
        );
        self.http("scim", &head, body)
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("---- the feeder's log\n{}", self.log());
        }
    }
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Sends one request and reads until the server closes.
pub(crate) fn exchange(
    mut stream: impl std::io::Read + std::io::Write,
    head: &str,
    body: &str,
) -> Answer {
    let length = body.len();
    let request = format!(
        "{head}\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        body: body.to_owned(),
    }
}
