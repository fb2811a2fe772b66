//! What SDKs never send to a WebSocket: broken handshakes, frames and messages, clients that stall, leave, flood or crowd in.

mod common;

use std::time::{Duration, Instant};

use common::socket::Socket;
use common::{Request, Server, audio, has_model, wait_for};
use dictum_service::ServiceConfig;
use dictum_service::accounts::AccountsConfig;
use dictum_watson::{WatsonConfig, WebSocketConfig};
use futures::SinkExt;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

const LINEAR: &str = "audio/l16;rate=16000;endianness=little-endian";
const REASON: &str = "see the previous message for the error details.";

fn quiet_seconds(seconds: usize) -> Vec<u8> {
    audio::linear(&audio::quiet(16_000 * seconds))
}

fn listening() -> Value {
    json!({ "state": "listening" })
}

fn empty() -> Value {
    json!({ "results": [], "result_index": 0 })
}

/// Limits that do not make a test wait.
fn quick() -> WebSocketConfig {
    WebSocketConfig {
        session_timeout: Duration::from_millis(600),
        write_timeout: Duration::from_millis(600),
        close_timeout: Duration::from_millis(600),
        ..WebSocketConfig::default()
    }
}

async fn quick_server() -> Server {
    Server::with_settings(None, WatsonConfig { websocket: quick(), ..WatsonConfig::default() }).await
}

/// The server still works, and nobody holds a permit any more.
async fn all_is_well(server: &Server) {
    wait_for(|| server.service.sessions() == 0).await;
    let mut socket = Socket::connect(server, "").await;
    assert_eq!(socket.request(json!({ "content-type": LINEAR }), &quiet_seconds(1), 8_000).await, [empty()]);
}

/// websocket.md section 1: refusals are HTTP answers with a JSON body
#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_are_refused() {
    if !has_model("handshakes_that_are_refused") {
        return;
    }
    let server = Server::with_model().await;
    let guid = "74f4807e-b5ff-4866-824e-6bba1a84fe96";
    let both = format!("customization_id={guid}&language_customization_id={guid}");
    let cases = [
        ("model=bogus".to_owned(), 404, "Model 'bogus' not found"),
        ("model=ja-JP_BroadbandModel".to_owned(), 400, "Requested model is not available"),
        (both, 400, "You cannot specify both"),
        ("language_customization_id=nonsense".to_owned(), 400, "Malformed GUID: 'nonsense'"),
        (format!("language_customization_id={guid}"), 400, "Invalid customization_id"),
    ];
    for (query, status, text) in cases {
        let refused = Socket::try_connect(&server, &query, &[]).await.err().expect("refused");
        let body: Value = serde_json::from_slice(refused.body().as_deref().unwrap()).expect("JSON");
        assert_eq!((refused.status().as_u16(), body["code"].as_u64()), (status, Some(u64::from(status))), "{query}");
        assert!(body["error"].as_str().unwrap().contains(text), "{body}");
        assert!(refused.headers().contains_key("x-global-transaction-id"));
        assert_eq!(refused.headers()["connection"], "close", "a client may wait for it");
    }
    let bare = server.get("/v1/recognize").await;
    assert_eq!(
        (bare.status, bare.header("upgrade"), bare.json()["code"].as_u64()),
        (426, Some("websocket"), Some(426))
    );
    let old = Request::new("GET", "/v1/recognize").header("Connection", "Upgrade").header("Upgrade", "websocket");
    let old = old.header("Sec-WebSocket-Version", "8").header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let reply = server.send(old).await;
    assert_eq!((reply.status, reply.header("sec-websocket-version")), (426, Some("13")));

    // Ids are echoed, and extensions declined.
    let headers = [
        ("x-global-transaction-id", "my-own-id"),
        ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
    ];
    let socket = Socket::try_connect(&server, "", &headers).await.expect("accepted");
    assert_eq!(socket.response.headers()["x-global-transaction-id"], "my-own-id");
    assert!(!socket.response.headers().contains_key("sec-websocket-extensions"));
}

/// 9.11, AUTH-10, AUTH-12, SDK-05: by header or in the query, under every base path; and for as long as the connection lasts
#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_asked_for_at_the_handshake() {
    if !has_model("credentials_are_asked_for_at_the_handshake") {
        return;
    }
    let (server, accounts) = Server::with_accounts_and_model(AccountsConfig::default()).await;
    let (key, _) = accounts.create_key("default", "a key").await.unwrap();
    let body = json!({ "username": "u", "api_key": key.text() }).to_string();
    let authorize = Request::new("POST", "/v1/authorize").header("Content-Type", "application/json").body(body);
    let token = server.send(authorize).await.json()["token"].as_str().expect("a token").to_owned();
    let bearer = format!("Bearer {token}");
    let (by_access_token, by_watson_token) = (format!("access_token={token}"), format!("watson-token={token}"));
    let cp4d = "/speech-to-text/zen/instances/1/api/v1/recognize?";
    let by_header = Socket::at(&server, cp4d, &[("authorization", &bearer)]).await.expect("by header");
    let in_query =
        Socket::at(&server, &format!("//instances/1/v1/recognize/?{by_access_token}"), &[]).await.expect("in query");
    let watson_token = Socket::try_connect(&server, &by_watson_token, &[]).await.expect("by its older name");
    for wrong in ["", "access_token=nonsense", "watson-token="] {
        let refused = Socket::try_connect(&server, wrong, &[]).await.err().expect("refused");
        let body: Value = serde_json::from_slice(refused.body().as_deref().unwrap()).expect("JSON");
        assert_eq!((refused.status().as_u16(), body["code"].as_u64()), (401, Some(401)), "{wrong}");
    }
    accounts.revoke_key(key.id()).await.unwrap();
    assert!(Socket::try_connect(&server, &by_access_token, &[]).await.is_err(), "revoked");
    for mut socket in [by_header, in_query, watson_token] {
        assert_eq!(socket.request(json!({ "content-type": LINEAR }), &quiet_seconds(1), 8_000).await, [empty()]);
    }
}

/// RFC 6455: fragments are put together, pings answered, also between the fragments
#[tokio::test(flavor = "multi_thread")]
async fn fragments_and_pings() {
    if !has_model("fragments_and_pings") {
        return;
    }
    let server = Server::with_model().await;
    let mut socket = Socket::connect(&server, "").await;
    let frame = |data: &[u8], opcode, last| Message::Frame(Frame::message(data.to_vec(), OpCode::Data(opcode), last));
    let start = json!({ "action": "start", "content-type": LINEAR }).to_string();
    let (head, tail) = start.as_bytes().split_at(20);
    socket.send(frame(head, Data::Text, false)).await;
    socket.send(Message::Ping(b"are you there"[..].into())).await;
    socket.send(frame(tail, Data::Continue, true)).await;
    assert_eq!(socket.next().await.unwrap(), listening());
    let speech = quiet_seconds(1);
    socket.send(frame(&speech[..10_000], Data::Binary, false)).await;
    socket.send(Message::Pong(b"unasked"[..].into())).await;
    socket.send(frame(&speech[10_000..20_000], Data::Continue, false)).await;
    socket.send(frame(&speech[20_000..], Data::Continue, true)).await;
    socket.stop().await;
    assert_eq!(socket.until_listening().await, [empty(), listening()]);
    socket.close().await;
}

/// WS-A3, 9.9: 4 MB pass, a byte more does not, nor does what claims to be more, nor fragments that add up to it
#[tokio::test(flavor = "multi_thread")]
async fn frames_up_to_four_megabytes() {
    const LARGEST: usize = 4 * 1024 * 1024;
    if !has_model("frames_up_to_four_megabytes") {
        return;
    }
    let server = Server::with_model().await;
    let silent = json!({ "content-type": LINEAR, "inactivity_timeout": -1, "speech_detector_sensitivity": 0.0 });
    let mut socket = Socket::connect(&server, "").await;
    assert_eq!(socket.request(silent.clone(), &vec![1; LARGEST], LARGEST).await, [empty()]);

    socket.start(silent).await;
    let _ = socket.stream.send(Message::binary(vec![1; LARGEST + 1])).await;
    let end = socket.end().await;
    assert_eq!((end.messages, end.code), (vec![listening()], Some(1009)));

    let mut claims = Socket::connect(&server, "").await;
    claims.stream.get_mut().write_all(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0").await.unwrap();
    assert_eq!(claims.end().await.code, Some(1009));

    let mut adds_up = Socket::connect(&server, "").await;
    for part in 0..5 {
        let opcode = if part == 0 { Data::Binary } else { Data::Continue };
        let frame = Frame::message(vec![1; 1 << 20], OpCode::Data(opcode), false);
        let _ = adds_up.stream.send(Message::Frame(frame)).await;
    }
    assert_eq!(adds_up.end().await.code, Some(1009));
    all_is_well(&server).await;
}

/// websocket.md section 6: 1002 and 1007
#[tokio::test(flavor = "multi_thread")]
async fn broken_frames() {
    if !has_model("broken_frames") {
        return;
    }
    let server = Server::with_model().await;
    let cases: [(&[u8], u16); 6] = [
        (b"\x81\x82\0\0\0\0\xc3\x28", 1007), // text that is not UTF-8
        (b"\x81\x02{}", 1002),               // not masked
        (b"\xc2\x81\0\0\0\0a", 1002),        // a reserved bit
        (b"\x83\x81\0\0\0\0a", 1002),        // a reserved opcode
        (b"\x80\x81\0\0\0\0a", 1002),        // a continuation of nothing
        (b"\x09\x80\0\0\0\0", 1002),         // a ping in fragments
    ];
    for (bytes, code) in cases {
        let mut socket = Socket::connect(&server, "").await;
        socket.stream.get_mut().write_all(bytes).await.unwrap();
        let end = socket.end().await;
        assert_eq!((end.code, end.messages.len()), (Some(code), 0), "{bytes:?}");
    }
}

/// WS-E1, websocket.md sections 2.1, 4 and 6: a message that says what was wrong, then 1011
#[tokio::test(flavor = "multi_thread")]
async fn faults_are_told_and_close_the_connection() {
    let test = "faults_are_told_and_close_the_connection";
    if !has_model(test) {
        return;
    }
    let config = WatsonConfig { max_audio_bytes: 100_000, ..WatsonConfig::default() };
    let server = Server::with_settings(None, config).await;
    let start = |mut members: Value| {
        members["action"] = "start".into();
        Message::text(members.to_string())
    };
    let audio = |bytes: Vec<u8>| Message::binary(bytes);
    let stop = || Message::text(r#"{"action":"stop"}"#);
    let linear = || start(json!({ "content-type": LINEAR }));
    let short = |count: usize| format!("Stream was {count} bytes but needs to be at least 100 bytes.");
    let cases: Vec<(Vec<Message>, String)> = vec![
        (vec![Message::text("junk")], "the message is not JSON".to_owned()),
        (vec![Message::text("[1]")], "the message must be a JSON object".to_owned()),
        (vec![Message::text(r#"{"acton":"start"}"#)], "the message must have an action".to_owned()),
        (vec![stop()], short(0)),
        (vec![audio(vec![])], short(0)),
        (vec![linear(), stop()], short(0)),
        (vec![linear(), audio(vec![0; 66]), stop()], short(66)),
        (vec![linear(), audio(quiet_seconds(1)), linear()], "Header JSON already received. Now expected".to_owned()),
        (vec![start(json!({ "keywords_threshold": 1.1 }))], "keywords_threshold value must be between".to_owned()),
        (vec![start(json!({ "timestamps": "perhaps" }))], "timestamps must be true or false".to_owned()),
        (vec![start(json!({ "content-type": "audio/l16" }))], "audio/l16 needs its sampling rate".to_owned()),
        (
            vec![start(json!({ "content-type": "text/plain" }))],
            "unable to transcode data stream text/plain -> audio/x-float-array ".to_owned(),
        ),
        (
            vec![start(json!({})), audio(audio::noise(5_000)), stop()],
            "unable to transcode data stream application/octet-stream -> audio/x-float-array ".to_owned(),
        ),
        (
            vec![start(json!({ "content-type": "audio/l16;rate=16000" })), audio(vec![0; 200]), stop()],
            "could not detect endianness after looking at the tail 0 non-zero byte string in a data stream of 200"
                .to_owned(),
        ),
        (
            vec![
                start(json!({ "content-type": "audio/l16;rate=8000;endianness=little-endian" })),
                audio(quiet_seconds(1)),
            ],
            "This 8000hz audio input requires a narrow band model.".to_owned(),
        ),
        (
            vec![linear(), audio(vec![0; 60_000]), audio(vec![0; 60_000])],
            "Session closed. Reason: Payload exceeds the 100000 bytes limit.".to_owned(),
        ),
    ];
    for (messages, text) in cases {
        let mut socket = Socket::connect(&server, "").await;
        let said = format!("{:?}", messages.iter().map(Message::len).collect::<Vec<_>>());
        for message in messages {
            let _ = socket.stream.send(message).await;
        }
        let end = socket.end().await;
        assert!(end.error().starts_with(&text), "{said}: {end:?}, wanted {text:?}");
        assert_eq!((end.code, end.reason.as_str()), (Some(1011), REASON), "{said}");
        let errors = end.messages.iter().filter(|message| message.get("error").is_some()).count();
        assert_eq!(errors, 1, "{end:?}");
    }
    let mut telephone = Socket::connect(&server, "model=en-US").await;
    telephone.start(json!({ "low_latency": true })).await;
    assert_eq!(telephone.end().await.error(), "low_latency is not a supported feature for model en-US");
    all_is_well(&server).await;
}

/// websocket.md 9.7, WS-E2, WS-E4: nothing is heard for too long, before, between and within requests
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_say_nothing_time_out() {
    if !has_model("clients_that_say_nothing_time_out") {
        return;
    }
    let server = quick_server().await;
    for point in ["connected", "started", "within", "after", "no-op", "ping"] {
        let mut socket = Socket::connect(&server, "").await;
        let linear = json!({ "content-type": LINEAR, "inactivity_timeout": -1 });
        match point {
            "started" => socket.start(linear).await,
            "within" => {
                socket.start(linear).await;
                socket.audio(&quiet_seconds(1)[..3_200], 3_200).await;
            }
            "after" => {
                socket.request(linear, &quiet_seconds(1), 8_000).await;
            }
            _ => {}
        }
        let began = Instant::now();
        if matches!(point, "no-op" | "ping") {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                match point {
                    "no-op" => socket.say(json!({ "action": "no-op" })).await,
                    _ => socket.send(Message::Ping(b"?"[..].into())).await,
                }
            }
        }
        let end = socket.end().await;
        assert_eq!((end.error(), end.code), ("Session timed out.", Some(1011)), "{point}: {end:?}");
        assert!((500..1_500).contains(&began.elapsed().as_millis()), "{point}: {:?}", began.elapsed());
    }
    // Who goes on sending is not timed out: 1.5 s of half a second's patience, at twice the speed that is needed.
    let mut socket = Socket::connect(&server, "").await;
    socket.start(json!({ "content-type": LINEAR })).await;
    for _ in 0..15 {
        socket.audio(&quiet_seconds(1)[..3_200], 3_200).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    socket.stop().await;
    assert_eq!(socket.until_listening().await, [listening()]);
    assert_eq!(socket.until_listening().await, [empty(), listening()]);
    wait_for(|| server.service.sessions() == 0).await;
}

/// Clients that leave at every point of the exchange, with and without a close frame (checklist 14)
#[tokio::test(flavor = "multi_thread")]
async fn clients_may_leave_at_any_point() {
    if !has_model("clients_may_leave_at_any_point") {
        return;
    }
    let server = Server::with_model().await;
    let long = quiet_seconds(60);
    let silent = json!({ "content-type": LINEAR, "inactivity_timeout": -1 });
    for politely in [false, true] {
        for point in 0..7 {
            let mut socket = Socket::connect(&server, "").await;
            if point >= 1 {
                socket.start(silent.clone()).await;
            }
            if point >= 2 {
                socket.audio(&long[..100_000], 8_000).await;
            }
            match point {
                3 => socket.stream.get_mut().write_all(b"\x82\xfe\x10\0abcdhalf a frame").await.unwrap(),
                4 => socket.audio(&long, 1_000_000).await,
                5 => socket.stop().await,
                6 => {
                    socket.stop().await;
                    assert_eq!(socket.until_listening().await.len(), 1);
                    socket.until_listening().await;
                }
                _ => {}
            }
            // In the middle of a frame there is no polite way.
            if politely && point != 3 {
                let _ = socket.stream.close(None).await;
            }
            drop(socket);
        }
    }
    // A handshake that nobody waits for the end of.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let handshake = Request::new("GET", "/v1/recognize").header("Connection", "Upgrade").header("Upgrade", "websocket");
    let handshake =
        handshake.header("Sec-WebSocket-Version", "13").header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    stream.write_all(handshake.head().as_bytes()).await.unwrap();
    drop(stream);
    all_is_well(&server).await;
}

/// A client that only sends costs no memory and, in the end, no permit
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_are_given_up() {
    if !has_model("clients_that_do_not_read_are_given_up") {
        return;
    }
    let server = quick_server().await;
    let mut socket = Socket::connect(&server, "").await;
    let start = json!({ "action": "start", "content-type": LINEAR }).to_string();
    let flood = async { while socket.stream.feed(Message::text(start.clone())).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(15), flood).await.expect("the server hangs up");
    wait_for(|| server.service.sessions() == 0).await;
}

/// The service ends: idle connections close, the others after the results of the request in progress
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_service_waits_for_requests_in_progress() {
    if !has_model("the_end_of_the_service_waits_for_requests_in_progress") {
        return;
    }
    // A service of its own, for it does not survive this.
    let server = Server::with_settings(Some(ServiceConfig::default()), WatsonConfig::default()).await;
    let mut idle = Socket::connect(&server, "").await;
    let mut busy = Socket::connect(&server, "").await;
    busy.start(json!({ "content-type": LINEAR })).await;
    busy.audio(&quiet_seconds(1), 8_000).await;
    wait_for(|| server.service.sessions() == 1).await;
    assert_eq!(busy.next().await.unwrap(), listening());
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.service.drain().begin();
    let end = idle.end().await;
    assert_eq!((end.code, end.messages.len()), (Some(1001), 0), "{end:?}");
    busy.audio(&quiet_seconds(1), 8_000).await;
    busy.stop().await;
    let end = busy.end().await;
    assert_eq!((end.code, end.messages), (Some(1001), vec![empty(), listening()]));
    tokio::time::timeout(Duration::from_secs(5), server.service.drain().finished()).await.expect("nothing is left");
}

/// design, section 3: 503 at the handshake when all permits are in use; idle connections use none
#[tokio::test(flavor = "multi_thread")]
async fn permits_are_for_requests() {
    if !has_model("permits_are_for_requests") {
        return;
    }
    let config = ServiceConfig { max_sessions: 1, decode_threads: 1, ..ServiceConfig::default() };
    let server = Server::with_settings(Some(config), WatsonConfig::default()).await;
    let linear = json!({ "content-type": LINEAR });
    let mut first = Socket::connect(&server, "").await;
    let mut second = Socket::connect(&server, "").await;
    let mut third = Socket::connect(&server, "").await;
    assert_eq!(server.service.sessions(), 0);
    first.start(linear.clone()).await;
    assert_eq!(first.next().await.unwrap(), listening());
    assert_eq!(server.service.sessions(), 1);

    let refused = Socket::try_connect(&server, "", &[]).await.err().expect("refused");
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"5".parse().unwrap()));
    second.start(linear.clone()).await;
    let end = second.end().await;
    assert!(end.error().starts_with("the server is recognising for 1 clients") && end.code == Some(1011), "{end:?}");

    first.audio(&quiet_seconds(1), 8_000).await;
    first.stop().await;
    assert_eq!(first.until_listening().await, [empty(), listening()]);
    // Between its requests a client holds nothing, and by the time it is told, that is so.
    assert_eq!(third.request(linear, &quiet_seconds(1), 8_000).await, [empty()]);
    first.audio(&quiet_seconds(1), 8_000).await;
    first.stop().await;
    assert_eq!(first.until_listening().await, [empty(), listening()]);
}
