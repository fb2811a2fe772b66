//! How the server is: for supervisors and for Prometheus.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, Extension, State};
use axum::http::header::{CONTENT_TYPE, FORWARDED, VIA};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use dictum_store::QueueCount;
use serde_json::{Value, json};

use crate::App;
use crate::config::MetricsFor;
use crate::error::ApiError;
use crate::telemetry::OPEN_METRICS;

/// How long database and blob store may take to answer the question whether they do.
const LONGEST_CHECK: Duration = Duration::from_secs(3);

/// Whether the process answers.
pub(crate) async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// Whether requests are taken.
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    match app.service.is_ready() {
        true => {
            // Jobs and credentials need what is kept; a server that cannot reach it is better passed over.
            let checked = tokio::time::timeout(LONGEST_CHECK, app.recognitions.check()).await;
            match checked {
                Ok(checked) => checked?,
                Err(_) => {
                    let message = "the database or the blob store does not answer";
                    return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message));
                }
            }
            Ok(Json(json!({ "status": "ready" })))
        }
        false if app.service.drain().is_draining() => Err(ApiError::ending(app.service.config().retry_after)),
        false => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "models are being loaded")),
    }
}

/// The figures, to those who may see them; to others they are not there.
pub(crate) async fn metrics(
    State(app): State<App>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let shown = match app.config.metrics {
        MetricsFor::Everybody => true,
        MetricsFor::Nobody => false,
        MetricsFor::Loopback => {
            let near = peer.is_some_and(|Extension(ConnectInfo(peer))| peer.ip().to_canonical().is_loopback());
            near && !is_forwarded(&headers)
        }
    };
    match shown {
        true => Ok(figures(&app).await),
        false => Err(ApiError::not_found("Not Found")),
    }
}

/// The figures, to anybody.
pub(crate) async fn all_metrics(State(app): State<App>) -> Response {
    figures(&app).await
}

async fn figures(app: &App) -> Response {
    let mut text = String::new();
    app.service.write_metrics(&mut text);
    // What cannot be asked now is left out: a figure that is not there is better than a wrong one.
    if let Ok(Ok(counts)) = tokio::time::timeout(LONGEST_CHECK, app.recognitions.queue_counts()).await {
        write_queues(&counts, &mut text);
    }
    app.telemetry.write(&mut text);
    ([(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS))], text).into_response()
}

/// How much there is to do, for all processes that share the store.
fn write_queues(counts: &[QueueCount], text: &mut String) {
    text.push_str("# HELP dictum_queue_tickets Work in the queues, by whether somebody is at it.\n");
    text.push_str("# TYPE dictum_queue_tickets gauge\n");
    for QueueCount { queue, waiting, running } in counts {
        for (state, count) in [("waiting", waiting), ("running", running)] {
            // Writing to a string does not fail.
            let _ = writeln!(text, "dictum_queue_tickets{{queue=\"{}\",state=\"{state}\"}} {count}", queue.name());
        }
    }
}

/// Whether a proxy says that the request is somebody else's. (One that is silent about it cannot be told from a neighbour.)
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED)
        || headers.contains_key(VIA)
        || headers.keys().any(|name| name.as_str().starts_with("x-forwarded-") || name == "x-real-ip")
}
