//! `--runtime`: neural models run by what the configuration chooses.

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;

use common::installed::onnx_runtime;
use common::{SPEECH, can_run, command, speak, stderr, stdout};
use serde_json::Value;

/// The small neural model of the project.
fn package() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/en-digits-commands-names").display().to_string()
}

fn library(test: &str) -> Option<PathBuf> {
    onnx_runtime().inspect_err(|reason| println!("skipped: {test}: {reason}")).ok()
}

/// `dictum transcribe` with the small model; `library` is what `ORT_DYLIB_PATH` names.
fn transcribe(audio: &[PathBuf], library: Option<&Path>, more: &[&str]) -> Output {
    let mut command = command();
    command.args(["transcribe", "--format", "json", "--model", "en-commands_BroadbandModel"]).args(audio).args(more);
    command.env("DICTUM_MODEL_PACKAGES", package()).env_remove("ORT_DYLIB_PATH");
    command.envs(library.map(|library| ("ORT_DYLIB_PATH", library)));
    command.output().unwrap()
}

/// A document for each file.
fn documents(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", stderr(output));
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whether two documents say the same, numbers within what rounding makes of them.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 0.02,
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

#[test]
fn both_runtimes_give_the_same_transcripts() {
    let test = "both_runtimes_give_the_same_transcripts";
    if !can_run(test, &[SPEECH]) {
        return;
    }
    let Some(library) = library(test) else { return };
    let work = tempfile::tempdir().unwrap();
    let texts = ["one seven three nine two", "the ace of spades", "turn on the light"];
    let audio: Vec<PathBuf> =
        texts.iter().enumerate().map(|(at, text)| speak(work.path(), &format!("{at}.wav"), text)).collect();
    let usual = documents(&transcribe(&audio, None, &[]));
    assert_eq!(usual.len(), texts.len());
    assert!(usual.iter().all(|document| !document["transcript"].as_str().unwrap().is_empty()), "{usual:?}");
    let chosen = documents(&transcribe(&audio, Some(&library), &["--runtime", "onnxruntime"]));
    assert!(usual.iter().zip(&chosen).all(|(a, b)| same(a, b)), "{usual:?}\n{chosen:?}");
    // The setting wins over the variable.
    let setting = format!("model.onnxruntime_library={}", library.display());
    let arguments = ["--runtime", "onnxruntime", "--set", &setting];
    assert_eq!(documents(&transcribe(&audio, Some("/nowhere".as_ref()), &arguments)), chosen);
    let named = documents(&transcribe(&audio, Some("/nowhere".as_ref()), &["--runtime", "rten"]));
    assert_eq!(named, usual, "nobody looks for a library that is not needed");
}

#[test]
fn a_runtime_that_is_not_there_is_told_at_the_start() {
    let mut command = command();
    command.args(["serve", "--no-auth", "--listen", "127.0.0.1:0", "--runtime", "onnxruntime"]);
    command.env("DICTUM_MODEL_PACKAGES", package()).env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so");
    let output = command.output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in ["/nowhere/libonnxruntime.so", "1.17 or later", "releases", "model.onnxruntime_library"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let output = transcribe(&["absent.wav".into()], None, &["--runtime", "tensorflow"]);
    assert!(stderr(&output).contains("must be one of rten, onnxruntime"), "{}", stderr(&output));
}

/// The wheel's library computes on the CPU alone.
#[test]
fn a_provider_that_is_not_there_is_told() {
    let test = "a_provider_that_is_not_there_is_told";
    if !can_run(test, &[SPEECH]) {
        return;
    }
    let Some(library) = library(test) else { return };
    let work = tempfile::tempdir().unwrap();
    let audio = speak(work.path(), "a.wav", "stop");
    let arguments = ["--runtime", "onnxruntime", "--set", "model.onnxruntime_provider=cuda"];
    let output = transcribe(&[audio], Some(&library), &arguments);
    assert!(!output.status.success() && stderr(&output).contains("CUDA"), "{}", stderr(&output));
}
