//! Time of each stage after the acoustic scores, on a synthesised sentence: network compilation, search, lattice,
//! consensus. Run with `cargo bench -p dictum-models`.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use dictum_acoustic::{FrontEnd, cepstral_mean, features};
use dictum_decoder::consensus::consensus;
use dictum_decoder::lattice::Lattice;
use dictum_decoder::network::{MAX_PHONES, Network};
use dictum_decoder::search::Search;
use dictum_models::package::{DEBIAN_DIRECTORY, Package};
use dictum_models::recogniser::Recogniser;

/// Mono samples of a synthesised sentence, taken as 16 kHz: the pitch is a little low, which costs the search nothing.
fn speech() -> Option<Vec<f32>> {
    let text = "the boundaries run east from the city towards the old market";
    let output = Command::new("espeak-ng").args(["--stdout", "-v", "en-us", text]).output().ok()?;
    let samples = output.stdout.get(44..)?.chunks_exact(2);
    Some(samples.map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0).collect())
}

fn stages(criterion: &mut Criterion) {
    let package = Package::debian(Path::new(DEBIAN_DIRECTORY));
    let (Ok(recogniser), Some(samples)) = (Recogniser::load(&package.name, &package.files), speech()) else {
        println!("skipped: search: the model pocketsphinx-en-us or espeak-ng is not installed");
        return;
    };
    let recogniser = Arc::new(recogniser);
    let (acoustic, graph, tuning) = (recogniser.acoustic(), recogniser.graph(), recogniser.tuning());
    let mut cepstra = Vec::new();
    let mut front_end = FrontEnd::new(acoustic.front_end());
    front_end.push(&samples, &mut cepstra);
    front_end.finish(&mut cepstra);
    let features = features(&cepstra, &cepstral_mean(&cepstra));
    let mut scores = Vec::new();
    acoustic.scorer().score(&features, &mut scores);
    for frame in scores.chunks_exact_mut(acoustic.senone_count()) {
        let best = frame.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        frame.iter_mut().for_each(|score| *score -= best);
    }

    let mut group = criterion.benchmark_group("decoder");
    group.sample_size(10);
    group.bench_function("compile network", |bencher| {
        let unigram = |word| recogniser.language_model().unigram(word);
        bencher.iter(|| black_box(Network::compile(acoustic.units(), &graph.lexicon, &unigram)));
    });
    group.throughput(Throughput::Elements(features.len() as u64));
    let mut search = Search::new(graph.clone(), tuning.search.clone());
    group.bench_function("search without acoustic look-ahead, frames", |bencher| {
        bencher.iter(|| {
            search.reset();
            for frame in scores.chunks_exact(acoustic.senone_count()) {
                search.push(frame, &[0.0; MAX_PHONES]);
            }
            black_box(search.best_end())
        });
    });
    group.bench_function("lattice, frames", |bencher| {
        bencher.iter(|| black_box(Lattice::build(&search, tuning.lattice_beam)));
    });
    let lattice = Lattice::build(&search, tuning.lattice_beam);
    let best: Vec<u32> = lattice.best_path().iter().filter_map(|arc| arc.word).collect();
    group.bench_function("consensus, frames", |bencher| {
        bencher.iter(|| black_box(consensus(&lattice, tuning.posterior_scale, &best)));
    });
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
