//! What every route has in common: base path, transaction id, headers, logging, and errors as JSON.

use axum::body::BodyDataStream;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ACCEPT, ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, UPGRADE, VARY};
use axum::http::uri::{PathAndQuery, Scheme};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tracing::Instrument;

use crate::App;
use crate::error::ApiError;
use crate::observe::Record;
use crate::routes;

/// The header by which a request is known, in answers and in the log.
pub const TRANSACTION_ID: HeaderName = HeaderName::from_static("x-global-transaction-id");
/// Its former name.
const FORMER_TRANSACTION_ID: HeaderName = HeaderName::from_static("x-dp-watson-tran-id");
const LONGEST_TRANSACTION_ID: usize = 128;

/// The URL at which a client reached the server, up to and without `/v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(pub String);

/// Whether the client said beforehand how long the body is. (Unpacking a compressed body hides it from the routes.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LengthAnnounced(pub(crate) bool);

/// The service instance that the base path of a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstanceInPath(pub(crate) String);

/// The path in front of `/v1` that a request came with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Prefix(String);

/// Base paths under which the service is offered, segment by segment; `{}` is any one segment (AUTH-01).
#[derive(Debug, Clone)]
pub(crate) struct Prefixes(Vec<Vec<String>>);

impl Prefixes {
    /// The documented base paths and `more`, written alike.
    pub(crate) fn new(more: &[String]) -> Prefixes {
        let documented = [
            "",
            "speech-to-text/api",
            "instances/{}",
            "speech-to-text/{}/instances/{}/api",
            "speech-to-text/{}/instances/{}",
        ];
        let all = documented.into_iter().chain(more.iter().map(String::as_str));
        Prefixes(all.map(|prefix| segments(prefix).map(str::to_owned).collect()).collect())
    }

    /// Splits a path into the base path and the rest, both without repeated or trailing slashes (SDK-05).
    fn split(&self, path: &str) -> (String, String) {
        let path: Vec<&str> = segments(path).collect();
        let matches = |prefix: &&Vec<String>| {
            path.len() > prefix.len()
                && begins_interface(&path[prefix.len()..])
                && prefix.iter().zip(&path).all(|(pattern, segment)| pattern == "{}" || pattern == segment)
        };
        let length = self.0.iter().filter(matches).map(Vec::len).min().unwrap_or(0);
        let join = |segments: &[&str]| segments.iter().map(|segment| format!("/{segment}")).collect::<String>();
        (join(&path[..length]), join(&path[length..]))
    }

    /// Takes the base path off a request, and keeps it for the URLs of the answer.
    pub(crate) fn strip<B>(&self, mut request: axum::http::Request<B>) -> axum::http::Request<B> {
        let (prefix, rest) = self.split(request.uri().path());
        if let Some(instance) = instance_in(&prefix) {
            request.extensions_mut().insert(InstanceInPath(instance.to_owned()));
        }
        let rest = if rest.is_empty() { "/".to_owned() } else { rest };
        let target = match request.uri().query() {
            Some(query) => format!("{rest}?{query}"),
            None => rest,
        };
        // Parts of a valid target make a valid target.
        if let Ok(target) = PathAndQuery::try_from(target) {
            let mut parts = request.uri().clone().into_parts();
            parts.path_and_query = Some(target);
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
        request.extensions_mut().insert(Prefix(prefix));
        request
    }
}

/// Whether this is the beginning of a path of ours, so that what comes before it is a base path.
fn begins_interface(path: &[&str]) -> bool {
    matches!(path, ["v1" | "health", ..] | ["identity", "token"] | ["icp4d-api", "v1", ..])
}

/// The `{id}` of `/instances/{id}` in a base path.
fn instance_in(prefix: &str) -> Option<&str> {
    segments(prefix).skip_while(|segment| *segment != "instances").nth(1)
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// AUTH-02: what `url` members of answers begin with. `scheme` is that of the connection; HTTP/2 has the host in the target.
fn base_url(headers: &HeaderMap, target: &Uri, scheme: &str, prefix: &str, public_url: Option<&str>) -> BaseUrl {
    let text = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        // A chain of proxies appends; the first one is the client's.
        value.map(|value| value.split(',').next().unwrap_or_default().trim()).filter(|value| !value.is_empty())
    };
    if let Some(public_url) = public_url {
        return BaseUrl(public_url.trim_end_matches('/').to_owned());
    }
    let forwarded = text("x-forwarded-proto").filter(|scheme| matches!(*scheme, "http" | "https"));
    let scheme = forwarded.unwrap_or(scheme);
    let host = text("x-forwarded-host").or_else(|| text(HOST.as_str()));
    let host = host.or_else(|| target.authority().map(|authority| authority.as_str())).unwrap_or("localhost");
    let forwarded = text("x-forwarded-prefix").map(|prefix| prefix.trim_end_matches('/')).unwrap_or_default();
    BaseUrl(format!("{scheme}://{host}{forwarded}{prefix}"))
}

/// The id the client gave its request, or a new one.
fn transaction_id(headers: &HeaderMap) -> HeaderValue {
    let own = headers.get(TRANSACTION_ID).filter(|id| {
        (1..=LONGEST_TRANSACTION_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    own.cloned().unwrap_or_else(|| {
        let id = uuid::Uuid::new_v4().simple().to_string();
        HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("0"))
    })
}

/// Wraps every route: gives the request its id and base URL, sees to its line in the log ([`Record`]), puts the headers of auth.md section 5 on the answer, and makes JSON of errors that come from outside of our routes (SDK-01).
pub(crate) async fn common(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let work = app.service.drain().work();
    let version = request.version();
    let wants_websocket =
        request.headers().get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let id = transaction_id(request.headers());
    let prefix = request.extensions().get::<Prefix>().cloned().unwrap_or_default();
    let scheme = request.extensions().get::<Scheme>().unwrap_or(&Scheme::HTTP).as_str();
    let url = base_url(request.headers(), request.uri(), scheme, &prefix.0, app.config.public_url.as_deref());
    request.extensions_mut().insert(url);
    let announced = LengthAnnounced(request.headers().contains_key(CONTENT_LENGTH));
    request.extensions_mut().insert(announced);
    let span = tracing::info_span!("request", transaction = id.to_str().unwrap_or_default());
    let route = routes::label(request.extensions().get::<MatchedPath>().map(MatchedPath::as_str));
    let record = Record::new(span.clone(), request.method(), route, app.telemetry.clone(), work);
    request.extensions_mut().insert(record.notes());
    let mut response = next.run(request).instrument(span).await;
    let is_json =
        response.headers().get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    let status = response.status();
    if (status.is_client_error() || status.is_server_error()) && !is_json {
        response = own_words(response);
    }
    let headers = response.headers_mut();
    headers.insert(TRANSACTION_ID, id.clone());
    headers.insert(FORMER_TRANSACTION_ID, id);
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    match version {
        // Connections are the business of its frames.
        Version::HTTP_2 => drop(headers.remove(CONNECTION)),
        _ if status == StatusCode::SWITCHING_PROTOCOLS => {}
        // A WebSocket client has no further use for a connection on which it was refused, and some (the websocket package of
        // npm, in IBM's SDK for Node) wait for the server to close it before their process can end.
        _ if wants_websocket || app.service.drain().is_draining() => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    record.follow(response)
}

/// Turns requests away once the service is to end, but for those that ask how it is.
pub(crate) async fn refuse_when_ending(State(app): State<App>, request: Request, next: Next) -> Response {
    if !app.service.drain().is_draining()
        || request.uri().path().starts_with("/health/")
        || request.uri().path() == "/metrics"
    {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    // A client that waits to be told to go on is simply not told.
    if !parts.headers.contains_key(EXPECT) {
        discard(body.into_data_stream(), app.config.max_audio_bytes);
    }
    ApiError::ending(app.service.config().retry_after).into_response()
}

/// Turns requests away that would change something while nothing may be changed.
pub(crate) async fn refuse_modification(State(app): State<App>, request: Request, _: Next) -> Response {
    let (parts, body) = request.into_parts();
    if !parts.headers.contains_key(EXPECT) {
        discard(body.into_data_stream(), app.config.max_audio_bytes);
    }
    ApiError::read_only().into_response()
}

/// Reads the rest of a body that nobody wants, within bounds: a client that is still sending would not see the answer if the
/// connection was closed on it.
pub(crate) fn discard(mut body: BodyDataStream, max_bytes: u64) {
    const LONGEST: std::time::Duration = std::time::Duration::from_secs(10);
    tokio::spawn(async move {
        let mut left = max_bytes.saturating_add(1024 * 1024);
        let read = async {
            while let Some(Ok(bytes)) = body.next().await {
                left = left.saturating_sub(bytes.len() as u64);
                if left == 0 {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(LONGEST, read).await;
    });
}

/// An error of the framework, with our body.
fn own_words(response: Response) -> Response {
    let status = response.status();
    let message = match status {
        StatusCode::NOT_FOUND => "Not Found",
        StatusCode::METHOD_NOT_ALLOWED => "Method Not Allowed",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            "Unsupported Media Type: the Content-Encoding is not supported; send gzip or none"
        }
        _ => status.canonical_reason().unwrap_or("Error"),
    };
    let mut own = ApiError::new(status, message).into_response();
    let kept = |name: &HeaderName| name == ALLOW || name == VARY || name.as_str().starts_with("access-control-");
    for (name, value) in response.headers().iter().filter(|(name, _)| kept(name)) {
        own.headers_mut().append(name, value.clone());
    }
    own
}

/// Whether the client takes JSON; 406 otherwise.
pub(crate) fn require_json_accepted(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut ranges =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut any = false;
    let accepted = ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        any |= !media.is_empty();
        let refused = parts.any(|parameter| {
            let weight = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
            weight.and_then(|weight| weight.trim().parse::<f64>().ok()) == Some(0.0)
        });
        matches!(media.as_str(), "*/*" | "*" | "application/*" | "application/json") && !refused
    });
    match accepted || !any {
        true => Ok(()),
        false => Err(ApiError::new(
            StatusCode::NOT_ACCEPTABLE,
            "Not Acceptable: answers are application/json; send Accept: application/json",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AUTH-01, SDK-05
    #[test]
    fn base_paths() {
        let prefixes = Prefixes::new(&["/dictum/{}".to_owned()]);
        let split = |path: &str| prefixes.split(path);
        let pair = |prefix: &str, rest: &str| (prefix.to_owned(), rest.to_owned());
        assert_eq!(split("/v1/models"), pair("", "/v1/models"));
        assert_eq!(split("/speech-to-text/api/v1/models"), pair("/speech-to-text/api", "/v1/models"));
        assert_eq!(split("/instances/abc/v1/models/x"), pair("/instances/abc", "/v1/models/x"));
        let cp4d = "/speech-to-text/zen/instances/1/api";
        assert_eq!(split(&format!("{cp4d}/v1/recognize")), pair(cp4d, "/v1/recognize"));
        assert_eq!(split("/dictum/a/v1/models"), pair("/dictum/a", "/v1/models"));
        assert_eq!(split("//instances/abc//v1/models/"), pair("/instances/abc", "/v1/models"));
        assert_eq!(split("/other/v1/models"), pair("", "/other/v1/models"));
        assert_eq!(split("/instances/v1/v1/models"), pair("/instances/v1", "/v1/models"));
        assert_eq!(split("/"), pair("", ""));
        assert_eq!(split("/speech-to-text/api/identity/token"), pair("/speech-to-text/api", "/identity/token"));
        assert_eq!(split(&format!("{cp4d}/icp4d-api/v1/authorize")), pair(cp4d, "/icp4d-api/v1/authorize"));
        assert_eq!(split("/icp4d-api/v1/authorize"), pair("", "/icp4d-api/v1/authorize"));
        assert_eq!(split("/instances/identity/v1/models"), pair("/instances/identity", "/v1/models"));
    }

    #[test]
    fn instances_in_base_paths() {
        assert_eq!(instance_in("/instances/abc"), Some("abc"));
        assert_eq!(instance_in("/speech-to-text/zen/instances/1/api"), Some("1"));
        assert_eq!(instance_in("/speech-to-text/api"), None);
        assert_eq!(instance_in(""), None);
    }

    #[test]
    fn the_query_survives_stripping() {
        let request = axum::http::Request::get("/instances/i//v1/recognize/?a=%2F&b=+").body(()).unwrap();
        let request = Prefixes::new(&[]).strip(request);
        assert_eq!(request.uri().to_string(), "/v1/recognize?a=%2F&b=+");
    }

    /// AUTH-02
    #[test]
    fn base_urls() {
        let url = |pairs: &[(&str, &str)], public: Option<&str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
            }
            base_url(&headers, &Uri::from_static("/v1/models"), "http", "/instances/i", public).0
        };
        assert_eq!(url(&[("host", "stt.example:8080")], None), "http://stt.example:8080/instances/i");
        let forwarded = [("host", "inner"), ("x-forwarded-proto", "https, http"), ("x-forwarded-host", "outer")];
        assert_eq!(url(&forwarded, None), "https://outer/instances/i");
        assert_eq!(url(&forwarded, Some("https://stt.example/api/")), "https://stt.example/api");
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("stt.example"));
        let target = Uri::from_static("/v1/models");
        assert_eq!(base_url(&headers, &target, "https", "", None).0, "https://stt.example");
        let target = Uri::from_static("https://[::1]:8443/v1/models");
        assert_eq!(base_url(&HeaderMap::new(), &target, "https", "", None).0, "https://[::1]:8443");
    }

    #[test]
    fn transaction_ids() {
        let id = |given: Option<&str>| {
            let mut headers = HeaderMap::new();
            given.map(|given| headers.insert(TRANSACTION_ID, given.parse().unwrap()));
            transaction_id(&headers).to_str().unwrap().to_owned()
        };
        assert_eq!(id(Some("my-id")), "my-id");
        assert_eq!(id(None).len(), 32);
        assert_ne!(id(None), id(None));
        assert_ne!(id(Some("with space")), "with space");
        assert_eq!(id(Some(&"x".repeat(129))).len(), 32);
    }

    #[test]
    fn accept() {
        let accepted = |value: Option<&str>| {
            let mut headers = HeaderMap::new();
            value.map(|value| headers.insert(ACCEPT, value.parse().unwrap()));
            require_json_accepted(&headers).is_ok()
        };
        for fine in [
            None,
            Some(""),
            Some("*/*"),
            Some("application/json"),
            Some("Application/JSON; charset=utf-8"),
            Some("text/html, application/*;q=0.1"),
        ] {
            assert!(accepted(fine), "{fine:?}");
        }
        for not in ["text/html", "audio/*", "application/json;q=0", "application/xml, text/*"] {
            assert!(!accepted(Some(not)), "{not}");
        }
    }
}
