//! Pulling packages from a server on this machine that breaks off, redirects, truncates and lies.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use dictum_models::pull::{self, HubToken, Order, Patience, PullConfig, PullError, Pulled, Silent};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// How the server treats a file.
#[derive(Clone, Default)]
struct Manner {
    /// Breaks off after so many bytes of an answer, in each of the first so many answers.
    breaks: Option<(usize, usize)>,
    /// Sends to another address.
    to: Option<String>,
    /// Answers with this status so many times.
    fails: Option<(u16, usize)>,
    /// Sends another piece than was asked for.
    wrong_piece: bool,
    /// Ignores `Range`.
    whole: bool,
    /// Has no `ETag`.
    anonymous: bool,
}

#[derive(Default)]
struct Files {
    files: BTreeMap<String, (Vec<u8>, Manner)>,
    /// Path and `Range` of every request.
    asked: Vec<(String, Option<String>)>,
    /// Requests that said whose they are.
    introduced: usize,
}

#[derive(Clone)]
struct Server {
    files: Arc<Mutex<Files>>,
    url: String,
}

impl Server {
    async fn start() -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server { files: Arc::default(), url };
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    fn put(&self, path: &str, content: impl Into<Vec<u8>>, manner: Manner) -> String {
        self.files.lock().unwrap().files.insert(path.to_owned(), (content.into(), manner));
        format!("{}{path}", self.url)
    }

    fn asked(&self) -> Vec<(String, Option<String>)> {
        std::mem::take(&mut self.files.lock().unwrap().asked)
    }
}

async fn answer(State(server): State<Server>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let ranged = request.headers().get(header::RANGE).map(|range| range.to_str().unwrap().to_owned());
    let mut files = server.files.lock().unwrap();
    files.asked.push((path.clone(), ranged.clone()));
    files.introduced += usize::from(request.headers().contains_key(header::AUTHORIZATION));
    let Some((content, manner)) = files.files.get_mut(&path) else {
        return Response::builder().status(404).body(Body::empty()).unwrap();
    };
    if let Some((status, times)) = manner.fails.as_mut().filter(|(_, times)| *times > 0) {
        *times -= 1;
        return Response::builder().status(*status).body(Body::from("no")).unwrap();
    }
    if let Some(to) = &manner.to {
        return Response::builder().status(302).header(header::LOCATION, to).body(Body::empty()).unwrap();
    }
    let tag = format!("\"{}\"", hexadecimal(content));
    let mut from = 0;
    let mut response = Response::builder();
    if !manner.anonymous {
        response = response.header(header::ETAG, &tag);
    }
    let same = |headers: &HeaderMap| headers.get(header::IF_RANGE).is_some_and(|asked| asked.to_str().unwrap() == tag);
    if let Some(range) = ranged.filter(|_| !manner.whole && same(request.headers())) {
        from = range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap();
        if from >= content.len() {
            return response.status(StatusCode::RANGE_NOT_SATISFIABLE).body(Body::empty()).unwrap();
        }
        from -= usize::from(manner.wrong_piece);
        let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
        response = response.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, range);
    }
    let rest = content[from..].to_vec();
    response = response.header(header::CONTENT_LENGTH, rest.len());
    match manner.breaks.as_mut().filter(|(_, times)| *times > 0) {
        Some((after, times)) => {
            *times -= 1;
            let some = bytes::Bytes::from(rest[..(*after).min(rest.len())].to_vec());
            // What was sent has to have arrived before the connection goes.
            let gone = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(std::io::Error::other("gone"))
            };
            let pieces = futures::stream::once(async { Ok(some) }).chain(futures::stream::once(gone));
            response.body(Body::from_stream(pieces)).unwrap()
        }
        None => response.body(Body::from(rest)).unwrap(),
    }
}

fn hexadecimal(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn package_files() -> Vec<(String, Vec<u8>)> {
    // Noise (Marsaglia's xorshift) does not compress, so that the archive is long enough to break off.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let network = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    let network: Vec<u8> = network.take(200_000).collect();
    vec![("tokens.txt".to_owned(), b"a 0\n<blk> 1\n".to_vec()), ("model.int8.onnx".to_owned(), network)]
}

/// With a name that leads away.
const OWN_MANIFEST: &[u8] = br#"
format = 1
name = "../up"
language = "fi-FI"
kind = "ctc"
released = "2026-11-21"
sample_rates = [16000]
[files]
network = "."
"#;

fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast()));
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("some-model/{name}"), content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn good_archive() -> Vec<u8> {
    archive(&package_files())
}

fn config(place: &TempDir) -> PullConfig {
    let patience = Patience { pause: Duration::from_millis(5), silence: Duration::from_secs(5), ..Patience::default() };
    PullConfig { patience, ..PullConfig::new(place.path().join("models")) }
}

fn order(source: &str) -> Order {
    Order { source: source.to_owned(), language: Some("fi-FI".to_owned()), ..Order::default() }
}

async fn pull_from(url: &str, place: &TempDir) -> Result<Pulled, PullError> {
    pull::pull(&config(place), &order(url), &Silent).await
}

fn is_installed(place: &TempDir, name: &str) -> bool {
    let directory = place.path().join("models").join(name);
    let whole = package_files()
        .iter()
        .all(|(name, content)| std::fs::read(directory.join(name)).is_ok_and(|found| found == *content));
    assert_eq!(directory.exists(), whole, "a package is there as a whole or not at all");
    whole
}

#[tokio::test]
async fn an_archive_becomes_a_package() {
    let (server, place) = (Server::start().await, tempfile::tempdir().unwrap());
    let url = server.put("/some-model.tar.bz2", good_archive(), Manner::default());
    let pulled = pull_from(&url, &place).await.unwrap();
    assert!(pulled.fresh && is_installed(&place, "some-model"));
    let manifest: toml::Table =
        std::fs::read_to_string(pulled.directory.join("package.toml")).unwrap().parse().unwrap();
    assert_eq!(manifest["kind"].as_str(), Some("ctc"));
    assert_eq!(manifest["language"].as_str(), Some("fi-FI"));
    assert_eq!(manifest["serves"][0].as_str(), Some("fi-FI"));
    let network = hexadecimal(&package_files()[1].1);
    assert_eq!(manifest["checksums"]["model.int8.onnx"].as_str(), Some(network.as_str()));
    assert_eq!(pulled.record.fetched.len(), 1);

    // A second time nothing is fetched, unless it is to be replaced.
    server.asked();
    assert!(!pull_from(&url, &place).await.unwrap().fresh);
    assert_eq!(server.asked(), []);
    let again = Order { replace: true, ..order(&url) };
    assert!(pull::pull(&config(&place), &again, &Silent).await.unwrap().fresh);

    let models = config(&place).models;
    assert_eq!(pull::pulled(&models)[0].0, "some-model");
    pull::remove(&models, "some-model").unwrap();
    assert!(!is_installed(&place, "some-model"));
    // Called otherwise by its own manifest, it is known by where it came from.
    let manifest = std::str::from_utf8(OWN_MANIFEST).unwrap();
    let mut described = package_files();
    described.push(("package.toml".to_owned(), manifest.replace("../up", "own-name").into_bytes()));
    let other = server.put("/other.tar.bz2", archive(&described), Manner::default());
    let silent = Order { language: None, ..order(&other) };
    assert_eq!(pull::pull(&config(&place), &silent, &Silent).await.unwrap().name, "own-name");
    let again = pull::pull(&config(&place), &silent, &Silent).await.unwrap();
    assert!(!again.fresh && again.name == "own-name");
    assert!(matches!(pull::remove(&models, "some-model"), Err(PullError::NotPulled { .. })));
}

#[tokio::test]
async fn a_connection_that_breaks_off_goes_on_where_it_was() {
    let (server, place) = (Server::start().await, tempfile::tempdir().unwrap());
    let manner = Manner { breaks: Some((30_000, 3)), ..Manner::default() };
    let url = server.put("/some-model.tar.bz2", good_archive(), manner);
    assert!(pull_from(&url, &place).await.unwrap().fresh && is_installed(&place, "some-model"));
    let ranges: Vec<_> = server.asked().into_iter().map(|(_, range)| range).collect();
    assert_eq!(ranges.len(), 4);
    assert_eq!(ranges[0], None);
    assert!(ranges[1..].iter().all(Option::is_some), "{ranges:?}");
}

#[tokio::test]
async fn what_came_before_a_failure_is_kept_for_the_next_command() {
    let (server, place) = (Server::start().await, tempfile::tempdir().unwrap());
    let manner = Manner { breaks: Some((30_000, 1)), ..Manner::default() };
    let url = server.put("/some-model.tar.bz2", good_archive(), manner);
    let mut hasty = config(&place);
    hasty.patience.attempts = 1;
    let error = pull::pull(&hasty, &order(&url), &Silent).await.unwrap_err();
    assert!(matches!(error, PullError::Broken { .. }), "{error}");
    assert!(!is_installed(&place, "some-model"));
    server.asked();
    assert!(pull_from(&url, &place).await.unwrap().fresh && is_installed(&place, "some-model"));
    assert!(server.asked()[0].1.is_some(), "it began from the start again");
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_is_fetched_from_the_start() {
    let (server, place) = (Server::start().await, tempfile::tempdir().unwrap());
    let url =
        server.put("/some-model.tar.bz2", vec![7; 100_000], Manner { breaks: Some((30_000, 1)), ..Manner::default() });
    let mut hasty = config(&place);
    hasty.patience.attempts = 1;
    pull::pull(&hasty, &order(&url), &Silent).await.unwrap_err();
    server.put("/some-model.tar.bz2", good_archive(), Manner::default());
    assert!(pull_from(&url, &place).await.unwrap().fresh && is_installed(&place, "some-model"));
}

#[tokio::test]
async fn servers_that_resume_badly_or_not_at_all_still_deliver() {
    for manner in [
        Manner { whole: true, ..Manner::default() },
        Manner { anonymous: true, ..Manner::default() },
        Manner { wrong_piece: true, ..Manner::default() },
        Manner { fails: Some((503, 2)), ..Manner::default() },
        Manner { fails: Some((429, 1)), ..Manner::default() },
    ] {
        let (server, place) = (Server::start().await, tempfile::tempdir().unwrap());
        let url = server.put("/some-model.tar.bz2", good_archive(), Manner { breaks: Some((30_000, 1)), ..manner });
        assert!(pull_from(&url, &place).await.unwrap().fresh && is_installed(&place, "some-model"));
    }
}

#[tokio::test]
async fn a_server_that_never_delivers_ends_the_patience() {
    let (server, place) = (Server::start().await, tempfile::tempdir().unwrap());
    let url = server.put("/some-model.tar.bz2", good_archive(), Manner { breaks: Some((0, 99)), ..Manner::default() });
    let error = pull_from(&url, &place).await.unwrap_err();
    assert!(error.to_string().contains("goes on from there"), "{error}");
    assert_eq!(server.asked().len(), 5);
    let url = server.put("/gone.tar.bz2", [], Manner { fails: Some((404, 99)), ..Manner::default() });
    let error = pull_from(&url, &place).await.unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    assert_eq!(server.asked().len(), 1, "what is not there is asked for once");
}

#[tokio::test]
async fn redirects_are_followed_within_limits_and_never_to_unsafe_places() {
    let (server, place) = (Server::start().await, tempfile::tempdir().unwrap());
    server.put("/store/file", good_archive(), Manner { breaks: Some((30_000, 1)), ..Manner::default() });
    server.put("/two", [], Manner { to: Some("/store/file".to_owned()), ..Manner::default() });
    let url = server.put("/some-model.tar.bz2", [], Manner { to: Some("/two".to_owned()), ..Manner::default() });
    assert!(pull_from(&url, &place).await.unwrap().fresh && is_installed(&place, "some-model"));

    let url = server.put("/round.tar.bz2", [], Manner { to: Some("/round.tar.bz2".to_owned()), ..Manner::default() });
    assert!(matches!(pull_from(&url, &place).await, Err(PullError::Redirects { .. })));
    for to in ["http://192.0.2.1/x", "file:///etc/passwd", "ftp://127.0.0.1/x"] {
        let url = server.put("/away.tar.bz2", [], Manner { to: Some(to.to_owned()), ..Manner::default() });
        assert!(matches!(pull_from(&url, &place).await, Err(PullError::Insecure { .. })), "{to}");
    }
    assert!(matches!(pull_from("http://192.0.2.1/x.tar.bz2", &place).await, Err(PullError::Insecure { .. })));
}

#[tokio::test]
async fn what_came_first_has_to_come_again() {
    let (server, place) = (Server::start().await, tempfile::tempdir().unwrap());
    let url = server.put("/some-model.tar.bz2", good_archive(), Manner::default());
    pull_from(&url, &place).await.unwrap();
    let mut other = package_files();
    other.push(("README.md".to_owned(), b"changed".to_vec()));
    server.put("/some-model.tar.bz2", archive(&other), Manner::default());
    let again = Order { replace: true, ..order(&url) };
    let error = pull::pull(&config(&place), &again, &Silent).await.unwrap_err();
    assert!(error.to_string().contains("--accept-changed"), "{error}");
    assert!(is_installed(&place, "some-model"), "the first one stays");
    // Also when it was removed in between.
    pull::remove(&config(&place).models, "some-model").unwrap();
    assert!(matches!(pull_from(&url, &place).await, Err(PullError::Checksum { .. })));
    let accepted = Order { accept_changed: true, ..order(&url) };
    pull::pull(&config(&place), &accepted, &Silent).await.unwrap();
    assert!(is_installed(&place, "some-model"));
}

#[tokio::test]
async fn hostile_and_foreign_archives_install_nothing() {
    let server = Server::start().await;
    let mut evil = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(1);
    header.as_mut_bytes()[..8].copy_from_slice(b"../../up");
    header.set_cksum();
    evil.append(&header, b"x".as_slice()).unwrap();
    let no_network = archive(&package_files()[..1]);
    let own_manifest = archive(&[("package.toml".to_owned(), OWN_MANIFEST.to_vec())]);
    let outside = std::str::from_utf8(OWN_MANIFEST).unwrap().replace("\".\"", "\"/etc\"").replace("../up", "x");
    let outside = archive(&[("package.toml".to_owned(), outside.into_bytes())]);
    for (content, problem) in [
        (evil.into_inner().unwrap(), "no path below"),
        (no_network, "there is no network"),
        (own_manifest, "no model package"),
        (outside, "not inside of it"),
        (b"<html>log in</html>".to_vec(), "page of text"),
        (good_archive()[..50_000].to_vec(), "damaged"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let url = server.put("/some-model.tar.bz2", content, Manner::default());
        let error = pull_from(&url, &place).await.unwrap_err().to_string();
        assert!(error.contains(problem), "{problem}: {error}");
        assert!(!is_installed(&place, "some-model"));
        assert!(!place.path().join("up").exists() && !place.path().parent().unwrap().join("up").exists());
        // The same command succeeds when the file is right.
        server.put("/some-model.tar.bz2", good_archive(), Manner::default());
        assert!(pull_from(&url, &place).await.unwrap().fresh && is_installed(&place, "some-model"));
    }
}

#[tokio::test]
async fn lengths_beyond_the_limit_are_refused_before_and_while_they_come() {
    let (server, place) = (Server::start().await, tempfile::tempdir().unwrap());
    let url = server.put("/some-model.tar.bz2", good_archive(), Manner::default());
    let mut small = config(&place);
    small.patience.largest = 1000;
    assert!(matches!(pull::pull(&small, &order(&url), &Silent).await, Err(PullError::TooLarge { .. })));
    let mut tight = config(&place);
    tight.bounds.bytes = 1000;
    let error = pull::pull(&tight, &order(&url), &Silent).await.unwrap_err();
    assert!(error.to_string().contains("expands to more"), "{error}");
    assert!(!is_installed(&place, "some-model"));
}

#[tokio::test]
async fn names_and_languages_are_asked_for_and_strangers_left_alone() {
    let (server, place) = (Server::start().await, tempfile::tempdir().unwrap());
    let url = server.put("/some-model.tar.bz2", good_archive(), Manner::default());
    let silent = Order { language: None, ..order(&url) };
    let error = pull::pull(&config(&place), &silent, &Silent).await.unwrap_err();
    assert!(error.to_string().contains("--language"), "{error}");
    let odd = Order { name: Some("../x".to_owned()), ..order(&url) };
    assert!(matches!(pull::pull(&config(&place), &odd, &Silent).await, Err(PullError::Malformed { .. })));
    // A folder that somebody made by hand is neither replaced nor removed.
    let own = config(&place).models.join("own");
    std::fs::create_dir_all(&own).unwrap();
    let taken = Order { name: Some("own".to_owned()), replace: true, ..order(&url) };
    assert!(matches!(pull::pull(&config(&place), &taken, &Silent).await, Err(PullError::Taken(_))));
    assert!(matches!(pull::remove(&config(&place).models, "own"), Err(PullError::NotPulled { .. })));
    assert!(own.exists());
    for name in ["..", "", ".pulling", "a/b"] {
        assert!(matches!(pull::remove(&config(&place).models, name), Err(PullError::NotPulled { .. })), "{name}");
    }
}

fn hub_list(server: &Server, files: &[(String, Vec<u8>)], wrong: Option<&str>) {
    let entries: Vec<_> = files
        .iter()
        .map(|(name, content)| {
            let sum = if wrong == Some(name.as_str()) { "0".repeat(64) } else { hexadecimal(content) };
            serde_json::json!({ "type": "file", "path": name, "oid": "0", "size": content.len(),
                                "lfs": { "oid": sum, "size": content.len() } })
        })
        .collect();
    server.put("/api/models/someone/some-model/tree/main", serde_json::to_vec(&entries).unwrap(), Manner::default());
    for (name, content) in files {
        let manner = Manner { breaks: Some((30_000, 1)), ..Manner::default() };
        server.put(&format!("/someone/some-model/resolve/main/{name}"), content.clone(), manner);
    }
}

#[tokio::test]
async fn a_repository_of_a_hub_becomes_a_package() {
    let (server, place) = (Server::start().await, tempfile::tempdir().unwrap());
    let mut files = package_files();
    files.push(("model.onnx".to_owned(), vec![1; 300_000]));
    hub_list(&server, &files, None);
    let hub_token = Some(HubToken::new("hf_secret").unwrap());
    let config = PullConfig { hub: server.url.clone(), hub_token, ..config(&place) };
    let pulled = pull::pull(&config, &order("hf:someone/some-model"), &Silent).await.unwrap();
    assert!(pulled.fresh && is_installed(&place, "some-model"));
    assert_eq!(server.files.lock().unwrap().introduced, 0, "a mirror is not told who asks");
    assert!(!pulled.directory.join("model.onnx").exists(), "the network in 32 bits is not fetched besides");
    assert_eq!(pulled.record.fetched.len(), 2);
}

#[tokio::test]
async fn a_hub_that_lies_is_found_out() {
    let (server, place) = (Server::start().await, tempfile::tempdir().unwrap());
    hub_list(&server, &package_files(), Some("model.int8.onnx"));
    let config = PullConfig { hub: server.url.clone(), ..config(&place) };
    let error = pull::pull(&config, &order("hf:someone/some-model"), &Silent).await.unwrap_err();
    assert!(matches!(error, PullError::Checksum { .. }), "{error}");
    for answer in ["<html>", "{}", "[]", r#"[{"type":"file","path":"../tokens.txt","size":1}]"#] {
        server.put("/api/models/someone/some-model/tree/main", answer, Manner::default());
        let error = pull::pull(&config, &order("hf:someone/some-model"), &Silent).await.unwrap_err();
        assert!(matches!(error, PullError::Hub { .. }), "{answer}: {error}");
    }
    assert!(!is_installed(&place, "some-model"));
    assert!(!Path::new("tokens.txt").exists());
}
