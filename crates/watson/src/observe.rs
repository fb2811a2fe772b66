//! A request from its head to the last byte of its answer: what is noted of it, the line in the log, the figures.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use dictum_service::Work;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tracing::Span;

use crate::routes;
use crate::telemetry::Telemetry;

/// What routes note of the request they answer; in the extensions of every request.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    audio_seconds: f64,
    late_error: Option<StatusCode>,
}

impl Notes {
    /// So many seconds of audio were recognised.
    pub(crate) fn recognised(&self, audio_seconds: f64) {
        self.0.lock().audio_seconds += audio_seconds;
    }

    /// The request failed. (Its answer may have begun with another status.)
    pub(crate) fn failed(&self, status: StatusCode) {
        self.0.lock().late_error = Some(status);
    }
}

/// A request under way. When it ends, however it does, it is logged and counted.
///
/// What is logged is chosen here, once: the transaction id (of the span), the method, the route, the status, times. Never the
/// path, the query or a header, which may hold credentials, names or words, and nothing of the audio or the transcript.
pub(crate) struct Record {
    span: Span,
    began: Instant,
    method: &'static str,
    route: &'static str,
    status: Option<StatusCode>,
    complete: bool,
    notes: Notes,
    telemetry: Arc<Telemetry>,
    _work: Work,
}

impl Record {
    /// A request that has just come in.
    pub(crate) fn new(
        span: Span,
        method: &Method,
        route: &'static str,
        telemetry: Arc<Telemetry>,
        work: Work,
    ) -> Record {
        let (began, notes) = (Instant::now(), Notes::default());
        Record {
            span,
            began,
            method: method_name(method),
            route,
            status: None,
            complete: false,
            notes,
            telemetry,
            _work: work,
        }
    }

    /// Where its routes note things.
    pub(crate) fn notes(&self) -> Notes {
        self.notes.clone()
    }

    /// Goes on with the body of its answer, and ends with that.
    pub(crate) fn follow(mut self, response: Response) -> Response {
        self.status = Some(response.status());
        response.map(|body| Body::new(Followed { body, record: self }))
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let _in = self.span.enter();
        let took = self.began.elapsed();
        let (audio_seconds, late) = {
            let noted = self.notes.0.lock();
            (noted.audio_seconds, noted.late_error)
        };
        // Under a status that says nothing of it, an error may have come in the body.
        let error = late.or(self.status).filter(|status| status.is_client_error() || status.is_server_error());
        if let Some(error) = error {
            self.telemetry.error(error.as_u16());
        }
        let status = self.status.map(|status| status.as_u16());
        let complete = self.complete || status == Some(StatusCode::SWITCHING_PROTOCOLS.as_u16());
        self.telemetry.answered(self.method, self.route, status.filter(|_| complete), took);
        let audio_seconds = (audio_seconds > 0.0).then_some(audio_seconds);
        let (error, milliseconds) = (error.map(|error| error.as_u16()), took.as_millis() as u64);
        let (method, route) = (self.method, self.route);
        let outcome = if complete { "answered" } else { "abandoned" };
        if routes::is_probe(route) {
            tracing::debug!(method, route, status, error, milliseconds, "{outcome}");
        } else {
            tracing::info!(method, route, status, error, audio_seconds, milliseconds, "{outcome}");
        }
    }
}

/// Method names are the client's to choose, labels are not.
fn method_name(method: &Method) -> &'static str {
    const KNOWN: [&str; 6] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// The body of an answer, with the record of its request.
struct Followed {
    body: Body,
    record: Record,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) {
            self.record.complete = true;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        // Who reads a body need not ask for more once it says that there is none, and HEAD never reads it.
        self.record.complete |= self.body.is_end_stream() || self.record.method == "HEAD";
    }
}
