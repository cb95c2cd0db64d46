//! A token's payload, as the engine asks for it: with the types that Envoy's metadata has.

use scimesh_engine::{Claim, Claims};
use serde_json::{Map, Value};

/// The claims of a token that is taken as verified.
pub(super) struct Payload<'a>(pub(super) &'a Map<String, Value>);

impl Claims for Payload<'_> {
    fn claim(&self, name: &str) -> Claim {
        // The host knows no path to such a claim.
        if name.is_empty() || name.contains('\0') {
            return Claim::Absent;
        }
        match self.0.get(name) {
            None => Claim::Absent,
            Some(Value::String(text)) => Claim::Text(text.clone().into_bytes()),
            // Envoy has every number as a double.
            Some(Value::Number(number)) => number.as_f64().map_or(Claim::Other, Claim::Number),
            Some(Value::Bool(bool)) => Claim::Bool(*bool),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) => Claim::Other,
        }
    }
}
