//! The end of a service: what is under way finishes, nothing new begins.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Says that the service is to end, and knows what is still under way. Clones are about the same end.
///
/// Whoever does something that the end should wait for holds a [`Work`] meanwhile: the wire holds one for each request it
/// answers, and one for each WebSocket that is open. What lasts longer than one answer listens to [`Drain::begun`]: a
/// WebSocket finishes the recognition in progress, takes no further one, and closes.
///
/// ```
/// # async fn example(service: &dictum_service::Service) {
/// let drain = service.drain();
/// let _work = drain.work();
/// tokio::select! {
///     () = drain.begun() => { /* finish what is in progress and close */ }
///     // _ = connection.next_message() => ...
/// }
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Drain {
    begun: CancellationToken,
    work: TaskTracker,
}

/// Something that the end of the service waits for.
#[derive(Debug)]
pub struct Work(#[expect(dead_code, reason = "counts by being there")] TaskTrackerToken);

impl Drain {
    /// From now on the service is ending.
    pub fn begin(&self) {
        self.begun.cancel();
        self.work.close();
    }

    /// Whether [`Drain::begin`] was called.
    pub fn is_draining(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Completes when [`Drain::begin`] is called, at once if it was.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Something that the end is to wait for, until it is dropped.
    pub fn work(&self) -> Work {
        Work(self.work.token())
    }

    /// How many hold a [`Work`].
    pub fn under_way(&self) -> usize {
        self.work.len()
    }

    /// Completes once the end has begun and nothing is under way.
    pub async fn finished(&self) {
        self.work.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_what_is_under_way() {
        let drain = Drain::default();
        let minute = Duration::from_secs(60);
        assert!(timeout(minute, drain.finished()).await.is_err(), "idle, but nobody asked for an end");
        let (first, second) = (drain.work(), drain.work());
        assert!(!drain.is_draining() && drain.under_way() == 2);
        drain.begin();
        timeout(minute, drain.begun()).await.expect("begun");
        drop(first);
        assert!(timeout(minute, drain.finished()).await.is_err(), "one is under way");
        drop(second);
        timeout(minute, drain.finished()).await.expect("finished");
    }
}
