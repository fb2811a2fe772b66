//! The session timeout: a client that streams must keep sending (REC-L4).

use std::time::Duration;

use tokio::time::Instant;

/// How far a session has come with what was pushed into it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// Audio received so far, seconds. What is not decoded yet is estimated by what came before it.
    pub received_seconds: f64,
    /// Audio decoded so far, seconds.
    pub audio_seconds: f64,
    /// Of it given to the recogniser, seconds.
    pub heard_seconds: f64,
    /// Of it searched for words, seconds: without interim results an utterance is searched when it ends.
    pub recognised_seconds: f64,
    /// For how long there has been audio waiting for the recogniser, without a break.
    pub behind: Duration,
}

/// Tells when a streaming client sends too little: at least 15 s of audio must arrive in every window of 30 s.
///
/// A window begins when the session does, and anew whenever its 15 s have arrived. So a client that sends faster than
/// half real time never runs out, one that sends slower always does after 30 s, and one that stops is given up within 30 s.
/// The clock stands still while the recogniser is behind: its slowness is not the client's fault. (Up to a second of work
/// in hand is its ordinary latency and does not count as behind.)
#[derive(Debug)]
pub struct SessionClock {
    window: Duration,
    elapsed: Duration,
    seen: Instant,
    audio_at_start: f64,
}

impl SessionClock {
    /// Length of a window.
    pub const WINDOW: Duration = Duration::from_secs(30);
    /// Work in hand up to this is not being behind.
    const LATENCY: Duration = Duration::from_secs(1);

    /// A clock whose first window begins now.
    pub fn new(now: Instant) -> Self {
        Self::with_window(now, Self::WINDOW)
    }

    /// A clock with windows of another length; half of one must be filled.
    pub fn with_window(now: Instant, window: Duration) -> Self {
        SessionClock { window, elapsed: Duration::ZERO, seen: now, audio_at_start: 0.0 }
    }

    /// Begins a new window, as if the present one had been filled.
    pub fn restart(&mut self, progress: Progress) {
        self.elapsed = Duration::ZERO;
        self.audio_at_start = progress.audio_seconds;
    }

    /// Takes note of the session's progress. Returns how soon to look again, or `None`: the session has timed out.
    pub fn observe(&mut self, now: Instant, progress: Progress) -> Option<Duration> {
        let since = now.saturating_duration_since(self.seen);
        self.seen = now;
        if progress.behind < Self::LATENCY {
            self.elapsed += since;
        }
        if progress.audio_seconds - self.audio_at_start >= self.window.as_secs_f64() / 2.0 {
            self.restart(progress);
        }
        let left = self.window.checked_sub(self.elapsed).filter(|left| !left.is_zero())?;
        Some(left.min(Self::LATENCY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds after which a client that sends `speed` seconds of audio per second times out, looked at for ten minutes.
    fn times_out_after(speed: f64, stops_at: f64, behind: Duration) -> Option<f64> {
        let start = Instant::now();
        let mut clock = SessionClock::new(start);
        let mut at = Duration::ZERO;
        while at < Duration::from_secs(600) {
            let audio_seconds = at.as_secs_f64().min(stops_at) * speed;
            let progress = Progress { audio_seconds, behind, ..Progress::default() };
            match clock.observe(start + at, progress) {
                Some(wait) => at += wait.min(Duration::from_millis(100)),
                None => return Some(at.as_secs_f64()),
            }
        }
        None
    }

    /// REC-L4
    #[test]
    fn half_real_time_or_slower_times_out_after_thirty_seconds() {
        for speed in [0.0, 0.1, 0.49] {
            let after = times_out_after(speed, f64::INFINITY, Duration::ZERO).expect("times out");
            assert!((after - 30.0).abs() < 0.2, "{speed}: {after}");
        }
        for speed in [0.51, 1.0, 20.0] {
            assert_eq!(times_out_after(speed, f64::INFINITY, Duration::ZERO), None, "{speed}");
        }
    }

    /// REC-L4
    #[test]
    fn a_client_that_stops_is_given_up_within_thirty_seconds() {
        let after = times_out_after(1.0, 60.0, Duration::ZERO).expect("times out");
        assert!((75.0..=90.2).contains(&after), "{after}");
    }

    /// WS-E2: whatever else counts as a sign of life begins a new window.
    #[test]
    fn a_restart_gives_another_window() {
        let start = Instant::now();
        let mut clock = SessionClock::with_window(start, Duration::from_secs(4));
        let nothing = Progress::default();
        assert!(clock.observe(start + Duration::from_secs(3), nothing).is_some());
        clock.restart(nothing);
        assert!(clock.observe(start + Duration::from_secs(6), nothing).is_some());
        assert!(clock.observe(start + Duration::from_secs(7), nothing).is_none());
    }

    /// REC-L4: processing time never trips it.
    #[test]
    fn the_clock_stands_still_while_the_recogniser_is_behind() {
        assert_eq!(times_out_after(0.0, 0.0, Duration::from_secs(2)), None);
        assert!(times_out_after(0.0, 0.0, Duration::from_millis(500)).is_some(), "ordinary latency does not stop it");
    }
}
