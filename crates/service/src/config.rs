//! What an operator may set.

use std::time::Duration;

/// Limits of a [`Service`](crate::Service).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Most clients that recognise at the same time. One more is refused.
    pub max_sessions: usize,
    /// Threads that decode and recognise; at least one.
    pub decode_threads: usize,
    /// How long a refused client is asked to wait before it tries again.
    pub retry_after: Duration,
    /// Most bytes of one session that wait for a decoding thread; a client that is faster is made to wait.
    pub buffered_bytes: usize,
}

impl Default for ServiceConfig {
    /// One decoding thread per core and 13 clients per thread: so many can speak live at the same time and have their words
    /// promptly (`make bench`). Uploads only get slower when they share; who has no live clients may set more.
    fn default() -> Self {
        let decode_threads = std::thread::available_parallelism().map_or(1, usize::from);
        ServiceConfig {
            max_sessions: 13 * decode_threads,
            decode_threads,
            retry_after: Duration::from_secs(5),
            buffered_bytes: 64 * 1024,
        }
    }
}
