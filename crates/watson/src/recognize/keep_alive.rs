//! Answers that take long: a space every so often, so that neither the client nor anything in between gives up on them.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::json_response;
use crate::documents::SpeechRecognitionResults;
use crate::error::ApiError;

type Outcome = Result<SpeechRecognitionResults, ApiError>;

/// The answer that `job` comes to.
///
/// Spaces begin one interval after the request has been `received`: while the client is still sending it does not wait for an
/// answer, and an error (a timeout above all) can still have its status. Once a space is out the status is 200, and an error
/// has to come in the body.
///
/// The job runs inside the answer: when the client goes away and the answer is dropped, so is the job.
pub(super) async fn answer<J>(job: J, received: oneshot::Receiver<()>, interval: Duration) -> Response
where
    J: Future<Output = Outcome> + Send + 'static,
{
    let mut job: Pin<Box<dyn Future<Output = Outcome> + Send>> = Box::pin(job);
    let takes_long = async {
        match received.await {
            Ok(()) => sleep(interval).await,
            // The job has ended without; its outcome is there.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        outcome = &mut job => match outcome {
            Ok(results) => json_response(to_json(&results)),
            Err(error) => error.into_response(),
        },
        () = takes_long => json_response(Body::from_stream(spaces(job, interval))),
    }
}

/// A space, more of them, then the outcome.
fn spaces(
    job: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    interval: Duration,
) -> impl futures::Stream<Item = Result<Bytes, Infallible>> {
    const SPACE: Bytes = Bytes::from_static(b" ");
    // `None` once the outcome is out. The first space is due at once: the interval has passed already.
    stream::unfold((Some(job), true), move |(job, due)| async move {
        let mut job = job?;
        if due {
            return Some((Ok(SPACE), (Some(job), false)));
        }
        tokio::select! {
            biased;
            outcome = &mut job => {
                let body = outcome.map_or_else(|error| error.body(), |results| to_json(&results));
                Some((Ok(Bytes::from(body)), (None, false)))
            }
            () = sleep(interval) => Some((Ok(SPACE), (Some(job), false))),
        }
    })
}

fn to_json(results: &SpeechRecognitionResults) -> Vec<u8> {
    // Plain structs with string keys always serialise.
    serde_json::to_vec(results).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures::StreamExt;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(20);

    fn nothing() -> SpeechRecognitionResults {
        SpeechRecognitionResults {
            results: Vec::new(),
            result_index: 0,
            speech_begin_event: None,
            processing_metrics: None,
            audio_metrics: None,
            warnings: Vec::new(),
        }
    }

    async fn body(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    /// An answer whose request is received at once and whose job takes so long.
    async fn answer_after(seconds: u64, outcome: Outcome) -> Response {
        let (received, is_received) = oneshot::channel();
        let job = async move {
            received.send(()).unwrap();
            sleep(Duration::from_secs(seconds)).await;
            outcome
        };
        answer(job, is_received, INTERVAL).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_space_every_twenty_seconds_then_the_document() {
        let response = answer_after(65, Ok(nothing())).await;
        assert_eq!(
            (response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()),
            (200, "application/json")
        );
        assert_eq!(body(response).await, r#"   {"results":[],"result_index":0}"#);
    }

    #[tokio::test(start_paused = true)]
    async fn quick_answers_have_none() {
        assert_eq!(body(answer_after(19, Ok(nothing())).await).await, r#"{"results":[],"result_index":0}"#);
        assert_eq!(answer_after(19, Err(ApiError::bad_request("no"))).await.status(), 400);
    }

    #[tokio::test(start_paused = true)]
    async fn late_errors_come_in_the_body() {
        let response = answer_after(21, Err(ApiError::bad_request("no"))).await;
        assert_eq!(response.status(), 200);
        assert_eq!(body(response).await, r#" {"error":"no","code":400,"code_description":"Bad Request"}"#);
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_client_is_sending_errors_keep_their_status() {
        let (received, is_received) = oneshot::channel();
        let job = async move {
            sleep(Duration::from_secs(31)).await;
            drop(received);
            Err(ApiError::new(axum::http::StatusCode::REQUEST_TIMEOUT, "Session timed out."))
        };
        assert_eq!(answer(job, is_received, INTERVAL).await.status(), 408);
    }

    #[tokio::test(start_paused = true)]
    async fn the_job_ends_with_the_answer() {
        struct Flag(Arc<AtomicBool>);
        impl Drop for Flag {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let gone = Arc::new(AtomicBool::new(false));
        let flag = Flag(Arc::clone(&gone));
        let (received, is_received) = oneshot::channel();
        let job = async move {
            let _flag = flag;
            received.send(()).unwrap();
            std::future::pending().await
        };
        let mut stream = answer(job, is_received, INTERVAL).await.into_body().into_data_stream();
        assert_eq!(stream.next().await.unwrap().unwrap(), " ");
        drop(stream);
        assert!(gone.load(Ordering::SeqCst));
    }
}
