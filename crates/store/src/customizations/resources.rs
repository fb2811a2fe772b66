//! Corpora and grammars.

use std::time::SystemTime;

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::tasks::begin;
use super::{Change, Task, lock, note_change};
use crate::blobs::Blob;
use crate::blobs::rows::{drop_blob, keep_blob};
use crate::queue::{self, Ticket};
use crate::values::{milliseconds, time};
use crate::{Store, StoreError};

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// A text.
    Corpus,
    /// A grammar.
    Grammar,
}

impl ResourceKind {
    /// As the table has it.
    pub fn name(self) -> &'static str {
        match self {
            ResourceKind::Corpus => "corpus",
            ResourceKind::Grammar => "grammar",
        }
    }

    fn of(name: &str) -> Result<Self, StoreError> {
        let found = [ResourceKind::Corpus, ResourceKind::Grammar].into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| StoreError::Damaged(format!("there is no kind {name:?} of resources")))
    }
}

/// How far a resource has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceStatus {
    /// It is being analysed.
    BeingProcessed,
    /// It can be trained with.
    Analyzed,
    /// It could not be analysed.
    Undetermined,
}

impl ResourceStatus {
    const ALL: [ResourceStatus; 3] = [Self::BeingProcessed, Self::Analyzed, Self::Undetermined];

    /// As the wire and the table have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeingProcessed => "being_processed",
            Self::Analyzed => "analyzed",
            Self::Undetermined => "undetermined",
        }
    }

    fn of(name: &str) -> Result<Self, StoreError> {
        let found = Self::ALL.into_iter().find(|status| status.name() == name);
        found.ok_or_else(|| StoreError::Damaged(format!("there is no status {name:?} of resources")))
    }
}

/// A resource to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewResource {
    /// Its name; unique among corpora and grammars of a model.
    pub name: String,
    /// What it is.
    pub kind: ResourceKind,
    /// The form of a grammar.
    pub media: Option<String>,
    /// What was sent.
    pub text: Blob,
    /// The customer it is labelled with (user-data.md).
    pub customer: Option<String>,
}

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ResourceKind,
    /// The form of a grammar.
    pub media: Option<String>,
    /// How far it has come.
    pub status: ResourceStatus,
    /// Id of the blob that was sent.
    pub text: String,
    /// Id of the blob that came of it, once it is analysed.
    pub analysis: Option<String>,
    /// Words in it, with repetitions.
    pub total_words: u64,
    /// Different words in it that the base vocabulary lacks.
    pub new_word_count: u64,
    /// These words, in whatever form its writer will understand again.
    pub new_words: Option<String>,
    /// Why it could not be analysed.
    pub error: Option<String>,
    /// When it was analysed.
    pub analysed: Option<SystemTime>,
}

/// What an analysis has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// What training reads.
    pub blob: Blob,
    /// Words, with repetitions.
    pub total_words: u64,
    /// Different words that the base vocabulary lacks.
    pub new_word_count: u64,
    /// These words.
    pub new_words: String,
}

fn resource_of(row: &AnyRow) -> Result<Resource, StoreError> {
    let number = |column| -> Result<u64, StoreError> { Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0)) };
    Ok(Resource {
        name: row.try_get("name")?,
        kind: ResourceKind::of(row.try_get("kind")?)?,
        media: row.try_get("media")?,
        status: ResourceStatus::of(row.try_get("status")?)?,
        text: row.try_get("text_id")?,
        analysis: row.try_get("analysis_id")?,
        total_words: number("total_words")?,
        new_word_count: number("new_word_count")?,
        new_words: row.try_get("new_words")?,
        error: row.try_get("error")?,
        analysed: row.try_get::<Option<i64>, _>("analysed_at")?.map(time),
    })
}

impl Store {
    /// Adds a resource and begins its analysis. `Some` of a kind: there is a resource of that name and kind already, and nothing
    /// was changed; one of the same kind is replaced if that is wanted.
    pub async fn put_resource(
        &self,
        instance: &str,
        id: &str,
        new: &NewResource,
        replace: bool,
    ) -> Result<Change<Option<ResourceKind>>, StoreError> {
        let mut transaction = self.begin_write().await?;
        match lock(&mut transaction, instance, id).await? {
            Change::Done(()) => {}
            Change::Busy => return Ok(Change::Busy),
            Change::Unknown => return Ok(Change::Unknown),
        }
        if let Some(kind) = kind_of(&mut transaction, id, &new.name).await? {
            if kind != new.kind || !replace {
                return Ok(Change::Done(Some(kind)));
            }
            remove(&mut transaction, id, &new.name).await?;
        }
        keep_blob(&mut transaction, instance, &new.text).await?;
        sqlx::query(
            "INSERT INTO customization_resources (customization_id, name, kind, media, status, text_id, total_words, \
             new_word_count, created_at, customer_id) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $8)",
        )
        .bind(id)
        .bind(&new.name)
        .bind(new.kind.name())
        .bind(new.media.as_deref())
        .bind(ResourceStatus::BeingProcessed.name())
        .bind(&new.text.id)
        .bind(milliseconds(SystemTime::now()))
        .bind(new.customer.as_deref())
        .execute(&mut *transaction)
        .await?;
        begin(&mut transaction, self, instance, id, &Task::Analysis { resource: new.name.clone() }).await?;
        transaction.commit().await?;
        self.wake_workers();
        Ok(Change::Done(None))
    }

    /// The resources of a model of a kind, or all, by name; with their new words if these are wanted.
    pub async fn resources(
        &self,
        id: &str,
        kind: Option<ResourceKind>,
        with_words: bool,
    ) -> Result<Vec<Resource>, StoreError> {
        let new_words = if with_words { "new_words" } else { "CAST(NULL AS TEXT) AS new_words" };
        let sql = format!(
            "SELECT name, kind, media, status, text_id, analysis_id, total_words, new_word_count, {new_words}, error, \
             analysed_at FROM customization_resources WHERE customization_id = $1 ORDER BY name"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_all(&self.pool).await?;
        let all: Result<Vec<_>, _> = rows.iter().map(resource_of).collect();
        Ok(all?.into_iter().filter(|resource| kind.is_none_or(|kind| kind == resource.kind)).collect())
    }

    /// Removes a resource. `false`: there is none of that name and kind.
    pub async fn delete_resource(
        &self,
        instance: &str,
        id: &str,
        kind: ResourceKind,
        name: &str,
    ) -> Result<Change<bool>, StoreError> {
        let mut transaction = self.begin_write().await?;
        match lock(&mut transaction, instance, id).await? {
            Change::Done(()) => {}
            Change::Busy => return Ok(Change::Busy),
            Change::Unknown => return Ok(Change::Unknown),
        }
        if kind_of(&mut transaction, id, name).await? != Some(kind) {
            return Ok(Change::Done(false));
        }
        remove(&mut transaction, id, name).await?;
        note_change(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(Change::Done(true))
    }

    /// Ends an analysis, with what it has found or why it failed; in the latter case the model may get an `error` too. Returns
    /// false, and changes nothing, when the ticket is no longer this claim's.
    pub async fn end_analysis(
        &self,
        ticket: &Ticket,
        name: &str,
        outcome: &Result<Analysis, String>,
        model_error: Option<&str>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        if !queue::finish(&mut transaction, ticket).await? {
            return Ok(false);
        }
        write_analysis(&mut transaction, ticket, name, outcome).await?;
        note_change(&mut transaction, &ticket.subject).await?;
        sqlx::query("UPDATE customizations SET busy = NULL, updated_at = $2, error = $3 WHERE id = $1")
            .bind(&ticket.subject)
            .bind(milliseconds(SystemTime::now()))
            .bind(model_error)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// Writes what came of an analysis into the row of the resource.
pub(super) async fn write_analysis(
    transaction: &mut Transaction<'static, Any>,
    ticket: &Ticket,
    name: &str,
    outcome: &Result<Analysis, String>,
) -> Result<(), StoreError> {
    let id = &ticket.subject;
    let former: Option<Option<String>> =
        sqlx::query_scalar("SELECT analysis_id FROM customization_resources WHERE customization_id = $1 AND name = $2")
            .bind(id)
            .bind(name)
            .fetch_optional(&mut **transaction)
            .await?;
    let Some(former) = former else { return Ok(()) };
    if let Some(blob) = former {
        drop_blob(transaction, &blob).await?;
    }
    let (status, found, error) = match outcome {
        Ok(found) => (ResourceStatus::Analyzed, Some(found), None),
        Err(error) => (ResourceStatus::Undetermined, None, Some(error.as_str())),
    };
    if let Some(found) = found {
        keep_blob(transaction, &ticket.instance, &found.blob).await?;
    }
    let count = |count: Option<u64>| i64::try_from(count.unwrap_or(0)).unwrap_or(i64::MAX);
    sqlx::query(
        "UPDATE customization_resources SET status = $3, analysis_id = $4, total_words = $5, new_word_count = $6, \
         new_words = $7, error = $8, analysed_at = $9 WHERE customization_id = $1 AND name = $2",
    )
    .bind(id)
    .bind(name)
    .bind(status.name())
    .bind(found.map(|found| found.blob.id.as_str()))
    .bind(count(found.map(|found| found.total_words)))
    .bind(count(found.map(|found| found.new_word_count)))
    .bind(found.map(|found| found.new_words.as_str()))
    .bind(error)
    .bind(milliseconds(SystemTime::now()))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn kind_of(
    transaction: &mut Transaction<'static, Any>,
    id: &str,
    name: &str,
) -> Result<Option<ResourceKind>, StoreError> {
    let kind: Option<String> =
        sqlx::query_scalar("SELECT kind FROM customization_resources WHERE customization_id = $1 AND name = $2")
            .bind(id)
            .bind(name)
            .fetch_optional(&mut **transaction)
            .await?;
    kind.as_deref().map(ResourceKind::of).transpose()
}

/// Removes a resource with its blobs.
pub(super) async fn remove(
    transaction: &mut Transaction<'static, Any>,
    id: &str,
    name: &str,
) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT text_id, analysis_id FROM customization_resources WHERE customization_id = $1 AND name = $2",
    )
    .bind(id)
    .bind(name)
    .fetch_one(&mut **transaction)
    .await?;
    let blobs: [Option<String>; 2] = [row.try_get("text_id")?, row.try_get("analysis_id")?];
    for blob in blobs.into_iter().flatten() {
        drop_blob(transaction, &blob).await?;
    }
    sqlx::query("DELETE FROM customization_resources WHERE customization_id = $1 AND name = $2")
        .bind(id)
        .bind(name)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
