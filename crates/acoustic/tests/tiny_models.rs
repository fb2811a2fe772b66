//! Models of every shape, written here: what is loaded scores as the plain arithmetic does, in whatever form it is written.

mod common;

use common::Random;
use common::tiny::{Order, Tiny};
use dictum_acoustic::{Pruning, SphinxModel, Tying, Units, WordPosition, parse_mdef};

fn vectors(count: usize) -> Vec<[f32; 39]> {
    let mut random = Random::new(99);
    (0..count).map(|_| std::array::from_fn(|_| 3.0 * random.next() - 1.5)).collect()
}

/// Scores of a model with all densities, compared with `expected(senone, vector)`.
fn assert_scores(model: &SphinxModel, expected: impl Fn(usize, &[f32; 39]) -> f64, what: &str) {
    let vectors = vectors(21);
    let mut scores = Vec::new();
    model.scorer().with_pruning(Pruning::Within(f32::INFINITY)).score(&vectors, &mut scores);
    assert_eq!(scores.len(), vectors.len() * model.senone_count());
    for (vector, scores) in vectors.iter().zip(scores.chunks_exact(model.senone_count())) {
        for (senone, &score) in scores.iter().enumerate() {
            let expected = expected(senone, vector);
            // Weights keep 8 bits: 0.004 nats a stream.
            let error = (f64::from(score) - expected).abs();
            assert!(error < 0.015 + 1e-5 * expected.abs(), "{what}: senone {senone}: {score}, not {expected}");
        }
    }
}

fn counted_weight(tiny: &Tiny, senone: usize, stream: usize, density: usize) -> f64 {
    let counts = &tiny.counts[(senone * tiny.stream_lengths.len() + stream) * tiny.densities..][..tiny.densities];
    f64::from(counts[density]) / counts.iter().map(|&count| f64::from(count)).sum::<f64>()
}

#[test]
fn every_tying_scores_as_the_plain_arithmetic() {
    for (codebooks, streams, densities, tying) in [
        (1, vec![13, 13, 13], 20, Tying::SemiContinuous),
        (4, vec![13, 13, 13], 16, Tying::PhoneticallyTied),
        (4, vec![10, 9, 8, 12], 5, Tying::PhoneticallyTied),
        (15, vec![39], 8, Tying::Continuous),
        (15, vec![39], 1, Tying::Continuous),
    ] {
        let tiny = Tiny::new(codebooks, &streams, densities);
        for order in [Order::Little, Order::Big] {
            let dir = tempfile::tempdir().unwrap();
            tiny.write(dir.path(), order);
            let model = SphinxModel::load(dir.path()).unwrap();
            assert_eq!(model.tying(), tying);
            let expected = |senone: usize, x: &[f32; 39]| {
                tiny.score(senone, x, |stream, density| counted_weight(&tiny, senone, stream, density))
            };
            assert_scores(&model, expected, &format!("{tying:?}, {streams:?}, {densities} densities, {order:?}"));
        }
    }
}

#[test]
fn every_form_of_sendump_scores_as_its_weights() {
    let tiny = Tiny::new(4, &[13, 13, 13], 16);
    let plain = tiny.quantized();
    let clusters: [u8; 16] = std::array::from_fn(|index| 9 * index as u8);
    let nearest = |value: &u8| (usize::from(*value) + 4).min(135) as u8 / 9;
    let codes: Vec<u8> = plain.iter().map(nearest).collect();
    let clustered: Vec<u8> = codes.iter().map(|&code| clusters[usize::from(code)]).collect();
    for order in [Order::Little, Order::Big] {
        for (file, values, what) in [
            (tiny.sendump(&plain, None, 8, order), &plain, "bytes"),
            (tiny.sendump(&codes, Some(&clusters), 8, order), &clustered, "clusters in bytes"),
            (tiny.sendump(&codes, Some(&clusters), 4, order), &clustered, "clusters in half bytes"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            tiny.write(dir.path(), order);
            std::fs::write(dir.path().join("sendump"), file).unwrap();
            let model = SphinxModel::load(dir.path()).unwrap();
            let weight = |senone: usize, stream: usize, density: usize| {
                let step = values[(stream * tiny.densities + density) * tiny.senones + senone];
                (-0.102_411_87 * f64::from(step)).exp()
            };
            let expected =
                |senone: usize, x: &[f32; 39]| tiny.score(senone, x, |stream, density| weight(senone, stream, density));
            assert_scores(&model, expected, &format!("{what}, {order:?}"));
        }
    }
}

#[test]
fn pruned_scores_approach_exact_ones_from_below() {
    let tiny = Tiny::new(4, &[13, 13, 13], 32);
    let dir = tempfile::tempdir().unwrap();
    tiny.write(dir.path(), Order::Little);
    let model = SphinxModel::load(dir.path()).unwrap();
    let vectors = vectors(40);
    let scores = |pruning| {
        let mut scores = Vec::new();
        model.scorer().with_pruning(pruning).score(&vectors, &mut scores);
        scores
    };
    let exact = scores(Pruning::Within(f32::INFINITY));
    let mut last = f64::INFINITY;
    for nats in [2.0, 6.0, 12.0, 20.0] {
        let loss: Vec<f32> =
            exact.iter().zip(scores(Pruning::Within(nats))).map(|(exact, pruned)| exact - pruned).collect();
        assert!(loss.iter().all(|&loss| loss > -1e-3), "{nats} nats");
        let mean = loss.iter().map(|&loss| f64::from(loss)).sum::<f64>() / loss.len() as f64;
        assert!(mean < last, "{nats} nats");
        last = mean;
    }
    assert!(last < 1e-6, "20 nats lose {last}");
    // All of them in another order.
    let all = scores(Pruning::Best(32));
    assert!(exact.iter().zip(&all).all(|(exact, all)| (exact - all).abs() < 1e-4));
    let four = scores(Pruning::Best(4));
    assert!(exact.iter().zip(&four).all(|(exact, pruned)| exact - pruned > -1e-3));
    assert!(exact != four);
}

#[test]
fn scores_do_not_depend_on_how_frames_are_grouped() {
    let tiny = Tiny::new(4, &[13, 13, 13], 16);
    let dir = tempfile::tempdir().unwrap();
    tiny.write(dir.path(), Order::Little);
    let model = SphinxModel::load(dir.path()).unwrap();
    let vectors = vectors(50);
    let mut whole = Vec::new();
    model.scorer().score(&vectors, &mut whole);
    let mut scorer = model.scorer();
    let mut pieces = Vec::new();
    for (first, last) in [(0, 1), (1, 4), (4, 21), (21, 21), (21, 50)] {
        scorer.score(&vectors[first..last], &mut pieces);
    }
    assert_eq!(whole, pieces);
}

#[test]
fn text_and_binary_definitions_say_the_same() {
    let tiny = Tiny::new(4, &[39], 4);
    let text = parse_mdef(tiny.mdef_text().as_bytes()).unwrap();
    for order in [Order::Little, Order::Big] {
        let binary = parse_mdef(&tiny.mdef_binary(order)).unwrap();
        let base = |definition: &dictum_acoustic::ModelDefinition| -> Vec<_> {
            let phones = definition.phones.iter();
            phones
                .map(|p| (p.name.clone(), p.filler, p.transition, definition.sequences[p.sequence as usize]))
                .collect()
        };
        let triphones = |definition: &dictum_acoustic::ModelDefinition| -> Vec<_> {
            let triphones = definition.triphones.iter();
            triphones
                .map(|t| (t.center, t.left, t.right, t.position, definition.sequences[t.sequence as usize]))
                .collect()
        };
        assert_eq!(base(&text), base(&binary));
        assert_eq!(triphones(&text), triphones(&binary));
        assert_eq!((text.senones, text.base_senones), (binary.senones, binary.base_senones));
    }
    // The model loads from the text form too, in which equal sequences are one.
    let dir = tempfile::tempdir().unwrap();
    tiny.write(dir.path(), Order::Little);
    std::fs::write(dir.path().join("mdef"), tiny.mdef_text()).unwrap();
    let model = SphinxModel::load(dir.path()).unwrap();
    assert_eq!(model.units().sequence_count(), 8);
}

fn units() -> (SphinxModel, [u8; 4]) {
    let dir = tempfile::tempdir().unwrap();
    Tiny::new(4, &[39], 4).write(dir.path(), Order::Little);
    let model = SphinxModel::load(dir.path()).unwrap();
    let ids = ["+NSN+", "A", "B", "SIL"].map(|name| model.units().phone_id(name).unwrap());
    (model, ids)
}

#[test]
fn missing_triphones_fall_back() {
    use WordPosition::{Begin, End, Internal, Single};
    let (model, [noise, a, b, silence]) = units();
    let units: &Units = model.units();
    let senones = |left, center, right, position| units.senones(units.triphone(left, center, right, position));
    assert_eq!(units.silence(), silence);
    assert!(units.is_filler(noise) && units.is_filler(silence) && !units.is_filler(a));
    // There as asked for.
    assert_eq!(senones(b, a, b, Internal), [12, 13, 5]);
    assert_eq!(senones(silence, a, b, Begin), [3, 13, 5]);
    // Another position of the same phones.
    assert_eq!(senones(b, a, b, Single), [12, 13, 5]);
    assert_eq!(senones(silence, a, b, Internal), [3, 13, 5]);
    // Noise counts as silence.
    assert_eq!(senones(noise, a, b, Begin), [3, 13, 5]);
    // At a word's beginning the phone before may become silence, at its end the phone after, alone both.
    assert_eq!(senones(a, a, b, Begin), [3, 13, 5]);
    assert_eq!(senones(b, a, a, End), [12, 4, 14]);
    assert_eq!(senones(a, a, a, Single), [3, 4, 14]);
    // Inside a word they may not.
    assert_eq!(senones(a, a, b, Internal), [3, 4, 5]);
    assert_eq!(senones(a, b, b, Internal), units.senones(units.context_independent(b)));
}

#[test]
fn transitions_are_normalised_logarithms() {
    let (model, [_, a, ..]) = units();
    let transitions = model.units().transitions(a);
    let expected = [[0.75, 0.25, 0.0, 0.0], [0.0, 0.5, 0.25, 0.25], [0.0, 0.0, 0.5, 0.5]];
    for (row, expected) in transitions.iter().zip(expected) {
        for (&log, expected) in row.iter().zip(expected) {
            assert!((log.exp() - expected).abs() < 1e-6, "{transitions:?}");
        }
    }
}
