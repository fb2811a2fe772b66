//! Jobs of asynchronous recognition: rows, and the transactions by which they change (async.md sections 4 to 7).
//!
//! A job is `waiting` until a worker [begins](Store::begin_recognition) it, `processing` until it is
//! [completed](Store::complete_recognition) or [failed](Store::fail_recognition), and gone when its time to live is over. What changes
//! together is written together: a job with its ticket and its blob, a result with the notification about it and the end of
//! the ticket. So a process that dies between any two instructions leaves a job that another one takes up, and no job ends
//! twice: who lost its claim finds the ticket gone and changes nothing.
//!
//! Transactions touch tickets first, then the job, then its notifications, always in this order, so that they never wait for
//! each other in a circle.

mod notifications;

use std::time::{Duration, SystemTime};

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use crate::blobs::Blob;
use crate::blobs::rows::{drop_blob, keep_blob};
use crate::queue::{self, Cancel, NewTicket, Queue, Ticket};
use crate::values::{milliseconds, ordered_id, time};
use crate::{Store, StoreError};
pub use notifications::Notification;
pub(crate) use notifications::forget_notifications;

/// How often a job is begun before it is given up. Many, because workers that are killed count too, and they say nothing of the job.
const MOST_ATTEMPTS: u32 = 20;
/// Jobs that expire in one transaction at most.
const EXPIRED_AT_ONCE: i64 = 100;

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// For its turn.
    Waiting,
    /// A worker is at it.
    Processing,
    /// It has results.
    Completed,
    /// It has none, and will not have any.
    Failed,
}

impl Status {
    const ALL: [Status; 4] = [Status::Waiting, Status::Processing, Status::Completed, Status::Failed];

    /// As the wire and the table have it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Waiting => "waiting",
            Status::Processing => "processing",
            Status::Completed => "completed",
            Status::Failed => "failed",
        }
    }
}

/// Something that happens to a job and that its owner may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A worker has begun.
    Started,
    /// There are results.
    Completed,
    /// The same, told with the results.
    CompletedWithResults,
    /// There are none.
    Failed,
}

impl Event {
    /// Every one.
    pub const ALL: [Event; 4] = [Event::Started, Event::Completed, Event::CompletedWithResults, Event::Failed];

    /// As the table has it.
    pub fn name(self) -> &'static str {
        match self {
            Event::Started => "started",
            Event::Completed => "completed",
            Event::CompletedWithResults => "completed_with_results",
            Event::Failed => "failed",
        }
    }

    fn of(name: &str) -> Result<Event, StoreError> {
        let found = Event::ALL.into_iter().find(|event| event.name() == name);
        found.ok_or_else(|| StoreError::Damaged(format!("there is no event {name:?}")))
    }
}

/// A job to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecognition {
    /// GUID of the instance it belongs to.
    pub instance: String,
    /// What was asked for, in whatever form its creator will understand again.
    pub request: String,
    /// Whom to tell about it.
    pub callback: Option<Wanted>,
    /// How long it is kept after its end.
    pub ttl: Duration,
    /// The customer it is labelled with (user-data.md).
    pub customer: Option<String>,
}

/// What is to be told about a job, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// A registered URL.
    pub url: String,
    /// What is told.
    pub events: Vec<Event>,
    /// A word of the client's that goes with it.
    pub user_token: Option<String>,
}

/// A job as a list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognition {
    /// GUID.
    pub id: String,
    /// When it was created.
    pub created: SystemTime,
    /// When its status last changed.
    pub updated: SystemTime,
    /// How far it has come.
    pub status: Status,
    /// The word of the client's.
    pub user_token: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A job to be worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecognitionWork {
    /// GUID.
    pub id: String,
    /// What was asked for.
    pub request: String,
    /// The audio.
    pub blob: String,
}

/// What came of deleting a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It is gone.
    Done,
    /// A worker is at it.
    Processing,
    /// There is none of this id.
    Unknown,
}

fn status_of(name: &str) -> Result<Status, StoreError> {
    let found = Status::ALL.into_iter().find(|status| status.name() == name);
    found.ok_or_else(|| StoreError::Damaged(format!("there is no status {name:?}")))
}

fn recognition_of(row: &AnyRow) -> Result<Recognition, StoreError> {
    Ok(Recognition {
        id: row.try_get("id")?,
        created: time(row.try_get("created_at")?),
        updated: time(row.try_get("updated_at")?),
        status: status_of(row.try_get("status")?)?,
        user_token: row.try_get("user_token")?,
        error: row.try_get("error")?,
    })
}

impl Store {
    /// Creates a job of this audio: its row, its blob and its turn at once.
    pub async fn create_recognition(&self, new: &NewRecognition, audio: &Blob) -> Result<Recognition, StoreError> {
        // What is told about a job later is what it was created with, to the millisecond.
        let created = time(milliseconds(SystemTime::now()));
        let id = ordered_id();
        let events = new.callback.iter().flat_map(|wanted| &wanted.events).map(|event| event.name());
        let events = events.collect::<Vec<_>>().join(" ");
        let user_token = new.callback.as_ref().and_then(|wanted| wanted.user_token.clone());
        let mut transaction = self.begin_write().await?;
        keep_blob(&mut transaction, &new.instance, audio).await?;
        sqlx::query(
            "INSERT INTO recognitions (id, instance_id, status, created_at, updated_at, ttl, request, blob_id, \
             callback_url, events, user_token, customer_id) VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(&id)
        .bind(&new.instance)
        .bind(Status::Waiting.name())
        .bind(milliseconds(created))
        .bind(i64::try_from(new.ttl.as_millis()).unwrap_or(i64::MAX))
        .bind(&new.request)
        .bind(&audio.id)
        .bind(new.callback.as_ref().map(|wanted| wanted.url.as_str()))
        .bind(events)
        .bind(user_token.as_deref())
        .bind(new.customer.as_deref())
        .execute(&mut *transaction)
        .await?;
        let ticket = NewTicket {
            queue: Queue::Recognition,
            instance: new.instance.clone(),
            subject: id.clone(),
            priority: 0,
            not_before: SystemTime::UNIX_EPOCH,
            max_attempts: MOST_ATTEMPTS,
        };
        queue::enqueue(&mut transaction, self.backend, &ticket).await?;
        transaction.commit().await?;
        self.wake_workers();
        Ok(Recognition { id, created, updated: created, status: Status::Waiting, user_token, error: None })
    }

    /// The latest jobs of an instance, newest first.
    pub async fn recognitions(&self, instance: &str, most: u32) -> Result<Vec<Recognition>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, created_at, updated_at, status, user_token, error FROM recognitions WHERE instance_id = $1 \
             AND (expires_at IS NULL OR expires_at > $2) ORDER BY created_at DESC, id DESC LIMIT $3",
        )
        .bind(instance)
        .bind(milliseconds(SystemTime::now()))
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(recognition_of).collect()
    }

    /// A job of an instance, with its results when it has any.
    pub async fn recognition(
        &self,
        instance: &str,
        id: &str,
    ) -> Result<Option<(Recognition, Option<String>)>, StoreError> {
        let row = sqlx::query(
            "SELECT id, created_at, updated_at, status, user_token, error, results FROM recognitions WHERE id = $1 \
             AND instance_id = $2 AND (expires_at IS NULL OR expires_at > $3)",
        )
        .bind(id)
        .bind(instance)
        .bind(milliseconds(SystemTime::now()))
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| Ok((recognition_of(&row)?, row.try_get("results")?))).transpose()
    }

    /// Begins the job that a ticket is about, or takes it up again after a worker that was lost. `None`: there is nothing to
    /// do, and the ticket is gone.
    pub async fn begin_recognition(&self, ticket: &Ticket) -> Result<Option<RecognitionWork>, StoreError> {
        let mut transaction = self.begin_write().await?;
        // Before anything is read: from here on nobody else changes the row.
        let begun = sqlx::query("UPDATE recognitions SET blob_id = blob_id WHERE id = $1 AND blob_id IS NOT NULL")
            .bind(&ticket.subject)
            .execute(&mut *transaction)
            .await?;
        if begun.rows_affected() == 0 {
            queue::finish(&mut transaction, ticket).await?;
            transaction.commit().await?;
            return Ok(None);
        }
        let row = sqlx::query("SELECT status, request, blob_id, events FROM recognitions WHERE id = $1")
            .bind(&ticket.subject)
            .fetch_one(&mut *transaction)
            .await?;
        if status_of(row.try_get("status")?)? == Status::Waiting {
            set_status(&mut transaction, &ticket.subject, Status::Processing).await?;
            let events: String = row.try_get("events")?;
            if is_wanted(&events, Event::Started) {
                notifications::add(&mut transaction, self.backend, ticket, Event::Started).await?;
            }
        }
        transaction.commit().await?;
        self.wake_workers();
        let blob = row.try_get("blob_id")?;
        Ok(Some(RecognitionWork { id: ticket.subject.clone(), request: row.try_get("request")?, blob }))
    }

    /// Ends a job with results. Returns false, and changes nothing, when the ticket is no longer this claim's.
    pub async fn complete_recognition(&self, ticket: &Ticket, results: &str) -> Result<bool, StoreError> {
        self.end_recognition(ticket, Status::Completed, Some(results), None).await
    }

    /// Ends a job without results. Returns false, and changes nothing, when the ticket is no longer this claim's.
    pub async fn fail_recognition(&self, ticket: &Ticket, error: &str) -> Result<bool, StoreError> {
        self.end_recognition(ticket, Status::Failed, None, Some(error)).await
    }

    async fn end_recognition(
        &self,
        ticket: &Ticket,
        status: Status,
        results: Option<&str>,
        error: Option<&str>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        if !queue::finish(&mut transaction, ticket).await? {
            return Ok(false);
        }
        let sql = "SELECT blob_id, events, ttl FROM recognitions WHERE id = $1";
        let row = sqlx::query(sql).bind(&ticket.subject).fetch_optional(&mut *transaction).await?;
        let Some(row) = row else { return Ok(false) };
        let now = milliseconds(SystemTime::now());
        sqlx::query(
            "UPDATE recognitions SET status = $2, updated_at = $3, expires_at = $4, blob_id = NULL, results = $5, \
             error = $6 WHERE id = $1",
        )
        .bind(&ticket.subject)
        .bind(status.name())
        .bind(now)
        .bind(now.saturating_add(row.try_get("ttl")?))
        .bind(results)
        .bind(error)
        .execute(&mut *transaction)
        .await?;
        if let Some(blob) = row.try_get::<Option<String>, _>("blob_id")? {
            drop_blob(&mut transaction, &blob).await?;
        }
        let events: String = row.try_get("events")?;
        let told = match status {
            Status::Completed => [Event::CompletedWithResults, Event::Completed].as_slice(),
            _ => [Event::Failed].as_slice(),
        };
        if let Some(event) = told.iter().find(|event| is_wanted(&events, **event)) {
            notifications::add(&mut transaction, self.backend, ticket, *event).await?;
        }
        transaction.commit().await?;
        self.wake_workers();
        Ok(true)
    }

    /// Deletes a job of an instance unless a worker is at it.
    pub async fn delete_recognition(&self, instance: &str, id: &str) -> Result<Deletion, StoreError> {
        let mut transaction = self.begin_write().await?;
        let sql = "SELECT status FROM recognitions WHERE id = $1 AND instance_id = $2 \
                   AND (expires_at IS NULL OR expires_at > $3)";
        let now = milliseconds(SystemTime::now());
        let row = sqlx::query(sql).bind(id).bind(instance).bind(now).fetch_optional(&mut *transaction).await?;
        let Some(row) = row else { return Ok(Deletion::Unknown) };
        let status = status_of(row.try_get("status")?)?;
        let cancelled = queue::cancel(&mut transaction, self.backend, Queue::Recognition, id).await?;
        if status == Status::Processing || cancelled == Cancel::Running {
            return Ok(Deletion::Processing);
        }
        remove(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(Deletion::Done)
    }

    /// Removes jobs whose time is over by `now`. Returns how many there were.
    pub async fn expire_recognitions(&self, now: SystemTime) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let mut transaction = self.begin_write().await?;
            let sql = "SELECT id FROM recognitions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";
            let rows = sqlx::query(sql).bind(milliseconds(now)).bind(EXPIRED_AT_ONCE);
            let rows = rows.fetch_all(&mut *transaction).await?;
            for row in &rows {
                removed += remove(&mut transaction, row.try_get("id")?).await?;
            }
            transaction.commit().await?;
            if rows.len() < EXPIRED_AT_ONCE as usize {
                return Ok(removed);
            }
        }
    }
}

/// Removes a job, whatever its state, with all that is about it. Returns how many rows of jobs went.
async fn remove(transaction: &mut Transaction<'static, Any>, id: &str) -> Result<u64, StoreError> {
    queue::withdraw(transaction, Queue::Recognition, id).await?;
    forget_notifications(transaction, id).await?;
    let sql = "SELECT blob_id FROM recognitions WHERE id = $1";
    let row = sqlx::query(sql).bind(id).fetch_optional(&mut **transaction).await?;
    let blob = row.map(|row| row.try_get::<Option<String>, _>("blob_id")).transpose()?.flatten();
    let deleted = sqlx::query("DELETE FROM recognitions WHERE id = $1").bind(id).execute(&mut **transaction).await?;
    if let Some(blob) = blob {
        drop_blob(transaction, &blob).await?;
    }
    Ok(deleted.rows_affected())
}

/// Removes the jobs that are labelled with a customer, those that are being worked on too. Returns how many there were.
pub(crate) async fn delete_of_customer(
    transaction: &mut Transaction<'static, Any>,
    instance: &str,
    customer: &str,
) -> Result<u64, StoreError> {
    let sql = "SELECT id FROM recognitions WHERE instance_id = $1 AND customer_id = $2 ORDER BY id";
    let rows = sqlx::query(sql).bind(instance).bind(customer).fetch_all(&mut **transaction).await?;
    let mut removed = 0;
    for row in rows {
        removed += remove(transaction, row.try_get("id")?).await?;
    }
    Ok(removed)
}

async fn set_status(transaction: &mut Transaction<'static, Any>, id: &str, status: Status) -> Result<(), StoreError> {
    sqlx::query("UPDATE recognitions SET status = $2, updated_at = $3 WHERE id = $1")
        .bind(id)
        .bind(status.name())
        .bind(milliseconds(SystemTime::now()))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn is_wanted(events: &str, event: Event) -> bool {
    events.split(' ').any(|name| name == event.name())
}
