//! The body of a Bulk request (RFC 7644 section 3.7), before anything is looked up.
//!
//! A body that does not have the RFC's form is refused whole; what is wrong with an operation beyond its form concerns that operation alone.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::BulkError;
use crate::scim::dialect::Dialect;
use crate::scim::json;
use crate::scim::reading::Reading;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// As the response repeats it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }

    /// None if Bulk has no such method.
    fn parse(text: &str, reading: &mut Reading) -> Option<Method> {
        let upper = text.to_ascii_uppercase();
        let all = [Method::Post, Method::Put, Method::Patch, Method::Delete];
        let method = all.into_iter().find(|method| method.as_str() == upper)?;
        if upper != text {
            reading.note(Dialect::MethodCase);
        }
        Some(method)
    }
}

/// One element of `Operations`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operation {
    pub(super) method: Method,
    /// Each operation's own; a POST has one.
    pub(super) bulk_id: Option<String>,
    pub(super) path: String,
    /// What `If-Match` is elsewhere.
    pub(super) version: Option<String>,
    /// The body; null for DELETE.
    pub(super) data: Value,
}

/// A Bulk request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    /// Errors after which the rest is left; none is no such number.
    pub(super) fail_on_errors: Option<u64>,
    pub(super) operations: Vec<Operation>,
}

impl Request {
    /// Reads a body of at most `limit` operations.
    pub(super) fn parse(
        body: Value,
        limit: usize,
        reading: &mut Reading,
    ) -> Result<Request, BulkError> {
        let Value::Object(mut body) = body else {
            return Err(BulkError::Body("the body is not a JSON object"));
        };
        let twice = |_| BulkError::Body("a key occurs twice in different spelling");
        let fail_on_errors = match json::take(&mut body, "failOnErrors").map_err(twice)? {
            None | Some(Value::Null) => None,
            Some(number) => Some(number.as_u64().ok_or(BulkError::Body(
                "\"failOnErrors\" is not an integer from 0 on",
            ))?),
        };
        let Some(Value::Array(list)) = json::take(&mut body, "Operations").map_err(twice)? else {
            return Err(BulkError::Body("\"Operations\" is not a list"));
        };
        let count = list.len();
        if count > limit {
            return Err(BulkError::TooMany { count, limit });
        }
        let mut operations = Vec::with_capacity(count);
        let mut bulk_ids = HashMap::new();
        for (index, value) in list.into_iter().enumerate() {
            let operation = Operation::parse(value, reading)
                .map_err(|why| BulkError::Operation { index, why })?;
            if let Some(bulk_id) = &operation.bulk_id
                && let Some(first) = bulk_ids.insert(bulk_id.clone(), index)
            {
                return Err(BulkError::Duplicate { index, first });
            }
            operations.push(operation);
        }
        Ok(Request {
            fail_on_errors,
            operations,
        })
    }
}

impl Operation {
    /// Reads one operation; an error says what is wrong.
    fn parse(operation: Value, reading: &mut Reading) -> Result<Operation, &'static str> {
        let Value::Object(mut operation) = operation else {
            return Err("not a JSON object");
        };
        let method = text(&mut operation, "method", "\"method\" is not a string")?
            .and_then(|method| Method::parse(&method, reading))
            .ok_or("\"method\" is none of POST, PUT, PATCH and DELETE")?;
        let bulk_id = text(&mut operation, "bulkId", "\"bulkId\" is not a string")?;
        // Some clients write what they have none of as an empty string.
        let bulk_id = bulk_id.filter(|bulk_id| !bulk_id.is_empty());
        if method == Method::Post && bulk_id.is_none() {
            return Err("a POST needs a \"bulkId\"");
        }
        let path = text(&mut operation, "path", "\"path\" is not a string")?;
        let path = path.ok_or("there is no \"path\"")?;
        let version = text(&mut operation, "version", "\"version\" is not a string")?;
        let data = take(&mut operation, "data")?.unwrap_or_default();
        if method != Method::Delete && data.is_null() {
            return Err("there is no \"data\"");
        }
        Ok(Operation {
            method,
            bulk_id,
            path,
            version: version.filter(|version| !version.is_empty()),
            data,
        })
    }
}

fn take(operation: &mut Map<String, Value>, name: &str) -> Result<Option<Value>, &'static str> {
    json::take(operation, name).map_err(|_| "a key occurs twice in different spelling")
}

fn text(
    operation: &mut Map<String, Value>,
    name: &str,
    otherwise: &'static str,
) -> Result<Option<String>, &'static str> {
    match take(operation, name)? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(otherwise),
    }
}
