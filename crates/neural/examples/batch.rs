//! Best CPU time of several for one run of a network on several sessions' audio at once, by `rten`.
//!
//! ```sh
//! cargo run --release --package dictum-neural --example batch -- MODEL.onnx INPUT=2x80x100 ...
//! ```
//!
//! `oracle/batch.py` calls it beside ONNX Runtime. Inputs are zeros; of whole numbers where they have a single dimension.

use std::sync::Arc;
use std::time::Instant;

use rten::{ModelOptions, RunOptions, ThreadPool, Value};

/// Runs of which the quickest counts.
const REPEATS: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, inputs @ ..] = arguments.as_slice() else {
        return Err("usage: batch MODEL.onnx NAME=AxBxC ...".into());
    };
    let model = ModelOptions::with_all_ops().prepack_weights(true).load_file(model)?;
    let pool = Arc::new(ThreadPool::with_num_threads(1));
    let mut best = f64::INFINITY;
    for _ in 0..REPEATS {
        let mut given = Vec::new();
        for input in inputs {
            let (name, shape) = input.split_once('=').ok_or("an input without a shape")?;
            let shape = shape.split('x').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
            let count = shape.iter().product();
            let value = match shape.as_slice() {
                // Lengths: as long as there is audio.
                [_] => Value::from_shape(&shape, vec![1000; count])?,
                _ => Value::from_shape(&shape, vec![0.0_f32; count])?,
            };
            given.push((model.node_id(name)?, value.into()));
        }
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&pool)));
        let began = Instant::now();
        model.run(given, model.output_ids(), Some(options))?;
        best = best.min(began.elapsed().as_secs_f64());
    }
    println!("{:.2} ms", 1000.0 * best);
    Ok(())
}
