//! The server, started as people start it and spoken to with curl.

mod common;

use std::time::{Duration, Instant};

use common::{Answer, SPEECH, Server, can_run, command, fraction_heard, speak, stderr};

const SENTENCE: &str = "we will go to the city on monday and come back on friday";

#[test]
fn speech_sent_with_curl_comes_back_as_text() {
    if !can_run("speech_sent_with_curl_comes_back_as_text", &["curl", SPEECH]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let speech = speak(work.path(), "speech.wav", SENTENCE);
    let server = Server::start();

    let heard = server.recognize(&speech, "audio/wav", "").transcript();
    assert!(fraction_heard(SENTENCE, &heard) >= 0.6, "{heard}");
    // The same without saying what it is, and as a stream of unknown length.
    let undeclared = server.recognize(&speech, "application/octet-stream", "").transcript();
    assert_eq!(undeclared, heard);
    let data = format!("@{}", speech.display());
    let chunked =
        ["-X", "POST", "-H", "Content-Type: audio/wav", "-H", "Transfer-Encoding: chunked", "--data-binary", &data];
    let streamed = server.curl(&[&chunked[..], &["/v1/recognize"]].concat());
    assert_eq!(streamed.transcript(), heard);
    // Telephone names hear it up to 4 kHz only, and still understand most of it.
    let telephone = server.recognize(&speech, "audio/wav", "?model=en-US_Telephony").transcript();
    assert!(fraction_heard(SENTENCE, &telephone) >= 0.4, "{telephone}");
}

#[test]
fn models_are_listed() {
    if !can_run("models_are_listed", &["curl"]) {
        return;
    }
    let server = Server::start();
    let models = server.curl(&["/v1/models"]).json();
    let mut names: Vec<&str> =
        models["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "en-US",
            "en-US_BroadbandModel",
            "en-US_Multimedia",
            "en-US_NarrowbandModel",
            "en-US_ShortForm_NarrowbandModel",
            "en-US_Telephony"
        ]
    );
    let model = server.curl(&["/v1/models/en-US_Telephony"]).json();
    assert_eq!((model["rate"].as_u64(), model["language"].as_str()), (Some(8000), Some("en-US")));
    assert_eq!(server.curl(&["/v1/models/xx-XX"]).status, 404);
}

/// Every one gets an answer in the four hundreds or an empty transcript, and the server goes on as if nothing had been.
#[test]
fn bad_input_harms_nobody() {
    if !can_run("bad_input_harms_nobody", &["curl", SPEECH]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let speech = speak(work.path(), "speech.wav", SENTENCE);
    let server = Server::start();
    let before = server.recognize(&speech, "audio/wav", "").transcript();
    let memory_before = server.memory();

    let wav = std::fs::read(&speech).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = wav.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    let noise = |seed: u32, length: usize| {
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(|_| next()).collect::<Vec<u8>>()
    };
    let mut not_a_number = wav[..44].to_vec();
    not_a_number[20..22].copy_from_slice(&3u16.to_le_bytes()); // IEEE float
    not_a_number[34..36].copy_from_slice(&32u16.to_le_bytes());
    not_a_number[32..34].copy_from_slice(&4u16.to_le_bytes());
    not_a_number.extend((0..20_000).flat_map(|at| if at % 2 == 0 { f32::NAN } else { f32::INFINITY }.to_le_bytes()));

    let cases: Vec<(&str, &str, Vec<u8>, &[u16])> = vec![
        ("empty", "audio/wav", Vec::new(), &[400]),
        ("99 bytes", "audio/wav", wav[..99].to_vec(), &[400]),
        ("header only", "audio/wav", [&wav[..44], &[0; 56]].concat(), &[200, 400]),
        ("silence", "audio/l16;rate=16000;endianness=little-endian", vec![0; 64_000], &[200]),
        ("truncated", "audio/wav", wav[..wav.len() / 3].to_vec(), &[200]),
        ("random", "audio/wav", noise(1, 50_000), &[400]),
        ("random, undeclared", "application/octet-stream", noise(2, 50_000), &[400, 415]),
        ("wav as flac", "audio/flac", wav.clone(), &[400]),
        ("no channels", "audio/wav", with(22, &0u16.to_le_bytes()), &[400]),
        ("nine hundred channels", "audio/wav", with(22, &900u16.to_le_bytes()), &[400]),
        ("rate 0", "audio/wav", with(24, &0u32.to_le_bytes()), &[400]),
        ("rate 4 billion", "audio/wav", with(24, &u32::MAX.to_le_bytes()), &[400]),
        ("33 bits a sample", "audio/wav", with(34, &33u16.to_le_bytes()), &[400]),
        ("not numbers", "audio/wav", not_a_number, &[200, 400]),
        ("not audio", "text/plain", wav.clone(), &[415]),
        ("no rate", "audio/l16", wav.clone(), &[400]),
    ];
    for (name, content_type, bytes, expected) in cases {
        let file = work.path().join("bad");
        std::fs::write(&file, bytes).unwrap();
        let answer = server.recognize(&file, content_type, "");
        assert!(expected.contains(&answer.status), "{name}: {} {}", answer.status, answer.body);
        if answer.status != 200 {
            assert_eq!(answer.json()["code"].as_u64(), Some(u64::from(answer.status)), "{name}: {}", answer.body);
        }
    }
    let huge = work.path().join("huge");
    std::fs::File::create(&huge).unwrap().set_len(100 * 1024 * 1024 + 1).unwrap();
    let answer = server.recognize(&huge, "audio/l16;rate=16000;endianness=little-endian", "?inactivity_timeout=-1");
    assert_eq!(answer.status, 413, "100 MB and a byte: {}", answer.body);
    assert_eq!(server.recognize(&speech, "audio/wav", "?model=no-SUCH_Model").status, 404);
    assert_eq!(server.recognize(&speech, "audio/wav", "?model=de-DE_BroadbandModel").status, 400);

    assert_eq!(server.recognize(&speech, "audio/wav", "").transcript(), before);
    let grown = server.memory().saturating_sub(memory_before);
    println!("memory grew by {:.1} MB over all bad input", grown as f64 / 1e6);
    assert!(grown < 150_000_000, "{grown}");
}

#[test]
fn sigterm_lets_requests_finish() {
    if !can_run("sigterm_lets_requests_finish", &["curl", SPEECH, "kill"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let speech = speak(work.path(), "speech.wav", SENTENCE);
    let mut server = Server::start();
    let data = format!("@{}", speech.display());
    // About 150 kB at 60 kB/s: still arriving when the signal does.
    let arguments =
        ["--limit-rate", "60k", "-X", "POST", "-H", "Content-Type: audio/wav", "--data-binary", &data, "/v1/recognize"];
    let request = server.curl_command(&arguments).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(800));
    server.signal("TERM");
    std::thread::sleep(Duration::from_millis(300));
    assert!(server.is_running(), "the server left a request behind");
    let refused = server.recognize(&speech, "audio/wav", "");
    assert_eq!((refused.status, refused.json()["code"].as_u64()), (503, Some(503)), "{}", refused.body);
    assert_eq!(server.curl(&["/health/live"]).status, 200);
    assert_eq!(server.curl(&["/health/ready"]).status, 503);
    let heard = Answer::from(common::drain(request)).transcript();
    assert!(fraction_heard(SENTENCE, &heard) >= 0.6, "{heard}");
    assert_eq!(server.wait(), Some(0), "{}", server.log());
}

#[test]
fn a_second_signal_and_the_time_set_end_it_at_once() {
    if !can_run("a_second_signal_and_the_time_set_end_it_at_once", &["curl", "kill"]) {
        return;
    }
    // Nothing but silence, for minutes: under way whatever happens.
    let work = tempfile::tempdir().unwrap();
    let silence = work.path().join("silence");
    std::fs::write(&silence, vec![0; 10_000_000]).unwrap();
    let data = format!("@{}", silence.display());
    let arguments = [
        "--limit-rate",
        "32k",
        "-X",
        "POST",
        "-H",
        "Content-Type: audio/l16;rate=16000;endianness=little-endian",
        "--data-binary",
        &data,
        "/v1/recognize",
    ];
    for (drain, second_signal) in [("2", false), ("600", true)] {
        let mut server = Server::start_with(&["--no-auth", "--set", &format!("server.drain_seconds={drain}")]);
        let mut request = server.curl_command(&arguments).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(700));
        server.signal("INT");
        let began = Instant::now();
        std::thread::sleep(Duration::from_millis(700));
        assert!(server.is_running(), "a request is under way");
        if second_signal {
            server.signal("TERM");
        }
        assert_eq!(server.wait(), Some(0), "{}", server.log());
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        let _ = request.kill();
        let _ = request.wait();
    }
}

#[test]
fn starts_quickly_and_stays_small() {
    if !can_run("starts_quickly_and_stays_small", &["curl", SPEECH]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let text = [SENTENCE; 6].join(", ");
    let speech = speak(work.path(), "speech.wav", &text);
    let server = Server::start();
    let loaded = server.memory();
    println!(
        "listening after {:.2} s, ready after {:.2} s, {:.0} MB with the model loaded",
        server.listening_after.as_secs_f64(),
        server.ready_after.as_secs_f64(),
        loaded as f64 / 1e6
    );
    assert!(server.listening_after < Duration::from_secs(10) && server.ready_after < Duration::from_secs(20));
    assert!(loaded < 300_000_000, "{loaded}");

    // Sessions that are in the middle of their speech.
    const SESSIONS: u64 = 10;
    let data = format!("@{}", speech.display());
    let slow =
        ["--limit-rate", "44k", "-X", "POST", "-H", "Content-Type: audio/wav", "--data-binary", &data, "/v1/recognize"];
    server.recognize(&speech, "audio/wav", "").transcript(); // what the first session leaves warm is not the others' doing
    let warm = server.memory();
    let requests: Vec<_> = (0..SESSIONS).map(|_| server.curl_command(&slow).spawn().unwrap()).collect();
    let began = Instant::now();
    let mut most = 0;
    while began.elapsed() < Duration::from_secs(8) {
        most = most.max(server.memory());
        std::thread::sleep(Duration::from_millis(100));
    }
    for request in requests {
        let heard = Answer::from(common::drain(request)).transcript();
        assert!(fraction_heard(&text.replace(',', ""), &heard) >= 0.5, "{heard}");
    }
    let each = most.saturating_sub(warm) / SESSIONS;
    println!("{:.1} MB for each live session", each as f64 / 1e6);
    assert!(each < 15_000_000, "{each}");
}

#[test]
fn what_is_wrong_is_said_in_a_sentence() {
    if !can_run("what_is_wrong_is_said_in_a_sentence", &["curl"]) {
        return;
    }
    let server = Server::start();
    let taken = server.url.trim_start_matches("http://");
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().display().to_string();
    let output = command().args(["serve", "--listen", taken, "--data", &directory]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&format!("cannot listen on {taken}")), "{}", stderr(&output));

    let missing = ["serve", "--listen", "127.0.0.1:0", "--data", &directory, "--model-dir", "/nowhere"];
    let output = command().args(missing).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("apt-get install pocketsphinx-en-us"), "{}", stderr(&output));

    let file = data.path().join("file");
    std::fs::write(&file, "").unwrap();
    let file = file.display().to_string();
    let output = command().args(["serve", "--listen", "127.0.0.1:0", "--data", &file]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot create the data directory"), "{}", stderr(&output));
}
