//! The endpoints.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, any, get, post};
use axum::{Extension, Router};
use http::Uri;
use tokio::time::timeout;
use tower::util::MapRequest;

use super::bodies::Bodies;
use super::context::Api;
use super::error::Error;
use super::limits::{Limit, Limits};
use super::rate::Rate;
use super::search::Among;
use super::settings::Settings;
use super::{auth, bulk, discovery, endpoints, log};
use crate::ledger::Ledger;
use crate::schema::Kind;

/// The API, to be nested as a service under [`BASE_PATH`](super::BASE_PATH). Every answer, 404 and 405 included, is SCIM's, and none is given
/// without a valid token.
pub fn router(ledger: Ledger, settings: Settings) -> Router {
    let limits = settings.limits;
    let api = Api {
        ledger,
        bodies: Arc::new(Bodies::new(limits)),
        rate: Arc::new(Rate::new(limits)),
        settings: Arc::new(settings),
    };
    let api = Router::new()
        .merge(resources(Kind::User))
        .merge(resources(Kind::Group))
        .merge(searchable("/", get(endpoints::list), Among::Everything))
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
        .layer(from_fn(log::log));
    // A path is what it is without a slash at its end. That is before the routes, so a layer of theirs would come too late.
    Router::new().fallback_service(MapRequest::new(api, without_slash_at_end))
}

/// `/Users/` is `/Users`, and the root is `/`.
fn without_slash_at_end(mut request: Request) -> Request {
    let path = request.uri().path();
    let shorter = path.trim_end_matches('/');
    if shorter.is_empty() || shorter.len() == path.len() {
        return request;
    }
    let shorter = match request.uri().query() {
        Some(query) => format!("{shorter}?{query}"),
        None => shorter.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = shorter.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

/// An endpoint whose resources are listed, and its `.search`.
fn searchable(path: &str, endpoint: MethodRouter, among: Among) -> Router {
    let search = format!("{}/.search", path.trim_end_matches('/'));
    Router::new()
        .route(path, endpoint)
        .route(&search, post(endpoints::search))
        .layer(Extension(among))
}

/// RFC 7644 section 3.11: the tokens are clients' of the tenant and stand for no user, so there is nobody to be.
fn me() -> Router {
    let me = || any(async || Error::NotImplemented);
    Router::new().route("/Me", me()).route("/Me/{*rest}", me())
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
    let all = get(endpoints::list).post(endpoints::create);
    searchable(kind.endpoint(), all, Among::Kind(kind))
        .route(&format!("{}/{{id}}", kind.endpoint()), one)
        .layer(Extension(kind))
}
