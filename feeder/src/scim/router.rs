//! The endpoints.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;

use super::context::Api;
use super::error::Error;
use super::settings::Settings;
use super::{auth, discovery, group, log, user};
use crate::ledger::Ledger;

/// The API, to be nested under [`BASE_PATH`](super::BASE_PATH). Every answer, 404 and 405 included, is SCIM's, and none is given
/// without a valid token.
pub fn router(ledger: Ledger, settings: Settings) -> Router {
    let api = Api {
        ledger,
        settings: Arc::new(settings),
    };
    Router::new()
        .route("/Users", get(user::list).post(user::create))
        .route(
            "/Users/{id}",
            get(user::read)
                .put(user::replace)
                .patch(user::patch)
                .delete(user::delete),
        )
        .route("/Groups", get(group::list).post(group::create))
        .route(
            "/Groups/{id}",
            get(group::read)
                .put(group::replace)
                .patch(group::patch)
                .delete(group::delete),
        )
        .route(
            "/ServiceProviderConfig",
            get(discovery::service_provider_config),
        )
        .route("/ResourceTypes", get(discovery::resource_types))
        .route("/ResourceTypes/{name}", get(discovery::resource_type))
        .route("/Schemas", get(discovery::schemas))
        .route("/Schemas/{urn}", get(discovery::schema))
        .fallback(async || Error::NotFound)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(from_fn_with_state(api, auth::authenticate))
        .layer(from_fn(log::log))
}
