//! The rows of blobs, and the removal of objects that have none.

use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::{Blob, Blobs};
use crate::values::milliseconds;
use crate::{Store, StoreError};

/// So old must an object without a row be before it is taken for what a crash has left: its row may be about to be written.
const ORPHANED: Duration = Duration::from_secs(60 * 60);
/// Objects looked at, or removed, at a time.
const BATCH: usize = 200;

/// What a sweep has removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Blobs whose rows had been removed.
    pub dropped: u64,
    /// Objects that never had a row.
    pub orphans: u64,
}

/// Writes the row of a blob, in the transaction that writes what refers to it.
pub(crate) async fn keep_blob(
    transaction: &mut Transaction<'static, Any>,
    instance: &str,
    blob: &Blob,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO blobs (id, instance_id, size, sha256, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(&blob.id)
        .bind(instance)
        .bind(i64::try_from(blob.size).unwrap_or(i64::MAX))
        .bind(hex::encode(blob.sha256))
        .bind(milliseconds(SystemTime::now()))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Removes the row of a blob, in the transaction that removes what refers to it. Its bytes go with the next sweep. That there is
/// no such row is no error.
pub(crate) async fn drop_blob(transaction: &mut Transaction<'static, Any>, id: &str) -> Result<(), StoreError> {
    let removed = sqlx::query("DELETE FROM blobs WHERE id = $1").bind(id).execute(&mut **transaction).await?;
    if removed.rows_affected() > 0 {
        sqlx::query("INSERT INTO dropped_blobs (id, dropped_at) VALUES ($1, $2)")
            .bind(id)
            .bind(milliseconds(SystemTime::now()))
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

impl Store {
    /// Removes the bytes of blobs whose rows are gone, unless a backup is being made. Any number of processes may do so at the same time.
    pub async fn sweep_dropped(&self) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            // One statement: what was dropped before a backup began is not in it.
            let sql = format!(
                "SELECT id FROM dropped_blobs WHERE NOT EXISTS (SELECT id FROM holds WHERE until > {}) \
                 ORDER BY dropped_at, id LIMIT {BATCH}",
                self.backend.now()
            );
            let ids: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
            for id in &ids {
                self.blobs.delete(id).await?;
                sqlx::query("DELETE FROM dropped_blobs WHERE id = $1").bind(id).execute(&self.pool).await?;
            }
            removed += ids.len() as u64;
            if ids.len() < BATCH {
                return Ok(removed);
            }
        }
    }

    /// Removes the bytes of all blobs that have no row: those that were dropped, and those whose process died before their row
    /// was written, an hour ago or more. It looks at every object, so it is not for every minute.
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        let dropped = self.sweep_dropped().await?;
        self.blobs.place.remove_remains(ORPHANED).await?;
        let orphans = self.sweep_orphans(ORPHANED).await?;
        Ok(Swept { dropped, orphans })
    }

    pub(crate) async fn sweep_orphans(&self, age: Duration) -> Result<u64, StoreError> {
        let latest = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut removed = 0;
        let mut old = Vec::new();
        let mut objects = self.blobs.place.objects.list(Some(&self.blobs.place.root));
        while let Some(object) = objects.try_next().await? {
            if let Some(id) = Blobs::id_at(&object.location)
                && SystemTime::from(object.last_modified) <= latest
            {
                old.push(id.to_owned());
            }
            if old.len() == BATCH {
                removed += self.remove_without_row(std::mem::take(&mut old)).await?;
            }
        }
        Ok(removed + self.remove_without_row(old).await?)
    }

    async fn remove_without_row(&self, mut ids: Vec<String>) -> Result<u64, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let places: Vec<String> = (1..=ids.len()).map(|number| format!("${number}")).collect();
        let sql = format!("SELECT id FROM blobs WHERE id IN ({})", places.join(", "));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for id in &ids {
            query = query.bind(id.clone());
        }
        for row in query.fetch_all(&self.pool).await? {
            let kept: String = row.try_get("id")?;
            ids.retain(|id| *id != kept);
        }
        // After the rows were looked for: a backup that begins later does not have them.
        if self.is_held().await? {
            return Ok(0);
        }
        for id in &ids {
            self.blobs.delete(id).await?;
        }
        Ok(ids.len() as u64)
    }
}
