//! What clients say (websocket.md section 2), what the server says (section 3), and why it gives a connection up (section 6).

use bytes::Bytes;
use dictum_audio::{AudioError, ContentType, ContentTypeError};
use dictum_service::{Busy, SessionError};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::documents::{AudioMetrics, ProcessingMetrics, SpeechBeginEvent, SpeechRecognitionResults};
use crate::error::ApiError;

/// A message of the client.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ClientMessage {
    /// The parameters of the requests that follow: the members of the `start` message.
    Start(Map<String, Json>),
    /// A piece of the recording; not empty.
    Audio(Bytes),
    /// The recording is complete: `stop`, or an empty binary message.
    Stop,
    /// Nothing; some clients keep connections alive with it.
    NoOp,
}

/// Members of `start` that are not recognition parameters.
pub(super) const NOT_PARAMETERS: [&str; 5] = ["action", "content-type", "content_type", "Content-Type", "contentType"];

/// Most characters of a content type.
const LONGEST_CONTENT_TYPE: usize = 256;

impl ClientMessage {
    /// Reads a text message.
    pub(super) fn of_text(text: &str) -> Result<ClientMessage, Fault> {
        let malformed = |problem: String| Fault::new("message", problem);
        let json: Json =
            serde_json::from_str(text).map_err(|error| malformed(format!("the message is not JSON: {error}")))?;
        let Json::Object(members) = json else {
            return Err(malformed("the message must be a JSON object with an action".to_owned()));
        };
        match members.get("action").and_then(Json::as_str) {
            Some("start") => Ok(ClientMessage::Start(members)),
            Some("stop") => Ok(ClientMessage::Stop),
            Some("no-op") => Ok(ClientMessage::NoOp),
            _ => Err(malformed("the message must have an action: start, stop or no-op".to_owned())),
        }
    }

    /// Takes a binary message.
    pub(super) fn of_bytes(bytes: Bytes) -> ClientMessage {
        match bytes.is_empty() {
            true => ClientMessage::Stop,
            false => ClientMessage::Audio(bytes),
        }
    }
}

/// What a `start` message says about the audio, in any SDK's spelling of `content-type` (SDK-10).
pub(super) fn content_type(members: &Map<String, Json>) -> Result<ContentType, Fault> {
    let spelled = NOT_PARAMETERS[1..].iter().filter_map(|name| members.get(*name)).find(|value| !value.is_null());
    match spelled {
        None => Ok(ContentType::parse(None)?),
        Some(Json::String(text)) if text.len() <= LONGEST_CONTENT_TYPE => Ok(ContentType::parse(Some(text))?),
        Some(_) => {
            let message = format!("content-type must be text of at most {LONGEST_CONTENT_TYPE} characters");
            Err(Fault::new("content type", message))
        }
    }
}

/// A message of the server.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum ServerMessage {
    /// Audio may come.
    Listening(Listening),
    /// Results, interim or final.
    Results(SpeechRecognitionResults),
    /// Speech began. A message of its own form, for SDKs expect alternatives in every result (SDK-17).
    SpeechBegin {
        /// When.
        speech_begin_event: SpeechBeginEvent,
    },
    /// How far processing has come, every so often.
    ProcessingMetrics {
        /// The report.
        processing_metrics: ProcessingMetrics,
    },
    /// Measurements of the signal that came too late for the last result.
    AudioMetrics {
        /// The measurements.
        audio_metrics: AudioMetrics,
    },
    /// The connection is given up.
    Error {
        /// Why.
        error: String,
    },
}

/// `{"state":"listening"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Listening {
    state: &'static str,
}

impl ServerMessage {
    /// `{"state":"listening"}`
    pub(super) const LISTENING: ServerMessage = ServerMessage::Listening(Listening { state: "listening" });

    /// The text of the message.
    pub(super) fn text(&self) -> String {
        // Plain structs with string keys always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Why the server gives a connection up. The client is told, then the connection is closed with code 1011 (WS-E1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// What it is about, for the log: the message may repeat what the client sent.
    pub(super) kind: &'static str,
    /// For the client.
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(kind: &'static str, message: impl Into<String>) -> Fault {
        Fault { kind, message: message.into() }
    }

    /// WS-E2
    pub(super) fn timed_out() -> Fault {
        Fault::new("session timeout", "Session timed out.")
    }

    /// WS-A1
    pub(super) fn no_audio() -> Fault {
        SessionError::TooShort { bytes: 0, minimum: dictum_service::session::MINIMUM_BYTES }.into()
    }

    /// WS-A2
    pub(super) fn too_large(limit: u64) -> Fault {
        let http = ApiError::too_large(limit);
        Fault::new("size", format!("Session closed. Reason: {}", http.message()))
    }

    /// `start` while a request is being received (section 4).
    pub(super) fn start_again() -> Fault {
        Fault::new(
            "message",
            "Header JSON already received. Now expected a sequence of blobs or an 'unready' event, but got 'listen' \
             event in state 'listening'.",
        )
    }

    fn unable_to_transcode(from: &str) -> Fault {
        Fault::new("audio", format!("unable to transcode data stream {from} -> audio/x-float-array "))
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Fault {
        Fault::new("request", error.message())
    }
}

impl From<Busy> for Fault {
    fn from(busy: Busy) -> Fault {
        Fault::new("busy", busy.to_string())
    }
}

impl From<ContentTypeError> for Fault {
    fn from(error: ContentTypeError) -> Fault {
        match error {
            ContentTypeError::Unsupported(given) => Fault::unable_to_transcode(&given),
            other => Fault { kind: "content type", ..ApiError::from(other).into() },
        }
    }
}

impl From<SessionError> for Fault {
    fn from(error: SessionError) -> Fault {
        match error {
            SessionError::Audio(AudioError::UnableToTranscode { from, reason, .. }) => {
                tracing::info!(reason, "audio cannot be decoded");
                Fault::unable_to_transcode(&from)
            }
            SessionError::NoSpeech { .. } => Fault::new("inactivity timeout", format!("{error}.")),
            SessionError::TooShort { .. } => Fault::new("size", error.to_string()),
            other => Fault { kind: "audio", ..ApiError::from(other).into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<ClientMessage, String> {
        ClientMessage::of_text(text).map_err(|fault| fault.message)
    }

    /// websocket.md 2.1 to 2.3
    #[test]
    fn actions() {
        let go = r#"{"Content-Type":null,"Headers":null,"action":"stop","audio":null,"keywords":null}"#;
        assert_eq!(read(go), Ok(ClientMessage::Stop));
        assert_eq!(read(r#" {"action": "no-op"} "#), Ok(ClientMessage::NoOp));
        let Ok(ClientMessage::Start(members)) = read(r#"{"action":"start","x":1}"#) else { panic!("a start") };
        assert_eq!(members["x"], 1);
        assert_eq!(ClientMessage::of_bytes(Bytes::new()), ClientMessage::Stop);
        assert_eq!(ClientMessage::of_bytes(Bytes::from_static(b"a")), ClientMessage::Audio(Bytes::from_static(b"a")));
    }

    /// websocket.md 2.1: malformed JSON, missing action
    #[test]
    fn junk_is_refused_and_not_repeated() {
        let deep = "[".repeat(100_000);
        for text in ["", "junk", "{", "[]", "7", "{}", r#"{"action":null}"#, r#"{"action":"go"}"#, &deep] {
            let message = read(text).unwrap_err();
            assert!(message.starts_with("the message ") && message.len() < 100, "{message}");
        }
    }

    /// websocket.md 2.1, SDK-10, SDK-14
    #[test]
    fn every_spelling_of_the_content_type() {
        let of = |json: Json| content_type(json.as_object().unwrap()).map(|found| found.to_string());
        for name in ["content-type", "content_type", "Content-Type", "contentType"] {
            assert_eq!(of(json!({ name: "audio/l16; rate=44100" })), Ok("audio/l16;rate=44100".to_owned()), "{name}");
        }
        for members in [json!({}), json!({"content-type": null}), json!({"content_type": ""})] {
            assert_eq!(of(members), Ok("application/octet-stream".to_owned()));
        }
        assert_eq!(of(json!({"content-type": null, "content_type": "audio/flac"})), Ok("audio/flac".to_owned()));
        assert_eq!(of(json!({"content-type": "audio/ogg; codec=opus"})), Ok("audio/ogg".to_owned()));
        let refused = |json: Json| of(json).unwrap_err().message;
        let unable = "unable to transcode data stream video/mp4 -> audio/x-float-array ";
        assert_eq!(refused(json!({"content-type": "video/mp4"})), unable);
        assert!(refused(json!({"content-type": "audio/l16"})).contains("rate"));
        assert!(refused(json!({"content-type": 7})).starts_with("content-type must be text"));
        assert!(refused(json!({"content-type": "x".repeat(10_000)})).len() < 100);
    }

    /// websocket.md section 6, word by word
    #[test]
    fn faults() {
        let unable = AudioError::UnableToTranscode {
            from: "application/octet-stream".to_owned(),
            to: "audio/l16".to_owned(),
            reason: "no format found".to_owned(),
        };
        let low = SessionError::RateTooLow { rate: 8_000, needed: 16_000 };
        let cases = [
            (Fault::timed_out(), "Session timed out."),
            (SessionError::NoSpeech { seconds: 30.0 }.into(), "No speech detected for 30s."),
            (
                SessionError::TooShort { bytes: 66, minimum: 100 }.into(),
                "Stream was 66 bytes but needs to be at least 100 bytes.",
            ),
            (Fault::no_audio(), "Stream was 0 bytes but needs to be at least 100 bytes."),
            (Fault::too_large(104_857_600), "Session closed. Reason: Payload exceeds the 104857600 bytes limit."),
            (
                SessionError::Audio(unable).into(),
                "unable to transcode data stream application/octet-stream -> audio/x-float-array ",
            ),
            (
                SessionError::Audio(AudioError::Endianness { bytes: 74 }).into(),
                "could not detect endianness after looking at the tail 0 non-zero byte string in a data stream of 74 \
                 bytes. Is the bytestream really PCM data?",
            ),
            (
                low.into(),
                "This 8000hz audio input requires a narrow band model. See /v1/models for a list of available models.",
            ),
        ];
        for (fault, text) in cases {
            assert_eq!(fault.message, text);
        }
    }

    /// websocket.md section 3
    #[test]
    fn server_messages() {
        assert_eq!(ServerMessage::LISTENING.text(), r#"{"state":"listening"}"#);
        let error = ServerMessage::Error { error: "x".to_owned() };
        assert_eq!(error.text(), r#"{"error":"x"}"#);
        let begin = ServerMessage::SpeechBegin { speech_begin_event: SpeechBeginEvent::new(0.288) };
        assert_eq!(begin.text(), r#"{"speech_begin_event":{"begin":0.29}}"#);
    }
}
