//! Who asks: the bearer token chooses the tenant (RFC 7644 section 2, RFC 6750 section 2.1).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, header};
use jiff::Timestamp;

use super::context::{Api, Context};
use super::error::Error;
use crate::directory::{Directory, TokenHash};

/// Lets a request through with its [`Context`], or answers 401, before anything of the body is read.
pub(crate) async fn authenticate(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    let directory = api.ledger.directory();
    let tenant =
        tenant(&directory, request.headers(), Timestamp::now()).ok_or(Error::Unauthorized)?;
    let context = Context::new(api, tenant.clone(), &request);
    request.extensions_mut().insert(context);
    let mut response = next.run(request).await;
    response.extensions_mut().insert(Caller(tenant));
    Ok(response)
}

/// The tenant of an authenticated request, for the log.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Arc<str>);

/// The tenant that the request's token opens at this time. Exactly one `Authorization` header counts.
fn tenant(directory: &Directory, headers: &HeaderMap, now: Timestamp) -> Option<Arc<str>> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return None;
    }
    // Looked up by its hash: how long that takes says nothing about tokens that exist.
    let token = directory.token(&TokenHash::of(token.trim()))?;
    let tenant = directory.tenant(&token.tenant)?;
    token.valid_at(now).then(|| tenant.name().clone())
}
