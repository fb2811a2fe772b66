//! Jobs of asynchronous recognition.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dictum_store::{Notification, Queue, Store, StoreError, Ticket};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};

use super::{Handler, Trouble, back_off};
use crate::Service;

/// The audio of a job, as it comes out of the store.
pub type AudioStream = Pin<Box<dyn Stream<Item = Result<Bytes, StoreError>> + Send>>;

/// Why a job has no results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobFailure {
    /// It will never have any: something about the request or the audio, in words for the client.
    Failed(String),
    /// It may have some the next time.
    Trouble(String),
}

impl From<StoreError> for JobFailure {
    fn from(error: StoreError) -> JobFailure {
        match error.is_temporary() {
            true => JobFailure::Trouble(error.to_string()),
            false => {
                tracing::error!(%error, "the audio of a job cannot be read");
                JobFailure::Failed("the audio is no longer there".to_owned())
            }
        }
    }
}

/// What a wire format makes of jobs: it alone knows how requests, results and notifications are written.
pub trait JobFormat: Send + Sync + 'static {
    /// Recognises audio as a request says, and writes down the results.
    fn recognise<'a>(
        &'a self,
        service: &'a Service,
        request: &'a str,
        audio: AudioStream,
    ) -> BoxFuture<'a, Result<String, JobFailure>>;

    /// The body of a notification.
    fn notification(&self, notification: &Notification) -> Vec<u8>;
}

/// Works on [`Queue::Recognition`].
pub struct RecognitionHandler {
    service: Arc<Service>,
    store: Store,
    format: Arc<dyn JobFormat>,
}

impl RecognitionHandler {
    /// A handler that recognises with `service`.
    pub fn new(service: Arc<Service>, store: Store, format: Arc<dyn JobFormat>) -> RecognitionHandler {
        RecognitionHandler { service, store, format }
    }

    async fn recognise(&self, ticket: &Ticket) -> Result<(), Trouble> {
        let Some(work) = self.store.begin_recognition(ticket).await? else { return Ok(()) };
        let outcome = match self.store.blobs().read(&work.blob).await {
            Ok(audio) => self.format.recognise(&self.service, &work.request, Box::pin(audio)).await,
            Err(error) => Err(error.into()),
        };
        let ended = match outcome {
            Ok(results) => self.store.complete_recognition(ticket, &results).await?,
            Err(JobFailure::Failed(error)) => self.store.fail_recognition(ticket, &error).await?,
            Err(JobFailure::Trouble(why)) => {
                let after = back_off(ticket.attempt, Duration::from_secs(2), Duration::from_secs(60));
                return Err(Trouble { why, after });
            }
        };
        match ended {
            true => tracing::info!("recognition ended"),
            false => tracing::warn!("the claim was lost before the end"),
        }
        Ok(())
    }
}

impl Handler for RecognitionHandler {
    fn queue(&self) -> Queue {
        Queue::Recognition
    }

    fn run<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<(), Trouble>> {
        self.recognise(ticket).boxed()
    }

    fn give_up<'a>(&'a self, ticket: &'a Ticket, why: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        tracing::warn!(why, "recognition given up");
        // Why is for the operator; it may be about files and hosts.
        let told = "the audio could not be recognised: the server failed at each attempt";
        self.store.fail_recognition(ticket, told).map(|ended| ended.map(drop)).boxed()
    }
}
