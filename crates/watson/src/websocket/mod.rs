//! `GET /v1/recognize`: recognition over a WebSocket, while the audio is being spoken (websocket.md).
//!
//! | module | what |
//! |---|---|
//! | `handshake` | the HTTP request that opens a connection: what is refused is refused here, with a status |
//! | `messages` | what clients and server say, and why a connection fails |
//! | `lifecycle` | the state machine: which message may come when, and what it means |
//! | `delivery` | which messages a recognition's events become |
//! | `wire` | frames: bounded queues, slow readers, closing |
//! | `connection` | one connection from its first message to its last, with its clocks |
//!
//! `lifecycle` and `delivery` know neither sockets nor time. A connection that recognises nothing at the moment holds no
//! permit and a few kilobytes.

mod connection;
mod delivery;
mod handshake;
mod lifecycle;
mod messages;
mod wire;

pub(crate) use handshake::connect;
