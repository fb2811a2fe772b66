//! A WebSocket client that notices everything: what it is sent, in which order, and how the connection ends.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::Server;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub struct Socket {
    pub stream: WebSocketStream<TcpStream>,
    /// The answer to the handshake.
    pub response: Response,
}

/// How a connection ended.
#[derive(Debug)]
pub struct End {
    /// What was sent before.
    pub messages: Vec<Value>,
    /// The code of the close frame; `None`: there was none.
    pub code: Option<u16>,
    pub reason: String,
}

impl End {
    /// The message that says why.
    pub fn error(&self) -> &str {
        self.messages.last().and_then(|last| last["error"].as_str()).unwrap_or_default()
    }
}

impl Socket {
    /// Connects; panics when that is refused.
    pub async fn connect(server: &Server, query: &str) -> Socket {
        Self::try_connect(server, query, &[]).await.expect("the handshake is accepted")
    }

    /// Connects, or returns the answer that was no 101.
    pub async fn try_connect(
        server: &Server,
        query: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, Box<Response>> {
        Self::at(server, &format!("/v1/recognize?{query}"), headers).await
    }

    /// The same at any path.
    pub async fn at(server: &Server, target: &str, headers: &[(&'static str, &str)]) -> Result<Socket, Box<Response>> {
        let mut request = format!("ws://{}{target}", server.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let tcp = TcpStream::connect(server.address).await.unwrap();
        match client_async(request, tcp).await {
            Ok((stream, response)) => Ok(Socket { stream, response }),
            Err(Error::Http(response)) => Err(response),
            Err(other) => panic!("{other}"),
        }
    }

    /// Sends a message.
    pub async fn send(&mut self, message: Message) {
        self.stream.send(message).await.expect("sent");
    }

    /// Sends JSON as text.
    pub async fn say(&mut self, json: Value) {
        self.send(Message::text(json.to_string())).await;
    }

    /// Sends `start` with these members, without waiting for an answer.
    pub async fn start(&mut self, mut members: Value) {
        members["action"] = "start".into();
        self.say(members).await;
    }

    /// Sends `stop`.
    pub async fn stop(&mut self) {
        self.say(json!({ "action": "stop" })).await;
    }

    /// Sends audio in frames of `size` bytes.
    pub async fn audio(&mut self, bytes: &[u8], size: usize) {
        for chunk in bytes.chunks(size) {
            self.stream.feed(Message::binary(chunk.to_vec())).await.expect("sent");
        }
        self.stream.flush().await.expect("sent");
    }

    /// The next message, which must be JSON text, or `None` when the connection ends.
    pub async fn next(&mut self) -> Result<Value, End> {
        loop {
            let message = timeout(PATIENCE, self.stream.next()).await.expect("a message in time");
            let end = |code, reason: &str| Err(End { messages: vec![], code, reason: reason.to_owned() });
            return match message {
                Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(Some(frame)))) => end(Some(frame.code.into()), &frame.reason),
                Some(Ok(Message::Close(None)) | Err(_)) | None => end(None, ""),
                Some(Ok(other)) => panic!("SDK-16: {other:?}"),
            };
        }
    }

    /// Messages up to and with `listening`.
    pub async fn until_listening(&mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let message = self.next().await.unwrap_or_else(|end| panic!("{end:?} after {messages:?}"));
            let last = message == json!({ "state": "listening" });
            messages.push(message);
            if last {
                return messages;
            }
        }
    }

    /// Everything that is still sent, up to the end.
    pub async fn end(&mut self) -> End {
        let mut messages = Vec::new();
        loop {
            match self.next().await {
                Ok(message) => messages.push(message),
                Err(end) => return End { messages, ..end },
            }
        }
    }

    /// Starts with `members`, sends audio in frames of `size` bytes, stops, and returns what comes between the two `listening`.
    pub async fn request(&mut self, members: Value, audio: &[u8], size: usize) -> Vec<Value> {
        self.start(members).await;
        assert_eq!(self.until_listening().await.len(), 1, "WS-1: exactly one answer to a start");
        self.audio(audio, size).await;
        self.stop().await;
        let mut messages = self.until_listening().await;
        messages.pop();
        messages
    }

    /// Closes, and checks that the server answers that.
    pub async fn close(mut self) {
        self.stream.close(None).await.expect("closed");
        let end = self.end().await;
        assert!(end.messages.is_empty(), "{end:?}");
    }
}

/// The transcripts of the final results, joined as clients do.
pub fn transcript(messages: &[Value]) -> String {
    let results = messages.iter().filter_map(|message| message["results"].as_array()).flatten();
    let finals = results.filter(|result| result["final"] == true);
    finals.map(|result| result["alternatives"][0]["transcript"].as_str().expect("a transcript")).collect()
}
