//! Requests to a server of the Watson interface, be it elsewhere or in this process: the same requests, the same answers.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dictum_callbacks::Client as Callbacks;
use dictum_models::Registry;
use dictum_service::accounts::{Access, Accounts};
use dictum_service::customization::{Customizations, LanguageHandler};
use dictum_service::jobs::{Workers, WorkersConfig, keep_house};
use dictum_service::recognitions::Recognitions;
use dictum_service::{Service, ServiceConfig};
use futures::StreamExt;
use http_body::{Body, Frame, SizeHint};
use serde_json::Value;
use tower::ServiceExt;
use url::Url;

use super::args::PlaceArgs;
use crate::accounts;
use crate::config::Settings;
use crate::failure::Failure;

/// Longest answer that is read, bytes: a list of ninety thousand words with all that can be said of them.
const LONGEST_ANSWER: usize = 256 << 20;
/// Bytes of a file that are sent at a time.
const PIECE: usize = 256 << 10;
/// How long a server may take to accept a connection, and to say anything at all.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(300));

/// A request was not answered as was hoped.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The server refused it, and said why.
    #[error("{message}{hint}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// In the server's words.
        message: String,
        /// What to do, where the server does not say it.
        hint: &'static str,
    },
    /// There was no answer.
    #[error("no answer from {url}: {reason}")]
    NoAnswer {
        /// The server.
        url: String,
        /// Why.
        reason: String,
    },
    /// What answers does not speak the interface.
    #[error("{url} does not answer as a speech to text service ({status}); is the URL right? It ends before /v1")]
    NotOurs {
        /// The server.
        url: String,
        /// The status.
        status: StatusCode,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A name that cannot stand in a path.
    #[error("{0:?} cannot be the name of anything here")]
    Name(String),
}

impl RequestError {
    /// Whether the model is being worked on, so that the same may be asked for later (language-models.md section 6).
    pub fn is_busy(&self) -> bool {
        matches!(self, RequestError::Refused { status: StatusCode::CONFLICT, .. })
    }

    /// Whether it may be busy: Watson says so in this way too (language-models.md section 6).
    pub fn may_be_busy(&self) -> bool {
        matches!(self, RequestError::Refused { status: StatusCode::INTERNAL_SERVER_ERROR, message, .. }
            if message.contains("Forwarding Error"))
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    pub method: Method,
    /// Segments after `/v1`, as they are, not encoded.
    pub path: &'a [&'a str],
    pub query: &'a [(&'a str, &'a str)],
    pub payload: Payload<'a>,
}

/// What a request brings.
#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    Nothing,
    Document(&'a Value),
    /// A file, sent piece by piece, and its media type.
    File(&'a Path, &'static str),
}

impl<'a> Call<'a> {
    /// A request without a payload.
    pub fn new(method: Method, path: &'a [&'a str]) -> Call<'a> {
        Call { method, path, query: &[], payload: Payload::Nothing }
    }
}

/// Where requests go.
pub struct Connection {
    base: Url,
    place: Place,
    /// For people.
    url: String,
}

enum Place {
    Server {
        client: reqwest::Client,
    },
    /// A server without a socket, and those who do its work.
    Local {
        router: Router,
        _workers: Workers,
    },
}

impl Connection {
    /// A connection to the server at `url`.
    pub fn server(url: &str, args: &PlaceArgs) -> Result<Connection, Failure> {
        let wrong = |why: String| Failure::usage(format!("--url {url}: {why}"));
        let base = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(wrong("it is no URL of a server, such as https://speech.example.com".to_owned()));
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(key) = &args.apikey {
            if is_overheard(&base) {
                eprintln!(
                    "dictum: warning: the API key goes to {} over http, where others may read it; use https",
                    base.host_str().unwrap_or_default()
                );
            }
            let basic = format!("Basic {}", STANDARD.encode(format!("apikey:{}", key.trim())));
            let mut value = HeaderValue::from_str(&basic)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        // The client takes the cryptography that is set for the process. That somebody has set it already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (connect, read) = PATIENCE;
        let mut client =
            reqwest::Client::builder().default_headers(headers).connect_timeout(connect).read_timeout(read);
        if let Some(path) = &args.ca_cert {
            let unusable = |why: String| Failure::new(format!("--ca-cert {}: {why}", path.display()));
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let certificates =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unusable(reasons(&error)))?;
            if certificates.is_empty() {
                return Err(unusable("there is no certificate in it".to_owned()));
            }
            client = client.tls_certs_merge(certificates);
        }
        let client = client.build().map_err(|error| Failure::new(reasons(&error)))?;
        Ok(Connection { base, place: Place::Server { client }, url: url.to_owned() })
    }

    /// The local store, with a server in front of it that nobody else reaches, and workers behind it.
    pub async fn local(settings: &Settings, registry: Registry, instance: &str) -> Result<Connection, Failure> {
        let store = accounts::store(settings).await?;
        let accounts = Accounts::open(store.clone(), settings.accounts()).await?;
        let instance = accounts.ensure_instance(instance).await?;
        let access = Access::open(&instance.id, settings.accounts().token_lifetime)?;
        // Nothing is recognised here.
        let service = Service::new(registry, ServiceConfig { decode_threads: 1, ..settings.service() });
        let recognitions = Recognitions::new(store.clone(), Callbacks::new(settings.callbacks())?);
        let router = dictum_watson::router(Arc::clone(&service), access, recognitions, settings.watson());
        let config = WorkersConfig {
            name: format!("dictum customize {}", std::process::id()),
            lease: Duration::from_secs(settings.jobs_lease_seconds as u64),
            look: Duration::from_millis(100),
        };
        let workers = Workers::new(store.clone(), config);
        let customizations = Customizations::new(Arc::clone(&service), store.clone());
        workers.add(Arc::new(LanguageHandler::new(customizations)), 1, service.drain());
        tokio::spawn(keep_house(store));
        let base = Url::parse("http://localhost/")?;
        Ok(Connection { base, place: Place::Local { router, _workers: workers }, url: "the local store".to_owned() })
    }

    /// Sends a request. The document that answers it.
    pub async fn call(&self, call: &Call<'_>) -> Result<Value, RequestError> {
        let (status, body) = self.send(call).await?;
        self.read(status, &self.all_of(body).await?)
    }

    /// Sends a request whose answer is a text of any length, and writes it into a file. `None`: the server has nothing there.
    pub async fn download(&self, call: &Call<'_>, path: &Path) -> Result<Option<u64>, RequestError> {
        let (status, body) = self.send(call).await?;
        // Whoever has no such call says so in one of many ways; who may not make it is told that.
        if status.is_client_error() && !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Ok(None);
        }
        if !status.is_success() {
            return self.read(status, &self.all_of(body).await?).map(|_| None);
        }
        let failed = |source| RequestError::File { path: path.to_owned(), source };
        let mut file = std::fs::File::create(path).map_err(failed)?;
        let (mut pieces, mut size) = (body.into_data_stream(), 0);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.no_answer(reasons(&error)))?;
            file.write_all(&piece).map_err(failed)?;
            size += piece.len() as u64;
        }
        Ok(Some(size))
    }

    /// What is asked, for people.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request: status and body of the answer.
    async fn send(&self, call: &Call<'_>) -> Result<(StatusCode, axum::body::Body), RequestError> {
        let url = self.target(call)?;
        let (body, media) = Outgoing::of(call.payload)?;
        match &self.place {
            Place::Server { client } => {
                let mut request = client.request(call.method.clone(), url);
                if let Some(media) = media {
                    request = request.header(CONTENT_TYPE, media);
                }
                if !matches!(call.payload, Payload::Nothing) {
                    request = request.body(reqwest::Body::wrap(body));
                }
                let response = request.send().await.map_err(|error| self.no_answer(reasons(&error.without_url())))?;
                Ok((response.status(), axum::body::Body::new(reqwest::Body::from(response))))
            }
            Place::Local { router, .. } => {
                let target = url.as_str().parse::<Uri>().map_err(|_| RequestError::Name(call.path.join("/")))?;
                let mut request = axum::http::Request::new(axum::body::Body::new(body));
                *request.method_mut() = call.method.clone();
                *request.uri_mut() = target;
                if let Some(media) = media {
                    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
                }
                let answered: Result<_, Infallible> = router.clone().oneshot(request).await;
                let Ok(response) = answered;
                Ok((response.status(), response.into_body()))
            }
        }
    }

    /// The URL of a request.
    fn target(&self, call: &Call<'_>) -> Result<Url, RequestError> {
        let mut url = self.base.clone();
        if let Some(dots) = call.path.iter().find(|segment| matches!(**segment, "" | "." | "..")) {
            return Err(RequestError::Name((*dots).to_owned()));
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v1").extend(call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().clear().extend_pairs(call.query);
        }
        Ok(url)
    }

    async fn all_of(&self, body: axum::body::Body) -> Result<Bytes, RequestError> {
        to_bytes(body, LONGEST_ANSWER).await.map_err(|error| self.no_answer(reasons(&error)))
    }

    fn no_answer(&self, reason: String) -> RequestError {
        RequestError::NoAnswer { url: self.url.clone(), reason }
    }

    fn read(&self, status: StatusCode, answer: &[u8]) -> Result<Value, RequestError> {
        let document = serde_json::from_slice::<Value>(answer).ok();
        if status.is_success() {
            // Some deletions answer nothing.
            let empty = answer.is_empty().then_some(Value::Null);
            return document.or(empty).ok_or_else(|| RequestError::NotOurs { url: self.url.clone(), status });
        }
        match document.as_ref().and_then(message) {
            Some(message) => {
                // A model that is not there is answered in the same way.
                let refused_key = status == StatusCode::UNAUTHORIZED && !message.contains("customization_id");
                let hint =
                    if refused_key { " (the API key: --apikey KEY, or DICTUM_APIKEY in the environment)" } else { "" };
                Err(RequestError::Refused { status, message: message.to_owned(), hint })
            }
            None => Err(RequestError::NotOurs { url: self.url.clone(), status }),
        }
    }
}

/// Whether others than the two ends can read what is sent to a URL: not encrypted, and not within this machine.
fn is_overheard(url: &Url) -> bool {
    let within = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !within
}

/// What an error document says: in the member of the interface, or where gateways in front of a service put it.
fn message(document: &Value) -> Option<&str> {
    let of_gateway = || document["errors"][0]["message"].as_str();
    ["error", "message", "errorMessage", "description"]
        .iter()
        .find_map(|member| document[member].as_str())
        .or_else(of_gateway)
}

/// An error with all that caused it.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    match text.contains("UnknownIssuer") || text.contains("CaUsedAsEndEntity") {
        true => text + " (the server's certificate is vouched for by nobody this machine trusts: --ca-cert FILE)",
        false => text,
    }
}

/// A body on its way.
enum Outgoing {
    Bytes(Bytes),
    File { file: std::fs::File, left: u64 },
}

impl Outgoing {
    /// The body of a payload, and its media type.
    fn of(payload: Payload<'_>) -> Result<(Outgoing, Option<&'static str>), RequestError> {
        match payload {
            Payload::Nothing => Ok((Outgoing::Bytes(Bytes::new()), None)),
            // Documents of strings always serialise.
            Payload::Document(document) => Ok((Outgoing::Bytes(document.to_string().into()), Some("application/json"))),
            Payload::File(path, media) => {
                let unreadable = |source| RequestError::File { path: path.to_owned(), source };
                let file = std::fs::File::open(path).map_err(unreadable)?;
                let left = file.metadata().map_err(unreadable)?.len();
                Ok((Outgoing::File { file, left }, Some(media)))
            }
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.get_mut() {
            Outgoing::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Outgoing::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Outgoing::File { left: 0, .. } => Poll::Ready(None),
            Outgoing::File { file, left } => {
                // A local file: no wait worth a thread.
                let wanted = PIECE.min(usize::try_from(*left).unwrap_or(PIECE));
                let mut piece = vec![0; wanted];
                let read = file.read_exact(&mut piece).map(|()| {
                    *left -= wanted as u64;
                    Frame::data(piece.into())
                });
                Poll::Ready(Some(read))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Outgoing::Bytes(bytes) => bytes.len() as u64,
            Outgoing::File { left, .. } => *left,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn connection(url: &str) -> Connection {
        let place = PlaceArgs { url: None, apikey: None, ca_cert: None, instance: String::new() };
        Connection::server(url, &place).unwrap()
    }

    #[test]
    fn keys_over_plain_http_are_warned_of_but_on_this_machine() {
        let overheard = |url: &str| is_overheard(&Url::parse(url).unwrap());
        for url in ["http://speech.example.com/api", "http://192.168.1.7:8080", "http://[2001:db8::1]/"] {
            assert!(overheard(url), "{url}");
        }
        for url in ["https://speech.example.com", "http://localhost:8080", "http://127.8.0.1", "http://[::1]:80"] {
            assert!(!overheard(url), "{url}");
        }
    }

    #[test]
    fn names_are_encoded_in_paths() {
        let call = Call { query: &[("sort", "+count")], ..Call::new(Method::GET, &["customizations", "a/b ?ü%"]) };
        let url = connection("https://host/speech-to-text/api/").target(&call).unwrap();
        assert_eq!(
            url.as_str(),
            "https://host/speech-to-text/api/v1/customizations/a%2Fb%20%3F%C3%BC%25?sort=%2Bcount"
        );
        for name in ["", ".", ".."] {
            let path = ["customizations", name];
            assert!(matches!(
                connection("http://host").target(&Call::new(Method::GET, &path)),
                Err(RequestError::Name(_))
            ));
        }
    }

    #[test]
    fn refusals_are_told_in_the_words_of_the_server() {
        let told = |status, document: Value| {
            let answer = connection("http://host").read(status, document.to_string().as_bytes());
            answer.unwrap_err().to_string()
        };
        assert_eq!(told(StatusCode::BAD_REQUEST, json!({"error": "no", "code": 400})), "no");
        assert!(told(StatusCode::UNAUTHORIZED, json!({"error": "Unauthorized"})).contains("--apikey"));
        let unknown = "Invalid customization_id 'x' for user";
        assert_eq!(told(StatusCode::UNAUTHORIZED, json!({"error": unknown})), unknown);
        assert_eq!(told(StatusCode::FORBIDDEN, json!({"errors": [{"message": "closed"}]})), "closed");
        let page = connection("http://host").read(StatusCode::OK, b"<html>").unwrap_err().to_string();
        assert!(page.contains("is the URL right?"), "{page}");
    }
}
