//! Windows of models for whole utterances: of a network that looks no further than half a second, they give what the whole does.

use std::sync::Arc;

use dictum_neural::{CtcModel, Mode};

use super::{difference, scores};
use crate::material::Oracle;

fn local(test: &str) -> Option<(Arc<CtcModel>, Vec<f32>)> {
    let oracle = Oracle::new(test)?;
    let model = Arc::new(CtcModel::open(&oracle.package("local")).unwrap());
    let mut audio: Vec<&str> = Vec::new();
    let cases = oracle.cases("features");
    let mut samples = Vec::new();
    for case in &cases {
        if !audio.contains(&case.text("audio")) {
            audio.push(case.text("audio"));
            samples.extend(case.samples());
        }
    }
    Some((model, samples))
}

#[test]
fn live_scores_are_those_of_the_whole() {
    let Some((model, samples)) = local("live_scores_are_those_of_the_whole") else { return };
    // Up to 25 s the final scores are those of one run over all of it, which the oracle has confirmed.
    for seconds in [0.3, 1.7, 5.0, 24.9] {
        let samples = &samples[..(seconds * 16_000.0) as usize];
        let whole = scores(&model, samples, Mode::Final);
        let live = scores(&model, samples, Mode::Live);
        assert_eq!(whole.len() / model.tokens().len(), (seconds * 12.5f64).ceil() as usize);
        assert!(difference(&live, &whole) < 1e-3, "{seconds} s: {}", difference(&live, &whole));
    }
}

#[test]
fn long_audio_is_scored_in_windows_that_do_not_show() {
    let Some((model, samples)) = local("long_audio_is_scored_in_windows_that_do_not_show") else { return };
    let long = samples.repeat(3);
    let (whole, live) = (scores(&model, &long, Mode::Final), scores(&model, &long, Mode::Live));
    assert_eq!(whole.len() / model.tokens().len(), (long.len() as f64 / 1280.0).ceil() as usize);
    assert!(difference(&live, &whole) < 1e-3, "{}", difference(&live, &whole));
    // The beginning is that of one run over the first 24.9 s.
    let first = scores(&model, &long[..(24.9 * 16_000.0) as usize], Mode::Final);
    let settled = 20 * 12 * model.tokens().len();
    assert!(difference(&first[..settled], &whole[..settled]) < 1e-3);
}

#[test]
fn scores_come_soon_in_live_streams_and_at_the_end_in_others() {
    let Some((model, samples)) = local("scores_come_soon_in_live_streams_and_at_the_end_in_others") else { return };
    let mut out = Vec::new();
    let mut stream = model.stream(Mode::Live);
    for (pushed, piece) in samples.chunks(1600).enumerate() {
        stream.push(piece, &mut out).unwrap();
        let heard = (pushed + 1) as f64 * 0.1;
        let scored = (out.len() / model.tokens().len()) as f64 * model.frame_seconds();
        assert!(heard - scored < 1.75, "after {heard} s scores end at {scored} s");
    }
    let mut stream = model.stream(Mode::Final);
    let mut out = Vec::new();
    stream.push(&samples[..24 * 16_000], &mut out).unwrap();
    assert!(out.is_empty());
    stream.push(&samples[24 * 16_000..26 * 16_000], &mut out).unwrap();
    assert_eq!(out.len() / model.tokens().len(), 250);
}

#[test]
fn streams_can_be_used_again() {
    let Some((model, samples)) = local("streams_can_be_used_again") else { return };
    for mode in [Mode::Final, Mode::Live] {
        let samples = &samples[..40_000];
        let expected = scores(&model, samples, mode);
        let mut stream = model.stream(mode);
        for reset in [false, true, false] {
            let mut out = Vec::new();
            stream.push(&samples[..30_000], &mut out).unwrap();
            if reset {
                stream.reset();
                continue;
            }
            stream.push(&samples[30_000..], &mut out).unwrap();
            stream.finish(&mut out).unwrap();
            assert_eq!(out, expected);
        }
        let mut nothing = Vec::new();
        stream.finish(&mut nothing).unwrap();
        assert!(nothing.is_empty());
    }
}

#[test]
fn streams_share_a_model_between_threads() {
    let Some((model, samples)) = local("streams_share_a_model_between_threads") else { return };
    let expected = scores(&model, &samples[..64_000], Mode::Live);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(scores(&model, &samples[..64_000], Mode::Live), expected));
        }
    });
}
