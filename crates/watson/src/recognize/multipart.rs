//! Multipart requests: a `metadata` part with the parameters, then `upload` parts with audio (recognize.md section 6).

use axum::body::BodyDataStream;
use axum::http::StatusCode;
use bytes::Bytes;
use dictum_audio::ContentType;
use futures::{Stream, TryStreamExt};
use multer::{Constraints, Multipart, SizeLimit};
use serde_json::{Map, Value as Json};

use crate::error::ApiError;
use crate::parameters::{Given, Place};

/// Most bytes of the metadata: a thousand keywords of a thousand characters and room for the rest.
const METADATA_BYTES: u64 = 4 * 1024 * 1024;
/// Most audio parts.
const MOST_PARTS: usize = 1000;

/// The parts of a request, in order.
pub(super) struct Parts<'body> {
    multipart: Multipart<'body>,
    limit: u64,
    uploads: usize,
}

/// What the first part says.
pub(super) struct Metadata {
    /// The parameters of the query and of the metadata.
    pub(super) given: Given,
    /// What the audio parts are.
    pub(super) content_type: ContentType,
    /// How many audio parts there are to be, if it was said.
    pub(super) announced: Option<u64>,
}

impl<'body> Parts<'body> {
    pub(super) fn new(body: &'body mut BodyDataStream, boundary: &str, max_audio_bytes: u64) -> Parts<'body> {
        // Audio is counted while it is read. This bounds what lies between, and a part without end.
        let all = max_audio_bytes.saturating_add(2 * METADATA_BYTES);
        let limits = SizeLimit::new().whole_stream(all).for_field("metadata", METADATA_BYTES);
        let multipart = Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limits));
        Parts { multipart, limit: max_audio_bytes, uploads: 0 }
    }

    /// Reads the first part, which must be the metadata (REC-M3), and adds its parameters to those of the query.
    pub(super) async fn metadata(&mut self, mut given: Given) -> Result<Metadata, ApiError> {
        const MISSING: &str = "the first part of a multipart request must be named metadata and hold a JSON object";
        let first = self.multipart.next_field().await.map_err(|error| refused(&error, self.limit))?;
        let field =
            first.filter(|field| field.name() == Some("metadata")).ok_or_else(|| ApiError::bad_request(MISSING))?;
        let text = field.bytes().await.map_err(|error| refused(&error, self.limit))?;
        let members: Map<String, Json> = serde_json::from_slice(&text)
            .map_err(|error| ApiError::bad_request(format!("the metadata part is not a JSON object: {error}")))?;
        given.read_json(&members, Place::Metadata, &["part_content_type", "data_parts_count"])?;
        let content_type = match members.get("part_content_type") {
            None | Some(Json::Null) => ContentType::parse(None)?,
            Some(Json::String(text)) => ContentType::parse(Some(text))?,
            Some(_) => return Err(ApiError::bad_request("part_content_type must be a string")),
        };
        let announced = match members.get("data_parts_count") {
            None | Some(Json::Null) => None,
            Some(Json::Number(count)) if count.as_u64().is_some_and(|count| count > 0) => count.as_u64(),
            Some(_) => return Err(ApiError::bad_request("data_parts_count must be a whole number, 1 or more")),
        };
        Ok(Metadata { given, content_type, announced })
    }

    /// The next audio part; `None` after the last.
    pub(super) async fn next_upload(
        &mut self,
    ) -> Result<Option<impl Stream<Item = Result<Bytes, ApiError>> + Unpin + use<'body>>, ApiError> {
        let Some(field) = self.multipart.next_field().await.map_err(|error| refused(&error, self.limit))? else {
            return match self.uploads {
                0 => Err(ApiError::bad_request("a multipart request needs at least one part named upload with audio")),
                _ => Ok(None),
            };
        };
        self.uploads += 1;
        if field.name() != Some("upload") {
            return Err(ApiError::bad_request("parts after the metadata must be named upload"));
        }
        if self.uploads > MOST_PARTS {
            return Err(ApiError::bad_request(format!(
                "a multipart request may have at most {MOST_PARTS} audio parts"
            )));
        }
        let limit = self.limit;
        Ok(Some(field.map_err(move |error| refused(&error, limit))))
    }
}

/// REC-M8: what was announced must have come.
pub(super) fn check_count(announced: Option<u64>, received: u64) -> Result<(), ApiError> {
    match announced {
        Some(count) if count != received => {
            Err(ApiError::bad_request(format!("data_parts_count is {count}, but {received} audio parts were sent")))
        }
        _ => Ok(()),
    }
}

fn refused(error: &multer::Error, limit: u64) -> ApiError {
    match error {
        multer::Error::StreamSizeExceeded { .. } => ApiError::too_large(limit),
        multer::Error::FieldSizeExceeded { .. } => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the metadata part is larger than {METADATA_BYTES} bytes"),
        ),
        _ => ApiError::bad_request(format!("the multipart body is malformed: {error}")),
    }
}
