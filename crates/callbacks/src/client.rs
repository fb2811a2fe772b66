//! One request at a time to a callback server.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use rustls::ClientConfig;
use tokio::time::timeout;

use crate::connect::{connect, trust};
use crate::guard::{Guard, GuardError, Refused, ResolveError, Target};
use crate::signature::Signature;

/// The header with the signature.
const SIGNATURE: HeaderName = HeaderName::from_static("x-callback-signature");
/// Characters of a challenge, as the service makes them.
const CHALLENGE_LENGTH: usize = 16;
/// Most bytes of an answer that are read.
const LONGEST_ANSWER: usize = 64 * 1024;

/// What an operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Hosts, addresses and networks that may be called although they are not public.
    pub allow: Vec<String>,
    /// How what is sent is signed.
    pub signature: Signature,
    /// How long the answer to a challenge may take, connecting included (ASY-R3).
    pub challenge_timeout: Duration,
    /// The same for a notification.
    pub notification_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            allow: Vec::new(),
            signature: Signature::default(),
            challenge_timeout: Duration::from_secs(5),
            notification_timeout: Duration::from_secs(30),
        }
    }
}

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The URL is not one to call.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Its host is not known, or nothing listens there.
    #[error("callback server could not be reached")]
    Unreachable,
    /// It listens, but not with a certificate for this name by an authority that is trusted here.
    #[error("callback server has no TLS certificate that this server trusts")]
    Certificate,
    /// It took too long.
    #[error("callback server did not answer within {} seconds", _0.as_secs())]
    Late(Duration),
    /// It did not speak HTTP, or went away, or said too much.
    #[error("callback server did not give a proper answer")]
    Answer,
    /// It answered that it will not have it.
    #[error("callback server responded with status code {0}")]
    Status(u16),
}

/// Why a URL could not be verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// The request came to nothing.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The challenge is not in the answer.
    #[error("callback server did not respond with the challenge string")]
    WrongAnswer,
    /// The system has no randomness to give.
    #[error("no challenge string could be made")]
    Random,
}

/// Calls callback servers. Clones share what was loaded.
#[derive(Debug, Clone)]
pub struct Client {
    guard: Arc<Guard>,
    tls: Arc<ClientConfig>,
    config: Arc<Config>,
}

impl Client {
    /// A client that trusts the authorities of this machine.
    pub fn new(config: Config) -> Result<Client, GuardError> {
        Ok(Client { guard: Arc::new(Guard::new(&config.allow)?), tls: trust(), config: Arc::new(config) })
    }

    /// Whether a URL could be called, as far as it tells by itself.
    pub fn check(&self, url: &str) -> Result<(), Refused> {
        self.guard.target(url).map(drop)
    }

    /// Asks the server behind a URL whether it expects callbacks: one `GET` with a random string that must come back
    /// (ASY-R2, ASY-R3).
    pub async fn challenge(&self, url: &str, secret: Option<&str>) -> Result<(), ChallengeError> {
        let challenge = random_string().map_err(|_| ChallengeError::Random)?;
        let mut target = self.guard.target(url).map_err(CallError::from)?;
        // Appended rather than parsed and written anew: the rest of the query is the client's own.
        let query = match target.url.query() {
            Some(query) if !query.is_empty() => format!("{query}&challenge_string={challenge}"),
            _ => format!("challenge_string={challenge}"),
        };
        target.url.set_query(Some(&query));
        let mut headers = vec![(ACCEPT, HeaderValue::from_static("text/plain"))];
        headers.extend(self.signed(secret, challenge.as_bytes()));
        let limit = self.config.challenge_timeout;
        let answer = self.call(Method::GET, &target, headers, Bytes::new(), limit).await?;
        match String::from_utf8_lossy(&answer).contains(&challenge) {
            true => Ok(()),
            false => Err(ChallengeError::WrongAnswer),
        }
    }

    /// Sends a notification (async.md section 5). It has arrived when the server answers with a status of success.
    pub async fn notify(&self, url: &str, secret: Option<&str>, body: Vec<u8>) -> Result<(), CallError> {
        let target = self.guard.target(url)?;
        let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        headers.extend(self.signed(secret, &body));
        let limit = self.config.notification_timeout;
        self.call(Method::POST, &target, headers, body.into(), limit).await.map(drop)
    }

    /// ASY-N1: no secret, no header.
    fn signed(&self, secret: Option<&str>, message: &[u8]) -> Option<(HeaderName, HeaderValue)> {
        let signature = self.config.signature.sign(secret?, message);
        Some((SIGNATURE, HeaderValue::try_from(signature).ok()?))
    }

    async fn call(
        &self,
        method: Method,
        target: &Target,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
        limit: Duration,
    ) -> Result<Bytes, CallError> {
        match timeout(limit, self.exchange(method, target, headers, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::Late(limit)),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        target: &Target,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Bytes, CallError> {
        let addresses = self.guard.resolve(target).await.map_err(|error| match error {
            ResolveError::Refused(refused) => CallError::Refused(refused),
            ResolveError::Unknown => CallError::Unreachable,
        })?;
        let stream = connect(target, &addresses, &self.tls).await?;
        let handshake = hyper::client::conn::http1::handshake(stream).await;
        let (mut sender, connection) = handshake.map_err(|_| CallError::Answer)?;
        let request = request(method, target, headers, body)?;
        let answering = async {
            let answer = sender.send_request(request).await.map_err(|_| CallError::Answer)?;
            let status = answer.status();
            if !status.is_success() {
                return Err(CallError::Status(status.as_u16()));
            }
            let read = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
            Ok(read.map_err(|_| CallError::Answer)?.to_bytes())
        };
        // The connection is driven by this future alone: when it is dropped, so is the socket.
        tokio::select! {
            biased;
            answer = answering => answer,
            Err(_) = connection => Err(CallError::Answer),
        }
    }
}

fn request(
    method: Method,
    target: &Target,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, CallError> {
    let url = &target.url;
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let mut request = Request::builder().method(method).uri(path).header(HOST, host);
    request = request.header(USER_AGENT, concat!("dictum/", env!("CARGO_PKG_VERSION"))).header(CONNECTION, "close");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    // A URL that was parsed makes a proper path and host.
    request.body(Full::new(body)).map_err(|_| CallError::Refused(Refused::Url("it cannot be called")))
}

/// Letters and digits from the system's source, each as likely as any other.
fn random_string() -> Result<String, getrandom::Error> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::new();
    while text.len() < CHALLENGE_LENGTH {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let fair = bytes.iter().map(|byte| usize::from(byte & 63)).filter_map(|at| ALPHABET.get(at));
        text.extend(fair.take(CHALLENGE_LENGTH - text.len()).map(|byte| char::from(*byte)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_sixteen_letters_and_digits_and_differ() {
        let strings: Vec<String> = (0..50).map(|_| random_string().unwrap()).collect();
        for text in &strings {
            assert!(text.len() == CHALLENGE_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
        }
        let distinct: std::collections::BTreeSet<_> = strings.iter().collect();
        assert_eq!(distinct.len(), strings.len());
    }

    /// A server with a certificate for `localhost` that answers one connection.
    async fn secure_server() -> (String, rustls::pki_types::CertificateDer<'static>) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = certified.cert.der().clone();
        let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await else { return };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        });
        (url, certificate)
    }

    #[tokio::test]
    async fn certificates_are_checked() {
        let config = Config { allow: vec!["localhost".to_owned()], ..Config::default() };
        let (url, _) = secure_server().await;
        let mut client = Client::new(config).unwrap();
        assert_eq!(client.notify(&url, None, Vec::new()).await, Err(CallError::Certificate), "nobody vouches for it");
        let (url, certificate) = secure_server().await;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        client.tls = crate::connect::trusting(roots);
        assert_eq!(client.notify(&url, None, Vec::new()).await, Ok(()));
    }
}
