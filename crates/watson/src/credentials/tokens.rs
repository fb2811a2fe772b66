//! Where SDKs get tokens for API keys: IBM Cloud's IAM and Cloud Pak for Data (auth.md section 3).

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dictum_service::accounts::{AccessError, Token};
use serde::Deserialize;
use serde_json::json;

use super::{Shown, client_address, in_header, refusal};
use crate::App;
use crate::error::ApiError;

/// Longest body of a request for a token, bytes.
const LONGEST_BODY: usize = 16 * 1024;
/// The only way to get a token from IAM that the contract knows.
const API_KEY_GRANT: &str = "urn:ibm:params:oauth:grant-type:apikey";

/// `POST /identity/token`: a token for an API key, as IAM gives it (AUTH-20, AUTH-21).
pub(crate) async fn iam(State(app): State<App>, request: Request) -> Response {
    let from = client_address(request.extensions());
    let body = match read(request.into_body()).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let field = |wanted: &str| {
        form_urlencoded::parse(&body).find(|(name, value)| name == wanted && !value.is_empty()).map(|(_, value)| value)
    };
    let Some(grant) = field("grant_type") else { return missing("grant_type") };
    if grant != API_KEY_GRANT {
        return iam_error("BXNIM0106E", format!("The grant_type must be {API_KEY_GRANT}."));
    }
    let Some(key) = field("apikey") else { return missing("apikey") };
    match app.access.issue_token(&key, from).await {
        Ok(token) => Json(json!({
            "access_token": token.text,
            "refresh_token": "not_supported",
            "token_type": "Bearer",
            "expires_in": token.expires_at - token.issued_at,
            "expiration": token.expires_at,
            "scope": "ibm openid",
        }))
        .into_response(),
        Err(AccessError::Refused) => iam_error("BXNIM0415E", "Provided API key could not be found."),
        Err(error) => refusal(error),
    }
}

fn missing(property: &str) -> Response {
    iam_error("BXNIM0109E", format!("Property missing or empty: {property}"))
}

/// An error as IAM words it. (Of the codes only that of AUTH-21 is something clients may know.)
fn iam_error(code: &str, message: impl Into<String>) -> Response {
    let body = json!({ "errorCode": code, "errorMessage": message.into(), "context": {} });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// What Cloud Pak for Data is asked with; the key may be either of the two, and clients send the other as `null`.
#[derive(Deserialize)]
struct Authorize {
    api_key: Option<String>,
    password: Option<String>,
}

/// `POST /v1/authorize`: a token for a user name and an API key, as Cloud Pak for Data gives it. The user name is not looked at.
pub(crate) async fn cloud_pak(State(app): State<App>, request: Request) -> Response {
    let from = client_address(request.extensions());
    let body = match read(request.into_body()).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let given: Authorize = match serde_json::from_slice(&body) {
        Ok(given) => given,
        Err(_) => {
            let wanted = "the body must be JSON like {\"username\": \"...\", \"api_key\": \"...\"}";
            return ApiError::bad_request(wanted).into_response();
        }
    };
    let key = given.api_key.or(given.password).unwrap_or_default();
    match app.access.issue_token(&key, from).await {
        Ok(Token { text, .. }) => {
            Json(json!({ "_messageCode_": "200", "message": "Success", "token": text })).into_response()
        }
        Err(error) => refusal(error),
    }
}

/// `GET /v1/preauth/validateAuth`: the same for older SDKs, with Basic authorization.
pub(crate) async fn former_cloud_pak(State(app): State<App>, request: Request) -> Response {
    let from = client_address(request.extensions());
    let key = match in_header(request.headers()) {
        Some(Shown::Key(key)) => key,
        _ => String::new(), // nobody's
    };
    match app.access.issue_token(&key, from).await {
        Ok(Token { text, .. }) => {
            Json(json!({ "_messageCode_": "success", "message": "success", "accessToken": text })).into_response()
        }
        Err(error) => refusal(error),
    }
}

async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    match axum::body::to_bytes(body, LONGEST_BODY).await {
        Ok(bytes) => Ok(bytes.into()),
        Err(_) => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("A request for a token may have {LONGEST_BODY} bytes."),
        )),
    }
}
