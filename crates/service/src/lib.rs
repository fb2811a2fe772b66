//! Recognition as a service: who may recognise, on which threads, and for how long. No wire format.
//!
//! A [`Service`] holds the model [registry](dictum_models::Registry), a fixed pool of decoding threads and a number of
//! permits. A client is [admitted](Service::admit) (or told at once that the server is full), opens a session, pushes the
//! bytes of its recording as they arrive and reads [updates](session::Update) as they are ready:
//!
//! ```no_run
//! use bytes::Bytes;
//! use dictum_audio::ContentType;
//! use dictum_models::recogniser::{Event, Options};
//! use dictum_models::{Registry, RegistryConfig};
//! use dictum_service::session::{SessionRequest, Update};
//! use dictum_service::{Service, ServiceConfig};
//!
//! # async fn example(recording: Bytes) -> Result<(), Box<dyn std::error::Error>> {
//! let service = Service::new(Registry::open(&RegistryConfig::default())?, ServiceConfig::default());
//! let model = service.registry().resolve("en-US_BroadbandModel")?;
//! let recogniser = service.recogniser(&model).await?;
//! let request = SessionRequest::new(model, recogniser, ContentType::parse(Some("audio/wav"))?, Options::default());
//!
//! let (mut input, mut updates) = service.admit()?.start(request);
//! let upload = async move {
//!     input.push(recording).await.ok(); // why it was refused comes out of `updates`
//!     input.finish();
//! };
//! let listen = async {
//!     while let Some(update) = updates.next().await {
//!         if let Update::Event(Event::Utterance(utterance)) = update? {
//!             println!("{}", utterance.alternatives[0].text());
//!         }
//!     }
//!     Ok::<(), dictum_service::SessionError>(())
//! };
//! let ((), heard) = futures::join!(upload, listen);
//! # Ok(heard?)
//! # }
//! ```
//!
//! Who may do so is decided by [`accounts`]. What need not be answered at once is kept by [`recognitions`] and done by [`jobs`].
//!
//! Sessions take turns of some twenty milliseconds on the pool, those first who watch words appear, so a long upload does not
//! hold up the people who speak live. Both directions are bounded: an input that is full makes [`push`](session::AudioInput::push)
//! wait, and a session whose updates nobody reads stops decoding. A session whose client went away stops at its next slice.
#![forbid(unsafe_code)]

pub mod accounts;
mod clock;
mod config;
pub mod customization;
mod decoding;
mod drain;
mod error;
pub mod jobs;
pub mod limits;
pub mod metrics;
mod pool;
pub mod recognitions;
pub mod session;
mod telemetry;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dictum_models::recogniser::Recogniser;
use dictum_models::{ModelEntry, ModelsError, Registry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use clock::{Progress, SessionClock};
pub use config::ServiceConfig;
pub use drain::{Drain, Work};
pub use error::{Busy, SessionError};
use pool::{Pool, PoolHandle};
use session::{AudioInput, SessionRequest, Updates};
use telemetry::Telemetry;
pub use upload::{Delivery, UploadError, UploadLimits, upload};

/// The recognition service of one process.
pub struct Service {
    registry: Arc<Registry>,
    config: ServiceConfig,
    pool: Pool,
    permits: Arc<Semaphore>,
    /// Of those who work behind clients' backs: as many as there are workers, so never all taken.
    background: Arc<Semaphore>,
    ready: AtomicBool,
    drain: Drain,
    telemetry: Arc<Telemetry>,
}

impl Service {
    /// Starts the decoding threads. No model is loaded yet: see [`Service::load`].
    pub fn new(registry: Registry, config: ServiceConfig) -> Arc<Service> {
        let telemetry = Arc::new(Telemetry::default());
        Arc::new(Service {
            registry: Arc::new(registry),
            pool: Pool::new(config.decode_threads, Arc::clone(&telemetry)),
            permits: Arc::new(Semaphore::new(config.max_sessions)),
            background: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            ready: AtomicBool::new(false),
            drain: Drain::default(),
            telemetry,
            config,
        })
    }

    /// The models that are served.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The limits in force.
    pub fn config(&self) -> &ServiceConfig {
        &self.config
    }

    /// Loads every model that is served and marks the service ready. Models of one package are loaded once.
    pub async fn load(&self) -> Result<(), ModelsError> {
        for entry in self.registry.installed() {
            self.recogniser(entry).await?;
        }
        self.ready.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether [`Service::load`] has succeeded and the service is not about to end.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.drain.is_draining()
    }

    /// The end of the service.
    pub fn drain(&self) -> &Drain {
        &self.drain
    }

    /// The recogniser of a model, loaded off the async threads when it is not yet.
    pub async fn recogniser(&self, entry: &ModelEntry) -> Result<Arc<Recogniser>, ModelsError> {
        if self.registry.is_loaded(entry) {
            return self.registry.recogniser(entry);
        }
        let (registry, entry) = (Arc::clone(&self.registry), entry.clone());
        match tokio::task::spawn_blocking(move || registry.recogniser(&entry)).await {
            Ok(loaded) => loaded,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }

    /// A permit to recognise, or at once the news that there is none left.
    pub fn admit(&self) -> Result<Admission, Busy> {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => {
                self.telemetry.admitted();
                Ok(self.admission(permit))
            }
            Err(_) => {
                self.telemetry.refused();
                Err(Busy { max_sessions: self.config.max_sessions, retry_after: self.config.retry_after })
            }
        }
    }

    /// The right to recognise for somebody who does not wait. It takes no permit from those who do: how many work at the same
    /// time is for the [workers](jobs::Workers) to decide, and a session that says so
    /// ([`SessionRequest::background`](session::SessionRequest::background)) has its turns when nobody else wants them.
    pub async fn admit_background(&self) -> Option<Admission> {
        Arc::clone(&self.background).acquire_owned().await.ok().map(|permit| self.admission(permit))
    }

    fn admission(&self, permit: OwnedSemaphorePermit) -> Admission {
        Admission { pool: self.pool.handle(), buffered_bytes: self.config.buffered_bytes, permit: Arc::new(permit) }
    }

    /// Appends the figures of the service to `out`: the text format of OpenMetrics, without its end mark.
    pub fn write_metrics(&self, out: &mut String) {
        self.telemetry.encode(out, self.sessions(), self.config.max_sessions, self.pool.handle().queued());
    }

    /// How many clients hold a permit now.
    pub fn sessions(&self) -> usize {
        self.config.max_sessions - self.permits.available_permits()
    }
}

/// The right to have one session running. It is given back when this and every session started from it are gone.
pub struct Admission {
    pool: PoolHandle,
    buffered_bytes: usize,
    permit: Arc<OwnedSemaphorePermit>,
}

impl Admission {
    /// Starts a session. Dropping the input before [`AudioInput::finish`], or the updates, ends it.
    pub fn start(&self, request: SessionRequest) -> (AudioInput, Updates) {
        session::start(self.pool.clone(), request, self.buffered_bytes, Arc::clone(&self.permit))
    }
}
