//! What searching an utterance needs beside the model: a few megabytes, lent to a session while it searches.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use dictum_acoustic::Scorer;
use dictum_decoder::phone_look_ahead::PhoneLookAhead;
use dictum_decoder::phone_loop::PhoneLoop;
use dictum_decoder::search::{Search, Statistics};
use parking_lot::Mutex;

use crate::recogniser::{Band, Recogniser};

/// What a search is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A final result, with the beams of the tuning.
    Final,
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
    interims: Mutex<Vec<WorkSpace>>,
    grammars: Mutex<Vec<WorkSpace>>,
}

impl Idle {
    fn of(&self, purpose: Purpose) -> &Mutex<Vec<WorkSpace>> {
        match purpose {
            Purpose::Final => &self.finals,
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
        let purpose = if recogniser.has_grammar() { Purpose::Grammar } else { purpose };
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

/// Scorer, look-ahead and search of one utterance.
pub struct WorkSpace {
    /// The search, some frames behind what was pushed.
    pub search: Search,
    ahead: PhoneLookAhead,
    /// What the frames could be at best, where a grammar says what they may be.
    pub phone_loop: Option<PhoneLoop>,
    /// For wideband and for narrowband speech.
    scorers: [Scorer; 2],
    band: Band,
    /// Scores of frames that were pushed and not yet searched.
    scores: Vec<f32>,
    before: Statistics,
}

impl WorkSpace {
    fn new(recogniser: &Recogniser, purpose: Purpose) -> Self {
        let config = match purpose {
            Purpose::Final => recogniser.tuning().search.clone(),
            Purpose::Interim => recogniser.tuning().interim.clone(),
            Purpose::Grammar => recogniser.tuning().grammar.clone(),
        };
        // That of the base vocabulary has every senone that matters; the work space will serve other networks, too.
        let ahead = PhoneLookAhead::new(recogniser.model().network(), config.phone_look_ahead);
        let search = Search::new(Arc::clone(recogniser.graph()), config);
        let before = search.statistics();
        let scorers = [Band::Broadband, Band::Narrowband].map(|band| recogniser.acoustic_for(band).scorer());
        let phone_loop = (purpose == Purpose::Grammar).then(PhoneLoop::default);
        WorkSpace { search, ahead, phone_loop, scorers, band: Band::Broadband, scores: Vec::new(), before }
    }

    fn reset(&mut self, recogniser: &Recogniser) {
        self.search.reset_on(recogniser.graph());
        self.ahead.reset();
        if let Some(phone_loop) = &mut self.phone_loop {
            phone_loop.reset();
        }
        self.scores.clear();
        self.before = self.search.statistics();
    }

    /// Work done in this utterance.
    pub fn statistics(&self) -> Statistics {
        self.search.statistics() - self.before
    }

    /// Scores feature vectors and searches them, as far behind as the look-ahead needs, or all of them if they are the `last`.
    pub fn push(&mut self, features: &[[f32; 39]], last: bool) {
        let WorkSpace { search, ahead, phone_loop, scorers: [broadband, narrowband], scores, .. } = self;
        let scorer = match self.band {
            Band::Broadband => broadband,
            Band::Narrowband => narrowband,
        };
        let senones = scorer.senone_count();
        let known = scores.len();
        scorer.score(features, scores);
        for frame in scores[known..].chunks_exact_mut(senones) {
            // Leaving out the best score of a frame keeps path scores small, so that single precision suffices.
            let best = frame.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            frame.iter_mut().for_each(|score| *score -= best);
            let best = ahead.push(frame);
            if let Some(phone_loop) = phone_loop {
                phone_loop.push(&best, search.graph().network.phone_count());
            }
        }
        let mut searched = 0;
        while ahead.pending() > if last { 0 } else { ahead.window() } {
            let frame = &scores[searched * senones..(searched + 1) * senones];
            search.push(frame, ahead.pass());
            searched += 1;
        }
        scores.drain(..searched * senones);
    }
}
