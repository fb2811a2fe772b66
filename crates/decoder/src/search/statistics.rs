//! How much work a search does.

/// Counts of work done, for tuning and the benchmark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Frames searched.
    pub frames: u64,
    /// HMMs evaluated.
    pub hmms: u64,
    /// Records made.
    pub records: u64,
}

impl std::ops::AddAssign for Statistics {
    fn add_assign(&mut self, other: Self) {
        self.frames += other.frames;
        self.hmms += other.hmms;
        self.records += other.records;
    }
}

impl std::ops::Sub for Statistics {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Statistics {
            frames: self.frames - earlier.frames,
            hmms: self.hmms - earlier.hmms,
            records: self.records - earlier.records,
        }
    }
}
