//! The Watson Speech to Text v1 wire format: routes, parameters, documents and errors.
//!
//! [`router`] makes an [`axum::Router`] of a [`Service`]:
//!
//! ```no_run
//! use dictum_models::{Registry, RegistryConfig};
//! use dictum_service::{Service, ServiceConfig};
//! use dictum_watson::{WatsonConfig, router};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let service = Service::new(Registry::open(&RegistryConfig::default())?, ServiceConfig::default());
//! let app = router(service.clone(), WatsonConfig::default());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! service.load().await?;
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | route | what |
//! |---|---|
//! | `GET /v1/models`, `GET /v1/models/{model_id}` | the models that are installed |
//! | `POST /v1/recognize` | a transcript of the audio in the body, see [`recognize`] |
//! | `GET /health/live`, `GET /health/ready` | whether the process answers, and whether its models are loaded |
//!
//! All of them also under the documented base paths (`/speech-to-text/api`, `/instances/{id}`, ...) and configured ones.
//! Parameters are one [table](parameters::table); `docs/api-parameters.md` is written from it.
#![forbid(unsafe_code)]

mod config;
pub mod documents;
pub mod error;
pub mod http;
mod observe;
pub mod parameters;
pub mod recognize;

use std::sync::Arc;

use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};
use dictum_service::Service;
use tower::ServiceExt;
use tower_http::cors::{Any, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;

pub use config::WatsonConfig;
use documents::{SpeechModel, SpeechModels};
use error::ApiError;
use http::{BaseUrl, Prefixes, TRANSACTION_ID, require_json_accepted};

/// What the routes share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) service: Arc<Service>,
    pub(crate) config: Arc<WatsonConfig>,
}

/// The routes of the interface.
pub fn router(service: Arc<Service>, config: WatsonConfig) -> Router {
    let prefixes = Prefixes::new(&config.base_paths);
    let app = App { service, config: Arc::new(config) };
    let routes = Router::new()
        .route("/v1/models", get(list_models))
        .route("/v1/models/{model_id}", get(get_model))
        .route("/v1/recognize", post(recognize::recognize))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .layer(RequestDecompressionLayer::new())
        .layer(from_fn_with_state(app.clone(), http::refuse_when_ending))
        .layer(cors())
        .layer(from_fn_with_state(app.clone(), http::common))
        .with_state(app);
    // Base paths come off before the routes are looked at, so this wraps the router rather than being a layer of it.
    let stripped = tower::service_fn(move |request: Request| routes.clone().oneshot(prefixes.strip(request)));
    Router::new().fallback_service(stripped)
}

/// auth.md section 5: browsers may call from any page, and preflights need no credentials.
fn cors() -> CorsLayer {
    let headers = [
        "content-type",
        "authorization",
        "x-watson-learning-opt-out",
        "x-watson-metadata",
        "x-watson-authorization-token",
        "x-watson-test",
    ];
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS])
        .allow_headers(headers.map(HeaderName::from_static))
        .expose_headers([TRANSACTION_ID])
}

async fn list_models(
    State(app): State<App>,
    Extension(BaseUrl(url)): Extension<BaseUrl>,
    headers: HeaderMap,
) -> Result<Json<SpeechModels>, ApiError> {
    require_json_accepted(&headers)?;
    let models = app.service.registry().installed().into_iter().map(|entry| SpeechModel::new(entry, &url)).collect();
    Ok(Json(SpeechModels { models }))
}

async fn get_model(
    State(app): State<App>,
    Extension(BaseUrl(url)): Extension<BaseUrl>,
    Path(model_id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<SpeechModel>, ApiError> {
    require_json_accepted(&headers)?;
    // A name that is not installed is not listed either, so here it is as unknown as any other.
    match app.service.registry().resolve(&model_id) {
        Ok(entry) => Ok(Json(SpeechModel::new(&entry, &url))),
        Err(_) => Err(ApiError::not_found(format!("Model '{model_id}' not found"))),
    }
}

async fn live() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "live" }))
}

async fn ready(State(app): State<App>) -> Result<Json<serde_json::Value>, ApiError> {
    match app.service.is_ready() {
        true => Ok(Json(serde_json::json!({ "status": "ready" }))),
        false if app.service.drain().is_draining() => Err(ApiError::ending(app.service.config().retry_after)),
        false => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "models are being loaded")),
    }
}
