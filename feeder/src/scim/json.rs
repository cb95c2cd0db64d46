//! JSON bodies: like `serde_json::Value`, but a key that occurs twice in one object is an error, and depth and memory are bounded.
//!
//! Two parsers that disagree on which of two `active` counts are an attack, so neither counts. Memory is bounded because a few bytes can ask for a
//! lot of it: an object of one key takes a hundred times its text.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use thiserror::Error;

use super::limits::{Exceeded, Limit, Limits};

/// Bytes that a value takes in its list or object, room to grow included.
const VALUE: usize = 2 * size_of::<Value>();
/// Bytes that the keys of an object are allotted at a time, and how many keys that is at least: a node of a B-tree.
const NODE: (usize, usize) = (640, 5);
/// A key is not repeated at a greater length.
const KEY_CHARS: usize = 100;

/// Why bytes are not a body.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum JsonError {
    /// Not JSON, or a key twice.
    #[error("the body is not JSON: {0}")]
    Syntax(String),
    /// Too deep, or too large.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
}

/// A key twice in one object, in different spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Twice;

/// Takes the one key of this name, in any case: keys are attribute names (RFC 7643 section 2.1).
pub(crate) fn take(object: &mut Map<String, Value>, name: &str) -> Result<Option<Value>, Twice> {
    let keys: Vec<String> = object
        .keys()
        .filter(|key| key.eq_ignore_ascii_case(name))
        .cloned()
        .collect();
    match keys.as_slice() {
        [] => Ok(None),
        [key] => Ok(object.remove(key)),
        _ => Err(Twice),
    }
}

/// Parses one JSON value without duplicate keys.
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Value, JsonError> {
    let bounds = Bounds {
        limits,
        memory: Cell::new(0),
        exceeded: Cell::new(None),
    };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = Part::whole(&bounds).deserialize(&mut deserializer);
    let parsed = parsed.and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| match bounds.exceeded.get() {
        Some(exceeded) => exceeded.into(),
        None => JsonError::Syntax(error.to_string()),
    })
}

/// What may still be read. The parser only knows errors that are texts: which limit it was is kept here.
struct Bounds<'l> {
    limits: &'l Limits,
    memory: Cell<usize>,
    exceeded: Cell<Option<Exceeded>>,
}

impl Bounds<'_> {
    fn allow<E: serde::de::Error>(&self, limit: Limit, count: usize) -> Result<(), E> {
        self.limits.allow(limit, count).map_err(|exceeded| {
            self.exceeded.set(Some(exceeded));
            E::custom(exceeded)
        })
    }

    fn take<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        self.memory.set(self.memory.get().saturating_add(bytes));
        self.allow(Limit::BodyMemory, self.memory.get())
    }
}

/// A value inside this many lists and objects.
#[derive(Clone, Copy)]
struct Part<'b> {
    bounds: &'b Bounds<'b>,
    depth: usize,
}

impl<'b> Part<'b> {
    fn whole(bounds: &'b Bounds<'b>) -> Part<'b> {
        Part { bounds, depth: 0 }
    }

    /// A value inside this one.
    fn inner<E: serde::de::Error>(self) -> Result<Part<'b>, E> {
        let depth = self.depth + 1;
        self.bounds.allow(Limit::JsonDepth, depth)?;
        Ok(Part { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.bounds.take(VALUE)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.bounds.take(value.len())?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(inner)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let (node, keys) = NODE;
        let mut object = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let first = object.len().is_multiple_of(keys);
            self.bounds.take(key.len() + if first { node } else { 0 })?;
            let value = access.next_value_seed(inner)?;
            if object.contains_key(&key) {
                let key: String = key.chars().take(KEY_CHARS).collect();
                return Err(A::Error::custom(format_args!("duplicate key {key:?}")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
        super::parse(bytes, &Limits::default())
    }

    #[test]
    fn a_duplicate_key_is_refused_at_any_depth() {
        for text in [
            r#"{"active":true,"active":false}"#,
            r#"{"Operations":[{"op":"add","value":{"a":1,"\u0061":2}}]}"#,
        ] {
            let error = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("duplicate key"), "{error}");
        }
        let long = "x".repeat(1 << 20);
        let error = parse(format!(r#"{{"{long}":1,"{long}":2}}"#).as_bytes());
        assert!(error.unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn deep_json_is_refused() {
        let deep = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(parse(&deep(32)).is_ok());
        let exceeded = JsonError::Exceeded(Limit::JsonDepth.exceeded(32));
        assert_eq!(parse(&deep(33)), Err(exceeded.clone()));
        assert_eq!(parse(&deep(100_000)), Err(exceeded.clone()));
        assert_eq!(parse(&b"{\"a\":".repeat(33)), Err(exceeded));
        // As deep as it can be set, it is still this bound that counts, and not the stack.
        let limits = Limits {
            json_depth: 100,
            ..Limits::default()
        };
        assert!(super::parse(&deep(100), &limits).is_ok());
        assert!(super::parse(&deep(101), &limits).is_err());
    }

    #[test]
    fn few_bytes_that_would_take_much_memory_are_refused() {
        let limits = Limits {
            body_memory: 1 << 20,
            ..Limits::default()
        };
        for (element, most) in [("{\"\":0},", 2000), ("[],", 20_000), ("\"\",", 20_000)] {
            let text = format!("[{}0]", element.repeat(most));
            let exceeded = JsonError::Exceeded(Limit::BodyMemory.exceeded(1 << 20));
            assert_eq!(
                super::parse(text.as_bytes(), &limits),
                Err(exceeded),
                "{element}"
            );
            assert!(parse(text.as_bytes()).is_ok());
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            &b"1e400"[..],
            b"-",
            b"01",
            b"NaN",
            b"\"\\ud800\"",
            b"\"\\udc00\\ud800\"",
            b"\"\xff\"",
            b"\"\xed\xa0\x80\"",
            b"\"\0\"",
            b"\0",
            b"\xef\xbb\xbf{}",
        ] {
            assert!(matches!(parse(text), Err(JsonError::Syntax(_))), "{text:?}");
        }
        let digits = "9".repeat(100_000);
        assert!(parse(digits.as_bytes()).is_err());
        assert!(parse(format!("0.{digits}").as_bytes()).is_ok());
        assert_eq!(parse(b"-0").unwrap().as_f64(), Some(0.0));
    }

    #[test]
    fn everything_else_reads_as_serde_json_reads_it() {
        let text = r#" {"a":[1,-2,3.5,null,true,"x\n"],"b":{},"c":[]} "#;
        let plain: Value = serde_json::from_str(text).unwrap();
        assert_eq!(parse(text.as_bytes()).unwrap(), plain);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
