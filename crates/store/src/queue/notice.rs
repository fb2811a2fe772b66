//! Waking workers when there is something to do.
//!
//! Workers would look every now and then anyway; this spares them, and the work, the wait.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Any, Transaction};
use tokio::sync::Notify;

use crate::backend::Backend;
use crate::{Store, StoreError};

/// What workers of this process wait on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notice(Arc<Notify>);

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
        self.notice.0.notify_waiters();
    }

    /// Waits until there may be something to do, or for `at_most`: tickets that were delayed or whose claims ran out, and those of
    /// other processes, wake nobody.
    pub async fn wait_for_work(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.notice.0.notified()).await;
    }
}
