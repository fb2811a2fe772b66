//! Senone scores against those that `pocketsphinx_batch` logs, number by number.
//!
//! Pocketsphinx computes in whole steps of 1024 log_1.0001 (0.1024 nats), keeps the best four densities, and reports how
//! far each senone is below the best. The first comparison repeats that arithmetic on this crate's parameters and features;
//! the second takes the real scorer, told to keep four densities, and allows for the rounding.

mod common;

use std::path::Path;
use std::process::Command;

use dictum_acoustic::{
    FrontEnd, ModelDefinition, Pruning, QuantizedWeights, SphinxModel, cepstral_mean, features, parse_mdef,
    parse_sendump,
};

/// Natural logarithm of the base, which the tools take as a 32-bit number: 1.0001000166.
const LN_BASE: f64 = 1.000_115_932e-4;
const STREAMS: usize = 3;
const TOP: usize = 4;

/// Frames of scores, each as steps below the frame's best senone.
fn pocketsphinx_scores(dir: &Path, model: &Path, samples: &[f32], senones: usize) -> Vec<Vec<i16>> {
    std::fs::write(dir.join("clip.raw"), common::to_pcm(samples)).unwrap();
    std::fs::write(dir.join("clips"), "clip\n").unwrap();
    std::fs::write(dir.join("one.dict"), "one W AH N\n").unwrap();
    std::fs::write(dir.join("one.jsgf"), "#JSGF V1.0;\ngrammar g;\npublic <g> = one;\n").unwrap();
    let output = Command::new("pocketsphinx_batch")
        .current_dir(dir)
        .arg("-hmm")
        .arg(model)
        .args(["-dict", "one.dict", "-jsgf", "one.jsgf", "-ctl", "clips", "-cepdir", ".", "-cepext", ".raw"])
        .args(["-adcin", "yes", "-compallsen", "yes", "-remove_silence", "no", "-senlogdir", ".", "-pl_window", "0"])
        .output()
        .unwrap();
    let log = std::fs::read(dir.join("000000000.sen"))
        .unwrap_or_else(|_| panic!("no scores: {}", String::from_utf8_lossy(&output.stderr)));
    let start = log.windows(7).position(|window| window == b"endhdr\n").unwrap() + 7 + 4;
    let words: Vec<i16> = log[start..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    words
        .chunks_exact(senones + 1)
        .map(|frame| {
            assert_eq!(frame[0] as usize, senones);
            frame[1..].to_vec()
        })
        .collect()
}

/// Pocketsphinx's arithmetic for phonetically tied mixtures.
struct WholeNumbers<'a> {
    model: &'a SphinxModel,
    weights: QuantizedWeights,
    codebook_of: Vec<usize>,
    /// For each \[codebook\]\[stream\]\[density\] the constant and the precisions.
    densities: Vec<(f32, Vec<f32>)>,
    add: Vec<i32>,
}

impl<'a> WholeNumbers<'a> {
    fn new(dir: &Path, model: &'a SphinxModel) -> Self {
        let definition: ModelDefinition = parse_mdef(&std::fs::read(dir.join("mdef")).unwrap()).unwrap();
        let (codebooks, streams, densities) = model.shape();
        let weights =
            parse_sendump(&std::fs::read(dir.join("sendump")).unwrap(), streams, densities, definition.senones)
                .unwrap();
        let mut codebook_of = vec![usize::MAX; definition.senones];
        let base = definition.phones.iter().enumerate().map(|(phone, base)| (phone, base.sequence));
        let triphones = definition.triphones.iter().map(|triphone| (triphone.center as usize, triphone.sequence));
        for (phone, sequence) in base.chain(triphones) {
            for senone in definition.sequences[sequence as usize] {
                if codebook_of[senone as usize] == usize::MAX {
                    codebook_of[senone as usize] = phone;
                }
            }
        }
        let mut prepared = Vec::new();
        for codebook in 0..codebooks {
            for stream in 0..streams {
                for density in 0..densities {
                    let (_, variances) = model.gaussian(codebook, stream, density);
                    let log = |value: f64| (value.ln() / LN_BASE) as i32;
                    let constant: i32 =
                        variances.iter().map(|&v| log(1.0 / (f64::from(v) * 2.0 * std::f64::consts::PI).sqrt())).sum();
                    // Whole numbers too: for a variance of 100 this is off by up to 2 %.
                    let precision = |&v: &f32| (1.0 / (f64::from(v) * 2.0) / LN_BASE) as i32 as f32;
                    let precisions = variances.iter().map(precision).collect();
                    prepared.push((constant as f32, precisions));
                }
            }
        }
        let add = (0..)
            .map(|step| {
                let ratio = (-f64::from(step) * 1024.0 * LN_BASE).exp();
                ((ratio.ln_1p() / LN_BASE + 512.0) as i32) >> 10
            })
            .take_while(|&value| value > 0)
            .collect();
        WholeNumbers { model, weights, codebook_of, densities: prepared, add }
    }

    fn top(&self, codebook: usize, stream: usize, x: &[f32]) -> Vec<(usize, i32)> {
        let (_, streams, densities) = self.model.shape();
        let mut scores: Vec<(usize, i32)> = (0..densities)
            .map(|density| {
                let (means, _) = self.model.gaussian(codebook, stream, density);
                let (constant, precisions) = &self.densities[(codebook * streams + stream) * densities + density];
                let mut score = *constant;
                for ((x, mean), precision) in x.iter().zip(means).zip(precisions) {
                    score -= (x - mean) * (x - mean) * precision;
                }
                (density, score as i32)
            })
            .collect();
        scores.sort_by_key(|&(_, score)| std::cmp::Reverse(score));
        scores.truncate(TOP);
        scores.iter_mut().for_each(|(_, score)| *score >>= 10);
        scores
    }

    fn add(&self, x: i32, y: i32) -> i32 {
        x.min(y) - self.add.get(x.abs_diff(y) as usize).copied().unwrap_or(0)
    }

    fn score(&self, features: &[f32; 39]) -> Vec<i32> {
        let (codebooks, _, densities) = self.model.shape();
        let senones = self.codebook_of.len();
        let mut totals = vec![0i32; senones];
        for stream in 0..STREAMS {
            let x = &features[13 * stream..13 * (stream + 1)];
            let tops: Vec<_> = (0..codebooks).map(|codebook| self.top(codebook, stream, x)).collect();
            let norm = tops.iter().map(|top| top[0].1).max().unwrap();
            for (senone, total) in totals.iter_mut().enumerate() {
                let terms = tops[self.codebook_of[senone]].iter().map(|&(density, score)| {
                    let weight = self.weights.values[(stream * densities + density) * senones + senone];
                    i32::from(weight) + (norm - score).min(96)
                });
                *total += terms.reduce(|x, y| self.add(x, y)).unwrap();
            }
        }
        let best = totals.iter().min().copied().unwrap();
        totals.iter().map(|total| total - best).collect()
    }
}

#[test]
fn scores_equal_those_of_pocketsphinx() {
    let test = "scores_equal_those_of_pocketsphinx";
    let Some(dir) = common::model_dir(test) else { return };
    if !common::tool(test, "pocketsphinx_batch", "pocketsphinx") {
        return;
    }
    let model = SphinxModel::load(&dir).unwrap();
    let reference = WholeNumbers::new(&dir, &model);
    let mut signals = vec![common::synthetic_speech(2.0)];
    signals.extend(common::clips(test, 2));
    for (index, samples) in signals.iter().enumerate() {
        let temporary = tempfile::tempdir().unwrap();
        let theirs = pocketsphinx_scores(temporary.path(), &dir, samples, model.senone_count());
        let mut cepstra = Vec::new();
        let mut front_end = FrontEnd::new(model.front_end());
        front_end.push(samples, &mut cepstra);
        front_end.finish(&mut cepstra);
        let vectors = features(&cepstra, &cepstral_mean(&cepstra));
        assert_eq!(vectors.len(), theirs.len(), "signal {index}: number of frames");

        compare_whole_numbers(index, &reference, &vectors, &theirs);
        compare_scorer(index, &model, &vectors, &theirs);
    }
}

fn compare_whole_numbers(index: usize, reference: &WholeNumbers, vectors: &[[f32; 39]], theirs: &[Vec<i16>]) {
    let (mut equal, mut count, mut worst) = (0usize, 0usize, 0u32);
    // Every seventh frame: this arithmetic is slow.
    for (vector, theirs) in vectors.iter().zip(theirs).step_by(7) {
        for (ours, &theirs) in reference.score(vector).iter().zip(theirs) {
            let difference = ours.abs_diff(i32::from(theirs));
            equal += usize::from(difference == 0);
            count += 1;
            worst = worst.max(difference);
        }
    }
    let share = equal as f64 / count as f64;
    println!("signal {index}: {:.3} % of {count} whole-number scores equal, largest difference {worst}", 100.0 * share);
    // What differs comes from the last bits of the features.
    assert!(share > 0.999, "signal {index}: only {share} equal");
}

fn compare_scorer(index: usize, model: &SphinxModel, vectors: &[[f32; 39]], theirs: &[Vec<i16>]) {
    let mut scores = Vec::new();
    model.scorer().with_pruning(Pruning::Best(TOP)).score(vectors, &mut scores);
    let (mut sum, mut near, mut count) = (0.0f64, 0usize, 0usize);
    for ((ours, theirs), vector) in scores.chunks_exact(model.senone_count()).zip(theirs).zip(vectors) {
        // In digital silence, far below the mean, pocketsphinx's 32-bit numbers saturate.
        if vector[0] < -45.0 {
            continue;
        }
        let best = ours.iter().copied().fold(f32::MIN, f32::max);
        for (&ours, &theirs) in ours.iter().zip(theirs) {
            // Further down pocketsphinx clips densities at 96 steps below the best of all codebooks.
            if theirs < 60 {
                let difference = f64::from(best - ours) / (1024.0 * LN_BASE) - f64::from(theirs);
                sum += difference;
                near += usize::from(difference.abs() < 4.0);
                count += 1;
            }
        }
    }
    let (mean, near) = (sum / count as f64, near as f64 / count as f64);
    println!(
        "signal {index}: scorer minus pocketsphinx over {count} senones: mean {mean:.2} steps, {near:.3} within 4"
    );
    assert!(count > 1000, "signal {index}: nothing to compare");
    // Each score is a sum of a dozen rounded terms; the few that differ more have a density that was clipped.
    assert!(mean.abs() < 0.5 && near > 0.95, "signal {index}: mean {mean} steps of 0.1 nats, {near} within 4");
}
