//! What a session has heard and may still need: frames of cepstra, or of samples where a network makes its own features.

use std::ops::Range;

use dictum_acoustic::{FrontEnd, FrontEndConfig};

use crate::acoustic::Acoustic;
use crate::recogniser::Band;

/// The audio of an utterance.
#[derive(Debug, Clone)]
pub enum Audio {
    /// Cepstra, one per frame.
    Cepstra(Vec<[f32; 13]>),
    /// Samples at 16 kHz, full scale ±1.
    Samples(Vec<f32>),
}

/// Samples of a frame where frames are of samples: 10 ms at 16 kHz.
const FRAME: usize = 160;

/// The frames of a stream from some point on.
pub struct Tape {
    content: Content,
    /// Number of the first frame that is kept.
    first: u64,
}

enum Content {
    Cepstra { front_end: Box<FrontEnd>, frame_rate: f64, frames: Vec<[f32; 13]> },
    Samples(Vec<f32>),
}

impl Tape {
    /// The beginning of a stream for an acoustic model.
    pub fn new(acoustic: &Acoustic, band: Band) -> Tape {
        let content = match acoustic {
            Acoustic::Phones(phones) => Content::cepstra(phones.of(band).front_end()),
            Acoustic::Tokens(_) => Content::Samples(Vec::new()),
        };
        Tape { content, first: 0 }
    }

    /// Frames a second.
    pub fn frame_rate(&self) -> f64 {
        match &self.content {
            Content::Cepstra { frame_rate, .. } => *frame_rate,
            Content::Samples(_) => f64::from(Band::Broadband.sample_rate()) / FRAME as f64,
        }
    }

    /// Number of the first frame that is kept.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Number of the frame after the last that is complete.
    pub fn end(&self) -> u64 {
        let kept = match &self.content {
            Content::Cepstra { frames, .. } => frames.len(),
            Content::Samples(samples) => samples.len() / FRAME,
        };
        self.first + kept as u64
    }

    /// Samples in so many frames, where frames are of samples.
    pub fn samples_in(&self, frames: u64) -> usize {
        frames as usize * FRAME
    }

    /// Takes samples.
    pub fn push(&mut self, samples: &[f32]) {
        match &mut self.content {
            Content::Cepstra { front_end, frames, .. } => front_end.push(samples, frames),
            Content::Samples(kept) => kept.extend_from_slice(samples),
        }
    }

    /// Ends the stream.
    pub fn finish(&mut self) {
        match &mut self.content {
            Content::Cepstra { front_end, frames, .. } => front_end.finish(frames),
            Content::Samples(samples) => samples.resize(samples.len().next_multiple_of(FRAME), 0.0),
        }
    }

    /// Lets go of what is before a frame.
    pub fn forget(&mut self, before: u64) {
        let dropped = before.clamp(self.first, self.end()) - self.first;
        match &mut self.content {
            Content::Cepstra { frames, .. } => drop(frames.drain(..dropped as usize)),
            Content::Samples(samples) => drop(samples.drain(..dropped as usize * FRAME)),
        }
        self.first += dropped;
    }

    /// Copies frames that are kept.
    pub fn cut(&self, frames: Range<u64>) -> Audio {
        let [from, to] = [frames.start, frames.end].map(|frame| (frame - self.first) as usize);
        match &self.content {
            Content::Cepstra { frames, .. } => Audio::Cepstra(frames[from..to].to_vec()),
            Content::Samples(samples) => Audio::Samples(samples[from * FRAME..to * FRAME].to_vec()),
        }
    }

    /// The cepstra from a frame on; none where frames are of samples.
    pub fn cepstra(&self, from: u64) -> &[[f32; 13]] {
        match &self.content {
            Content::Cepstra { frames, .. } => &frames[(from - self.first) as usize..],
            Content::Samples(_) => &[],
        }
    }

    /// The samples from a frame on; none where frames are of cepstra.
    pub fn samples(&self, from: u64) -> &[f32] {
        match &self.content {
            Content::Cepstra { .. } => &[],
            Content::Samples(samples) => &samples[((from - self.first) as usize * FRAME).min(samples.len())..],
        }
    }
}

impl Content {
    fn cepstra(config: &FrontEndConfig) -> Content {
        let front_end = Box::new(FrontEnd::new(config));
        Content::Cepstra { front_end, frame_rate: config.frame_rate(), frames: Vec::new() }
    }
}
