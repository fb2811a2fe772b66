//! Custom language models: rows, and the transactions by which they change (language-models.md sections 5 and 6).
//!
//! A model does one thing at a time. What is asked for and done at once is one transaction; what takes longer marks the model as
//! busy and writes a ticket in one transaction ([`Task`]), and a worker ends both in another, with what came of it. Whoever
//! wants to change a busy model is told so ([`Change::Busy`]). A worker that dies leaves the model busy until another one has
//! claimed the ticket; data and trained blobs change in the last transaction only, so a model is never half anything.

mod resources;
mod tasks;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeSet;
use std::time::SystemTime;

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use crate::blobs::rows::drop_blob;

use crate::values::{milliseconds, ordered_id, time};
use crate::{Store, StoreError};
pub use resources::{Analysis, NewResource, Resource, ResourceKind, ResourceStatus};
pub use tasks::{Task, TrainedModel};
pub use words::WordRow;

/// How far a custom model has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomizationStatus {
    /// There is nothing to train with yet.
    Pending,
    /// It can be trained.
    Ready,
    /// It is being trained.
    Training,
    /// It is trained with all there is.
    Available,
    /// It is being carried over to a newer base model.
    Upgrading,
    /// Training failed.
    Failed,
}

impl CustomizationStatus {
    const ALL: [CustomizationStatus; 6] =
        [Self::Pending, Self::Ready, Self::Training, Self::Available, Self::Upgrading, Self::Failed];

    /// As the wire and the table have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Training => "training",
            Self::Available => "available",
            Self::Upgrading => "upgrading",
            Self::Failed => "failed",
        }
    }

    fn of(name: &str) -> Result<Self, StoreError> {
        let found = Self::ALL.into_iter().find(|status| status.name() == name);
        found.ok_or_else(|| StoreError::Damaged(format!("there is no status {name:?} of custom models")))
    }
}

/// A custom model to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCustomization {
    /// GUID of the instance it belongs to.
    pub instance: String,
    /// What its owner calls it.
    pub name: String,
    /// What its owner says of it.
    pub description: Option<String>,
    /// Name of its base model.
    pub base_model: String,
    /// Language of the base model.
    pub language: String,
    /// Dialect of the custom model.
    pub dialect: String,
    /// Version of the base model.
    pub version: String,
}

/// A custom model.
#[derive(Debug, Clone, PartialEq)]
pub struct Customization {
    /// GUID.
    pub id: String,
    /// GUID of the instance it belongs to.
    pub instance: String,
    /// What its owner calls it.
    pub name: String,
    /// What its owner says of it.
    pub description: Option<String>,
    /// Name of its base model.
    pub base_model: String,
    /// Language of the base model.
    pub language: String,
    /// Its dialect.
    pub dialect: String,
    /// Versions of the base model that it is for, oldest first.
    pub versions: Vec<String>,
    /// How far it has come.
    pub status: CustomizationStatus,
    /// Whether there is something that no training has seen.
    pub changed: bool,
    /// What is being done, for which all changes have to wait.
    pub busy: Option<Task>,
    /// What went wrong.
    pub error: Option<String>,
    /// Weight that its training asked for, if it did.
    pub weight: Option<f64>,
    /// What the last training that succeeded made.
    pub trained: Option<TrainedModel>,
    /// When it was made.
    pub created: SystemTime,
    /// When it was last changed.
    pub updated: SystemTime,
}

/// What came of a wish to change a custom model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T = ()> {
    /// It is done, or under way.
    Done(T),
    /// Something else is being done.
    Busy,
    /// The instance has no such model.
    Unknown,
}

fn customization_of(row: &AnyRow) -> Result<Customization, StoreError> {
    let versions: String = row.try_get("versions")?;
    let busy: Option<String> = row.try_get("busy")?;
    let snapshot: Option<String> = row.try_get("snapshot_id")?;
    let trained = match snapshot {
        None => None,
        Some(snapshot) => Some(TrainedModel {
            snapshot,
            words: row.try_get::<Option<String>, _>("words_id")?.unwrap_or_default(),
            version: row.try_get::<Option<String>, _>("trained_version")?.unwrap_or_default(),
            trained: time(row.try_get::<Option<i64>, _>("trained_at")?.unwrap_or_default()),
        }),
    };
    Ok(Customization {
        id: row.try_get("id")?,
        instance: row.try_get("instance_id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        base_model: row.try_get("base_model")?,
        language: row.try_get("language")?,
        dialect: row.try_get("dialect")?,
        versions: versions.split(' ').map(str::to_owned).collect(),
        status: CustomizationStatus::of(row.try_get("status")?)?,
        changed: row.try_get::<i64, _>("changed")? != 0,
        busy: busy.as_deref().map(Task::of).transpose()?,
        error: row.try_get("error")?,
        weight: row.try_get("weight")?,
        trained,
        created: time(row.try_get("created_at")?),
        updated: time(row.try_get("updated_at")?),
    })
}

/// The columns of [`customization_of`].
macro_rules! select_customizations {
    ($rest:literal) => {
        concat!(
            "SELECT id, instance_id, name, description, base_model, language, dialect, versions, status, changed, busy, error, ",
            "weight, snapshot_id, words_id, trained_version, trained_at, created_at, updated_at FROM customizations ",
            $rest
        )
    };
}
use select_customizations;

impl Store {
    /// Makes a custom model, unless the instance has `most` already. Its GUID, or how many there are.
    pub async fn create_customization(
        &self,
        new: &NewCustomization,
        most: u64,
    ) -> Result<Result<String, u64>, StoreError> {
        let mut transaction = self.begin_write().await?;
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM customizations WHERE instance_id = $1")
            .bind(&new.instance)
            .fetch_one(&mut *transaction)
            .await?;
        let count = u64::try_from(count).unwrap_or(0);
        if count >= most {
            return Ok(Err(count));
        }
        let id = ordered_id();
        sqlx::query(
            "INSERT INTO customizations (id, instance_id, name, description, base_model, language, dialect, versions, \
             status, changed, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $10)",
        )
        .bind(&id)
        .bind(&new.instance)
        .bind(&new.name)
        .bind(new.description.as_deref())
        .bind(&new.base_model)
        .bind(&new.language)
        .bind(&new.dialect)
        .bind(&new.version)
        .bind(CustomizationStatus::Pending.name())
        .bind(milliseconds(SystemTime::now()))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Ok(id))
    }

    /// The custom models of an instance, oldest first; those of a language if one is given.
    pub async fn customizations(
        &self,
        instance: &str,
        language: Option<&str>,
    ) -> Result<Vec<Customization>, StoreError> {
        let rows = sqlx::query(select_customizations!("WHERE instance_id = $1 ORDER BY created_at, id"))
            .bind(instance)
            .fetch_all(&self.pool)
            .await?;
        let all: Result<Vec<_>, _> = rows.iter().map(customization_of).collect();
        let wanted = |model: &Customization| language.is_none_or(|language| model.language == language);
        Ok(all?.into_iter().filter(wanted).collect())
    }

    /// A custom model of an instance.
    pub async fn customization(&self, instance: &str, id: &str) -> Result<Option<Customization>, StoreError> {
        let row = sqlx::query(select_customizations!("WHERE id = $1 AND instance_id = $2"))
            .bind(id)
            .bind(instance)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(customization_of).transpose()
    }

    /// Removes a custom model with everything in it.
    pub async fn delete_customization(&self, instance: &str, id: &str) -> Result<Change, StoreError> {
        let mut transaction = self.begin_write().await?;
        match lock(&mut transaction, instance, id).await? {
            Change::Done(()) => {}
            other => return Ok(other),
        }
        empty(&mut transaction, id).await?;
        sqlx::query("DELETE FROM customizations WHERE id = $1").bind(id).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Change::Done(()))
    }

    /// Removes everything in a custom model: it is as it was made.
    pub async fn reset_customization(&self, instance: &str, id: &str) -> Result<Change, StoreError> {
        let mut transaction = self.begin_write().await?;
        match lock(&mut transaction, instance, id).await? {
            Change::Done(()) => {}
            other => return Ok(other),
        }
        empty(&mut transaction, id).await?;
        sqlx::query(
            "UPDATE customizations SET status = $2, changed = 0, error = NULL, weight = NULL, snapshot_id = NULL, \
             words_id = NULL, trained_version = NULL, trained_at = NULL WHERE id = $1",
        )
        .bind(id)
        .bind(CustomizationStatus::Pending.name())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Change::Done(()))
    }
}

/// Removes the corpora, grammars and words of an instance's models that are labelled with a customer, those that are being analysed
/// too: whoever is at it finds out at the end. How many resources and words there were.
pub(crate) async fn delete_of_customer(
    transaction: &mut Transaction<'static, Any>,
    instance: &str,
    customer: &str,
) -> Result<(u64, u64), StoreError> {
    let resources = sqlx::query(
        "SELECT r.customization_id, r.name FROM customization_resources r JOIN customizations c \
         ON c.id = r.customization_id WHERE r.customer_id = $2 AND c.instance_id = $1",
    )
    .bind(instance)
    .bind(customer)
    .fetch_all(&mut **transaction)
    .await?;
    let mut changed: BTreeSet<String> = BTreeSet::new();
    for row in &resources {
        let id: String = row.try_get("customization_id")?;
        resources::remove(transaction, &id, row.try_get("name")?).await?;
        changed.insert(id);
    }
    let with_words: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT w.customization_id FROM customization_words w JOIN customizations c \
         ON c.id = w.customization_id WHERE w.customer_id = $2 AND c.instance_id = $1",
    )
    .bind(instance)
    .bind(customer)
    .fetch_all(&mut **transaction)
    .await?;
    let mut words = 0;
    for id in with_words {
        words += sqlx::query("DELETE FROM customization_words WHERE customization_id = $1 AND customer_id = $2")
            .bind(&id)
            .bind(customer)
            .execute(&mut **transaction)
            .await?
            .rows_affected();
        changed.insert(id);
    }
    for id in &changed {
        note_change(transaction, id).await?;
    }
    Ok((resources.len() as u64, words))
}

/// Takes the row of a model that is not busy, before anything about it is read: until the end of the transaction nobody else
/// changes it.
async fn lock(transaction: &mut Transaction<'static, Any>, instance: &str, id: &str) -> Result<Change, StoreError> {
    let taken =
        sqlx::query("UPDATE customizations SET updated_at = $3 WHERE id = $1 AND instance_id = $2 AND busy IS NULL")
            .bind(id)
            .bind(instance)
            .bind(milliseconds(SystemTime::now()))
            .execute(&mut **transaction)
            .await?;
    if taken.rows_affected() == 1 {
        return Ok(Change::Done(()));
    }
    let there = sqlx::query("SELECT id FROM customizations WHERE id = $1 AND instance_id = $2")
        .bind(id)
        .bind(instance)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(if there.is_some() { Change::Busy } else { Change::Unknown })
}

/// Removes resources, words and trained blobs of a model.
async fn empty(transaction: &mut Transaction<'static, Any>, id: &str) -> Result<(), StoreError> {
    let mut blobs: Vec<Option<String>> = Vec::new();
    let rows = sqlx::query("SELECT text_id, analysis_id FROM customization_resources WHERE customization_id = $1")
        .bind(id)
        .fetch_all(&mut **transaction)
        .await?;
    for row in rows {
        blobs.extend([row.try_get("text_id")?, row.try_get("analysis_id")?]);
    }
    let row = sqlx::query("SELECT snapshot_id, words_id FROM customizations WHERE id = $1")
        .bind(id)
        .fetch_one(&mut **transaction)
        .await?;
    blobs.extend([row.try_get("snapshot_id")?, row.try_get("words_id")?]);
    for blob in blobs.into_iter().flatten() {
        drop_blob(transaction, &blob).await?;
    }
    for table in ["customization_resources", "customization_words"] {
        let sql = format!("DELETE FROM {table} WHERE customization_id = $1");
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Notes that a model has changed: it can be trained if there is anything to train with.
async fn note_change(transaction: &mut Transaction<'static, Any>, id: &str) -> Result<(), StoreError> {
    let status = status_by_content(transaction, id).await?;
    sqlx::query("UPDATE customizations SET status = $2, changed = 1, error = NULL WHERE id = $1")
        .bind(id)
        .bind(status.name())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// The status of a model that is not being worked on.
async fn status_by_content(
    transaction: &mut Transaction<'static, Any>,
    id: &str,
) -> Result<CustomizationStatus, StoreError> {
    let anything = sqlx::query(
        "SELECT 1 AS one FROM customization_resources WHERE customization_id = $1 AND status = 'analyzed' \
         UNION ALL SELECT 1 FROM customization_words WHERE customization_id = $1 AND definition IS NOT NULL LIMIT 1",
    )
    .bind(id)
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(if anything.is_some() { CustomizationStatus::Ready } else { CustomizationStatus::Pending })
}
