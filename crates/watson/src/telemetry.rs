//! Figures about the interface, for Prometheus: requests, answers, errors, WebSockets.
//!
//! Labels are methods, routes as the router knows them, and statuses: never a path, a name or anything else that clients
//! choose, so that their number is bounded.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Seconds, from a look at the models to ten minutes of audio.
const ANSWERING: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0, 600.0];

/// The type of [`Telemetry::write`]'s text.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type ByRequest = [(&'static str, &'static str); 2];
type ByCode = [(&'static str, u16); 1];

/// The figures of one interface.
pub(crate) struct Telemetry {
    registry: Registry,
    requests: Family<(ByRequest, ByCode), Counter>,
    seconds: Family<ByRequest, Histogram>,
    abandoned: Counter,
    errors: Family<ByCode, Counter>,
    sockets: Gauge,
    sockets_opened: Counter,
    socket_requests: Counter,
}

impl Default for Telemetry {
    fn default() -> Self {
        let mut telemetry = Telemetry {
            registry: Registry::with_prefix("dictum"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(ANSWERING)),
            abandoned: Counter::default(),
            errors: Family::default(),
            sockets: Gauge::default(),
            sockets_opened: Counter::default(),
            socket_requests: Counter::default(),
        };
        telemetry.register();
        telemetry
    }
}

impl Telemetry {
    fn register(&mut self) {
        let registry = &mut self.registry;
        let help = "Requests answered, by method, route and status";
        registry.register("http_requests", help, self.requests.clone());
        let help = "Time from the head of a request to the last byte of its answer";
        registry.register("http_request_seconds", help, self.seconds.clone());
        let help = "Requests whose client went away before the answer was complete";
        registry.register("http_requests_abandoned", help, self.abandoned.clone());
        let help = "Errors by code, also those that came in the body of an answer or over a WebSocket";
        registry.register("errors", help, self.errors.clone());
        registry.register("websocket_connections", "WebSockets that are open", self.sockets.clone());
        registry.register("websocket_opened", "WebSockets opened", self.sockets_opened.clone());
        let help = "Recognition requests over WebSockets";
        registry.register("websocket_requests", help, self.socket_requests.clone());
    }

    /// Appends all figures to `out`, and the end mark.
    pub(crate) fn write(&self, out: &mut String) {
        // Writing to a string does not fail.
        let _ = encode_registry(out, &self.registry).and_then(|()| encode_eof(out));
    }

    /// A request has been answered, or its client has gone.
    pub(crate) fn answered(&self, method: &'static str, route: &'static str, status: Option<u16>, took: Duration) {
        let request = [("method", method), ("route", route)];
        match status {
            Some(status) => {
                self.requests.get_or_create(&(request, [("status", status)])).inc();
                self.seconds.get_or_create(&request).observe(took.as_secs_f64());
            }
            None => drop(self.abandoned.inc()),
        }
    }

    /// A client has been told of an error.
    pub(crate) fn error(&self, code: u16) {
        self.errors.get_or_create(&[("code", code)]).inc();
    }

    /// A WebSocket has been opened; it counts as open until what is returned is dropped.
    pub(crate) fn socket_opened(self: &Arc<Self>) -> OpenSocket {
        self.sockets.inc();
        self.sockets_opened.inc();
        OpenSocket(Arc::clone(self))
    }

    /// A WebSocket has begun a recognition request.
    pub(crate) fn socket_request(&self) {
        self.socket_requests.inc();
    }
}

/// A WebSocket that is open.
pub(crate) struct OpenSocket(Arc<Telemetry>);

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.sockets.dec();
    }
}
