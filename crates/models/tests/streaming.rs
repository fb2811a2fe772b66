//! A network that streams is asked once, for interim results and for final ones: they come from the same scores. The networks are
//! those of random weights that `crates/neural/oracle` exports, which read nonsense, and the same nonsense each time; and one of them into which the
//! small model of the project is built, which hears words.

#[allow(dead_code)] // the tests of crates/neural use the rest
#[path = "../../neural/tests/oracle/material.rs"]
mod material;

use std::sync::Arc;

use dictum_decoder::result::{EndOfUtterance, Utterance};
use dictum_models::acoustic::Acoustic;
use dictum_models::package::Package;
use dictum_models::recogniser::{Band, Event, Options, Recogniser};
use material::Oracle;

mod common;
use common::{add_noise, can_speak, speak};

/// The streaming models that there are.
const PACKAGES: [&str; 3] = ["nemo-streaming", "zipformer-streaming", "wenet-streaming"];

/// Texts with so many seconds of silence behind each.
fn said(test: &str, texts: &[(&str, f64)]) -> Option<Vec<f32>> {
    let mut samples = Vec::new();
    if !can_speak(test) {
        return None;
    }
    for (text, pause) in texts {
        samples.extend(speak(text, "rms"));
        samples.resize(samples.len() + (pause * 16_000.0) as usize, 0.0);
    }
    Some(samples)
}

/// Three utterances or so, one after a short pause, with silence behind.
fn speech(test: &str) -> Option<Vec<f32>> {
    said(test, &[("one two three four five six", 0.4), ("seven eight nine", 1.5), ("the end of the story", 1.5)])
}

fn open(oracle: &Oracle, package: &str) -> Arc<Recogniser> {
    let package = Package::bare(&oracle.package(package)).unwrap();
    Arc::new(Recogniser::load(&package).unwrap())
}

/// With the usual options but for whether there are interim results.
fn options(interim: bool) -> Options {
    Options { interim_results: interim, ..Options::default() }
}

/// What is recognised, how many interim results there are, and how often the network was run.
fn hear(recogniser: &Arc<Recogniser>, samples: &[f32], chunk: usize, options: Options) -> (Vec<Utterance>, usize, u64) {
    let Acoustic::Tokens(spelt) = recogniser.model().acoustic() else { panic!() };
    let before = spelt.model.runs();
    let mut session = recogniser.session(Band::Broadband, options);
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
        let (alone, _, once) = hear(&recogniser, &samples, samples.len(), options(false));
        let (both, interims, shared) = hear(&recogniser, &samples, samples.len(), options(true));
        println!("{package}: {} utterances, {interims} interim results, {once} runs, {shared}", alone.len());
        assert!(!alone.is_empty() && interims >= alone.len(), "{package}: {} {interims}", alone.len());
        assert_eq!(alone, both, "{package}");
        assert_eq!(once, shared, "{package}: interim results cost no further runs");
        for chunk in [333, 1600, 12_345] {
            let (_, _, once) = hear(&recogniser, &samples, chunk, options(false));
            let (pieces, _, runs) = hear(&recogniser, &samples, chunk, options(true));
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
    let (alone, ..) = hear(&recogniser, &samples, samples.len(), options(false));
    let (both, ..) = hear(&recogniser, &samples, 1600, options(true));
    assert!(!alone.is_empty());
    assert_eq!(alone, both);
}

/// Words, at their times, also where all is speech to the detector: the network hears where a phrase ends, at no cost.
#[test]
fn a_streaming_network_hears_phrases() {
    let test = "a_streaming_network_hears_phrases";
    let texts = [("one seven three nine two", 3.0), ("queen of hearts", 6.0)];
    let (Some(oracle), Some(mut samples)) = (Oracle::new(test), said(test, &texts)) else { return };
    let package = Package::open(&oracle.package("hears-streaming")).unwrap();
    let recogniser = Arc::new(Recogniser::load(&package).unwrap());
    let texts_of = |found: &[Utterance]| found.iter().map(|one| one.alternatives[0].text()).collect::<Vec<_>>();
    let (plain, _, once) = hear(&recogniser, &samples, samples.len(), options(false));
    assert_eq!(texts_of(&plain), ["one seven three nine two", "queen of hearts"]);

    // A fan, and a sensitivity of one, which takes everything for speech.
    add_noise(&mut samples, 0.003);
    let deaf = |interim| Options { speech_detector_sensitivity: 1.0, ..options(interim) };
    let (found, _, runs) = hear(&recogniser, &samples, samples.len(), deaf(false));
    let texts = texts_of(&found);
    assert_eq!(texts, ["one seven three nine two", "queen of hearts"]);
    assert_eq!(found[0].ended_by, EndOfUtterance::Silence);
    let between = plain[1].start - 1.5;
    assert!(found[0].end < between && found[1].start > between, "{} {}", found[0].end, found[1].start);
    println!("{once} runs, {runs} where all is speech");
    for (chunk, interim) in [(1_234, false), (4_000, true), (samples.len(), true)] {
        assert_eq!(hear(&recogniser, &samples, chunk, deaf(interim)).0, found, "in pieces of {chunk}");
    }
}
