//! A service that speaks S3 and keeps its objects in a directory.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Mutex;
use std::thread::JoinHandle;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::{free_port, new_name};

const KEY: &str = "AKIATESTBED";
const SECRET: &str = "a/secret+key";
/// The same in a URL.
const ESCAPED: &str = "a%2Fsecret%2Bkey";

/// A service on a thread of its own. Requests must be signed.
pub struct S3 {
    directory: TempDir,
    port: u16,
    running: Mutex<Option<Running>>,
}

struct Running {
    thread: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl S3 {
    /// Starts a service without buckets.
    pub fn start() -> S3 {
        let directory = tempfile::Builder::new().prefix("dictum-s3").tempdir().expect("a temporary directory");
        let s3 = S3 { directory, port: free_port(), running: Mutex::new(None) };
        s3.start_again();
        s3
    }

    /// A new, empty bucket; its URL, as `--blobs` takes it.
    pub fn new_bucket(&self) -> String {
        let name = new_name("bucket");
        std::fs::create_dir(self.directory.path().join(&name)).expect("a directory is made");
        format!("s3://{KEY}:{ESCAPED}@{name}?endpoint=http://127.0.0.1:{}&region=us-east-1", self.port)
    }

    /// Where the objects are: a directory for each bucket.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Ends the service: connections break, and nobody listens any more.
    pub fn stop(&self) {
        if let Some(running) = self.running.lock().expect("a lock").take() {
            let _ = running.stop.send(());
            running.thread.join().expect("the service ends");
        }
    }

    /// Starts a service that was stopped, with what it had.
    pub fn start_again(&self) {
        let files = FileSystem::new(self.directory.path()).expect("a directory of objects");
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let port = self.port;
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port is free");
                ready.send(()).expect("somebody waits");
                let accept = async {
                    while let Ok((socket, _)) = listener.accept().await {
                        // Small pieces of answers would wait for each other.
                        let _ = socket.set_nodelay(true);
                        let service = service.clone();
                        tokio::spawn(async move {
                            let server = Builder::new(TokioExecutor::new());
                            let _ = server.serve_connection(TokioIo::new(socket), service).await;
                        });
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
        });
        is_ready.recv().expect("the service starts");
        *self.running.lock().expect("a lock") = Some(Running { thread, stop });
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.stop();
    }
}
