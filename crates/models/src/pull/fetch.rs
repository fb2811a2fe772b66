//! Fetching one file over HTTP: goes on where it broke off, follows redirects, believes no length it is told.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::error::PullError;
use super::hub::HubToken;
use crate::check::sha256;

/// Redirects that are followed, one after the other.
const MOST_REDIRECTS: usize = 8;

/// Longest document that is read into memory, bytes.
const LONGEST_DOCUMENT: usize = 8 << 20;

/// Who wants to know how far a pull is.
pub trait Progress: Send + Sync {
    /// A file begins: `total` bytes, where the server says so, of which `there` have come earlier.
    fn begin(&self, _file: &str, _total: Option<u64>, _there: u64) {}
    /// So many bytes more have come.
    fn advance(&self, _bytes: u64) {}
    /// Something that takes a while begins.
    fn step(&self, _what: &str) {}
}

/// Nobody.
pub struct Silent;

impl Progress for Silent {}

/// How patient a fetch is, and what it takes.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Attempts without a byte of progress before it gives up.
    pub attempts: u32,
    /// Pause before the second attempt; twice as long before each further one.
    pub pause: Duration,
    /// Longest silence of a server.
    pub silence: Duration,
    /// Largest file, bytes.
    pub largest: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { attempts: 5, pause: Duration::from_millis(500), silence: Duration::from_secs(60), largest: 16 << 30 }
    }
}

/// Fetches files, by rules.
pub struct Fetcher {
    client: Client,
    patience: Patience,
    insecure_http: bool,
    token: Option<HubToken>,
}

/// A file that is there as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// What is known about the beginning of a file that lies beside this, so that the rest can be asked for.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
struct Begun {
    url: String,
    /// `ETag` or `Last-Modified`: the file is still the same while this is.
    validator: String,
    total: Option<u64>,
}

/// An attempt that failed.
enum Failed {
    /// Another may succeed.
    Again(String),
    /// No other will.
    Final(PullError),
}

impl From<PullError> for Failed {
    fn from(error: PullError) -> Failed {
        Failed::Final(error)
    }
}

impl Fetcher {
    /// A fetcher; `insecure_http` also takes what comes unencrypted from other machines.
    pub fn new(patience: Patience, insecure_http: bool) -> Result<Fetcher, PullError> {
        // The client takes the cryptography that is set for the process. That somebody has set it already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("dictum/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(20))
            .read_timeout(patience.silence)
            .build()
            .map_err(|error| PullError::Client(reasons(&error)))?;
        Ok(Fetcher { client, patience, insecure_http, token: None })
    }

    /// One that shows a token to the hub.
    pub fn with_token(mut self, token: Option<HubToken>) -> Fetcher {
        self.token = token;
        self
    }

    /// Fetches `url` into the file `part`, going on with what is there of it from before.
    pub async fn file(&self, url: &Url, part: &Path, progress: &dyn Progress) -> Result<Fetched, PullError> {
        let (mut fruitless, mut pause) = (0, self.patience.pause);
        loop {
            let before = length(part);
            match self.attempt(url, part, progress).await {
                Ok(()) => break,
                Err(Failed::Final(error)) => return Err(error),
                Err(Failed::Again(reason)) => {
                    if length(part) > before {
                        (fruitless, pause) = (0, self.patience.pause);
                    }
                    fruitless += 1;
                    if fruitless >= self.patience.attempts {
                        return Err(PullError::Broken { url: url.to_string(), reason });
                    }
                    tracing::debug!(%reason, "fetching goes on after a pause");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            }
        }
        let _ = std::fs::remove_file(beside(part));
        let (bytes, sha256) = sha256_of(part)?;
        Ok(Fetched { path: part.to_owned(), bytes, sha256 })
    }

    /// Fetches a document of moderate length into memory.
    pub async fn document(&self, url: &Url) -> Result<Vec<u8>, PullError> {
        let broken = |reason| PullError::Broken { url: url.to_string(), reason };
        let mut response = match self.answer(url, HeaderMap::new()).await {
            Ok(response) => response,
            Err(Failed::Again(reason)) => return Err(broken(reason)),
            Err(Failed::Final(error)) => return Err(error),
        };
        if !response.status().is_success() {
            return Err(refused(url, response.status()));
        }
        let mut document = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| broken(reasons(&error.without_url())))? {
            if document.len() + piece.len() > LONGEST_DOCUMENT {
                let bytes = (document.len() + piece.len()) as u64;
                return Err(PullError::TooLarge { url: url.to_string(), bytes, most: LONGEST_DOCUMENT as u64 });
            }
            document.extend_from_slice(&piece);
        }
        Ok(document)
    }

    async fn attempt(&self, url: &Url, part: &Path, progress: &dyn Progress) -> Result<(), Failed> {
        let begun = read_begun(part, url);
        let there = begun.as_ref().map_or(0, |_| length(part));
        let mut headers = HeaderMap::new();
        if let Some(begun) = begun.as_ref().filter(|_| there > 0)
            && let (Ok(range), Ok(validator)) = (format!("bytes={there}-").parse(), begun.validator.parse())
        {
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, validator);
        }
        let response = self.answer(url, headers).await?;
        let (from, total) = match response.status() {
            StatusCode::OK => (0, response.content_length()),
            StatusCode::PARTIAL_CONTENT => match content_range(&response) {
                // Also the length that was told before must still be the same.
                Some((from, total))
                    if from == there
                        && begun.as_ref().is_none_or(|begun| begun.total.is_none_or(|known| known == total)) =>
                {
                    (from, Some(total))
                }
                _ => return Err(start_over(part, "the server sent another piece than was asked for")),
            },
            StatusCode::RANGE_NOT_SATISFIABLE => match begun.and_then(|begun| begun.total) {
                Some(total) if total == there => return Ok(()),
                _ => return Err(start_over(part, "the file has become shorter")),
            },
            status if status.is_server_error() || matches!(status.as_u16(), 408 | 429) => {
                return Err(Failed::Again(format!("the server answered {status}")));
            }
            status => return Err(refused(url, status).into()),
        };
        let largest = self.patience.largest;
        if let Some(bytes) = total.filter(|total| *total > largest) {
            return Err(PullError::TooLarge { url: url.to_string(), bytes, most: largest }.into());
        }
        write_begun(part, url, &response, total)?;
        progress.begin(url.path_segments().and_then(|mut path| path.next_back()).unwrap_or_default(), total, from);
        let received = self.receive(response, part, from, progress, url).await?;
        match total {
            Some(total) if received < total => Err(Failed::Again(format!("{received} of {total} bytes came"))),
            _ => Ok(()),
        }
    }

    /// Writes the body behind the first `from` bytes of `part`. How long the file is then.
    async fn receive(
        &self,
        mut response: Response,
        part: &Path,
        from: u64,
        progress: &dyn Progress,
        url: &Url,
    ) -> Result<u64, Failed> {
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(part).map_err(PullError::file("write", part))?;
        file.set_len(from).map_err(PullError::file("shorten", part))?;
        let mut received = from;
        loop {
            let piece = match response.chunk().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => return Err(Failed::Again(reasons(&error.without_url()))),
            };
            received += piece.len() as u64;
            if received > self.patience.largest {
                drop(file);
                let _ = std::fs::remove_file(part);
                return Err(
                    PullError::TooLarge { url: url.to_string(), bytes: received, most: self.patience.largest }.into()
                );
            }
            file.write_all(&piece).map_err(PullError::file("write", part))?;
            progress.advance(piece.len() as u64);
        }
        file.sync_all().map_err(PullError::file("write", part))?;
        Ok(received)
    }

    /// The answer at the end of all redirects. Each hop has to be as safe as the first.
    async fn answer(&self, url: &Url, headers: HeaderMap) -> Result<Response, Failed> {
        let mut here = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            self.check(&here, url)?;
            let response = self
                .request(&here, headers.clone())
                .send()
                .await
                .map_err(|error| Failed::Again(reasons(&error.without_url())))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let to = to.and_then(|to| here.join(to).ok());
            here = to.ok_or_else(|| PullError::Malformed {
                what: url.to_string(),
                problem: "the server redirects to no address".to_owned(),
            })?;
        }
        Err(PullError::Redirects { url: url.to_string(), most: MOST_REDIRECTS }.into())
    }

    fn request(&self, url: &Url, mut headers: HeaderMap) -> RequestBuilder {
        if let Some(token) = self.token.as_ref().and_then(|token| token.for_url(url)) {
            headers.insert(AUTHORIZATION, token.clone());
        }
        self.client.get(url.clone()).headers(headers)
    }

    /// Encrypted, or on this machine from the beginning to the end, or wanted so.
    fn check(&self, url: &Url, first: &Url) -> Result<(), PullError> {
        let own = is_loopback(url) && is_loopback(first);
        match url.scheme() {
            "https" => Ok(()),
            "http" if own || self.insecure_http => Ok(()),
            _ => Err(PullError::Insecure { url: without_secrets(url) }),
        }
    }
}

/// A signed query of a storage service is nothing for messages.
fn without_secrets(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    let _ = url.set_password(None);
    url.to_string()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn refused(url: &Url, status: StatusCode) -> PullError {
    let hint = match status.as_u16() {
        401 | 403 => "; it may want an account (for Hugging Face a token in HF_TOKEN), or the place may not exist",
        404 | 410 => "; there is no such file",
        _ => "",
    };
    PullError::Refused { url: without_secrets(url), status: status.to_string(), hint }
}

fn start_over(part: &Path, reason: &str) -> Failed {
    let _ = std::fs::remove_file(beside(part));
    Failed::Again(reason.to_owned())
}

/// Where the piece of a 206 begins, and how long the whole file is.
fn content_range(response: &Response) -> Option<(u64, u64)> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = range.split_once('-')?;
    let (from, to, total) = (from.parse::<u64>().ok()?, to.parse::<u64>().ok()?, total.parse::<u64>().ok()?);
    (from <= to && to < total).then_some((from, total))
}

fn beside(part: &Path) -> PathBuf {
    let mut name = part.as_os_str().to_owned();
    name.push(".begun");
    PathBuf::from(name)
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn read_begun(part: &Path, url: &Url) -> Option<Begun> {
    let begun: Begun = toml::from_str(&std::fs::read_to_string(beside(part)).ok()?).ok()?;
    (begun.url == url.as_str()).then_some(begun)
}

/// Notes by what the file is recognised again. A weak `ETag` says nothing about bytes (RFC 9110, 13.1.5).
fn write_begun(part: &Path, url: &Url, response: &Response, total: Option<u64>) -> Result<(), PullError> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let strong = header(ETAG).filter(|tag| !tag.starts_with("W/"));
    let path = beside(part);
    let Some(validator) = strong.or_else(|| header(LAST_MODIFIED)) else {
        let _ = std::fs::remove_file(path);
        return Ok(());
    };
    let begun = Begun { url: url.to_string(), validator: validator.to_owned(), total };
    std::fs::write(&path, toml::to_string(&begun).unwrap_or_default()).map_err(PullError::file("write", &path))
}

/// Length and SHA-256 of a file.
pub(super) fn sha256_of(path: &Path) -> Result<(u64, String), PullError> {
    sha256(path).map_err(PullError::file("read", path))
}

/// An error with all that is behind it.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hub_is_told_who_asks() {
        let fetcher = Fetcher::new(Patience::default(), false).unwrap();
        let fetcher = fetcher.with_token(Some(HubToken::new("hf_secret").unwrap()));
        let sent = |url: &str| {
            let request = fetcher.request(&Url::parse(url).unwrap(), HeaderMap::new()).build().unwrap();
            request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(sent("https://huggingface.co/api/models/a/b/tree/main").as_deref(), Some("Bearer hf_secret"));
        assert_eq!(sent("https://cas-bridge.xethub.hf.co/x"), None);
    }
}
