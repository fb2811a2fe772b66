//! Sockets for an HTTP service: plain or TLS, with timeouts, and an end that lets connections finish.
//!
//! [`serve`] runs an [`axum::Router`] on a listener until it is told to stop:
//!
//! ```no_run
//! use dictum_server::{Limits, Tls, TlsFiles, serve};
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn example(app: axum::Router) -> Result<(), Box<dyn std::error::Error>> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8443").await?;
//! let tls = Tls::load(TlsFiles { certificates: "server.crt".into(), key: "server.key".into() })?;
//! let stop = CancellationToken::new();
//! serve(listener, Some(tls), app, Limits::default(), stop).await;
//! # Ok(())
//! # }
//! ```
//!
//! - Plain connections speak HTTP/1.1; TLS ones HTTP/1.1 or HTTP/2, as ALPN settles it. Upgrades (WebSocket) are HTTP/1.1:
//!   a client that wants one does not offer `h2`, and extended CONNECT is not announced.
//! - A connection that does not complete a request head, or has no request under way, for [`Limits::idle`] is closed; a TLS
//!   handshake has [`Limits::handshake`]. So a client that only opens connections, or sends a header a minute, is rid of.
//! - Every request carries who sent it and how, in its extensions: [`axum::extract::ConnectInfo`] of a
//!   [`SocketAddr`](std::net::SocketAddr), and [`Scheme`](axum::http::uri::Scheme).
//! - Certificates can be replaced while connections are served: [`Tls::reload`], [`Tls::follow`].
//!
//! What a request may still do once the service is to end is the router's affair: [`serve`] is told to stop when only idle
//! connections should be left, and then closes those and waits for the others.
#![forbid(unsafe_code)]

mod connections;
mod self_signed;
mod tls;

pub use connections::{Limits, serve};
pub use self_signed::self_signed;
pub use tls::{Tls, TlsError, TlsFiles};
