//! The client against servers on this machine, which answer what a test says and keep what they were sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dictum_callbacks::{CallError, ChallengeError, Client, Config, Refused, Signature};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

/// A server that answers every request by `answer`, after `pause`. `{challenge}` in it is what the query has.
struct Server {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

async fn server(answer: &'static str, pause: Duration) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?a=b%20c", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let request = read_request(&mut stream).await;
                let challenge = request.split("challenge_string=").nth(1).and_then(|rest| rest.split(' ').next());
                let answer = answer.replace("{challenge}", challenge.unwrap_or_default());
                kept.lock().await.push(request);
                tokio::time::sleep(pause).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    Server { url, heard }
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        text.extend_from_slice(&piece[..read]);
        let so_far = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = so_far.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if read == 0 || body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return so_far;
        }
    }
}

fn client() -> Client {
    let config = Config {
        allow: vec!["127.0.0.1".to_owned()],
        challenge_timeout: Duration::from_millis(400),
        notification_timeout: Duration::from_millis(400),
        ..Config::default()
    };
    Client::new(config).unwrap()
}

const ECHO: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 18\r\n\r\n {challenge}\n";
const FINE: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// ASY-R2, ASY-R3
#[tokio::test]
async fn a_challenge_is_one_signed_request_that_keeps_the_query() {
    let server = server(ECHO, Duration::ZERO).await;
    client().challenge(&server.url, Some("ThisIsMySecret")).await.unwrap();
    client().challenge(&server.url, None).await.unwrap();
    let heard = server.heard.lock().await;
    assert_eq!(heard.len(), 2);
    assert!(heard[0].starts_with("GET /hook?a=b%20c&challenge_string="), "{}", heard[0]);
    assert_eq!(header(&heard[0], "accept"), Some("text/plain"));
    let challenge = heard[0].split("challenge_string=").nth(1).unwrap().split(' ').next().unwrap();
    let signature = Signature::Sha1.sign("ThisIsMySecret", challenge.as_bytes());
    assert_eq!(header(&heard[0], "x-callback-signature"), Some(signature.as_str()));
    assert_eq!(header(&heard[1], "x-callback-signature"), None, "no secret, no signature");
}

/// ASY-R5, ASY-R8
#[tokio::test]
async fn what_is_not_the_challenge_is_refused() {
    let answers = [
        ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", ChallengeError::Call(CallError::Status(500))),
        (
            "HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n",
            ChallengeError::Call(CallError::Status(302)),
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", ChallengeError::WrongAnswer),
        ("SMTP ready\r\n\r\n", ChallengeError::Call(CallError::Answer)),
        ("", ChallengeError::Call(CallError::Answer)),
    ];
    for (answer, expected) in answers {
        let server = server(answer, Duration::ZERO).await;
        assert_eq!(client().challenge(&server.url, None).await, Err(expected), "{answer:?}");
        assert_eq!(server.heard.lock().await.len(), 1, "once, and no redirect is followed");
    }
    let unreachable = ChallengeError::Call(CallError::Unreachable);
    assert_eq!(client().challenge("http://127.0.0.1:1/", None).await, Err(unreachable));
}

#[tokio::test]
async fn slow_and_endless_answers_are_cut_off() {
    let slow = server(ECHO, Duration::from_secs(5)).await;
    let began = Instant::now();
    let late = ChallengeError::Call(CallError::Late(Duration::from_millis(400)));
    assert_eq!(client().challenge(&slow.url, None).await, Err(late));
    assert!(began.elapsed() < Duration::from_secs(2));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    assert_eq!(client().notify(&url, None, b"{}".to_vec()).await, Err(CallError::Answer));
}

/// ASY-N1
#[tokio::test]
async fn a_notification_is_signed_over_its_exact_bytes() {
    let server = server(FINE, Duration::ZERO).await;
    let body = "{\"id\":\"\u{fc}\"}".as_bytes().to_vec();
    client().notify(&server.url, Some("s"), body.clone()).await.unwrap();
    let heard = server.heard.lock().await;
    let (head, sent) = heard[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook?a=b%20c HTTP/1.1\r\n"), "{head}");
    assert_eq!((sent.as_bytes(), header(head, "content-type")), (body.as_slice(), Some("application/json")));
    assert_eq!(header(head, "x-callback-signature"), Some(Signature::Sha1.sign("s", &body).as_str()));
    assert!(header(head, "host").is_some_and(|host| host.starts_with("127.0.0.1:")));
}

#[tokio::test]
async fn only_what_is_allowed_is_called() {
    let server = server(FINE, Duration::ZERO).await;
    let strict = Client::new(Config::default()).unwrap();
    let port = server.url.split(':').nth(2).unwrap();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let called = strict.notify(&format!("http://{host}:{port}"), None, b"{}".to_vec()).await;
        assert_eq!(called, Err(CallError::Refused(Refused::Address)), "{host}");
    }
    assert!(server.heard.lock().await.is_empty());
}
