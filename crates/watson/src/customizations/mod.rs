//! Custom language models: `/v1/customizations` and what is below it (language-models.md, corpora-words-grammars.md).
//!
//! What may be asked for and what becomes of it is [`dictum_service::customization`]'s; here is how it is written.

pub(crate) mod documents;
mod resources;
pub(crate) mod routes;
mod words;

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use dictum_service::accounts::Principal;
use dictum_service::customization::{CustomizationError, NewModel, TrainOptions};
use serde_json::{Map, Value};

use crate::App;
use crate::audit::Made;
use crate::error::ApiError;
use crate::http::require_json_accepted;
use documents::{CreatedModel, Empty, LanguageModel, LanguageModels, Training};

/// Most bytes of a JSON body: as many words as a model may have, with all that can be said of them.
const LONGEST_BODY: usize = 128 << 20;
/// Most characters of a body that an error repeats.
const LONGEST_QUOTE: usize = 200;

/// Makes a model.
pub(crate) async fn create(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Extension<Made>, Json<CreatedModel>), ApiError> {
    require_json_accepted(&headers)?;
    let members = Members::read(&headers, body).await?;
    let new = NewModel {
        name: members.required("name")?,
        base_model: members.required("base_model_name")?,
        dialect: members.optional("dialect")?,
        description: members.optional("description")?,
    };
    let customization_id = app.customizations.create(&principal.instance, new).await?;
    Ok((StatusCode::CREATED, Extension(Made(customization_id.clone())), Json(CreatedModel { customization_id })))
}

/// The models of an instance.
pub(crate) async fn list(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<LanguageModels>, ApiError> {
    require_json_accepted(&headers)?;
    let query = QueryMap::read(query.as_deref());
    let models = app.customizations.models(&principal.instance, query.get("language")).await?;
    let warnings = query.unexpected(&["language"]);
    let customizations = models.into_iter().map(|model| LanguageModel::new(model, warnings.clone())).collect();
    Ok(Json(LanguageModels { customizations }))
}

/// One model.
pub(crate) async fn one(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<LanguageModel>, ApiError> {
    require_json_accepted(&headers)?;
    let model = app.customizations.model(&principal.instance, &id).await?;
    Ok(Json(LanguageModel::new(model, QueryMap::read(query.as_deref()).unexpected(&[]))))
}

/// Removes a model.
pub(crate) async fn delete(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<Json<Empty>, ApiError> {
    app.customizations.delete(&principal.instance, &id).await?;
    Ok(Json(Empty {}))
}

/// Removes everything in a model.
pub(crate) async fn reset(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<Json<Empty>, ApiError> {
    app.customizations.reset(&principal.instance, &id).await?;
    Ok(Json(Empty {}))
}

/// Carries a model over to the present version of its base model.
pub(crate) async fn upgrade(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<Json<Empty>, ApiError> {
    app.customizations.upgrade(&principal.instance, &id).await?;
    Ok(Json(Empty {}))
}

/// Trains a model.
pub(crate) async fn train(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Training>, ApiError> {
    let query = QueryMap::read(query.as_deref());
    let user_words_only = match query.get("word_type_to_add") {
        None | Some("all") => false,
        Some("user") => true,
        Some(_) => return Err(query.refused("word_type_to_add", "all or user")),
    };
    let weight = query.get("customization_weight").map(|text| {
        let weight = text.trim().parse::<f64>().ok().filter(|weight| (0.0..=1.0).contains(weight));
        weight.ok_or_else(|| query.refused("customization_weight", "a number between 0.0 and 1.0"))
    });
    let options = TrainOptions {
        user_words_only,
        weight: weight.transpose()?,
        strict: query.flag("strict", true)?,
        force: query.flag("force", false)?,
    };
    let warnings = app.customizations.train(&principal.instance, &id, &options).await?;
    Ok(Json(Training::new(warnings)))
}

/// The parameters of a query, the last one of each name.
pub(crate) struct QueryMap(BTreeMap<String, String>);

impl QueryMap {
    pub(crate) fn read(query: Option<&str>) -> QueryMap {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        QueryMap(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The value of a parameter; an empty one is none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.get(name).map(|text| text.trim().to_ascii_lowercase()).as_deref() {
            None => Ok(default),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(self.refused(name, "true or false")),
        }
    }

    pub(crate) fn refused(&self, name: &str, wanted: &str) -> ApiError {
        ApiError::bad_request(format!("Invalid value of the parameter '{name}': it must be {wanted}"))
    }

    /// What to say of parameters that are not known here.
    fn unexpected(&self, known: &[&str]) -> Option<String> {
        let tokens = ["access_token", "watson-token"];
        let unknown = |name: &&String| !known.contains(&name.as_str()) && !tokens.contains(&name.as_str());
        let names: Vec<String> = self.0.keys().filter(unknown).map(|name| format!("'{name}'")).collect();
        (!names.is_empty()).then(|| format!("Unexpected query parameter(s) [{}] detected", names.join(", ")))
    }
}

/// A JSON object in the body of a request.
pub(crate) struct Members {
    members: Map<String, Value>,
    text: String,
}

impl Members {
    pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Members, ApiError> {
        let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case("application/json") {
            let text = "Unsupported Media Type: send application/json, and say so in Content-Type";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
        let bytes = axum::body::to_bytes(body, LONGEST_BODY).await;
        let bytes = bytes.map_err(|_| ApiError::too_large(LONGEST_BODY as u64))?;
        let malformed = || ApiError::bad_request(format!("Malformed JSON: '{}'", quote(&bytes)));
        let members = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
        Ok(Members { members, text: quote(&bytes) })
    }

    fn required(&self, name: &str) -> Result<String, ApiError> {
        match self.members.get(name) {
            None => Err(ApiError::bad_request(format!("Required parameter '{name}' is missing"))),
            Some(Value::Null) => Err(ApiError::bad_request(format!("Required parameter '{name}' cannot be null"))),
            Some(Value::String(text)) if text.is_empty() => {
                Err(ApiError::bad_request(format!("Required parameter '{name}' cannot be empty string")))
            }
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(wrong_type(name)),
        }
    }

    fn optional(&self, name: &str) -> Result<Option<String>, ApiError> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong_type(name)),
        }
    }
}

/// What a client has sent, as errors repeat it.
fn quote(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(LONGEST_QUOTE).collect()
}

fn wrong_type(name: &str) -> ApiError {
    ApiError::bad_request(format!("Wrong type of parameter '{name}' detected in the passed JSON"))
}

impl From<CustomizationError> for ApiError {
    fn from(error: CustomizationError) -> ApiError {
        match error {
            CustomizationError::Unknown(_) => ApiError::unauthorized(error.to_string()),
            CustomizationError::Busy(_) => ApiError::new(StatusCode::CONFLICT, error.to_string()),
            CustomizationError::Invalid(invalid) => ApiError::bad_request(invalid.to_string()),
            CustomizationError::Models(error) => error.into(),
            CustomizationError::Store(error) => error.into(),
            CustomizationError::Loading(_) => {
                tracing::error!(%error, "a custom model is not to be used");
                let text = "The custom model could not be loaded. The server's log says why.";
                ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }
}
