//! Every way in which a request can fail, and the one place that chooses status and `scimType` (RFC 7644 section 3.12).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::bulk::BulkError;
use super::filter::FilterError;
use super::json::JsonError;
use super::limits::{Exceeded, Limit};
use super::patch::{PatchError, ValueError};
use super::reply;
use super::search::CursorError;
use crate::directory::Refused;
use crate::ledger::{Failed, Unavailable};
use crate::schema::Unknown;

/// Seconds after which a client may try a write again that the store could not take.
const RETRY_AFTER_SECONDS: u64 = 5;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Error {
    /// Any bad credential, of whatever kind: which one is nobody's business.
    #[error("a valid bearer token is required")]
    Unauthorized,
    /// A filter where RFC 7644 section 4 forbids it.
    #[error("this endpoint takes no filter")]
    FilterForbidden,
    /// No such endpoint, or no such resource in this tenant.
    #[error("not found")]
    NotFound,
    /// An endpoint of the RFC that the server does without: `/Me` (RFC 7644 section 3.11).
    #[error("not implemented")]
    NotImplemented,
    /// The endpoint has no such method.
    #[error("the endpoint does not support this method")]
    MethodNotAllowed,
    /// The resource is not at the version that `If-Match` names, or at the one that `If-None-Match` does.
    #[error("the resource is not at the version that the request demands")]
    PreconditionFailed,
    /// More than a limit allows.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// The token was used too often.
    #[error("{limit}; try again in {retry_after} s")]
    TooOften {
        /// The bound.
        limit: Exceeded,
        /// In seconds.
        retry_after: u64,
    },
    /// A body that does not say that it is JSON.
    #[error("the body has to be application/scim+json or application/json")]
    MediaType,
    /// A body that can't be read as JSON.
    #[error("{0}")]
    Json(String),
    /// A parameter of a query, in the URL or in a SearchRequest, that can't be read.
    #[error("parameter {name:?} is not {expected}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// An order by what can't order.
    #[error("sortBy: {0}")]
    SortBy(&'static str),
    /// An order by an attribute that nobody knows.
    #[error("sortBy: {0}")]
    SortByUnknown(Unknown),
    /// A cursor that opens nothing.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// A `count` that can't be read, or differs from that of the page before.
    #[error("count has to be an integer, and with a cursor the same for every page")]
    Count,
    /// A query that would take too long.
    #[error("{0}; ask for less, or by an indexed attribute")]
    TooMany(Exceeded),
    /// A filter that can't be read.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A body that can't be carried out.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// A Bulk request, or one of its operations, that can't be carried out.
    #[error(transparent)]
    Bulk(#[from] BulkError),
    /// The directory said no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Nothing can be written now.
    #[error("the server can't store changes now; try again later")]
    Unavailable,
}

impl From<Failed<Error>> for Error {
    fn from(failed: Failed<Error>) -> Error {
        match failed {
            Failed::Refused(error) => error,
            Failed::Unavailable(cause) => cause.into(),
        }
    }
}

impl From<JsonError> for Error {
    fn from(error: JsonError) -> Error {
        match error {
            JsonError::Exceeded(exceeded) => exceeded.into(),
            JsonError::Syntax(_) => Error::Json(error.to_string()),
        }
    }
}

impl From<Unavailable> for Error {
    fn from(cause: Unavailable) -> Error {
        tracing::warn!(%cause, "a SCIM write was not stored");
        Error::Unavailable
    }
}

impl Error {
    /// Status and `scimType` (RFC 7644 table 9).
    pub(crate) fn kind(&self) -> (StatusCode, Option<&'static str>) {
        let bad = |scim_type| (StatusCode::BAD_REQUEST, Some(scim_type));
        match self {
            Error::Unauthorized => (StatusCode::UNAUTHORIZED, None),
            Error::FilterForbidden => (StatusCode::FORBIDDEN, None),
            Error::NotFound => (StatusCode::NOT_FOUND, None),
            Error::NotImplemented => (StatusCode::NOT_IMPLEMENTED, None),
            Error::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, None),
            Error::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, None),
            Error::Exceeded(exceeded) => exceeded_kind(exceeded.limit),
            Error::TooOften { .. } => (StatusCode::TOO_MANY_REQUESTS, None),
            Error::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, None),
            Error::Json(_) => bad("invalidSyntax"),
            Error::Parameter { .. } => bad("invalidValue"),
            // RFC 7644 table 9: "The specified filter yields many more results than the server is willing to calculate or process."
            Error::Filter(FilterError::Exceeded(exceeded)) if exceeded.limit == Limit::Work => {
                bad("tooMany")
            }
            // RFC 7644 table 9 has invalidPath for PATCH alone.
            Error::SortBy(_) | Error::SortByUnknown(_) => bad("invalidValue"),
            // RFC 9865 section 2.1.
            Error::Cursor(CursorError::Invalid) => bad("invalidCursor"),
            Error::Cursor(CursorError::Expired) => bad("expiredCursor"),
            Error::Count => bad("invalidCount"),
            Error::TooMany(_) => bad("tooMany"),
            Error::Filter(_) => bad("invalidFilter"),
            Error::Bulk(error) => error.kind(),
            Error::Patch(error) => patch_kind(error),
            Error::Refused(refused) => refused_kind(refused),
            Error::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, None),
        }
    }

    /// What there was too much of, wherever it was met.
    pub(crate) fn exceeded(&self) -> Option<Exceeded> {
        match self {
            Error::Exceeded(exceeded)
            | Error::Filter(FilterError::Exceeded(exceeded))
            | Error::Patch(
                PatchError::Exceeded(exceeded)
                | PatchError::Filter(FilterError::Exceeded(exceeded))
                | PatchError::Value(ValueError::Exceeded(exceeded)),
            ) => Some(*exceeded),
            _ => None,
        }
    }

    /// The unknown attribute that it failed by.
    pub(crate) fn misnamed(&self) -> Option<&Unknown> {
        match self {
            Error::SortByUnknown(unknown)
            | Error::Filter(FilterError::Unknown(unknown))
            | Error::Patch(PatchError::Unknown(unknown) | PatchError::MemberKey(unknown))
            | Error::Patch(PatchError::Filter(FilterError::Unknown(unknown))) => Some(unknown),
            _ => None,
        }
    }

    /// What the client is told. Another tenant's resources look like none.
    fn detail(&self) -> String {
        match self.kind().0 {
            StatusCode::UNAUTHORIZED => Error::Unauthorized.to_string(),
            StatusCode::NOT_FOUND => Error::NotFound.to_string(),
            _ => self.to_string(),
        }
    }

    /// The error as SCIM writes it.
    pub(crate) fn body(&self) -> Value {
        let (status, scim_type) = self.kind();
        let mut body = Map::new();
        body.insert(
            "schemas".to_owned(),
            json!(["urn:ietf:params:scim:api:messages:2.0:Error"]),
        );
        body.insert("status".to_owned(), status.as_str().into());
        body.insert("detail".to_owned(), self.detail().into());
        if let Some(scim_type) = scim_type {
            body.insert("scimType".to_owned(), scim_type.into());
        }
        Value::Object(body)
    }
}

/// What the resource, the body or the server is too small for is 413; what nests too deep to be read is 400.
fn exceeded_kind(limit: Limit) -> (StatusCode, Option<&'static str>) {
    match limit {
        Limit::JsonDepth => (StatusCode::BAD_REQUEST, Some("invalidSyntax")),
        Limit::FilterBytes | Limit::FilterDepth | Limit::FilterTerms => {
            (StatusCode::BAD_REQUEST, Some("invalidFilter"))
        }
        Limit::UrlBytes => (StatusCode::URI_TOO_LONG, None),
        Limit::RequestSeconds => (StatusCode::REQUEST_TIMEOUT, None),
        _ => (StatusCode::PAYLOAD_TOO_LARGE, None),
    }
}

fn patch_kind(error: &PatchError) -> (StatusCode, Option<&'static str>) {
    let scim_type = match error {
        PatchError::Exceeded(exceeded)
        | PatchError::Filter(FilterError::Exceeded(exceeded))
        | PatchError::Value(ValueError::Exceeded(exceeded)) => {
            return exceeded_kind(exceeded.limit);
        }
        PatchError::Value(ValueError::TooMany { .. }) => {
            return (StatusCode::PAYLOAD_TOO_LARGE, None);
        }
        PatchError::Body(_) => "invalidSyntax",
        PatchError::Path(_) | PatchError::Unknown(_) => "invalidPath",
        PatchError::Filter(_) => "invalidFilter",
        PatchError::Value(_) | PatchError::Members(_) | PatchError::MemberKey(_) => "invalidValue",
        PatchError::ReadOnly(_) | PatchError::Required(_) | PatchError::Immutable(_) => {
            "mutability"
        }
        PatchError::NoTarget(_) => "noTarget",
    };
    (StatusCode::BAD_REQUEST, Some(scim_type))
}

fn refused_kind(refused: &Refused) -> (StatusCode, Option<&'static str>) {
    match refused {
        // The tenant went between the check of its token and the write: the token went with it.
        Refused::NoSuchTenant(_) => (StatusCode::UNAUTHORIZED, None),
        Refused::NoSuchUser(_) | Refused::NoSuchGroup(_) => (StatusCode::NOT_FOUND, None),
        Refused::Full { .. } => (StatusCode::PAYLOAD_TOO_LARGE, None),
        Refused::UserNameTaken => (StatusCode::CONFLICT, Some("uniqueness")),
        Refused::NoSuchMember(_)
        | Refused::Missing(_)
        | Refused::Invalid { .. }
        | Refused::TooDeep { .. }
        // What only an operator's commands are refused for.
        | Refused::TenantExists(_)
        | Refused::InvalidTenantName(_)
        | Refused::IssuerTaken { .. } | Refused::TrustDomainTaken { .. }
        | Refused::NoSuchBinding(_)
        | Refused::Frozen(_)
        | Refused::NotFrozen(_)
        | Refused::NoSuchHold(_)
        | Refused::Extension(_)
        | Refused::ExtensionInUse { .. }
        | Refused::NoSuchExtension { .. }
        | Refused::NoSuchToken { .. } => (StatusCode::BAD_REQUEST, Some("invalidValue")),
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.kind().0;
        let retry_after = match &self {
            Error::TooOften { retry_after, .. } => Some(*retry_after),
            Error::Unavailable => Some(RETRY_AFTER_SECONDS),
            _ => None,
        };
        let mut response = reply::json(status, &self.body());
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"scim\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_can_not_write_is_503_and_says_when_to_come_back() {
        let response = Error::from(Unavailable::Closed).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
    }

    #[test]
    fn a_tenant_that_went_meanwhile_looks_like_a_bad_token() {
        let gone = Error::from(Refused::NoSuchTenant("corp".to_owned()));
        assert_eq!(gone.kind(), Error::Unauthorized.kind());
        assert_eq!(gone.detail(), Error::Unauthorized.detail());
    }
}
