//! Workers: what is done behind clients' backs, from the queues of the [store](dictum_store::Queue).
//!
//! A [`Handler`] knows what a ticket of its queue asks for. [`Workers`] claims tickets for it, some at a time, keeps the claims up
//! while they are worked on, gives tickets back that fail, and those that cannot be finished before the end of the process.
//! Any number of processes may have workers for the same store: `dictum serve` has some, `dictum worker` nothing else.

mod callback;
mod keeper;
mod recognition;

use std::sync::Arc;
use std::time::Duration;

use dictum_store::{Queue, Retry, Store, StoreError, Ticket};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::drain::Drain;
pub use callback::CallbackHandler;
pub use keeper::keep_house;
pub use recognition::{AudioStream, JobFailure, JobFormat, RecognitionHandler};

/// How long a worker waits before it asks again a store that failed.
const STORE_PAUSE: Duration = Duration::from_secs(2);

/// What is to be done about the tickets of one queue.
pub trait Handler: Send + Sync + 'static {
    /// The queue.
    fn queue(&self) -> Queue;

    /// Does what a ticket asks for, to the end: when this returns without trouble, the ticket is finished. It may be dropped
    /// at any point, when the claim was lost or the process ends; whoever claims the ticket next begins anew.
    fn run<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<(), Trouble>>;

    /// Finishes a ticket that was tried in vain as often as it may be.
    fn give_up<'a>(&'a self, ticket: &'a Ticket, why: &'a str) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// Why a ticket could not be done this time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The reason, without anything of clients' data.
    pub why: String,
    /// When to try again.
    pub after: Duration,
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        Trouble { why: error.to_string(), after: Duration::from_secs(5) }
    }
}

/// What an operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkersConfig {
    /// Who works, for people who look into the database.
    pub name: String,
    /// How long a claim is good. A worker that dies is replaced after this long.
    pub lease: Duration,
    /// How often to look for what woke nobody: work of other processes, what was delayed, claims that ran out.
    pub look: Duration,
}

impl Default for WorkersConfig {
    fn default() -> Self {
        WorkersConfig {
            name: format!("process {}", std::process::id()),
            lease: Duration::from_secs(30),
            look: Duration::from_millis(500),
        }
    }
}

/// The workers of one process.
pub struct Workers {
    store: Store,
    config: WorkersConfig,
    /// No further ticket is claimed.
    stop: CancellationToken,
    /// What is being worked on is given back.
    abandon: CancellationToken,
    tasks: TaskTracker,
}

impl Workers {
    /// No workers yet; see [`Workers::add`].
    pub fn new(store: Store, config: WorkersConfig) -> Workers {
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        Workers { store, config, stop, abandon, tasks: TaskTracker::new() }
    }

    /// Starts to work on the tickets of a queue, on at most `at_once` of them. They stop claiming when `drain` begins, which then
    /// waits for those that are being worked on.
    pub fn add(&self, handler: Arc<dyn Handler>, at_once: usize, drain: &Drain) {
        let shift = Shift {
            store: self.store.clone(),
            config: self.config.clone(),
            handler,
            abandon: self.abandon.clone(),
            tasks: self.tasks.clone(),
        };
        let (stop, drain) = (self.stop.clone(), drain.clone());
        let places = Arc::new(Semaphore::new(at_once));
        self.tasks.spawn(async move { shift.claim_until(&stop, &drain, places).await });
    }

    /// Ends all work: what is not finished yet is given back, as if it had not been begun.
    pub async fn end(&self) {
        self.stop.cancel();
        self.abandon.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The workers of one queue.
#[derive(Clone)]
struct Shift {
    store: Store,
    config: WorkersConfig,
    handler: Arc<dyn Handler>,
    abandon: CancellationToken,
    tasks: TaskTracker,
}

impl Shift {
    async fn claim_until(&self, stop: &CancellationToken, drain: &Drain, places: Arc<Semaphore>) {
        let over = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = drain.begun() => {}
            }
        };
        let mut over = Box::pin(over);
        loop {
            let place = tokio::select! {
                biased;
                () = &mut over => return,
                place = Arc::clone(&places).acquire_owned() => place,
            };
            // The semaphore is never closed.
            let Ok(place) = place else { return };
            // Listened for from before the look, so that what comes right after it is not slept through.
            let mut work = Box::pin(self.store.wait_for_work(self.config.look));
            let _ = futures::poll!(&mut work);
            // Not given up half-way: the claim might have been made already.
            let pause = match self.store.claim(&[self.handler.queue()], &self.config.name, self.config.lease).await {
                Ok(Some(ticket)) => {
                    self.begin(ticket, place, drain);
                    continue;
                }
                Ok(None) => work.boxed(),
                Err(error) => {
                    tracing::warn!(queue = self.handler.queue().name(), %error, "no work can be claimed");
                    sleep(STORE_PAUSE).boxed()
                }
            };
            tokio::select! {
                () = &mut over => return,
                () = pause => {}
            }
        }
    }

    fn begin(&self, ticket: Ticket, place: OwnedSemaphorePermit, drain: &Drain) {
        let queue = ticket.queue.name();
        let span = tracing::info_span!("work", queue, subject = ticket.subject, attempt = ticket.attempt);
        let (shift, under_way) = (self.clone(), drain.work());
        let task = async move {
            let (_place, _under_way) = (place, under_way);
            if let Err(error) = shift.work(&ticket).await {
                // The claim runs out, and somebody tries again.
                tracing::warn!(%error, "what came of the work could not be noted");
            }
        };
        self.tasks.spawn(task.instrument(span));
    }

    async fn work(&self, ticket: &Ticket) -> Result<(), StoreError> {
        if ticket.spent {
            return self.handler.give_up(ticket, "every worker that tried it was lost").await;
        }
        let trouble = tokio::select! {
            done = self.handler.run(ticket) => match done {
                Ok(()) => return Ok(()),
                Err(trouble) => trouble,
            },
            () = self.keep_claim(ticket) => {
                tracing::warn!("the claim was lost");
                return Ok(());
            }
            () = self.abandon.cancelled() => {
                tracing::info!("given back, because the process ends");
                return self.store.give_back(ticket).await;
            }
        };
        match self.store.retry(ticket, trouble.after, &trouble.why).await? {
            Retry::GaveUp => self.handler.give_up(ticket, &trouble.why).await,
            Retry::Later | Retry::Lost => Ok(()),
        }
    }

    /// Extends a claim again and again; returns when it is lost.
    async fn keep_claim(&self, ticket: &Ticket) {
        loop {
            sleep(self.config.lease / 3).await;
            match self.store.extend(ticket, self.config.lease).await {
                Ok(true) => {}
                Ok(false) => return,
                // It may come back in time; if not, who finishes the ticket finds out.
                Err(error) => tracing::warn!(%error, "the claim could not be extended"),
            }
        }
    }
}

/// Seconds to wait before the attempt after this one: longer each time.
fn back_off(attempt: u32, first: Duration, most: Duration) -> Duration {
    let factor = 4_u32.saturating_pow(attempt.saturating_sub(1));
    first.saturating_mul(factor).min(most)
}

#[cfg(test)]
mod tests;
