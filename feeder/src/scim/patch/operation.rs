//! The body of a PATCH request (RFC 7644 section 3.5.2), before any schema is asked.

use serde_json::{Map, Value};

use super::PatchError;
use crate::scim::dialect::Dialect;
use crate::scim::json;
use crate::scim::limits::Limit;
use crate::scim::reading::Reading;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Replace,
    Remove,
}

/// One element of `Operations`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operation {
    /// What it does.
    pub(crate) op: Op,
    /// Where; without it, the value's keys say where.
    pub(crate) path: Option<String>,
    /// The value; null is not absent.
    pub(crate) value: Option<Value>,
}

impl Operation {
    /// The operations of a PATCH body, in order. Keys and `op` in any case; `schemas` may be absent.
    pub(crate) fn parse(body: Value, reading: &mut Reading) -> Result<Vec<Operation>, PatchError> {
        let Value::Object(mut body) = body else {
            return Err(PatchError::Body("the body is not a JSON object"));
        };
        let operations = take(&mut body, "operations")?;
        // Beside the operations they would be ignored.
        for name in ["members", "active"] {
            if take(&mut body, name)?.is_some() {
                return Err(PatchError::Body(
                    "\"members\" or \"active\" outside of \"Operations\"",
                ));
            }
        }
        match operations {
            Some(Value::Array(operations)) => {
                reading.allow(Limit::PatchOperations, operations.len())?;
                if operations.is_empty() {
                    reading.note(Dialect::NoOperations);
                }
                let operations = operations.into_iter();
                operations
                    .map(|operation| Operation::parse_one(operation, reading))
                    .collect()
            }
            _ => Err(PatchError::Body("\"Operations\" is not a list")),
        }
    }

    fn parse_one(operation: Value, reading: &mut Reading) -> Result<Operation, PatchError> {
        let Value::Object(mut operation) = operation else {
            return Err(PatchError::Body("an operation is not a JSON object"));
        };
        let op = match take(&mut operation, "op")? {
            Some(Value::String(op)) => parse_op(&op, reading)?,
            _ => return Err(PatchError::Body("an operation without \"op\"")),
        };
        let path = match take(&mut operation, "path")? {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) if path.trim().is_empty() => {
                reading.note(Dialect::EmptyPath);
                None
            }
            Some(Value::String(path)) => Some(path),
            Some(_) => return Err(PatchError::Path("not a string")),
        };
        let value = take(&mut operation, "value")?;
        Ok(Operation { op, path, value })
    }
}

fn parse_op(op: &str, reading: &mut Reading) -> Result<Op, PatchError> {
    let lower = op.to_ascii_lowercase();
    if lower != op {
        reading.note(Dialect::CapitalOp);
    }
    match lower.as_str() {
        "add" => Ok(Op::Add),
        "replace" => Ok(Op::Replace),
        "remove" => Ok(Op::Remove),
        _ => Err(PatchError::Body(
            "\"op\" is none of add, replace and remove",
        )),
    }
}

fn take(object: &mut Map<String, Value>, name: &str) -> Result<Option<Value>, PatchError> {
    json::take(object, name)
        .map_err(|_| PatchError::Body("a key occurs twice in different spelling"))
}
