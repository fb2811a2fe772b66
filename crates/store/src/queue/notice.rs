//! Waking workers when there is something to do.
//!
//! Workers would look every now and then anyway; this spares them, and the work, the wait.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::{Any, Transaction};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::address::DatabaseAddress;
use crate::backend::Backend;
use crate::{Store, StoreError};

/// What PostgreSQL's notifications about tickets are called.
const CHANNEL: &str = "dictum_tickets";
/// Pause before a connection for notifications is made anew.
const PAUSE: Duration = Duration::from_secs(1);

/// What workers of this process wait on.
#[derive(Debug, Clone)]
pub(crate) struct Notice(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    wake: Arc<Notify>,
    /// Of a server that tells us: its URL.
    server: Option<String>,
    /// The task that listens to it, begun when somebody first waits.
    listener: OnceLock<AbortHandle>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.get() {
            listener.abort();
        }
    }
}

impl Notice {
    pub(crate) fn of(address: &DatabaseAddress) -> Notice {
        let server = match address {
            DatabaseAddress::Sqlite(_) => None,
            DatabaseAddress::Postgres(url) => Some(url.to_string()),
        };
        Notice(Arc::new(Inner { wake: Arc::default(), server, listener: OnceLock::new() }))
    }

    /// Has notifications of the server wake the workers too.
    fn listen(&self) {
        if let Some(server) = &self.0.server {
            self.0
                .listener
                .get_or_init(|| tokio::spawn(follow(server.clone(), Arc::clone(&self.0.wake))).abort_handle());
        }
    }
}

/// Wakes the workers at every notification, as long as there is a server.
async fn follow(server: String, wake: Arc<Notify>) {
    loop {
        if let Err(error) = listen(&server, &wake).await {
            tracing::debug!(%error, "no notifications of the database for now");
        }
        // What was missed meanwhile.
        wake.notify_waiters();
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(server: &str, wake: &Notify) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect(server).await?;
    listener.listen(CHANNEL).await?;
    // None: the connection broke.
    while listener.try_recv().await?.is_some() {
        wake.notify_waiters();
    }
    Ok(())
}

/// Tells all who listen, when the transaction commits, that there is something to do. SQLite has nothing of the kind.
pub(super) async fn send(transaction: &mut Transaction<'static, Any>, backend: Backend) -> Result<(), StoreError> {
    if backend == Backend::Postgres {
        sqlx::query("NOTIFY dictum_tickets").execute(&mut **transaction).await?;
    }
    Ok(())
}

impl Store {
    /// Wakes the workers of this process that wait for something to do. To be called after the commit of what was enqueued.
    pub fn wake_workers(&self) {
        self.notice.0.wake.notify_waiters();
    }

    /// Waits until there may be something to do, or for `at_most`. Tickets that were delayed, those whose claims ran out, and on
    /// SQLite those of other processes wake nobody. Only what comes after the first poll wakes.
    pub async fn wait_for_work(&self, at_most: Duration) {
        self.notice.listen();
        let _ = tokio::time::timeout(at_most, self.notice.0.wake.notified()).await;
    }
}
