//! Filling an empty store from a backup.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use bytes::Bytes;
use serde_json::Value;
use sqlx::{Any, AssertSqlSafe, Executor, Transaction};

use super::write::blob_of;
use super::{
    BackupError, Manifest, PIECE, Progress, Step, TableOfBackup, Tell, blob_path, file_error, hash_of, read_manifest,
    rows, rows_path,
};
use crate::backend::begin_write;
use crate::{Store, StoreConfig, StoreError, migrations};

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// Blobs written: one for each row, also where several have the same bytes.
    pub blobs: u64,
    /// Work that had been under way and is to be done again.
    pub begun_again: u64,
}

impl Store {
    /// Fills the empty store that `config` names from a backup, whatever kind of store that was made of, and opens it. What was being
    /// worked on when the backup was made is to be done again. The rows come last and all at once: when something fails, the
    /// store is as empty as before, but for blobs that the sweeper removes.
    pub async fn restore(
        config: &StoreConfig,
        directory: &Path,
        tell: Tell<'_>,
    ) -> Result<(Store, Restored), BackupError> {
        let manifest = read_manifest(directory)?;
        let store = Store::unmigrated(config).await?;
        store.prepare_for(&manifest).await?;
        for table in &manifest.tables {
            check_table(directory, table)?;
        }
        let blobs = store.restore_blobs(directory, &manifest, tell).await?;
        let begun_again = store.restore_rows(directory, &manifest, tell).await?;
        migrations::run(&store.pool, store.backend).await?;
        Ok((store, Restored { manifest, blobs, begun_again }))
    }

    /// Makes the tables as they were when the backup was made, and makes sure that there is nothing in them.
    async fn prepare_for(&self, manifest: &Manifest) -> Result<(), BackupError> {
        if manifest.schema > migrations::latest() {
            return Err(StoreError::Newer { migration: manifest.schema }.into());
        }
        migrations::run_to(&self.pool, self.backend, Some(manifest.schema)).await?;
        let schema: i64 = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::from)?;
        if schema > manifest.schema {
            return Err(BackupError::Occupied("its tables are of a later version than the backup".to_owned()));
        }
        for table in &manifest.tables {
            if !migrations::tables().contains(&table.name.as_str()) {
                return Err(BackupError::Damaged(format!("table {:?} is unknown", table.name)));
            }
            let sql = format!("SELECT COUNT(*) FROM {}", table.name);
            let rows: i64 =
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool).await.map_err(StoreError::from)?;
            if rows > 0 {
                return Err(BackupError::Occupied(format!("table {} has rows", table.name)));
            }
        }
        Ok(())
    }

    async fn restore_blobs(&self, directory: &Path, manifest: &Manifest, tell: Tell<'_>) -> Result<u64, BackupError> {
        let path = rows_path(directory, "blobs");
        let (mut blobs, mut done) = (0, 0);
        for line in BufReader::new(File::open(&path).map_err(file_error(&path))?).lines() {
            let (id, sha256, _) = blob_of(&line.map_err(file_error(&path))?)?;
            let path = blob_path(directory, &sha256);
            let mut file = File::open(&path).map_err(file_error(&path))?;
            let mut writer = self.blobs.writer_of(&id)?;
            loop {
                let mut piece = vec![0; PIECE];
                let read = file.read(&mut piece).map_err(file_error(&path))?;
                if read == 0 {
                    break;
                }
                piece.truncate(read);
                writer.write(Bytes::from(piece)).await?;
                done += read as u64;
                tell(Progress { step: Step::Blobs, done, total: Some(manifest.blob_bytes.max(done)) });
            }
            let written = writer.finish().await?;
            if hex::encode(written.sha256) != sha256 {
                self.blobs.delete(&id).await?;
                return Err(BackupError::Damaged(format!("the bytes of blob {id} are not those that were saved")));
            }
            blobs += 1;
        }
        Ok(blobs)
    }

    async fn restore_rows(&self, directory: &Path, manifest: &Manifest, tell: Tell<'_>) -> Result<u64, BackupError> {
        let total = manifest.tables.iter().map(|table| table.rows).sum();
        let mut done = 0;
        let mut transaction = begin_write(&self.pool, self.backend).await?;
        // In the order of the migrations: no row comes before the one it refers to.
        for name in migrations::tables() {
            if !manifest.tables.iter().any(|table| table.name == name) {
                continue;
            }
            let path = rows_path(directory, name);
            for line in BufReader::new(File::open(&path).map_err(file_error(&path))?).lines() {
                let line = line.map_err(file_error(&path))?;
                let Ok(Value::Object(row)) = serde_json::from_str(&line) else {
                    return Err(BackupError::Damaged(format!("a row of table {name} is no JSON object")));
                };
                rows::insert(&mut transaction, name, &row).await?;
                done += 1;
                tell(Progress { step: Step::Rows, done, total: Some(total) });
            }
        }
        let begun_again = begin_again(&mut transaction, manifest).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(begun_again)
    }
}

/// Whoever was working on something is not working on this copy of it.
async fn begin_again(transaction: &mut Transaction<'static, Any>, manifest: &Manifest) -> Result<u64, BackupError> {
    let has = |name: &str| manifest.tables.iter().any(|table| table.name == name);
    let mut begun = 0;
    if has("tickets") {
        // The attempt that was under way has not failed.
        let sql = "UPDATE tickets SET lease = NULL, worker = NULL, ready_at = created_at, attempts = attempts - 1 \
                   WHERE lease IS NOT NULL";
        begun = transaction.execute(sql).await.map_err(StoreError::from)?.rows_affected();
    }
    if has("recognitions") {
        let sql = "UPDATE recognitions SET status = 'waiting' WHERE status = 'processing'";
        transaction.execute(sql).await.map_err(StoreError::from)?;
    }
    Ok(begun)
}

/// Whether the rows of a table are those that were saved: they are small beside the blobs, and nothing must begin with wrong ones.
fn check_table(directory: &Path, table: &TableOfBackup) -> Result<(), BackupError> {
    let (sha256, _) = hash_of(&rows_path(directory, &table.name), |_| {})?;
    match sha256 == table.sha256 {
        true => Ok(()),
        false => Err(BackupError::Damaged(format!("the rows of table {} are not those that were saved", table.name))),
    }
}
