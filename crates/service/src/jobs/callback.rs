//! Notifications about jobs, sent to the URLs of clients.

use std::sync::Arc;
use std::time::Duration;

use dictum_callbacks::{CallError, Client};
use dictum_store::{Queue, Store, StoreError, Ticket};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::recognition::JobFormat;
use super::{Handler, Trouble, back_off};

/// Works on [`Queue::Callback`]. A notification is sent until the callback server takes it, with longer and longer pauses, and then
/// given up; the job is none the worse for it (ASY-N2).
pub struct CallbackHandler {
    store: Store,
    client: Client,
    format: Arc<dyn JobFormat>,
}

impl CallbackHandler {
    /// A handler that sends by `client`.
    pub fn new(store: Store, client: Client, format: Arc<dyn JobFormat>) -> CallbackHandler {
        CallbackHandler { store, client, format }
    }

    async fn tell(&self, ticket: &Ticket) -> Result<(), Trouble> {
        if let Some(notification) = self.store.notification(ticket).await? {
            let body = self.format.notification(&notification);
            let (url, secret) = (&notification.url, notification.secret.as_deref());
            match self.client.notify(url, secret, body).await {
                Ok(()) => tracing::info!(event = notification.event.name(), "client notified"),
                // No waiting makes a URL a better one.
                Err(CallError::Refused(why)) => tracing::warn!(%why, "a callback URL may no longer be called"),
                Err(error) => {
                    let after = back_off(ticket.attempt, Duration::from_secs(1), Duration::from_secs(3600));
                    return Err(Trouble { why: error.to_string(), after });
                }
            }
        }
        self.store.finish_notification(ticket).await?;
        Ok(())
    }
}

impl Handler for CallbackHandler {
    fn queue(&self) -> Queue {
        Queue::Callback
    }

    fn run<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<(), Trouble>> {
        self.tell(ticket).boxed()
    }

    fn give_up<'a>(&'a self, ticket: &'a Ticket, _: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.finish_notification(ticket).map(|finished| finished.map(drop)).boxed()
    }
}
