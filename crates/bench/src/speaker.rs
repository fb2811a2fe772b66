//! One person speaking over a WebSocket, as the browser SDK has it: raw samples as they are spoken, interim results.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::Failure;
use crate::recordings::RATE;

/// Messages a second, as from a microphone that gives what it has every 100 ms.
const PIECES: usize = 10;

/// The end-of-phrase silence that is in force when nothing else is asked for, seconds.
const END_SILENCE: f64 = 0.8;

/// A socket to the server.
pub type Socket = WebSocketStream<TcpStream>;

/// Opens a socket; `None` when the server is full (503).
pub async fn connect(address: &str) -> Result<Option<Socket>, Failure> {
    let stream = TcpStream::connect(address).await?;
    match tokio_tungstenite::client_async(format!("ws://{address}/v1/recognize"), stream).await {
        Ok((socket, _)) => Ok(Some(socket)),
        Err(tungstenite::Error::Http(answer)) if answer.status() == 503 => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What one speaker saw. Delays are in seconds.
#[derive(Debug, Default)]
pub struct Seen {
    /// From the end of the first word of each utterance to the first interim result.
    pub first: Vec<f64>,
    /// From the moment at which the end-of-phrase silence had passed after the last word to the final result.
    pub last: Vec<f64>,
    /// Words told in interim results, and how many of them were gone or another in the next result.
    pub told: usize,
    /// See `told`.
    pub taken_back: usize,
}

/// Says everything in real time and listens.
pub async fn speak(socket: Socket, samples: &[u8]) -> Result<Seen, Failure> {
    let (mut sink, mut stream) = socket.split();
    let start = json!({
        "action": "start", "content-type": "audio/l16;rate=16000;endianness=little-endian",
        "interim_results": true, "timestamps": true, "inactivity_timeout": -1,
    });
    sink.send(Message::text(start.to_string())).await?;
    let began = Instant::now();
    let talk = async {
        for (index, piece) in samples.chunks(2 * RATE / PIECES).enumerate() {
            // A piece can be sent when its last sample has been spoken.
            sleep_until(began + Duration::from_secs_f64((index + 1) as f64 / PIECES as f64)).await;
            sink.send(Message::binary(piece.to_vec())).await?;
        }
        sink.send(Message::text(r#"{"action":"stop"}"#)).await?;
        Ok::<_, Failure>(())
    };
    let listen = async {
        let mut notes = Notes::default();
        while let Some(message) = stream.next().await {
            let Message::Text(text) = message? else { continue };
            if notes.take(&serde_json::from_str(&text)?, began.elapsed().as_secs_f64())? {
                break;
            }
        }
        Ok::<_, Failure>(notes.seen)
    };
    let ((), seen) = futures::try_join!(talk, listen)?;
    let mut socket = stream.reunite(sink)?;
    socket.close(None).await.ok();
    Ok(seen)
}

#[derive(Default)]
struct Notes {
    seen: Seen,
    listening: usize,
    /// When the first interim result of the open utterance came.
    appeared: Option<f64>,
    shown: Vec<String>,
}

impl Notes {
    /// Notes a message that came so many seconds after the first sample was spoken. Returns whether it was the last.
    fn take(&mut self, message: &Value, now: f64) -> Result<bool, Failure> {
        if let Some(error) = message.get("error") {
            return Err(format!("the server says: {error}").into());
        }
        if message.get("state").is_some() {
            self.listening += 1;
            return Ok(self.listening == 2);
        }
        for result in message["results"].as_array().into_iter().flatten() {
            let best = &result["alternatives"][0];
            if result["final"] == true {
                self.conclude(best, now);
            } else {
                self.show(best["transcript"].as_str().unwrap_or_default(), now);
            }
        }
        Ok(false)
    }

    fn show(&mut self, transcript: &str, now: f64) {
        self.appeared.get_or_insert(now);
        let words: Vec<String> = transcript.split_whitespace().map(str::to_owned).collect();
        let same = words.iter().zip(&self.shown).take_while(|(a, b)| a == b).count();
        self.seen.told += words.len() - same;
        self.seen.taken_back += self.shown.len() - same;
        self.shown = words;
    }

    fn conclude(&mut self, best: &Value, now: f64) {
        let words = best["timestamps"].as_array().map(Vec::as_slice).unwrap_or_default();
        if let (Some(first), Some(last)) = (words.first(), words.last()) {
            let appeared = self.appeared.unwrap_or(now);
            self.seen.first.extend(first[2].as_f64().map(|end| appeared - end));
            self.seen.last.extend(last[2].as_f64().map(|end| now - end - END_SILENCE));
        }
        self.appeared = None;
        self.shown.clear();
    }
}
