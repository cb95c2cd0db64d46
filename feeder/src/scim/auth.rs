//! Who asks: the bearer token chooses the tenant (RFC 7644 section 2, RFC 6750 section 2.1).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, header};
use jiff::Timestamp;

use super::context::{Api, Context};
use super::error::Error;
use crate::directory::TokenHash;

/// Lets a request through with its [`Context`], or answers 401, before anything of the body is read.
pub(crate) async fn authenticate(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    let token = token(request.headers()).ok_or(Error::Unauthorized)?;
    let directory = api.ledger.directory();
    let tenant = directory
        .opened_by(&token, Timestamp::now())
        .ok_or(Error::Unauthorized)?
        .name()
        .clone();
    let context = Context::new(api, token, tenant.clone(), &request);
    request.extensions_mut().insert(context);
    let mut response = next.run(request).await;
    response.extensions_mut().insert(Caller(tenant));
    Ok(response)
}

/// The tenant of an authenticated request, for the log.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Arc<str>);

/// The request's bearer token. Exactly one `Authorization` header counts.
fn token(headers: &HeaderMap) -> Option<TokenHash> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    // Looked up by its hash: how long that takes says nothing about tokens that exist.
    scheme
        .eq_ignore_ascii_case("Bearer")
        .then(|| TokenHash::of(token.trim()))
}
