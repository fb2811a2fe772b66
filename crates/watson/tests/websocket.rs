//! Recognition over a WebSocket, with speech: who says what when, and that it is what `POST /v1/recognize` says.

mod common;

use std::time::Duration;

use common::socket::{Socket, transcript};
use common::{Server, audio, has_model};
use dictum_watson::{WatsonConfig, WebSocketConfig};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const LINEAR: &str = "audio/l16;rate=16000;endianness=little-endian";

/// A server and two sentences with a pause between them, as a WAV file. `None`: this machine has no model or no voice.
async fn with_speech(test: &str) -> Option<(Server, Vec<u8>)> {
    let (rate, samples) = audio::spoken_for(test).filter(|_| has_model(test))?;
    let pause = audio::quiet(*rate as usize);
    let all: Vec<i16> = [samples.as_slice(), &pause, samples].concat();
    Some((Server::with_model().await, audio::wav(*rate, 1, &all)))
}

fn quiet_seconds(seconds: usize) -> Vec<u8> {
    audio::linear(&audio::quiet(16_000 * seconds))
}

fn listening() -> Value {
    json!({ "state": "listening" })
}

/// websocket.md section 8 and 9.1 to 9.3, WS-1, WS-3, WS-R1, SDK-12, SDK-13
#[tokio::test(flavor = "multi_thread")]
async fn the_documented_exchange() {
    let Some((server, file)) = with_speech("the_documented_exchange").await else { return };
    let posted = server.recognize("", "audio/wav", file.clone()).await.json();
    assert_eq!(posted["results"].as_array().unwrap().len(), 2, "{posted}");

    let mut socket = Socket::connect(&server, "").await;
    assert_eq!(socket.response.status(), 101);
    assert!(socket.response.headers().contains_key("x-global-transaction-id"));
    socket.start(json!({ "content-type": "audio/wav" })).await;
    assert_eq!(socket.next().await.unwrap(), listening());
    socket.audio(&file, file.len().div_ceil(3)).await;
    socket.stop().await;
    assert_eq!(socket.until_listening().await, [posted.clone(), listening()]);

    // The second request has no start, and an empty frame for its stop.
    socket.audio(&file, 16_384).await;
    socket.send(Message::binary(Vec::new())).await;
    assert_eq!(socket.until_listening().await, [posted.clone(), listening()]);

    // The third has its own, which is answered (WS-1).
    let messages = socket.request(json!({ "content-type": "audio/wav" }), &file, 4_096).await;
    assert_eq!(messages, [posted]);
    socket.close().await;
}

/// WS-1: for clients that count
#[tokio::test(flavor = "multi_thread")]
async fn later_starts_may_go_unanswered() {
    if !has_model("later_starts_may_go_unanswered") {
        return;
    }
    let websocket = WebSocketConfig { answer_every_start: false, ..WebSocketConfig::default() };
    let server = Server::with_settings(None, WatsonConfig { websocket, ..WatsonConfig::default() }).await;
    let mut socket = Socket::connect(&server, "").await;
    let empty = json!({ "results": [], "result_index": 0 });
    assert_eq!(
        socket.request(json!({ "content-type": LINEAR }), &quiet_seconds(1), 8_192).await,
        std::slice::from_ref(&empty)
    );
    socket.start(json!({ "content-type": LINEAR, "timestamps": true })).await;
    socket.audio(&quiet_seconds(1), 8_192).await;
    socket.stop().await;
    assert_eq!(socket.until_listening().await, [empty, listening()]);
}

/// WS-A4, WS-A5, 9.4, checklist 6: node and the browser do not wait; everything of three requests is on its way before a word
/// comes back
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_comes_early_is_lost() {
    let Some((server, file)) = with_speech("nothing_that_comes_early_is_lost").await else { return };
    let posted = server.recognize("", "", file.clone()).await.json();
    let mut socket = Socket::connect(&server, "").await;
    // Audio before any start is taken as a request without parameters.
    socket.audio(&file, 1_024).await;
    socket.stop().await;
    socket.start(json!({ "content_type": "audio/wav" })).await;
    socket.audio(&file, 16_384).await;
    socket.stop().await;
    socket.audio(&file, 2_048).await;
    socket.send(Message::binary(Vec::new())).await;
    let mut messages = Vec::new();
    for _ in 0..4 {
        messages.extend(socket.until_listening().await);
    }
    let results = || posted.clone();
    assert_eq!(messages, [results(), listening(), listening(), results(), listening(), results(), listening()]);
}

/// WS-R5 to WS-R10, WS-R14, 9.5: one result a message, numbered; finals are those of the synchronous interface
#[tokio::test(flavor = "multi_thread")]
async fn interim_results() {
    let Some((server, file)) = with_speech("interim_results").await else { return };
    let query = "timestamps=true&word_confidence=true&max_alternatives=3";
    let posted = server.recognize(query, "audio/wav", file.clone()).await.json();
    let members = json!({
        "content-type": "audio/wav", "interim_results": true, "timestamps": true, "word_confidence": true,
        "max_alternatives": 3
    });
    let mut socket = Socket::connect(&server, "model=en-US_BroadbandModel").await;
    let messages = socket.request(members, &file, 4_000).await;
    let mut finals = Vec::new();
    let mut announced = false;
    for message in &messages {
        let results = message["results"].as_array().unwrap();
        assert_eq!((results.len(), message["result_index"].as_u64()), (1, Some(finals.len() as u64)), "{message}");
        let best = &results[0]["alternatives"][0];
        assert!(best["transcript"].as_str().unwrap().ends_with(' ') && best["timestamps"].is_array(), "{message}");
        if results[0]["final"] == true {
            assert!(announced && best["confidence"].is_number() && best["word_confidence"].is_array(), "{message}");
            finals.push(results[0].clone());
        } else {
            // WS-R6, WS-R16
            assert_eq!(results[0]["final"], false);
            assert_eq!(results[0]["alternatives"].as_array().unwrap().len(), 1, "{message}");
            assert!(best.get("confidence").is_none() && best.get("word_confidence").is_none(), "{message}");
        }
        announced = results[0]["final"] == false;
    }
    assert_eq!(json!(finals), posted["results"]);
    assert_eq!(messages[0]["result_index"], 0);

    // WS-R13, WS-R18: without interim results there is one object, whatever else was asked for.
    for off in [json!({ "interim_results": true, "redaction": true }), json!({ "interim_results": false })] {
        let messages = socket.request(off.clone(), &file, 4_000).await;
        assert_eq!(messages.len(), 1, "{off}: {messages:?}");
        assert_eq!(messages[0]["results"].as_array().unwrap().len(), 2, "{off}");
    }
}

/// WS-R10: a final is not held back until the client stops
#[tokio::test(flavor = "multi_thread")]
async fn finals_come_while_the_client_still_sends() {
    let Some((server, file)) = with_speech("finals_come_while_the_client_still_sends").await else { return };
    let mut socket = Socket::connect(&server, "").await;
    socket.start(json!({ "interim_results": true })).await;
    socket.audio(&file, 8_000).await;
    assert_eq!(socket.next().await.unwrap(), listening());
    loop {
        let message = socket.next().await.expect("results without a stop");
        if message["results"][0]["final"] == true {
            break;
        }
    }
    socket.stop().await;
    let rest = socket.until_listening().await;
    assert_eq!(rest.last(), Some(&listening()));
    let end = &rest[rest.len() - 2];
    assert_eq!((end["result_index"].as_u64(), end["results"][0]["final"].as_bool()), (Some(1), Some(true)), "{end}");
}

/// However the bytes are cut, the result is the same; down to a byte a frame
#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_any_size() {
    let test = "chunks_of_any_size";
    let Some((rate, samples)) = audio::spoken_for(test).filter(|_| has_model(test)) else { return };
    let server = Server::with_model().await;
    // Telephone quality is enough, and a sixth of the bytes.
    let basic = audio::linear(&samples.iter().copied().step_by(2).collect::<Vec<_>>());
    let members = json!({ "content-type": format!("audio/l16;rate={};endianness=little-endian", rate / 2) });
    let mut socket = Socket::connect(&server, "model=en-US_NarrowbandModel").await;
    let whole = socket.request(members.clone(), &basic, basic.len()).await;
    assert!(!transcript(&whole).is_empty(), "{whole:?}");
    for size in [1, 333] {
        assert_eq!(socket.request(members.clone(), &basic, size).await, whole, "{size}");
    }
}

/// WS-2: parameters persist, and a new start replaces all of them
#[tokio::test(flavor = "multi_thread")]
async fn parameters_persist_until_the_next_start() {
    let Some((server, file)) = with_speech("parameters_persist_until_the_next_start").await else { return };
    let has_times = |messages: &[Value]| messages[0]["results"][0]["alternatives"][0].get("timestamps").is_some();
    let mut socket = Socket::connect(&server, "").await;
    // Two starts in a row: the second counts (checklist 8).
    socket.start(json!({ "content-type": "audio/flac" })).await;
    assert_eq!(socket.until_listening().await.len(), 1);
    // Numbers and switches as strings, nulls, and members of the Go SDK (section 2.1, SDK-11, checklist 5 and 10).
    let members = json!({
        "Content-Type": "audio/wav", "timestamps": "True", "max_alternatives": "2", "keywords_threshold": null,
        "audio": null, "Headers": null, "model": null
    });
    let first = socket.request(members, &file, 10_000).await;
    assert!(has_times(&first) && first[0].get("warnings").is_none(), "{first:?}");
    socket.audio(&file, 10_000).await;
    socket.stop().await;
    assert!(has_times(&socket.until_listening().await));
    assert!(!has_times(&socket.request(json!({}), &file, 10_000).await));
}

/// 9.12, websocket.md 2.1, results.md 9: told once, with the first results
#[tokio::test(flavor = "multi_thread")]
async fn warnings() {
    let Some((server, file)) = with_speech("warnings").await else { return };
    // access_token and its like are nobody's business here (9.11).
    let query =
        "foo=1&access_token=a&watson-token=b&x-watson-learning-opt-out=1&x-watson-metadata=c&interim_results=true";
    let mut socket = Socket::connect(&server, query).await;
    let members =
        json!({ "bar": 1, "model": "en-US_Telephony", "language_customization_id": "x", "low_latency": true });
    let messages = socket.request(members, &file, 10_000).await;
    assert_eq!(
        messages[0]["warnings"],
        json!([
            "Unknown url query arguments: foo, interim_results.",
            "Unknown arguments: bar, language_customization_id, model, low_latency."
        ])
    );
    socket.audio(&file, 10_000).await;
    socket.stop().await;
    assert!(socket.until_listening().await.iter().all(|message| message.get("warnings").is_none()));
    let messages = socket.request(json!({ "bar": 1, "interim_results": true }), &file, 10_000).await;
    let warned: Vec<bool> = messages.iter().map(|message| message.get("warnings").is_some()).collect();
    assert!(warned[0] && warned[1..].iter().all(|warned| !warned), "{messages:?}");
}

/// WS-4, 9.6, 9.8
#[tokio::test(flavor = "multi_thread")]
async fn silence() {
    if !has_model("silence") {
        return;
    }
    let server = Server::with_model().await;
    let empty = json!({ "results": [], "result_index": 0 });
    for interim_results in [false, true] {
        let mut socket = Socket::connect(&server, "").await;
        let members = json!({ "content-type": LINEAR, "interim_results": interim_results });
        assert_eq!(socket.request(members, &quiet_seconds(2), 4_000).await, std::slice::from_ref(&empty));
        // The connection is good for more.
        socket.audio(&quiet_seconds(1), 4_000).await;
        socket.stop().await;
        assert_eq!(socket.until_listening().await, [empty.clone(), listening()]);
    }
    for (timeout, seconds, error) in
        [(None, 32, "No speech detected for 30s."), (Some(5), 6, "No speech detected for 5s.")]
    {
        let mut socket = Socket::connect(&server, "").await;
        socket.start(json!({ "content-type": LINEAR, "inactivity_timeout": timeout })).await;
        socket.audio(&quiet_seconds(seconds), 4_000).await;
        let end = socket.end().await;
        assert_eq!((end.error(), end.code, end.messages.len()), (error, Some(1011), 2), "{end:?}");
    }
    for forever in [json!(-1), json!(90)] {
        let mut socket = Socket::connect(&server, "").await;
        let members = json!({ "content-type": LINEAR, "inactivity_timeout": forever });
        assert_eq!(socket.request(members, &quiet_seconds(61), 4_000).await, std::slice::from_ref(&empty), "{forever}");
    }
}

/// websocket.md section 7: once per utterance and before any result of it; 5.5: audio metrics once, with the last final
#[tokio::test(flavor = "multi_thread")]
async fn events_and_audio_metrics() {
    let Some((server, file)) = with_speech("events_and_audio_metrics").await else { return };
    for interim_results in [false, true] {
        let members = json!({ "interim_results": interim_results, "speech_begin_event": true, "audio_metrics": true });
        let mut socket = Socket::connect(&server, "").await;
        let messages = socket.request(members, &file, 8_000).await;
        let begins: Vec<f64> =
            messages.iter().filter_map(|message| message["speech_begin_event"]["begin"].as_f64()).collect();
        assert!(begins.len() == 2 && 0.0 < begins[0] && begins[0] + 1.0 < begins[1], "{messages:?}");
        assert!(messages[0].get("speech_begin_event").is_some(), "{messages:?}");
        let metrics: Vec<bool> = messages.iter().map(|message| message.get("audio_metrics").is_some()).collect();
        assert!(metrics.iter().rposition(|there| *there) == Some(metrics.len() - 1), "{messages:?}");
        assert_eq!(metrics.iter().filter(|there| **there).count(), 1, "{messages:?}");
        let last = messages.last().unwrap();
        assert_eq!(last["audio_metrics"]["accumulated"]["final"], true);
        assert_eq!(last["results"].as_array().unwrap().len(), if interim_results { 1 } else { 2 }, "{last}");
        if interim_results {
            let second = messages.iter().rposition(|message| message.get("speech_begin_event").is_some()).unwrap();
            assert!(messages[1..second].iter().all(|message| message["result_index"] == 0), "{messages:?}");
            assert!(messages[second + 1..].iter().all(|message| message["result_index"] == 1), "{messages:?}");
        }
    }
}

/// WS-R4, websocket.md 5.4, results.md 7.1
#[tokio::test(flavor = "multi_thread")]
async fn processing_metrics() {
    let Some((server, file)) = with_speech("processing_metrics").await else { return };
    let mut socket = Socket::connect(&server, "").await;
    let members = json!({ "processing_metrics": true, "processing_metrics_interval": 0.1 });
    socket.start(members).await;
    assert_eq!(socket.next().await.unwrap(), listening());
    for piece in file.chunks(file.len().div_ceil(8)) {
        socket.audio(piece, 8_192).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    socket.stop().await;
    let mut messages = socket.until_listening().await;
    messages.pop();
    let results = messages.pop().unwrap();
    assert_eq!(results["results"].as_array().unwrap().len(), 2, "{results}");
    assert_eq!(results["processing_metrics"]["periodic"], false);
    assert!(messages.len() >= 2, "{messages:?}");
    let mut last = 0.0;
    for message in messages.iter().chain([&results]) {
        let metrics = &message["processing_metrics"];
        let of = |name: &str| metrics["processed_audio"][name].as_f64().unwrap();
        assert!(of("received") >= of("seen_by_engine") && of("seen_by_engine") >= of("transcription"), "{metrics}");
        let wall = metrics["wall_clock_since_first_byte_received"].as_f64().unwrap();
        assert!(wall >= last, "{metrics}");
        last = wall;
    }
    for message in &messages {
        assert_eq!(message.as_object().unwrap().len(), 1, "nothing else in {message}");
        assert_eq!(message["processing_metrics"]["periodic"], true);
    }
    let all = &results["processing_metrics"]["processed_audio"];
    let seconds = (file.len() - 44) as f64 / 2.0 / 22_050.0;
    for name in ["received", "seen_by_engine", "transcription"] {
        assert!((all[name].as_f64().unwrap() - seconds).abs() < 0.05, "{all} of {seconds}");
    }
    // With interim results each of them has its own.
    let members = json!({ "processing_metrics": true, "processing_metrics_interval": 60, "interim_results": true });
    let messages = socket.request(members, &file, 8_000).await;
    assert!(messages.iter().all(|message| message["processing_metrics"]["periodic"] == false), "{messages:?}");
}
