//! Labels of customers on what requests leave behind, and `DELETE /v1/user_data` (user-data.md).

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::HeaderMap;
use dictum_service::accounts::Principal;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::{App, audit};

/// The header with the label.
const METADATA: &str = "x-watson-metadata";
/// Longest id of a customer, characters.
const LONGEST: usize = 512;

/// The customer that a request is labelled with: `X-Watson-Metadata: customer_id=ID`. Other members of the header are somebody
/// else's. An id that could not be deleted by is refused: its owner would find out too late.
pub(crate) fn customer(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(METADATA) else { return Ok(None) };
    let unusable = || {
        ApiError::bad_request(format!(
            "X-Watson-Metadata must be customer_id=ID, where ID is 1 to {LONGEST} characters without ';' and '='"
        ))
    };
    let value = std::str::from_utf8(value.as_bytes()).map_err(|_| unusable())?;
    let id = value.split(';').find_map(|member| {
        let (name, id) = member.split_once('=')?;
        (name.trim() == "customer_id").then(|| id.trim())
    });
    match id {
        Some(id) if !is_id(id) => Err(unusable()),
        id => Ok(id.map(str::to_owned)),
    }
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= LONGEST && !id.contains(['=', ';']) && !id.chars().any(char::is_control)
}

/// The route. What is not an id that anything could be labelled with has nothing to delete.
pub(crate) async fn delete(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let query = query.unwrap_or_default();
    let id = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "customer_id");
    let id = id.map(|(_, id)| id.trim().to_owned()).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| ApiError::bad_request("No customer ID found in the request"))?;
    if is_id(&id) {
        let removed = app.recognitions.delete_customer(&principal.instance, &id).await?;
        audit::deleted(&principal, &removed);
    }
    Ok(Json(json!({})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        let labelled = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(METADATA, axum::http::HeaderValue::from_bytes(value).unwrap());
            customer(&headers).map_err(|error| error.status().as_u16())
        };
        assert_eq!(labelled(b"customer_id=my customer/ID"), Ok(Some("my customer/ID".to_owned())));
        assert_eq!(labelled(b" other=1; customer_id = a "), Ok(Some("a".to_owned())));
        assert_eq!(labelled("customer_id=\u{fc}".as_bytes()), Ok(Some("\u{fc}".to_owned())));
        assert_eq!(labelled(b"other=1"), Ok(None));
        assert_eq!(customer(&HeaderMap::new()).unwrap(), None);
        for unusable in [
            b"customer_id=".as_slice(),
            b"customer_id=a=b",
            b"customer_id=\xff",
            &[b"customer_id=", [b'x'; 513].as_slice()].concat(),
        ] {
            assert_eq!(labelled(unusable), Err(400), "{}", String::from_utf8_lossy(unusable));
        }
    }
}
