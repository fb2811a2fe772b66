//! From the cepstra of an utterance to its final result.

use std::sync::Arc;

use dictum_acoustic::{cepstral_mean, features_of};
use dictum_decoder::consensus::{ConsensusSlot, consensus};
use dictum_decoder::keywords::Spotter;
use dictum_decoder::lattice::Lattice;
use dictum_decoder::n_best::n_best;
use dictum_decoder::phone_loop::PhoneLoop;
use dictum_decoder::result::{Alternative, EndOfUtterance, KeywordHit, Slot, Utterance, Word};
use dictum_decoder::search::Statistics;
use dictum_language::WordId;

use crate::phrases::split_at_phrase_ends;
use crate::recogniser::{Band, Options, Recogniser};
use crate::work_space::{Lent, Purpose};

/// Frames whose senones are scored at once: the Gaussians are read from memory once for all of them.
const BLOCK: usize = 32;

/// Shortest utterance worth decoding, frames: three states of one phone with its differences.
const SHORTEST: usize = 10;

/// The audio of an utterance, as the session cut it.
pub struct Segment {
    /// Cepstra, one per frame.
    pub cepstra: Vec<[f32; 13]>,
    /// Whether each frame holds speech.
    pub speech: Vec<bool>,
    /// When the first frame began, seconds from the start of the stream.
    pub start: f64,
}

impl Segment {
    /// The cepstral mean of its speech.
    fn mean(&self) -> [f32; 13] {
        let frames = self.cepstra.iter().zip(&self.speech);
        let spoken: Vec<[f32; 13]> = frames.filter(|(_, speech)| **speech).map(|(frame, _)| *frame).collect();
        cepstral_mean(if spoken.len() >= SHORTEST { &spoken } else { &self.cepstra })
    }
}

/// An utterance on the way through the search. What comes out does not depend on how the way is cut into pieces.
pub struct Search {
    segment: Segment,
    mean: [f32; 13],
    recogniser: Arc<Recogniser>,
    band: Band,
    /// Lent when the search begins.
    work: Option<Lent>,
    /// Frames that have been scored.
    done: usize,
}

impl Search {
    /// Features with the mean of the utterance's speech, senone scores, search, for the next so many frames. Returns
    /// whether the end was reached.
    pub fn advance(&mut self, frames: usize) -> bool {
        let all = self.segment.cepstra.len();
        let end = all.min(self.done + frames);
        while self.done < end {
            let block = self.done..all.min(self.done + BLOCK);
            self.done = block.end;
            let lend = || Recogniser::work_space(&self.recogniser, self.band, Purpose::Final);
            let work = self.work.get_or_insert_with(lend);
            work.push(&features_of(&self.segment.cepstra, block, &self.mean), self.done == all);
        }
        self.done == all
    }

    /// The mean it searched with.
    pub fn mean(&self) -> &[f32; 13] {
        &self.mean
    }
}

/// Decodes the utterances of one session.
pub struct UtteranceDecoder {
    recogniser: Arc<Recogniser>,
    band: Band,
    options: Options,
    /// Keywords as vocabulary words; `None` where a word is not in the vocabulary.
    keywords: Vec<Option<Vec<WordId>>>,
    statistics: Statistics,
    frame_seconds: f64,
}

impl UtteranceDecoder {
    /// A decoder for a session with these options.
    pub fn new(recogniser: Arc<Recogniser>, band: Band, options: Options) -> Self {
        let keywords = options.keywords.iter().map(|keyword| keyword_words(&recogniser, keyword)).collect();
        let frame_seconds = 1.0 / recogniser.acoustic().front_end().frame_rate();
        UtteranceDecoder { recogniser, band, options, keywords, statistics: Statistics::default(), frame_seconds }
    }

    /// Work done by the search so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Begins to decode an utterance; nothing if it is too short to be one.
    pub fn begin(&self, segment: Segment) -> Option<Search> {
        if segment.cepstra.len() < SHORTEST {
            return None;
        }
        let (recogniser, band) = (Arc::clone(&self.recogniser), self.band);
        Some(Search { mean: segment.mean(), segment, recogniser, band, work: None, done: 0 })
    }

    /// Reads what a search that is at its end has found: nothing if nothing was recognised, several results if it is
    /// split at phrase ends.
    pub fn read(&mut self, search: Search, ended_by: EndOfUtterance) -> Vec<Utterance> {
        match self.utterance(search, ended_by) {
            Some(utterance) if self.options.split_transcript_at_phrase_end => {
                split_at_phrase_ends(utterance, self.recogniser.language_model())
            }
            utterance => utterance.into_iter().collect(),
        }
    }

    fn utterance(&mut self, search: Search, ended_by: EndOfUtterance) -> Option<Utterance> {
        let Search { segment, work, .. } = search;
        let work = work?;
        self.statistics += work.statistics();
        let tuning = self.recogniser.tuning();
        let mut lattice = Lattice::build(&work.search, tuning.lattice_beam);
        if let Some(phone_loop) = &work.phone_loop {
            return self.phrase(&segment, &lattice, phone_loop, ended_by);
        }
        drop(work);
        let searched_with = (tuning.search.lm_weight, tuning.search.word_penalty);
        lattice.reweight(searched_with, (tuning.lattice_lm_weight, tuning.lattice_word_penalty));
        let best: Vec<WordId> = lattice.best_path().iter().filter_map(|arc| arc.word).collect();
        let slots = consensus(&lattice, if tuning.minimum_bayes_risk { tuning.posterior_scale } else { 1.0 }, &best);
        let best = self.best_alternative(&segment, &slots);
        if best.words.is_empty() {
            return None;
        }
        let alternatives = self.alternatives(&segment, &lattice, best);
        let first = &alternatives[0];
        let (start, end) = (first.words[0].start, first.words[first.words.len() - 1].end);
        let slots = if self.options.confusion_network { self.slots(&segment, &slots) } else { Vec::new() };
        let keywords = self.keywords(&segment, &lattice);
        Some(Utterance { start, end, alternatives, slots, keywords, ended_by })
    }

    /// The likeliest phrase of a grammar. Each word is as sure as it is against other phrases and as well as it
    /// fits.
    fn phrase(
        &self,
        segment: &Segment,
        lattice: &Lattice,
        phone_loop: &PhoneLoop,
        ended_by: EndOfUtterance,
    ) -> Option<Utterance> {
        let tuning = self.recogniser.tuning();
        let path = lattice.best_path();
        let posteriors = lattice.posteriors(tuning.posterior_scale);
        let mut words = Vec::new();
        for arc in path.iter().filter(|arc| arc.word.is_some()) {
            let [from, to] = [arc.from, arc.to].map(|node| lattice.nodes[node as usize].frame);
            let middle = (from + to) / 2;
            let rivals = lattice.arcs.iter().zip(&posteriors).filter(|(other, _)| other.word == arc.word);
            let here = |node: u32| lattice.nodes[node as usize].frame;
            let posterior: f64 = rivals
                .filter(|(other, _)| here(other.from) <= middle && middle < here(other.to))
                .map(|(_, posterior)| posterior)
                .sum();
            let own = (arc.acoustic - phone_loop.score(from, to)) / (to - from).max(1) as f32;
            words.push(Word {
                text: self.word(arc.word?),
                start: self.seconds(segment, f64::from(from)),
                end: self.seconds(segment, f64::from(to)),
                confidence: (posterior as f32).min(1.0) * tuning.fit(own),
            });
        }
        let (first, last) = (words.first()?.start, words.last()?.end);
        // A phrase of which one word was not said was not said.
        let confidence = words.iter().map(|word| word.confidence).fold(1.0, f32::min);
        let best = Alternative { confidence, words };
        let alternatives = self.alternatives(segment, lattice, best);
        let keywords = self.keywords(segment, lattice);
        let slots = if self.options.confusion_network {
            let best: Vec<WordId> = path.iter().filter_map(|arc| arc.word).collect();
            self.slots(segment, &consensus(lattice, tuning.posterior_scale, &best))
        } else {
            Vec::new()
        };
        Some(Utterance { start: first, end: last, alternatives, slots, keywords, ended_by })
    }

    fn seconds(&self, segment: &Segment, frame: f64) -> f64 {
        segment.start + frame * self.frame_seconds
    }

    fn word(&self, id: WordId) -> String {
        self.recogniser.written(id).to_owned()
    }

    /// The reading of the confusion network: the likeliest word of each slot.
    fn best_alternative(&self, segment: &Segment, slots: &[ConsensusSlot]) -> Alternative {
        let mut words: Vec<Word> = Vec::new();
        for slot in slots {
            let Some((word, posterior)) = slot.best() else { continue };
            // Times are expectations over paths; words still follow one another.
            let free = words.last().map_or(segment.start, |word| word.end);
            let start = self.seconds(segment, slot.start).max(free);
            let end = self.seconds(segment, slot.end).max(start);
            let confidence = self.recogniser.tuning().confidence(posterior as f32);
            words.push(Word { text: self.word(word), start, end, confidence });
        }
        let confidence = mean_confidence(&words);
        Alternative { words, confidence }
    }

    fn alternatives(&self, segment: &Segment, lattice: &Lattice, best: Alternative) -> Vec<Alternative> {
        let mut alternatives = vec![best];
        if self.options.max_alternatives > 1 {
            let best = alternatives[0].text();
            for reading in n_best(lattice, self.options.max_alternatives) {
                let words: Vec<Word> = reading
                    .words
                    .iter()
                    .map(|&(word, start, end)| Word {
                        text: self.word(word),
                        start: self.seconds(segment, f64::from(start)),
                        end: self.seconds(segment, f64::from(end)),
                        confidence: 0.0,
                    })
                    .collect();
                let alternative = Alternative { words, confidence: 0.0 };
                if alternatives.len() < self.options.max_alternatives && alternative.text() != best {
                    alternatives.push(alternative);
                }
            }
        }
        alternatives
    }

    fn slots(&self, segment: &Segment, slots: &[ConsensusSlot]) -> Vec<Slot> {
        let spoken = slots.iter().filter(|slot| slot.words.iter().any(|(word, _)| word.is_some()));
        spoken
            .map(|slot| Slot {
                start: self.seconds(segment, slot.start),
                end: self.seconds(segment, slot.end),
                words: slot
                    .words
                    .iter()
                    .filter_map(|&(word, posterior)| Some((self.word(word?), posterior as f32)))
                    .collect(),
                skip: slot
                    .words
                    .iter()
                    .find(|(word, _)| word.is_none())
                    .map_or(0.0, |&(_, posterior)| posterior as f32),
            })
            .collect()
    }

    fn keywords(&self, segment: &Segment, lattice: &Lattice) -> Vec<KeywordHit> {
        let (Some(threshold), false) = (self.options.keywords_threshold, self.keywords.is_empty()) else {
            return Vec::new();
        };
        let spotter = Spotter::new(lattice, self.recogniser.tuning().posterior_scale);
        let mut hits = Vec::new();
        for (keyword, words) in self.keywords.iter().enumerate() {
            let Some(words) = words else { continue };
            let normalized_text = words.iter().map(|&word| self.word(word)).collect::<Vec<_>>().join(" ");
            hits.extend(spotter.find(words, f64::from(threshold)).into_iter().map(|hit| KeywordHit {
                keyword,
                normalized_text: normalized_text.clone(),
                start: self.seconds(segment, f64::from(hit.start)),
                end: self.seconds(segment, f64::from(hit.end)),
                confidence: hit.posterior as f32,
            }));
        }
        hits
    }
}

/// A keyword in the vocabulary's spelling: spoken form (RES-K3), lower case.
fn keyword_words(recogniser: &Recogniser, keyword: &str) -> Option<Vec<WordId>> {
    let vocabulary = recogniser.language_model().vocabulary();
    let spoken = dictum_language::spoken_form(keyword).to_lowercase();
    let words: Option<Vec<WordId>> = spoken.split_whitespace().map(|word| vocabulary.id(word)).collect();
    words.filter(|words| !words.is_empty())
}

fn mean_confidence(words: &[Word]) -> f32 {
    words.iter().map(|word| word.confidence).sum::<f32>() / words.len().max(1) as f32
}
