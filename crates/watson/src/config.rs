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
    /// Most bytes of audio of an asynchronous job (REC-L3).
    pub max_job_bytes: u64,
    /// Whether nothing that is kept may be changed (BAK-2): recognition and questions are answered, the rest is refused.
    pub read_only: bool,
    /// How often an answer that takes long gets a space, so that clients do not give up on it.
    pub keep_alive: Duration,
    /// Who may see `GET /metrics` among the other routes.
    pub metrics: MetricsFor,
    /// WebSocket connections.
    pub websocket: WebSocketConfig,
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

/// Settings of WebSocket connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketConfig {
    /// Whether the second and later `start` messages of a connection are answered with `listening`, too (WS-1).
    pub answer_every_start: bool,
    /// How long a client may send nothing (WS-E2, WS-E4). 30 s by contract.
    pub session_timeout: Duration,
    /// How long a client may leave a message unread before it is given up.
    pub write_timeout: Duration,
    /// How long a client that was sent a close frame has for closing its end.
    pub close_timeout: Duration,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        WebSocketConfig {
            answer_every_start: true,
            session_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(5),
        }
    }
}

impl Default for WatsonConfig {
    fn default() -> Self {
        WatsonConfig {
            public_url: None,
            base_paths: Vec::new(),
            max_audio_bytes: 100 * 1024 * 1024,
            max_job_bytes: 1024 * 1024 * 1024,
            read_only: false,
            keep_alive: Duration::from_secs(20),
            metrics: MetricsFor::Loopback,
            websocket: WebSocketConfig::default(),
        }
    }
}
