//! The HTTP request that opens a connection (websocket.md section 1).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{SEC_WEBSOCKET_VERSION, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use dictum_models::ModelEntry;
use dictum_models::recogniser::Recogniser;
use dictum_service::accounts::Principal;
use dictum_service::customization::Taught;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tracing::Instrument;

use super::connection::Connection;
use super::wire::Wire;
use crate::App;
use crate::error::ApiError;
use crate::parameters::plan::plan;
use crate::parameters::{Given, Place};

/// What a connection was opened for; no message changes it.
pub(super) struct Opened {
    pub(super) app: App,
    /// The parameters of the query.
    pub(super) given: Given,
    pub(super) model: ModelEntry,
    pub(super) recogniser: Arc<Recogniser>,
    /// The custom model that goes with it, if one was asked for and can be had.
    pub(super) taught: Option<Taught>,
}

/// The route: `GET /v1/recognize` as a WebSocket handshake.
pub(crate) async fn connect(State(app): State<App>, mut request: Request) -> Response {
    let accepted = match create_response_with_body(&request, Body::empty) {
        Ok(accepted) => accepted,
        Err(problem) => return not_a_handshake(&problem.to_string()),
    };
    let instance = request.extensions().get::<Principal>().map(|principal| principal.instance.clone());
    let query = request.uri().query().unwrap_or_default();
    let opened = match open(app, &instance.unwrap_or_default(), query).await {
        Ok(opened) => opened,
        Err(error) => return error.into_response(),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let serving = async move {
        match upgrade.await {
            Ok(stream) => {
                let wire = Wire::new(TokioIo::new(stream), opened.app.config.websocket.write_timeout).await;
                Connection::new(opened, wire).serve().await;
            }
            Err(error) => tracing::debug!(%error, "the client went away during the handshake"),
        }
    };
    // The connection outlives the route, and its log lines still belong to the request.
    tokio::spawn(serving.instrument(tracing::Span::current()));
    accepted
}

/// Checks all that the query says, and whether there is room for one more who recognises.
async fn open(app: App, instance: &str, query: &str) -> Result<Opened, ApiError> {
    let mut given = Given::default();
    given.read_query(query, Place::SocketQuery)?;
    let model = app.chosen_model(&given.settings)?;
    let as_observed = |error: ApiError| match error.status() {
        // Observed of the service; a 401 would have SDKs complain about the credentials.
        StatusCode::UNAUTHORIZED => ApiError::bad_request(error.message()),
        _ => error,
    };
    let plan = plan(given.clone(), &model).map_err(as_observed)?;
    let taught = match &plan.customization {
        Some(chosen) => {
            let taught = app.customizations.taught(instance, &chosen.id, &model).await;
            taught.map_err(|error| as_observed(error.into()))?
        }
        None => None,
    };
    let recogniser = app.service.recogniser(&model).await?;
    // The permit is taken when a request begins: connections on which nothing is said do not use one up.
    app.service.admit()?;
    Ok(Opened { app, given, model, recogniser, taught })
}

fn not_a_handshake(problem: &str) -> Response {
    let message = format!("GET /v1/recognize is for WebSocket clients ({problem}); send audio with POST /v1/recognize");
    let mut response = ApiError::new(StatusCode::UPGRADE_REQUIRED, message).into_response();
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}
