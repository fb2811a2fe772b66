//! The state machine of a connection (websocket.md section 4): which message may come when, and what is to be done about it.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use super::messages::{ClientMessage, Fault};

/// Most bytes and messages that may wait while a request is being finished.
const WAITING_BYTES: usize = 64 * 1024;
const WAITING_MESSAGES: usize = 256;

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing was ever started.
    Idle,
    /// Audio may come.
    Listening,
    /// Audio is coming.
    Receiving,
    /// All audio of the request is there; its results are not.
    Finishing,
}

/// What a message asks to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Nothing.
    Ignore,
    /// Take these parameters for the requests to come, and answer `listening`.
    Configure(Map<String, Json>),
    /// Begin a request with these first bytes.
    Begin(Bytes),
    /// Add bytes to the request.
    Add(Bytes),
    /// The request has all its audio.
    Finish,
}

/// The state of a connection, and the messages that came too early.
#[derive(Debug)]
pub(super) struct Lifecycle {
    state: State,
    /// Bytes of audio of the request.
    received: u64,
    max_bytes: u64,
    waiting: VecDeque<ClientMessage>,
    waiting_bytes: usize,
}

impl Lifecycle {
    /// A connection on which nothing was said yet. A request may have `max_bytes` of audio (WS-A2).
    pub(super) fn new(max_bytes: u64) -> Lifecycle {
        Lifecycle { state: State::Idle, received: 0, max_bytes, waiting: VecDeque::new(), waiting_bytes: 0 }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Whether there is no room for a further message at the moment.
    pub(super) fn is_full(&self) -> bool {
        self.waiting_bytes >= WAITING_BYTES || self.waiting.len() >= WAITING_MESSAGES
    }

    /// What is to be done about a message.
    pub(super) fn take(&mut self, message: ClientMessage) -> Result<Step, Fault> {
        match (self.state, message) {
            (_, ClientMessage::NoOp) => Ok(Step::Ignore),
            (State::Finishing, message) => {
                self.wait(message);
                Ok(Step::Ignore)
            }
            (State::Receiving, ClientMessage::Start(_)) => Err(Fault::start_again()),
            (State::Idle | State::Listening, ClientMessage::Start(members)) => {
                self.state = State::Listening;
                Ok(Step::Configure(members))
            }
            (State::Idle | State::Listening, ClientMessage::Stop) => Err(Fault::no_audio()),
            (State::Receiving, ClientMessage::Stop) => {
                self.state = State::Finishing;
                Ok(Step::Finish)
            }
            (state, ClientMessage::Audio(bytes)) => {
                let first = state != State::Receiving;
                self.state = State::Receiving;
                self.received = if first { 0 } else { self.received } + bytes.len() as u64;
                match self.received > self.max_bytes {
                    true => Err(Fault::too_large(self.max_bytes)),
                    false if first => Ok(Step::Begin(bytes)),
                    false => Ok(Step::Add(bytes)),
                }
            }
        }
    }

    /// The results of the request are out.
    pub(super) fn finished(&mut self) {
        self.state = State::Listening;
    }

    /// The next message that came too early, once its time has come.
    pub(super) fn next_waiting(&mut self) -> Option<ClientMessage> {
        if self.state == State::Finishing {
            return None;
        }
        let message = self.waiting.pop_front()?;
        self.waiting_bytes -= size(&message);
        Some(message)
    }

    /// Keeps a message for the next request. A second `stop` right after the first belongs to no request: some clients send
    /// both forms of it.
    fn wait(&mut self, message: ClientMessage) {
        if message == ClientMessage::Stop && self.waiting.is_empty() {
            return;
        }
        self.waiting_bytes += size(&message);
        self.waiting.push_back(message);
    }
}

/// About how much memory a message takes that waits.
fn size(message: &ClientMessage) -> usize {
    match message {
        ClientMessage::Audio(bytes) => bytes.len(),
        // Few clients send one early, and none a second: that is enough to make them wait.
        ClientMessage::Start(_) => WAITING_BYTES,
        ClientMessage::Stop | ClientMessage::NoOp => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(id: u32) -> ClientMessage {
        ClientMessage::Start(Map::from_iter([("id".to_owned(), id.into())]))
    }

    fn audio(text: &'static str) -> ClientMessage {
        ClientMessage::Audio(Bytes::from_static(text.as_bytes()))
    }

    /// What a machine makes of messages, in letters: `c`onfigure, `b`egin, `a`dd, `f`inish, `-` nothing, `!` a fault. A `None`
    /// among the messages says that the results are out.
    fn steps(machine: &mut Lifecycle, messages: Vec<Option<ClientMessage>>) -> String {
        let letter = |step: Result<Step, Fault>| match step {
            Ok(Step::Ignore) => '-',
            Ok(Step::Configure(_)) => 'c',
            Ok(Step::Begin(_)) => 'b',
            Ok(Step::Add(_)) => 'a',
            Ok(Step::Finish) => 'f',
            Err(_) => '!',
        };
        let mut letters = String::new();
        for message in messages {
            match message {
                Some(message) => letters.push(letter(machine.take(message))),
                None => machine.finished(),
            }
            while let Some(message) = machine.next_waiting() {
                letters.push(letter(machine.take(message)));
            }
        }
        letters
    }

    fn run(messages: Vec<Option<ClientMessage>>) -> String {
        steps(&mut Lifecycle::new(1000), messages)
    }

    use ClientMessage::{NoOp, Stop};

    /// WS-2, websocket.md 9.1 to 9.3
    #[test]
    fn requests_follow_each_other() {
        let exchange = vec![Some(start(1)), Some(audio("a")), Some(audio("b")), Some(Stop), None];
        assert_eq!(run(exchange), "cbaf");
        let twice = vec![Some(start(1)), Some(audio("a")), Some(Stop), None, Some(audio("b")), Some(Stop), None];
        assert_eq!(run(twice), "cbfbf");
        assert_eq!(run(vec![Some(start(1)), Some(NoOp), Some(start(2)), Some(audio("a"))]), "c-cb", "SDK 7.8");
    }

    /// WS-A5, leniently
    #[test]
    fn audio_may_come_without_a_start() {
        assert_eq!(run(vec![Some(audio("a")), Some(Stop)]), "bf");
    }

    /// websocket.md section 4: what does not belong
    #[test]
    fn messages_out_of_place_are_faults() {
        assert_eq!(run(vec![Some(Stop)]), "!");
        assert_eq!(run(vec![Some(start(1)), Some(Stop)]), "c!");
        assert_eq!(run(vec![Some(start(1)), Some(audio("a")), Some(start(2))]), "cb!");
        let mut machine = Lifecycle::new(1000);
        machine.take(audio("a")).unwrap();
        assert!(machine.take(start(1)).unwrap_err().message.starts_with("Header JSON already received."));
    }

    /// websocket.md section 4: what comes while results are being made belongs to the next request
    #[test]
    fn early_messages_wait_for_the_results() {
        let early =
            vec![Some(audio("a")), Some(Stop), Some(audio("b")), Some(NoOp), Some(audio("c")), Some(Stop), None];
        assert_eq!(run(early), "bf----baf");
        let restart = vec![Some(audio("a")), Some(Stop), Some(start(2)), Some(audio("b")), None];
        assert_eq!(run(restart), "bf--cb");
        let double = vec![Some(audio("a")), Some(Stop), Some(Stop), None, Some(audio("b"))];
        assert_eq!(run(double), "bf-b", "a second stop is no request");
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut machine = Lifecycle::new(u64::MAX);
        machine.take(audio("a")).unwrap();
        machine.take(Stop).unwrap();
        assert!(!machine.is_full());
        machine.take(ClientMessage::Audio(vec![0; WAITING_BYTES].into())).unwrap();
        assert!(machine.is_full());
        machine.finished();
        assert!(machine.next_waiting().is_some() && !machine.is_full());
        machine.take(audio("a")).unwrap();
        machine.take(Stop).unwrap();
        for _ in 0..WAITING_MESSAGES {
            machine.take(audio("a")).unwrap();
        }
        assert!(machine.is_full());
    }

    /// WS-A2
    #[test]
    fn the_limit_is_for_each_request() {
        let mut machine = Lifecycle::new(3);
        let two = vec![Some(audio("abc")), Some(Stop), None, Some(audio("ab")), Some(audio("c"))];
        assert_eq!(steps(&mut machine, two), "bfba");
        let fault = machine.take(audio("d")).unwrap_err();
        assert_eq!(fault.message, "Session closed. Reason: Payload exceeds the 3 bytes limit.");
    }
}
