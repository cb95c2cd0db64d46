//! A token's payload as JSON that can be read in one way only.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why bytes are no claims. No value is repeated.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadClaims {
    /// RFC 8259; or a name is there twice, for which Envoy refuses the whole token (RFC 7519 section 4: they must be unique).
    #[error("not JSON that can be read in one way: {0}")]
    Json(#[from] serde_json::Error),
    /// Something else than an object.
    #[error("no object of claims")]
    NotAnObject,
}

/// Reads an object. A name that is there twice, at any depth, is an error.
pub(super) fn read(bytes: &[u8]) -> Result<Map<String, Value>, BadClaims> {
    match serde_json::from_slice(bytes)? {
        Unique(Value::Object(claims)) => Ok(claims),
        Unique(_) => Err(BadClaims::NotAnObject),
    }
}

/// A value in which no object has a name twice. (serde_json takes the last.)
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(UniqueVisitor).map(Unique)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("{name:?} is there twice")));
            }
            let Unique(value) = map.next_value()?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_keep_their_types() {
        let text = r#"{"a":"x","b":1,"c":-1.5,"d":true,"e":null,"f":["y",{"g":2}],"h":"\u0000"}"#;
        let expected = json!({"a": "x", "b": 1, "c": -1.5, "d": true, "e": null, "f": ["y", {"g": 2}], "h": "\u{0}"});
        assert_eq!(Value::Object(read(text.as_bytes()).unwrap()), expected);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (bad, said) in [
            (&br#"{"a":1,"a":2}"#[..], "\"a\" is there twice"),
            (br#"{"a":{"b":1,"\u0062":2}}"#, "\"b\" is there twice"),
            (br#"{"a":1} {}"#, "trailing"),
            (br#"{"a":"\ud800"}"#, "hex escape"),
            (b"{\"a\":\"\xff\"}", "unicode"),
            (br#"{"a":1e999}"#, "out of range"),
            (br#"{"a":01}"#, "number"),
            (b"", "EOF"),
            (br#"["a"]"#, "no object"),
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
