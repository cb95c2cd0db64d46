//! Local ports, written as text, as in Istio.

use serde::Deserialize;

/// An entry of `ports` and `notPorts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Port(pub(crate) u16);

/// A text that is no port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}': a port is a number from 1 to 65535, in quotes")]
pub(crate) struct InvalidPort(String);

impl TryFrom<String> for Port {
    type Error = InvalidPort;

    fn try_from(text: String) -> Result<Self, InvalidPort> {
        let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        match text.parse() {
            Ok(port) if plain => Ok(Port(port)),
            _ => Err(InvalidPort(text)),
        }
    }
}
