//! Prediction of wideband cepstra from the bands of telephone speech.

use std::collections::VecDeque;
use std::sync::Arc;

use super::mel::CEPSTRA;
use crate::error::ParseError;

/// An affine map from the log mel energies of half-rate samples, some frames around one, to the cepstra that the full band
/// would have had.
///
/// Text format: lines `key value...`; `#` begins a comment. `bands N` (leading mel bands of the model's bank), `context C`
/// (frames on either side), `bias` with 13 numbers, then 13 lines `row` with `(2 C + 1) * N` weights each, frame by frame
/// from the earliest.
#[derive(Debug, Clone, PartialEq)]
pub struct NarrowbandMap {
    bands: usize,
    context: usize,
    bias: [f32; CEPSTRA],
    /// \[input\]\[coefficient\].
    weights: Arc<[[f32; CEPSTRA]]>,
}

const MAX_BANDS: usize = 512;
const MAX_CONTEXT: usize = 8;

impl NarrowbandMap {
    /// Makes a map of `weights[input][coefficient]`, inputs frame by frame from the earliest.
    ///
    /// # Errors
    /// A message when the number of weights does not fit or a number is not finite.
    pub fn new(
        bands: usize,
        context: usize,
        bias: [f32; CEPSTRA],
        weights: Vec<[f32; CEPSTRA]>,
    ) -> Result<NarrowbandMap, String> {
        if !(1..=MAX_BANDS).contains(&bands) || context > MAX_CONTEXT {
            return Err(format!(
                "{bands} bands with {context} frames of context: 1 to {MAX_BANDS} with at most {MAX_CONTEXT} expected"
            ));
        }
        let inputs = (2 * context + 1) * bands;
        if weights.len() != inputs {
            return Err(format!("weights for {} inputs; {inputs} expected", weights.len()));
        }
        if !bias.iter().chain(weights.iter().flatten()).all(|value| value.is_finite()) {
            return Err("a number is not finite".into());
        }
        Ok(NarrowbandMap { bands, context, bias, weights: weights.into() })
    }

    /// The map for the US English model that Debian packages (16 kHz, 25 bands from 130 to 6800 Hz), estimated on read
    /// and crowd-sourced recordings; the file says how, and how well it does on others.
    pub fn us_english() -> NarrowbandMap {
        NarrowbandMap::parse(include_bytes!("../../data/en-us-narrowband.map")).expect("the map is part of the program")
    }

    /// Reads the text format.
    ///
    /// # Errors
    /// [`ParseError`] with the offset of the line at fault.
    pub fn parse(bytes: &[u8]) -> Result<NarrowbandMap, ParseError> {
        let fault = |offset: usize, reason: String| ParseError { offset: offset as u64, reason };
        let text = std::str::from_utf8(bytes).map_err(|error| fault(error.valid_up_to(), "not text".into()))?;
        let (mut bands, mut context, mut bias, mut rows) = (None, None, None, Vec::new());
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            let at = offset;
            offset += line.len();
            let line = line.split('#').next().unwrap_or("");
            let Some((key, rest)) = line.trim().split_once(char::is_whitespace) else {
                match line.trim() {
                    "" => continue,
                    other => return Err(fault(at, format!("{other:?} has no value"))),
                }
            };
            let numbers = rest
                .split_whitespace()
                .map(|word| word.parse().map_err(|_| fault(at, format!("{word:?} is not a number"))))
                .collect::<Result<Vec<f32>, ParseError>>()?;
            let count = || match numbers[..] {
                [number] if number >= 0.0 && number.fract() == 0.0 && number <= MAX_BANDS as f32 => Ok(number as usize),
                _ => Err(fault(at, format!("{key} must be one whole number"))),
            };
            match key {
                "bands" => bands = Some(count()?),
                "context" => context = Some(count()?),
                "bias" => {
                    let row = <[f32; CEPSTRA]>::try_from(numbers);
                    bias = Some(row.map_err(|_| fault(at, format!("bias needs {CEPSTRA} numbers")))?);
                }
                "row" => rows.push(numbers),
                _ => return Err(fault(at, format!("{key:?} is not known"))),
            }
        }
        let end = text.len();
        let (Some(bands), Some(context), Some(bias)) = (bands, context, bias) else {
            return Err(fault(end, "bands, context or bias is missing".into()));
        };
        let inputs = (2 * context.min(MAX_CONTEXT) + 1) * bands;
        if rows.len() != CEPSTRA || rows.iter().any(|row| row.len() != inputs) {
            return Err(fault(end, format!("{CEPSTRA} rows of {inputs} weights expected")));
        }
        let weights = (0..inputs).map(|input| std::array::from_fn(|k| rows[k][input])).collect();
        NarrowbandMap::new(bands, context, bias, weights).map_err(|reason| fault(end, reason))
    }

    /// Number of leading mel bands the map starts from.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// Frames on either side that the map looks at.
    pub fn context(&self) -> usize {
        self.context
    }

    /// The cepstra predicted from log energies, frame by frame from the earliest; missing ones count as zero.
    pub fn apply(&self, log_energies: &[f64]) -> [f32; CEPSTRA] {
        self.sum(log_energies.iter().copied())
    }

    fn sum(&self, log_energies: impl Iterator<Item = f64>) -> [f32; CEPSTRA] {
        let mut sums = self.bias.map(f64::from);
        for (energy, row) in log_energies.zip(self.weights.iter()) {
            for (sum, &weight) in sums.iter_mut().zip(row) {
                *sum += energy * f64::from(weight);
            }
        }
        sums.map(|sum| sum as f32)
    }

    /// The map in its text format, without comments.
    pub fn to_text(&self) -> String {
        use std::fmt::Write;
        let mut text = format!("bands {}\ncontext {}\nbias", self.bands, self.context);
        for value in self.bias {
            write!(text, " {value}").expect("writing to a string");
        }
        for k in 0..CEPSTRA {
            text.push_str("\nrow");
            for row in self.weights.iter() {
                write!(text, " {}", row[k]).expect("writing to a string");
            }
        }
        text.push('\n');
        text
    }
}

/// Applies a map to a stream of frames; its output lags by the map's context.
pub(super) struct Mapper {
    map: NarrowbandMap,
    recent: VecDeque<Vec<f64>>,
}

impl Mapper {
    pub(super) fn new(map: NarrowbandMap) -> Mapper {
        Mapper { map, recent: VecDeque::new() }
    }

    /// Takes the log energies of a frame and appends the cepstra of the frame `context` earlier, if there is one.
    pub(super) fn push(&mut self, log_energies: &[f64], out: &mut Vec<[f32; CEPSTRA]>) {
        // The first frame stands in for those before it.
        let copies = if self.recent.is_empty() { self.map.context + 1 } else { 1 };
        for _ in 0..copies {
            self.recent.push_back(log_energies.to_vec());
        }
        self.emit(out);
    }

    /// Appends the cepstra still owed, the last frame standing in for those after it.
    pub(super) fn finish(&mut self, out: &mut Vec<[f32; CEPSTRA]>) {
        for _ in 0..self.map.context {
            let Some(last) = self.recent.back().cloned() else { break };
            self.recent.push_back(last);
            self.emit(out);
        }
        self.recent.clear();
    }

    fn emit(&mut self, out: &mut Vec<[f32; CEPSTRA]>) {
        let frames = 2 * self.map.context + 1;
        if self.recent.len() < frames {
            return;
        }
        out.push(self.map.sum(self.recent.iter().flatten().copied()));
        self.recent.pop_front();
    }
}
