//! Best CPU time of several for scoring an utterance, features included.
//!
//! ```sh
//! cargo run --release --package dictum-neural --example speed -- PACKAGE SECONDS REPEATS
//! ```
//!
//! `oracle/speed.py` calls it beside ONNX Runtime. With the feature `ort` and `ORT_DYLIB_PATH` it times that runtime instead.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dictum_neural::{CtcModel, Mode, Options, Runtime};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [package, seconds, repeats] = arguments.as_slice() else {
        return Err("usage: speed PACKAGE SECONDS REPEATS".into());
    };
    let (seconds, repeats): (f64, usize) = (seconds.parse()?, repeats.parse()?);
    let runtime = if cfg!(feature = "ort") { Runtime::Ort } else { Runtime::Rten };
    let options = Options { runtime, ..Options::default() };
    let began = Instant::now();
    let model = Arc::new(CtcModel::open_with(Path::new(package), options)?);
    eprintln!("{} opened in {:.2} s", model.kind(), began.elapsed().as_secs_f64());
    let samples: Vec<f32> = (0..(seconds * f64::from(model.sample_rate())) as usize)
        .map(|at| 0.1 * (at as f32 * 0.05 * (1.0 + (at as f32 * 1e-4).sin())).sin())
        .collect();
    let (mut best, mut fastest) = (f64::INFINITY, f64::INFINITY);
    let mut frames = 0;
    for _ in 0..repeats {
        let (began, cpu) = (Instant::now(), cpu_seconds()?);
        let mut scores = Vec::new();
        let mut stream = model.stream(Mode::Final);
        stream.push(&samples, &mut scores)?;
        stream.finish(&mut scores)?;
        fastest = fastest.min(began.elapsed().as_secs_f64());
        best = best.min(cpu_seconds()? - cpu);
        frames = scores.len() / model.tokens().len();
    }
    println!("{:.1} ms of CPU, {:.1} ms in all for {seconds} s, {frames} frames", 1000.0 * best, 1000.0 * fastest);
    Ok(())
}

/// CPU time of all threads of this process: the network may run on another than this.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let figures = std::fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += figures.split_whitespace().next().ok_or("no figures")?.parse::<u64>()?;
    }
    Ok(nanoseconds as f64 * 1e-9)
}
