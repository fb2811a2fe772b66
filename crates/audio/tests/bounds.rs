//! Memory and threads stay bounded whatever the stream claims. One test alone in its process, so
//! that what it measures is its own.

mod common;

use std::ops::ControlFlow;

use common::data;
use dictum_audio::{AudioError, ContentType, Decoder, MAX_PIECE};

/// A value in KiB from the status of this process (Linux).
fn status(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn decoder_threads() -> Option<usize> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
    Some(tasks.flatten().filter_map(name).filter(|n| n.starts_with("audio-decode")).count())
}

fn crc(bytes: &[u8], polynomial: u32, width: u32) -> u32 {
    let mut crc = 0;
    for &byte in bytes {
        crc ^= u32::from(byte) << (width - 8);
        for _ in 0..8 {
            let carry = crc >> (width - 1) & 1;
            crc = crc << 1 & ((1u64 << width) - 1) as u32 ^ if carry == 1 { polynomial } else { 0 };
        }
    }
    crc
}

/// A number as FLAC codes frame numbers (as in UTF-8).
fn coded_number(n: u32) -> Vec<u8> {
    match n {
        0..0x80 => vec![n as u8],
        0x80..0x800 => vec![0xc0 | (n >> 6) as u8, 0x80 | (n & 63) as u8],
        _ => vec![0xe0 | (n >> 12) as u8, 0x80 | (n >> 6 & 63) as u8, 0x80 | (n & 63) as u8],
    }
}

/// FLAC of nothing: `frames` frames of 65 535 samples of silence at 16 kHz, 13 to 15 bytes each.
fn silent_flac(frames: u32) -> Vec<u8> {
    let mut file = b"fLaC\x80\0\0\x22\xff\xff\xff\xff\0\0\0\0\0\0".to_vec();
    let rate_channels_bits: u64 = 16_000 << 44 | 15 << 36; // mono, 16 bits, length unknown
    file.extend(rate_channels_bits.to_be_bytes());
    file.extend([0; 16]);
    for n in 0..frames {
        let mut frame = vec![0xff, 0xf8, 0x70, 0x08];
        frame.extend(coded_number(n));
        frame.extend([0xff, 0xfe]);
        frame.push(crc(&frame, 0x07, 8) as u8);
        frame.extend([0x00, 0x00, 0x00]); // constant subframe of value 0
        frame.extend((crc(&frame, 0x8005, 16) as u16).to_be_bytes());
        file.extend(frame);
    }
    file
}

#[test]
fn bombs_and_abandoned_streams_leave_nothing_behind() {
    let before = status("VmHWM");
    let frames = 4000;
    let bomb = silent_flac(frames);
    assert!(bomb.len() < 64 * 1024);

    // 4.5 hours of silence in one push, handed on in small pieces.
    let mut decoder = Decoder::new(&ContentType::Flac, 16_000);
    let (mut total, mut largest) = (0u64, 0);
    let mut count = |samples: &[f32]| {
        total += samples.len() as u64;
        largest = largest.max(samples.len());
        ControlFlow::Continue(())
    };
    decoder.push_to(&bomb, &mut count).unwrap();
    decoder.finish_to(&mut count).unwrap();
    assert_eq!(total, u64::from(frames) * 65_535);
    assert!(largest <= MAX_PIECE);

    // The limit on the length, and a receiver that stops, end it at once.
    let mut limited = Decoder::new(&ContentType::Flac, 16_000).limit_seconds(60);
    assert_eq!(limited.push(&bomb), Err(AudioError::TooLong { seconds: 60 }));
    let mut stopped = Decoder::new(&ContentType::Flac, 16_000);
    assert_eq!(stopped.push_to(&bomb, &mut |_| ControlFlow::Break(())), Err(AudioError::Stopped));
    assert_eq!(decoder_threads().unwrap_or(0), 0, "an error ends the thread");

    // Headers that promise gigabytes: an EBML string, an Ogg stream of nothing but headers.
    let mut webm = vec![0x1a, 0x45, 0xdf, 0xa3, 0x01, 0, 0, 0, 0xff, 0, 0, 0, 0x42, 0x82, 0x01, 0, 0, 0, 0xf0, 0, 0, 0];
    webm.resize(1 << 20, b'x');
    assert!(Decoder::new(&ContentType::Auto, 16_000).push(&webm).is_ok_and(|s| s.is_empty()));
    if let (Some(before), Some(after)) = (before, status("VmHWM")) {
        assert!(after - before < 24 * 1024, "{before} KiB before, {after} KiB after");
    } else {
        println!("skipped: memory measurement: no /proc/self/status");
    }

    // Streams dropped at every stage.
    let streams: Vec<Decoder> = ["chirp.flac", "chirp-opus.ogg", "chirp-vorbis.webm", "chirp.mp3", "chirp-mp3.wav"]
        .into_iter()
        .cycle()
        .take(50)
        .enumerate()
        .map(|(n, file)| {
            let bytes = data(file);
            let mut decoder = Decoder::new(&ContentType::Auto, 16_000);
            decoder.push(&bytes[..bytes.len() * n / 50]).unwrap();
            decoder
        })
        .collect();
    if let Some(threads) = decoder_threads() {
        assert!(threads > 30, "{threads} threads for 50 streams");
        drop(streams);
        assert_eq!(decoder_threads(), Some(0));
    } else {
        println!("skipped: thread count: no /proc/self/task");
    }
}
