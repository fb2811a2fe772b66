//! The Watson Speech to Text v1 wire format: routes, parameters, documents and errors.
//!
//! [`router`] makes an [`axum::Router`] of a [`Service`]:
//!
//! ```no_run
//! use dictum_callbacks::Client;
//! use dictum_models::{Registry, RegistryConfig};
//! use dictum_service::accounts::{Access, Accounts, AccountsConfig};
//! use dictum_service::recognitions::Recognitions;
//! use dictum_service::{Service, ServiceConfig};
//! use dictum_store::Store;
//! use dictum_watson::{WatsonConfig, router};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let service = Service::new(Registry::open(&RegistryConfig::default())?, ServiceConfig::default());
//! let store = Store::open("/var/lib/dictum".as_ref()).await?;
//! let recognitions = Recognitions::new(store.clone(), Client::new(Default::default())?);
//! let access = Access::required(Accounts::open(store, AccountsConfig::default()).await?);
//! let app = router(service.clone(), access, recognitions, WatsonConfig::default());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! service.load().await?;
//! // With the addresses of clients, whose failures to authenticate are counted by it.
//! axum::serve(listener, app.into_make_service_with_connect_info::<std::net::SocketAddr>()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | route | what |
//! |---|---|
//! | `GET /v1/models`, `GET /v1/models/{model_id}` | the models that are installed |
//! | `POST /v1/recognize` | a transcript of the audio in the body, see [`recognize`] |
//! | `GET /v1/recognize` (WebSocket) | transcripts of audio as it is spoken, see [`websocket`] |
//! | `POST`, `GET /v1/recognitions`, `GET`, `DELETE /v1/recognitions/{id}` | jobs that transcribe audio, see [`recognitions`] |
//! | `POST /v1/register_callback`, `POST /v1/unregister_callback` | URLs that are told what happens to jobs |
//! | `/v1/customizations...` | custom language models, their corpora, words and grammars, see `customizations` |
//! | `GET .../corpora/{name}/text`, `GET .../grammars/{name}/text` | the text of a corpus or a grammar as it was sent: ours, not Watson's |
//! | `DELETE /v1/user_data` | the end of everything that is labelled with a customer id |
//! | `POST /identity/token`, `POST /v1/authorize`, `POST /icp4d-api/v1/authorize`, `GET /v1/preauth/validateAuth` | a token for an API key, as IBM Cloud and Cloud Pak for Data give it |
//! | `GET /health/live`, `GET /health/ready` | whether the process answers, and whether it takes requests |
//! | `GET /metrics` | figures for Prometheus |
//! | `GET /openapi.json` | a description of all this, see [`openapi`] |
//!
//! The routes are one table (`routes.rs`): the router and the description are made of it.
//! It also says which of them want credentials: those under `/v1`, but for those that give tokens, see [`credentials`].
//!
//! All of them also under the documented base paths (`/speech-to-text/api`, `/instances/{id}`, ...) and configured ones.
//! Parameters are one [table](parameters::table); `docs/api-parameters.md` is written from it.
#![forbid(unsafe_code)]

mod audit;
mod callbacks;
mod config;
pub mod credentials;
mod customizations;
pub mod documents;
pub mod error;
mod health;
pub mod http;
mod models;
mod observe;
pub mod openapi;
pub mod parameters;
pub mod recognitions;
pub mod recognize;
mod routes;
mod telemetry;
mod transcript;
mod user_data;
pub mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, Method};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use dictum_models::ModelEntry;
use dictum_models::recogniser::Recogniser;
use dictum_service::Service;
use dictum_service::accounts::Access;
use dictum_service::customization::{Customizations, OUTDATED, Taught};
use dictum_service::recognitions::Recognitions;
use tower::ServiceExt;
use tower_http::cors::{Any, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;

pub use config::{MetricsFor, WatsonConfig, WebSocketConfig};
use error::ApiError;
use http::{Prefixes, TRANSACTION_ID};
use parameters::Settings;
use parameters::plan::Plan;
use telemetry::Telemetry;

/// What the routes share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) service: Arc<Service>,
    pub(crate) access: Arc<Access>,
    pub(crate) recognitions: Recognitions,
    pub(crate) customizations: Customizations,
    pub(crate) config: Arc<WatsonConfig>,
    pub(crate) telemetry: Arc<Telemetry>,
}

impl App {
    /// The model that a request's parameters name, or the default one.
    pub(crate) fn chosen_model(&self, settings: &Settings) -> Result<ModelEntry, ApiError> {
        let registry = self.service.registry();
        match &settings.model {
            Some(name) => Ok(registry.resolve(name)?),
            // MODEL-01: the client did not choose this name, so that it is missing is not its mistake.
            None => {
                let name = registry.default_model();
                registry.resolve(name).map_err(|_| ApiError::not_found(format!("Model '{name}' not found")))
            }
        }
    }
}

/// What to recognise with for an instance: the model, with the custom one that the plan names, if it names one.
pub(crate) async fn recogniser(
    service: &Service,
    customizations: &Customizations,
    instance: &str,
    model: &ModelEntry,
    plan: &mut Plan,
) -> Result<Arc<Recogniser>, ApiError> {
    let Some(chosen) = &plan.customization else { return Ok(service.recogniser(model).await?) };
    let taught = customizations.taught(instance, &chosen.id, model).await?;
    let base = service.recogniser(model).await?;
    customized(&base, taught.as_ref(), plan)
}

/// A model with a custom one, at the weight that the plan names.
pub(crate) fn customized(
    base: &Arc<Recogniser>,
    taught: Option<&Taught>,
    plan: &mut Plan,
) -> Result<Arc<Recogniser>, ApiError> {
    match (&plan.customization, taught) {
        (None, _) => Ok(Arc::clone(base)),
        (Some(_), None) => {
            plan.warnings.push(OUTDATED.to_owned());
            Ok(Arc::clone(base))
        }
        (Some(chosen), Some(taught)) => Ok(taught.recogniser(base, chosen.weight, chosen.grammar.as_deref())?),
    }
}

/// The interface of a service, and the figures about it.
pub struct Interface {
    app: App,
}

impl Interface {
    /// The interface of a service, for those whom `access` lets in.
    pub fn new(
        service: Arc<Service>,
        access: Arc<Access>,
        recognitions: Recognitions,
        config: WatsonConfig,
    ) -> Interface {
        let customizations = Customizations::new(Arc::clone(&service), recognitions.store().clone())
            .with_limits(recognitions.limits().clone());
        let (config, telemetry) = (Arc::new(config), Arc::default());
        Interface { app: App { service, access, recognitions, customizations, config, telemetry } }
    }

    /// Everything in the [table of routes](openapi::document), under every base path.
    pub fn router(&self) -> Router {
        let app = self.app.clone();
        let prefixes = Prefixes::new(&app.config.base_paths);
        let routes = routes::router(&app)
            .layer(RequestDecompressionLayer::new())
            .layer(from_fn_with_state(app.clone(), http::refuse_when_ending))
            .layer(cors())
            .layer(from_fn_with_state(app.clone(), http::common))
            .with_state(app);
        // Base paths come off before the routes are looked at, so this wraps the router rather than being a layer of it.
        let stripped = tower::service_fn(move |request: Request| routes.clone().oneshot(prefixes.strip(request)));
        Router::new().fallback_service(stripped)
    }

    /// `GET /metrics` and the questions after health, for an address of their own: whoever reaches it gets the figures.
    pub fn metrics_router(&self) -> Router {
        Router::new()
            .route("/metrics", get(health::all_metrics))
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready))
            .with_state(self.app.clone())
    }
}

/// The router of an [`Interface`] that nobody else needs.
pub fn router(service: Arc<Service>, access: Arc<Access>, recognitions: Recognitions, config: WatsonConfig) -> Router {
    Interface::new(service, access, recognitions, config).router()
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
