//! Frames: what is queued for a client that reads slowly, what is too large, and how a connection ends.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Sleep, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig as FrameConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// Most bytes of a frame, and of a message in several frames (WS-A3).
const LARGEST_MESSAGE: usize = 4 * 1024 * 1024;

/// What a connection that is waiting costs: room for what comes next. A larger frame gets its own memory.
const READ_BUFFER: usize = 4 * 1024;

/// Messages that may wait for a slow reader; then whatever makes more of them has to wait.
const WAITING_MESSAGES: usize = 16;

/// What came of a connection.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
    /// The client closed it, or is gone.
    Gone,
    /// The client does not read what it is sent.
    Stalled,
    /// The client broke the protocol; the code says how.
    Violation(CloseCode),
}

/// A WebSocket as a server uses it.
pub(super) struct Wire<S> {
    socket: WebSocketStream<S>,
    queue: VecDeque<Message>,
    /// Runs while something is not taken by the client.
    stalled: Option<Pin<Box<Sleep>>>,
    write_timeout: Duration,
    /// What comes in can no longer be told apart into frames.
    broken: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Takes a connection over after its handshake.
    pub(super) async fn new(stream: S, write_timeout: Duration) -> Wire<S> {
        // Pings are answered by the library, pongs need no answer.
        let config = FrameConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(LARGEST_MESSAGE))
            .max_frame_size(Some(LARGEST_MESSAGE));
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        Wire { socket, queue: VecDeque::new(), stalled: None, write_timeout, broken: false }
    }

    /// Queues a text message; [`Wire::next`] sends it.
    pub(super) fn send(&mut self, text: String) {
        self.queue.push_back(Message::text(text));
    }

    /// Whether the client keeps up with what it is sent.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < WAITING_MESSAGES
    }

    /// Sends what is queued, and waits for the next message if `read`. May be given up at any time.
    pub(super) async fn next(&mut self, read: bool) -> Arrival {
        poll_fn(|context| self.poll_next(context, read)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>, read: bool) -> Poll<Arrival> {
        match self.poll_send(context) {
            Poll::Ready(Ok(())) => self.stalled = None,
            Poll::Ready(Err(_)) => return Poll::Ready(Arrival::Gone),
            Poll::Pending => {
                let patience = self.write_timeout;
                let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
                if stalled.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Arrival::Stalled);
                }
            }
        }
        if !read {
            return Poll::Pending;
        }
        while let Poll::Ready(arrived) = self.socket.poll_next_unpin(context) {
            match arrived {
                Some(Ok(Message::Text(text))) => return Poll::Ready(Arrival::Text(text)),
                Some(Ok(Message::Binary(bytes))) => return Poll::Ready(Arrival::Binary(bytes)),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Arrival::Gone),
                Some(Err(error)) => {
                    let arrival = of_error(&error);
                    self.broken = true;
                    return Poll::Ready(arrival);
                }
            }
        }
        Poll::Pending
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.queue.is_empty() {
            match self.socket.poll_ready_unpin(context)? {
                Poll::Ready(()) => {}
                Poll::Pending => return Poll::Pending,
            }
            // Something was taken; the patience is for each message.
            self.stalled = None;
            if let Some(message) = self.queue.pop_front() {
                self.socket.start_send_unpin(message)?;
            }
        }
        self.socket.poll_flush_unpin(context)
    }

    /// Sends what is queued and a close frame, and gives the client some time to read it and to close its end.
    pub(super) async fn close(mut self, code: CloseCode, reason: &'static str, patience: Duration) {
        self.queue.push_back(Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) })));
        let ending = async {
            poll_fn(|context| self.poll_send(context)).await.ok()?;
            if !self.broken {
                // Whatever still comes is not for anybody; the last of it is the answer to the close frame.
                while let Some(Ok(_)) = self.socket.next().await {}
                return Some(());
            }
            // A connection that is dropped with bytes unread is reset, and the client never sees why.
            let stream = self.socket.get_mut();
            stream.shutdown().await.ok()?;
            let mut unread = [0; 1024];
            while stream.read(&mut unread).await.ok()? > 0 {}
            Some(())
        };
        let _ = timeout(patience, ending).await;
    }

    /// Answers the client's close frame, if that is what came.
    pub(super) async fn part(mut self, patience: Duration) {
        let _ = timeout(patience, async { while let Some(Ok(_)) = self.socket.next().await {} }).await;
    }
}

fn of_error(error: &Error) -> Arrival {
    match error {
        Error::Capacity(_) => Arrival::Violation(CloseCode::Size),
        Error::Utf8(_) => Arrival::Violation(CloseCode::Invalid),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Arrival::Gone,
        Error::Protocol(_) => Arrival::Violation(CloseCode::Protocol),
        _ => Arrival::Gone,
    }
}
