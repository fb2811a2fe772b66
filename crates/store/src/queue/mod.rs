//! Work to be done, and who does it.
//!
//! A [`Ticket`] says that there is something to do about a row, in one of the [`Queue`]s. It is written in the transaction that
//! makes the row and removed in the transaction that finishes it, so what clients see and what workers do never disagree. A
//! worker *claims* a ticket for a while (a lease) and extends the claim while it works; no transaction is open meanwhile. A
//! worker that dies stops extending, its claim runs out, and another claims the ticket: so work may be begun more than once, but
//! only who holds the last claim can finish it.
//!
//! Next is, among all tickets that are ready: the highest priority, then the instance for which the fewest are being worked on in
//! that queue, then the oldest. Many workers may claim at the same time, from many processes: on PostgreSQL they pass over each
//! other's rows (`SKIP LOCKED`), on SQLite they take turns.
//!
//! Clocks are the database's, so machines need not agree on the time.

mod claim;
mod notice;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

pub(crate) use notice::Notice;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use crate::backend::Backend;
use crate::values::milliseconds;
use crate::{Store, StoreError};

/// A kind of work. Each has workers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Asynchronous recognition.
    Recognition,
    /// Training of custom language models.
    LanguageTraining,
    /// Training of custom acoustic models.
    AcousticTraining,
    /// Notifications to clients.
    Callback,
}

impl Queue {
    /// All of them.
    pub const ALL: [Queue; 4] = [Queue::Recognition, Queue::LanguageTraining, Queue::AcousticTraining, Queue::Callback];

    /// Its name, in rows and figures.
    pub fn name(self) -> &'static str {
        match self {
            Queue::Recognition => "recognition",
            Queue::LanguageTraining => "language-training",
            Queue::AcousticTraining => "acoustic-training",
            Queue::Callback => "callback",
        }
    }
}

/// Something to do, to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTicket {
    /// Which kind of work it is.
    pub queue: Queue,
    /// GUID of the instance it is done for.
    pub instance: String,
    /// Id of the row it is about. A queue has one ticket for a subject at most.
    pub subject: String,
    /// Higher comes first; 0 is usual.
    pub priority: i64,
    /// Not to be done before this.
    pub not_before: SystemTime,
    /// How often it may be tried; at least once.
    pub max_attempts: u32,
}

/// Something to do, claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What it is known by.
    pub id: String,
    /// Which kind of work it is.
    pub queue: Queue,
    /// GUID of the instance it is done for.
    pub instance: String,
    /// Id of the row it is about.
    pub subject: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Whether there will be none after this one: who fails now marks the row as failed and finishes the ticket.
    pub last_attempt: bool,
    /// Whether all attempts were used up before, the last by a worker that died: nothing is to be tried any more, the row is to be
    /// marked as failed and the ticket finished.
    pub spent: bool,
    /// Token of this claim.
    pub lease: String,
}

/// What came of giving a ticket back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It will be claimed again.
    Later,
    /// That was the last attempt. The claim still holds: mark the row as failed and finish the ticket.
    GaveUp,
    /// The claim had run out, and somebody else has made another, or the ticket was removed.
    Lost,
}

/// What came of taking work back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// It will not be done.
    Removed,
    /// Somebody is at it; nothing was changed.
    Running,
    /// There was none.
    None,
}

/// How much there is to do in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueCount {
    /// Which queue.
    pub queue: Queue,
    /// Tickets that nobody is at, delayed ones too.
    pub waiting: u64,
    /// Tickets that somebody is at.
    pub running: u64,
}

/// Writes a ticket, in the transaction that writes the row it is about. On PostgreSQL the commit wakes all waiting workers; on
/// SQLite those of this process, once the caller has called [`Store::wake_workers`].
pub(crate) async fn enqueue(
    transaction: &mut Transaction<'static, Any>,
    backend: Backend,
    ticket: &NewTicket,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tickets (id, queue, instance_id, subject, priority, created_at, ready_at, attempts, max_attempts) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8)",
    )
    .bind(uuid::Uuid::new_v4().simple().to_string())
    .bind(ticket.queue.name())
    .bind(&ticket.instance)
    .bind(&ticket.subject)
    .bind(ticket.priority)
    .bind(milliseconds(SystemTime::now()))
    .bind(milliseconds(ticket.not_before))
    .bind(i64::from(ticket.max_attempts.max(1)))
    .execute(&mut **transaction)
    .await?;
    notice::send(transaction, backend).await
}

/// Removes a ticket whose work is done, in the transaction that writes what came of it. `false`: the claim had run out and somebody
/// else has made another, or the ticket was removed; the caller rolls back.
pub(crate) async fn finish(transaction: &mut Transaction<'static, Any>, ticket: &Ticket) -> Result<bool, StoreError> {
    let removed = sqlx::query("DELETE FROM tickets WHERE id = $1 AND lease = $2")
        .bind(&ticket.id)
        .bind(&ticket.lease)
        .execute(&mut **transaction)
        .await?;
    Ok(removed.rows_affected() == 1)
}

/// Removes the ticket about a row, unless somebody is at it.
pub(crate) async fn cancel(
    transaction: &mut Transaction<'static, Any>,
    backend: Backend,
    queue: Queue,
    subject: &str,
) -> Result<Cancel, StoreError> {
    let sql = format!(
        "DELETE FROM tickets WHERE queue = $1 AND subject = $2 AND (lease IS NULL OR ready_at <= {})",
        backend.now()
    );
    let removed = sqlx::query(AssertSqlSafe(sql)).bind(queue.name()).bind(subject).execute(&mut **transaction).await?;
    if removed.rows_affected() > 0 {
        return Ok(Cancel::Removed);
    }
    let left = sqlx::query("SELECT id FROM tickets WHERE queue = $1 AND subject = $2")
        .bind(queue.name())
        .bind(subject)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(if left.is_some() { Cancel::Running } else { Cancel::None })
}

/// Removes the ticket about a row, also when somebody is at it: they find out when they extend or finish. Whether there was one.
pub(crate) async fn withdraw(
    transaction: &mut Transaction<'static, Any>,
    queue: Queue,
    subject: &str,
) -> Result<bool, StoreError> {
    let removed = sqlx::query("DELETE FROM tickets WHERE queue = $1 AND subject = $2")
        .bind(queue.name())
        .bind(subject)
        .execute(&mut **transaction)
        .await?;
    Ok(removed.rows_affected() > 0)
}

impl Store {
    /// Extends a claim to `lease` from now. `false`: it had run out and somebody else has made another, or the ticket was removed;
    /// what is being done is in vain.
    pub async fn extend(&self, ticket: &Ticket, lease: Duration) -> Result<bool, StoreError> {
        let sql = format!("UPDATE tickets SET ready_at = {} + $3 WHERE id = $1 AND lease = $2", self.backend.now());
        let updated = sqlx::query(AssertSqlSafe(sql))
            .bind(&ticket.id)
            .bind(&ticket.lease)
            .bind(span(lease))
            .execute(&self.pool)
            .await?;
        Ok(updated.rows_affected() == 1)
    }

    /// Gives a ticket back after a failure, to be claimed again `after` from now, if it has attempts left. `why` is for the log: it
    /// must not have anything of clients' data.
    pub async fn retry(&self, ticket: &Ticket, after: Duration, why: &str) -> Result<Retry, StoreError> {
        let queue = ticket.queue.name();
        if ticket.last_attempt {
            tracing::warn!(queue, subject = ticket.subject, attempt = ticket.attempt, why, "given up");
            return Ok(Retry::GaveUp);
        }
        let sql = format!(
            "UPDATE tickets SET ready_at = {} + $3, lease = NULL, worker = NULL WHERE id = $1 AND lease = $2",
            self.backend.now()
        );
        let updated = sqlx::query(AssertSqlSafe(sql))
            .bind(&ticket.id)
            .bind(&ticket.lease)
            .bind(span(after))
            .execute(&self.pool)
            .await?;
        let seconds = after.as_secs();
        tracing::info!(queue, subject = ticket.subject, attempt = ticket.attempt, seconds, why, "to be tried again");
        Ok(if updated.rows_affected() == 1 { Retry::Later } else { Retry::Lost })
    }

    /// Gives a ticket back that was begun but not tried to the end, because the process ends: it can be claimed again at once, and
    /// the attempt does not count.
    pub async fn give_back(&self, ticket: &Ticket) -> Result<(), StoreError> {
        let sql = format!(
            "UPDATE tickets SET ready_at = {}, lease = NULL, worker = NULL, attempts = attempts - 1 \
             WHERE id = $1 AND lease = $2",
            self.backend.now()
        );
        sqlx::query(AssertSqlSafe(sql)).bind(&ticket.id).bind(&ticket.lease).execute(&self.pool).await?;
        Ok(())
    }

    /// How much there is to do, for all queues in the order of [`Queue::ALL`].
    pub async fn queue_counts(&self) -> Result<Vec<QueueCount>, StoreError> {
        let sql = format!(
            "SELECT queue, COUNT(*) AS all_of_them, COUNT(CASE WHEN lease IS NOT NULL AND ready_at > {} THEN 1 END) AS running \
             FROM tickets GROUP BY queue",
            self.backend.now()
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        let mut counts = Queue::ALL.map(|queue| QueueCount { queue, waiting: 0, running: 0 });
        for row in rows {
            let name: String = row.try_get("queue")?;
            if let Some(count) = counts.iter_mut().find(|count| count.queue.name() == name) {
                let all: i64 = row.try_get("all_of_them")?;
                let running: i64 = row.try_get("running")?;
                count.running = u64::try_from(running).unwrap_or(0);
                count.waiting = u64::try_from(all - running).unwrap_or(0);
            }
        }
        Ok(counts.to_vec())
    }
}

/// A span of time in milliseconds.
fn span(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}
