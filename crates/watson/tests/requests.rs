//! Requests with a course in time: streams, timeouts, keep-alive, several recordings, a full server, clients that leave.

mod common;

use std::time::{Duration, Instant};

use common::{Payload, Request, Server, audio, has_model, wait_for};
use dictum_service::ServiceConfig;
use dictum_watson::WatsonConfig;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

fn streamed(query: &str, content_type: &str) -> Request {
    Request::new("POST", &format!("/v1/recognize?{query}")).header("Content-Type", content_type)
}

/// Seconds of a quiet room at 16 kHz, bare samples.
fn quiet_seconds(seconds: usize) -> Vec<u8> {
    audio::linear(&audio::quiet(16_000 * seconds))
}

const LINEAR: &str = "audio/l16;rate=16000;endianness=little-endian";

/// recognize.md 7, results.md 3: a sentence comes back, however it is sent and wrapped
#[tokio::test(flavor = "multi_thread")]
async fn speech_is_recognised_alike_however_it_is_sent() {
    let test = "speech_is_recognised_alike_however_it_is_sent";
    let Some((rate, samples)) = audio::spoken_for(test).filter(|_| has_model(test)) else { return };
    let server = Server::with_model().await;
    let file = audio::wav(*rate, 1, samples);
    let whole = server.recognize("timestamps=true&word_confidence=true", "audio/wav", file.clone()).await;
    assert_eq!(whole.status, 200, "{}", whole.text());
    let transcript = whole.transcript();
    assert!(transcript.ends_with(' ') && !transcript.ends_with("  "), "{transcript:?}");

    let best = &whole.json()["results"][0]["alternatives"][0];
    let words: Vec<&str> = best["transcript"].as_str().unwrap().split_whitespace().collect();
    let times = best["timestamps"].as_array().unwrap();
    assert_eq!(times.iter().map(|time| time[0].as_str().unwrap()).collect::<Vec<_>>(), words);
    let mut last = 0.0;
    for time in times {
        let (start, end) = (time[1].as_f64().unwrap(), time[2].as_f64().unwrap());
        assert!(last <= start && start < end, "{times:?}");
        last = end;
    }
    assert!(last <= samples.len() as f64 / f64::from(*rate), "{times:?}");
    let confidences = best["word_confidence"].as_array().unwrap();
    assert_eq!(confidences.iter().map(|pair| pair[0].as_str().unwrap()).collect::<Vec<_>>(), words);

    let chunked = server.send(streamed("", "audio/wav").chunked(&file, 777)).await;
    assert_eq!(chunked.transcript(), transcript);
    let bare = server.recognize("", &format!("audio/l16;rate={rate}"), audio::linear(samples)).await;
    assert_eq!(bare.transcript(), transcript);
    // REC-L9: two equal channels are the same as one.
    let both: Vec<i16> = samples.iter().flat_map(|sample| [*sample; 2]).collect();
    let stereo = server.recognize("", "", audio::wav(*rate, 2, &both)).await;
    assert_eq!(stereo.transcript(), transcript);
    let one = transcript.trim_end().to_owned() + " ";
    assert_eq!(transcript, one);
}

/// REC-M1, REC-M7, REC-M8
#[tokio::test(flavor = "multi_thread")]
async fn several_recordings_are_transcribed_in_order_and_each_from_zero() {
    let test = "several_recordings_are_transcribed_in_order_and_each_from_zero";
    let Some((rate, samples)) = audio::spoken_for(test).filter(|_| has_model(test)) else { return };
    let server = Server::with_model().await;
    let file = audio::wav(*rate, 1, samples);
    let send = |metadata: serde_json::Value, uploads: Vec<Vec<u8>>| {
        let body = common::multipart(Some(&metadata.to_string()), &uploads);
        server.send(streamed("model=en-US_BroadbandModel", common::MULTIPART).body(body))
    };
    let silence = audio::wav(16_000, 1, &audio::quiet(16_000));
    let metadata = json!({
        "part_content_type": "audio/wav", "data_parts_count": 3, "timestamps": true, "audio_metrics": true,
        "inactivity_timeout": -1, "keywords": ["a, b"], "keywords_threshold": 0.5
    });
    let reply = send(metadata.clone(), vec![file.clone(), silence.clone(), file.clone()]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let alone = server.recognize("timestamps=true", "audio/wav", file.clone()).await.json();
    let expected: Vec<_> = [&alone, &alone].iter().flat_map(|one| one["results"].as_array().unwrap().clone()).collect();
    let together = reply.json();
    assert_eq!(together["results"], json!(expected));
    assert_eq!(together["result_index"], 0);
    let seconds = 2.0 * samples.len() as f64 / f64::from(*rate) + 1.0;
    let measured = together["audio_metrics"]["accumulated"]["end_time"].as_f64().unwrap();
    assert!((measured - seconds).abs() < 0.01, "{measured} of {seconds}");

    let fewer = send(metadata, vec![file.clone()]).await;
    assert_eq!(fewer.status, 400, "{}", fewer.text());
    assert_eq!(fewer.json()["error"], "data_parts_count is 3, but 1 audio parts were sent");
    let none = send(json!({}), vec![]).await;
    assert_eq!(none.status, 400);

    // REC-M9: chunked, cut anywhere.
    let body = common::multipart(Some("{}"), &[file.clone(), file]);
    let reply = server.send(streamed("", common::MULTIPART).chunked(&body, 333)).await;
    assert_eq!(reply.json()["results"].as_array().unwrap().len(), expected.len());
}

/// REC-L5, recognize.md 9.10: silence in a stream
#[tokio::test(flavor = "multi_thread")]
async fn silence_in_a_stream_ends_it() {
    if !has_model("silence_in_a_stream_ends_it") {
        return;
    }
    let server = Server::with_model().await;
    let send =
        |query: &str, seconds: usize| server.send(streamed(query, LINEAR).chunked(&quiet_seconds(seconds), 16_000));
    let reply = send("", 32).await;
    assert_eq!(
        (reply.status, reply.json()["error"].as_str()),
        (400, Some("No speech detected for 30s")),
        "{}",
        reply.text()
    );
    let reply = send("inactivity_timeout=5", 6).await;
    assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some("No speech detected for 5s")));
    for query in ["inactivity_timeout=-1", "inactivity_timeout=60"] {
        assert_eq!(send(query, 32).await.status, 200, "{query}");
    }
    // REC-L8: what is sent whole is not a stream.
    let whole = server.recognize("inactivity_timeout=5", LINEAR, quiet_seconds(32)).await;
    assert_eq!(whole.json(), json!({ "results": [], "result_index": 0 }));
}

/// REC-L4, recognize.md 9.9: half as fast as it is spoken is too slow; and a client that sends nothing
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_too_slow_times_out() {
    if !has_model("a_stream_that_is_too_slow_times_out") {
        return;
    }
    let server = Server::with_model().await;
    let slow = (0..40).map(|_| (Duration::from_secs(1), audio::linear(&audio::quiet(7_000)))).collect();
    let slow = server.send(streamed("inactivity_timeout=-1", LINEAR).payload(Payload::Chunks(slow)));
    let live = (0..35).map(|_| (Duration::from_secs(1), quiet_seconds(1))).collect();
    let live = server.send(streamed("inactivity_timeout=-1", LINEAR).payload(Payload::Chunks(live)));
    let metadata = "--part-of-a-test\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{";
    let between = server.send(streamed("", common::MULTIPART).payload(Payload::Stalled(100_000, metadata.into())));
    let stalled = server.send(streamed("", LINEAR).payload(Payload::Stalled(100_000, quiet_seconds(1))));
    let (slow, stalled, between, live) = tokio::join!(slow, stalled, between, live);
    for reply in [&slow, &stalled, &between] {
        assert_eq!(
            (reply.status, reply.json()["error"].as_str()),
            (408, Some("Session timed out.")),
            "{}",
            reply.text()
        );
        assert_eq!(reply.header("connection"), Some("close"));
        assert!((29..34).contains(&reply.after.as_secs()), "{:?}", reply.after);
    }
    assert_eq!(live.status, 200, "{}", live.text());
}

/// recognize.md 1 and 9.11
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_takes_long_begins_with_spaces() {
    if !has_model("an_answer_that_takes_long_begins_with_spaces") {
        return;
    }
    let config = WatsonConfig { keep_alive: Duration::from_millis(1), ..WatsonConfig::default() };
    let server = Server::with_settings(None, config).await;
    let reply = server.recognize("", LINEAR, quiet_seconds(120)).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert!(reply.body.starts_with(b" "), "{}", reply.text());
    assert_eq!(reply.json(), json!({ "results": [], "result_index": 0 }), "{}", reply.text());
}

/// design, section 3: past the limit the answer is 503 with Retry-After, at once; and who leaves makes room
#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_says_so_until_somebody_leaves() {
    if !has_model("a_full_server_says_so_until_somebody_leaves") {
        return;
    }
    let config = ServiceConfig { max_sessions: 1, decode_threads: 1, ..ServiceConfig::default() };
    let server = Server::with_settings(Some(config), WatsonConfig::default()).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    let head = streamed("", LINEAR).payload(Payload::Chunks(vec![])).head();
    first.write_all(head.as_bytes()).await.unwrap();
    first.write_all(b"3e80\r\n").await.unwrap();
    first.write_all(&quiet_seconds(1)[..16_000]).await.unwrap();
    first.write_all(b"\r\n").await.unwrap();
    wait_for(|| server.service.sessions() == 1).await;

    let began = Instant::now();
    let refused = server.recognize("", LINEAR, quiet_seconds(1)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")), "{}", refused.text());
    assert_eq!(refused.json()["code_description"], "Service Unavailable");
    assert!(began.elapsed() < Duration::from_secs(2));

    // Who asks whether to send is told at once that it need not.
    let (mut reader, mut writer) = TcpStream::connect(server.address).await.unwrap().into_split();
    let request = streamed("", LINEAR).header("Expect", "100-continue").body(quiet_seconds(1));
    writer.write_all(request.head().as_bytes()).await.unwrap();
    let mut told = [0; 12];
    let read = tokio::io::AsyncReadExt::read_exact(&mut reader, &mut told);
    tokio::time::timeout(Duration::from_secs(2), read).await.expect("told in time").unwrap();
    assert_eq!(&told, b"HTTP/1.1 503");

    drop(first);
    wait_for(|| server.service.sessions() == 0).await;
    assert_eq!(server.recognize("", LINEAR, quiet_seconds(1)).await.status, 200);
}

/// A client that has sent everything and goes away while it is transcribed
#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_is_not_worked_for() {
    if !has_model("who_goes_away_is_not_worked_for") {
        return;
    }
    let config = ServiceConfig { max_sessions: 1, decode_threads: 1, ..ServiceConfig::default() };
    let server = Server::with_settings(Some(config), WatsonConfig::default()).await;
    let recording = quiet_seconds(600);
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let head = streamed("", LINEAR).body(recording.clone()).head();
    client.write_all(head.as_bytes()).await.unwrap();
    let _ = tokio::time::timeout(Duration::from_secs(1), client.write_all(&recording)).await;
    wait_for(|| server.service.sessions() == 1).await;
    drop(client);
    wait_for(|| server.service.sessions() == 0).await;
}

/// recognize.md 1: `Expect: 100-continue`
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_wait_are_told_to_go_on() {
    if !has_model("clients_that_wait_are_told_to_go_on") {
        return;
    }
    let server = Server::with_model().await;
    let (mut reader, mut writer) = TcpStream::connect(server.address).await.unwrap().into_split();
    let body = quiet_seconds(1);
    let request = streamed("", LINEAR).header("Expect", "100-continue").body(body.clone());
    writer.write_all(request.head().as_bytes()).await.unwrap();
    let mut told = [0; 25];
    let read = tokio::io::AsyncReadExt::read_exact(&mut reader, &mut told);
    tokio::time::timeout(Duration::from_secs(5), read).await.expect("told in time").unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    writer.write_all(&body).await.unwrap();
    assert_eq!(common::read_reply(reader).await.status, 200);

    // What is refused by its head is refused without.
    let (reader, mut writer) = TcpStream::connect(server.address).await.unwrap().into_split();
    let request = streamed("model=nonsense", LINEAR).header("Expect", "100-continue").body(body);
    writer.write_all(request.head().as_bytes()).await.unwrap();
    let reply = tokio::time::timeout(Duration::from_secs(5), common::read_reply(reader)).await.expect("told in time");
    assert_eq!(reply.status, 404);
}

/// auth.md 4 and 5: ids are echoed, or made
#[tokio::test(flavor = "multi_thread")]
async fn answers_carry_the_transaction_id() {
    let server = Server::without_model().await;
    let reply = server.send(Request::new("GET", "/v1/models").header("X-Global-Transaction-Id", "my-own-id")).await;
    assert_eq!(reply.header("x-global-transaction-id"), Some("my-own-id"));
    assert_eq!(reply.header("x-dp-watson-tran-id"), Some("my-own-id"));
    let first = server.get("/v1/models/bogus").await;
    let second = server.get("/v1/models/bogus").await;
    assert_eq!(first.status, 404);
    assert_ne!(first.header("x-global-transaction-id"), second.header("x-global-transaction-id"));
}

/// models.md `GET /v1/models`
#[tokio::test(flavor = "multi_thread")]
async fn the_installed_models_are_listed() {
    let server = Server::without_model().await;
    let reply = server.get("/v1/models").await;
    let json = reply.json();
    let names: Vec<&str> =
        json["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 6);
    for name in names {
        let url = format!("/v1/models/{name}");
        let alone = server.get(&url).await.json();
        assert!(json["models"].as_array().unwrap().contains(&alone), "{alone}");
        assert_eq!(alone["url"], format!("http://stt.example:1234{url}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health() {
    let server = Server::without_model().await;
    assert_eq!(server.get("/health/live").await.status, 200);
    let reply = server.get("/health/ready").await;
    assert_eq!((reply.status, reply.json()["code"].as_u64()), (503, Some(503)));
    if has_model("health") {
        assert_eq!(Server::with_model().await.get("/health/ready").await.status, 200);
    }
    // Its files are missing, which is nothing that a client could have done better.
    let reply = server.recognize("", LINEAR, quiet_seconds(1)).await;
    assert_eq!(reply.status, 500);
    assert!(!reply.text().contains('/'), "no paths in {}", reply.text());
}
