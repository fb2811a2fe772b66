//! Figures about the service as a whole, for Prometheus: sessions, audio, decoding time, waiting time.
//!
//! No figure is kept for a client or a request, so their number does not grow with use.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::session::{Summary, Update};

/// A counter of something that comes in fractions: seconds, as a rule.
type Amount = Counter<f64, AtomicU64>;

/// Seconds between ten milliseconds, which nobody notices, and half a minute.
const WAITING: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.5, 10.0, 30.0];
/// Seconds of waiting for a thread; a turn takes a few hundredths.
const QUEUEING: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// Decoding time for a second of audio.
const REAL_TIME_FACTORS: [f64; 10] = [0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0];

/// The figures of one [`Service`](crate::Service).
pub struct Telemetry {
    registry: Registry,
    active: Gauge,
    most: Gauge,
    admissions: Family<[(&'static str, &'static str); 1], Counter>,
    audio: Amount,
    speech: Amount,
    cpu: Amount,
    real_time_factor: Histogram,
    queued: Gauge,
    turn_wait: Histogram,
    final_result: Histogram,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        let mut telemetry = Telemetry {
            registry: Registry::with_prefix("dictum"),
            active: Gauge::default(),
            most: Gauge::default(),
            admissions: Family::default(),
            audio: Amount::default(),
            speech: Amount::default(),
            cpu: Amount::default(),
            real_time_factor: Histogram::new(REAL_TIME_FACTORS),
            queued: Gauge::default(),
            turn_wait: Histogram::new(QUEUEING),
            final_result: Histogram::new(WAITING),
        };
        telemetry.register();
        telemetry
    }
}

impl Telemetry {
    fn register(&mut self) {
        let registry = &mut self.registry;
        // The library adds a full stop to each text, and `_total` to each counter.
        registry.register("sessions_active", "Clients that hold a permit to recognise", self.active.clone());
        registry.register("sessions_limit", "Permits there are", self.most.clone());
        let help = "Clients that asked for a permit, by whether they got one";
        registry.register("admissions", help, self.admissions.clone());
        registry.register("audio_seconds", "Audio decoded, seconds", self.audio.clone());
        registry.register(
            "speech_seconds",
            "Of finished recordings: what was judged to be speech, seconds",
            self.speech.clone(),
        );
        registry.register("decode_cpu_seconds", "Processor time of the decoding threads, seconds", self.cpu.clone());
        let help = "Decoding time of finished recordings, seconds for a second of audio";
        registry.register("real_time_factor", help, self.real_time_factor.clone());
        registry.register("turns_queued", "Sessions that wait for a decoding thread", self.queued.clone());
        let help = "How long sessions waited for their turn on a decoding thread";
        registry.register("turn_wait_seconds", help, self.turn_wait.clone());
        let help = "Time from the end of a recording's audio to its last result";
        registry.register("final_result_seconds", help, self.final_result.clone());
        // There from the start, so that rates can be computed from the first one on.
        for outcome in ["admitted", "refused"] {
            drop(self.admissions.get_or_create(&[("outcome", outcome)]));
        }
    }

    /// Writes all figures in the text format of OpenMetrics, without its end mark. `active` clients of at most `most` hold a
    /// permit, `queued` sessions wait for a thread.
    pub(crate) fn encode(&self, out: &mut String, active: usize, most: usize, queued: usize) {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.active.set(whole(active));
        self.most.set(whole(most));
        self.queued.set(whole(queued));
        // Writing to a string does not fail.
        let _ = encode_registry(out, &self.registry);
    }

    pub(crate) fn admitted(&self) {
        self.admissions.get_or_create(&[("outcome", "admitted")]).inc();
    }

    pub(crate) fn refused(&self) {
        self.admissions.get_or_create(&[("outcome", "refused")]).inc();
    }

    /// A turn on a decoding thread has begun after this long.
    pub(crate) fn turn_begins(&self, waited: Duration) {
        self.turn_wait.observe(waited.as_secs_f64());
    }

    /// A turn has taken this much of the processor.
    pub(crate) fn turn_ends(&self, cpu: Duration) {
        self.cpu.inc_by(cpu.as_secs_f64());
    }

    /// So much more audio has been decoded, seconds.
    pub(crate) fn decoded(&self, seconds: f64) {
        if seconds > 0.0 {
            self.audio.inc_by(seconds);
        }
    }

    /// A recording has been recognised, so long after its end had come in.
    pub(crate) fn finished(&self, updates: &[Update], since_end: Option<Duration>) {
        if let Some(Update::Finished(summary)) = updates.last() {
            let Summary { audio_seconds, speech_seconds, decode_seconds, .. } = **summary;
            self.speech.inc_by(speech_seconds.max(0.0));
            if audio_seconds > 0.0 {
                self.real_time_factor.observe(decode_seconds / audio_seconds);
            }
        }
        if let Some(since_end) = since_end {
            self.final_result.observe(since_end.as_secs_f64());
        }
    }
}

/// Processor time that this thread has had so far.
pub(crate) fn thread_cpu() -> Duration {
    #[cfg(target_os = "linux")]
    if let Ok(usage) = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_THREAD) {
        let time = |value: nix::sys::time::TimeVal| {
            Duration::new(value.tv_sec().max(0) as u64, 0) + Duration::from_micros(value.tv_usec().max(0) as u64)
        };
        return time(usage.user_time()) + time(usage.system_time());
    }
    // Elsewhere the time that passes; decoding threads do not sleep within a turn.
    static BEGAN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    BEGAN.elapsed()
}
