//! `POST /v1/register_callback` and `POST /v1/unregister_callback` (async.md sections 2 and 3).

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use dictum_service::accounts::Principal;
use dictum_store::NewCallback;

use crate::audit::{self, Call};
use crate::error::ApiError;
use crate::http::require_json_accepted;
use crate::recognitions::documents::RegisterStatus;
use crate::{App, user_data};

/// Longest secret, characters.
const LONGEST_SECRET: usize = 1024;

/// What these routes take in their query.
#[derive(Default)]
struct Asked {
    url: Option<String>,
    secret: Option<String>,
}

impl Asked {
    fn read(query: Option<String>) -> Asked {
        let mut asked = Asked::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let field = match name.as_ref() {
                "callback_url" => &mut asked.url,
                "user_secret" => &mut asked.secret,
                _ => continue,
            };
            *field = Some(value.into_owned()).filter(|value| !value.is_empty());
        }
        asked
    }

    /// ASY-R6
    fn url(&self) -> Result<&str, ApiError> {
        let url = self.url.as_deref().filter(|url| !url.contains('\0'));
        url.ok_or_else(|| ApiError::bad_request("the query parameter callback_url is missing"))
    }
}

/// Registers a URL.
pub(crate) async fn register(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<RegisterStatus>), ApiError> {
    require_json_accepted(&headers)?;
    let customer = user_data::customer(&headers)?;
    let asked = Asked::read(query);
    let url = asked.url()?;
    let secret = asked.secret.as_deref();
    if secret.is_some_and(|secret| secret.contains('\0') || secret.chars().count() > LONGEST_SECRET) {
        return Err(ApiError::bad_request(format!(
            "user_secret is longer than {LONGEST_SECRET} characters, or not text"
        )));
    }
    let new = NewCallback { instance: &principal.instance, url, secret, customer: customer.as_deref() };
    let created = app.recognitions.register(&new).await.map_err(|error| ApiError::unregistrable(url, error))?;
    audit::done(Call::RegisterCallback, &principal, None);
    let (code, status) = match created {
        true => (StatusCode::CREATED, "created"),
        false => (StatusCode::OK, "already created"),
    };
    Ok((code, Json(RegisterStatus { status, url: url.to_owned() })))
}

/// Takes a URL off the list.
pub(crate) async fn unregister(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    RawQuery(query): RawQuery,
) -> Result<(), ApiError> {
    let asked = Asked::read(query);
    match app.recognitions.unregister(&principal.instance, asked.url()?).await? {
        true => {
            audit::done(Call::UnregisterCallback, &principal, None);
            Ok(())
        }
        false => Err(ApiError::not_found("the callback URL is not registered")),
    }
}
