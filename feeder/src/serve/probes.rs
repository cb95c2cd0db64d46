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

/// Why not, if not.
pub(super) type WhyNot = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// What the probes tell of.
#[derive(Clone)]
pub(super) struct Probes {
    /// Why only a restart helps. Not for what ends by itself, such as a full disk: a restart would cut streams off for nothing.
    pub(super) lost: WhyNot,
    /// Why the feeder should get no traffic.
    pub(super) unready: WhyNot,
    pub(super) metrics: Arc<Registry>,
}

pub(super) fn router(probes: Probes) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(probes)
}

async fn healthz(State(probes): State<Probes>) -> (StatusCode, String) {
    match (probes.lost)() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("restart: {why}\n")),
    }
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
