//! Words of custom language models (corpora-words-grammars.md section 3).

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use dictum_service::accounts::Principal;
use dictum_service::customization::{NewWord, Order, WordType};
use serde_json::{Map, Value};

use super::documents::{Empty, Word, Words};
use super::{Members, QueryMap, quote, wrong_type};
use crate::error::ApiError;
use crate::http::require_json_accepted;
use crate::{App, user_data};

/// All words of a model.
pub(crate) async fn list(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Words>, ApiError> {
    require_json_accepted(&headers)?;
    let query = QueryMap::read(query.as_deref());
    let wanted = match query.get("word_type") {
        None | Some("all") => WordType::All,
        Some("user") => WordType::User,
        Some("corpora") => WordType::Corpora,
        Some("grammars") => WordType::Grammars,
        Some(_) => return Err(query.refused("word_type", "all, user, corpora or grammars")),
    };
    let sort = query.get("sort").unwrap_or("alphabetical");
    // A plus that was not encoded arrives as a space.
    let descending = sort.starts_with('-');
    let by_count = match sort.trim_start_matches(['+', '-', ' ']) {
        "alphabetical" => false,
        "count" => true,
        _ => return Err(query.refused("sort", "alphabetical or count, with + or - before it")),
    };
    let order = Order { by_count, descending };
    let words = app.customizations.words(&principal.instance, &id, wanted, order).await?;
    Ok(Json(Words { words: words.into_iter().map(Word::new).collect() }))
}

/// One word.
pub(crate) async fn one(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path((id, word)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Word>, ApiError> {
    require_json_accepted(&headers)?;
    Ok(Json(Word::new(app.customizations.word(&principal.instance, &id, &word).await?)))
}

/// Adds words or changes them.
pub(crate) async fn add(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Empty>), ApiError> {
    require_json_accepted(&headers)?;
    let customer = user_data::customer(&headers)?;
    // Before a long body is read.
    app.customizations.model(&principal.instance, &id).await?;
    let mut members = Members::read(&headers, body).await?;
    let words = match members.members.remove("words") {
        None => return Err(missing("words", &members.text)),
        Some(Value::Array(words)) => words,
        Some(_) => return Err(wrong_type("words")),
    };
    let words: Result<Vec<NewWord>, ApiError> = words
        .into_iter()
        .map(|word| match word {
            Value::Object(members) => match text(&members, "word")? {
                Some(word) => defined(word, &members),
                None => Err(missing("word", &quote(Value::Object(members).to_string().as_bytes()))),
            },
            _ => Err(wrong_type("words")),
        })
        .collect();
    app.customizations.add_words(&principal.instance, &id, words?, false, customer.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(Empty {})))
}

/// Adds one word or changes it.
pub(crate) async fn put(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path((id, word)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Empty>), ApiError> {
    require_json_accepted(&headers)?;
    let customer = user_data::customer(&headers)?;
    let members = Members::read(&headers, body).await?;
    // Of the right type even though the path wins.
    text(&members.members, "word")?;
    let word = defined(word, &members.members)?;
    app.customizations.add_words(&principal.instance, &id, vec![word], true, customer.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(Empty {})))
}

/// Removes a word.
pub(crate) async fn delete(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path((id, word)): Path<(String, String)>,
) -> Result<Json<Empty>, ApiError> {
    app.customizations.delete_word(&principal.instance, &id, &word).await?;
    Ok(Json(Empty {}))
}

fn missing(name: &str, text: &str) -> ApiError {
    ApiError::bad_request(format!("Required property '{name}' is missing in JSON '{text}'"))
}

fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, ApiError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong_type(name)),
    }
}

/// corpora-words-grammars.md section 3.1
fn defined(word: String, members: &Map<String, Value>) -> Result<NewWord, ApiError> {
    let sounds_like = match members.get("sounds_like") {
        None | Some(Value::Null) => None,
        Some(Value::Array(items)) => {
            let items = items.iter().map(|item| item.as_str().map(str::to_owned));
            Some(items.collect::<Option<Vec<_>>>().ok_or_else(|| wrong_type("sounds_like"))?)
        }
        Some(_) => return Err(wrong_type("sounds_like")),
    };
    let mapping_only = match members.get("mapping_only") {
        None | Some(Value::Null) => None,
        // SDKs send any of these.
        Some(value @ (Value::Bool(_) | Value::String(_) | Value::Array(_))) => Some(value.clone()),
        Some(_) => return Err(wrong_type("mapping_only")),
    };
    Ok(NewWord { word, sounds_like, display_as: text(members, "display_as")?, mapping_only })
}
