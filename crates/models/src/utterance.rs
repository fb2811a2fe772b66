//! From the search of an utterance to its final result.

use std::sync::Arc;

use dictum_decoder::consensus::{ConsensusSlot, consensus};
use dictum_decoder::keywords::Spotter;
use dictum_decoder::lattice::{Lattice, LatticeArc};
use dictum_decoder::n_best::n_best;
use dictum_decoder::result::{Alternative, EndOfUtterance, KeywordHit, Slot, Utterance, Word};
use dictum_decoder::search::{Statistics, begins_word};
use dictum_language::{WordId, as_piece};

use crate::acoustic::Acoustic;
use crate::hearing::Head;
use crate::phrases::split_at_phrase_ends;
use crate::pursuit::{Caught, Pursuit};
use crate::recogniser::{Band, Options, Recogniser};
use crate::tape::Audio;
use crate::wording::{Found, words};
use crate::work_space::{Purpose, WorkSpace};

/// The audio of an utterance, as the session cut it.
pub struct Segment {
    /// Its frames.
    pub audio: Audio,
    /// Whether each frame holds speech.
    pub speech: Vec<bool>,
    /// When the first frame began, seconds from the start of the stream.
    pub start: f64,
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
        let frame_seconds = recogniser.model().acoustic().frame_seconds();
        UtteranceDecoder { recogniser, band, options, keywords, statistics: Statistics::default(), frame_seconds }
    }

    /// Work done by the search so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Begins to decode an utterance, of which `head` was scored before; nothing if it is too short to be one.
    pub fn begin(&self, segment: Segment, head: Option<Head>) -> Option<Pursuit> {
        let purpose = if self.options.max_alternatives > 1 { Purpose::Several } else { Purpose::Final };
        Pursuit::new(&self.recogniser, self.band, purpose, segment, head)
    }

    /// Reads what a search that is at its end has found: nothing if nothing was recognised, several results if it is
    /// split at phrase ends.
    pub fn read(&mut self, pursuit: Pursuit, ended_by: EndOfUtterance) -> Vec<Utterance> {
        match self.utterance(pursuit, ended_by) {
            Some(utterance) if self.options.split_transcript_at_phrase_end => {
                split_at_phrase_ends(utterance, self.recogniser.language_model())
            }
            utterance => utterance.into_iter().collect(),
        }
    }

    fn utterance(&mut self, pursuit: Pursuit, ended_by: EndOfUtterance) -> Option<Utterance> {
        let Caught { start, speech, work } = pursuit.into_found()?;
        self.statistics += work.statistics();
        let tuning = self.recogniser.tuning();
        let beam = if work.has_grammar() { tuning.grammar_lattice_beam } else { tuning.lattice_beam };
        let mut lattice = Lattice::build(&work.search, beam);
        if work.has_grammar() {
            return self.phrase(start, &speech, &lattice, &work, ended_by);
        }
        let several = tuning.several.as_ref().filter(|_| self.options.max_alternatives > 1);
        let mut wide = several.map(|several| Lattice::build(&work.search, several.lattice_beam));
        drop(work);
        let searched_with = (tuning.search.lm_weight, tuning.search.word_penalty);
        for lattice in wide.iter_mut().chain([&mut lattice]) {
            lattice.reweight(searched_with, (tuning.lattice_lm_weight, tuning.lattice_word_penalty));
        }
        let best: Vec<WordId> = lattice.best_path().iter().filter_map(|arc| arc.word).collect();
        let slots = consensus(&lattice, if tuning.minimum_bayes_risk { tuning.posterior_scale } else { 1.0 }, &best);
        let best = self.best_alternative(start, &slots);
        if best.words.is_empty() {
            return None;
        }
        let alternatives = self.alternatives(start, wide.as_ref().unwrap_or(&lattice), best);
        let first = &alternatives[0];
        let (begin, end) = (first.words[0].start, first.words[first.words.len() - 1].end);
        let slots = if self.options.confusion_network { self.slots(start, &slots) } else { Vec::new() };
        let keywords = self.keywords(start, &lattice);
        Some(Utterance { start: begin, end, alternatives, slots, keywords, ended_by })
    }

    /// The likeliest phrase of a grammar. Each word is as sure as it is against other phrases and as well as it
    /// fits.
    fn phrase(
        &self,
        start: f64,
        speech: &[bool],
        lattice: &Lattice,
        work: &WorkSpace,
        ended_by: EndOfUtterance,
    ) -> Option<Utterance> {
        let tuning = self.recogniser.tuning();
        let path = lattice.best_path();
        let posteriors = lattice.posteriors(tuning.posterior_scale);
        // What is not of the grammar may have been said beside the words that are.
        let beside = self.fit_beside(lattice, &path, work).min(self.coverage(lattice, &path, speech));
        let found = path.iter().filter_map(|arc| {
            let word = arc.word?;
            let [from, to] = [arc.from, arc.to].map(|node| lattice.nodes[node as usize].frame);
            let middle = (from + to) / 2;
            let rivals = lattice.arcs.iter().zip(&posteriors).filter(|(other, _)| other.word == arc.word);
            let here = |node: u32| lattice.nodes[node as usize].frame;
            let posterior: f64 = rivals
                .filter(|(other, _)| here(other.from) <= middle && middle < here(other.to))
                .map(|(_, posterior)| posterior)
                .sum();
            let own = (arc.acoustic - work.free_score(from, to)) / (to - from).max(1) as f32;
            Some(Found {
                word,
                start: self.seconds(start, f64::from(from)),
                end: self.seconds(start, f64::from(to)),
                confidence: (posterior as f32).min(1.0) * tuning.fit(own).min(beside),
            })
        });
        let words = words(&self.recogniser, found);
        let (first, last) = (words.first()?.start, words.last()?.end);
        // A phrase of which one word was not said was not said.
        let confidence = words.iter().map(|word| word.confidence).fold(1.0, f32::min);
        let best = Alternative { confidence, words };
        let alternatives = self.alternatives(start, lattice, best);
        let keywords = self.keywords(start, lattice);
        let slots = if self.options.confusion_network {
            let best: Vec<WordId> = path.iter().filter_map(|arc| arc.word).collect();
            self.slots(start, &consensus(lattice, tuning.posterior_scale, &best))
        } else {
            Vec::new()
        };
        Some(Utterance { start: first, end: last, alternatives, slots, keywords, ended_by })
    }

    /// How well what is between the words fits silence, as [`fit`](crate::tuning::Tuning::fit) has it. Models of phones
    /// find something like silence in everything, so that nothing follows from it; those of tokens hear that there are some.
    fn fit_beside(&self, lattice: &Lattice, path: &[LatticeArc], work: &WorkSpace) -> f32 {
        let tuning = self.recogniser.tuning();
        if let Acoustic::Phones(_) = self.recogniser.model().acoustic() {
            return 1.0;
        }
        let fillers = path.iter().filter(|arc| arc.word.is_none());
        let lost: f32 = fillers
            .map(|arc| {
                let [from, to] = [arc.from, arc.to].map(|node| lattice.nodes[node as usize].frame);
                arc.acoustic - work.free_score(from, to)
            })
            .sum();
        // A token too many may be noise; three are a word.
        tuning.fit(lost / TOKENS_BESIDE)
    }

    /// How much of the speech the words of a phrase take up, as a factor of confidence: whoever says more than a phrase says
    /// something else. Detectors hear breath as speech, so some may be left over.
    fn coverage(&self, lattice: &Lattice, path: &[LatticeArc], speech: &[bool]) -> f32 {
        let frame = |node: u32| {
            let seconds = f64::from(lattice.nodes[node as usize].frame) * self.frame_seconds;
            ((seconds * SPEECH_FRAMES) as usize).min(speech.len())
        };
        let spoken = |frames: &[bool]| frames.iter().filter(|&&speech| speech).count() as f32;
        let words = path.iter().filter(|arc| arc.word.is_some());
        let covered: f32 = words.map(|arc| spoken(&speech[frame(arc.from)..frame(arc.to)])).sum();
        (covered / spoken(speech).max(1.0) / self.recogniser.tuning().least_coverage).min(1.0)
    }

    /// Seconds from the start of the stream, of a frame of an utterance that began at `start`.
    fn seconds(&self, start: f64, frame: f64) -> f64 {
        start + frame * self.frame_seconds
    }

    /// The reading of the confusion network: the likeliest word of each slot.
    fn best_alternative(&self, start: f64, slots: &[ConsensusSlot]) -> Alternative {
        // Times are expectations over paths; words still follow one another.
        let mut free = start;
        let found = slots.iter().filter_map(|slot| {
            let (word, posterior) = slot.best()?;
            let begin = self.seconds(start, slot.start).max(free);
            free = self.seconds(start, slot.end).max(begin);
            let confidence = self.recogniser.tuning().calibration.confidence(posterior as f32);
            Some(Found { word, start: begin, end: free, confidence })
        });
        let words = words(&self.recogniser, found);
        let confidence = mean_confidence(&words);
        Alternative { words, confidence }
    }

    fn alternatives(&self, start: f64, lattice: &Lattice, best: Alternative) -> Vec<Alternative> {
        let mut alternatives = vec![best];
        if self.options.max_alternatives > 1 {
            let readings = match self.recogniser.model().acoustic() {
                Acoustic::Phones(_) => 1,
                Acoustic::Tokens(_) => READINGS,
            };
            for reading in n_best(lattice, readings * self.options.max_alternatives) {
                let found = reading.words.iter().map(|&(word, begin, end)| Found {
                    word,
                    start: self.seconds(start, f64::from(begin)),
                    end: self.seconds(start, f64::from(end)),
                    confidence: 0.0,
                });
                let alternative = Alternative { words: words(&self.recogniser, found), confidence: 0.0 };
                let text = alternative.text();
                // Pieces may spell what is there as a word.
                let new = alternatives.iter().all(|known| known.text() != text);
                if alternatives.len() < self.options.max_alternatives && new {
                    alternatives.push(alternative);
                }
            }
        }
        alternatives
    }

    /// The slots in which a word may have been said. Words that are spelt stand in them as far as the reading has them; what
    /// else could be spelt is as good as nothing said.
    fn slots(&self, start: f64, slots: &[ConsensusSlot]) -> Vec<Slot> {
        let mut written: Vec<Slot> = Vec::new();
        // What the last word of the reading is spelt like, and whether of pieces.
        let (mut spelling, mut spelt) = (Vec::new(), false);
        for slot in slots.iter().filter(|slot| slot.words.iter().any(|(word, _)| word.is_some())) {
            let best = slot.best().map(|(word, _)| word);
            let goes_on = best.filter(|&word| !begins_word(word));
            if let (Some(piece), Some(last)) = (goes_on, written.last_mut()) {
                if let Some((text, _)) = last.words.first_mut() {
                    spelling.extend_from_slice(self.recogniser.spelling(piece));
                    *text = self.recogniser.read(&spelling, spelt);
                    last.end = self.seconds(start, slot.end);
                }
                continue;
            }
            spelling = best.map_or(Vec::new(), |word| self.recogniser.spelling(word).to_vec());
            spelt = best.is_some_and(|word| as_piece(word).is_some());
            let said = slot.words.iter().filter_map(|&(word, posterior)| Some((word?, posterior as f32)));
            let text = |word| self.recogniser.read(self.recogniser.spelling(word), as_piece(word).is_some());
            let words: Vec<(String, f32)> = said
                .filter(|&(word, _)| as_piece(word).is_none() || Some(word) == best)
                .map(|(word, posterior)| (text(word), posterior))
                .collect();
            let skip = 1.0 - words.iter().map(|(_, posterior)| posterior).sum::<f32>();
            let [start, end] = [slot.start, slot.end].map(|frame| self.seconds(start, frame));
            if !words.is_empty() {
                written.push(Slot { start, end, words, skip: skip.max(0.0) });
            }
        }
        written
    }

    fn keywords(&self, start: f64, lattice: &Lattice) -> Vec<KeywordHit> {
        let (Some(threshold), false) = (self.options.keywords_threshold, self.keywords.is_empty()) else {
            return Vec::new();
        };
        let spotter = Spotter::new(lattice, self.recogniser.tuning().posterior_scale);
        let mut hits = Vec::new();
        for (keyword, words) in self.keywords.iter().enumerate() {
            let Some(words) = words else { continue };
            let normalized_text = words.iter().map(|&word| self.recogniser.written(word)).collect::<Vec<_>>().join(" ");
            hits.extend(spotter.find(words, f64::from(threshold)).into_iter().map(|hit| KeywordHit {
                keyword,
                normalized_text: normalized_text.clone(),
                start: self.seconds(start, f64::from(hit.start)),
                end: self.seconds(start, f64::from(hit.end)),
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

/// Readings that are looked at for each alternative: pieces may spell what is there as a word, and words be spelt in several ways.
const READINGS: usize = 8;

/// Frames a second of which is known whether they hold speech.
const SPEECH_FRAMES: f64 = 100.0;

/// How many tokens beside the words of a phrase weigh as much as a frame of a word.
const TOKENS_BESIDE: f32 = 6.0;

fn mean_confidence(words: &[Word]) -> f32 {
    words.iter().map(|word| word.confidence).sum::<f32>() / words.len().max(1) as f32
}
