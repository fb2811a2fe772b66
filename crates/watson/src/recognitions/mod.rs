//! Asynchronous recognition: `POST /v1/recognitions` and what follows it (async.md).
//!
//! Audio goes into the store as it comes and is never held whole. What can be said about a request from its head is said before a
//! byte of the body is read; what needs the audio is found out by the worker that takes the job up, and makes it fail (ASY-J3).
//! Workers are [`dictum_service::jobs`]; what they need to know of this format is [`WatsonJobs`].

pub(crate) mod documents;
mod format;
mod request;

use axum::Json;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::EXPECT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use dictum_service::accounts::Principal;
use dictum_service::limits::Room;
use dictum_store::{Deletion, NewRecognition};
pub use format::WatsonJobs;

use crate::App;
use crate::audit::{self, Call};
use crate::error::ApiError;
use crate::http::{BaseUrl, LengthAnnounced, discard, require_json_accepted};
use crate::user_data;
use documents::{RecognitionJob, RecognitionJobs};
use request::Head;

/// Creates a job.
pub(crate) async fn create(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(BaseUrl(url)): Extension<BaseUrl>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = body.into_data_stream();
    let announced = parts.extensions.get::<LengthAnnounced>().is_some_and(|LengthAnnounced(announced)| *announced);
    let asked = Asked { headers: &parts.headers, query: parts.uri.query().unwrap_or_default(), streamed: !announced };
    let outcome = match asked.check(&app, &principal).await {
        Ok(new) => new.create(&app, &mut body).await.map_err(|error| (error, true)),
        // A client that waits to be told to go on is simply not told.
        Err(error) => Err((error, !parts.headers.contains_key(EXPECT))),
    };
    match outcome {
        Ok((job, warnings)) => {
            audit::done(Call::CreateJob, &principal, Some(&job.id));
            (StatusCode::CREATED, Json(RecognitionJob::created(job, &url, warnings))).into_response()
        }
        Err((error, sending)) => {
            if sending {
                discard(body, app.config.max_audio_bytes);
            }
            error.into_response()
        }
    }
}

/// A request for a job.
struct Asked<'a> {
    headers: &'a HeaderMap,
    query: &'a str,
    streamed: bool,
}

/// A request that could become a job once its audio is there.
struct Checked {
    new: NewRecognition,
    room: Room,
    warnings: Vec<String>,
}

impl Asked<'_> {
    /// Checks what can be checked without the audio.
    async fn check(&self, app: &App, principal: &Principal) -> Result<Checked, ApiError> {
        require_json_accepted(self.headers)?;
        let customer = user_data::customer(self.headers)?;
        let mut head = Head::read(app, self.headers, self.query, self.streamed)?;
        head.request.instance.clone_from(&principal.instance);
        if let Some((id, model)) = &head.customization {
            app.customizations.taught(&principal.instance, id, model).await?;
        }
        if let Some(wanted) = &head.callback
            && app.recognitions.callback(&principal.instance, &wanted.url).await?.is_none()
        {
            return Err(ApiError::bad_request(
                "the callback_url is not registered; register it with POST /v1/register_callback first",
            ));
        }
        let room = app.recognitions.admit(&principal.instance).await?;
        let new = NewRecognition {
            instance: principal.instance.clone(),
            // Settings and strings always serialise.
            request: serde_json::to_string(&head.request).unwrap_or_default(),
            callback: head.callback,
            ttl: head.ttl,
            customer,
        };
        Ok(Checked { new, room, warnings: head.warnings })
    }
}

impl Checked {
    /// Takes the audio in and creates the job.
    async fn create(
        self,
        app: &App,
        body: &mut axum::body::BodyDataStream,
    ) -> Result<(dictum_store::Recognition, Vec<String>), ApiError> {
        let audio = app.recognitions.receive(body, app.config.max_job_bytes, self.room).await?;
        Ok((app.recognitions.create(self.new, &audio, self.room).await?, self.warnings))
    }
}

/// The latest jobs.
pub(crate) async fn list(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
) -> Result<Json<RecognitionJobs>, ApiError> {
    require_json_accepted(&headers)?;
    let jobs = app.recognitions.list(&principal.instance).await?;
    audit::done(Call::ListJobs, &principal, None);
    Ok(Json(RecognitionJobs { recognitions: jobs.into_iter().map(RecognitionJob::listed).collect() }))
}

/// One job.
pub(crate) async fn one(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<RecognitionJob>, ApiError> {
    require_json_accepted(&headers)?;
    let found = app.recognitions.get(&principal.instance, known_form(&id)?).await?;
    let (job, results) = found.ok_or_else(unknown)?;
    audit::done(Call::ReadJob, &principal, Some(&id));
    Ok(Json(RecognitionJob::single(job, results)))
}

/// Deletes a job.
pub(crate) async fn delete(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    match app.recognitions.delete(&principal.instance, known_form(&id)?).await? {
        Deletion::Done => {
            audit::done(Call::DeleteJob, &principal, Some(&id));
            Ok(StatusCode::NO_CONTENT)
        }
        Deletion::Processing => Err(ApiError::bad_request("Unable to delete the processing job")),
        Deletion::Unknown => Err(unknown()),
    }
}

/// ASY-G2: what does not look like an id is answered as one that is not known, and asks the database nothing odd.
fn known_form(id: &str) -> Result<&str, ApiError> {
    let fits = id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if fits { Ok(id) } else { Err(unknown()) }
}

/// The same for jobs that never were, are gone, or are another instance's (AUTH-13).
fn unknown() -> ApiError {
    ApiError::not_found("Not Found: there is no such recognition job")
}
