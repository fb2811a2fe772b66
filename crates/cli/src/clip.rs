//! Audio files on the way to the recogniser.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use dictum_audio::{AudioError, ContentType, Decoder};
use dictum_decoder::result::Utterance;
use dictum_models::recogniser::{Band, Event, Options, Recogniser, Session};
use dictum_models::{ModelEntry, ModelsError, NameError, Registry};

/// Bytes of a file read and given to the decoder at a time.
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

/// The model of a name.
pub fn entry(registry: &Registry, name: &str) -> Result<ModelEntry, ModelError> {
    registry.resolve(name).map_err(|source| ModelError::Name { name: name.to_owned(), source })
}

/// A model chosen on the command line, loaded.
pub struct Chosen {
    /// The model.
    pub entry: ModelEntry,
    /// Id of the custom model that it recognises with, if it does.
    pub customization: Option<String>,
    recogniser: Arc<Recogniser>,
    /// Whether the person named it; a name that was not given bends to the audio.
    named: bool,
}

impl Chosen {
    /// Loads the model `name`, or the default model.
    pub fn load(registry: &Registry, name: Option<&str>) -> Result<Chosen, ModelError> {
        let entry = entry(registry, name.unwrap_or_else(|| registry.default_model()))?;
        let recogniser = registry.recogniser(&entry)?;
        Ok(Chosen { entry, customization: None, recogniser, named: name.is_some() })
    }

    /// A model with the recogniser that a custom one has made of it.
    pub fn customized(entry: ModelEntry, customization: String, recogniser: Arc<Recogniser>, named: bool) -> Chosen {
        Chosen { entry, customization: Some(customization), recogniser, named }
    }

    /// Recognises a file while it is read.
    pub fn recognise(&self, path: &Path, ty: &ContentType) -> Result<Heard, ClipError> {
        let chosen = Arc::new(OnceLock::new());
        let choose = {
            let (chosen, entry, named) = (Arc::clone(&chosen), self.entry.clone(), self.named);
            move |rate| chosen.get_or_init(|| band(&entry, named, rate)).sample_rate()
        };
        let mut listener = None;
        decode(path, Decoder::adaptive(ty, choose), &mut |samples| {
            // The first sample comes after the band was chosen.
            let begin = || Listener::new(&self.recogniser, chosen.get().copied().unwrap_or(Band::Broadband));
            listener.get_or_insert_with(begin).push(samples);
        })?;
        Ok(listener.map(Listener::finish).unwrap_or_default())
    }

    /// Recognises samples (mono, ±1.0) that are in memory.
    pub fn recognise_samples(&self, samples: &[f32], band: Band) -> Heard {
        let mut listener = Listener::new(&self.recogniser, band);
        // In pieces of a second, as from a live source.
        samples.chunks(band.sample_rate() as usize).for_each(|piece| listener.push(piece));
        listener.finish()
    }
}

/// The band in which audio of this rate is heard. A model that was named keeps its band (and audio of a lower rate is
/// brought up to it); otherwise audio of a lower rate is heard as narrowband where the package can.
fn band(model: &ModelEntry, named: bool, source_rate: u32) -> Band {
    let bands = &model.package.bands;
    model.band_for(source_rate).unwrap_or(match named {
        false if bands.contains(&Band::Narrowband) => Band::Narrowband,
        _ => bands.first().copied().unwrap_or(Band::Broadband),
    })
}

/// What was recognised in one recording.
#[derive(Default)]
pub struct Heard {
    /// The utterances, in order.
    pub utterances: Vec<Utterance>,
    /// Length of the recording, seconds.
    pub seconds: f64,
}

/// A session, and what it has said so far.
struct Listener {
    session: Session,
    heard: Heard,
    rate: f64,
}

impl Listener {
    fn new(recogniser: &Arc<Recogniser>, band: Band) -> Listener {
        let session = recogniser.session(band, Options::default());
        Listener { session, heard: Heard::default(), rate: f64::from(band.sample_rate()) }
    }

    fn push(&mut self, samples: &[f32]) {
        self.heard.seconds += samples.len() as f64 / self.rate;
        let events = self.session.push(samples);
        self.heard.take(events);
    }

    fn finish(mut self) -> Heard {
        let events = self.session.finish();
        self.heard.take(events);
        self.heard
    }
}

impl Heard {
    fn take(&mut self, events: Vec<Event>) {
        self.utterances.extend(events.into_iter().filter_map(|event| match event {
            Event::Utterance(utterance) => Some(utterance),
            Event::SpeechBegin { .. } | Event::Interim(_) => None,
        }));
    }
}

/// All samples of a file at `rate` Hz, whatever its own rate is.
pub fn samples(path: &Path, ty: &ContentType, rate: u32) -> Result<Vec<f32>, ClipError> {
    let mut samples = Vec::new();
    decode(path, Decoder::new(ty, rate), &mut |piece| samples.extend_from_slice(piece))?;
    Ok(samples)
}

/// Reads a file, or standard input for `-`, through a decoder.
fn decode(path: &Path, decoder: Decoder, take: &mut dyn FnMut(&[f32])) -> Result<(), ClipError> {
    let unreadable = |source| ClipError::Read { path: path.to_owned(), source };
    let undecodable = |source| ClipError::Decode { path: path.to_owned(), source };
    let mut file: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(std::fs::File::open(path).map_err(unreadable)?),
    };
    let mut decoder = decoder.allow_upsampling(true);
    let mut on_samples = |samples: &[f32]| {
        take(samples);
        ControlFlow::Continue(())
    };
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return decoder.finish_to(&mut on_samples).map_err(undecodable),
            Ok(count) => decoder.push_to(&chunk[..count], &mut on_samples).map_err(undecodable)?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
}
