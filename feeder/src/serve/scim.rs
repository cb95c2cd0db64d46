//! The SCIM API in its place: mounted, with what the endpoint says of itself, and counted. What is beside it is nothing.

use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

use super::ScimEndpoint;
use crate::ledger::Ledger;
use crate::metrics::ScimMetrics;
use crate::scim;

pub(super) fn router(endpoint: &ScimEndpoint, ledger: Ledger, metrics: ScimMetrics) -> Router {
    let settings = scim::Settings {
        base_url: endpoint.base_url.clone(),
        behind_tls_proxy: endpoint.behind_tls_proxy,
        tls: endpoint.tls.is_some(),
        limits: endpoint.limits,
    };
    let api = scim::router(ledger, settings).layer(from_fn_with_state(metrics, count));
    Router::new()
        .nest_service(scim::BASE_PATH, api)
        .fallback(scim::not_found)
}

async fn count(State(metrics): State<ScimMetrics>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let response = next.run(request).await;
    let caller = response.extensions().get::<scim::Caller>();
    let tenant = caller.map(|caller| &*caller.0);
    metrics.answered(tenant, &method, response.status(), started.elapsed());
    response
}
