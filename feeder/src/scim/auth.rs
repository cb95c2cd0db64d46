//! Who asks: the bearer token chooses the tenant (RFC 7644 section 2, RFC 6750 section 2.1).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, header};
use jiff::Timestamp;

use super::context::{Api, Context};
use super::error::Error;
use super::rate::TooSoon;
use crate::directory::{Directory, Tenant, TokenHash};

/// Lets a request through with its [`Context`], or answers 401 or 429, before anything of the body is read.
pub(crate) async fn authenticate(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    let token = bearer(request.headers()).ok_or(Error::Unauthorized)?;
    let tenant = opens(&api.ledger.directory(), &token, Timestamp::now())?.clone();
    let rate = api.rate.clone();
    let context = Context::new(api, token, tenant.name().clone(), &request);
    context.note().tenant(tenant.name());
    let mut response = match rate.count(token, tenant.name()) {
        Ok(()) => {
            request.extensions_mut().insert(context);
            next.run(request).await
        }
        Err(TooSoon { error, logged }) => {
            if !logged {
                context.note().quiet();
            }
            error.into_response()
        }
    };
    response
        .extensions_mut()
        .insert(Caller(tenant.name().clone()));
    Ok(response)
}

/// The tenant of an authenticated request, for whatever is around the API.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Arc<str>);

/// The request's token. Exactly one `Authorization` header counts.
fn bearer(headers: &HeaderMap) -> Option<TokenHash> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("Bearer")
        .then(|| TokenHash::of(token.trim()))
}

/// The tenant that a token opens in this directory at this time.
///
/// It is asked again wherever the directory is a later one, most of all by the writer: while a body was on its way the token may have been revoked,
/// and its tenant deleted and made anew.
pub(crate) fn opens<'d>(
    directory: &'d Directory,
    token: &TokenHash,
    now: Timestamp,
) -> Result<&'d Arc<Tenant>, Error> {
    // Looked up by its hash: how long that takes says nothing about tokens that exist.
    directory.opened_by(token, now).ok_or(Error::Unauthorized)
}
