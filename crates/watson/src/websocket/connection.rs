//! One connection, from its first message to its last.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dictum_audio::ContentType;
use dictum_models::recogniser::{Event, Recogniser};
use dictum_service::session::{AudioInput, SessionRequest, Summary, Update, Updates};
use dictum_service::{Admission, SessionClock, SessionError};
use serde_json::{Map, Value as Json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::delivery::Delivery;
use super::handshake::Opened;
use super::lifecycle::{Lifecycle, State, Step};
use super::messages::{ClientMessage, Fault, NOT_PARAMETERS, ServerMessage, content_type};
use super::wire::{Arrival, Wire};
use crate::customized;
use crate::documents::ProcessingMetrics;
use crate::parameters::Place;
use crate::parameters::plan::{Plan, plan};

/// Why a connection is closed after an error message (websocket.md section 6).
const SEE_MESSAGE: &str = "see the previous message for the error details.";

/// Pieces of audio below this are copied, so that they do not keep the buffer alive that they were read into.
const SMALL: usize = 1024;

/// A connection.
pub(super) struct Connection<S> {
    opened: Opened,
    wire: Wire<S>,
    lifecycle: Lifecycle,
    parameters: Option<Parameters>,
    /// Held from `start`, or from the first audio of a request without, to the end of the request.
    admission: Option<Admission>,
    request: Option<Request>,
    /// Audio for which the session has no room yet; until then no further message is read.
    held: Option<Bytes>,
    /// When a client that neither starts nor sends audio is given up.
    deadline: Instant,
    /// Whether the service is ending: the request in progress is the last.
    ending: bool,
}

/// What the last `start` says; it stays in force until the next (WS-2).
struct Parameters {
    plan: Plan,
    recogniser: Arc<Recogniser>,
    content_type: ContentType,
    /// What the client has not been told yet.
    warnings: Vec<String>,
}

/// A request that is being recognised.
struct Request {
    /// Gone when all audio is there.
    input: Option<AudioInput>,
    updates: Updates,
    delivery: Delivery,
    clock: SessionClock,
    /// When the clock is to be looked at.
    look_at: Instant,
    began: Instant,
    metrics: Option<Metrics>,
}

/// Reports of how far a request has come.
struct Metrics {
    interval: Duration,
    due: Instant,
}

/// Why a connection ends.
enum Ending {
    /// The client is gone, or has closed.
    Gone,
    /// The client is told why.
    Fault(Fault),
    /// The client broke the protocol.
    Violation(CloseCode),
    /// The client does not read, so it cannot be told anything.
    Stalled,
    /// The service is ending.
    Leaving,
}

impl From<Fault> for Ending {
    fn from(fault: Fault) -> Ending {
        Ending::Fault(fault)
    }
}

/// What a connection waits for.
enum Happening {
    Arrival(Arrival),
    Update(Option<Result<Update, SessionError>>),
    Room,
    Time,
    ServiceEnds,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(opened: Opened, wire: Wire<S>) -> Connection<S> {
        let config = &opened.app.config;
        Connection {
            wire,
            lifecycle: Lifecycle::new(config.max_audio_bytes),
            parameters: None,
            admission: None,
            request: None,
            held: None,
            deadline: Instant::now() + config.websocket.session_timeout,
            ending: false,
            opened,
        }
    }

    /// Serves the client until one of both ends it.
    pub(super) async fn serve(mut self) {
        let app = self.opened.app.clone();
        // The end of the service waits for this.
        let (_work, _open) = (app.service.drain().work(), app.telemetry.socket_opened());
        let ending = loop {
            if let Err(ending) = self.turn().await {
                break ending;
            }
        };
        // First of all the session ends and the permit is given back.
        self.request = None;
        self.admission = None;
        let patience = app.config.websocket.close_timeout;
        match ending {
            Ending::Gone => {
                tracing::debug!("the client closed the connection");
                self.wire.part(patience).await;
            }
            Ending::Fault(Fault { kind, message }) => {
                tracing::info!(reason = kind, "connection given up");
                app.telemetry.error(CloseCode::Error.into());
                self.wire.send(ServerMessage::Error { error: message }.text());
                self.wire.close(CloseCode::Error, SEE_MESSAGE, patience).await;
            }
            Ending::Violation(code) => {
                tracing::info!(code = u16::from(code), "protocol violation");
                app.telemetry.error(code.into());
                self.wire.close(code, "", patience).await;
            }
            Ending::Leaving => self.wire.close(CloseCode::Away, "the server is ending", patience).await,
            Ending::Stalled => tracing::info!("the client does not read what it is sent"),
        }
    }

    /// Waits for one thing to happen, and does what is to be done about it.
    async fn turn(&mut self) -> Result<(), Ending> {
        if self.held.is_none()
            && let Some(message) = self.lifecycle.next_waiting()
        {
            return self.take(message);
        }
        match self.wait().await {
            Happening::Arrival(Arrival::Text(text)) => self.take(ClientMessage::of_text(&text)?),
            Happening::Arrival(Arrival::Binary(bytes)) => self.take(ClientMessage::of_bytes(bytes)),
            Happening::Arrival(Arrival::Gone) => Err(Ending::Gone),
            Happening::Arrival(Arrival::Stalled) => Err(Ending::Stalled),
            Happening::Arrival(Arrival::Violation(code)) => Err(Ending::Violation(code)),
            Happening::Update(Some(Ok(Update::Event(event)))) => {
                self.deliver(&event);
                Ok(())
            }
            Happening::Update(Some(Ok(Update::Finished(summary)))) => {
                self.finish(&summary);
                self.leave_if_idle()
            }
            Happening::Update(Some(Err(error))) => Err(Fault::from(error).into()),
            // A session's last update is its summary or an error.
            Happening::Update(None) => Err(Fault::from(SessionError::Defect).into()),
            Happening::Room => {
                self.pass_on().await;
                Ok(())
            }
            Happening::Time => self.look_at_clocks(),
            Happening::ServiceEnds => {
                self.ending = true;
                self.leave_if_idle()
            }
        }
    }

    fn leave_if_idle(&self) -> Result<(), Ending> {
        match self.ending && self.request.is_none() {
            true => Err(Ending::Leaving),
            false => Ok(()),
        }
    }

    async fn wait(&mut self) -> Happening {
        // A client that does not read is not read from either, and nothing is recognised for it.
        let has_room = self.wire.has_room();
        let read = has_room && self.held.is_none() && !self.lifecycle.is_full();
        let wake = self.next_look();
        let (input, updates) = match &mut self.request {
            Some(Request { input, updates, .. }) => (input.as_mut(), Some(updates)),
            None => (None, None),
        };
        let room = async {
            match input {
                Some(input) => input.room().await,
                None => std::future::pending().await,
            }
        };
        let update = async {
            match updates {
                Some(updates) => updates.next().await,
                None => std::future::pending().await,
            }
        };
        let drain = self.opened.app.service.drain();
        tokio::select! {
            arrival = self.wire.next(read) => Happening::Arrival(arrival),
            update = update, if has_room => Happening::Update(update),
            () = room, if self.held.is_some() => Happening::Room,
            () = drain.begun(), if !self.ending => Happening::ServiceEnds,
            () = async { match wake { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {
                Happening::Time
            }
        }
    }

    fn take(&mut self, message: ClientMessage) -> Result<(), Ending> {
        match self.lifecycle.take(message)? {
            Step::Ignore => {}
            Step::Configure(members) => self.configure(&members)?,
            Step::Begin(bytes) => {
                self.begin()?;
                self.hold(bytes);
            }
            Step::Add(bytes) => self.hold(bytes),
            Step::Finish => {
                if let Some(input) = self.request.as_mut().and_then(|request| request.input.take()) {
                    input.finish();
                }
            }
        }
        Ok(())
    }

    /// Takes the parameters of a `start`.
    fn configure(&mut self, members: &Map<String, Json>) -> Result<(), Fault> {
        let content_type = content_type(members)?;
        let first = self.parameters.is_none();
        self.parameters = Some(self.read(members, content_type)?);
        if self.admission.is_none() {
            self.admission = Some(self.opened.app.service.admit()?);
        }
        let config = &self.opened.app.config.websocket;
        self.deadline = Instant::now() + config.session_timeout;
        if first || config.answer_every_start {
            self.wire.send(ServerMessage::LISTENING.text());
        }
        Ok(())
    }

    /// What the members of a `start` come to, together with the query.
    fn read(&self, members: &Map<String, Json>, content_type: ContentType) -> Result<Parameters, Fault> {
        let mut given = self.opened.given.clone();
        given.read_json(members, Place::SocketStart, &NOT_PARAMETERS)?;
        let mut plan = plan(given, &self.opened.model)?;
        let recogniser = customized(&self.opened.recogniser, self.opened.taught.as_ref(), &mut plan)?;
        let warnings = std::mem::take(&mut plan.warnings);
        Ok(Parameters { plan, recogniser, content_type, warnings })
    }

    /// Begins a request.
    fn begin(&mut self) -> Result<(), Fault> {
        if self.parameters.is_none() {
            // WS-A5, leniently: as if started without parameters.
            self.parameters = Some(self.read(&Map::new(), ContentType::parse(None)?)?);
        }
        let admission = match self.admission.take() {
            Some(admission) => admission,
            None => self.opened.app.service.admit()?,
        };
        let Some(Parameters { plan, recogniser, content_type, warnings }) = &mut self.parameters else { return Ok(()) };
        let (input, updates) = admission.start(SessionRequest {
            model: self.opened.model.clone(),
            recogniser: Arc::clone(recogniser),
            content_type: content_type.clone(),
            options: plan.options.clone(),
            inactivity_timeout: plan.inactivity_timeout,
            audio_metrics: plan.show.audio_metrics,
            background: false,
        });
        self.opened.app.telemetry.socket_request();
        let now = Instant::now();
        self.admission = Some(admission);
        self.request = Some(Request {
            input: Some(input),
            updates,
            delivery: Delivery::new(plan, std::mem::take(warnings)),
            clock: SessionClock::with_window(now, self.opened.app.config.websocket.session_timeout),
            look_at: now,
            began: now,
            metrics: plan.processing_metrics.map(|interval| Metrics { interval, due: now + interval }),
        });
        Ok(())
    }

    fn hold(&mut self, bytes: Bytes) {
        self.held = Some(if bytes.len() < SMALL { Bytes::copy_from_slice(&bytes) } else { bytes });
    }

    /// Gives the session what is held for it.
    async fn pass_on(&mut self) {
        let input = self.request.as_mut().and_then(|request| request.input.as_mut());
        if let (Some(input), Some(bytes)) = (input, self.held.take()) {
            // Why a closed session takes no more comes out of its updates.
            let _ = input.push(bytes).await;
        }
    }

    /// Tells the client what was recognised.
    fn deliver(&mut self, event: &Event) {
        let Some(request) = &mut self.request else { return };
        let complete = request.input.is_none();
        let metrics = request.report(false);
        let messages = request.delivery.event(event, complete, metrics);
        if !messages.is_empty() && matches!(event, Event::Interim(_)) {
            // WS-E2
            request.clock.restart(request.updates.progress());
        }
        for message in messages {
            self.wire.send(message.text());
        }
    }

    /// Ends a request: its last results, then `listening`.
    fn finish(&mut self, summary: &Summary) {
        let Some(mut request) = self.request.take() else { return };
        let metrics = request.report(false);
        let messages = request.delivery.finish(summary.measurements.as_ref(), metrics);
        drop(request);
        self.admission = None;
        for message in messages {
            self.wire.send(message.text());
        }
        self.wire.send(ServerMessage::LISTENING.text());
        self.lifecycle.finished();
        self.deadline = Instant::now() + self.opened.app.config.websocket.session_timeout;
        tracing::info!(
            model = self.opened.model.info.name,
            content_type = self.parameters.as_ref().map(|parameters| parameters.content_type.to_string()),
            bytes = summary.bytes,
            audio_seconds = summary.audio_seconds,
            speech_seconds = summary.speech_seconds,
            decode_seconds = summary.decode_seconds,
            "recognised"
        );
    }

    /// When something is due if nothing happens.
    fn next_look(&self) -> Option<Instant> {
        match (self.lifecycle.state(), &self.request) {
            (State::Idle | State::Listening, _) => Some(self.deadline),
            (State::Receiving, Some(request)) => {
                let metrics = request.metrics.as_ref().map(|metrics| metrics.due);
                Some(metrics.map_or(request.look_at, |due| due.min(request.look_at)))
            }
            // WS-E3: what follows the end of the audio is never timed.
            _ => None,
        }
    }

    fn look_at_clocks(&mut self) -> Result<(), Ending> {
        let now = Instant::now();
        let State::Receiving = self.lifecycle.state() else { return Err(Fault::timed_out().into()) };
        let Some(request) = &mut self.request else { return Ok(()) };
        if request.look_at <= now {
            let left = request.clock.observe(now, request.updates.progress()).ok_or_else(Fault::timed_out)?;
            request.look_at = now + left;
        }
        let report = request.report(true);
        if let (Some(metrics), Some(processing_metrics)) = (&mut request.metrics, report)
            && metrics.due <= now
        {
            metrics.due = (metrics.due + metrics.interval).max(now);
            if self.wire.has_room() {
                self.wire.send(ServerMessage::ProcessingMetrics { processing_metrics }.text());
            }
        }
        Ok(())
    }
}

impl Request {
    /// How far it has come, if that was asked for.
    fn report(&self, periodic: bool) -> Option<ProcessingMetrics> {
        self.metrics.as_ref()?;
        Some(ProcessingMetrics::new(self.updates.progress(), self.began.elapsed(), periodic))
    }
}
