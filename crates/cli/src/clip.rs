//! Audio files on the way to the recogniser.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dictum_audio::{AudioError, ContentType, Decoder};
use dictum_decoder::result::Utterance;
use dictum_models::recogniser::{Band, Event, Options, Recogniser};
use dictum_models::{ModelEntry, ModelsError, NameError, Registry};

/// Bytes of a file given to the decoder at a time.
const CHUNK: usize = 64 * 1024;

/// A clip could not be recognised.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not audio that can be decoded.
    #[error("cannot decode {path}: {source}{reason}", path = path.display(), reason = reason(source))]
    Decode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: AudioError,
    },
}

fn reason(error: &AudioError) -> String {
    error.reason().map(|reason| format!(" ({reason})")).unwrap_or_default()
}

/// No recogniser for the model that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The name is not served.
    #[error("{source} ({name}); \"dictum models list\" shows the names that are")]
    Name {
        /// The name.
        name: String,
        /// Unknown, or known but not installed.
        source: NameError,
    },
    /// Its package is not usable.
    #[error(transparent)]
    Package(#[from] ModelsError),
}

/// A model chosen on the command line, loaded.
pub struct Chosen {
    /// The model.
    pub entry: ModelEntry,
    /// Its recogniser.
    pub recogniser: Arc<Recogniser>,
    /// Whether the person named it; a name that was not given bends to the audio.
    named: bool,
}

impl Chosen {
    /// Loads the model `name`, or the default model.
    pub fn load(registry: &Registry, name: Option<&str>) -> Result<Chosen, ModelError> {
        let wanted = name.unwrap_or_else(|| registry.default_model());
        let entry = registry.resolve(wanted).map_err(|source| ModelError::Name { name: wanted.to_owned(), source })?;
        let recogniser = registry.recogniser(&entry)?;
        Ok(Chosen { entry, recogniser, named: name.is_some() })
    }

    /// The band in which audio of this rate is heard. A model that was named keeps its band (and audio of a lower rate is
    /// brought up to it); otherwise audio of a lower rate is heard as narrowband where the package can.
    fn band(&self, source_rate: u32) -> Band {
        let bands = &self.entry.package.bands;
        self.entry.band_for(source_rate).unwrap_or(match self.named {
            false if bands.contains(&Band::Narrowband) => Band::Narrowband,
            _ => bands.first().copied().unwrap_or(Band::Broadband),
        })
    }
}

/// A clip, decoded.
pub struct Clip {
    /// Mono samples, ±1.0, at the band's rate.
    pub samples: Vec<f32>,
    /// The band.
    pub band: Band,
}

impl Clip {
    /// Length, seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.band.sample_rate())
    }

    /// Recognises the clip; pushes in pieces of a second, as a live source would.
    pub fn recognise(&self, recogniser: &Arc<Recogniser>) -> Vec<Utterance> {
        let mut session = recogniser.session(self.band, Options::default());
        let mut events = Vec::new();
        for piece in self.samples.chunks(self.band.sample_rate() as usize) {
            events.extend(session.push(piece));
        }
        events.extend(session.finish());
        let utterances = events.into_iter().filter_map(|event| match event {
            Event::Utterance(utterance) => Some(utterance),
            Event::SpeechBegin { .. } => None,
        });
        utterances.collect()
    }
}

/// Reads and decodes a file for a model.
pub fn open(path: &Path, ty: &ContentType, model: &Chosen) -> Result<Clip, ClipError> {
    let bytes = read(path)?;
    let rate = source_rate(path, ty, &bytes)?;
    let band = model.band(rate);
    Ok(Clip { samples: samples(path, ty, &bytes, band.sample_rate())?, band })
}

/// Reads and decodes a file at `rate` Hz, whatever its own rate is.
pub fn open_at(path: &Path, ty: &ContentType, rate: u32) -> Result<Vec<f32>, ClipError> {
    samples(path, ty, &read(path)?, rate)
}

/// All bytes of a file, or of standard input for `-`.
fn read(path: &Path) -> Result<Vec<u8>, ClipError> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    bytes.map_err(|source| ClipError::Read { path: path.to_owned(), source })
}

fn samples(path: &Path, ty: &ContentType, bytes: &[u8], rate: u32) -> Result<Vec<f32>, ClipError> {
    let fail = |source| ClipError::Decode { path: path.to_owned(), source };
    let mut decoder = Decoder::new(ty, rate).allow_upsampling(true);
    let mut samples = Vec::new();
    for chunk in bytes.chunks(CHUNK) {
        samples.extend(decoder.push(chunk).map_err(fail)?);
    }
    samples.extend(decoder.finish().map_err(fail)?);
    Ok(samples)
}

/// The sampling rate of a file, from as much of it as is needed.
fn source_rate(path: &Path, ty: &ContentType, bytes: &[u8]) -> Result<u32, ClipError> {
    let fail = |source| ClipError::Decode { path: path.to_owned(), source };
    let mut decoder = Decoder::new(ty, Band::Narrowband.sample_rate()).allow_upsampling(true);
    for chunk in bytes.chunks(CHUNK) {
        decoder.push(chunk).map_err(fail)?;
        if let Some(source) = decoder.source() {
            return Ok(source.sample_rate);
        }
    }
    // Too short to tell before the end: what can be decoded at all is decoded then, and any band will do.
    decoder.finish().map_err(fail)?;
    Ok(Band::Broadband.sample_rate())
}
