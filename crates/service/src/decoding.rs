//! What a decoding thread does for one session: bytes to samples to events, a slice at a time.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dictum_audio::Decoder;
use dictum_models::ModelEntry;
use dictum_models::recogniser::{Band, Event, Recogniser, Session};

use crate::error::SessionError;
use crate::metrics::{Measurements, Meter};
use crate::session::{MINIMUM_BYTES, SessionRequest, Summary, Update};

/// How long a turn takes before others have theirs.
const TURN: Duration = Duration::from_millis(20);

/// Most audio given to the recogniser at once, seconds.
const SLICE: f64 = 0.5;

/// Most bytes given to the decoder at once. Some formats make minutes of audio of a kilobyte: what that much can become
/// still fits into memory.
const BITE: usize = 1024;

/// How long somebody who watches words appear does not notice waiting, and how long somebody who sent a recording.
const LIVE_PATIENCE: Duration = Duration::from_millis(100);
const UPLOAD_PATIENCE: Duration = Duration::from_millis(500);
/// How long work that nobody waits for gives way to others before it has a turn between them all the same.
const BACKGROUND_PATIENCE: Duration = Duration::from_secs(5);

/// The recogniser as a session uses it.
pub(crate) trait Recognition: Send {
    /// Takes in samples.
    fn hear(&mut self, samples: &[f32]);
    /// The audio is complete.
    fn end(&mut self);
    /// Does some milliseconds of work and says whether there may be more to do.
    fn advance(&mut self, events: &mut Vec<Event>) -> bool;
    /// Whether a final result is being worked on that somebody waits for.
    fn is_concluding(&self) -> bool;
    /// Seconds judged to be speech so far.
    fn speech(&self) -> f64;
    /// Seconds of the audio since speech was last heard.
    fn silent_for(&self) -> f64;
}

impl Recognition for Session {
    fn hear(&mut self, samples: &[f32]) {
        Session::hear(self, samples);
    }

    fn end(&mut self) {
        Session::end(self);
    }

    fn advance(&mut self, events: &mut Vec<Event>) -> bool {
        Session::advance(self, events)
    }

    fn is_concluding(&self) -> bool {
        Session::is_concluding(self)
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

/// How far a session has come, in seconds of audio and bytes of the recording.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Position {
    /// Bytes given to the audio decoder.
    pub(crate) bytes: u64,
    /// Decoded.
    pub(crate) decoded: f64,
    /// Given to the recogniser.
    pub(crate) heard: f64,
    /// Searched for words.
    pub(crate) recognised: f64,
}

/// Where a turn has left the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// There may be more to do.
    Busy,
    /// Everything that came has been recognised.
    Idle,
    /// The last update has been made.
    Finished,
}

/// A session in the hands of a decoding thread.
pub(crate) struct Decoding {
    model: ModelEntry,
    begin: Option<Begin>,
    decoder: Option<Decoder>,
    /// Sampling rate of the recording, Hz, once the decoder has found it out.
    source_rate: Arc<OnceLock<u32>>,
    /// What the recording is heard in; a guess until its sampling rate is known.
    band: Band,
    recognition: Option<Box<dyn Recognition>>,
    /// Decoded samples, of which those before `recognised` are done with.
    samples: Vec<f32>,
    recognised: usize,
    /// Whether the recogniser may have more to do with what it has heard.
    working: bool,
    /// Whether it knows that it has heard everything.
    ended: bool,
    events: Vec<Event>,
    /// Whether utterances are searched while they last.
    live: bool,
    /// Whether nobody waits for it.
    background: bool,
    received: u64,
    /// The first bytes, until there are enough of them to be a recording.
    held: Vec<u8>,
    samples_heard: u64,
    /// Seconds that were searched when the recogniser last had nothing more to do.
    searched: f64,
    /// Where the utterance began that waits for its search.
    open_since: Option<f64>,
    inactivity_timeout: Option<f64>,
    audio_metrics: bool,
    meter: Option<Meter>,
    /// Time spent in turns before this one.
    busy: Duration,
}

impl Decoding {
    /// A session of the request's model.
    pub(crate) fn new(request: SessionRequest) -> Decoding {
        let SessionRequest { model, recogniser, content_type, options, inactivity_timeout, audio_metrics, background } =
            request;
        let live = options.interim_results;
        let begin: Begin = Box::new(move |band| Box::new(Recogniser::session(&recogniser, band, options)));
        let decoding = Self::with(model, &content_type, begin, inactivity_timeout, audio_metrics);
        Decoding { live, background, ..decoding }
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
            band: Band::Broadband,
            recognition: None,
            samples: Vec::new(),
            recognised: 0,
            working: false,
            ended: false,
            events: Vec::new(),
            live: false,
            background: false,
            received: 0,
            held: Vec::new(),
            samples_heard: 0,
            searched: 0.0,
            open_since: None,
            inactivity_timeout,
            audio_metrics,
            meter: None,
            busy: Duration::ZERO,
        }
    }

    /// Audio decoded so far, seconds.
    pub(crate) fn audio_seconds(&self) -> f64 {
        let decoded = self.samples_heard + (self.samples.len() - self.recognised) as u64;
        decoded as f64 / f64::from(self.band.sample_rate())
    }

    /// For how long the next turn may be put off.
    pub(crate) fn patience(&self) -> Duration {
        match &self.recognition {
            _ if self.background => BACKGROUND_PATIENCE,
            _ if !self.live => UPLOAD_PATIENCE,
            Some(recognition) if recognition.is_concluding() => Duration::ZERO,
            _ => LIVE_PATIENCE,
        }
    }

    /// How far it has come.
    pub(crate) fn position(&self) -> Position {
        let heard = self.samples_heard as f64 / f64::from(self.band.sample_rate());
        let recognised = match self.open_since {
            _ if self.working => self.searched,
            Some(since) if !self.ended => since.min(heard),
            _ => heard,
        };
        Position { bytes: self.received, decoded: self.audio_seconds(), heard, recognised }
    }

    /// Does one turn's work: recognises what has been heard, hears what has been decoded, decodes what has come. `input` gives
    /// at most so many bytes.
    pub(crate) fn step(
        &mut self,
        mut input: impl FnMut(usize) -> Input,
        updates: &mut Vec<Update>,
    ) -> Result<Step, SessionError> {
        let began = Instant::now();
        let step = loop {
            if self.working {
                self.recognise(updates)?;
            } else if self.recognised < self.samples.len() {
                self.hear();
            } else if self.decoder.is_some() {
                match input(BITE) {
                    Input::Bytes(bytes) => self.decode(&bytes)?,
                    Input::End => self.decode_rest()?,
                    Input::Nothing => break Step::Idle,
                }
            } else if !self.ended {
                self.end();
            } else {
                updates.push(self.conclude(began));
                break Step::Finished;
            }
            if began.elapsed() >= TURN {
                break Step::Busy;
            }
        };
        self.busy += began.elapsed();
        Ok(step)
    }

    fn slice(&self) -> usize {
        (SLICE * f64::from(self.band.sample_rate())) as usize
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
                self.band = band;
                self.recognition = Some(begin(band));
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
    fn hear(&mut self) {
        let slice = self.slice();
        let Some(recognition) = self.recognition.as_mut() else {
            // No decoder makes samples before it knows their rate, so there is nothing to lose here.
            self.recognised = self.samples.len();
            return;
        };
        let end = self.samples.len().min(self.recognised + slice);
        let heard = &self.samples[self.recognised..end];
        if let Some(meter) = self.meter.as_mut() {
            meter.push(heard);
        }
        recognition.hear(heard);
        self.searched = self.position().recognised;
        self.samples_heard += heard.len() as u64;
        self.recognised = end;
        self.working = true;
    }

    /// Tells the recogniser that it has heard everything.
    fn end(&mut self) {
        self.searched = self.position().recognised;
        self.ended = true;
        if let Some(recognition) = self.recognition.as_mut() {
            recognition.end();
            self.working = true;
        }
    }

    /// Lets the recogniser work a little.
    fn recognise(&mut self, updates: &mut Vec<Update>) -> Result<(), SessionError> {
        let Some(recognition) = self.recognition.as_mut() else {
            self.working = false;
            return Ok(());
        };
        self.working = recognition.advance(&mut self.events);
        if !self.live {
            self.open_since = open_after(&self.events, self.open_since);
        }
        updates.extend(self.events.drain(..).map(Update::Event));
        match self.inactivity_timeout {
            Some(seconds) if !self.ended && recognition.silent_for() >= seconds => {
                Err(SessionError::NoSpeech { seconds })
            }
            _ => Ok(()),
        }
    }

    fn conclude(&mut self, began: Instant) -> Update {
        let audio_seconds = self.audio_seconds();
        let speech_seconds = self.recognition.as_ref().map_or(0.0, |recognition| recognition.speech());
        self.recognition = None;
        let measurements = match self.meter.take() {
            Some(meter) => Some(meter.finish(speech_seconds)),
            None => self.audio_metrics.then(Measurements::default),
        };
        Update::Finished(Box::new(Summary {
            bytes: self.received,
            audio_seconds,
            speech_seconds,
            decode_seconds: (self.busy + began.elapsed()).as_secs_f64(),
            measurements,
        }))
    }
}

/// Where the utterance began that is open after some events.
fn open_after(events: &[Event], open_since: Option<f64>) -> Option<f64> {
    events.iter().fold(open_since, |open, event| match event {
        Event::SpeechBegin { at } => Some(*at),
        Event::Interim(_) => open,
        Event::Utterance(_) => None,
    })
}
