//! What recognition costs with a package, and how soon the end of a piece of live audio is worked on.
//!
//! ```sh
//! cargo run --release --package dictum-models --features ort --example pace -- PACKAGE FILE.wav [KEY=VALUE ...]
//! ```
//!
//! Whole: best CPU time of several for a recording, lattice and all. With `chunk=SECONDS`, live: the recording comes in such pieces, each
//! when the one before has been worked on, with interim results; the time from the end of a piece until nothing is left to do with it is
//! how long a client waits for what it changes. Further keys: `runtime=onnxruntime` (from where `ORT_DYLIB_PATH` says), `repeats=N`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use dictum_models::package::{MANIFEST, Package};
use dictum_models::recogniser::{Band, Event, Options, Recogniser};
use dictum_models::tuning::Tuning;
use dictum_models::{Provider, Runtime};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut path = || PathBuf::from(arguments.next().expect("usage: pace PACKAGE FILE.wav [KEY=VALUE ...]"));
    let (package, file) = (path(), path());
    let (mut runtime, mut chunk, mut repeats) = (Runtime::Rten, None, 5);
    for argument in arguments {
        match argument.split_once('=').expect("KEY=VALUE") {
            ("runtime", "onnxruntime") => runtime = Runtime::OnnxRuntime(Provider::Cpu),
            ("runtime", "rten") => {}
            ("chunk", seconds) => chunk = Some(seconds.parse().expect("seconds")),
            ("repeats", number) => repeats = number.parse().expect("a number"),
            (key, _) => panic!("unknown key {key}"),
        }
    }
    let package = match package.join(MANIFEST).exists() {
        true => Package::open(&package).expect("a package"),
        false => Package::bare(&package).expect("a package"),
    };
    let recogniser = Arc::new(Recogniser::load_with(&package, Tuning::of(&package), runtime).expect("it loads"));
    let samples = samples(&file);
    match chunk {
        None => whole(&recogniser, &samples, repeats),
        Some(seconds) => live(&recogniser, &samples, seconds, repeats),
    }
}

fn seconds(samples: &[f32]) -> f64 {
    samples.len() as f64 / f64::from(Band::Broadband.sample_rate())
}

fn words(events: &[Event]) -> usize {
    let words = events.iter().map(|event| match event {
        Event::Utterance(utterance) => utterance.alternatives[0].words.len(),
        _ => 0,
    });
    words.sum()
}

fn whole(recogniser: &Arc<Recogniser>, samples: &[f32], repeats: usize) {
    let (mut best, mut found) = (f64::INFINITY, 0);
    for _ in 0..repeats {
        let before = cpu_seconds();
        let mut session = recogniser.session(Band::Broadband, Options::default());
        let mut events = session.push(samples);
        events.extend(session.finish());
        best = best.min(cpu_seconds() - before);
        found = words(&events);
    }
    println!("{:.1} ms of CPU for {:.2} s of audio, {found} words", 1000.0 * best, seconds(samples));
}

fn live(recogniser: &Arc<Recogniser>, samples: &[f32], chunk: f64, repeats: usize) {
    let size = (chunk * f64::from(Band::Broadband.sample_rate())) as usize;
    let (mut delays, mut interims, mut found) = (Vec::new(), 0, 0);
    for _ in 0..repeats {
        let mut session = recogniser.session(Band::Broadband, Options { interim_results: true, ..Options::default() });
        let mut events = Vec::new();
        for piece in samples.chunks(size) {
            let began = Instant::now();
            events.extend(session.push(piece));
            delays.push(1000.0 * began.elapsed().as_secs_f64());
        }
        events.extend(session.finish());
        interims = events.iter().filter(|event| matches!(event, Event::Interim(_))).count();
        found = words(&events);
    }
    delays.sort_by(f64::total_cmp);
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    let busy = delays.iter().sum::<f64>() / 1000.0 / (seconds(samples) * repeats as f64);
    println!(
        "pieces of {:.0} ms: {:.1} ms in the middle, {:.1} ms for 99 of 100, {:.1} ms at most; busy {:.0} % of the time; \
         {interims} interim results, {found} words",
        1000.0 * chunk,
        at(0.5),
        at(0.99),
        at(1.0),
        100.0 * busy
    );
}

/// CPU time of all threads of this process: networks may run on others than this.
fn cpu_seconds() -> f64 {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir("/proc/self/task").expect("procfs") {
        let figures = std::fs::read_to_string(task.expect("a thread").path().join("schedstat")).unwrap_or_default();
        nanoseconds += figures.split_whitespace().next().map_or(0, |first| first.parse::<u64>().expect("a number"));
    }
    nanoseconds as f64 * 1e-9
}

/// Samples of a WAV file of 16 kHz, 16 bits, one channel.
fn samples(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).expect("a file");
    assert_eq!(bytes[22..28], [1, 0, 0x80, 0x3e, 0, 0], "one channel at 16 kHz");
    bytes[44..].as_chunks().0.iter().map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0).collect()
}
