//! Where phrases end within an utterance (`split_transcript_at_phrase_end`).
//!
//! A phrase ends where the speaker pauses for a moment *and* the language model finds the end of a sentence likelier
//! than the word that follows. Pauses that end an utterance anyway have precedence (recognize.md section 3.2).

use dictum_decoder::result::{Alternative, EndOfUtterance, Utterance, Word};
use dictum_language::LanguageModel;

/// Shortest pause at which a phrase may end, seconds.
const SHORTEST_PAUSE: f64 = 0.2;

/// Splits an utterance at its phrase ends; the parts but the last end by a full stop.
pub fn split_at_phrase_ends(utterance: Utterance, lm: &dyn LanguageModel) -> Vec<Utterance> {
    let cuts = phrase_ends(&utterance.alternatives[0].words, lm);
    split_at(utterance, &cuts)
}

/// Times, seconds, in the middle of the pauses where phrases end.
fn phrase_ends(words: &[Word], lm: &dyn LanguageModel) -> Vec<f64> {
    let mut cuts = Vec::new();
    let mut state = lm.start();
    for pair in words.windows(2) {
        let (Some(word), Some(next)) = (lm.vocabulary().id(&pair[0].text), lm.vocabulary().id(&pair[1].text)) else {
            state = lm.start();
            continue;
        };
        state = lm.step(state, word).0;
        let pause = pair[1].start - pair[0].end;
        if pause >= SHORTEST_PAUSE && lm.end(state) > lm.step(state, next).1 {
            cuts.push((pair[0].end + pair[1].start) / 2.0);
            state = lm.start();
        }
    }
    cuts
}

fn split_at(utterance: Utterance, cuts: &[f64]) -> Vec<Utterance> {
    let mut parts = Vec::new();
    let mut from = f64::NEG_INFINITY;
    for &to in cuts.iter().chain(&[f64::INFINITY]) {
        let within = |start: f64| from <= start && start < to;
        let mut alternatives: Vec<Alternative> = Vec::new();
        for alternative in &utterance.alternatives {
            let words: Vec<Word> = alternative.words.iter().filter(|word| within(word.start)).cloned().collect();
            let confidence = words.iter().map(|word| word.confidence).sum::<f32>() / words.len().max(1) as f32;
            let part = Alternative { words, confidence };
            // Readings that differ in another part only are the same here.
            if !part.words.is_empty() && alternatives.iter().all(|known| known.text() != part.text()) {
                alternatives.push(part);
            }
        }
        if let Some(best) = alternatives.first() {
            let ended_by = if to.is_finite() { EndOfUtterance::FullStop } else { utterance.ended_by };
            parts.push(Utterance {
                start: best.words[0].start,
                end: best.words[best.words.len() - 1].end,
                slots: utterance.slots.iter().filter(|slot| within(slot.start)).cloned().collect(),
                keywords: utterance.keywords.iter().filter(|hit| within(hit.start)).cloned().collect(),
                alternatives,
                ended_by,
            });
        }
        from = to;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alternative(words: &[(&str, f64, f64)]) -> Alternative {
        let word = |&(text, start, end): &(&str, f64, f64)| Word { text: text.to_owned(), start, end, confidence: 0.5 };
        Alternative { words: words.iter().map(word).collect(), confidence: 0.5 }
    }

    /// results.md section 11: the part before a phrase end says `full_stop`, the last keeps its own reason.
    #[test]
    fn every_word_falls_into_one_part() {
        let best = alternative(&[("a", 0.0, 0.4), ("card", 0.4, 1.0), ("the", 1.4, 1.5), ("number", 1.5, 2.0)]);
        let other = alternative(&[("a", 0.0, 0.4), ("car", 0.4, 1.0), ("the", 1.4, 1.5), ("number", 1.5, 2.0)]);
        let utterance = Utterance {
            start: 0.0,
            end: 2.0,
            alternatives: vec![best, other],
            slots: Vec::new(),
            keywords: Vec::new(),
            ended_by: EndOfUtterance::Silence,
        };
        let parts = split_at(utterance.clone(), &[1.2]);
        let texts: Vec<String> = parts.iter().map(|part| part.alternatives[0].text()).collect();
        assert_eq!(texts, ["a card", "the number"]);
        assert_eq!(parts.iter().map(|part| part.alternatives.len()).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(parts[0].ended_by, EndOfUtterance::FullStop);
        assert_eq!((parts[1].start, parts[1].end, parts[1].ended_by), (1.4, 2.0, EndOfUtterance::Silence));
        assert_eq!(split_at(utterance.clone(), &[]), [utterance]);
    }
}
