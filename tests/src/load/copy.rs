//! What a simulated filter holds of its scope, and every word of the feed's protocol that it speaks. Nothing else in these
//! tools knows a message.

use prost::Message as _;
use scimesh_proto::digest::{ContentDigest, Key};
use scimesh_proto::position::Position;
use scimesh_proto::replica::{HighWater, Received, Replica};
use scimesh_proto::scope::Scope;
use scimesh_proto::wire::v1::feeder_message::Message as Incoming;
use scimesh_proto::wire::v1::filter_message::Message as Outgoing;
use scimesh_proto::wire::{FORMAT, v1};

/// The messages of the stream.
pub use scimesh_proto::wire::v1::{FeederMessage, FilterMessage};

/// What is held.
#[derive(Debug)]
pub enum Copy {
    /// All of it, verified message by message as a filter does it: some 50 bytes an entry.
    Whole(Box<Whole>),
    /// Only where it stands and what digest the feeder said it has: nothing is verified but the order of positions.
    Light(Light),
}

/// See [`Copy::Whole`].
#[derive(Debug)]
pub struct Whole {
    replica: Replica,
    highest: HighWater,
    /// Of the last snapshot: what the naive model's digests are made with.
    key: Option<Key>,
    /// Whether the update that comes, or came last, is a delta.
    delta: bool,
}

/// See [`Copy::Light`].
#[derive(Debug)]
pub struct Light {
    scope: Scope,
    held: Option<(Position, ContentDigest)>,
    loading: Option<Loading>,
}

/// An update of which some has come.
#[derive(Debug, Clone, Copy)]
struct Loading {
    from: Option<u64>,
    to: Position,
}

/// What a message did.
#[derive(Debug)]
pub enum Heard {
    /// A piece of an update came: this is the answer.
    Part(FilterMessage),
    /// What is held is now that of `to`: to be acked. From nothing, or from another history, it was a snapshot.
    Applied {
        /// What was held before, if this came as the difference to it.
        from: Option<Position>,
        /// What is held now.
        to: Position,
    },
    /// The answer to a ping: where the feeder stands.
    Pong {
        /// Of which ping.
        id: u64,
        /// The feeder's newest durable position.
        position: Position,
    },
    /// It was refused: this is the answer.
    Refused(FilterMessage),
}

impl Copy {
    /// Nothing yet.
    pub fn new(scope: &Scope, light: bool) -> Copy {
        match light {
            true => Copy::Light(Light {
                scope: scope.clone(),
                held: None,
                loading: None,
            }),
            false => Copy::Whole(Box::new(Whole {
                replica: Replica::new(scope.clone(), u64::MAX),
                highest: HighWater::default(),
                key: None,
                delta: false,
            })),
        }
    }

    /// What it is a copy of.
    pub fn scope(&self) -> &Scope {
        match self {
            Copy::Whole(whole) => whole.replica.scope(),
            Copy::Light(light) => &light.scope,
        }
    }

    /// Where it stands.
    pub fn position(&self) -> Option<Position> {
        match self {
            Copy::Whole(whole) => whole.replica.snapshot().map(|held| *held.position()),
            Copy::Light(light) => light.held.map(|(position, _)| position),
        }
    }

    /// Digest of what is held.
    pub fn digest(&self) -> Option<ContentDigest> {
        match self {
            Copy::Whole(whole) => whole.replica.snapshot().map(|held| held.digest()),
            Copy::Light(light) => light.held.map(|(_, digest)| digest),
        }
    }

    /// The database's key, if it was sent and kept.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Copy::Whole(whole) => whole.key.as_ref(),
            Copy::Light(_) => None,
        }
    }

    /// The stream is gone, and with it what had come of a snapshot.
    pub fn disconnect(&mut self) {
        match self {
            Copy::Whole(whole) => whole.replica.disconnect(),
            Copy::Light(light) => light.loading = None,
        }
    }

    /// The first message of a stream.
    pub fn hello(&self, node: &str, vm: &str) -> FilterMessage {
        let node = v1::Node {
            id: node.to_owned(),
            cluster: "load".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            vm: vm.to_owned(),
            feed: 1,
        };
        let hello = match self {
            Copy::Whole(whole) => whole.replica.hello(node),
            Copy::Light(light) => v1::Hello {
                format: FORMAT,
                node: Some(node),
                scope: Some((&light.scope).into()),
                held: light.held.as_ref().map(|(position, _)| position.into()),
                digest: match &light.held {
                    Some((_, digest)) => digest.to_bytes().to_vec().into(),
                    None => Default::default(),
                },
            },
        };
        message(Outgoing::Hello(hello))
    }

    /// Takes one message. Of a `Light` copy an error says what no feeder may send.
    pub fn receive(&mut self, message: FeederMessage) -> Result<Heard, String> {
        match self {
            Copy::Whole(whole) => Ok(whole.receive(message)),
            Copy::Light(light) => light.receive(message),
        }
    }
}

impl Whole {
    fn receive(&mut self, message: FeederMessage) -> Heard {
        let start = match &message.message {
            Some(Incoming::Update(update)) => update.start.as_ref(),
            _ => None,
        };
        if let Some(start) = start.filter(|start| start.from.is_none()) {
            self.key = Key::from_bytes(&start.key).ok();
        }
        if let Some(start) = start {
            self.delta = start.from.is_some();
        }
        let held = self.replica.snapshot().map(|held| *held.position());
        let received = self.replica.receive(message, &mut self.highest);
        // A filter does this a little at a time, between requests; here nobody waits.
        let mut applied = None;
        let waits = matches!(received, Ok(Received::Waits));
        while !self.replica.is_settled() || (waits && applied.is_none()) {
            applied = self.replica.settle(&mut self.highest).or(applied);
        }
        let from = held.filter(|_| self.delta);
        match (received, applied) {
            (Ok(Received::Applied(to)), _) | (_, Some(to)) => Heard::Applied { from, to },
            (Ok(Received::Part | Received::Waits), _) => Heard::Part(more()),
            (Ok(Received::Pong { ping_id, position }), _) => Heard::Pong {
                id: ping_id,
                position,
            },
            (Err(rejection), _) => {
                Heard::Refused(self::message(Outgoing::Nack((&rejection).into())))
            }
        }
    }
}

impl Light {
    fn receive(&mut self, message: FeederMessage) -> Result<Heard, String> {
        let update = match message.message {
            None => return Err("an empty message".to_owned()),
            Some(Incoming::Pong(pong)) => {
                return Ok(Heard::Pong {
                    id: pong.ping_id,
                    position: position(pong.position)?,
                });
            }
            Some(Incoming::Update(update)) => update,
        };
        if let Some(start) = update.start {
            self.loading = Some(Loading {
                from: start.from,
                to: position(start.position)?,
            });
        }
        let Some(end) = update.end else {
            return match self.loading {
                Some(_) => Ok(Heard::Part(more())),
                None => Err("a piece without a start".to_owned()),
            };
        };
        let Loading { from, to } = self.loading.take().ok_or("an end without a start")?;
        let held = self.held.map(|(held, _)| held);
        let from = match (from, held) {
            (None, _) => None,
            (Some(from), Some(held)) if held.history == to.history && held.revision == from => {
                Some(held)
            }
            (Some(from), _) => return Err(format!("a delta from {from}, not {held:?}")),
        };
        self.held = Some((to, digest(&end.digest)?));
        Ok(Heard::Applied { from, to })
    }
}

fn more() -> FilterMessage {
    message(Outgoing::More(v1::More {}))
}

/// Asks whether what is held is current.
pub fn ping(id: u64, lease_ms: u64) -> FilterMessage {
    message(Outgoing::Ping(v1::Ping { id, lease_ms }))
}

/// Says that this position was applied.
pub fn ack(position: &Position) -> FilterMessage {
    message(Outgoing::Ack(v1::Ack {
        position: Some(position.into()),
        memory: None,
    }))
}

/// Bytes of a message on the wire, without gRPC's and HTTP/2's own.
pub fn size(message: &FeederMessage) -> u64 {
    message.encoded_len() as u64
}

fn message(message: Outgoing) -> FilterMessage {
    FilterMessage {
        message: Some(message),
    }
}

fn position(wire: Option<v1::Position>) -> Result<Position, String> {
    let wire = wire.ok_or("no position")?;
    Position::try_from(wire).map_err(|error| error.to_string())
}

fn digest(wire: &[u8]) -> Result<ContentDigest, String> {
    ContentDigest::from_bytes(wire).map_err(|error| error.to_string())
}
