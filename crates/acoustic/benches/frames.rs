//! Cost of a second of audio: features, and scores of all senones.
//!
//! Scoring is measured on the installed US English model (skipped with a line when there is none) with its default choice
//! of densities, with all of them, and with the four that pocketsphinx keeps.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use dictum_acoustic::{FrontEnd, FrontEndConfig, Pruning, SphinxModel, cepstral_mean, features, parse_feat_params};

#[path = "../tests/common/mod.rs"]
mod common;

/// A second of a real recording if there are any, else of the synthetic one.
fn one_second() -> Vec<f32> {
    let clip = common::clips("recorded speech", 1).pop().filter(|clip| clip.len() > 48_000);
    let samples = clip.unwrap_or_else(|| common::synthetic_speech(4.0));
    samples[16_000..32_000].to_vec()
}

fn benches(criterion: &mut Criterion) {
    let samples = one_second();
    let params = parse_feat_params(b"-lowerf 130 -upperf 6800 -nfilt 25 -transform dct -lifter 22").expect("settings");
    let config = FrontEndConfig::new(params);
    let mut front_end = FrontEnd::new(&config);
    let mut cepstra = Vec::new();
    let mut second = criterion.benchmark_group("second of audio");
    second.bench_function("cepstra", |bencher| {
        bencher.iter(|| {
            cepstra.clear();
            front_end.push(black_box(&samples), &mut cepstra);
            front_end.finish(&mut cepstra);
        });
    });
    cepstra.truncate(100);
    let mean = cepstral_mean(&cepstra);
    second.bench_function("features", |bencher| bencher.iter(|| features(black_box(&cepstra), &mean)));
    let vectors = features(&cepstra, &mean);

    let Some(dir) = common::model_dir("senone scores") else { return };
    let model = SphinxModel::load(Path::new(&dir)).expect("model");
    let mut scores = Vec::new();
    for (name, pruning, chunk) in [
        ("scores", Pruning::default(), 100),
        ("scores, ten frames at a time", Pruning::default(), 10),
        ("scores, all densities", Pruning::Within(f32::INFINITY), 100),
        ("scores, four densities", Pruning::Best(4), 100),
    ] {
        let mut scorer = model.scorer().with_pruning(pruning);
        second.bench_function(format!("{name} ({})", scorer.instruction_set()), |bencher| {
            bencher.iter(|| {
                scores.clear();
                for vectors in vectors.chunks(chunk) {
                    scorer.score(black_box(vectors), &mut scores);
                }
            });
        });
    }
}

criterion_group! {
    name = frames;
    config = Criterion::default().sample_size(30);
    targets = benches
}
criterion_main!(frames);
