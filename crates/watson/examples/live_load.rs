//! Many people speaking at the same time: sends a recording to a running server, at the speed it was spoken, over and over
//! on many connections, and reports how long after the last byte the answers came.
//!
//! `cargo run --release -p dictum-watson --example live_load -- HOST:PORT RECORDING.wav [CONNECTIONS] [SECONDS]`
//!
//! The recording is 16-bit linear WAV. The connections begin spread over one recording's length, as people would. When the
//! server keeps up, the answer's delay stays at what one recording alone takes; when it does not, the delays grow.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, sleep_until};

/// Pieces a second, as from a client that sends what its microphone gives every 100 ms.
const PIECES: usize = 10;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (Some(address), Some(path)) = (arguments.get(1).cloned(), arguments.get(2)) else {
        eprintln!("usage: live_load HOST:PORT RECORDING.wav [CONNECTIONS] [SECONDS]");
        std::process::exit(2);
    };
    let number = |at: usize, default: u64| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (connections, seconds) = (number(3, 25), number(4, 60));
    let recording = match std::fs::read(path) {
        Ok(recording) if recording.len() > 44 => recording,
        Ok(_) => return eprintln!("{path} is no recording"),
        Err(error) => return eprintln!("cannot read {path}: {error}"),
    };
    let bytes_per_second = u32::from_le_bytes([recording[28], recording[29], recording[30], recording[31]]) as usize;
    let length = Duration::from_secs_f64(recording.len() as f64 / bytes_per_second as f64);
    println!("{connections} connections, {seconds} s, recording of {:.1} s", length.as_secs_f64());

    let until = Instant::now() + Duration::from_secs(seconds);
    let speakers = (0..connections).map(|index| {
        let (address, recording) = (address.clone(), recording.clone());
        tokio::spawn(async move {
            sleep(length.mul_f64(index as f64 / connections as f64)).await;
            let mut delays = Vec::new();
            while Instant::now() + length < until {
                delays.push(speak(&address, &recording, bytes_per_second).await);
            }
            delays
        })
    });
    let mut delays = Vec::new();
    let mut failures = Vec::new();
    for speaker in speakers.collect::<Vec<_>>() {
        for outcome in speaker.await.unwrap_or_default() {
            match outcome {
                Ok(delay) => delays.push(delay),
                Err(failure) => failures.push(failure),
            }
        }
    }
    delays.sort();
    let quantile = |share: f64| {
        delays.get((delays.len() as f64 * share) as usize).or(delays.last()).map_or(0, Duration::as_millis)
    };
    println!(
        "{} answers, delay after the last byte: median {} ms, 90 % {} ms, longest {} ms",
        delays.len(),
        quantile(0.5),
        quantile(0.9),
        quantile(1.0)
    );
    for failure in failures.iter().take(5) {
        println!("failed: {failure}");
    }
    println!("{} failures", failures.len());
}

/// Sends the recording at its own speed. Returns how long the answer took after the last byte.
async fn speak(address: &str, recording: &[u8], bytes_per_second: usize) -> Result<Duration, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    let head = format!(
        "POST /v1/recognize HTTP/1.1\r\nHost: {address}\r\nContent-Type: audio/wav\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.map_err(failed)?;
    let began = tokio::time::Instant::now();
    for (index, piece) in recording.chunks(bytes_per_second / PIECES).enumerate() {
        sleep_until(began + Duration::from_secs_f64(index as f64 / PIECES as f64)).await;
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        stream.write_all(&chunk).await.map_err(failed)?;
    }
    stream.write_all(b"0\r\n\r\n").await.map_err(failed)?;
    let sent = Instant::now();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(failed)?;
    let answer = String::from_utf8_lossy(&answer);
    match answer.starts_with("HTTP/1.1 200") && answer.contains("\"result_index\":0") {
        true => Ok(sent.elapsed()),
        false => Err(answer.chars().take(300).collect()),
    }
}
