//! The recogniser on real speech: recordings where there are any, else speech that espeak-ng synthesises.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use dictum_decoder::result::{Interim, Utterance};
use dictum_models::package::{DEBIAN_DIRECTORY, Package};
use dictum_models::recogniser::{Band, Event, Options, Recogniser};

fn recogniser(test: &str) -> Option<Arc<Recogniser>> {
    let directory = std::env::var_os("DICTUM_MODEL_DIR").map_or(PathBuf::from(DEBIAN_DIRECTORY), PathBuf::from);
    if !directory.join("en-us").exists() {
        println!("skipped: {test}: no model in {}", directory.display());
        return None;
    }
    let package = Package::debian(&directory);
    Some(Arc::new(Recogniser::load(&package).expect("the installed model loads")))
}

/// A sentence at 16 kHz: silence, speech, a pause of one and a half seconds, speech.
fn speech(test: &str) -> Option<Vec<f32>> {
    let shared = std::env::var_os("DICTUM_SHARED_AUDIO")
        .map_or(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/audio"), PathBuf::from);
    let clips = ["librivox_sense_sensibility", "pocketsphinx_cards"].map(|folder| shared.join("en").join(folder));
    let mut files: Vec<PathBuf> = clips
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let mut parts: Vec<Vec<f32>> = files.iter().take(2).filter_map(|file| sox(file)).collect();
    if parts.len() < 2 {
        parts = ["the weather is good today", "we go to the market"].iter().filter_map(|text| espeak(text)).collect();
    }
    if parts.len() < 2 {
        println!("skipped: {test}: neither recordings with sox nor espeak-ng");
        return None;
    }
    let silence = vec![0.0; 24_000];
    Some([&silence[..8_000], &parts[0], &silence, &parts[1], &silence[..8_000]].concat())
}

fn pcm(output: std::process::Output, skip: usize) -> Option<Vec<f32>> {
    let bytes = output.status.success().then_some(output.stdout)?;
    let samples = bytes.get(skip..)?.chunks_exact(2);
    Some(samples.map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0).collect())
}

fn sox(file: &Path) -> Option<Vec<f32>> {
    let output = Command::new("sox").arg(file).args(["-r", "16000", "-c", "1", "-b", "16", "-t", "raw", "-"]).output();
    pcm(output.ok()?, 0)
}

fn espeak(text: &str) -> Option<Vec<f32>> {
    let output = Command::new("espeak-ng").args(["--stdout", "-v", "en-us", text]).output().ok()?;
    // espeak-ng speaks at 22 050 Hz; linear interpolation is good enough for a voice of a few kilohertz.
    let source = pcm(output, 44)?;
    let count = source.len() * 16_000 / 22_050;
    let at = |index: usize| {
        let position = index as f64 * 22_050.0 / 16_000.0;
        let (whole, part) = (position as usize, position.fract() as f32);
        source[whole] + part * (source.get(whole + 1).unwrap_or(&0.0) - source[whole])
    };
    Some((0..count).map(at).collect())
}

fn recognise(recogniser: &Arc<Recogniser>, options: Options, samples: &[f32], chunk: usize) -> Vec<Event> {
    let mut session = recogniser.session(Band::Broadband, options);
    let mut events: Vec<Event> = samples.chunks(chunk).flat_map(|chunk| session.push(chunk)).collect();
    events.extend(session.finish());
    events
}

fn utterances(events: &[Event]) -> Vec<&Utterance> {
    let mut utterances = Vec::new();
    for event in events {
        if let Event::Utterance(utterance) = event {
            utterances.push(utterance);
        }
    }
    utterances
}

fn everything() -> Options {
    Options {
        max_alternatives: 5,
        confusion_network: true,
        keywords: vec!["the".to_owned(), "no such words".to_owned()],
        keywords_threshold: Some(0.01),
        interim_results: true,
        ..Options::default()
    }
}

/// What is recognised does not depend on how the audio is cut into chunks, to the last bit.
#[test]
fn a_chunked_stream_equals_a_whole_one() {
    let name = "a_chunked_stream_equals_a_whole_one";
    let (Some(recogniser), Some(samples)) = (recogniser(name), speech(name)) else { return };
    let whole = recognise(&recogniser, everything(), &samples, samples.len());
    assert_eq!(utterances(&whole).len(), 2, "a pause of 1.5 s parts two utterances: {whole:?}");
    for chunk in [1, 160, 1_000, 16_384] {
        assert_eq!(recognise(&recogniser, everything(), &samples, chunk), whole, "chunks of {chunk} samples");
    }
}

/// WS-R9, WS-R10: there is an interim result before each final one, mostly long before; and asking for them changes nothing
/// in the final ones.
#[test]
fn interim_results_come_before_final_ones() {
    let name = "interim_results_come_before_final_ones";
    let (Some(recogniser), Some(samples)) = (recogniser(name), speech(name)) else { return };
    let with = recognise(&recogniser, Options { interim_results: true, ..Options::default() }, &samples, 800);
    let without = recognise(&recogniser, Options::default(), &samples, samples.len());
    assert_eq!(utterances(&with), utterances(&without));
    let mut interims: Vec<&Interim> = Vec::new();
    for event in &with {
        match event {
            Event::SpeechBegin { .. } => assert!(interims.is_empty()),
            Event::Interim(interim) => {
                assert!(!interim.words.is_empty());
                assert!(interim.words.is_sorted_by(|a, b| a.end <= b.start), "times run forward: {interim:?}");
                interims.push(interim);
            }
            Event::Utterance(utterance) => {
                assert!(interims.len() >= 3, "{} interim results", interims.len());
                let first = &interims[0].words[0];
                assert!((utterance.start - 0.5..utterance.end).contains(&first.start), "{first:?}");
                let told: Vec<&str> = interims.last().unwrap().words.iter().map(|word| word.text.as_str()).collect();
                let heard = utterance.alternatives[0].text();
                assert!(heard.split(' ').any(|word| told.contains(&word)), "nothing in common: {told:?} and {heard}");
                interims.clear();
            }
        }
    }
}

/// RES: times run forward within the audio, posteriors are probabilities, alternatives are distinct.
#[test]
fn results_are_consistent() {
    let name = "results_are_consistent";
    let (Some(recogniser), Some(samples)) = (recogniser(name), speech(name)) else { return };
    let events = recognise(&recogniser, everything(), &samples, 4_000);
    let seconds = samples.len() as f64 / 16_000.0;
    let mut last = 0.0;
    for utterance in utterances(&events) {
        let best = &utterance.alternatives[0];
        assert!(!best.words.is_empty());
        for word in &best.words {
            assert!(last <= word.start && word.start <= word.end && word.end <= seconds, "{word:?} after {last}");
            assert!((0.0..=1.0).contains(&word.confidence));
            last = word.end;
        }
        for slot in &utterance.slots {
            let sum: f32 = slot.words.iter().map(|word| word.1).sum::<f32>() + slot.skip;
            assert!((sum - 1.0).abs() < 1e-3, "{slot:?}");
        }
        let mut texts: Vec<String> = utterance.alternatives.iter().map(|alternative| alternative.text()).collect();
        assert!((1..=5).contains(&texts.len()));
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), utterance.alternatives.len(), "readings are distinct");
        assert!(utterance.keywords.iter().all(|hit| hit.keyword == 0 && (0.01..=1.0).contains(&hit.confidence)));
    }
}

/// REC 3.3: at 0.0 the detector hears nothing; a longer end-of-phrase silence joins what a short one parts.
#[test]
fn speech_detection_follows_its_parameters() {
    let name = "speech_detection_follows_its_parameters";
    let (Some(recogniser), Some(samples)) = (recogniser(name), speech(name)) else { return };
    let count = |options| utterances(&recognise(&recogniser, options, &samples, 8_000)).len();
    assert_eq!(count(Options { speech_detector_sensitivity: 0.0, ..Options::default() }), 0);
    assert_eq!(count(Options { background_audio_suppression: 1.0, ..Options::default() }), 0);
    assert_eq!(count(Options { end_of_phrase_silence_time: 3.0, ..Options::default() }), 1);
    assert_eq!(count(Options { end_of_phrase_silence_time: 0.8, ..Options::default() }), 2);
}

/// REC-L8: nothing is recognised where nobody speaks.
#[test]
fn silence_and_noise_have_no_words() {
    let Some(recogniser) = recogniser("silence_and_noise_have_no_words") else { return };
    let silence = vec![0.0; 48_000];
    assert!(utterances(&recognise(&recogniser, Options::default(), &silence, 4_000)).is_empty());
    assert!(recognise(&recogniser, Options::default(), &[], 4_000).is_empty());
    let mut state = 1u32;
    let hiss: Vec<f32> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state as i32) as f32 / 2f32.powi(31) * 0.01
    })
    .take(48_000)
    .collect();
    assert!(utterances(&recognise(&recogniser, Options::default(), &hiss, 4_000)).is_empty());
}
