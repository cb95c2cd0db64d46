//! What is wrong with a Bulk request or one of its operations, beyond what could be wrong with the operation as a request of its own.

use http::StatusCode;
use thiserror::Error;

/// Why a Bulk request was refused whole, or why one of its operations was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum BulkError {
    /// Not the body of a Bulk request. Nothing of it was carried out.
    #[error("{0}")]
    Body(&'static str),
    /// An element of `Operations` that is no operation. Nothing of the request was carried out.
    #[error("Operations[{index}]: {why}")]
    Operation {
        /// Which, from 0.
        index: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// Two operations of one `bulkId`. Nothing of the request was carried out.
    #[error("Operations[{index}] has the bulkId of Operations[{first}]: each needs its own")]
    Duplicate {
        /// The later one, from 0.
        index: usize,
        /// The earlier one.
        first: usize,
    },
    /// More operations than the limit (RFC 7644 section 3.7.4). Nothing of the request was carried out.
    #[error(
        "the request has {count} operations, and maxOperations is {limit}: the limit is bulk-operations"
    )]
    TooMany {
        /// As many as there are.
        count: usize,
        /// The bound.
        limit: usize,
    },
    /// This operation's path leads nowhere that its method could go.
    #[error("Operations[{index}]: {why}")]
    Path {
        /// Which, from 0.
        index: usize,
        /// What it has to be.
        why: &'static str,
    },
    /// This operation refers to a `bulkId` that no POST of the request has.
    #[error("no operation of the request creates \"bulkId:{}\"", short(.0))]
    Unknown(String),
    /// This operation refers to a resource that was not created.
    #[error("it depends on \"bulkId:{}\", which was not created", short(.0))]
    Depends(String),
}

impl BulkError {
    /// Status and `scimType`.
    pub(crate) fn kind(&self) -> (StatusCode, Option<&'static str>) {
        let bad = |scim_type| (StatusCode::BAD_REQUEST, Some(scim_type));
        match self {
            BulkError::Body(_) | BulkError::Operation { .. } | BulkError::Duplicate { .. } => {
                bad("invalidSyntax")
            }
            BulkError::TooMany { .. } => (StatusCode::PAYLOAD_TOO_LARGE, None),
            BulkError::Path { .. } | BulkError::Unknown(_) => bad("invalidValue"),
            // RFC 7644 section 3.7.1.
            BulkError::Depends(_) => (StatusCode::CONFLICT, None),
        }
    }
}

/// As much of a client's text as an error repeats.
fn short(text: &str) -> String {
    text.chars().take(100).collect()
}
