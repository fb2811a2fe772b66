//! A network that streams is asked once, for interim results and for final ones: they come from the same scores. The network is one
//! of random weights that `crates/neural/oracle` exports; what it reads is nonsense, and the same nonsense each time.

#[allow(dead_code)] // the tests of crates/neural use the rest
#[path = "../../neural/tests/oracle/material.rs"]
mod material;

use std::process::Command;
use std::sync::Arc;

use dictum_decoder::result::Utterance;
use dictum_models::acoustic::Acoustic;
use dictum_models::package::Package;
use dictum_models::recogniser::{Band, Event, Options, Recogniser};
use material::Oracle;

/// The streaming models that there are.
const PACKAGES: [&str; 3] = ["nemo-streaming", "zipformer-streaming", "wenet-streaming"];

/// Three utterances or so, one after a short pause, with silence behind.
fn speech(test: &str) -> Option<Vec<f32>> {
    let mut samples = Vec::new();
    for (text, pause) in
        [("one two three four five six", 0.4), ("seven eight nine", 1.5), ("the end of the story", 1.5)]
    {
        let file = tempfile::NamedTempFile::new().unwrap();
        if Command::new("flite").args(["-voice", "rms", "-t", text, "-o"]).arg(file.path()).status().is_err() {
            println!("skipped: {test}: no flite");
            return None;
        }
        let bytes = std::fs::read(file.path()).unwrap();
        let said = bytes[44..].as_chunks().0.iter().map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0);
        samples.extend(said);
        samples.resize(samples.len() + (pause * 16_000.0) as usize, 0.0);
    }
    Some(samples)
}

fn open(oracle: &Oracle, package: &str) -> Arc<Recogniser> {
    let package = Package::bare(&oracle.package(package)).unwrap();
    Arc::new(Recogniser::load(&package).unwrap())
}

/// What is recognised, how many interim results there are, and how often the network was run.
fn hear(recogniser: &Arc<Recogniser>, samples: &[f32], chunk: usize, interim: bool) -> (Vec<Utterance>, usize, u64) {
    let Acoustic::Tokens(spelt) = recogniser.model().acoustic() else { panic!() };
    let before = spelt.model.runs();
    let mut session = recogniser.session(Band::Broadband, Options { interim_results: interim, ..Options::default() });
    let mut events: Vec<Event> = samples.chunks(chunk).flat_map(|chunk| session.push(chunk)).collect();
    events.extend(session.finish());
    let interims = events.iter().filter(|event| matches!(event, Event::Interim(_))).count();
    let utterances = events.into_iter().filter_map(|event| match event {
        Event::Utterance(utterance) => Some(utterance),
        _ => None,
    });
    (utterances.collect(), interims, spelt.model.runs() - before)
}

#[test]
fn a_streaming_network_is_asked_once() {
    let test = "a_streaming_network_is_asked_once";
    let (Some(oracle), Some(samples)) = (Oracle::new(test), speech(test)) else { return };
    for package in PACKAGES {
        let recogniser = open(&oracle, package);
        let (alone, _, once) = hear(&recogniser, &samples, samples.len(), false);
        let (both, interims, shared) = hear(&recogniser, &samples, samples.len(), true);
        println!("{package}: {} utterances, {interims} interim results, {once} runs, {shared}", alone.len());
        assert!(!alone.is_empty() && interims >= alone.len(), "{package}: {} {interims}", alone.len());
        assert_eq!(alone, both, "{package}");
        assert_eq!(once, shared, "{package}: interim results cost no further runs");
        for chunk in [333, 1600, 12_345] {
            let (_, _, once) = hear(&recogniser, &samples, chunk, false);
            let (pieces, _, runs) = hear(&recogniser, &samples, chunk, true);
            assert_eq!(pieces, both, "{package} in pieces of {chunk}");
            assert_eq!(once, runs, "{package} in pieces of {chunk}");
            // Pauses are taken for the end, in case they are: each has a tail that is heard for it alone.
            assert!(runs < 2 * shared, "{package} in pieces of {chunk}: {runs} runs, {shared} in one piece");
        }
    }
}

/// Models that see whole utterances score short windows for interim results and the utterance for the final one.
#[test]
fn final_results_do_not_depend_on_interim_ones() {
    let test = "final_results_do_not_depend_on_interim_ones";
    let (Some(oracle), Some(samples)) = (Oracle::new(test), speech(test)) else { return };
    let recogniser = open(&oracle, "zipformer");
    let (alone, ..) = hear(&recogniser, &samples, samples.len(), false);
    let (both, ..) = hear(&recogniser, &samples, 1600, true);
    assert!(!alone.is_empty());
    assert_eq!(alone, both);
}
