//! Loading the default package, searching with scores that are there already, and recognising as a whole.
//!
//! The speech is a recording of read English where there is one, else it is synthesised; times are for all of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use dictum_acoustic::{FrontEnd, SphinxModel, cepstral_mean, features};
use dictum_audio::{ContentType, decode_all};
use dictum_decoder::phone_look_ahead::PhoneLookAhead;
use dictum_decoder::search::{Ahead, Search};
use dictum_models::package::{DEBIAN_DIRECTORY, Package};
use dictum_models::recogniser::{Band, Options, Recogniser};

fn speech() -> Option<Vec<f32>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/audio");
    let shared = std::env::var_os("DICTUM_SHARED_AUDIO").map_or(beside, PathBuf::from);
    let mut recordings: Vec<PathBuf> = std::fs::read_dir(shared.join("en/librivox_sense_sensibility"))
        .map(|folder| folder.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    recordings.sort();
    let text = "the president of the united states will speak on the radio tonight";
    let bytes = match recordings.first() {
        Some(recording) => std::fs::read(recording).ok()?,
        None => Command::new("espeak-ng").args(["-v", "en-us+f2", "-s", "140", "--stdout", text]).output().ok()?.stdout,
    };
    decode_all(&ContentType::Auto, 16_000, &bytes).ok()
}

/// Scores of all senones for every frame, less the best of the frame, as the search gets them.
fn scores(recogniser: &Recogniser, samples: &[f32]) -> Vec<f32> {
    let acoustic = acoustic(recogniser);
    let mut front_end = FrontEnd::new(acoustic.front_end());
    let mut cepstra = Vec::new();
    front_end.push(samples, &mut cepstra);
    front_end.finish(&mut cepstra);
    let mut scores = Vec::new();
    acoustic.scorer().score(&features(&cepstra, &cepstral_mean(&cepstra)), &mut scores);
    for frame in scores.chunks_exact_mut(acoustic.senone_count()) {
        let best = frame.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        frame.iter_mut().for_each(|score| *score -= best);
    }
    scores
}

fn acoustic(recogniser: &Recogniser) -> &SphinxModel {
    &recogniser.model().phones().expect("a model of phones").broadband
}

fn benches(criterion: &mut Criterion) {
    let package = Package::debian(Path::new(DEBIAN_DIRECTORY));
    let load = || Recogniser::load(&package);
    let (Ok(recogniser), Some(samples)) = (load(), speech()) else {
        println!("skipped: recognise: this needs the model pocketsphinx-en-us, and recordings or espeak-ng");
        return;
    };
    let recogniser = Arc::new(recogniser);
    let seconds = samples.len() as f64 / 16_000.0;
    let mut group = criterion.benchmark_group("recognise");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    group.bench_function("load the package", |bencher| bencher.iter(|| load().map(drop).is_ok()));

    let config = recogniser.tuning().search.clone();
    let mut ahead = PhoneLookAhead::new(&recogniser.graph().network, config.phone_look_ahead);
    let mut search = Search::new(Arc::clone(recogniser.graph()), config);
    let scores = scores(&recogniser, &samples);
    let senones = acoustic(&recogniser).senone_count();
    group.bench_function(format!("search {seconds:.1} s"), |bencher| {
        bencher.iter(|| {
            search.reset();
            ahead.reset();
            let mut frames = scores.chunks_exact(senones);
            for frame in scores.chunks_exact(senones) {
                ahead.push(frame);
                if ahead.pending() > ahead.window() {
                    frames.next().into_iter().for_each(|due| search.push(due, Ahead::Phones(ahead.pass())));
                }
            }
            frames.for_each(|due| search.push(due, Ahead::Phones(ahead.pass())));
            search.best_end()
        });
    });

    group.bench_function(format!("all of {seconds:.1} s"), |bencher| {
        bencher.iter(|| {
            let mut session = recogniser.session(Band::Broadband, Options::default());
            let events: usize = samples.chunks(1_600).map(|piece| session.push(piece).len()).sum();
            events + session.finish().len()
        });
    });
    group.finish();
}

criterion_group!(recognise, benches);
criterion_main!(recognise);
