//! Accepting connections, and what each of them goes through.

use std::fmt::Display;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::http::uri::Scheme;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::tls::Tls;

/// Most bytes of a request head: the request line and all headers together.
const LONGEST_HEAD: usize = 64 * 1024;
/// Most headers of a request.
const MOST_HEADERS: usize = 100;
/// Most requests of one HTTP/2 connection at the same time.
const MOST_STREAMS: u32 = 100;

/// How long a connection may take for what costs it nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time for the next request head to arrive completely, also on a connection that has just been opened. (HTTP/2
    /// connections are asked for a sign of life instead, and have this long for it.)
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { handshake: Duration::from_secs(10), idle: Duration::from_secs(60) }
    }
}

/// Serves `app` until `stop` is cancelled, and then until the last connection is closed: idle ones are closed at once, a
/// request under way is answered first. Connections that were upgraded are not waited for; they belong to the router.
pub async fn serve(listener: TcpListener, tls: Option<Tls>, app: Router, limits: Limits, stop: CancellationToken) {
    let connections = TaskTracker::new();
    while let Some((stream, peer)) = stop.run_until_cancelled(accept(&listener)).await {
        // Answers are small and wait for nobody.
        let _ = stream.set_nodelay(true);
        let (app, tls, stop) = (app.clone(), tls.clone(), stop.clone());
        connections.spawn(async move {
            let connection = Connection { peer, app, limits, stop };
            match tls {
                None => connection.converse(stream, Scheme::HTTP, false).await,
                Some(tls) => connection.converse_encrypted(stream, &tls).await,
            }
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The next connection. Failures to accept one are the client's, or pass (no file descriptor left), so it goes on trying.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    const PAUSE: Duration = Duration::from_millis(100);
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

struct Connection {
    peer: SocketAddr,
    app: Router,
    limits: Limits,
    stop: CancellationToken,
}

impl Connection {
    async fn converse_encrypted(self, stream: TcpStream, tls: &Tls) {
        let handshake = timeout(self.limits.handshake, tls.accept(stream));
        match self.stop.clone().run_until_cancelled(handshake).await {
            Some(Ok(Ok(stream))) => {
                let multiplexed = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.converse(stream, Scheme::HTTPS, multiplexed).await;
            }
            Some(Ok(Err(error))) => tracing::debug!(%error, "no TLS handshake"),
            Some(Err(_)) => tracing::debug!("TLS handshake took too long"),
            None => {}
        }
    }

    async fn converse<I>(self, stream: I, scheme: Scheme, multiplexed: bool)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Connection { peer, app, limits, stop } = self;
        let app = app.map_request(move |request: Request<_>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(scheme.clone());
            request
        });
        let (io, app) = (TokioIo::new(stream), TowerToHyperService::new(app));
        // Not hyper-util's choice by the first bytes: it would wait for them for ever.
        match multiplexed {
            false => {
                let connection = http1(limits).serve_connection(io, app).with_upgrades();
                drive(connection, http1::UpgradeableConnection::graceful_shutdown, stop).await;
            }
            true => {
                let connection = http2(limits).serve_connection(io, app);
                drive(connection, http2::Connection::graceful_shutdown, stop).await;
            }
        }
    }
}

/// Runs a connection to its end, which `stop` brings about once no request is under way.
async fn drive<C, E>(connection: C, wind_up: impl FnOnce(Pin<&mut C>), stop: CancellationToken)
where
    C: Future<Output = Result<(), E>>,
    E: Display,
{
    let mut connection = pin!(connection);
    let outcome = match stop.run_until_cancelled(connection.as_mut()).await {
        Some(outcome) => outcome,
        None => {
            wind_up(connection.as_mut());
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "connection ended");
    }
}

fn http1(limits: Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_headers(MOST_HEADERS)
        .max_header_size(LONGEST_HEAD)
        .max_buf_size(LONGEST_HEAD);
    builder
}

fn http2(limits: Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.idle)
        .keep_alive_timeout(limits.idle)
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(LONGEST_HEAD as u32);
    builder
}
