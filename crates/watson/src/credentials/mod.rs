//! Credentials on requests (auth.md section 2), checked before a route is asked.
//!
//! | form | where |
//! |---|---|
//! | `Authorization: Basic base64(apikey:KEY)`, or any other user name with the key as password | everywhere |
//! | `Authorization: Bearer TOKEN`, or `Bearer KEY` | everywhere |
//! | `?access_token=TOKEN`, `?watson-token=TOKEN` | `GET /v1/recognize` (WebSocket), `GET /v1/models...`; not an API key (AUTH-10) |
//!
//! Which routes want them, and take them from the query, is in the table of routes (`routes.rs`).
//!
//! A request that fails is answered 401 with one and the same body, whatever was wrong (AUTH-11). One that passes has its
//! [`Principal`] as an extension. A WebSocket is a request until it is upgraded: what
//! happens to its credentials later does not end it (AUTH-12).

pub(crate) mod tokens;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, EXPECT, WWW_AUTHENTICATE};
use axum::http::{Extensions, HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use dictum_service::accounts::{Access, AccessError, Credential, Principal};

use crate::App;
use crate::error::ApiError;
use crate::http::{InstanceInPath, discard};

/// Longest `Authorization` header that is looked at, bytes; keys and tokens are some hundreds.
const LONGEST_HEADER: usize = 8192;

/// Base64 as clients write it, with padding or without.
const BASIC: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a client shows, taken out of its request.
#[derive(PartialEq, Eq)]
enum Shown {
    Key(String),
    Token(String),
    Either(String),
    Unreadable,
}

impl Shown {
    fn credential(&self) -> Credential<'_> {
        match self {
            Shown::Key(key) => Credential::Key(key),
            Shown::Token(token) => Credential::Token(token),
            Shown::Either(text) => Credential::Either(text),
            Shown::Unreadable => Credential::Unreadable,
        }
    }
}

/// What stands in front of a route.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) app: App,
    /// Whether tokens in the query count (AUTH-10, SDK-15).
    pub(crate) query_too: bool,
}

/// Lets requests with good credentials through to the routes, and answers the others.
pub(crate) async fn require(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let Guard { app, query_too } = guard;
    let shown = shown(&request, query_too);
    let instance = request.extensions().get::<InstanceInPath>().cloned();
    let from = client_address(request.extensions());
    match authenticate(&app.access, shown, instance, from).await {
        Ok(principal) => {
            tracing::debug!(instance = principal.instance, key = principal.key, "authenticated");
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(error) => {
            // A client that waits to be told to go on is simply not told.
            if !request.headers().contains_key(EXPECT) {
                discard(request.into_body().into_data_stream(), app.config.max_audio_bytes);
            }
            refusal(error)
        }
    }
}

async fn authenticate(
    access: &Arc<Access>,
    shown: Option<Shown>,
    instance: Option<InstanceInPath>,
    from: Option<IpAddr>,
) -> Result<Principal, AccessError> {
    let principal = access.authenticate(shown.as_ref().map(Shown::credential), from).await?;
    if let Some(InstanceInPath(named)) = instance {
        access.check_instance(&principal, &named).await?;
    }
    Ok(principal)
}

/// The answer to a request without good credentials.
fn refusal(error: AccessError) -> Response {
    let refused = matches!(error, AccessError::Refused);
    let mut response = ApiError::from(error).into_response();
    if refused {
        // RFC 9110 wants a challenge; browsers would meet one for Basic with a dialogue.
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"Dictum\""));
    }
    response
}

/// Where a request comes from, if the server was told.
fn client_address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
}

/// The credential of a request. A header wins over the query, even when it is no good.
fn shown(request: &Request, query_too: bool) -> Option<Shown> {
    match in_header(request.headers()) {
        Some(shown) => Some(shown),
        None if query_too => in_query(request.uri().query().unwrap_or_default()),
        None => None,
    }
}

fn in_query(query: &str) -> Option<Shown> {
    // `watson-token` may come as it is, not encoded; nothing in a token looks different for that.
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| matches!(name.as_ref(), "access_token" | "watson-token"))
        .map(|(_, token)| Shown::Token(token.into_owned()))
}

fn in_header(headers: &HeaderMap) -> Option<Shown> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return Some(Shown::Unreadable);
    }
    Some(authorization(value.as_bytes()).unwrap_or(Shown::Unreadable))
}

/// Reads an `Authorization` header; `None` when it is not one that could be.
fn authorization(value: &[u8]) -> Option<Shown> {
    let value = std::str::from_utf8(value).ok().filter(|value| value.len() <= LONGEST_HEADER)?;
    let (scheme, rest) = value.trim().split_once(' ')?;
    let rest = rest.trim_start();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Shown::Either(rest.to_owned()));
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(BASIC.decode(rest).ok()?).ok()?;
        let (_, password) = pair.split_once(':')?;
        return Some(Shown::Key(password.to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(text: impl AsRef<[u8]>) -> Vec<u8> {
        format!("Basic {}", BASIC.encode(text)).into_bytes()
    }

    fn key(text: &str) -> Option<Shown> {
        Some(Shown::Key(text.to_owned()))
    }

    /// auth.md section 2
    #[test]
    fn headers_in_every_documented_form() {
        assert!(authorization(&basic("apikey:K")) == key("K"));
        assert!(authorization(&basic("somebody@example.com:K:with:colons")) == key("K:with:colons"));
        assert!(authorization(b"basic YXBpa2V5Okc=") == key("G"));
        assert!(authorization(b"BASIC   YXBpa2V5Okc") == key("G"), "without padding");
        assert!(authorization(b"Bearer a.b.c") == Some(Shown::Either("a.b.c".to_owned())));
        assert!(authorization(b"bearer  a.b.c ") == Some(Shown::Either("a.b.c".to_owned())));
    }

    #[test]
    fn junk_in_headers() {
        let huge = [b"Bearer ".as_slice(), &vec![b'x'; LONGEST_HEADER]].concat();
        let cases: [&[u8]; 12] = [
            b"",
            b" ",
            b"Basic",
            b"Bearer",
            b"Basic ",
            b"Basic !!!!",
            b"Basic YXBpa2V5", // no colon
            b"Digest username=\"apikey\"",
            b"apikey:K",
            b"Bearer \xff\xfe",
            &basic([b'a', b':', 0xff]),
            &huge,
        ];
        for case in cases {
            assert!(authorization(case).is_none(), "{}", String::from_utf8_lossy(case));
        }
        let mut headers = HeaderMap::new();
        assert!(in_header(&headers).is_none());
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        assert!(in_header(&headers) == Some(Shown::Unreadable), "two headers");
    }

    /// AUTH-10
    #[test]
    fn tokens_in_queries() {
        let request = |target: &str| Request::builder().uri(target).body(Default::default()).unwrap();
        let token = |target| shown(&request(target), true);
        let found = Some(Shown::Token("a.b-_c".to_owned()));
        assert!(token("/v1/recognize?model=x&access_token=a.b-_c") == found);
        assert!(token("/v1/recognize?access_token=a%2Eb-_c") == found);
        assert!(token("/v1/models?watson-token=a.b-_c") == found);
        for target in ["/v1/recognize?accesstoken=a.b-_c", "/v1/recognize", "/v1/recognize?x=access_token=a"] {
            assert!(token(target).is_none(), "{target}");
        }
        assert!(shown(&request("/v1/recognize?access_token=a.b-_c"), false).is_none(), "not everywhere");
    }
}
