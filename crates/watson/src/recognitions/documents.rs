//! The documents of jobs and of what is told about them (async.md sections 2, 4, 5 and 6).

use std::time::SystemTime;

use dictum_store::{Event, Notification, Recognition};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::documents::{ProcessingMetrics, SpeechRecognitionResults};

/// `RegisterStatus`: the answer to a registration.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RegisterStatus {
    /// `created` or `already created`.
    pub(crate) status: &'static str,
    /// The URL.
    pub(crate) url: String,
}

/// `RecognitionJobs`: the latest jobs, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecognitionJobs {
    pub(super) recognitions: Vec<RecognitionJob>,
}

/// `RecognitionJob`: which members it has depends on the call (ASY-J5, section 6).
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecognitionJob {
    id: String,
    /// `waiting`, `processing`, `completed` or `failed`.
    status: &'static str,
    /// `YYYY-MM-DDThh:mm:ss.sssZ`
    created: String,
    /// When the status last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<String>,
    /// Where to look for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_token: Option<String>,
    /// Reports on processing, if asked for, then the transcript.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<JobResult>>")]
    results: Option<Box<RawValue>>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What was odd about the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl RecognitionJob {
    fn new(job: Recognition) -> RecognitionJob {
        RecognitionJob {
            status: job.status.name(),
            created: timestamp(job.created),
            updated: Some(timestamp(job.updated)),
            id: job.id,
            url: None,
            user_token: None,
            results: None,
            error: None,
            warnings: Vec::new(),
        }
    }

    /// The answer to its creation.
    pub(super) fn created(job: Recognition, base_url: &str, warnings: Vec<String>) -> RecognitionJob {
        let url = Some(format!("{base_url}/v1/recognitions/{}", job.id));
        RecognitionJob { url, warnings, updated: None, ..RecognitionJob::new(job) }
    }

    /// A member of a list.
    pub(super) fn listed(mut job: Recognition) -> RecognitionJob {
        let user_token = job.user_token.take();
        RecognitionJob { user_token, ..RecognitionJob::new(job) }
    }

    /// By itself. `results` are as they were stored.
    pub(super) fn single(mut job: Recognition, results: Option<String>) -> RecognitionJob {
        let error = job.error.take();
        // What was written as JSON is JSON.
        let results = results.and_then(|results| RawValue::from_string(results).ok());
        RecognitionJob { error, results, ..RecognitionJob::new(job) }
    }
}

/// A member of `results`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum JobResult {
    /// How far processing had come at some time (ASY-G3).
    Periodic { processing_metrics: ProcessingMetrics },
    /// The transcript.
    Results(Box<SpeechRecognitionResults>),
}

/// The body of a notification (section 5).
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    id: &'a str,
    event: &'static str,
    user_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<&'a RawValue>,
}

impl Told<'_> {
    /// As it is sent.
    pub(super) fn body(notification: &Notification) -> Vec<u8> {
        let results = notification.results.as_deref().and_then(|results| serde_json::from_str(results).ok());
        let told = Told {
            id: &notification.recognition,
            event: event_name(notification.event),
            user_token: notification.user_token.as_deref().unwrap_or_default(),
            results,
        };
        // Strings, and JSON as it was stored, always serialise.
        serde_json::to_vec(&told).unwrap_or_default()
    }
}

/// An event as the wire has it.
pub(super) fn event_name(event: Event) -> &'static str {
    match event {
        Event::Started => "recognitions.started",
        Event::Completed => "recognitions.completed",
        Event::CompletedWithResults => "recognitions.completed_with_results",
        Event::Failed => "recognitions.failed",
    }
}

/// `YYYY-MM-DDThh:mm:ss.sssZ`
fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dictum_store::Status;
    use serde_json::{Value, json};

    use super::*;

    fn job(status: Status) -> Recognition {
        let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        Recognition {
            id: "4bd734c0-e575-21f3-de03-f932aa0468a0".to_owned(),
            created: at(1_471_461_317_926),
            updated: at(1_471_461_376_003),
            status,
            user_token: Some("job25".to_owned()),
            error: (status == Status::Failed).then(|| "No speech detected for 30s".to_owned()),
        }
    }

    fn value(document: impl Serialize) -> Value {
        serde_json::to_value(document).unwrap()
    }

    /// ASY-J1, ASY-J5
    #[test]
    fn creation() {
        let url = "https://stt.example/instances/i";
        assert_eq!(
            value(RecognitionJob::created(job(Status::Waiting), url, vec!["odd".to_owned()])),
            json!({
                "id": "4bd734c0-e575-21f3-de03-f932aa0468a0",
                "status": "waiting",
                "created": "2016-08-17T19:15:17.926Z",
                "url": "https://stt.example/instances/i/v1/recognitions/4bd734c0-e575-21f3-de03-f932aa0468a0",
                "warnings": ["odd"]
            })
        );
    }

    /// async.md section 6
    #[test]
    fn lists_have_tokens_and_single_jobs_results() {
        let common = json!({
            "id": "4bd734c0-e575-21f3-de03-f932aa0468a0",
            "status": "completed",
            "created": "2016-08-17T19:15:17.926Z",
            "updated": "2016-08-17T19:16:16.003Z"
        });
        let with = |name: &str, member: Value| {
            let mut document = common.clone();
            document[name] = member;
            document
        };
        assert_eq!(value(RecognitionJob::listed(job(Status::Completed))), with("user_token", json!("job25")));
        let results = r#"[{"results":[],"result_index":0}]"#.to_owned();
        let single = RecognitionJob::single(job(Status::Completed), Some(results));
        assert_eq!(value(single), with("results", json!([{ "results": [], "result_index": 0 }])));
        let failed = value(RecognitionJob::single(job(Status::Failed), None));
        assert_eq!(
            (failed["status"].as_str(), failed["error"].as_str()),
            (Some("failed"), Some("No speech detected for 30s"))
        );
    }

    /// async.md section 5
    #[test]
    fn notifications() {
        let mut notification = Notification {
            recognition: "4bd734c0".to_owned(),
            event: Event::Started,
            user_token: None,
            url: "http://hook".to_owned(),
            secret: None,
            results: None,
        };
        let started = r#"{"id":"4bd734c0","event":"recognitions.started","user_token":""}"#;
        assert_eq!(String::from_utf8(Told::body(&notification)).unwrap(), started);
        notification.event = Event::CompletedWithResults;
        notification.user_token = Some("job25".to_owned());
        notification.results = Some(r#"[{"results":[],"result_index":0}]"#.to_owned());
        let completed = r#"{"id":"4bd734c0","event":"recognitions.completed_with_results","user_token":"job25","results":[{"results":[],"result_index":0}]}"#;
        assert_eq!(String::from_utf8(Told::body(&notification)).unwrap(), completed);
    }
}
