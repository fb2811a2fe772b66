//! Models that see whole utterances: windows that overlap, and the scores of their middles.

use super::{Mode, append, check_width};
use crate::error::NeuralError;
use crate::model::CtcModel;
use crate::package::{Layout, Normalise, Offline, Recipe};
use crate::runtime::Tensor;

/// Seconds of a window: what is before the frames that it is for, those frames, and what is after them.
struct Seconds {
    before: f64,
    kept: f64,
    after: f64,
    /// Nothing is scored before there is as much.
    wait: f64,
    /// What the normalisation looks back on.
    history: f64,
}

/// Up to 25 s an utterance is one window; the networks were trained on utterances of some 20 s at most.
const FINAL: Seconds = Seconds { before: 2.0, kept: 20.0, after: 2.0, wait: 25.0, history: 0.0 };

/// Twelve times a window's length is computed for what is kept of it. Half the attention's context of a real utterance is enough
/// for most of the accuracy; what is after costs latency.
const LIVE: Seconds = Seconds { before: 4.0, kept: 0.64, after: 0.96, wait: 1.6, history: 20.0 };

/// The windows of a stream. All numbers are of frames that go in.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    /// Frames that are still needed, of `width` values.
    pub frames: Vec<f32>,
    width: usize,
    step: usize,
    before: usize,
    kept: usize,
    after: usize,
    wait: usize,
    history: usize,
    /// Frames in `frames` whose scores are out.
    done: usize,
}

impl Windows {
    pub fn new(offline: &Offline, recipe: &Recipe, mode: Mode) -> Windows {
        let seconds = if mode == Mode::Final { FINAL } else { LIVE };
        // In whole frames of scores, so that those of all windows fall together.
        let count =
            |seconds: f64| (seconds * recipe.rate() as f64 / offline.step as f64).round() as usize * offline.step;
        Windows {
            frames: Vec::new(),
            width: recipe.width(),
            step: offline.step,
            before: count(seconds.before),
            kept: count(seconds.kept).max(offline.step),
            after: count(seconds.after),
            wait: count(seconds.wait),
            history: count(seconds.history),
            done: 0,
        }
    }

    /// Scores what can be scored before more is heard.
    pub fn advance(&mut self, model: &CtcModel, scores: &mut Vec<f32>) -> Result<(), NeuralError> {
        while self.count() > self.done + self.wait.max(self.kept + self.after) {
            let end = self.done + self.kept;
            self.window(end + self.after, end, model, scores)?;
            self.done = end;
            self.forget();
        }
        Ok(())
    }

    /// Scores the rest.
    pub fn finish(&mut self, model: &CtcModel, scores: &mut Vec<f32>) -> Result<(), NeuralError> {
        let end = self.count();
        if end > self.done { self.window(end, end, model, scores) } else { Ok(()) }
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.frames.clear();
        self.done = 0;
    }

    fn count(&self) -> usize {
        self.frames.len() / self.width
    }

    /// Drops frames that no window will need.
    fn forget(&mut self) {
        let past = self.done.saturating_sub(self.before.max(self.history));
        // Dropping a few at a time would move the rest all the time.
        if past >= self.kept {
            let past = past - past % self.step;
            self.frames.drain(..past * self.width);
            self.done -= past;
        }
    }

    /// Runs the network on the frames up to `end`, and keeps the scores of those from `done` to `until`.
    fn window(&self, end: usize, until: usize, model: &CtcModel, scores: &mut Vec<f32>) -> Result<(), NeuralError> {
        let crate::package::Kind::Offline(offline) = &model.recipe.kind else {
            unreachable!("windows are of models that see whole utterances")
        };
        let start = self.done.saturating_sub(self.before);
        let mut given = self.frames[start * self.width..end * self.width].to_vec();
        // What is left out of a window for its length counts in its mean.
        let seen = &self.frames[self.done.saturating_sub(self.history).min(start) * self.width..end * self.width];
        normalise(&mut given, seen, self.width, offline.normalise);
        if end - start < offline.least {
            let silence = given.iter().copied().fold(f32::INFINITY, f32::min);
            let silence = if offline.layout == Layout::Samples { 0.0 } else { silence };
            given.resize(offline.least * self.width, silence);
        }
        let (frames, _) = model.run(&offline.inputs(given, self.width))?;
        check_width(&frames, model)?;
        let first = (self.done - start) / self.step;
        let last = (until - start).div_ceil(self.step).min(frames.count);
        if until < end && last < (until - start) / self.step {
            return Err(NeuralError::run(
                model.path(),
                format!("only {} frames of scores for {}", frames.count, end - start),
            ));
        }
        let wanted = &frames.values[first.min(last) * frames.width..last * frames.width];
        append(wanted, frames.width, model, scores)
    }
}

impl Offline {
    /// The inputs for frames of `width` values each.
    pub(crate) fn inputs(&self, frames: Vec<f32>, width: usize) -> Vec<Tensor> {
        let count = frames.len() / width;
        let mut inputs = vec![arranged(frames, width, self.layout)];
        if self.lengths {
            inputs.push(Tensor::whole(&[count as i64]));
        }
        inputs
    }
}

/// Frames in the order in which a network wants them.
pub(super) fn arranged(frames: Vec<f32>, width: usize, layout: Layout) -> Tensor {
    let count = frames.len() / width;
    match layout {
        Layout::FrameMajor => Tensor::float(&[1, count, width], frames),
        Layout::Samples => Tensor::float(&[1, count], frames),
        Layout::BandMajor => {
            let bands = (0..width).flat_map(|band| frames[band..].iter().step_by(width).copied());
            Tensor::float(&[1, width, count], bands.collect())
        }
    }
}

/// Takes the mean of `seen` off the values and divides them by its deviation.
fn normalise(values: &mut [f32], seen: &[f32], width: usize, how: Normalise) {
    for band in 0..width {
        let (mean, variance) = moments(seen[band..].iter().step_by(width));
        let deviation = match how {
            Normalise::Nothing => return,
            Normalise::PerBand => variance.sqrt() + 1e-5,
            Normalise::Samples { least_variance } => (variance + least_variance).sqrt(),
        };
        for value in values[band..].iter_mut().step_by(width) {
            *value = ((f64::from(*value) - mean) / deviation) as f32;
        }
    }
}

/// Mean and variance.
fn moments<'v>(values: impl ExactSizeIterator<Item = &'v f32> + Clone) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.clone().map(|&value| f64::from(value)).sum::<f64>() / count;
    let variance = values.map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    (mean, variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalised_bands_have_mean_zero_and_deviation_one() {
        let mut values: Vec<f32> = (0..30).flat_map(|at| [at as f32, 5.0, -2.0 * at as f32]).collect();
        let seen = values.clone();
        normalise(&mut values, &seen, 3, Normalise::PerBand);
        for (band, expected) in [(0, 1.0), (1, 0.0), (2, 1.0)] {
            let (mean, variance) = moments(values[band..].iter().step_by(3));
            assert!(mean.abs() < 1e-6 && (variance - expected).abs() < 1e-4, "{band}: {mean} {variance}");
        }
    }

    #[test]
    fn bands_first() {
        let tensor = arranged(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, Layout::BandMajor);
        assert_eq!(tensor, Tensor::float(&[1, 2, 3], vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0]));
    }
}
