//! What a decoding thread does for one session: bytes to samples to events, a slice at a time.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dictum_audio::Decoder;
use dictum_models::ModelEntry;
use dictum_models::recogniser::{Band, Event, Recogniser, Session};

use crate::error::SessionError;
use crate::metrics::Meter;
use crate::session::{MINIMUM_BYTES, SessionRequest, Summary, Update};

/// Most audio given to the recogniser in one turn, seconds. Short enough for many live sessions to share a thread without
/// anybody hearing of it, long enough for the acoustic model to stay in the cache while frames are scored.
const SLICE: f64 = 0.5;

/// Most bytes given to the decoder at once. Some formats make minutes of audio of a kilobyte: what that much can become
/// still fits into memory.
const BITE: usize = 1024;

/// Most such bites in one turn, for formats with much in them that is not audio.
const BITES: usize = 64;

/// The recogniser as a session uses it.
pub(crate) trait Recognition: Send {
    fn push(&mut self, samples: &[f32]) -> Vec<Event>;
    fn finish(&mut self) -> Vec<Event>;
    /// Seconds judged to be speech so far.
    fn speech(&self) -> f64;
    /// Seconds of the audio since speech was last heard.
    fn silent_for(&self) -> f64;
}

impl Recognition for Session {
    fn push(&mut self, samples: &[f32]) -> Vec<Event> {
        Session::push(self, samples)
    }

    fn finish(&mut self) -> Vec<Event> {
        Session::finish(self)
    }

    fn speech(&self) -> f64 {
        self.heard().1
    }

    fn silent_for(&self) -> f64 {
        Session::silent_for(self)
    }
}

/// What makes a recognition once the band is known.
pub(crate) type Begin = Box<dyn FnOnce(Band) -> Box<dyn Recognition> + Send>;

/// What a turn finds when it asks for input.
pub(crate) enum Input {
    /// Bytes of the recording.
    Bytes(Bytes),
    /// The recording is complete.
    End,
    /// Nothing at the moment.
    Nothing,
}

/// Where a turn has left the session.
pub(crate) enum Step {
    /// There may be more to do.
    Busy(Vec<Update>),
    /// Everything that came has been recognised.
    Idle,
    /// The last update is among these.
    Finished(Vec<Update>),
}

/// A session in the hands of a decoding thread.
pub(crate) struct Decoding {
    model: ModelEntry,
    begin: Option<Begin>,
    decoder: Option<Decoder>,
    /// Sampling rate of the recording, Hz, once the decoder has found it out.
    source_rate: Arc<OnceLock<u32>>,
    recognition: Option<(Band, Box<dyn Recognition>)>,
    /// Decoded samples, of which those before `recognised` are done with.
    samples: Vec<f32>,
    recognised: usize,
    received: u64,
    /// The first bytes, until there are enough of them to be a recording.
    held: Vec<u8>,
    samples_heard: u64,
    inactivity_timeout: Option<f64>,
    audio_metrics: bool,
    meter: Option<Meter>,
    /// Time spent in turns before this one.
    busy: Duration,
}

impl Decoding {
    /// A session of the request's model.
    pub(crate) fn new(request: SessionRequest) -> Decoding {
        let SessionRequest { model, recogniser, content_type, options, inactivity_timeout, audio_metrics } = request;
        let begin: Begin = Box::new(move |band| Box::new(Recogniser::session(&recogniser, band, options)));
        Self::with(model, &content_type, begin, inactivity_timeout, audio_metrics)
    }

    pub(crate) fn with(
        model: ModelEntry,
        content_type: &dictum_audio::ContentType,
        begin: Begin,
        inactivity_timeout: Option<f64>,
        audio_metrics: bool,
    ) -> Decoding {
        let source_rate = Arc::new(OnceLock::new());
        let (chooser, chosen) = (model.clone(), Arc::clone(&source_rate));
        let choose = move |rate| {
            chosen.get_or_init(|| rate);
            chooser.band_for(rate).map_or(chooser.info.rate(), Band::sample_rate)
        };
        // A rate below the model's least is refused in `listen`; a model whose package hears one band only may be given
        // audio from below that band, so the decoder is not to refuse it.
        let decoder = Decoder::adaptive(content_type, choose).allow_upsampling(true);
        Decoding {
            model,
            begin: Some(begin),
            decoder: Some(decoder),
            source_rate,
            recognition: None,
            samples: Vec::new(),
            recognised: 0,
            received: 0,
            held: Vec::new(),
            samples_heard: 0,
            inactivity_timeout,
            audio_metrics,
            meter: None,
            busy: Duration::ZERO,
        }
    }

    /// Audio decoded so far, seconds.
    pub(crate) fn audio_seconds(&self) -> f64 {
        let decoded = self.samples_heard + (self.samples.len() - self.recognised) as u64;
        decoded as f64 / f64::from(self.band().sample_rate())
    }

    fn band(&self) -> Band {
        self.recognition.as_ref().map_or(Band::Broadband, |(band, _)| *band)
    }

    /// Does one turn's work: decodes until there is a slice of audio, and recognises that. `input` gives at most so many bytes.
    pub(crate) fn step(&mut self, mut input: impl FnMut(usize) -> Input) -> Result<Step, SessionError> {
        let began = Instant::now();
        let mut found_nothing = false;
        for _ in 0..BITES {
            if self.decoder.is_none() || self.samples.len() - self.recognised >= self.slice() {
                break;
            }
            match input(BITE) {
                Input::Bytes(bytes) => self.decode(&bytes)?,
                Input::End => self.decode_rest()?,
                Input::Nothing => {
                    found_nothing = true;
                    break;
                }
            }
        }
        if found_nothing && self.recognised == self.samples.len() {
            self.busy += began.elapsed();
            return Ok(Step::Idle);
        }
        let mut updates = self.recognise()?;
        // Without a decoder the recording is complete, whatever of it is left to recognise.
        if self.decoder.is_none() && self.recognised == self.samples.len() {
            updates.extend(self.conclude(began));
            return Ok(Step::Finished(updates));
        }
        self.busy += began.elapsed();
        Ok(Step::Busy(updates))
    }

    fn slice(&self) -> usize {
        (SLICE * f64::from(self.band().sample_rate())) as usize
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.received += bytes.len() as u64;
        if self.received < MINIMUM_BYTES {
            self.held.extend_from_slice(bytes);
            return Ok(());
        }
        let Some(decoder) = self.decoder.as_mut() else { return Ok(()) };
        let mut decoded = match std::mem::take(&mut self.held) {
            held if held.is_empty() => Vec::new(),
            held => decoder.push(&held)?,
        };
        decoded.extend(decoder.push(bytes)?);
        self.listen(decoded)
    }

    fn decode_rest(&mut self) -> Result<(), SessionError> {
        if self.received < MINIMUM_BYTES {
            return Err(SessionError::TooShort { bytes: self.received, minimum: MINIMUM_BYTES });
        }
        let Some(decoder) = self.decoder.take() else { return Ok(()) };
        let decoded = decoder.finish()?;
        self.listen(decoded)
    }

    /// Takes decoded samples over. The first time their sampling rate is known, chooses the band and begins.
    fn listen(&mut self, decoded: Vec<f32>) -> Result<(), SessionError> {
        if self.recognition.is_none()
            && let Some(&rate) = self.source_rate.get()
        {
            let needed = self.model.info.rate();
            let band = self.model.band_for(rate).ok_or(SessionError::RateTooLow { rate, needed })?;
            if let Some(begin) = self.begin.take() {
                self.recognition = Some((band, begin(band)));
                self.meter = self.audio_metrics.then(|| Meter::new(band.sample_rate()));
            }
        }
        if self.recognised == self.samples.len() {
            self.samples = decoded;
            self.recognised = 0;
        } else {
            self.samples.extend(decoded);
        }
        Ok(())
    }

    /// Gives the recogniser a slice of what has been decoded.
    fn recognise(&mut self) -> Result<Vec<Update>, SessionError> {
        let slice = self.slice();
        let Some((_, recognition)) = self.recognition.as_mut() else {
            // No decoder makes samples before it knows their rate, so there is nothing to lose here.
            self.recognised = self.samples.len();
            return Ok(Vec::new());
        };
        let end = self.samples.len().min(self.recognised + slice);
        let heard = &self.samples[self.recognised..end];
        if heard.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(meter) = self.meter.as_mut() {
            meter.push(heard);
        }
        let updates = recognition.push(heard).into_iter().map(Update::Event).collect();
        self.samples_heard += heard.len() as u64;
        self.recognised = end;
        if let Some(seconds) = self.inactivity_timeout
            && recognition.silent_for() >= seconds
        {
            return Err(SessionError::NoSpeech { seconds });
        }
        Ok(updates)
    }

    fn conclude(&mut self, began: Instant) -> Vec<Update> {
        let audio_seconds = self.audio_seconds();
        let mut speech_seconds = 0.0;
        let mut updates = Vec::new();
        if let Some((_, mut recognition)) = self.recognition.take() {
            speech_seconds = recognition.speech();
            updates.extend(recognition.finish().into_iter().map(Update::Event));
        }
        let measurements = match self.meter.take() {
            Some(meter) => Some(meter.finish(speech_seconds)),
            None => self.audio_metrics.then(|| Meter::new(self.model.info.rate()).finish(0.0)),
        };
        updates.push(Update::Finished(Box::new(Summary {
            bytes: self.received,
            audio_seconds,
            speech_seconds,
            decode_seconds: (self.busy + began.elapsed()).as_secs_f64(),
            measurements,
        })));
        updates
    }
}
