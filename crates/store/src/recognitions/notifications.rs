//! What is still to be told about jobs: an outbox, emptied in order.
//!
//! A notification is written in the transaction that makes it true, and has a ticket in [`Queue::Callback`] only when no earlier
//! one of the same job is waiting; when that is out, told or given up, the next gets its ticket in the same transaction
//! (ASY-N4).

use std::fmt;
use std::time::SystemTime;

use sqlx::{Any, Row, Transaction};

use super::Event;
use crate::backend::Backend;
use crate::queue::{self, NewTicket, Queue, Ticket};
use crate::{Store, StoreError};

/// How often a notification is sent before it is given up. One that a job has started is of no use later; one that it
/// has ended may be waited for.
fn most_attempts(event: Event) -> u32 {
    match event {
        Event::Started => 3,
        Event::Completed | Event::CompletedWithResults | Event::Failed => 8,
    }
}

/// Something to be told.
#[derive(Clone, PartialEq, Eq)]
pub struct Notification {
    /// GUID of the job.
    pub recognition: String,
    /// What happened.
    pub event: Event,
    /// The word of the client's.
    pub user_token: Option<String>,
    /// Where to.
    pub url: String,
    /// What to sign it with.
    pub secret: Option<String>,
    /// The results, when they are told with it.
    pub results: Option<String>,
}

impl fmt::Debug for Notification {
    /// Without URL, secret, token and results: what is printed may be a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recognition = &self.recognition;
        f.debug_struct("Notification")
            .field("recognition", recognition)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// What a ticket of [`Queue::Callback`] is about. `None`: nothing is to be told, because the job is gone or its URL is no
    /// longer registered; the ticket is still to be finished by [`Store::finish_notification`].
    pub async fn notification(&self, ticket: &Ticket) -> Result<Option<Notification>, StoreError> {
        let row = sqlx::query(
            "SELECT n.event, r.id, r.user_token, r.results, c.url, c.secret FROM notifications n \
             JOIN recognitions r ON r.id = n.recognition_id \
             JOIN callbacks c ON c.instance_id = r.instance_id AND c.url = r.callback_url WHERE n.id = $1",
        )
        .bind(&ticket.subject)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let event = Event::of(row.try_get("event")?)?;
        Ok(Some(Notification {
            recognition: row.try_get("id")?,
            event,
            user_token: row.try_get("user_token")?,
            url: row.try_get("url")?,
            secret: row.try_get("secret")?,
            results: if event == Event::CompletedWithResults { row.try_get("results")? } else { None },
        }))
    }

    /// A notification is out, or will never be: its job's next has its turn. Returns false, and changes nothing, when the ticket
    /// is no longer this claim's.
    pub async fn finish_notification(&self, ticket: &Ticket) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        if !queue::finish(&mut transaction, ticket).await? {
            return Ok(false);
        }
        let sql = "SELECT recognition_id FROM notifications WHERE id = $1";
        let row = sqlx::query(sql).bind(&ticket.subject).fetch_optional(&mut *transaction).await?;
        if let Some(row) = row {
            let recognition: String = row.try_get("recognition_id")?;
            lock(&mut transaction, &recognition).await?;
            let sql = "DELETE FROM notifications WHERE id = $1";
            sqlx::query(sql).bind(&ticket.subject).execute(&mut *transaction).await?;
            let sql = "SELECT id, event FROM notifications WHERE recognition_id = $1 ORDER BY position LIMIT 1";
            let next = sqlx::query(sql).bind(&recognition).fetch_optional(&mut *transaction).await?;
            if let Some(next) = next {
                let event = Event::of(next.try_get("event")?)?;
                enqueue(&mut transaction, self.backend, &ticket.instance, next.try_get("id")?, event).await?;
            }
        }
        transaction.commit().await?;
        self.wake_workers();
        Ok(true)
    }
}

/// Adds what has happened to the job of a ticket. Whoever calls this has written to the job's row, so that nobody else adds to
/// or takes from its notifications now.
pub(super) async fn add(
    transaction: &mut Transaction<'static, Any>,
    backend: Backend,
    ticket: &Ticket,
    event: Event,
) -> Result<(), StoreError> {
    let sql = "SELECT COUNT(*) AS n, COALESCE(MAX(position), 0) AS last FROM notifications WHERE recognition_id = $1";
    let row = sqlx::query(sql).bind(&ticket.subject).fetch_one(&mut **transaction).await?;
    let id = uuid::Uuid::new_v4().to_string();
    sqlx::query("INSERT INTO notifications (id, recognition_id, position, event) VALUES ($1, $2, $3, $4)")
        .bind(&id)
        .bind(&ticket.subject)
        .bind(row.try_get::<i64, _>("last")? + 1)
        .bind(event.name())
        .execute(&mut **transaction)
        .await?;
    match row.try_get::<i64, _>("n")? {
        0 => enqueue(transaction, backend, &ticket.instance, &id, event).await,
        _ => Ok(()),
    }
}

/// Forgets what is still to be told about a job.
pub(crate) async fn forget_notifications(
    transaction: &mut Transaction<'static, Any>,
    recognition: &str,
) -> Result<(), StoreError> {
    let sql = "SELECT id FROM notifications WHERE recognition_id = $1 ORDER BY position";
    for row in sqlx::query(sql).bind(recognition).fetch_all(&mut **transaction).await? {
        queue::withdraw(transaction, Queue::Callback, row.try_get("id")?).await?;
    }
    let sql = "DELETE FROM notifications WHERE recognition_id = $1";
    sqlx::query(sql).bind(recognition).execute(&mut **transaction).await?;
    Ok(())
}

async fn enqueue(
    transaction: &mut Transaction<'static, Any>,
    backend: Backend,
    instance: &str,
    notification: &str,
    event: Event,
) -> Result<(), StoreError> {
    let ticket = NewTicket {
        queue: Queue::Callback,
        instance: instance.to_owned(),
        subject: notification.to_owned(),
        priority: 0,
        not_before: SystemTime::UNIX_EPOCH,
        max_attempts: most_attempts(event),
    };
    queue::enqueue(transaction, backend, &ticket).await
}

/// Makes others that change the job wait for the end of the transaction.
async fn lock(transaction: &mut Transaction<'static, Any>, recognition: &str) -> Result<(), StoreError> {
    let sql = "UPDATE recognitions SET status = status WHERE id = $1";
    sqlx::query(sql).bind(recognition).execute(&mut **transaction).await?;
    Ok(())
}
