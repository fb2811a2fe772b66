//! What workers do for this wire format.

use dictum_audio::ContentType;
use dictum_service::customization::Customizations;
use dictum_service::jobs::{AudioStream, JobFailure, JobFormat};
use dictum_service::session::{SessionRequest, Update, Updates};
use dictum_service::{Delivery, Service, SessionError, UploadError, UploadLimits, upload};
use dictum_store::{Notification, StoreError};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::documents::{JobResult, Told};
use super::request::JobRequest;
use crate::documents::ProcessingMetrics;
use crate::error::ApiError;
use crate::parameters::Given;
use crate::parameters::plan::plan;
use crate::recogniser;
use crate::transcript::Transcript;

/// Jobs in the documents of Watson Speech to Text.
#[derive(Clone)]
pub struct WatsonJobs {
    customizations: Customizations,
}

impl WatsonJobs {
    /// Jobs that may be recognised with these custom models.
    pub fn new(customizations: Customizations) -> WatsonJobs {
        WatsonJobs { customizations }
    }
}

impl JobFormat for WatsonJobs {
    fn recognise<'a>(
        &'a self,
        service: &'a Service,
        request: &'a str,
        audio: AudioStream,
    ) -> BoxFuture<'a, Result<String, JobFailure>> {
        recognise(service, &self.customizations, request, audio).boxed()
    }

    fn notification(&self, notification: &Notification) -> Vec<u8> {
        Told::body(notification)
    }
}

/// What a client is told; what is the server's trouble is tried again.
fn failure(error: &ApiError) -> JobFailure {
    let message = error.message().to_owned();
    match error.status().as_u16() {
        503 => JobFailure::Trouble(message),
        _ => JobFailure::Failed(message),
    }
}

async fn recognise(
    service: &Service,
    customizations: &Customizations,
    request: &str,
    mut audio: AudioStream,
) -> Result<String, JobFailure> {
    let unreadable = |error: serde_json::Error| JobFailure::Failed(format!("the request is not understood: {error}"));
    let request: JobRequest = serde_json::from_str(request).map_err(unreadable)?;
    let name = request.settings.model.clone().unwrap_or_default();
    // Another worker may have the model, or this one after its next start.
    let model = service.registry().resolve(&name).map_err(|error| JobFailure::Trouble(error.to_string()))?;
    service.recogniser(&model).await.map_err(|error| JobFailure::Trouble(error.to_string()))?;
    let content_type = ContentType::parse(Some(&request.content_type)).map_err(|error| failure(&error.into()))?;
    let given = Given { settings: request.settings, ..Given::default() };
    let mut plan = plan(given, &model).map_err(|error| failure(&error))?;
    let recogniser = recogniser(service, customizations, &request.instance, &model, &mut plan).await;
    let recogniser = recogniser.map_err(|error| failure(&error))?;
    let admission = service.admit_background().await;
    let admission = admission.ok_or_else(|| JobFailure::Trouble("the process ends".to_owned()))?;
    let (input, updates) = admission.start(SessionRequest {
        model,
        recogniser,
        content_type,
        options: plan.options,
        inactivity_timeout: plan.inactivity_timeout.filter(|_| request.streamed),
        audio_metrics: plan.show.audio_metrics,
        background: true,
    });
    let limits = UploadLimits { delivery: Delivery::OneShot, max_bytes: u64::MAX };
    let sending = async { upload(&mut audio, input, limits).await.map_err(not_sent) };
    let ticks = plan.processing_metrics.map(|every| {
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    });
    let listening = listen(updates, Transcript::new(plan.show), ticks);
    let (_, results) = futures::future::try_join(sending, listening).await?;
    // Plain structs with string keys always serialise.
    Ok(serde_json::to_string(&results).unwrap_or_default())
}

/// Gathers what a session tells: the reports on it, if there are to be any, then the transcript (ASY-G3).
async fn listen(
    mut updates: Updates,
    mut transcript: Transcript,
    mut ticks: Option<Interval>,
) -> Result<Vec<JobResult>, JobFailure> {
    let began = Instant::now();
    let mut results = Vec::new();
    loop {
        let report =
            |updates: &Updates, periodic| ProcessingMetrics::new(updates.progress(), began.elapsed(), periodic);
        let update = tokio::select! {
            biased;
            update = updates.next() => update,
            () = next_tick(&mut ticks) => {
                results.push(JobResult::Periodic { processing_metrics: report(&updates, true) });
                continue;
            }
        };
        match update.unwrap_or(Err(SessionError::Defect)).map_err(|error| failure(&error.into()))? {
            Update::Event(event) => transcript.add(&event),
            Update::Finished(summary) => {
                transcript.end_recording(*summary);
                let last = ticks.is_some().then(|| report(&updates, false));
                // ASY-J2: warnings were in the answer to the creation.
                results.push(JobResult::Results(Box::new(transcript.into_results(Vec::new(), last))));
                return Ok(results);
            }
        }
    }
}

async fn next_tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
}

/// Why audio did not go from the store into a session.
fn not_sent(error: UploadError<StoreError>) -> JobFailure {
    match error {
        UploadError::Body(error) => error.into(),
        UploadError::TimedOut => JobFailure::Trouble("the audio does not come out of the store".to_owned()),
        UploadError::TooLarge { limit } => failure(&ApiError::too_large(limit)),
    }
}
