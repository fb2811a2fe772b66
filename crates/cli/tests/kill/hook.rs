//! A callback server that echoes challenges and keeps what it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use dictum_callbacks::Signature;
use serde_json::Value;

/// Something that it was told.
#[derive(Clone)]
pub struct Told {
    pub body: Value,
    /// Whether the signature is that of the secret `s`.
    pub signed: bool,
}

pub struct Hook {
    pub url: String,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Hook {
    pub fn new() -> Hook {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let told: Arc<Mutex<Vec<Told>>> = Arc::default();
        let kept = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || answer(stream, &kept));
            }
        });
        Hook { url, told }
    }

    /// Everything so far, in order.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }
}

/// Who asks may be killed at any byte of it; then there is nothing to keep.
fn answer(mut stream: TcpStream, kept: &Mutex<Vec<Told>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut first, mut length, mut signature) = (String::new(), 0, String::new());
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(("x-callback-signature", value)) => signature = value.to_owned(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let challenge = first.split("challenge_string=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    if length > 0 {
        let signed = signature == Signature::Sha1.sign("s", &body);
        kept.lock().unwrap().push(Told { body: serde_json::from_slice(&body).ok()?, signed });
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", challenge.len());
    stream.write_all(format!("{head}{challenge}").as_bytes()).ok()
}
