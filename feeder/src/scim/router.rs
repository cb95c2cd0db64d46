//! The endpoints.

use std::sync::Arc;

use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};
use axum::{Extension, Router};

use super::context::Api;
use super::error::Error;
use super::settings::Settings;
use super::{auth, bulk, discovery, endpoints, log};
use crate::ledger::Ledger;
use crate::schema::Kind;

/// The API, to be nested under [`BASE_PATH`](super::BASE_PATH). Every answer, 404 and 405 included, is SCIM's, and none is given
/// without a valid token.
pub fn router(ledger: Ledger, settings: Settings) -> Router {
    let api = Api {
        ledger,
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
        .fallback(async || Error::NotFound)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(from_fn_with_state(api, auth::authenticate))
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
