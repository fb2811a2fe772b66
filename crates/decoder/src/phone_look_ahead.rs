//! Acoustic look-ahead: how well each phone fits the next few frames.
//!
//! Entering a phone that does not fit what follows is wasted work, and entries are what fills the beam. For each phone
//! the best of its senones is summed over a short window, relative to the best of all phones; an entry is made only if
//! it would survive with that sum added (Ortmanns, Eiden, Ney & Coenen, "Look-ahead techniques for fast beam search",
//! 1997). The scores of paths do not change, only which entries are made.

use crate::network::{MAX_PHONES, Network};

/// Sums of the best senone scores of each phone over a window of frames.
#[derive(Debug)]
pub struct PhoneLookAhead {
    /// Senones in the order of their phones, and where each phone's begin.
    senones: Vec<u16>,
    offsets: Vec<u32>,
    window: usize,
    /// Best score of each phone in the coming frames, oldest first.
    frames: std::collections::VecDeque<[f32; MAX_PHONES]>,
    sums: [f32; MAX_PHONES],
}

impl PhoneLookAhead {
    /// A look-ahead over `window` frames for the senones that the network uses. (Those that only an overlay uses are left out:
    /// every phone has so many that it makes no difference, and all sessions can share what stands on a network.)
    pub fn new(network: &Network, window: usize) -> Self {
        let mut owned: Vec<(u8, u16)> =
            network.states().flat_map(|(phone, senones)| senones.map(|id| (phone, id))).collect();
        owned.sort_unstable();
        owned.dedup();
        let mut offsets = vec![0u32; network.phone_count() + 1];
        for &(phone, _) in &owned {
            offsets[phone as usize + 1] += 1;
        }
        for phone in 0..network.phone_count() {
            offsets[phone + 1] += offsets[phone];
        }
        let senones = owned.into_iter().map(|(_, senone)| senone).collect();
        let (frames, sums) = (Default::default(), [0.0; MAX_PHONES]);
        PhoneLookAhead { senones, offsets, window, frames, sums }
    }

    /// Frames looked ahead.
    pub fn window(&self) -> usize {
        self.window
    }

    /// Forgets all frames.
    pub fn reset(&mut self) {
        self.frames.clear();
    }

    /// Takes the senone scores of the next frame; their best is zero. Returns the best score of each phone.
    pub fn push(&mut self, scores: &[f32]) -> [f32; MAX_PHONES] {
        let mut best = [f32::NEG_INFINITY; MAX_PHONES];
        for (phone, best) in best.iter_mut().enumerate().take(self.offsets.len() - 1) {
            let senones = &self.senones[self.offsets[phone] as usize..self.offsets[phone + 1] as usize];
            *best = senones.iter().map(|&senone| scores[senone as usize]).fold(f32::NEG_INFINITY, f32::max);
        }
        self.frames.push_back(best);
        best
    }

    /// Frames taken and not passed yet.
    pub fn pending(&self) -> usize {
        self.frames.len()
    }

    /// Passes the oldest frame and gives the sums over the window after it; zero or less.
    pub fn pass(&mut self) -> &[f32; MAX_PHONES] {
        self.frames.pop_front();
        self.sums = [0.0; MAX_PHONES];
        for frame in self.frames.iter().take(self.window) {
            self.sums.iter_mut().zip(frame).for_each(|(sum, best)| *sum += best);
        }
        &self.sums
    }
}
