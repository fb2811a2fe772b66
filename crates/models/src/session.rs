//! One stream of audio being recognised.

use std::collections::VecDeque;
use std::sync::Arc;

use dictum_decoder::result::{EndOfUtterance, Interim, Utterance};
use dictum_decoder::search::Statistics;

use crate::acoustic::Acoustic;
use crate::ear::{Look, Question};
use crate::hearing::Hearing;
use crate::live::{Live, RunningMean};
use crate::pursuit::Pursuit;
use crate::recogniser::{Band, Event, Options, Recogniser};
use crate::segmenter::{Cut, Segmenter, Span};
use crate::utterance::UtteranceDecoder;

/// Pieces in which audio is heard, a second: utterances begin and end at the same places however it is pushed.
const PIECES: usize = 20;

/// Frames that are searched in one step for a final result.
const STEP: usize = 64;

/// How many frames the mean that the model brings along counts for, and that of earlier utterances.
const MODEL_MEAN: f64 = 10.0;
const EARLIER_MEAN: f64 = 30.0;

/// One stream of audio being recognised. CPU-bound; never call from an async task.
///
/// [`push`](Session::push) and [`finish`](Session::finish) do everything there is to do. Who shares a thread among
/// sessions calls [`hear`](Session::hear) or [`end`](Session::end) instead, which take in, and then
/// [`advance`](Session::advance), which works in short steps, until it says that nothing is left. What is reported is the
/// same, and does not depend on how the audio is cut.
pub struct Session {
    recogniser: Arc<Recogniser>,
    band: Band,
    segmenter: Segmenter,
    decoder: UtteranceDecoder,
    /// Samples that have not been listened to.
    samples: Vec<f32>,
    piece: usize,
    ended: bool,
    /// What is to be done before anything is listened to.
    tasks: VecDeque<Task>,
    /// The interim search of the open utterance.
    live: Option<Live>,
    /// The search of the open utterance in case that it ends where it pauses.
    early: Option<Early>,
    interim: bool,
    mean: RunningMean,
    cuts: Vec<Cut>,
    /// What a network that streams makes of the open utterance.
    hearing: Option<Hearing>,
    /// Where the detector may be wrong, and a network is asked.
    question: Option<Question>,
    /// How one that hears whole utterances is.
    look: Option<Look>,
}

enum Task {
    Report(Event),
    Decode {
        search: Box<Pursuit>,
        ended_by: EndOfUtterance,
        /// Whether there were interim results.
        told: bool,
    },
}

struct Early {
    span: Span,
    search: Box<Pursuit>,
}

impl Session {
    pub(crate) fn new(recogniser: Arc<Recogniser>, band: Band, options: Options) -> Session {
        let acoustic = recogniser.model().acoustic();
        // What networks hear needs no mean.
        let initial = recogniser.model().phones().map(|phones| phones.of(band).front_end().params().initial_mean);
        Session {
            segmenter: Segmenter::new(acoustic, band, &options),
            samples: Vec::new(),
            piece: band.sample_rate() as usize / PIECES,
            ended: false,
            tasks: VecDeque::new(),
            live: None,
            early: None,
            interim: options.interim_results,
            mean: RunningMean::new(&initial.unwrap_or_default(), MODEL_MEAN),
            cuts: Vec::new(),
            hearing: None,
            question: None,
            look: None,
            decoder: UtteranceDecoder::new(Arc::clone(&recogniser), band, options),
            band,
            recogniser,
        }
    }

    /// The model it recognises with.
    pub fn recogniser(&self) -> &Arc<Recogniser> {
        &self.recogniser
    }

    /// Work done by the searches for final results so far.
    pub fn statistics(&self) -> Statistics {
        self.decoder.statistics()
    }

    /// Takes mono samples (full scale ±1.0) at the band's rate and reports what they completed.
    pub fn push(&mut self, samples: &[f32]) -> Vec<Event> {
        self.hear(samples);
        self.work()
    }

    /// Ends the audio and reports what is left.
    pub fn finish(&mut self) -> Vec<Event> {
        self.end();
        self.work()
    }

    fn work(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while self.advance(&mut events) {}
        events
    }

    /// Takes in samples, to be worked on by [`advance`](Session::advance).
    pub fn hear(&mut self, samples: &[f32]) {
        self.samples.extend_from_slice(samples);
    }

    /// Says that the audio is complete.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether a final result is being worked on that somebody waits for.
    pub fn is_concluding(&self) -> bool {
        self.tasks.iter().any(|task| matches!(task, Task::Decode { .. }))
    }

    /// Does some milliseconds of work and appends what came of it. Returns whether there may be more to do.
    pub fn advance(&mut self, events: &mut Vec<Event>) -> bool {
        self.advance_task(events)
            || self.advance_live(events)
            || self.advance_question()
            || self.listen()
            || self.advance_early()
    }

    fn advance_task(&mut self, events: &mut Vec<Event>) -> bool {
        match self.tasks.pop_front() {
            None => return false,
            Some(Task::Report(event)) => events.push(event),
            Some(Task::Decode { mut search, ended_by, told }) => {
                if search.advance(STEP) {
                    if let Some(mean) = search.mean() {
                        self.mean = RunningMean::new(mean, EARLIER_MEAN);
                    }
                    let utterances = self.decoder.read(*search, ended_by);
                    self.conclude(utterances, told, events);
                } else {
                    self.tasks.push_front(Task::Decode { search, ended_by, told });
                }
            }
        }
        true
    }

    /// WS-R9: before each final result there is at least one interim result.
    fn conclude(&self, utterances: Vec<Utterance>, told: bool, events: &mut Vec<Event>) {
        for (index, utterance) in utterances.into_iter().enumerate() {
            if self.interim && (index > 0 || !told) {
                let mut words = utterance.alternatives[0].words.clone();
                words.iter_mut().for_each(|word| word.confidence = 0.0);
                events.push(Event::Interim(Interim { words }));
            }
            events.push(Event::Utterance(utterance));
        }
    }

    fn advance_live(&mut self, events: &mut Vec<Event>) -> bool {
        let heard = self.hearing.as_mut().is_some_and(|hearing| {
            let first = hearing.first();
            match self.question {
                Some(_) => hearing.advance(self.segmenter.samples(first), true),
                None => hearing.advance(self.segmenter.certain_samples(first), false),
            }
        });
        let (Some(live), Some(open)) = (self.live.as_mut(), self.segmenter.open()) else { return heard };
        match live.advance(&self.recogniser, &open, self.hearing.as_ref()) {
            Some(changed) => {
                events.extend(changed.map(Event::Interim));
                true
            }
            None => heard,
        }
    }

    /// Listens to the next piece of audio.
    fn listen(&mut self) -> bool {
        let piece = match self.samples.len() {
            0 if self.ended => return self.listen_to_end(),
            known if known < self.piece && !self.ended => return false,
            known => self.piece.min(known),
        };
        let mut cuts = std::mem::take(&mut self.cuts);
        self.segmenter.push(&self.samples[..piece], &mut cuts);
        self.samples.drain(..piece);
        if matches!(self.recogniser.model().acoustic(), Acoustic::Tokens(_)) {
            self.question = self.segmenter.doubt(&mut cuts);
        }
        self.cuts = cuts;
        self.make_cuts();
        true
    }

    fn make_cuts(&mut self) {
        let mut cuts = std::mem::take(&mut self.cuts);
        for cut in cuts.drain(..) {
            self.cut(cut, EndOfUtterance::Silence);
        }
        self.cuts = cuts;
    }

    /// Asks the network whether somebody speaks, if that is in doubt; nothing more is listened to before it is known.
    fn advance_question(&mut self) -> bool {
        let (Some(question), Acoustic::Tokens(spelt)) = (self.question, self.recogniser.model().acoustic()) else {
            return false;
        };
        let heard = match &self.hearing {
            // It has heard everything by now.
            Some(hearing) => hearing.heard(spelt, question.from),
            None => {
                let samples = || self.segmenter.samples(question.first).to_vec();
                let look = self.look.get_or_insert_with(|| Look::new(spelt, question, samples()));
                if !look.advance() {
                    return true;
                }
                look.heard(spelt)
            }
        };
        self.segmenter.judge(question.doubt, &heard, &mut self.cuts);
        (self.question, self.look) = (None, None);
        self.make_cuts();
        true
    }

    fn listen_to_end(&mut self) -> bool {
        // Once more is as good as never: the segmenter has nothing to end then.
        let Some(cut) = self.segmenter.finish() else { return false };
        self.cut(cut, EndOfUtterance::EndOfData);
        true
    }

    fn cut(&mut self, cut: Cut, reason: EndOfUtterance) {
        match cut {
            Cut::Begin { at } => {
                self.hearing = self.begin_to_hear();
                self.live = self.interim.then(|| Live::new(&self.recogniser, self.band, self.mean.clone()));
                self.tasks.push_back(Task::Report(Event::SpeechBegin { at }));
            }
            Cut::Pause => {
                let span = self.segmenter.candidate();
                self.early = span.and_then(|span| Some(Early { span, search: self.search(span)? }));
            }
            Cut::Later => {
                self.hearing = self.begin_to_hear();
                let live = self.live.take();
                self.live = live.map(|_| Live::new(&self.recogniser, self.band, self.mean.clone()));
            }
            Cut::End { span, too_long } => {
                let ended_by = if too_long { EndOfUtterance::Reset } else { reason };
                let early = self.early.take().filter(|early| early.span == span);
                let search = early.map(|early| early.search).or_else(|| self.search(span));
                let told = self.live.take().is_some_and(|live| live.has_told());
                self.hearing = None;
                if let Some(search) = search {
                    self.tasks.push_back(Task::Decode { search, ended_by, told });
                }
            }
        }
    }

    fn search(&self, span: Span) -> Option<Box<Pursuit>> {
        let segment = self.segmenter.segment(span);
        let head = self.hearing.as_ref().and_then(|hearing| hearing.head(segment.start));
        self.decoder.begin(segment, head).map(Box::new)
    }

    /// A network that streams hears the open utterance while it lasts.
    fn begin_to_hear(&self) -> Option<Hearing> {
        let Acoustic::Tokens(spelt) = self.recogniser.model().acoustic() else { return None };
        let open = self.segmenter.open().filter(|_| spelt.model.is_streaming())?;
        Some(Hearing::new(&spelt.model, open.first(), open.start()))
    }

    /// With nothing else to do, searches what will be an utterance if the pause lasts, so that its result is there when it
    /// is certain. Nothing is reported, and if somebody speaks on it was in vain.
    fn advance_early(&mut self) -> bool {
        match &mut self.early {
            Some(early) => !early.search.advance(STEP),
            None => false,
        }
    }

    /// Seconds of audio listened to, and of it seconds judged to be speech so far.
    pub fn heard(&self) -> (f64, f64) {
        self.segmenter.heard()
    }

    /// Seconds since speech was last heard (for the inactivity timeout).
    pub fn silent_for(&self) -> f64 {
        self.segmenter.silent_for()
    }
}
