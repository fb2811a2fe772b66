//! What searching an utterance needs beside the model: a few megabytes, lent to a session while it searches.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use dictum_acoustic::Scorer;
use dictum_decoder::network::MAX_PHONES;
use dictum_decoder::phone_look_ahead::PhoneLookAhead;
use dictum_decoder::phone_loop::PhoneLoop;
use dictum_decoder::search::{Ahead, Search, Statistics};
use parking_lot::Mutex;

use crate::acoustic::Acoustic;
use crate::recogniser::{Band, Recogniser};

/// What a search is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A final result, with the beams of the tuning.
    Final,
    /// A final result with several readings, with the wider beams for these, where the tuning has them.
    Several,
    /// Interim results, with narrow beams.
    Interim,
    /// Either, where a grammar says what can be recognised: little is, so one set of beams does.
    Grammar,
}

/// Work spaces that nobody uses at the moment, for all custom models of a package. There are as many as utterances are searched at the same time, which are
/// fewer than sessions.
#[derive(Default)]
pub struct Idle {
    finals: Mutex<Vec<WorkSpace>>,
    severals: Mutex<Vec<WorkSpace>>,
    interims: Mutex<Vec<WorkSpace>>,
    grammars: Mutex<Vec<WorkSpace>>,
}

impl Idle {
    fn of(&self, purpose: Purpose) -> &Mutex<Vec<WorkSpace>> {
        match purpose {
            Purpose::Final => &self.finals,
            Purpose::Several => &self.severals,
            Purpose::Interim => &self.interims,
            Purpose::Grammar => &self.grammars,
        }
    }
}

/// A work space on loan, at the beginning of an utterance; dropping it gives it back.
pub struct Lent {
    work: Option<WorkSpace>,
    purpose: Purpose,
    recogniser: Arc<Recogniser>,
}

impl Lent {
    pub(crate) fn new(recogniser: &Arc<Recogniser>, band: Band, purpose: Purpose) -> Lent {
        let purpose = match purpose {
            _ if recogniser.has_grammar() => Purpose::Grammar,
            Purpose::Several if recogniser.tuning().several.is_none() => Purpose::Final,
            purpose => purpose,
        };
        let idle = recogniser.idle().of(purpose).lock().pop();
        let mut work = idle.unwrap_or_else(|| WorkSpace::new(recogniser, purpose));
        work.reset(recogniser);
        work.band = band;
        Lent { work: Some(work), purpose, recogniser: Arc::clone(recogniser) }
    }
}

impl Deref for Lent {
    type Target = WorkSpace;
    fn deref(&self) -> &WorkSpace {
        self.work.as_ref().expect("held until dropped")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut WorkSpace {
        self.work.as_mut().expect("held until dropped")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // One in which a search panicked may be in any state, so it is not used again.
        if let Some(work) = self.work.take()
            && !std::thread::panicking()
        {
            self.recogniser.idle().of(self.purpose).lock().push(work);
        }
    }
}

/// Scoring, look-ahead and search of one utterance.
pub struct WorkSpace {
    /// The search, some frames behind what was pushed.
    pub search: Search,
    scoring: Scoring,
    band: Band,
    /// Scores of frames that were pushed and not yet searched.
    scores: Vec<f32>,
    before: Statistics,
    /// What the frames could be at best, where a grammar says what they may be.
    free: Option<PhoneLoop>,
}

/// What makes scores of what a session hears.
enum Scoring {
    Phones {
        /// For wideband and for narrowband speech.
        scorers: Box<[Scorer; 2]>,
        ahead: Box<PhoneLookAhead>,
    },
    /// Scores come from a network that has a stream of its own; so many to a frame.
    Tokens(usize),
}

impl WorkSpace {
    fn new(recogniser: &Recogniser, purpose: Purpose) -> Self {
        let tuning = recogniser.tuning();
        let config = match (purpose, &tuning.several) {
            (Purpose::Several, Some(several)) => several.search.clone(),
            (Purpose::Final | Purpose::Several, _) => tuning.search.clone(),
            (Purpose::Interim, _) => tuning.interim.clone(),
            (Purpose::Grammar, _) => tuning.grammar.clone(),
        };
        let scoring = match recogniser.model().acoustic() {
            Acoustic::Phones(phones) => Scoring::Phones {
                scorers: Box::new([Band::Broadband, Band::Narrowband].map(|band| phones.of(band).scorer())),
                // That of the base vocabulary has every senone that matters; the work space will serve other networks, too.
                ahead: Box::new(PhoneLookAhead::new(recogniser.model().network(), config.phone_look_ahead)),
            },
            Acoustic::Tokens(spelt) => Scoring::Tokens(spelt.model.tokens().len()),
        };
        let search = Search::new(Arc::clone(recogniser.graph()), config);
        let before = search.statistics();
        let free = (purpose == Purpose::Grammar).then(PhoneLoop::default);
        WorkSpace { search, scoring, free, band: Band::Broadband, scores: Vec::new(), before }
    }

    fn reset(&mut self, recogniser: &Recogniser) {
        self.search.reset_on(recogniser.graph());
        if let Scoring::Phones { ahead, .. } = &mut self.scoring {
            ahead.reset();
        }
        if let Some(free) = &mut self.free {
            free.reset();
        }
        self.scores.clear();
        self.before = self.search.statistics();
    }

    /// Work done in this utterance.
    pub fn statistics(&self) -> Statistics {
        self.search.statistics() - self.before
    }

    /// Whether a grammar says what can be recognised.
    pub fn has_grammar(&self) -> bool {
        self.free.is_some()
    }

    /// Score of the best that the frames from one to another could be, whatever is said, where a grammar limits what can be
    /// recognised.
    pub fn free_score(&self, from: u32, to: u32) -> f32 {
        self.free.as_ref().map_or(0.0, |free| free.score(from, to))
    }

    /// Scores feature vectors and searches them, as far behind as the look-ahead needs, or all of them if they are the `last`.
    ///
    /// # Panics
    /// When the acoustic model is none of phones.
    pub fn push_features(&mut self, features: &[[f32; 39]], last: bool) {
        let WorkSpace { search, scoring, free, scores, band, .. } = self;
        let Scoring::Phones { scorers, ahead } = scoring else { panic!("features are of models of phones") };
        let scorer = match band {
            Band::Broadband => &mut scorers[0],
            Band::Narrowband => &mut scorers[1],
        };
        let senones = scorer.senone_count();
        let known = scores.len();
        scorer.score(features, scores);
        for frame in scores[known..].chunks_exact_mut(senones) {
            level(frame);
            let best = ahead.push(frame);
            if let Some(free) = free {
                free.push(&best, search.graph().network.phone_count());
            }
        }
        let mut searched = 0;
        while ahead.pending() > if last { 0 } else { ahead.window() } {
            let frame = &scores[searched * senones..(searched + 1) * senones];
            search.push(frame, Ahead::Phones(ahead.pass()));
            searched += 1;
        }
        scores.drain(..searched * senones);
    }

    /// Searches frames of token scores, natural logs, as far behind as the look-ahead needs, or all of them if they are the `last`.
    ///
    /// # Panics
    /// When the acoustic model is one of phones.
    pub fn push_scores(&mut self, frames: &[f32], last: bool) {
        let WorkSpace { search, scoring: Scoring::Tokens(width), free, scores, .. } = self else {
            panic!("token scores are not of models of phones")
        };
        let known = scores.len();
        scores.extend_from_slice(frames);
        for frame in scores[known..].chunks_exact_mut(*width) {
            level(frame);
            if let Some(free) = free {
                // Of the tokens any may be said at any time.
                free.push(&[0.0; MAX_PHONES], 1);
            }
        }
        let count = scores.len() / *width;
        let searched = if last { count } else { count.saturating_sub(1) };
        for at in 0..searched {
            let frame = &scores[at * *width..(at + 1) * *width];
            let next = scores.get((at + 1) * *width..(at + 2) * *width);
            search.push(frame, next.map_or(Ahead::Unknown, Ahead::Tokens));
        }
        scores.drain(..searched * *width);
    }
}

/// Leaves out the best score of a frame, which keeps path scores small, so that single precision suffices.
fn level(frame: &mut [f32]) {
    let best = frame.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    frame.iter_mut().for_each(|score| *score -= best);
}
