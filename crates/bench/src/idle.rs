//! Sockets that do nothing, and sessions that are soon over.

use futures::{SinkExt, StreamExt};
use serde::Serialize;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::Failure;
use crate::live::megabytes;
use crate::recordings::Recordings;
use crate::server::Server;
use crate::speaker::{Socket, connect};

/// Memory of idle sockets.
#[derive(Serialize)]
pub struct Idle {
    sockets: usize,
    before: u64,
    with: u64,
}

/// Memory over many sessions.
#[derive(Serialize)]
pub struct Leak {
    sessions: usize,
    early: u64,
    late: u64,
}

/// Opens sockets that say nothing.
pub async fn sockets(server: &Server, recordings: &Recordings, count: usize) -> Result<Idle, Failure> {
    short_session(server, &recordings.speakers[0]).await?;
    let before = server.memory();
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        open.push(connect(&server.address).await?.ok_or("the server is full although nobody recognises")?);
    }
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let with = server.memory();
    Ok(Idle { sockets: open.len(), before, with })
}

/// Holds short sessions one after another.
pub async fn short_sessions(server: &Server, recordings: &Recordings, count: usize) -> Result<Leak, Failure> {
    let mut early = 0;
    for number in 0..count {
        if number == count / 10 {
            early = server.memory();
        }
        short_session(server, &recordings.speakers[0]).await?;
    }
    Ok(Leak { sessions: count, early, late: server.memory() })
}

async fn short_session(server: &Server, said: &[u8]) -> Result<(), Failure> {
    let mut socket = connect(&server.address).await?.ok_or("the server is full although one session runs at a time")?;
    let start =
        r#"{"action":"start","content-type":"audio/l16;rate=16000;endianness=little-endian","interim_results":true}"#;
    socket.send(Message::text(start)).await?;
    // One word or two.
    socket.send(Message::binary(said[..said.len().min(48_000)].to_vec())).await?;
    socket.send(Message::text(r#"{"action":"stop"}"#)).await?;
    listen_to_end(&mut socket).await?;
    socket.close(None).await.ok();
    Ok(())
}

async fn listen_to_end(socket: &mut Socket) -> Result<(), Failure> {
    let mut listening = 0;
    while listening < 2 {
        let message = socket.next().await.ok_or("the server closed the socket")??;
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text)?;
        if let Some(error) = message.get("error") {
            return Err(format!("the server says: {error}").into());
        }
        listening += usize::from(message.get("state").is_some());
    }
    Ok(())
}

impl Idle {
    /// A row of a table.
    pub fn row(&self) -> (String, String) {
        let [before, with] = [self.before, self.with].map(megabytes);
        (format!("memory without and with {} idle sockets", self.sockets), format!("{before:.0} MB, {with:.0} MB"))
    }
}

impl Leak {
    /// A row of a table.
    pub fn row(&self) -> (String, String) {
        let [early, late] = [self.early, self.late].map(megabytes);
        let what = format!("memory after a tenth of {} short sessions, and after all", self.sessions);
        (what, format!("{early:.1} MB, {late:.1} MB ({:+.1} %)", (late / early - 1.0) * 100.0))
    }
}
