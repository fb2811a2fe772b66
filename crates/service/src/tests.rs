//! Sessions on a pool, with a recogniser that is nothing but a loudness meter: what it hears is known, and it is there on
//! machines without a model. Recognition itself is tested where the real one is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use dictum_audio::ContentType;
use dictum_models::recogniser::{Band, Event};
use dictum_models::{ModelEntry, Registry, RegistryConfig};
use futures::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::decoding::{Decoding, Recognition};
use crate::pool::Pool;
use crate::session::{AudioInput, Closed, Update, Updates, start_decoding};
use crate::{Delivery, SessionError, UploadError, UploadLimits, upload};

/// Reports speech whenever loud samples follow quiet ones.
#[derive(Default)]
struct Loudness {
    rate: f64,
    heard: u64,
    loud: u64,
    quiet_since: u64,
    was_loud: bool,
    events: Vec<Event>,
    /// Waits for a word before each slice.
    gate: Option<mpsc::Receiver<()>>,
    /// Counts the samples for a test to see.
    counter: Arc<AtomicU64>,
    gone: Gone,
    panics: bool,
}

impl Recognition for Loudness {
    fn hear(&mut self, samples: &[f32]) {
        assert!(!self.panics, "a defect of the recogniser");
        if let Some(gate) = &self.gate {
            let _ = gate.recv();
        }
        for sample in samples {
            self.heard += 1;
            let loud = sample.abs() > 0.1;
            if loud {
                self.loud += 1;
                self.quiet_since = self.heard;
            }
            if loud && !self.was_loud {
                self.events.push(Event::SpeechBegin { at: (self.heard - 1) as f64 / self.rate });
            }
            self.was_loud = loud;
        }
        self.counter.fetch_add(samples.len() as u64, Ordering::SeqCst);
    }

    fn end(&mut self) {}

    fn advance(&mut self, events: &mut Vec<Event>) -> bool {
        events.append(&mut self.events);
        false
    }

    fn is_concluding(&self) -> bool {
        false
    }

    fn speech(&self) -> f64 {
        self.loud as f64 / self.rate
    }

    fn silent_for(&self) -> f64 {
        (self.heard - self.quiet_since) as f64 / self.rate
    }
}

/// Set when dropped.
#[derive(Default)]
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A pool of one thread and the names of a package whose files nobody opens.
struct Bench {
    pool: Pool,
    registry: Registry,
    permits: Arc<Semaphore>,
    _package: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let package = tempfile::tempdir().unwrap();
        let config = RegistryConfig { default_package: Some(package.path().to_owned()), ..RegistryConfig::default() };
        Bench {
            pool: Pool::new(1, Arc::default()),
            registry: Registry::open(&config).unwrap(),
            permits: Arc::new(Semaphore::new(8)),
            _package: package,
        }
    }

    fn model(&self, name: &str) -> ModelEntry {
        self.registry.resolve(name).unwrap()
    }

    fn permit(&self) -> Arc<OwnedSemaphorePermit> {
        Arc::new(Arc::clone(&self.permits).try_acquire_owned().unwrap())
    }

    /// A session of linear samples at `rate`.
    fn session(
        &self,
        model: &str,
        rate: u32,
        silence: Option<f64>,
        mut recognition: Loudness,
    ) -> (AudioInput, Updates) {
        let content_type =
            ContentType::parse(Some(&format!("audio/l16;rate={rate};endianness=little-endian"))).unwrap();
        let begin = Box::new(move |band: Band| {
            recognition.rate = f64::from(band.sample_rate());
            Box::new(recognition) as Box<dyn Recognition>
        });
        let decoding = Decoding::with(self.model(model), &content_type, begin, silence, true);
        start_decoding(self.pool.handle(), decoding, 8 * 1024, self.permit())
    }

    async fn has_permits(&self, count: usize) -> bool {
        for _ in 0..200 {
            if self.permits.available_permits() == count {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }
}

/// Bytes of `seconds` of a square wave at `rate`, this loud.
fn audio(rate: u32, seconds: f64, level: f64) -> Bytes {
    let samples = (f64::from(rate) * seconds) as usize;
    let value = (level * 32_767.0) as i16;
    (0..samples).flat_map(|n| (if n % 20 < 10 { value } else { -value }).to_le_bytes()).collect::<Vec<u8>>().into()
}

async fn all(mut updates: Updates) -> (Vec<Update>, Option<SessionError>) {
    let mut seen = Vec::new();
    while let Some(update) = updates.next().await {
        match update {
            Ok(update) => seen.push(update),
            Err(error) => return (seen, Some(error)),
        }
    }
    (seen, None)
}

/// Pushes everything and waits for the end.
async fn recognise(
    (mut input, updates): (AudioInput, Updates),
    pieces: &[Bytes],
) -> (Vec<Update>, Option<SessionError>) {
    let push = async {
        for piece in pieces {
            if input.push(piece.clone()).await == Err(Closed) {
                return;
            }
        }
        input.finish();
    };
    futures::join!(push, all(updates)).1
}

#[tokio::test]
async fn a_recording_is_heard_to_its_end() {
    let bench = Bench::new();
    let pieces = [audio(16_000, 1.0, 0.0), audio(16_000, 1.5, 0.55), audio(16_000, 0.25, 0.0)];
    let (seen, error) =
        recognise(bench.session("en-US_BroadbandModel", 16_000, None, Loudness::default()), &pieces).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(seen[0], Update::Event(Event::SpeechBegin { at: 1.0 }));
    let Update::Finished(summary) = &seen[seen.len() - 1] else { panic!("{seen:?}") };
    assert_eq!((summary.bytes, summary.audio_seconds, summary.speech_seconds), (88_000, 2.75, 1.5));
    assert!(summary.decode_seconds > 0.0);
    let metrics = summary.measurements.as_ref().unwrap().metrics();
    assert_eq!((metrics.end_time, metrics.speech_level[5].count), (2.75, 15));
    assert!(bench.has_permits(8).await);
}

/// REC-L1, however the bytes are cut, and before anything is said about their content
#[tokio::test]
async fn fewer_than_a_hundred_bytes_are_too_few() {
    let bench = Bench::new();
    for bytes in [0, 1, 99] {
        let pieces: Vec<Bytes> = vec![Bytes::from_static(b"?"); bytes];
        let (_, error) = recognise(bench.session("en-US", 16_000, None, Loudness::default()), &pieces).await;
        let text = format!("Stream was {bytes} bytes but needs to be at least 100 bytes.");
        assert_eq!(error.unwrap().to_string(), text);
    }
    let (_, error) =
        recognise(bench.session("en-US", 16_000, None, Loudness::default()), &[audio(16_000, 0.003_125, 0.1)]).await;
    assert!(error.is_none(), "{error:?}");
}

/// REC-L10, MODEL-06, MODEL-08
#[tokio::test]
async fn the_band_follows_the_sampling_rate() {
    let bench = Bench::new();
    for (model, rate, samples) in [
        ("en-US_BroadbandModel", 44_100, Some(16_000)),
        ("en-US_BroadbandModel", 8_000, None),
        ("en-US_NarrowbandModel", 16_000, Some(8_000)),
        ("en-US_NarrowbandModel", 7_999, None),
        ("en-US", 8_000, Some(8_000)),
        ("en-US", 11_025, Some(8_000)),
        ("en-US", 48_000, Some(16_000)),
    ] {
        let recognition = Loudness::default();
        let counter = Arc::clone(&recognition.counter);
        let (_, error) = recognise(bench.session(model, rate, None, recognition), &[audio(rate, 1.0, 0.2)]).await;
        match samples {
            Some(samples) => {
                assert!(error.is_none(), "{model} {rate}: {error:?}");
                assert_eq!(counter.load(Ordering::SeqCst), samples, "{model} {rate}");
            }
            None => assert!(
                matches!(error, Some(SessionError::RateTooLow { rate: told, .. }) if told == rate),
                "{model} {rate}: {error:?}"
            ),
        }
    }
}

/// REC-L5
#[tokio::test]
async fn silence_ends_a_session_that_has_a_timeout() {
    let bench = Bench::new();
    let pieces = [audio(16_000, 1.0, 0.5), audio(16_000, 5.5, 0.0)];
    let session = |timeout| bench.session("en-US_BroadbandModel", 16_000, timeout, Loudness::default());
    let (_, error) = recognise(session(Some(5.0)), &pieces).await;
    assert_eq!(error.unwrap().to_string(), "No speech detected for 5s");
    assert!(recognise(session(Some(6.0)), &pieces).await.1.is_none());
    assert!(recognise(session(None), &pieces).await.1.is_none());
}

#[tokio::test]
async fn a_fast_client_is_made_to_wait() {
    let bench = Bench::new();
    let (open, gate) = mpsc::channel();
    let recognition = Loudness { gate: Some(gate), ..Loudness::default() };
    let (mut input, updates) = bench.session("en-US_BroadbandModel", 16_000, None, recognition);
    // A slice is at work, the inbox fills up, and then there is no room.
    let mut pushed = 0;
    let piece = audio(16_000, 0.125, 0.0);
    while tokio::time::timeout(Duration::from_millis(300), input.push(piece.clone())).await.is_ok() {
        pushed += piece.len();
        assert!(pushed < 200_000, "nothing holds the client back");
    }
    assert!(pushed >= 8 * 1024);
    let progress = input.progress();
    assert!(progress.behind >= Duration::from_millis(200), "{progress:?}");
    drop(open); // the gate stands open from now on
    input.push(piece).await.unwrap();
    input.finish();
    assert!(all(updates).await.1.is_none());
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_session_with_it() {
    let bench = Bench::new();
    for drop_updates in [true, false] {
        let recognition = Loudness::default();
        let gone = Arc::clone(&recognition.gone.0);
        let (mut input, updates) = bench.session("en-US_BroadbandModel", 16_000, None, recognition);
        input.push(audio(16_000, 1.0, 0.0)).await.unwrap();
        assert_eq!(bench.permits.available_permits(), 7);
        if drop_updates {
            drop(updates);
            assert!(bench.has_permits(8).await);
            assert_eq!(input.push(audio(16_000, 1.0, 0.0)).await, Err(Closed));
        } else {
            drop(input);
            assert!(bench.has_permits(8).await);
            let (seen, error) = all(updates).await;
            assert!(error.is_none() && !seen.iter().any(|update| matches!(update, Update::Finished(_))), "{seen:?}");
        }
        assert!(gone.load(Ordering::SeqCst));
    }
}

#[tokio::test]
async fn updates_that_nobody_reads_stop_the_decoding() {
    let bench = Bench::new();
    let recognition = Loudness::default();
    let counter = Arc::clone(&recognition.counter);
    let (mut input, updates) = bench.session("en-US_BroadbandModel", 16_000, None, recognition);
    // Two events a second of audio: the updates that may wait are reached long before the end.
    let bursts = tokio::spawn(async move {
        for _ in 0..200 {
            for level in [0.5, 0.0] {
                input.push(audio(16_000, 0.25, level)).await.unwrap();
            }
        }
        input.finish();
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let heard = counter.load(Ordering::SeqCst);
    assert!(heard < 60 * 16_000, "{heard} samples");
    let (seen, error) = all(updates).await;
    bursts.await.unwrap();
    assert!(error.is_none());
    assert_eq!(seen.len(), 201);
    assert_eq!(counter.load(Ordering::SeqCst), 100 * 16_000);
}

#[tokio::test]
async fn a_defect_ends_one_session_only() {
    let bench = Bench::new();
    let broken = Loudness { panics: true, ..Loudness::default() };
    let pieces = [audio(16_000, 1.0, 0.5)];
    let (_, error) = recognise(bench.session("en-US_BroadbandModel", 16_000, None, broken), &pieces).await;
    assert!(matches!(error, Some(SessionError::Defect)), "{error:?}");
    assert!(bench.has_permits(8).await);
    let (_, error) = recognise(bench.session("en-US_BroadbandModel", 16_000, None, Loudness::default()), &pieces).await;
    assert!(error.is_none());
}

#[tokio::test]
async fn sessions_share_a_thread_fairly() {
    let bench = Bench::new();
    let (open, gate) = mpsc::channel();
    let long = Loudness { gate: Some(gate), ..Loudness::default() };
    let long_heard = Arc::clone(&long.counter);
    let (mut input, updates) = bench.session("en-US_BroadbandModel", 16_000, None, long);
    let long_one = tokio::spawn(async move {
        for _ in 0..40 {
            input.push(audio(16_000, 0.5, 0.0)).await.unwrap();
        }
        input.finish();
        all(updates).await
    });
    // The long recording holds the only thread; the short one queues behind its slice, not behind all of it.
    while long_heard.load(Ordering::SeqCst) == 0 {
        let _ = open.send(());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let short = tokio::spawn(recognise_owned(
        bench.session("en-US_BroadbandModel", 16_000, None, Loudness::default()),
        audio(16_000, 1.0, 0.5),
    ));
    while !short.is_finished() {
        let _ = open.send(());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(short.await.unwrap().1.is_none());
    assert!(long_heard.load(Ordering::SeqCst) < 20 * 16_000);
    drop(open);
    assert!(long_one.await.unwrap().1.is_none());
}

async fn recognise_owned(session: (AudioInput, Updates), piece: Bytes) -> (Vec<Update>, Option<SessionError>) {
    recognise(session, &[piece]).await
}

/// REC-L2
#[tokio::test]
async fn an_upload_is_cut_off_at_its_limit() {
    let bench = Bench::new();
    for (limit, fits) in [(64_000, true), (63_999, false)] {
        let (input, updates) = bench.session("en-US_BroadbandModel", 16_000, None, Loudness::default());
        let mut body = stream::iter(vec![Ok::<_, ()>(audio(16_000, 1.0, 0.5)); 2]);
        let limits = UploadLimits { delivery: Delivery::OneShot, max_bytes: limit };
        let (uploaded, (seen, error)) = futures::join!(upload(&mut body, input, limits), all(updates));
        assert!(error.is_none());
        match uploaded {
            Ok(bytes) => assert!(fits && bytes == 64_000 && matches!(seen.last(), Some(Update::Finished(_)))),
            Err(UploadError::TooLarge { limit }) => assert!(!fits && limit == 63_999 && seen.len() < 2),
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// REC-L4, and its like for recordings whose length was told: a client that sends nothing is given up after 30 s.
#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_is_given_up() {
    let bench = Bench::new();
    for delivery in [Delivery::Streaming, Delivery::OneShot] {
        let (input, _updates) = bench.session("en-US_BroadbandModel", 16_000, None, Loudness::default());
        let mut body = Box::pin(stream::pending::<Result<Bytes, ()>>());
        let began = tokio::time::Instant::now();
        let limits = UploadLimits { delivery, max_bytes: 1_000_000 };
        let outcome = upload(&mut body, input, limits).await;
        assert!(matches!(outcome, Err(UploadError::TimedOut)), "{outcome:?}");
        assert_eq!(began.elapsed().as_secs(), 30, "{delivery:?}");
    }
}
