//! A server on a socket, and a client that speaks plain HTTP/1.1, so that tests decide about every byte and pause.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod audio;
pub mod hook;
pub mod socket;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dictum_callbacks::{Client, Config};
use dictum_models::{Registry, RegistryConfig};
use dictum_service::accounts::{Access, Accounts, AccountsConfig};
use dictum_service::customization::{Customizations, LanguageHandler};
use dictum_service::jobs::{CallbackHandler, JobFormat, RecognitionHandler, Workers, WorkersConfig};
use dictum_service::recognitions::Recognitions;
use dictum_service::{Service, ServiceConfig};
use dictum_store::{Quota, Store};
use dictum_watson::recognitions::WatsonJobs;
use dictum_watson::{WatsonConfig, router};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;

/// Says that a test was not run, and why.
pub fn skipped(test: &str, reason: &str) {
    println!("skipped: {test}: {reason}");
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub service: Arc<Service>,
    /// What it keeps; in a directory of its own.
    pub store: Store,
    callbacks: Client,
    task: tokio::task::JoinHandle<()>,
    directory: tempfile::TempDir,
    package: Option<tempfile::TempDir>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn model_directory() -> std::path::PathBuf {
    std::env::var_os("DICTUM_MODEL_DIR").map_or_else(|| "/usr/share/pocketsphinx/model/en-us".into(), Into::into)
}

/// Whether the default model is there; tests that need it are skipped by name when it is not.
pub fn has_model(test: &str) -> bool {
    let there = model_directory().join("en-us.lm.bin").exists();
    if !there {
        skipped(test, "no model: install pocketsphinx-en-us, or say where it is with DICTUM_MODEL_DIR");
    }
    there
}

fn service_of(package: &Path, config: ServiceConfig) -> Arc<Service> {
    let registry = RegistryConfig { default_package: Some(package.to_owned()), ..RegistryConfig::default() };
    Service::new(Registry::open(&registry).expect("the registry opens"), config)
}

/// The real model, loaded once for all tests of the process.
async fn shared_service() -> Arc<Service> {
    static SERVICE: OnceCell<Arc<Service>> = OnceCell::const_new();
    let service = SERVICE.get_or_init(|| async {
        let service = service_of(&model_directory(), ServiceConfig::default());
        service.load().await.expect("the model loads");
        service
    });
    Arc::clone(service.await)
}

impl Server {
    /// A server whose names are there but whose model files are not: enough for all that is decided without listening.
    pub async fn without_model() -> Server {
        Self::with_config(WatsonConfig::default()).await
    }

    /// The same with other settings.
    pub async fn with_config(config: WatsonConfig) -> Server {
        let package = tempfile::tempdir().unwrap();
        let mut server = Self::start(service_of(package.path(), ServiceConfig::default()), config).await;
        server.package = Some(package);
        server
    }

    /// A server without the model and with limits for every instance.
    pub async fn with_quota(quota: Quota) -> Server {
        let (package, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let service = service_of(package.path(), ServiceConfig::default());
        let store = Store::open(directory.path()).await.unwrap();
        let instance = store.ensure_instance("default").await.unwrap().id;
        let access = Access::open(&instance, Duration::from_secs(3600)).unwrap();
        let mut server = Self::limited(service, access, store, directory, WatsonConfig::default(), quota).await;
        server.package = Some(package);
        server
    }

    /// A server with the real model.
    pub async fn with_model() -> Server {
        Self::start(shared_service().await, WatsonConfig::default()).await
    }

    /// A server with the model package in a directory, relative to this crate's.
    pub async fn with_package(directory: &str) -> Server {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        Self::start(service_of(&package, ServiceConfig::default()), WatsonConfig::default()).await
    }

    /// A server with the real model and other settings.
    pub async fn with_settings(service: Option<ServiceConfig>, watson: WatsonConfig) -> Server {
        let service = match service {
            Some(config) => service_of(&model_directory(), config),
            None => shared_service().await,
        };
        Self::start(service, watson).await
    }

    /// A server that asks for credentials, without model files, and the accounts it knows.
    pub async fn with_accounts(config: AccountsConfig) -> (Server, Arc<Accounts>) {
        let directory = tempfile::tempdir().unwrap();
        let service = service_of(directory.path(), ServiceConfig::default());
        Self::with_accounts_in(directory, service, config).await
    }

    /// The same with the real model.
    pub async fn with_accounts_and_model(config: AccountsConfig) -> (Server, Arc<Accounts>) {
        Self::with_accounts_in(tempfile::tempdir().unwrap(), shared_service().await, config).await
    }

    async fn with_accounts_in(
        directory: tempfile::TempDir,
        service: Arc<Service>,
        config: AccountsConfig,
    ) -> (Server, Arc<Accounts>) {
        let store = Store::open(directory.path()).await.unwrap();
        let accounts = Accounts::open(store.clone(), config).await.unwrap();
        let access = Access::required(Arc::clone(&accounts));
        (Self::guarded(service, access, store, directory, WatsonConfig::default()).await, accounts)
    }

    /// A server that serves everybody: most tests are not about credentials.
    async fn start(service: Arc<Service>, config: WatsonConfig) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).await.unwrap();
        let instance = store.ensure_instance("default").await.unwrap().id;
        let access = Access::open(&instance, Duration::from_secs(3600)).unwrap();
        Self::guarded(service, access, store, directory, config).await
    }

    async fn guarded(
        service: Arc<Service>,
        access: Arc<Access>,
        store: Store,
        directory: tempfile::TempDir,
        config: WatsonConfig,
    ) -> Server {
        Self::limited(service, access, store, directory, config, Quota::default()).await
    }

    async fn limited(
        service: Arc<Service>,
        access: Arc<Access>,
        store: Store,
        directory: tempfile::TempDir,
        config: WatsonConfig,
        quota: Quota,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let allow = vec!["127.0.0.1".to_owned()];
        let callbacks = Client::new(Config { allow, ..Config::default() }).unwrap();
        let recognitions = Recognitions::new(store.clone(), callbacks.clone()).with_quota(quota);
        let app = router(Arc::clone(&service), access, recognitions, config);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Server { address, service, store, callbacks, task, directory, package: None }
    }

    /// Workers for what this server keeps, `recognitions` at a time.
    pub fn workers(&self, recognitions: usize) -> Workers {
        let config = WorkersConfig { look: Duration::from_millis(50), ..WorkersConfig::default() };
        let workers = Workers::new(self.store.clone(), config);
        let customizations = Customizations::new(Arc::clone(&self.service), self.store.clone());
        let format: Arc<dyn JobFormat> = Arc::new(WatsonJobs::new(customizations.clone()));
        let recognition = RecognitionHandler::new(Arc::clone(&self.service), self.store.clone(), Arc::clone(&format));
        workers.add(Arc::new(recognition), recognitions, self.service.drain());
        workers.add(Arc::new(LanguageHandler::new(customizations)), 1, self.service.drain());
        let callback = CallbackHandler::new(self.store.clone(), self.callbacks.clone(), format);
        workers.add(Arc::new(callback), 4, self.service.drain());
        workers
    }

    /// Where it keeps things.
    pub fn data(&self) -> &Path {
        self.directory.path()
    }

    /// Sends a request and reads the answer.
    pub async fn send(&self, request: Request) -> Reply {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (reader, mut writer) = stream.into_split();
        let writing = async move {
            // The server may have answered, and closed, before everything is sent.
            let _ = request.write(&mut writer).await;
            writer
        };
        let began = Instant::now();
        let reading = async {
            let mut reply = read_reply(reader).await;
            reply.after = began.elapsed();
            reply
        };
        tokio::join!(writing, reading).1
    }

    /// `GET`
    pub async fn get(&self, target: &str) -> Reply {
        self.send(Request::new("GET", target)).await
    }

    /// `POST /v1/recognize` of audio of a type, with a query.
    pub async fn recognize(&self, query: &str, content_type: &str, audio: Vec<u8>) -> Reply {
        let request = Request::new("POST", &format!("/v1/recognize?{query}"));
        self.send(request.header("Content-Type", content_type).body(audio)).await
    }
}

/// What the body of a request is.
pub enum Payload {
    None,
    /// Sent with its length.
    Whole(Vec<u8>),
    /// Sent in chunks, each after a pause.
    Chunks(Vec<(Duration, Vec<u8>)>),
    /// Announced with this length, then this much is sent, and then nothing.
    Stalled(usize, Vec<u8>),
}

/// A request.
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    payload: Payload,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Request {
        let headers = vec![("Host".to_owned(), "stt.example:1234".to_owned())];
        Request { method: method.to_owned(), target: target.to_owned(), headers, payload: Payload::None }
    }

    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(self, body: impl Into<Vec<u8>>) -> Request {
        self.payload(Payload::Whole(body.into()))
    }

    /// The body in chunks of `size` bytes, one after another.
    pub fn chunked(self, body: &[u8], size: usize) -> Request {
        self.payload(Payload::Chunks(body.chunks(size).map(|chunk| (Duration::ZERO, chunk.to_vec())).collect()))
    }

    pub fn payload(mut self, payload: Payload) -> Request {
        self.payload = payload;
        self
    }

    pub fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &match &self.payload {
            Payload::None => String::new(),
            Payload::Whole(body) => format!("Content-Length: {}\r\n", body.len()),
            Payload::Stalled(length, _) => format!("Content-Length: {length}\r\n"),
            Payload::Chunks(_) => "Transfer-Encoding: chunked\r\n".to_owned(),
        };
        head + "\r\n"
    }

    async fn write(&self, writer: &mut (impl AsyncWriteExt + Unpin)) -> std::io::Result<()> {
        writer.write_all(self.head().as_bytes()).await?;
        match &self.payload {
            Payload::None => {}
            Payload::Whole(body) | Payload::Stalled(_, body) => writer.write_all(body).await?,
            Payload::Chunks(chunks) => {
                for (pause, chunk) in chunks {
                    tokio::time::sleep(*pause).await;
                    writer.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
                    writer.write_all(chunk).await?;
                    writer.write_all(b"\r\n").await?;
                }
                writer.write_all(b"0\r\n\r\n").await?;
            }
        }
        writer.flush().await
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// How long it took from the beginning of the request.
    pub after: Duration,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body, which must be JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {} {:?}", self.status, String::from_utf8_lossy(&self.body)))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The transcripts of the results, joined as clients do.
    pub fn transcript(&self) -> String {
        let json = self.json();
        let results = json["results"].as_array().unwrap_or_else(|| panic!("no results in {json}"));
        results.iter().filter_map(|result| result["alternatives"][0]["transcript"].as_str()).collect()
    }
}

pub async fn read_reply(reader: impl AsyncRead + Unpin) -> Reply {
    let mut reader = BufReader::new(reader);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(
                reader.read(&mut byte).await.unwrap(),
                1,
                "closed within the head {:?}",
                String::from_utf8_lossy(&head)
            );
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status: u16 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        if status == 100 {
            continue;
        }
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        let mut reply = Reply { status, headers, body: Vec::new(), after: Duration::ZERO };
        if let Some(length) = reply.header("content-length") {
            reply.body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut reply.body).await.unwrap();
        } else if reply.header("transfer-encoding") == Some("chunked") {
            reply.body = read_chunks(&mut reader).await;
        }
        return reply;
    }
}

async fn read_chunks(reader: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut size = Vec::new();
        while !size.ends_with(b"\r\n") {
            size.push(reader.read_u8().await.unwrap());
        }
        let size = usize::from_str_radix(std::str::from_utf8(&size).unwrap().trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).await.unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// The type of what [`multipart`] makes.
pub const MULTIPART: &str = "multipart/form-data; boundary=part-of-a-test";

/// A multipart body: the metadata, then the audio parts.
pub fn multipart(metadata: Option<&str>, uploads: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut part = |name: &str, content: &[u8]| {
        body.extend(format!("--part-of-a-test\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend(b"\r\n");
    };
    if let Some(metadata) = metadata {
        part("metadata", metadata.as_bytes());
    }
    for upload in uploads {
        part("upload", upload);
    }
    body.extend(b"--part-of-a-test--\r\n");
    body
}

/// Waits, for five seconds at most, until something has come about.
pub async fn wait_for(mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it did not come to that in five seconds");
}
