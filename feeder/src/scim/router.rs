//! The endpoints.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use tokio::time::timeout;

use super::bodies::Bodies;
use super::context::Api;
use super::error::Error;
use super::limits::{Limit, Limits};
use super::rate::Rate;
use super::settings::Settings;
use super::{auth, bulk, discovery, endpoints, log};
use crate::ledger::Ledger;
use crate::schema::Kind;

/// The API, to be nested under [`BASE_PATH`](super::BASE_PATH). Every answer, 404 and 405 included, is SCIM's, and none is given
/// without a valid token.
pub fn router(ledger: Ledger, settings: Settings) -> Router {
    let limits = settings.limits;
    let api = Api {
        ledger,
        bodies: Arc::new(Bodies::new(limits)),
        rate: Arc::new(Rate::new(limits)),
        settings: Arc::new(settings),
    };
    Router::new()
        .merge(resources(Kind::User))
        .merge(resources(Kind::Group))
        .route(
            "/ServiceProviderConfig",
            get(discovery::service_provider_config),
        )
        .route("/ResourceTypes", get(discovery::resource_types))
        .route("/ResourceTypes/{name}", get(discovery::resource_type))
        .route("/Schemas", get(discovery::schemas))
        .route("/Schemas/{urn}", get(discovery::schema))
        .route("/Bulk", post(bulk::answer))
        .merge(me())
        .fallback(not_found)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(from_fn_with_state(api, auth::authenticate))
        .layer(from_fn(move |request, next| within(limits, request, next)))
        .layer(from_fn(log::log))
}

/// RFC 7644 section 3.11: the tokens are clients' of the tenant and stand for no user, so there is nobody to be.
fn me() -> Router {
    let me = || any(async || Error::NotImplemented);
    Router::new()
        .route("/Me", me())
        .route("/Me/", me())
        .route("/Me/{*rest}", me())
}

/// The answer to a request beside the API, which asks for no token: a client whose base URL is wrong learns that, and not that its token is.
pub async fn not_found() -> Response {
    Error::NotFound.into_response()
}

/// Refuses a URL that is too long, and a request that takes too long: to come, to find room, or to be answered.
async fn within(limits: Limits, request: Request, next: Next) -> Result<Response, Error> {
    let uri = request.uri();
    let length = uri.path().len() + uri.query().map_or(0, |query| 1 + query.len());
    limits.allow(Limit::UrlBytes, length)?;
    let time = Duration::from_secs(limits.request_seconds as u64);
    let late = Limit::RequestSeconds.exceeded(limits.request_seconds);
    timeout(time, next.run(request))
        .await
        .map_err(|_| late.into())
}

/// The endpoints of one kind of resource.
fn resources(kind: Kind) -> Router {
    let one = get(endpoints::read)
        .put(endpoints::replace)
        .patch(endpoints::patch)
        .delete(endpoints::delete);
    Router::new()
        .route(
            kind.endpoint(),
            get(endpoints::list).post(endpoints::create),
        )
        .route(&format!("{}/{{id}}", kind.endpoint()), one)
        .layer(Extension(kind))
}
