//! A callback server as a client has one.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use serde_json::Value;
use sha1::Sha1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request that the server was sent.
#[derive(Debug, Clone)]
pub struct Heard {
    pub method: String,
    pub target: String,
    pub body: String,
    signature: Option<String>,
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    pub fn is_signed(&self) -> bool {
        self.signature.is_some()
    }

    /// Whether the signature is what async.md section 2 says it is, computed here from nothing but that.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let message = match self.method.as_str() {
            "GET" => challenge(&self.target).unwrap_or_default(),
            _ => self.body.clone(),
        };
        let mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).unwrap().chain_update(message);
        use base64::Engine;
        let expected = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        self.signature.as_deref() == Some(&expected)
    }
}

/// How it answers.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Status of the answer to a challenge.
    pub challenge_status: u16,
    /// Whether the challenge is echoed.
    pub echo: bool,
    /// How long any answer takes.
    pub pause: Duration,
    /// Notifications that are answered 500 before the first is taken.
    pub failures: usize,
}

impl Default for Manner {
    fn default() -> Self {
        Manner { challenge_status: 200, echo: true, pause: Duration::ZERO, failures: 0 }
    }
}

pub struct Hook {
    pub url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn challenge(target: &str) -> Option<String> {
    let (_, query) = target.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("challenge_string=")).map(str::to_owned)
}

impl Hook {
    pub async fn new() -> Hook {
        Self::with(Manner::default()).await
    }

    pub async fn with(manner: Manner) -> Hook {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/results?for=dictum", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, manner.clone(), Arc::clone(&kept)));
            }
        });
        Hook { url, heard, task }
    }

    /// Everything so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }

    /// Its URL as a query has it.
    pub fn encoded(&self) -> String {
        form_urlencoded::byte_serialize(self.url.as_bytes()).collect()
    }

    /// Waits until so many notifications have come, and gives them in order.
    pub async fn notifications(&self, count: usize) -> Vec<Heard> {
        for _ in 0..3000 {
            let found: Vec<Heard> = self.heard().into_iter().filter(|heard| heard.method == "POST").collect();
            if found.len() >= count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("of {count} notifications these came: {:?}", self.heard());
    }
}

async fn answer(mut stream: TcpStream, manner: Manner, kept: Arc<Mutex<Vec<Heard>>>) {
    let Some(heard) = read(&mut stream).await else { return };
    let earlier = {
        let mut kept = kept.lock();
        let earlier = kept.iter().filter(|heard| heard.method == "POST").count();
        kept.push(heard.clone());
        earlier
    };
    tokio::time::sleep(manner.pause).await;
    let (status, body) = match heard.method.as_str() {
        "GET" if manner.echo => (manner.challenge_status, challenge(&heard.target).unwrap_or_default()),
        "GET" => (manner.challenge_status, "hello".to_owned()),
        _ if earlier < manner.failures => (500, String::new()),
        _ => (200, String::new()),
    };
    let text =
        format!("HTTP/1.1 {status} Indeed\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(text.as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |wanted: &str| {
                let mut headers = head.lines().filter_map(|line| line.split_once(": "));
                headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned())
            };
            let length = header("content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                let mut first = head.lines().next()?.split(' ');
                return Some(Heard {
                    method: first.next()?.to_owned(),
                    target: first.next()?.to_owned(),
                    body: body.to_owned(),
                    signature: header("x-callback-signature"),
                });
            }
        }
        let mut piece = [0; 8192];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
}
