//! What a job was asked for: read from the head of its request, and kept until a worker takes it up.

use std::time::Duration;

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use dictum_audio::ContentType;
use dictum_models::ModelEntry;
use dictum_store::{Event, Wanted};
use serde::{Deserialize, Serialize};

use super::documents::event_name;
use crate::App;
use crate::error::ApiError;
use crate::parameters::plan::plan;
use crate::parameters::{Given, Place, Settings};

/// What is told when a request does not say (async.md section 4).
const USUAL_EVENTS: [Event; 3] = [Event::Started, Event::Completed, Event::Failed];
/// Minutes for which a job is kept when a request does not say: a week.
const USUAL_TTL: i64 = 7 * 24 * 60;

/// The part that the worker needs, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct JobRequest {
    /// The parameters, with the model they were checked against; without those of the job, which are columns.
    pub(super) settings: Settings,
    /// What the audio is declared to be.
    pub(super) content_type: String,
    /// Whether it was sent in pieces as it came about (REC-L5 is about those only).
    pub(super) streamed: bool,
    /// The instance that it is recognised for.
    #[serde(default)]
    pub(super) instance: String,
}

/// A job as far as the head of its request tells.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) request: JobRequest,
    pub(super) callback: Option<Wanted>,
    pub(super) ttl: Duration,
    pub(super) warnings: Vec<String>,
    /// The custom model that it is to be recognised with, and its base model.
    pub(super) customization: Option<(String, ModelEntry)>,
}

impl Head {
    /// Reads a head. Everything that can be refused without the audio is refused here (ASY-J3). `streamed`: its length was
    /// not announced.
    pub(super) fn read(app: &App, headers: &HeaderMap, query: &str, streamed: bool) -> Result<Head, ApiError> {
        let content_type = content_type(headers)?;
        let mut given = Given::default();
        given.read_query(query, Place::JobQuery)?;
        let model = app.chosen_model(&given.settings)?;
        let limit = app.config.max_job_bytes;
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > limit) {
            return Err(ApiError::too_large(limit));
        }
        Self::of(given, &model, content_type.to_string(), streamed)
    }

    fn of(mut given: Given, model: &ModelEntry, content_type: String, streamed: bool) -> Result<Head, ApiError> {
        let Settings { callback_url, events, user_token, results_ttl, .. } = &mut given.settings;
        let (url, events, user_token) = (callback_url.take(), events.take(), user_token.take());
        let minutes = results_ttl.take().unwrap_or(USUAL_TTL).unsigned_abs();
        let mut warnings = Vec::new();
        if url.is_none() {
            // ASY-J2
            let unexpected = [("user_token", user_token.is_some()), ("events", events.is_some())];
            warnings.extend(unexpected.into_iter().filter(|(_, given)| *given).map(|(name, _)| {
                format!("unexpected query parameter '{name}', query parameter 'callback_url' was not specified")
            }));
        }
        let events = read_events(events)?;
        // Planned again when the job is begun; here for what it refuses and warns of.
        let plan = plan(given.clone(), model)?;
        warnings.extend(plan.warnings);
        let customization = plan.customization.map(|chosen| (chosen.id, model.clone()));
        given.settings.model = Some(model.info.name.clone());
        Ok(Head {
            request: JobRequest { settings: given.settings, content_type, streamed, instance: String::new() },
            callback: url.map(|url| Wanted { url, events, user_token }),
            ttl: Duration::from_secs(minutes.saturating_mul(60)),
            warnings,
            customization,
        })
    }
}

fn content_type(headers: &HeaderMap) -> Result<ContentType, ApiError> {
    let text = match headers.get(CONTENT_TYPE) {
        Some(value) => Some(value.to_str().map_err(|_| ApiError::bad_request("the Content-Type header is not text"))?),
        None => None,
    };
    let media = text.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("multipart/form-data") {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported Media Type: send the audio alone; multipart/form-data is taken by POST /v1/recognize only",
        ));
    }
    Ok(ContentType::parse(text)?)
}

fn read_events(names: Option<Vec<String>>) -> Result<Vec<Event>, ApiError> {
    let names = names.unwrap_or_default();
    let mut events = Vec::new();
    for name in names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
        let found = Event::ALL.into_iter().find(|event| event_name(*event) == name);
        let event = found.ok_or_else(|| {
            let known = Event::ALL.map(event_name).join(", ");
            ApiError::bad_request(format!("events must be some of {known}, not '{name}'"))
        })?;
        if !events.contains(&event) {
            events.push(event);
        }
    }
    if events.contains(&Event::Completed) && events.contains(&Event::CompletedWithResults) {
        return Err(ApiError::bad_request(
            "events must not have both recognitions.completed and recognitions.completed_with_results",
        ));
    }
    Ok(if events.is_empty() { USUAL_EVENTS.to_vec() } else { events })
}

#[cfg(test)]
mod tests {
    use dictum_models::{Registry, RegistryConfig};

    use super::*;

    fn head(query: &str) -> Result<Head, String> {
        let package = tempfile::tempdir().unwrap();
        let config = RegistryConfig { default_package: Some(package.path().to_owned()), ..RegistryConfig::default() };
        let model = Registry::open(&config).unwrap().resolve("en-US_BroadbandModel").unwrap();
        let mut given = Given::default();
        given.read_query(query, Place::JobQuery).map_err(|error| error.message().to_owned())?;
        Head::of(given, &model, "audio/wav".to_owned(), false).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn defaults() {
        let head = head("callback_url=http://a/b?c%3Dd").unwrap();
        let wanted = head.callback.unwrap();
        assert_eq!((wanted.url.as_str(), wanted.user_token), ("http://a/b?c=d", None));
        assert_eq!(wanted.events, USUAL_EVENTS);
        assert_eq!((head.ttl, head.warnings.len()), (Duration::from_secs(604_800), 0));
    }

    /// async.md section 4
    #[test]
    fn events_of_a_job() {
        let events = |text: &str| {
            head(&format!("callback_url=http://a&events={text}")).map(|head| head.callback.unwrap().events)
        };
        assert_eq!(events("recognitions.failed"), Ok(vec![Event::Failed]));
        let two = events("recognitions.completed_with_results,+recognitions.started,recognitions.started");
        assert_eq!(two, Ok(vec![Event::CompletedWithResults, Event::Started]));
        assert!(events("recognitions.completed,recognitions.completed_with_results").unwrap_err().contains("both"));
        assert!(events("recognitions.begun").unwrap_err().contains("recognitions.begun"));
        assert!(head("events=recognitions.begun").is_err(), "wrong without a URL too");
    }

    /// ASY-J2
    #[test]
    fn what_is_for_a_callback_is_odd_without_one() {
        let text = "unexpected query parameter 'user_token', query parameter 'callback_url' was not specified";
        assert_eq!(head("user_token=job25").unwrap().warnings, [text]);
        let warnings = head("user_token=job25&events=recognitions.failed&nonsense=1").unwrap().warnings;
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(warnings[2].contains("Unknown url query arguments: nonsense."));
        assert!(head("results_ttl=1").unwrap().warnings.is_empty());
    }

    #[test]
    fn times_to_live() {
        assert_eq!(head("results_ttl=1").unwrap().ttl, Duration::from_secs(60));
        assert!(head("results_ttl=9223372036854775807").unwrap().ttl > Duration::from_secs(1 << 60));
        for bad in ["0", "-1", "1.5", "week"] {
            assert!(head(&format!("results_ttl={bad}")).unwrap_err().contains("results_ttl must be"), "{bad}");
        }
    }

    /// What a worker reads is what was asked for, and nothing of the callback.
    #[test]
    fn requests_survive_being_kept() {
        let request =
            head("timestamps=true&keywords=a,b&keywords_threshold=0.5&user_token=t&callback_url=http://secret")
                .unwrap()
                .request;
        let kept = serde_json::to_string(&request).unwrap();
        assert!(!kept.contains("secret") && !kept.contains("user_token"), "{kept}");
        assert_eq!(serde_json::from_str::<JobRequest>(&kept).unwrap(), request);
        assert_eq!(request.settings.model.as_deref(), Some("en-US_BroadbandModel"));
    }
}
