//! `GET /v1/models`: the models that are installed (models.md).

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;

use crate::App;
use crate::documents::{SpeechModel, SpeechModels};
use crate::error::ApiError;
use crate::http::{BaseUrl, require_json_accepted};

/// All of them.
pub(crate) async fn list(
    State(app): State<App>,
    Extension(BaseUrl(url)): Extension<BaseUrl>,
    headers: HeaderMap,
) -> Result<Json<SpeechModels>, ApiError> {
    require_json_accepted(&headers)?;
    let models = app.service.registry().installed().into_iter().map(|entry| SpeechModel::new(entry, &url)).collect();
    Ok(Json(SpeechModels { models }))
}

/// One of them.
pub(crate) async fn one(
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
