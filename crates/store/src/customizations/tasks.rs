//! What takes its time: analysis, training, upgrading.

use std::time::SystemTime;

use sqlx::{Any, Transaction};

use super::resources::{Analysis, write_analysis};
use super::{Change, Customization, CustomizationStatus, customization_of, lock, select_customizations};
use crate::blobs::Blob;
use crate::blobs::rows::{drop_blob, keep_blob};
use crate::queue::{self, NewTicket, Queue, Ticket};
use crate::values::milliseconds;
use crate::{Store, StoreError};

/// How often a task is begun before it is given up.
const MOST_ATTEMPTS: u32 = 3;

/// What a model is busy with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Analysis of a resource.
    Analysis {
        /// Its name.
        resource: String,
    },
    /// Training.
    Training {
        /// Whether only words that the user has added or changed are to be added to the base vocabulary.
        user_words_only: bool,
    },
    /// Carrying over to a newer base model.
    Upgrade,
}

impl Task {
    fn text(&self) -> String {
        match self {
            Task::Analysis { resource } => format!("analysis {resource}"),
            Task::Training { user_words_only: false } => "training all".to_owned(),
            Task::Training { user_words_only: true } => "training user".to_owned(),
            Task::Upgrade => "upgrade".to_owned(),
        }
    }

    pub(super) fn of(text: &str) -> Result<Task, StoreError> {
        match text.split_once(' ') {
            Some(("analysis", resource)) => Ok(Task::Analysis { resource: resource.to_owned() }),
            Some(("training", words)) => Ok(Task::Training { user_words_only: words == "user" }),
            None if text == "upgrade" => Ok(Task::Upgrade),
            _ => Err(StoreError::Damaged(format!("custom models do not do {text:?}"))),
        }
    }

    fn status(&self) -> CustomizationStatus {
        match self {
            Task::Analysis { .. } => CustomizationStatus::Pending,
            Task::Training { .. } => CustomizationStatus::Training,
            Task::Upgrade => CustomizationStatus::Upgrading,
        }
    }
}

/// What a training made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainedModel {
    /// Id of the blob with the language model.
    pub snapshot: String,
    /// Id of the blob with the words and how they are said.
    pub words: String,
    /// Version of the base model.
    pub version: String,
    /// When.
    pub trained: SystemTime,
}

/// Marks a model that is locked as busy and writes the ticket for it.
pub(super) async fn begin(
    transaction: &mut Transaction<'static, Any>,
    store: &Store,
    instance: &str,
    id: &str,
    task: &Task,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE customizations SET busy = $2, status = $3 WHERE id = $1")
        .bind(id)
        .bind(task.text())
        .bind(task.status().name())
        .execute(&mut **transaction)
        .await?;
    let ticket = NewTicket {
        queue: Queue::LanguageTraining,
        instance: instance.to_owned(),
        subject: id.to_owned(),
        priority: 0,
        not_before: SystemTime::UNIX_EPOCH,
        max_attempts: MOST_ATTEMPTS,
    };
    queue::enqueue(transaction, store.backend, &ticket).await
}

impl Store {
    /// Begins a training or an upgrade. A weight is kept for recognition with what is trained.
    pub async fn begin_task(
        &self,
        instance: &str,
        id: &str,
        task: &Task,
        weight: Option<f64>,
    ) -> Result<Change, StoreError> {
        let mut transaction = self.begin_write().await?;
        match lock(&mut transaction, instance, id).await? {
            Change::Done(()) => {}
            other => return Ok(other),
        }
        if matches!(task, Task::Training { .. }) {
            sqlx::query("UPDATE customizations SET weight = $2 WHERE id = $1")
                .bind(id)
                .bind(weight)
                .execute(&mut *transaction)
                .await?;
        }
        begin(&mut transaction, self, instance, id, task).await?;
        transaction.commit().await?;
        self.wake_workers();
        Ok(Change::Done(()))
    }

    /// The model that a ticket is about, to be worked on. `None`: there is nothing to do, and the ticket is gone.
    pub async fn begin_customizing(&self, ticket: &Ticket) -> Result<Option<Customization>, StoreError> {
        let row = sqlx::query(select_customizations!("WHERE id = $1 AND busy IS NOT NULL"))
            .bind(&ticket.subject)
            .fetch_optional(&self.pool)
            .await?;
        if let Some(row) = row {
            return customization_of(&row).map(Some);
        }
        let mut transaction = self.begin_write().await?;
        queue::finish(&mut transaction, ticket).await?;
        transaction.commit().await?;
        Ok(None)
    }

    /// Ends a training with what it has made: blobs of the language model and of the words, over a version of the base
    /// model. Returns false, and changes nothing, when the ticket is no longer this claim's.
    pub async fn end_training(
        &self,
        ticket: &Ticket,
        snapshot: &Blob,
        words: &Blob,
        version: &str,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        if !queue::finish(&mut transaction, ticket).await? {
            return Ok(false);
        }
        write_training(&mut transaction, ticket, snapshot, words, version).await?;
        end(&mut transaction, ticket, CustomizationStatus::Available, None).await?;
        sqlx::query("UPDATE customizations SET changed = 0 WHERE id = $1")
            .bind(&ticket.subject)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Ends an upgrade to a version of the base model: resources analysed anew, and what was trained, trained anew. Returns false,
    /// and changes nothing, when the ticket is no longer this claim's.
    pub async fn end_upgrade(
        &self,
        ticket: &Ticket,
        resources: &[(String, Result<Analysis, String>)],
        trained: Option<(&Blob, &Blob)>,
        version: &str,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        if !queue::finish(&mut transaction, ticket).await? {
            return Ok(false);
        }
        for (name, outcome) in resources {
            write_analysis(&mut transaction, ticket, name, outcome).await?;
        }
        let row = sqlx::query(select_customizations!("WHERE id = $1"))
            .bind(&ticket.subject)
            .fetch_one(&mut *transaction)
            .await?;
        let before = customization_of(&row)?;
        let status = match before.changed || trained.is_none() {
            true => super::status_by_content(&mut transaction, &ticket.subject).await?,
            false => CustomizationStatus::Available,
        };
        if let Some((snapshot, words)) = trained {
            write_training(&mut transaction, ticket, snapshot, words, version).await?;
        }
        let mut versions = before.versions;
        versions.retain(|known| known != version);
        versions.push(version.to_owned());
        sqlx::query("UPDATE customizations SET versions = $2 WHERE id = $1")
            .bind(&ticket.subject)
            .bind(versions.join(" "))
            .execute(&mut *transaction)
            .await?;
        end(&mut transaction, ticket, status, None).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Ends a training or an upgrade that failed. Returns false, and changes nothing, when the ticket is no longer this claim's.
    pub async fn fail_task(&self, ticket: &Ticket, error: &str) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        if !queue::finish(&mut transaction, ticket).await? {
            return Ok(false);
        }
        end(&mut transaction, ticket, CustomizationStatus::Failed, Some(error)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Notes that a training was refused because of what is in the model.
    pub async fn mark_failed(&self, instance: &str, id: &str) -> Result<Change, StoreError> {
        let mut transaction = self.begin_write().await?;
        match lock(&mut transaction, instance, id).await? {
            Change::Done(()) => {}
            other => return Ok(other),
        }
        sqlx::query("UPDATE customizations SET status = $2 WHERE id = $1")
            .bind(id)
            .bind(CustomizationStatus::Failed.name())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Change::Done(()))
    }
}

/// Replaces what was trained before.
async fn write_training(
    transaction: &mut Transaction<'static, Any>,
    ticket: &Ticket,
    snapshot: &Blob,
    words: &Blob,
    version: &str,
) -> Result<(), StoreError> {
    use sqlx::Row;
    let row = sqlx::query("SELECT snapshot_id, words_id FROM customizations WHERE id = $1")
        .bind(&ticket.subject)
        .fetch_one(&mut **transaction)
        .await?;
    let former: [Option<String>; 2] = [row.try_get("snapshot_id")?, row.try_get("words_id")?];
    for blob in former.into_iter().flatten() {
        drop_blob(transaction, &blob).await?;
    }
    keep_blob(transaction, &ticket.instance, snapshot).await?;
    keep_blob(transaction, &ticket.instance, words).await?;
    sqlx::query(
        "UPDATE customizations SET snapshot_id = $2, words_id = $3, trained_version = $4, trained_at = $5 WHERE id = $1",
    )
    .bind(&ticket.subject)
    .bind(&snapshot.id)
    .bind(&words.id)
    .bind(version)
    .bind(milliseconds(SystemTime::now()))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Ends what a model is busy with.
async fn end(
    transaction: &mut Transaction<'static, Any>,
    ticket: &Ticket,
    status: CustomizationStatus,
    error: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE customizations SET busy = NULL, status = $2, error = $3, updated_at = $4 WHERE id = $1")
        .bind(&ticket.subject)
        .bind(status.name())
        .bind(error)
        .bind(milliseconds(SystemTime::now()))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
