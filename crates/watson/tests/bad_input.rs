//! Whatever is sent, the server answers, lives on, and stays small; others do not notice.

mod common;

use std::io::Write;
use std::time::Duration;

use common::{Payload, Reply, Request, Server, audio, has_model};
use dictum_service::ServiceConfig;
use dictum_watson::WatsonConfig;

/// Memory of this process, which the server is part of, in bytes: what it holds itself, without the model files it has mapped.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap_or("RssAnon: 0 kB");
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Tests of this file run one at a time: they measure the memory of the process they share.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const MEGABYTE: u64 = 1024 * 1024;

/// A WAV header whose fields are these, then the data.
fn odd_wav(format: u16, channels: u16, rate: u32, bits: u16, data_size: u32, data: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF".to_vec();
    file.extend(data_size.wrapping_add(36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0");
    file.extend(format.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    let frame = channels.wrapping_mul(bits / 8);
    file.extend(rate.wrapping_mul(u32::from(frame)).to_le_bytes());
    file.extend(frame.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(data_size.to_le_bytes());
    file.extend(data);
    file
}

/// A recording that is fine, as the others keep sending it.
fn fine() -> Vec<u8> {
    audio::wav(16_000, 1, &audio::quiet(16_000))
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_audio_is_answered_and_survived() {
    let _alone = ALONE.lock().await;
    if !has_model("odd_audio_is_answered_and_survived") {
        return;
    }
    let server = Server::with_settings(Some(ServiceConfig::default()), WatsonConfig::default()).await;
    let quiet = audio::linear(&audio::quiet(8_000));
    let floats = |value: f32| (0..16_000).flat_map(|_| value.to_le_bytes()).collect::<Vec<u8>>();
    let whole = fine();
    // Name, type, body, statuses that will do.
    let cases: Vec<(&str, &str, Vec<u8>, &[u16])> = vec![
        ("empty", "audio/wav", vec![], &[400]),
        ("one byte", "audio/flac", vec![0], &[400]),
        ("99 bytes", "", vec![1; 99], &[400]),
        ("silence", "audio/l16;rate=16000;endianness=little-endian", vec![0; 32_000], &[200]),
        ("silence of unknown byte order", "audio/l16;rate=16000", vec![0; 32_000], &[200, 400]),
        ("a WAV header and nothing else", "audio/wav", odd_wav(1, 1, 16_000, 16, 0, &[0; 60]), &[200]),
        ("cut within the header", "audio/wav", whole[..110].to_vec(), &[200, 400]),
        ("cut within a sample", "audio/wav", whole[..20_001].to_vec(), &[200]),
        ("a header that claims 4 GB", "audio/wav", odd_wav(1, 1, 16_000, 16, u32::MAX, &quiet), &[200]),
        ("no channels", "audio/wav", odd_wav(1, 0, 16_000, 16, 16_000, &quiet), &[400]),
        ("nine channels", "audio/wav", odd_wav(1, 9, 16_000, 16, 15_984, &quiet[..15_984]), &[200]),
        ("65535 channels", "audio/wav", odd_wav(1, u16::MAX, 16_000, 16, 16_000, &quiet), &[400]),
        ("rate of zero", "audio/wav", odd_wav(1, 1, 0, 16, 16_000, &quiet), &[400]),
        ("rate of 4 GHz", "audio/wav", odd_wav(1, 1, u32::MAX, 16, 16_000, &quiet), &[400]),
        ("no bits", "audio/wav", odd_wav(1, 1, 16_000, 0, 16_000, &quiet), &[400]),
        ("unknown encoding", "audio/wav", odd_wav(0x1234, 1, 16_000, 16, 16_000, &quiet), &[400]),
        ("not a number", "audio/wav", odd_wav(3, 1, 16_000, 32, 64_000, &floats(f32::NAN)), &[200]),
        ("infinite", "audio/wav", odd_wav(3, 1, 16_000, 32, 64_000, &floats(f32::INFINITY)), &[200]),
        ("beyond full scale", "audio/wav", odd_wav(3, 1, 16_000, 32, 64_000, &floats(1e30)), &[200]),
        ("random bytes, no type", "", audio::noise(50_000), &[400]),
        ("random bytes as flac", "audio/flac", audio::noise(50_000), &[400]),
        ("random bytes as ogg", "audio/ogg;codecs=opus", audio::noise(50_000), &[400]),
        ("random bytes as webm", "audio/webm", audio::noise(50_000), &[400]),
        ("random bytes as mp3", "audio/mp3", audio::noise(50_000), &[200, 400]),
        ("random bytes as samples", "audio/l16;rate=16000;endianness=big-endian", audio::noise(50_000), &[200]),
        ("random bytes as mu-law", "audio/mulaw;rate=44100;channels=1", audio::noise(50_000), &[200]),
        ("a WAV file as flac", "audio/flac", whole.clone(), &[400]),
        ("a WAV file as mp3", "audio/mpeg", whole.clone(), &[200, 400]),
        (
            "flac's first bytes, then noise",
            "audio/flac",
            [b"fLaC\0\0\0\x22".to_vec(), audio::noise(5_000)].concat(),
            &[200, 400],
        ),
        ("ogg's first bytes, then noise", "", [b"OggS\0\x02".to_vec(), audio::noise(5_000)].concat(), &[400]),
        ("webm's first bytes, then noise", "", [b"\x1a\x45\xdf\xa3".to_vec(), audio::noise(5_000)].concat(), &[400]),
        ("a rate that is no number", "audio/l16;rate=fast", quiet.clone(), &[400]),
        ("a rate of zero, declared", "audio/l16;rate=0", quiet.clone(), &[400]),
        ("a rate of 4 GHz, declared", "audio/l16;rate=4294967295", quiet.clone(), &[400]),
        ("a video", "", [b"\0\0\0\x20ftypisom".to_vec(), audio::noise(5_000)].concat(), &[400, 415]),
    ];
    // REC-L11 and the rest of section 4; and in between, somebody else who notices nothing.
    // Twice, and what the first time leaves behind for good (the threads' own memory, tables shared by all) does not count.
    let mut before = 0;
    for (round, (name, content_type, body, statuses)) in
        (0..2).flat_map(|round| cases.iter().map(move |case| (round, case)))
    {
        if round == 1 && before == 0 {
            before = resident();
        }
        let (odd, other) =
            tokio::join!(server.recognize("", content_type, body.clone()), server.recognize("", "audio/wav", fine()));
        assert!(statuses.contains(&odd.status), "{name}: {} {}", odd.status, odd.text());
        assert!(odd.json().is_object());
        assert_eq!(other.status, 200, "beside {name}: {}", other.text());
    }
    let grown = resident().saturating_sub(before) / MEGABYTE;
    println!("odd audio: memory grew by {grown} MB");
    assert!(grown < 20, "memory grew by {grown} MB");
    assert_eq!(server.service.sessions(), 0);
}

/// Every prefix of real files, and files with a few bytes wrong: an answer each, none of them 500
#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_answered() {
    let _alone = ALONE.lock().await;
    let test = "damaged_files_are_answered";
    if !has_model(test) {
        return;
    }
    let server = Server::with_model().await;
    let Some(mp3) = audio::shared(test, "en/common_voice_en_delta13/common_voice_en_37238108.mp3") else { return };
    let damages = audio::noise(64);
    for (index, pair) in damages.chunks_exact(2).enumerate() {
        let mut file = mp3.clone();
        match index % 2 {
            0 => file.truncate(100 + file.len() * usize::from(pair[0]) / 256),
            _ => {
                let at = file.len() * usize::from(pair[0]) / 256;
                let end = (at + 64).min(file.len());
                file[at..end].copy_from_slice(&audio::noise(end - at));
            }
        }
        // Keep it short: the decoding is what is tested.
        file.truncate(12_000);
        let reply = server.recognize("", if index % 3 == 0 { "audio/mp3" } else { "" }, file).await;
        assert!(matches!(reply.status, 200 | 400), "{index}: {} {}", reply.status, reply.text());
    }
}

/// REC-L2, recognize.md 9.2
#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_refused() {
    let _alone = ALONE.lock().await;
    if !has_model("too_much_is_refused") {
        return;
    }
    let server = Server::with_model().await;
    let limit = 104_857_600_usize;
    let check = |reply: Reply| {
        assert_eq!(reply.status, 413, "{}", reply.text());
        assert_eq!(reply.json()["error"], "Payload exceeds the 104857600 bytes limit.");
        assert_eq!(
            (reply.json()["code_description"].as_str(), reply.header("connection")),
            (Some("Payload Too Large"), Some("close"))
        );
    };
    let before = resident();
    // By its length, before a byte of it is read.
    let announced = Request::new("POST", "/v1/recognize").header("Content-Type", "audio/wav");
    check(server.send(announced.payload(Payload::Stalled(limit + 1, vec![]))).await);
    // By counting, in a server whose limit is small enough for that to be quick. The rest is sent all the same.
    let small = WatsonConfig { max_audio_bytes: 1_000_000, ..WatsonConfig::default() };
    let small = Server::with_settings(None, small).await;
    let chunked =
        Request::new("POST", "/v1/recognize").header("Content-Type", "audio/l16;rate=48000;endianness=little-endian");
    let reply = small.send(chunked.chunked(&vec![0; 1_500_000], 10_000)).await;
    assert_eq!((reply.status, reply.json()["error"].as_str()), (413, Some("Payload exceeds the 1000000 bytes limit.")));
    // REC-M2: together.
    let part = audio::wav(48_000, 1, &vec![0; 200_000]);
    let body = common::multipart(Some("{}"), &[part.clone(), part.clone(), part]);
    let reply =
        small.send(Request::new("POST", "/v1/recognize").header("Content-Type", common::MULTIPART).body(body)).await;
    assert_eq!(reply.status, 413, "{}", reply.text());
    let grown = resident().saturating_sub(before) / MEGABYTE;
    assert!(grown < 50, "memory grew by {grown} MB");
    assert_eq!(server.recognize("", "audio/wav", fine()).await.status, 200);
}

/// auth.md 4: `Content-Encoding: gzip`, which may also be a bomb
#[tokio::test(flavor = "multi_thread")]
async fn compressed_requests_are_unpacked_within_bounds() {
    let _alone = ALONE.lock().await;
    if !has_model("compressed_requests_are_unpacked_within_bounds") {
        return;
    }
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let limited = WatsonConfig { max_audio_bytes: 8_000_000, ..WatsonConfig::default() };
    let server = Server::with_settings(None, limited).await;
    let send = |encoding: &str, body: Vec<u8>| {
        let request = Request::new("POST", "/v1/recognize").header("Content-Type", "audio/wav");
        server.send(request.header("Content-Encoding", encoding).body(body))
    };
    let reply = send("gzip", gzip(&fine())).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(send("gzip", fine()).await.status, 400);
    let reply = send("br", fine()).await;
    assert_eq!((reply.status, reply.json()["code"].as_u64()), (415, Some(415)));
    let before = resident();
    let bomb = gzip(&odd_wav(1, 1, 48_000, 16, u32::MAX, &vec![0; 64_000_000]));
    assert!(bomb.len() < 1_000_000);
    let reply = send("gzip", bomb).await;
    assert_eq!(reply.status, 413, "{}", reply.text());
    let grown = resident().saturating_sub(before) / MEGABYTE;
    assert!(grown < 150, "memory grew by {grown} MB, 64 of them the test's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_heads_are_survived() {
    let _alone = ALONE.lock().await;
    let server = Server::without_model().await;
    let long = "x".repeat(60_000);
    let get = |target: String| Request::new("GET", &target);
    for request in [
        get(format!("/v1/models/{}", &long[..5_000])),
        get(format!("/v1/models?{long}")),
        get("/v1/models/%ff%00%2e%2e%2f".to_owned()),
        get("/%2e%2e/%2e%2e/etc/passwd".to_owned()),
        get("/v1/models".to_owned()).header("Accept", &long[..5_000]),
        get("/v1/models".to_owned()).header("X-Global-Transaction-Id", &long[..5_000]),
        Request::new("POST", &format!("/v1/recognize?keywords={long}&keywords_threshold=0.5")),
        Request::new("POST", &format!("/v1/recognize?{}", "a=&".repeat(10_000))),
        Request::new("POST", "/v1/recognize").header("Content-Type", &long[..5_000]).body(fine()),
        Request::new("POST", "/v1/recognize")
            .header("Content-Type", "audio/l16;rate=16000;rate=8000;=;;;\"")
            .body(fine()),
        Request::new("POST", "/v1/recognize?%=%zz&&&=&model=%00").body(fine()),
    ] {
        let reply = tokio::time::timeout(Duration::from_secs(10), server.send(request)).await.expect("an answer");
        assert!((200..=599).contains(&reply.status));
        assert!(reply.body.len() < 10_000, "an answer of {} bytes", reply.body.len());
    }
    assert_eq!(server.get("/v1/models").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_multipart_bodies_are_survived() {
    let _alone = ALONE.lock().await;
    if !has_model("absurd_multipart_bodies_are_survived") {
        return;
    }
    let server = Server::with_model().await;
    let send = |body: Vec<u8>| {
        let request = Request::new("POST", "/v1/recognize").header("Content-Type", common::MULTIPART);
        server.send(request.body(body))
    };
    let part = |name: &str, content: &[u8]| {
        let mut part =
            format!("--part-of-a-test\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").into_bytes();
        part.extend_from_slice(content);
        part.extend(b"\r\n");
        part
    };
    let end = b"--part-of-a-test--\r\n".to_vec();
    let deep = "[".repeat(100_000);
    for (name, body, status) in [
        ("no end", [part("metadata", b"{}"), part("upload", &fine())].concat(), 400),
        ("no upload", [part("metadata", b"{}"), end.clone()].concat(), 400),
        ("another name", [part("metadata", b"{}"), part("picture", &fine()), end.clone()].concat(), 400),
        ("metadata twice", [part("metadata", b"{}"), part("metadata", b"{}"), end.clone()].concat(), 400),
        ("deep metadata", [part("metadata", deep.as_bytes()), part("upload", &fine()), end.clone()].concat(), 400),
        (
            "large metadata",
            [part("metadata", &vec![b' '; 5_000_000]), part("upload", &fine()), end.clone()].concat(),
            413,
        ),
        (
            "count of zero",
            [part("metadata", br#"{"data_parts_count":0}"#), part("upload", &fine()), end.clone()].concat(),
            400,
        ),
        (
            "type that is no text",
            [part("metadata", br#"{"part_content_type":1}"#), part("upload", &fine()), end.clone()].concat(),
            400,
        ),
        ("fine", [part("metadata", b"{}"), part("upload", &fine()), end.clone()].concat(), 200),
    ] {
        let reply = send(body).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        assert!(reply.body.len() < 2_000, "{name}");
    }
}
