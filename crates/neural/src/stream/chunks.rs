//! Models that keep a state: pieces of fixed length, one after the other.

use std::sync::Arc;

use super::windows::arranged;
use super::{append, check_width};
use crate::error::NeuralError;
use crate::model::CtcModel;
use crate::package::{Kind, StateKind, Streaming};
use crate::runtime::Tensor;

/// Frames of silence that are heard past the end of the audio at least: a streaming network tells a word some time after it
/// was said.
const TAIL: usize = 30;

/// The pieces of a stream.
#[derive(Debug, Clone)]
pub(super) struct Chunks {
    /// Frames that are still needed.
    pub frames: Vec<f32>,
    /// Replaced, never changed: copies of the stream share it.
    state: Arc<Vec<Tensor>>,
    /// Frames of scores that the network has given.
    given: usize,
}

impl Chunks {
    pub fn new(streaming: &Streaming) -> Chunks {
        Chunks { frames: Vec::new(), state: Arc::new(streaming.state.clone()), given: 0 }
    }

    /// Scores all whole pieces.
    pub fn advance(&mut self, model: &CtcModel, scores: &mut Vec<f32>) -> Result<(), NeuralError> {
        let streaming = streaming(model);
        let width = model.recipe.width();
        let mut at = 0;
        while self.frames.len() >= (at + streaming.window) * width {
            let piece = self.frames[at * width..(at + streaming.window) * width].to_vec();
            let inputs = streaming.inputs(piece, width, &self.state, self.given);
            let (frames, outputs) = model.run(&inputs)?;
            check_width(&frames, model)?;
            if self.given == 0 {
                nothing_said(model, scores);
            }
            append(&frames.values, frames.width, model, scores)?;
            self.state = Arc::new(streaming.next_state(outputs));
            self.given += frames.count;
            at += streaming.shift;
        }
        self.frames.drain(..at * width);
        Ok(())
    }

    /// Scores the rest, filled up with silence.
    pub fn finish(&mut self, model: &CtcModel, scores: &mut Vec<f32>) -> Result<(), NeuralError> {
        let streaming = streaming(model);
        let width = model.recipe.width();
        if self.frames.is_empty() && self.given == 0 {
            return Ok(());
        }
        // Pieces begin every `shift` frames; the last is the first that leaves nothing of the tail to hear.
        let overlap = streaming.window - streaming.shift;
        let pieces = (self.frames.len() / width + TAIL).saturating_sub(overlap).div_ceil(streaming.shift);
        let needed = pieces * streaming.shift + overlap;
        self.frames.resize(needed.max(self.frames.len() / width) * width, model.recipe.silence());
        self.advance(model, scores)
    }
}

/// Score of a token in a frame in which nothing is said, the blank apart.
const UNLIKELY: f32 = -30.0;

/// Appends the frames that the network leaves out at the start, so that all others have their times.
fn nothing_said(model: &CtcModel, scores: &mut Vec<f32>) {
    let (tokens, blank) = (model.tokens().len(), usize::from(model.tokens().blank()));
    for _ in 0..model.skipped {
        scores.extend((0..tokens).map(|token| if token == blank { 0.0 } else { UNLIKELY }));
    }
}

fn streaming(model: &CtcModel) -> &Streaming {
    match &model.recipe.kind {
        Kind::Streaming(streaming) => streaming,
        Kind::Offline(_) => unreachable!("pieces are of streaming models"),
    }
}

impl Streaming {
    /// The inputs for a piece, when `given` frames of scores came before.
    pub(crate) fn inputs(&self, piece: Vec<f32>, width: usize, state: &[Tensor], given: usize) -> Vec<Tensor> {
        let mut inputs = vec![arranged(piece, width, self.layout)];
        match self.inputs {
            StateKind::Plain => inputs.extend_from_slice(state),
            StateKind::Counted => {
                inputs.push(Tensor::whole(&[self.window as i64]));
                inputs.extend_from_slice(state);
            }
            StateKind::Masked { chunk, cache } => {
                inputs.push(Tensor::whole(&[(cache + given) as i64]));
                inputs.push(Tensor::whole(&[cache as i64]));
                inputs.extend_from_slice(state);
                let empty = cache.saturating_sub(given);
                inputs.push(Tensor::truth(&[1, 1, cache + chunk], (0..cache + chunk).map(|at| at >= empty).collect()));
            }
        }
        inputs
    }

    /// The state among the outputs that follow the scores.
    pub(crate) fn next_state(&self, mut outputs: Vec<Tensor>) -> Vec<Tensor> {
        if self.inputs == StateKind::Counted && !outputs.is_empty() {
            outputs.remove(0);
        }
        outputs.truncate(self.state.len());
        outputs
    }
}
