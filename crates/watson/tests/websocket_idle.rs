//! What a connection costs on which nothing is said. Alone in its process, for it measures that.

mod common;

use common::{Server, has_model};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HANDSHAKE: &[u8] = b"GET /v1/recognize? HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Memory in use by this process, bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

async fn open(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(HANDSHAKE).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 101");
    stream
}

/// A thousand idle connections in less than 100 MB; a third of them here, so that few file descriptors are enough
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_are_cheap() {
    if !has_model("idle_connections_are_cheap") {
        return;
    }
    let server = Server::with_model().await;
    let first: Vec<TcpStream> = futures::future::join_all((0..30).map(|_| open(&server))).await;
    let before = resident();
    let mut more = Vec::new();
    for _ in 0..300 {
        more.push(open(&server).await);
    }
    let each = resident().saturating_sub(before) / more.len();
    assert!(each < 50_000, "{each} bytes for each of {} connections", more.len());
    assert_eq!(server.service.drain().under_way(), first.len() + more.len());
    println!("{each} bytes for each connection, both ends");
}
