//! Best time of several for scoring an utterance, features included.
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
    let mut best = f64::INFINITY;
    let mut frames = 0;
    for _ in 0..repeats {
        let began = Instant::now();
        let mut scores = Vec::new();
        let mut stream = model.stream(Mode::Final);
        stream.push(&samples, &mut scores)?;
        stream.finish(&mut scores)?;
        best = best.min(began.elapsed().as_secs_f64());
        frames = scores.len() / model.tokens().len();
    }
    println!("{:.1} ms for {seconds} s, {frames} frames", 1000.0 * best);
    Ok(())
}
