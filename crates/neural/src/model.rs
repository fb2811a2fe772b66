//! A loaded package.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::NeuralError;
use crate::mapped::mapped;
use crate::onnx::Outline;
use crate::package::{self, Kind, Precision, Recipe};
use crate::runtime::{self, Network, Runtime, Tensor, Values, guarded};
use crate::stream::{CtcStream, Mode};
use crate::tokens::Tokens;

/// Longest table of tokens that is read, bytes: 65 536 of them with long texts.
const LONGEST_TABLE: u64 = 4 << 20;

/// Most frames that a network may leave out at the start of a stream; NeMo's leave out two.
const MOST_SKIPPED: usize = 50;

/// What a package is opened with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Which network of the package; if not said, that in eight bits if there is one.
    pub precision: Option<Precision>,
    /// What runs it.
    pub runtime: Runtime,
}

/// One loaded package: network and tokens. It does not change; share it between all sessions.
pub struct CtcModel {
    path: PathBuf,
    network: Box<dyn Network>,
    pub(crate) recipe: Recipe,
    tokens: Tokens,
    frame_seconds: f64,
    /// Frames at the start of a stream that the network gives no scores of.
    pub(crate) skipped: usize,
    runs: AtomicU64,
}

impl std::fmt::Debug for CtcModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CtcModel")
            .field("path", &self.path)
            .field("kind", &self.recipe.name)
            .field("tokens", &self.tokens.len())
            .finish_non_exhaustive()
    }
}

impl CtcModel {
    /// Opens a package, a folder with `tokens.txt` and `model.onnx` or `model.int8.onnx` (which is preferred).
    ///
    /// # Errors
    /// What is missing, malformed or not supported, with the file it is in.
    pub fn open(directory: &Path) -> Result<CtcModel, NeuralError> {
        CtcModel::open_with(directory, Options::default())
    }

    /// Opens a package with a choice of precision and runtime.
    ///
    /// The network is tried on a second of silence: what it gives must be as wide as the table of tokens is long.
    ///
    /// # Errors
    /// As [`CtcModel::open`].
    pub fn open_with(directory: &Path, options: Options) -> Result<CtcModel, NeuralError> {
        let files = package::find(directory, options.precision)?;
        let outline = outline(&files.network)?;
        let recipe = package::recognise(&outline).map_err(|reason| NeuralError::unusable(&files.network, reason))?;
        let tokens = tokens(&files.tokens, recipe.blank)?;
        let network = runtime::load(options.runtime, &files.network, &outline)?;
        let mut model = CtcModel {
            path: files.network,
            network,
            recipe,
            tokens,
            frame_seconds: 0.0,
            skipped: 0,
            runs: AtomicU64::new(0),
        };
        model.frame_seconds = model.try_out(&files.tokens)?;
        model.skipped = model.recipe.skipped(model.frame_seconds);
        if model.skipped > MOST_SKIPPED {
            let reason =
                format!("its metadata promise that {} frames of scores are left out at the start", model.skipped);
            return Err(NeuralError::unusable(&model.path, reason));
        }
        Ok(model)
    }

    /// What the columns of the scores stand for.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Rate of the samples that it takes, Hz.
    pub fn sample_rate(&self) -> u32 {
        self.recipe.sample_rate
    }

    /// Seconds from a frame of scores to the next: 0.02 to 0.08.
    pub fn frame_seconds(&self) -> f64 {
        self.frame_seconds
    }

    /// Whether it keeps a state of its own from piece to piece, and so never sees a second time what it has scored.
    pub fn is_streaming(&self) -> bool {
        matches!(self.recipe.kind, Kind::Streaming(_))
    }

    /// What kind of network it is, in words: `NeMo CTC`, `streaming Zipformer CTC`.
    pub fn kind(&self) -> &'static str {
        self.recipe.name
    }

    /// The network's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How often the network was run since it was loaded: what recognition costs is nearly all in this.
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// A stream at its start.
    pub fn stream(self: &Arc<Self>, mode: Mode) -> CtcStream {
        CtcStream::new(Arc::clone(self), mode)
    }

    /// Runs the network; the first output as frames of scores, and all outputs after it.
    pub(crate) fn run(&self, inputs: &[Tensor]) -> Result<(Frames, Vec<Tensor>), NeuralError> {
        let error = |reason: String| NeuralError::run(&self.path, reason);
        self.runs.fetch_add(1, Ordering::Relaxed);
        let mut outputs = guarded(|| self.network.run(inputs)).map_err(error)?.into_iter();
        let scores = outputs.next().ok_or_else(|| error("it has no output".to_string()))?;
        let frames = frames(scores).map_err(error)?;
        Ok((frames, outputs.collect()))
    }

    /// Runs the network on a second of silence and compares what it gives with the package; seconds a frame.
    fn try_out(&mut self, table: &Path) -> Result<f64, NeuralError> {
        let (frames, seconds, expected) = match &self.recipe.kind {
            Kind::Offline(offline) => {
                let count = self.recipe.rate();
                let given = vec![self.recipe.silence(); count * self.recipe.width()];
                let seconds = offline.step as f64 / self.recipe.rate() as f64;
                (self.run(&offline.inputs(given, self.recipe.width()))?.0, seconds, count / offline.step)
            }
            Kind::Streaming(streaming) => {
                let given = vec![self.recipe.silence(); streaming.window * self.recipe.width()];
                let inputs = streaming.inputs(given, self.recipe.width(), &streaming.state, 0);
                let (frames, states) = self.run(&inputs)?;
                let states = streaming.next_state(states);
                if states.iter().map(|state| &state.shape).ne(streaming.state.iter().map(|state| &state.shape)) {
                    let reason = "the state that it gives is not of the shape of the one it takes";
                    return Err(NeuralError::unusable(&self.path, reason));
                }
                let seconds = streaming.shift as f64 / (100 * frames.count.max(1)) as f64;
                let expected = frames.count.max(1);
                (frames, seconds, expected)
            }
        };
        if frames.count == 0 {
            return Err(NeuralError::unusable(
                &self.path,
                "it gives no scores for as much audio as it takes at a time",
            ));
        }
        // Convolutions may lose or gain a few frames at the ends.
        if frames.count.abs_diff(expected) > 6.min(expected) {
            let reason =
                format!("{} frames of scores for a second, where its metadata promise {expected}", frames.count);
            return Err(NeuralError::unusable(&self.path, reason));
        }
        if !self.tokens.truncate(frames.width) {
            let reason = format!("{} tokens, but the network scores {}", self.tokens.len(), frames.width);
            return Err(NeuralError::unusable(table, reason));
        }
        Ok(seconds)
    }
}

/// Scores as a network gives them.
pub(crate) struct Frames {
    pub values: Vec<f32>,
    /// Number of frames.
    pub count: usize,
    /// Values of a frame.
    pub width: usize,
}

fn frames(output: Tensor) -> Result<Frames, String> {
    match (output.shape.as_slice(), output.values) {
        (&[1, count, width], Values::Float(values)) if width > 0 => Ok(Frames { values, count, width }),
        (shape, _) => Err(format!("its first output has the shape {shape:?}: expected 1 x frames x tokens")),
    }
}

/// Looks a network's file through, in place.
fn outline(path: &Path) -> Result<Outline, NeuralError> {
    let bytes = mapped(path).map_err(|source| NeuralError::read(path, source))?;
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(NeuralError::unusable(
            path,
            "it is a pointer of Git LFS and not the file itself; run: git lfs pull",
        ));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let size_of =
        |name: &str| std::fs::metadata(folder.join(name)).ok().filter(|file| file.is_file()).map(|file| file.len());
    Outline::read(&bytes, &size_of).map_err(|error| NeuralError::malformed(path, error))
}

fn tokens(path: &Path, blank: Option<u16>) -> Result<Tokens, NeuralError> {
    let read = |path: &Path| {
        let size = std::fs::metadata(path)?.len();
        if size > LONGEST_TABLE { Ok(None) } else { std::fs::read(path).map(Some) }
    };
    let bytes = read(path).map_err(|source| NeuralError::read(path, source))?;
    let bytes = bytes.ok_or_else(|| NeuralError::unusable(path, "a table of tokens of more than 4 megabytes"))?;
    Tokens::with_blank(&bytes, blank).map_err(|error| NeuralError::malformed(path, error))
}
