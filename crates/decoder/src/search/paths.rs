//! What a search has found, read from its records: the best end, the way to it, the words so far.

use dictum_language::WordId;

use super::{Record, Search, Token};
use crate::instances::{DEAD, Hmm};

impl Search {
    /// The best record that ends with the last frame; without one, the best of the latest frame that has any.
    pub fn best_end(&self) -> u32 {
        let last = self.records.last().map_or(0, |record| record.end);
        let ending = self.records.iter().enumerate().rev().take_while(|(_, record)| record.end == last);
        let score = |record: &Record| match record.token {
            Token::Begin => DEAD,
            _ => record.score + self.config.lm_weight * self.graph.lm.end(record.state),
        };
        ending.max_by(|a, b| score(a.1).total_cmp(&score(b.1))).map_or(0, |(index, _)| index as u32)
    }

    /// Records from the beginning to `end`, in order, the beginning left out.
    pub fn trace(&self, end: u32) -> Vec<u32> {
        let mut trace = Vec::new();
        let mut at = end;
        while at != 0 {
            trace.push(at);
            at = self.records[at as usize].previous;
        }
        trace.reverse();
        trace
    }

    /// The words of the best path so far, with the frames in which each begins and ends: those that are over, and the one
    /// whose last phone is being spoken.
    pub fn words_so_far(&self) -> Vec<(WordId, u32, u32)> {
        let top = |hmm: &Hmm| hmm.score[0].max(hmm.score[1]).max(hmm.score[2]);
        let best = self.active.iter().map(|&index| self.instances.get(index));
        let Some(best) = best.max_by(|a, b| top(a).total_cmp(&top(b))) else { return Vec::new() };
        let state = (0..3).max_by(|&a, &b| best.score[a].total_cmp(&best.score[b])).unwrap_or(0);
        let history = best.history[state];
        let mut words = Vec::new();
        for index in self.trace(history) {
            let record = &self.records[index as usize];
            if let Token::Word(pronunciation) = record.token {
                let begin = self.records[record.previous as usize].end;
                words.push((self.graph.lexicon.word(pronunciation), begin, record.end));
            }
        }
        let tree = self.graph.tree(best.instance);
        if let Some((last, _)) = tree.as_final(best.instance) {
            let word = self.graph.lexicon.word(tree.last(last).pronunciation);
            words.push((word, self.records[history as usize].end, self.frame));
        }
        words
    }
}
