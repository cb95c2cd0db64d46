//! `/healthz`, `/readyz` and `/metrics`, and nothing else: this address may be reached by anybody.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the probes tell of.
#[derive(Clone)]
pub(super) struct Probes {
    /// Why the feeder should get no traffic, if that is so.
    pub(super) unready: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    pub(super) metrics: Arc<Registry>,
}

pub(super) fn router(probes: Probes) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(probes)
}

async fn readyz(State(probes): State<Probes>) -> (StatusCode, String) {
    match (probes.unready)() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {why}\n"),
        ),
    }
}

async fn metrics(State(probes): State<Probes>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &probes.metrics) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
