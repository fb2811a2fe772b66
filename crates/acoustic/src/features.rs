//! From cepstra to the feature vectors that the Gaussians are over.

use crate::frontend::CEPSTRA;

/// Dimensions of a feature vector: cepstra, their differences, and the differences of those.
pub const FEATURES: usize = 3 * CEPSTRA;

/// The mean that batch normalisation subtracts: over all frames, except that frames whose c0 is negative (digital
/// silence) do not count. Zero when no frame counts.
pub fn cepstral_mean(frames: &[[f32; CEPSTRA]]) -> [f32; CEPSTRA] {
    let mut sums = [0.0f64; CEPSTRA];
    let mut count = 0usize;
    for frame in frames.iter().filter(|frame| frame[0] >= 0.0) {
        for (sum, &value) in sums.iter_mut().zip(frame) {
            *sum += f64::from(value);
        }
        count += 1;
    }
    sums.map(|sum| (sum / count.max(1) as f64) as f32)
}

/// Frames before and after that a feature vector depends on.
pub const FEATURE_CONTEXT: usize = 3;

/// Feature vectors of consecutive frames (Sphinx: `1s_c_d_dd`), one a frame.
///
/// Dimensions 0 to 12 are the cepstra less `mean`; 13 to 25 their difference over ±2 frames; 26 to 38 the change of that
/// difference between the next and the previous frame. Before the first and after the last frame these repeat.
pub fn features(cepstra: &[[f32; CEPSTRA]], mean: &[f32; CEPSTRA]) -> Vec<[f32; FEATURES]> {
    features_of(cepstra, 0..cepstra.len(), mean)
}

/// The feature vectors of some of the frames, the others being their context.
///
/// # Panics
/// When a frame of the range is not among the cepstra.
pub fn features_of(
    cepstra: &[[f32; CEPSTRA]],
    frames: std::ops::Range<usize>,
    mean: &[f32; CEPSTRA],
) -> Vec<[f32; FEATURES]> {
    assert!(frames.end <= cepstra.len(), "frames {frames:?} of {}", cepstra.len());
    let last = cepstra.len().saturating_sub(1) as isize;
    let at = |frame: isize| &cepstra[frame.clamp(0, last) as usize];
    (frames.start as isize..frames.end as isize)
        .map(|t| {
            let mut vector = [0.0; FEATURES];
            for k in 0..CEPSTRA {
                vector[k] = at(t)[k] - mean[k];
                vector[CEPSTRA + k] = at(t + 2)[k] - at(t - 2)[k];
                let rising = at(t + 3)[k] - at(t - 1)[k];
                let falling = at(t + 1)[k] - at(t - 3)[k];
                vector[2 * CEPSTRA + k] = rising - falling;
            }
            vector
        })
        .collect()
}
