//! The same networks, audio and features through this crate and through the reference implementations: features as
//! kaldi-native-fbank computes them, scores as ONNX Runtime gives them, readings as sherpa-onnx has them.
//!
//! Without Python or its package registry these tests are skipped, by name; `DICTUM_ORACLE=required` makes that an error.

mod hostile;
mod material;
mod windows;

use std::sync::Arc;

use dictum_neural::frontend::{Filterbank, FilterbankConfig};
use dictum_neural::{CtcModel, Mode, Options, Precision, Provider, Runtime, greedy, load_onnx_runtime};
use material::{Case, Oracle};

/// The largest difference of two rows of numbers.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn features_are_those_of_kaldi_native_fbank() {
    let Some(oracle) = Oracle::new("features_are_those_of_kaldi_native_fbank") else { return };
    for case in oracle.cases("features") {
        let config = match case.text("kind") {
            "kaldi" => FilterbankConfig::kaldi(16_000, 80),
            "kaldi-16-bit" => FilterbankConfig { gain: 32_768.0, ..FilterbankConfig::kaldi(16_000, 80) },
            "nemo" => FilterbankConfig::nemo(16_000, 80),
            "nemo-normalised" => FilterbankConfig::nemo_normalised(16_000, 80),
            "giga" => FilterbankConfig::giga(16_000),
            other => panic!("{other}"),
        };
        let mut bank = Filterbank::new(config);
        let mut found = Vec::new();
        for piece in case.samples().chunks(777) {
            bank.push(piece, &mut found);
        }
        bank.finish(&mut found);
        let difference = difference(&found, &case.numbers("file"));
        println!("{} {}: {difference:e}", case.text("kind"), case.text("audio"));
        // The reference computes in 32 bits; where a band holds next to nothing, that is as exact as it gets.
        assert!(difference < 2e-3, "{} {}: {difference}", case.text("kind"), case.text("audio"));
    }
}

/// The runtimes that are compared: with the feature `ort` also ONNX Runtime, by the library that is in its wheel.
fn runtimes(oracle: &Oracle) -> Vec<Runtime> {
    let mut runtimes = vec![Runtime::Rten];
    if cfg!(feature = "ort") {
        load_onnx_runtime(Some(&oracle.onnx_runtime())).unwrap();
        runtimes.push(Runtime::OnnxRuntime(Provider::Cpu));
    }
    runtimes
}

/// The model of a case.
fn model(oracle: &Oracle, case: &Case<'_>, runtime: Runtime) -> Arc<CtcModel> {
    let precision = if case.text("network") == "model.onnx" { Precision::Float } else { Precision::Int8 };
    let options = Options { precision: Some(precision), runtime };
    Arc::new(CtcModel::open_with(&oracle.package(case.text("package")), options).unwrap())
}

/// The scores of a case, in pieces of a tenth of a second.
fn scores(model: &Arc<CtcModel>, samples: &[f32], mode: Mode) -> Vec<f32> {
    let mut stream = model.stream(mode);
    let mut scores = Vec::new();
    for piece in samples.chunks(1600) {
        stream.push(piece, &mut scores).unwrap();
    }
    stream.finish(&mut scores).unwrap();
    scores
}

fn compare(test: &str, wanted: impl Fn(&str) -> bool) {
    let Some(oracle) = Oracle::new(test) else { return };
    let mut compared = 0;
    let cases = oracle.cases("scores");
    let wanted = cases.iter().filter(|case| wanted(case.text("package")));
    let runtimes = runtimes(&oracle);
    for (case, runtime) in wanted.flat_map(|case| runtimes.iter().map(move |&runtime| (case, runtime))) {
        let model = model(&oracle, case, runtime);
        let mut found = scores(&model, &case.samples(), Mode::Final);
        if case.text("package") == "nemo-streaming" {
            // Of the first 160 ms NeMo's caches give no scores; here they are frames of silence, for the times of the rest.
            let silence: Vec<f32> = found.drain(..2 * model.tokens().len()).collect();
            assert!(greedy(&silence, model.tokens()).is_empty());
        }
        let expected = case.numbers("file");
        let what = format!("{} {} {} {runtime:?}", case.text("package"), case.text("network"), case.text("audio"));
        // What a streaming network says of the silence with which its last piece is filled up, the reference does not have.
        assert!(found.len() == expected.len() || model.is_streaming() && found.len() > expected.len(), "{what}");
        let difference = difference(&found[..expected.len()], &expected);
        println!("{what}: {} frames, {difference:e}", expected.len() / model.tokens().len());
        // Numbers of eight bits are rounded anew in every layer, and not by the same rule for halves.
        let tolerance = if case.text("network") == "model.onnx" { 5e-3 } else { 1.0 };
        assert!(difference < tolerance, "{what}: {difference}");
        if let Some(reading) = case.reading() {
            compare_readings(&what, &model, &found[..expected.len()], &reading);
        }
        compared += 1;
    }
    assert!(compared >= 5 * runtimes.len(), "only {compared} comparisons");
}

/// Compares the tokens of the best path with those of sherpa-onnx, which leaves out the last frame of an utterance when the
/// length is no multiple of the network's step, and dithers samples of 16 bits.
fn compare_readings(what: &str, model: &CtcModel, scores: &[f32], reading: &[&str]) {
    let tokens = model.tokens();
    let ours: Vec<String> = greedy(scores, tokens).iter().map(|&id| tokens.text(id).replace('▁', " ")).collect();
    if what.starts_with("wenet ") {
        let errors = edits(&ours, reading);
        // Random each time, and now and then two tokens are all but equally likely.
        assert!(errors <= 1 + reading.len() / 12, "{what}: {errors} of {} tokens differ", reading.len());
    } else {
        assert!(ours.len() >= reading.len() && ours.len() <= reading.len() + 2, "{what}: {ours:?} {reading:?}");
        assert_eq!(ours[..reading.len()], *reading, "{what}");
    }
}

/// Levenshtein's distance.
fn edits(a: &[String], b: &[&str]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.iter().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in b.iter().enumerate() {
            let changed = corner + usize::from(a != b);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[test]
fn nemo_scores_and_readings() {
    compare("nemo_scores_and_readings", |package| ["nemo", "nemo-characters", "giga", "local"].contains(&package));
}

#[test]
fn zipformer_scores_and_readings() {
    compare("zipformer_scores_and_readings", |package| package == "zipformer");
}

#[test]
fn wenet_scores_and_readings() {
    compare("wenet_scores_and_readings", |package| package == "wenet");
}

#[test]
fn scores_and_readings_of_networks_over_samples() {
    compare("scores_and_readings_of_networks_over_samples", |package| package == "omnilingual");
}

#[test]
fn streaming_scores_and_readings() {
    compare("streaming_scores_and_readings", |package| package.ends_with("-streaming"));
}

/// What there is but one of in a process, and what is no such library, is said.
#[cfg(feature = "ort")]
#[test]
fn a_library_that_cannot_be_had_is_told() {
    let nothing = load_onnx_runtime(Some("/nowhere/libonnxruntime.so".as_ref())).unwrap_err().to_string();
    assert!(nothing.contains("/nowhere/libonnxruntime.so") && nothing.contains("1.17 or later"), "{nothing}");
    let Some(oracle) = Oracle::new("a_library_that_cannot_be_had_is_told") else { return };
    let library = oracle.onnx_runtime();
    load_onnx_runtime(Some(&library)).unwrap();
    load_onnx_runtime(None).unwrap();
    let other = load_onnx_runtime(Some("/nowhere/libonnxruntime.so".as_ref())).unwrap_err().to_string();
    assert!(other.contains("was loaded from"), "{other}");
    // That of the CPU alone: nobody computes on the CPU who wants a GPU.
    let options = Options { runtime: Runtime::OnnxRuntime(Provider::Cuda), ..Options::default() };
    let error = CtcModel::open_with(&oracle.package("nemo"), options).unwrap_err().to_string();
    assert!(error.contains("CUDA"), "{error}");
}
