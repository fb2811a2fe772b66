//! Errors as the wire has them: status, message, and nothing of the inside.

use std::time::Duration;

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use dictum_audio::{AudioError, ContentTypeError};
use dictum_models::{ModelsError, NameError};
use dictum_service::accounts::AccessError;
use dictum_service::recognitions::{AdmissionError, ReceiveError, RegistrationError};
use dictum_service::{Busy, SessionError, UploadError};
use dictum_store::{Exceeded, StoreError};
use schemars::JsonSchema;
use serde::Serialize;

/// An error answer (errors.md section 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    message: String,
    retry_after: Option<Duration>,
}

/// The body of an error answer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(crate) struct ErrorBody<'a> {
    /// What was wrong.
    error: &'a str,
    /// The status.
    code: u16,
    /// The status in words.
    code_description: &'a str,
}

impl ApiError {
    /// An error with the given status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> ApiError {
        ApiError { status, message: message.into(), retry_after: None }
    }

    /// 400: the client's mistake.
    pub fn bad_request(message: impl Into<String>) -> ApiError {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401: not the client's to use.
    pub fn unauthorized(message: impl Into<String>) -> ApiError {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 404: no such thing.
    pub fn not_found(message: impl Into<String>) -> ApiError {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 413: more audio than a request may have (REC-L2).
    pub fn too_large(limit: u64) -> ApiError {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("Payload exceeds the {limit} bytes limit."))
    }

    /// 503: nothing may be changed at the moment (BAK-2).
    pub fn read_only() -> ApiError {
        let message = "Service Unavailable: the server is in read-only mode; recognition and questions are answered, but \
                       nothing that is kept can be changed at the moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 503: the server is about to end.
    pub fn ending(retry_after: Duration) -> ApiError {
        let message = "the server is shutting down and takes no new requests; try again later, or another one";
        ApiError { retry_after: Some(retry_after), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What was wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The JSON body.
    pub fn body(&self) -> Vec<u8> {
        let body = ErrorBody {
            error: &self.message,
            code: self.status.as_u16(),
            code_description: self.status.canonical_reason().unwrap_or("Error"),
        };
        // Strings and a number always serialise.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if matches!(self.status, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<NameError> for ApiError {
    fn from(error: NameError) -> ApiError {
        // MODEL-03
        match error {
            NameError::Unknown(_) => ApiError::not_found(error.to_string()),
            NameError::NotInstalled(_) => ApiError::bad_request(error.to_string()),
        }
    }
}

impl From<ContentTypeError> for ApiError {
    fn from(error: ContentTypeError) -> ApiError {
        match error {
            ContentTypeError::Unsupported(_) => ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error.to_string()),
            ContentTypeError::MissingRate(_) | ContentTypeError::BadParameter { .. } => {
                ApiError::bad_request(error.to_string())
            }
        }
    }
}

impl From<ModelsError> for ApiError {
    fn from(error: ModelsError) -> ApiError {
        // Paths of the server are none of the client's business; the operator finds them in the log.
        tracing::error!(%error, "model cannot be loaded");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "The model could not be loaded. The server's log says why.")
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> ApiError {
        match error {
            AccessError::Refused => ApiError::unauthorized(error.to_string()),
            AccessError::Store(cause) => {
                tracing::error!(error = %cause, "credentials cannot be checked");
                ApiError {
                    retry_after: Some(STORE_RETRY),
                    ..ApiError::new(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "Service Unavailable: credentials cannot be checked at the moment; try again",
                    )
                }
            }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        // What is in it is the operator's business: hosts, files, what the database said.
        if error.is_temporary() {
            tracing::warn!(%error, "the store is not available");
            let message = "Service Unavailable: what the server keeps cannot be reached at the moment; try again";
            return ApiError {
                retry_after: Some(STORE_RETRY),
                ..ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
            };
        }
        tracing::error!(%error, "the store failed");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "What the server keeps is damaged. The server's log says how.")
    }
}

impl<E> From<ReceiveError<E>> for ApiError
where
    E: Into<ApiError> + std::fmt::Display,
{
    fn from(error: ReceiveError<E>) -> ApiError {
        match error {
            ReceiveError::Upload(error) => error.into(),
            ReceiveError::TooShort(_) => ApiError::bad_request(error.to_string()),
            ReceiveError::Exceeded(error) => error.into(),
            ReceiveError::Store(error) => error.into(),
        }
    }
}

impl From<AdmissionError> for ApiError {
    fn from(error: AdmissionError) -> ApiError {
        match error {
            AdmissionError::Exceeded(error) => error.into(),
            AdmissionError::Store(error) => error.into(),
        }
    }
}

/// Jobs end by themselves, so trying again helps; what is kept is for the client to delete.
impl From<Exceeded> for ApiError {
    fn from(error: Exceeded) -> ApiError {
        match error {
            Exceeded::Jobs { .. } => ApiError {
                retry_after: Some(QUOTA_RETRY),
                ..ApiError::new(StatusCode::TOO_MANY_REQUESTS, error.to_string())
            },
            Exceeded::Storage { .. } => ApiError::new(StatusCode::FORBIDDEN, error.to_string()),
        }
    }
}

/// When to come back after too many jobs.
const QUOTA_RETRY: Duration = Duration::from_secs(30);

impl ApiError {
    /// Why a callback URL was not registered (ASY-R5, ASY-R7).
    pub(crate) fn unregistrable(url: &str, error: RegistrationError) -> ApiError {
        match error {
            RegistrationError::Store(error) => error.into(),
            RegistrationError::TooMany => ApiError::bad_request(error.to_string()),
            RegistrationError::Refused(_) | RegistrationError::Challenge(_) => {
                ApiError::bad_request(format!("unable to register callback url '{url}', {error}"))
            }
        }
    }
}

/// When to come back after the store failed.
const STORE_RETRY: Duration = Duration::from_secs(5);

impl From<Busy> for ApiError {
    fn from(busy: Busy) -> ApiError {
        ApiError {
            retry_after: Some(busy.retry_after),
            ..ApiError::new(StatusCode::SERVICE_UNAVAILABLE, busy.to_string())
        }
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> ApiError {
        match error {
            SessionError::Audio(error) => error.into(),
            SessionError::TooShort { .. } | SessionError::NoSpeech { .. } => ApiError::bad_request(error.to_string()),
            SessionError::RateTooLow { rate, needed } if needed > NARROWBAND_RATE => ApiError::bad_request(format!(
                "This {rate}hz audio input requires a narrow band model. See /v1/models for a list of available models."
            )),
            SessionError::RateTooLow { rate, needed } => ApiError::bad_request(format!(
                "This {rate}hz audio input is not supported: it must be sampled at {needed}hz or more."
            )),
            SessionError::Defect => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

/// Rate of the models that the message about low rates recommends, Hz.
const NARROWBAND_RATE: u32 = 8_000;

impl From<AudioError> for ApiError {
    fn from(error: AudioError) -> ApiError {
        if let Some(reason) = error.reason() {
            tracing::info!(reason, "audio cannot be decoded");
        }
        let status = match &error {
            AudioError::NeedsFfmpeg => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            AudioError::Resources(_) => StatusCode::SERVICE_UNAVAILABLE,
            AudioError::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            AudioError::Stopped => StatusCode::INTERNAL_SERVER_ERROR,
            AudioError::UnableToTranscode { .. }
            | AudioError::Endianness { .. }
            | AudioError::RateTooLow { .. }
            | AudioError::TooManyChannels { .. } => StatusCode::BAD_REQUEST,
        };
        ApiError::new(status, error.to_string())
    }
}

impl From<axum::Error> for ApiError {
    fn from(error: axum::Error) -> ApiError {
        ApiError::bad_request(format!("the request body could not be read: {error}"))
    }
}

impl<E: Into<ApiError>> From<UploadError<E>> for ApiError {
    fn from(error: UploadError<E>) -> ApiError {
        match error {
            UploadError::TooLarge { limit } => ApiError::too_large(limit),
            UploadError::TimedOut => ApiError::new(StatusCode::REQUEST_TIMEOUT, "Session timed out."),
            UploadError::Body(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(error: impl Into<ApiError>) -> (u16, String) {
        let error = error.into();
        (error.status().as_u16(), error.message().to_owned())
    }

    /// errors.md section 3, `POST /v1/recognize`
    #[test]
    fn documented_texts() {
        let narrow =
            "This 8000hz audio input requires a narrow band model. See /v1/models for a list of available models.";
        assert_eq!(wire(SessionError::RateTooLow { rate: 8_000, needed: 16_000 }), (400, narrow.to_owned()));
        assert_eq!(wire(SessionError::RateTooLow { rate: 6_000, needed: 8_000 }).0, 400);
        assert_eq!(wire(SessionError::NoSpeech { seconds: 30.0 }), (400, "No speech detected for 30s".to_owned()));
        let short = "Stream was 99 bytes but needs to be at least 100 bytes.";
        assert_eq!(wire(SessionError::TooShort { bytes: 99, minimum: 100 }), (400, short.to_owned()));
        let unable = AudioError::UnableToTranscode {
            from: "application/octet-stream".to_owned(),
            to: "audio/l16".to_owned(),
            reason: "no format found".to_owned(),
        };
        let text = "Unable to transcode data stream application/octet-stream -> audio/l16";
        assert_eq!(wire(unable), (400, text.to_owned()));
        assert_eq!(wire(AudioError::NeedsFfmpeg).0, 415);
        let large = UploadError::<ApiError>::TooLarge { limit: 104_857_600 };
        assert_eq!(wire(large), (413, "Payload exceeds the 104857600 bytes limit.".to_owned()));
        assert_eq!(wire(UploadError::<ApiError>::TimedOut), (408, "Session timed out.".to_owned()));
        assert_eq!(wire(NameError::Unknown("x".into())), (404, "Model 'x' not found".to_owned()));
        assert_eq!(wire(NameError::NotInstalled("x".into())), (400, "Requested model is not available".to_owned()));
    }

    #[test]
    fn bodies_have_the_three_members() {
        let body: serde_json::Value =
            serde_json::from_slice(&ApiError::not_found("Model 'x' not found").body()).unwrap();
        assert_eq!(
            body,
            serde_json::json!({"error": "Model 'x' not found", "code": 404, "code_description": "Not Found"})
        );
    }

    #[test]
    fn a_full_server_says_when_to_come_back() {
        let busy = Busy { max_sessions: 3, retry_after: Duration::from_secs(5) };
        let response = ApiError::from(busy).into_response();
        assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "5"));
    }

    #[test]
    fn timeouts_and_large_bodies_close_the_connection() {
        let response = ApiError::too_large(1).into_response();
        assert_eq!(response.headers()["connection"], "close");
    }
}
