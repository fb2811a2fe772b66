//! `POST /v1/recognize`: a transcript of the audio in the body (recognize.md).
//!
//! The order of things: everything that can be said about the request from its head is said before a byte of the body is
//! read; then the client gets a permit or is sent away; then the body is recognised while it arrives. What goes wrong later
//! still has its status as long as the answer has not begun, which it does, with a space, when it takes long.

mod keep_alive;
mod multipart;

use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, HeaderValue, request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dictum_audio::ContentType;
use dictum_models::ModelEntry;
use dictum_service::accounts::Principal;
use dictum_service::session::{SessionRequest, Summary, Update, Updates};
use dictum_service::{Admission, Delivery, SessionClock, UploadError, UploadLimits, upload};
use futures::Stream;
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::documents::SpeechRecognitionResults;
use crate::error::ApiError;
use crate::http::{LengthAnnounced, discard, require_json_accepted};
use crate::observe::Notes;
use crate::parameters::plan::{Plan, plan};
use crate::parameters::{Given, Place};
use crate::transcript::Transcript;
use crate::{App, recogniser};

/// A request as far as its head tells.
struct Head {
    given: Given,
    model: ModelEntry,
    delivery: Delivery,
    body: BodyKind,
    notes: Notes,
    /// The instance that it is recognised for.
    instance: String,
}

/// What the body is.
enum BodyKind {
    /// Audio and nothing else.
    Audio(ContentType),
    /// Parts with this boundary between them: parameters first, then audio.
    Multipart { boundary: String },
}

/// The route.
pub(crate) async fn recognize(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.into_data_stream();
    let notes = parts.extensions.get::<Notes>().cloned().unwrap_or_default();
    let admitted = read_head(&app, &parts).and_then(|head| Ok((head, app.service.admit()?)));
    let (head, admission) = match admitted {
        Ok(admitted) => admitted,
        Err(error) => {
            // A client that waits to be told to go on is simply not told.
            if !parts.headers.contains_key(EXPECT) {
                discard(body, app.config.max_audio_bytes);
            }
            return error.into_response();
        }
    };
    let (received, is_received) = oneshot::channel();
    let interval = app.config.keep_alive;
    let job = async move {
        let max_bytes = app.config.max_audio_bytes;
        let mut body = body;
        let outcome = run(&app, head, admission, &mut body, received).await;
        if let Err(error) = &outcome {
            notes.failed(error.status());
            discard(body, max_bytes);
        }
        outcome
    };
    // The job may outlive the route, inside the body of the answer, and still belongs to the request.
    let job = job.instrument(tracing::Span::current());
    keep_alive::answer(job, is_received, interval).await
}

fn read_head(app: &App, parts: &request::Parts) -> Result<Head, ApiError> {
    let headers = &parts.headers;
    require_json_accepted(headers)?;
    let body = body_kind(headers)?;
    let place = match body {
        BodyKind::Audio(_) => Place::Query,
        BodyKind::Multipart { .. } => Place::MultipartQuery,
    };
    let mut given = Given::default();
    given.read_query(parts.uri.query().unwrap_or_default(), place)?;
    let model = app.chosen_model(&given.settings)?;
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let announced = parts.extensions.get::<LengthAnnounced>().is_some_and(|LengthAnnounced(announced)| *announced);
    let limit = app.config.max_audio_bytes;
    let delivery = if announced { Delivery::OneShot } else { Delivery::Streaming };
    let notes = parts.extensions.get::<Notes>().cloned().unwrap_or_default();
    let instance = parts.extensions.get::<Principal>().map(|principal| principal.instance.clone()).unwrap_or_default();
    let head = Head { given, model, delivery, body, notes, instance };
    match (&head.body, length) {
        (BodyKind::Audio(_), Some(length)) if length > limit => Err(ApiError::too_large(limit)),
        (BodyKind::Audio(_), _) => {
            // Told before the body is read; what comes of it is made again when it is.
            plan(head.given.clone(), &head.model)?;
            Ok(head)
        }
        (BodyKind::Multipart { .. }, _) => Ok(head),
    }
}

fn body_kind(headers: &HeaderMap) -> Result<BodyKind, ApiError> {
    let content_type = match headers.get(CONTENT_TYPE) {
        Some(value) => Some(value.to_str().map_err(|_| ApiError::bad_request("the Content-Type header is not text"))?),
        None => None,
    };
    let media = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("multipart/form-data") {
        return Ok(BodyKind::Audio(ContentType::parse(content_type)?));
    }
    match multer::parse_boundary(content_type.unwrap_or_default()) {
        Ok(boundary) => Ok(BodyKind::Multipart { boundary }),
        Err(_) => Err(ApiError::bad_request("the Content-Type multipart/form-data has no boundary")),
    }
}

/// Recognises a body. `received` is told when the client has sent its (first) recording.
async fn run(
    app: &App,
    head: Head,
    admission: Admission,
    body: &mut BodyDataStream,
    received: oneshot::Sender<()>,
) -> Result<SpeechRecognitionResults, ApiError> {
    let limits = UploadLimits { delivery: head.delivery, max_bytes: app.config.max_audio_bytes };
    match head.body {
        BodyKind::Audio(content_type) => {
            let plan = plan(head.given, &head.model)?;
            let asked = Asked { instance: &head.instance, model: head.model, plan, notes: head.notes };
            let mut recording = Transcription::new(app, admission, asked, received).await?;
            recording.recognise(body, content_type, limits).await?;
            Ok(recording.results())
        }
        BodyKind::Multipart { boundary } => {
            let mut parts = multipart::Parts::new(body, &boundary, app.config.max_audio_bytes);
            let multipart::Metadata { given, content_type, announced } = in_time(parts.metadata(head.given)).await?;
            let plan = plan(given, &head.model)?;
            let asked = Asked { instance: &head.instance, model: head.model, plan, notes: head.notes };
            let mut recording = Transcription::new(app, admission, asked, received).await?;
            let mut left = limits;
            let mut count = 0;
            while let Some(mut part) = in_time(parts.next_upload()).await? {
                let bytes = recording.recognise(&mut part, content_type.clone(), left).await?;
                left.max_bytes = left.max_bytes.saturating_sub(bytes);
                count += 1;
            }
            multipart::check_count(announced, count)?;
            Ok(recording.results())
        }
    }
}

/// Gives a client the length of a session timeout to send what lies between recordings.
async fn in_time<T>(reading: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    match tokio::time::timeout(SessionClock::WINDOW, reading).await {
        Ok(read) => read,
        Err(_) => Err(UploadError::<ApiError>::TimedOut.into()),
    }
}

/// The recordings of a request being transcribed, one after the other.
struct Transcription {
    admission: Admission,
    recogniser: std::sync::Arc<dictum_models::recogniser::Recogniser>,
    model: ModelEntry,
    plan: Plan,
    notes: Notes,
    /// Taken when the first recording is complete.
    received: Option<oneshot::Sender<()>>,
    transcript: Transcript,
}

/// What is asked for.
struct Asked<'a> {
    instance: &'a str,
    model: ModelEntry,
    plan: Plan,
    notes: Notes,
}

impl Transcription {
    async fn new(
        app: &App,
        admission: Admission,
        Asked { instance, model, mut plan, notes }: Asked<'_>,
        received: oneshot::Sender<()>,
    ) -> Result<Transcription, ApiError> {
        let recogniser = recogniser(&app.service, &app.customizations, instance, &model, &mut plan).await?;
        let transcript = Transcript::new(plan.show.clone());
        Ok(Transcription { admission, recogniser, model, plan, notes, received: Some(received), transcript })
    }

    /// Transcribes one recording; its times begin at zero (REC-M7). Returns the number of its bytes.
    async fn recognise<S, E>(
        &mut self,
        body: &mut S,
        content_type: ContentType,
        limits: UploadLimits,
    ) -> Result<u64, ApiError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: Into<ApiError>,
    {
        let streaming = limits.delivery == Delivery::Streaming;
        let declared = content_type.to_string();
        let request = SessionRequest {
            model: self.model.clone(),
            recogniser: self.recogniser.clone(),
            content_type,
            options: self.plan.options.clone(),
            inactivity_timeout: self.plan.inactivity_timeout.filter(|_| streaming),
            audio_metrics: self.plan.show.audio_metrics,
            background: false,
        };
        let (input, updates) = self.admission.start(request);
        let received = self.received.take();
        let sending = async {
            let bytes = upload(body, input, limits).await.map_err(ApiError::from)?;
            if let Some(received) = received {
                // Nobody waits for it any more when the answer has begun.
                let _ = received.send(());
            }
            Ok(bytes)
        };
        let (bytes, summary) = futures::future::try_join(sending, self.listen(updates)).await?;
        self.notes.recognised(summary.audio_seconds);
        tracing::debug!(
            model = self.model.info.name,
            content_type = declared,
            bytes,
            audio_seconds = summary.audio_seconds,
            speech_seconds = summary.speech_seconds,
            decode_seconds = summary.decode_seconds,
            utterances = self.transcript.len(),
            "recognised"
        );
        self.transcript.end_recording(summary);
        Ok(bytes)
    }

    async fn listen(&mut self, mut updates: Updates) -> Result<Summary, ApiError> {
        while let Some(update) = updates.next().await {
            match update? {
                Update::Event(event) => self.transcript.add(&event),
                Update::Finished(summary) => return Ok(*summary),
            }
        }
        // A session's last update is its summary or an error.
        Err(dictum_service::SessionError::Defect.into())
    }

    fn results(self) -> SpeechRecognitionResults {
        self.transcript.into_results(self.plan.warnings, None)
    }
}

fn json_response(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
