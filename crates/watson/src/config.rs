//! What an operator may set about the wire.

use std::time::Duration;

/// Settings of the [`router`](crate::router).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatsonConfig {
    /// URL at which clients reach the service, up to and without `/v1`; `None`: whatever each request's headers say (AUTH-02).
    pub public_url: Option<String>,
    /// Base paths besides the documented ones, e.g. `/dictum` or `/tenants/{}` (`{}` is any one segment).
    pub base_paths: Vec<String>,
    /// Most bytes of audio of a request (REC-L2).
    pub max_audio_bytes: u64,
    /// How often an answer that takes long gets a space, so that clients do not give up on it.
    pub keep_alive: Duration,
    /// Who may see `GET /metrics` among the other routes.
    pub metrics: MetricsFor,
}

/// Who may see the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsFor {
    /// Clients on the same machine, unless a proxy says that they are somebody else's.
    Loopback,
    /// Every client.
    Everybody,
    /// No client.
    Nobody,
}

impl Default for WatsonConfig {
    fn default() -> Self {
        WatsonConfig {
            public_url: None,
            base_paths: Vec::new(),
            max_audio_bytes: 100 * 1024 * 1024,
            keep_alive: Duration::from_secs(20),
            metrics: MetricsFor::Loopback,
        }
    }
}
