//! Best CPU time of several for scoring an utterance, features included.
//!
//! ```sh
//! cargo run --release --package dictum-neural --features ort --example speed -- PACKAGE SECONDS REPEATS [onnxruntime]
//! ```
//!
//! `oracle/speed.py` calls it beside ONNX Runtime. With `onnxruntime` it times that runtime, from where `ORT_DYLIB_PATH` says.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dictum_neural::{CtcModel, Mode, Options, Provider, Runtime};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (package, seconds, repeats, runtime) = match arguments.as_slice() {
        [package, seconds, repeats] => (package, seconds, repeats, Runtime::Rten),
        [package, seconds, repeats, other] if other == "onnxruntime" => {
            (package, seconds, repeats, Runtime::OnnxRuntime(Provider::Cpu))
        }
        _ => return Err("usage: speed PACKAGE SECONDS REPEATS [onnxruntime]".into()),
    };
    let (seconds, repeats): (f64, usize) = (seconds.parse()?, repeats.parse()?);
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
    eprintln!("{}", memory()?);
    println!("{:.1} ms of CPU, {:.1} ms in all for {seconds} s, {frames} frames", 1000.0 * best, 1000.0 * fastest);
    Ok(())
}

/// Memory of this process: its own, and what it has mapped of files.
fn memory() -> Result<String, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let lines = status.lines().filter(|line| ["RssAnon", "RssFile", "VmHWM"].iter().any(|name| line.starts_with(name)));
    Ok(lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", "))
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
