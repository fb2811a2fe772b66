//! Any sequence of phones: what an utterance could be at best, for judging what it is said to be.
//!
//! A grammar makes something of everything that is said. Whether that is right shows in how much better the same frames fit an
//! unconstrained sequence of phones (the filler models of Rose & Paul, "A hidden Markov model based keyword recognition
//! system", 1990): noise and strange voices make both fit worse, other words only the phrase.

use crate::network::MAX_PHONES;

/// Log-score of passing from one phone to the next: without it every frame would be another phone.
const SWITCH: f32 = -12.0;

/// Scores of the best sequence of phones, frame by frame.
#[derive(Debug, Default)]
pub struct PhoneLoop {
    /// Best score of being in each phone.
    phones: Vec<f32>,
    /// Best score after each frame.
    totals: Vec<f32>,
}

impl PhoneLoop {
    /// Forgets all frames.
    pub fn reset(&mut self) {
        self.phones.clear();
        self.totals.clear();
    }

    /// Takes the best senone score of each phone in the next frame.
    pub fn push(&mut self, best: &[f32; MAX_PHONES], phone_count: usize) {
        let enter = self.totals.last().map_or(0.0, |total| total + SWITCH);
        self.phones.resize(phone_count, enter);
        let mut total = f32::NEG_INFINITY;
        for (phone, score) in self.phones.iter_mut().zip(best) {
            *phone = phone.max(enter) + score;
            total = total.max(*phone);
        }
        self.totals.push(total);
    }

    /// Score of the frames from one to another.
    pub fn score(&self, from: u32, to: u32) -> f32 {
        let until = |frame: u32| match (frame as usize).min(self.totals.len()).checked_sub(1) {
            Some(last) => self.totals[last],
            None => 0.0,
        };
        until(to) - until(from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It is as good as staying in any one phone, and never better than the best phone of every frame.
        #[test]
        fn between_one_phone_and_all(frames in prop::collection::vec(prop::collection::vec(-30.0f32..0.0, 3), 1..30)) {
            let mut phone_loop = PhoneLoop::default();
            for frame in &frames {
                let mut best = [f32::NEG_INFINITY; MAX_PHONES];
                best[..3].copy_from_slice(frame);
                phone_loop.push(&best, 3);
            }
            let total = phone_loop.score(0, frames.len() as u32);
            for phone in 0..3 {
                let stay: f32 = frames.iter().map(|frame| frame[phone]).sum();
                prop_assert!(total >= stay - 1e-3);
            }
            let best: f32 = frames.iter().map(|frame| frame.iter().copied().fold(f32::NEG_INFINITY, f32::max)).sum();
            prop_assert!(total <= best + 1e-3);
        }
    }
}
