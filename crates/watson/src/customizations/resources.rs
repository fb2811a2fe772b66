//! Corpora and grammars of custom language models (corpora-words-grammars.md sections 2 and 4).

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dictum_service::accounts::Principal;
use dictum_service::customization::{LARGEST_CORPUS, ReceiveError};
use dictum_service::limits::Room;
use dictum_store::{Blob, NewResource, ResourceKind};
use futures::{Stream, TryStreamExt};
use multer::Multipart;

use super::QueryMap;
use super::documents::{Corpora, Corpus, Empty, GrammarDocument, Grammars};
use crate::error::ApiError;
use crate::http::{discard, require_json_accepted};
use crate::{App, user_data};

/// Most bytes of a grammar.
const LARGEST_GRAMMAR: u64 = dictum_language::LONGEST_GRAMMAR as u64;
/// The part of a form that has the text.
const PART: &str = "corpus_file";

/// Where a resource is: the model and its name.
type Place = Path<(String, String)>;

/// The corpora of a model.
pub(crate) async fn corpora(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Corpora>, ApiError> {
    require_json_accepted(&headers)?;
    let resources = app.customizations.resources(&principal.instance, &id, ResourceKind::Corpus).await?;
    Ok(Json(Corpora { corpora: resources.into_iter().map(Corpus::new).collect() }))
}

/// The grammars of a model.
pub(crate) async fn grammars(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Grammars>, ApiError> {
    require_json_accepted(&headers)?;
    let resources = app.customizations.resources(&principal.instance, &id, ResourceKind::Grammar).await?;
    Ok(Json(Grammars { grammars: resources.into_iter().map(GrammarDocument::new).collect() }))
}

/// One corpus.
pub(crate) async fn corpus(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path((id, name)): Place,
    headers: HeaderMap,
) -> Result<Json<Corpus>, ApiError> {
    require_json_accepted(&headers)?;
    let found = app.customizations.resource(&principal.instance, &id, (ResourceKind::Corpus, &name)).await?;
    Ok(Json(Corpus::new(found)))
}

/// One grammar.
pub(crate) async fn grammar(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path((id, name)): Place,
    headers: HeaderMap,
) -> Result<Json<GrammarDocument>, ApiError> {
    require_json_accepted(&headers)?;
    let found = app.customizations.resource(&principal.instance, &id, (ResourceKind::Grammar, &name)).await?;
    Ok(Json(GrammarDocument::new(found)))
}

/// The text of a corpus.
pub(crate) async fn corpus_text(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path((id, name)): Place,
) -> Result<Response, ApiError> {
    text(&app, &principal, &id, (ResourceKind::Corpus, &name)).await
}

/// The text of a grammar.
pub(crate) async fn grammar_text(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path((id, name)): Place,
) -> Result<Response, ApiError> {
    text(&app, &principal, &id, (ResourceKind::Grammar, &name)).await
}

/// What was sent, as it was sent.
async fn text(
    app: &App,
    principal: &Principal,
    id: &str,
    resource: (ResourceKind, &str),
) -> Result<Response, ApiError> {
    let (media, text) = app.customizations.text(&principal.instance, id, resource).await?;
    // Of a corpus no character set is known: what was sent is what its author has.
    let media = media.as_deref().and_then(|media| HeaderValue::from_str(media).ok());
    let media = media.unwrap_or(HeaderValue::from_static("text/plain"));
    Ok(([(CONTENT_TYPE, media)], Body::from_stream(text)).into_response())
}

/// Removes a corpus.
pub(crate) async fn delete_corpus(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path((id, name)): Place,
) -> Result<Json<Empty>, ApiError> {
    app.customizations.delete_resource(&principal.instance, &id, (ResourceKind::Corpus, &name)).await?;
    Ok(Json(Empty {}))
}

/// Removes a grammar.
pub(crate) async fn delete_grammar(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path((id, name)): Place,
) -> Result<Json<Empty>, ApiError> {
    app.customizations.delete_resource(&principal.instance, &id, (ResourceKind::Grammar, &name)).await?;
    Ok(Json(Empty {}))
}

/// Adds a corpus.
pub(crate) async fn add_corpus(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path((id, name)): Place,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Empty>), ApiError> {
    let wish = Wish { app: &app, principal: &principal, id, name, kind: ResourceKind::Corpus, media: None };
    wish.add(query, &headers, body, corpus_form(&headers)).await
}

/// Adds a grammar.
pub(crate) async fn add_grammar(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path((id, name)): Place,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Empty>), ApiError> {
    // GRM-1
    let media = media(&headers).filter(|media| matches!(media.as_str(), "application/srgs" | "application/srgs+xml"));
    let form = media.as_ref().map(|_| Form::Bare).ok_or_else(|| {
        let text = "Invalid grammar content type. Please use 'application/srgs' or 'application/srgs+xml'.";
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    });
    let wish = Wish { app: &app, principal: &principal, id, name, kind: ResourceKind::Grammar, media };
    wish.add(query, &headers, body, form).await
}

/// How a text is sent.
enum Form {
    Bare,
    /// In a part of a form with this boundary.
    Multipart(String),
}

/// The type of a body, without parameters, in lower case.
fn media(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase()).filter(|media| !media.is_empty())
}

/// corpora-words-grammars.md section 2.1
fn corpus_form(headers: &HeaderMap) -> Result<Form, ApiError> {
    let unsupported = || {
        let text = "Invalid corpus content type. Please use 'text/plain'.";
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    };
    match media(headers).as_deref() {
        None | Some("text/plain" | "application/octet-stream" | "application/x-www-form-urlencoded") => Ok(Form::Bare),
        Some("multipart/form-data") => {
            let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            multer::parse_boundary(value).map(Form::Multipart).map_err(|_| unsupported())
        }
        Some(_) => Err(unsupported()),
    }
}

/// A resource that is to be added.
struct Wish<'a> {
    app: &'a App,
    principal: &'a Principal,
    id: String,
    name: String,
    kind: ResourceKind,
    media: Option<String>,
}

impl Wish<'_> {
    async fn add(
        self,
        query: Option<String>,
        headers: &HeaderMap,
        body: Body,
        form: Result<Form, ApiError>,
    ) -> Result<(StatusCode, Json<Empty>), ApiError> {
        let mut body = body.into_data_stream();
        let outcome = self.take(query, headers, &mut body, form).await;
        if outcome.is_err() {
            discard(body, LARGEST_GRAMMAR);
        }
        outcome.map(|()| (StatusCode::CREATED, Json(Empty {})))
    }

    async fn take(
        self,
        query: Option<String>,
        headers: &HeaderMap,
        body: &mut BodyDataStream,
        form: Result<Form, ApiError>,
    ) -> Result<(), ApiError> {
        require_json_accepted(headers)?;
        let customer = user_data::customer(headers)?;
        let replace = QueryMap::read(query.as_deref()).flag("allow_overwrite", false)?;
        let (all, instance) = (&self.app.customizations, &self.principal.instance);
        // What can be refused before the text is read is refused now.
        let model = all.check_resource(instance, &self.id, (self.kind, &self.name), replace).await?;
        let room = all.room(instance).await?;
        room.admits_bytes(1)?;
        let text = match form? {
            Form::Bare => self.receive(body, room).await?,
            Form::Multipart(boundary) => {
                let mut parts = Multipart::new(body, boundary);
                let malformed =
                    |error: multer::Error| ApiError::bad_request(format!("the multipart body is malformed: {error}"));
                loop {
                    let part = parts.next_field().await.map_err(malformed)?;
                    let Some(part) = part else {
                        return Err(ApiError::bad_request("Corpus file not specified or empty"));
                    };
                    if part.name() == Some(PART) {
                        break self.receive(&mut part.map_err(malformed), room).await?;
                    }
                }
            }
        };
        let new = NewResource { name: self.name, kind: self.kind, media: self.media, text, customer };
        Ok(all.add_resource(instance, &model.id, new, replace).await?)
    }

    async fn receive<S, E>(&self, text: &mut S, room: Room) -> Result<Blob, ApiError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: Into<ApiError>,
    {
        let most = if self.kind == ResourceKind::Corpus { LARGEST_CORPUS } else { LARGEST_GRAMMAR };
        match self.app.customizations.receive(text, most, room).await {
            Ok(blob) => Ok(blob),
            Err(ReceiveError::Upload(error)) => Err(error.into()),
            Err(ReceiveError::Exceeded(error)) => Err(error.into()),
            Err(ReceiveError::Store(error)) => Err(error.into()),
        }
    }
}
