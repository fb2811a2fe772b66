//! Requests from the server to URLs that its clients name: the challenge of a registration and the notifications of jobs
//! (async.md sections 2 and 5).
//!
//! A client that may say where the server sends requests could make it talk to what only the server can reach: its own
//! loopback, the machines beside it, the metadata of the cloud it is in. [`Guard`] decides what may be called, and [`Client`]
//! connects to no address that it has not looked at.
//!
//! ```no_run
//! use dictum_callbacks::{Client, Config};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(Config { allow: vec!["hooks.internal".to_owned(), "10.1.0.0/16".to_owned()], ..Config::default() })?;
//! client.challenge("https://hooks.internal/results", Some("a secret")).await?;
//! client.notify("https://hooks.internal/results", Some("a secret"), b"{}".to_vec()).await?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod client;
mod connect;
mod guard;
mod signature;

pub use client::{CallError, ChallengeError, Client, Config};
pub use guard::{Guard, GuardError, Refused, Target};
pub use signature::Signature;
