//! What all tables are run against: one Envoy with one worker, a service that keeps what reaches it, and a member in good
//! standing, whose request has to work after every attack.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use scimesh_tests::frames::{Field, Frames};
use scimesh_tests::issuer::Issuer;
use scimesh_tests::mesh::{Mesh, Plan};
use scimesh_tests::raw::{Answer, Raw};
use scimesh_tests::recorder::Recorder;
use serde_json::{Value, json};

use crate::row::{Row, Sent};

/// What the member asks for after every attack. Every policy here requires group payments for it.
const GOOD: &str = "/good";

pub(crate) struct Siege {
    pub(crate) mesh: Mesh,
    pub(crate) recorder: Recorder,
    /// Names that rows use, and the tokens that they stand for.
    tokens: Vec<(String, String)>,
    /// Id of the group payments.
    pub(crate) payments: String,
    /// Id of the member.
    pub(crate) member: String,
}

impl Siege {
    /// Brings everything up, with `$member`, who is in the group payments of acme, and `$guest`, an active user who is not.
    /// `alter` makes of Envoy's configuration what the tables need.
    pub(crate) async fn lay(
        policy: &Value,
        alter: impl FnOnce(&mut Value) -> Result<()> + Send + 'static,
    ) -> Result<Siege> {
        let recorder = Recorder::start().await?;
        let plan = Plan::new(policy)
            .with_one_worker()
            .upstream(recorder.address())
            .alter(|envoy| {
                let http = http_of(envoy, 0);
                // HTTP/1 connections end when Envoy is done with them, not a second later.
                http["delayed_close_timeout"] = json!("0s");
                http["http2_protocol_options"] = json!({ "allow_connect": true });
                alter(envoy)
            });
        let mesh = plan.start().await?;
        let scim = &mesh.acme.scim;
        let member = scim.create_user("member", "member-0001").await?;
        scim.create_user("guest", "guest-0001").await?;
        let payments = scim.create_group("payments", &[&member]).await?;
        let mut siege = Siege {
            mesh,
            recorder,
            tokens: Vec::new(),
            payments,
            member,
        };
        siege.name("member", siege.mesh.acme.issuer.token("member-0001")?);
        siege.name("guest", siege.mesh.acme.issuer.token("guest-0001")?);
        siege.open().await?;
        Ok(siege)
    }

    /// Waits until the member is let in.
    pub(crate) async fn open(&self) -> Result<()> {
        let token = self.tokens.first().map(|(_, token)| token.as_str());
        self.mesh.await_status(GOOD, token, 200).await?;
        self.recorder.take();
        Ok(())
    }

    /// Rows may say `$name` for this token.
    pub(crate) fn name(&mut self, name: &str, token: String) {
        self.tokens.push((format!("${name}"), token));
    }

    /// `scimesh binding set`, for acme's users.
    pub(crate) async fn bind(&self, issuer: &Issuer, more: &[&str]) -> Result<()> {
        let set = [
            "binding",
            "set",
            "--tenant",
            "acme",
            "--issuer",
            issuer.url(),
        ];
        self.mesh.feeder.run(&[&set, more].concat()).await?;
        Ok(())
    }

    /// Waits until `token` gets `status` for what the member asks for.
    pub(crate) async fn await_status(&self, token: &str, status: u16) -> Result<()> {
        self.mesh.await_status(GOOD, Some(token), status).await?;
        self.recorder.take();
        Ok(())
    }

    /// Runs every row; the error lists all that went another way.
    pub(crate) fn withstand(&self, rows: &[Row]) -> Result<()> {
        self.withstand_at(self.mesh.envoy.address(), rows)
    }

    /// The same at another listener of the same worker, where the member gets in as well.
    pub(crate) fn withstand_at(&self, listener: SocketAddr, rows: &[Row]) -> Result<()> {
        self.run(listener, listener, rows)
    }

    /// The same at one where the member does not: then it is at the first listener that the member still does.
    pub(crate) fn withstand_beside(&self, listener: SocketAddr, rows: &[Row]) -> Result<()> {
        self.run(listener, self.mesh.envoy.address(), rows)
    }

    fn run(&self, listener: SocketAddr, member_at: SocketAddr, rows: &[Row]) -> Result<()> {
        let mut wrong = String::new();
        for row in rows {
            if let Err(error) = self.row(listener, member_at, row) {
                writeln!(wrong, "  {}: {error:#}", row.name)?;
            }
            self.recorder.take();
        }
        ensure!(wrong.is_empty(), "of {} rows:\n{wrong}", rows.len());
        Ok(())
    }

    fn row(&self, listener: SocketAddr, member_at: SocketAddr, row: &Row) -> Result<()> {
        let mut client = Client::open(listener, &row.sent)?;
        let answers = client.send(&self.spelled_out(&row.sent), &row.expected)?;
        let mut reached = row.before.clone();
        for (answer, expected) in answers.iter().zip(row.expected.split(" | ")) {
            let line = judge(answer, expected).with_context(|| format!("expected {expected}"))?;
            if let Some(line) = line {
                reached.push(line);
            }
        }
        // The member gets in behind it: on the same connection, if it is still open, and on the same worker in any case.
        let token = self.spell(b"$member");
        let same = match listener == member_at {
            true => client.good(&token)?,
            false => Answer::Ended,
        };
        let good = match same {
            Answer::Ended => Client::open(member_at, &row.sent)?.good(&token)?,
            answer => answer,
        };
        ensure!(good.status() == Some(200), "the member then gets {good:?}");
        reached.push(format!("GET {GOOD} HTTP/1.1"));

        let arrivals = self.recorder.take();
        let lines: Vec<&str> = arrivals.iter().map(|a| a.line.as_str()).collect();
        ensure!(
            lines == reached,
            "upstream saw {lines:?} and not {reached:?}"
        );
        for (name, values) in &row.arriving {
            let seen = arrivals.first().map(|a| a.values(name)).unwrap_or_default();
            ensure!(seen == *values, "upstream saw {name}: {seen:?}");
        }
        Ok(())
    }

    fn spelled_out(&self, sent: &Sent) -> Sent {
        let all = |fields: &[Field]| -> Vec<Field> {
            let spelled = |(name, value): &Field| (name.clone(), self.spell(value));
            fields.iter().map(spelled).collect()
        };
        match sent {
            Sent::Bytes(bytes) => Sent::Bytes(self.spell(bytes)),
            Sent::Fields(fields, trailers) => Sent::Fields(all(fields), all(trailers)),
        }
    }

    /// With the tokens in place of their names.
    fn spell(&self, bytes: &[u8]) -> Vec<u8> {
        let mut spelled = bytes.to_vec();
        for (name, token) in &self.tokens {
            let name = name.as_bytes();
            while let Some(at) = spelled.windows(name.len()).position(|part| part == name) {
                spelled.splice(at..at + name.len(), token.bytes());
            }
        }
        spelled
    }

    pub(crate) async fn end(self) -> Result<()> {
        self.mesh.end().await
    }
}

/// Whether it is the answer that was expected; if so, what has to have reached the upstream.
fn judge(answer: &Answer, expected: &str) -> Result<Option<String>> {
    if let Some(refusal) = expected.strip_prefix("grpc ") {
        let told = (answer.header("grpc-status"), answer.header("grpc-message"));
        let right = answer.status() == Some(200) && told == refusal.split_once(' ').unzip();
        ensure!(right, "answered {answer:?}");
        return Ok(None);
    }
    if expected == "closed" {
        ensure!(*answer == Answer::Ended, "answered {answer:?}");
        return Ok(None);
    }
    let (status, reason) = match expected.split_once(' ') {
        Some((status, reason)) if status.parse::<u16>().is_ok() => (status, Some(reason)),
        None => (expected, None),
        _ => {
            let allowed = matches!(answer.status(), Some(200 | 101));
            ensure!(allowed, "answered {answer:?}");
            return Ok(Some(expected.to_owned()));
        }
    };
    let right = answer.status() == status.parse().ok() && answer.reason().as_deref() == reason;
    ensure!(right, "answered {answer:?}");
    Ok(None)
}

enum Client {
    One(Raw),
    Two(Frames),
}

impl Client {
    fn open(listener: SocketAddr, sent: &Sent) -> Result<Client> {
        Ok(match sent {
            Sent::Bytes(_) => Client::One(Raw::open(listener)?),
            Sent::Fields(..) => Client::Two(Frames::open(listener)?),
        })
    }

    /// As many answers as are expected.
    fn send(&mut self, sent: &Sent, expected: &str) -> Result<Vec<Answer>> {
        match (self, sent) {
            (Client::One(raw), Sent::Bytes(bytes)) => {
                raw.send(bytes)?;
                let bodiless = bytes.starts_with(b"HEAD ");
                expected
                    .split(" | ")
                    .map(|_| raw.answer(bodiless))
                    .collect()
            }
            (Client::Two(frames), Sent::Fields(fields, trailers)) => {
                let id = frames.headers(fields, trailers.is_empty())?;
                if !trailers.is_empty() {
                    frames.trailers(id, trailers)?;
                }
                Ok(vec![frames.answer(id)?])
            }
            _ => bail!("another protocol than the connection was opened for"),
        }
    }

    fn good(&mut self, token: &[u8]) -> Result<Answer> {
        let authorization = [b"Bearer ", token].concat();
        match self {
            Client::One(raw) => {
                let head = format!("GET {GOOD} HTTP/1.1\r\nhost: svc.example\r\nauthorization: ");
                raw.send(&[head.as_bytes(), &authorization, b"\r\n\r\n"].concat())?;
                raw.answer(false)
            }
            Client::Two(frames) => {
                let fields = crate::row::owned(&[
                    (":method", b"GET"),
                    (":scheme", b"http"),
                    (":authority", b"svc.example"),
                    (":path", GOOD.as_bytes()),
                    ("authorization", &authorization),
                ]);
                let id = frames.headers(&fields, true)?;
                frames.answer(id)
            }
        }
    }
}

/// Adds a listener like the first, but for what `alter` does to its HTTP connection manager.
pub(crate) fn listen(envoy: &mut Value, address: SocketAddr, alter: impl FnOnce(&mut Value)) {
    let listeners = &mut envoy["static_resources"]["listeners"];
    let mut listener = listeners[0].clone();
    listener["name"] = json!(address.to_string());
    listener["address"]["socket_address"] = json!({
        "address": address.ip().to_string(), "port_value": address.port(),
    });
    let last = listeners.as_array_mut().map_or(0, |all| {
        all.push(listener);
        all.len() - 1
    });
    alter(http_of(envoy, last));
}

/// The HTTP connection manager of a listener.
pub(crate) fn http_of(envoy: &mut Value, listener: usize) -> &mut Value {
    let filters =
        &mut envoy["static_resources"]["listeners"][listener]["filter_chains"][0]["filters"];
    &mut filters[0]["typed_config"]
}
