//! Streams of audio: samples in, scores out.

mod chunks;
mod windows;

use std::sync::Arc;

use crate::error::NeuralError;
use crate::frontend::{Filterbank, FilterbankConfig, FrontEnd};
use crate::model::{CtcModel, Frames};
use crate::package::{Kind, Recipe};
use chunks::Chunks;
use windows::Windows;

/// What matters more in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The best scores, which may wait for the end. A model that sees whole utterances gets them whole up to 25 s, and in
    /// overlapping windows of that length beyond.
    Final,
    /// Scores soon after the audio. A model that sees whole utterances gets short overlapping windows, and what it says of
    /// their middles is put together. A streaming model does the same as in the other mode.
    Live,
}

/// Least score: what a softmax in 32 bits may call impossible is taken for this, so that sums stay finite.
const LEAST_SCORE: f32 = -1e4;

/// One utterance, or one stream of audio.
///
/// Frames of scores come in order, [`CtcModel::frame_seconds`] apart, the first at the start of the audio. Work is done in
/// [`push`](CtcStream::push) and [`finish`](CtcStream::finish), on the thread that calls them. What comes out does not depend
/// on how the samples are cut into pushes. A copy goes on from where the stream is; that of a streaming model is small, for the
/// network's state is shared until one of them moves on.
#[derive(Debug, Clone)]
pub struct CtcStream {
    model: Arc<CtcModel>,
    front_end: FrontEnd,
    progress: Progress,
}

#[derive(Debug, Clone)]
enum Progress {
    Windows(Windows),
    Chunks(Chunks),
}

impl CtcStream {
    pub(crate) fn new(model: Arc<CtcModel>, mode: Mode) -> CtcStream {
        let recipe = &model.recipe;
        let front_end = match &recipe.filterbank {
            Some(config) => FrontEnd::Filterbank(Box::new(Filterbank::new(config.clone()))),
            None => FrontEnd::Samples,
        };
        let progress = match &recipe.kind {
            Kind::Offline(offline) => Progress::Windows(Windows::new(offline, recipe, mode)),
            Kind::Streaming(streaming) => Progress::Chunks(Chunks::new(streaming)),
        };
        CtcStream { model, front_end, progress }
    }

    /// The model whose stream it is.
    pub fn model(&self) -> &Arc<CtcModel> {
        &self.model
    }

    /// Takes samples (mono, full scale ±1, at [`CtcModel::sample_rate`]) and appends the frames that can be scored now, each
    /// [`Tokens::len`](crate::Tokens::len) natural logarithms of probabilities.
    ///
    /// # Errors
    /// [`NeuralError::Run`] when the network fails. The stream is then good for nothing but [`reset`](CtcStream::reset).
    pub fn push(&mut self, samples: &[f32], scores: &mut Vec<f32>) -> Result<(), NeuralError> {
        match &mut self.progress {
            Progress::Windows(windows) => {
                self.front_end.push(samples, &mut windows.frames);
                windows.advance(&self.model, scores)
            }
            Progress::Chunks(chunks) => {
                self.front_end.push(samples, &mut chunks.frames);
                chunks.advance(&self.model, scores)
            }
        }
    }

    /// Ends the stream: appends the frames that are left, and is ready for another stream. Of streaming models the last
    /// piece is filled up with silence, so that frames may come out for some time past the end of the audio.
    ///
    /// # Errors
    /// As [`push`](CtcStream::push).
    pub fn finish(&mut self, scores: &mut Vec<f32>) -> Result<(), NeuralError> {
        let finished = match &mut self.progress {
            Progress::Windows(windows) => {
                self.front_end.finish(&mut windows.frames);
                windows.finish(&self.model, scores)
            }
            Progress::Chunks(chunks) => {
                self.front_end.finish(&mut chunks.frames);
                chunks.finish(&self.model, scores)
            }
        };
        self.reset();
        finished
    }

    /// Forgets the stream, and is ready for another.
    pub fn reset(&mut self) {
        self.front_end.reset();
        match (&mut self.progress, &self.model.recipe.kind) {
            (Progress::Windows(windows), _) => windows.reset(),
            (Progress::Chunks(chunks), Kind::Streaming(streaming)) => *chunks = Chunks::new(streaming),
            (Progress::Chunks(_), Kind::Offline(_)) => unreachable!("a model keeps its kind"),
        }
    }
}

impl Recipe {
    /// A value of a frame of digital silence.
    pub(crate) fn silence(&self) -> f32 {
        self.filterbank.as_ref().map_or(0.0, FilterbankConfig::silence)
    }
}

/// Appends frames as logarithms of probabilities: some networks end before the softmax.
fn append(frames: &[f32], width: usize, model: &CtcModel, scores: &mut Vec<f32>) -> Result<(), NeuralError> {
    for frame in frames.chunks_exact(width) {
        let largest = frame.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = frame.iter().map(|&score| (score - largest).exp()).sum();
        let total = largest + sum.ln();
        if !total.is_finite() {
            return Err(NeuralError::run(model.path(), "its scores are no numbers"));
        }
        // Rounding of what is normalised already is left alone.
        let shift = if total.abs() < 1e-3 { 0.0 } else { total };
        scores.extend(frame.iter().map(|&score| (score - shift).max(LEAST_SCORE)));
    }
    Ok(())
}

/// That a network's scores are as wide as the table of tokens.
fn check_width(frames: &Frames, model: &CtcModel) -> Result<(), NeuralError> {
    if frames.width == model.tokens().len() {
        return Ok(());
    }
    Err(NeuralError::run(model.path(), format!("{} scores in a frame, {} before", frames.width, model.tokens().len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_shared_and_streams_may_change_threads() {
        fn shared<T: Send + Sync>() {}
        fn moved<T: Send>() {}
        shared::<CtcModel>();
        moved::<CtcStream>();
    }
}
