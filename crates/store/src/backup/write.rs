//! Making a backup.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use futures::TryStreamExt;
use object_store::{GetResultPayload, ObjectStoreExt};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;

use super::disk::{Pace, ReadOnce, Saving, Syncer};
use super::hold::Hold;
use super::rows::object_of;
use super::{
    BackupError, FORMAT, MANIFEST, Manifest, NOT_KEPT, PIECE, Progress, Step, TableOfBackup, Tell, blob_path,
    file_error, read_manifest, rows_path,
};
use crate::values::milliseconds;
use crate::{Blobs, Store, StoreError, migrations};

/// How a backup is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupOptions {
    /// An earlier backup, whose blobs are not read again.
    pub since: Option<PathBuf>,
    /// Most bytes of blobs that are copied in a second; `None`: as many as can be.
    pub bytes_per_second: Option<u64>,
}

/// What a backup has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Bytes of blobs that the earlier backup had already.
    pub shared: u64,
}

/// A blob of the backup.
struct Wanted {
    id: String,
    sha256: String,
    size: u64,
}

impl Store {
    /// Makes a backup in `directory`, which must be empty or not exist. It reads and writes files in the calling thread: for a
    /// program of its own, beside a server that goes on serving.
    pub async fn backup(
        &self,
        directory: &Path,
        options: &BackupOptions,
        tell: Tell<'_>,
    ) -> Result<Written, BackupError> {
        if let Some(since) = &options.since {
            read_manifest(since)?;
        }
        prepare(directory)?;
        // Before the state that is saved: whatever it refers to stays.
        let mut hold = Hold::begin(self).await?;
        let created = milliseconds(SystemTime::now());
        let outcome = async {
            let (schema, tables) = self.save_rows(directory, tell).await?;
            let blobs = wanted_blobs(directory)?;
            let blob_bytes = blobs.iter().map(|blob| blob.size).sum();
            let shared = self.save_blobs(directory, options, &blobs, blob_bytes, &mut hold, tell).await?;
            let blobs = blobs.len() as u64;
            let manifest = Manifest { format: FORMAT, schema, created, tables, blobs, blob_bytes };
            let mut text =
                serde_json::to_vec_pretty(&manifest).map_err(|error| StoreError::Damaged(error.to_string()))?;
            text.push(b'\n');
            write_file(&directory.join(MANIFEST), |file| file.write_all(&text))?;
            Ok(Written { manifest, shared })
        };
        let outcome: Result<Written, BackupError> = outcome.await;
        let ended = hold.end().await;
        let written = outcome?;
        ended?;
        Ok(written)
    }

    /// Saves all tables, and says which state of them that is.
    async fn save_rows(&self, directory: &Path, tell: Tell<'_>) -> Result<(i64, Vec<TableOfBackup>), BackupError> {
        let mut snapshot = self.begin_snapshot().await?;
        let schema: i64 = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
            .fetch_one(&mut *snapshot)
            .await
            .map_err(StoreError::from)?;
        let mut tables = Vec::new();
        let mut done = 0;
        for name in migrations::tables().into_iter().filter(|name| !NOT_KEPT.contains(name)) {
            let path = rows_path(directory, name);
            let mut file = BufWriter::new(create(&path)?);
            let (mut hash, mut rows) = (Sha256::new(), 0);
            let mut found = sqlx::query(AssertSqlSafe(format!("SELECT * FROM {name}"))).fetch(&mut *snapshot);
            while let Some(row) = found.try_next().await.map_err(StoreError::from)? {
                let line = format!("{}\n", object_of(&row)?);
                hash.update(&line);
                file.write_all(line.as_bytes()).map_err(file_error(&path))?;
                (rows, done) = (rows + 1, done + 1);
                if done % 256 == 0 {
                    tell(Progress { step: Step::Rows, done, total: None });
                }
            }
            let file = file.into_inner().map_err(|error| file_error(&path)(error.into_error()))?;
            file.sync_all().map_err(file_error(&path))?;
            tables.push(TableOfBackup { name: name.to_owned(), rows, sha256: hex::encode(hash.finalize()) });
        }
        tell(Progress { step: Step::Rows, done, total: Some(done) });
        snapshot.rollback().await.map_err(StoreError::from)?;
        Ok((schema, tables))
    }

    /// Saves all blobs; how many bytes of them an earlier backup had.
    async fn save_blobs(
        &self,
        directory: &Path,
        options: &BackupOptions,
        blobs: &[Wanted],
        total: u64,
        hold: &mut Hold,
        tell: Tell<'_>,
    ) -> Result<u64, BackupError> {
        let (mut done, mut shared) = (0, 0);
        let (mut syncer, mut pace) = (Syncer::start(), Pace::new(options.bytes_per_second));
        tell(Progress { step: Step::Blobs, done, total: Some(total) });
        for blob in blobs {
            let path = blob_path(directory, &blob.sha256);
            make_directory(path.parent().unwrap_or(directory))?;
            let earlier = options.since.as_deref().map(|since| blob_path(since, &blob.sha256));
            let before = done;
            if earlier.is_some_and(|earlier| share(&earlier, &path, blob.size)) {
                shared += blob.size;
            } else {
                let mut each = |bytes: usize| {
                    done += bytes as u64;
                    tell(Progress { step: Step::Blobs, done, total: Some(total) });
                };
                save_blob(self.blobs(), blob, &path, hold, &mut syncer, &mut pace, &mut each).await?;
            }
            done = before + blob.size;
            tell(Progress { step: Step::Blobs, done, total: Some(total) });
            hold.extend().await?;
        }
        syncer.end()?;
        sync_directory(&directory.join("blobs"))?;
        Ok(shared)
    }
}

/// Copies a blob, and makes sure that it is what its row says. That it is on the disk is for `syncer` to say.
async fn save_blob(
    blobs: &Blobs,
    blob: &Wanted,
    path: &Path,
    hold: &mut Hold,
    syncer: &mut Syncer,
    pace: &mut Pace,
    each: &mut (dyn FnMut(usize) + Send),
) -> Result<(), BackupError> {
    let damaged = |what: &str| StoreError::Damaged(format!("blob {} {what}", blob.id));
    let found =
        blobs.place.objects.get(&blobs.path(&blob.id)?).await.map_err(|error| match StoreError::from(error) {
            StoreError::Damaged(_) => damaged("is missing"),
            error => error,
        })?;
    let mut saving = Saving::new(create(path)?, path);
    match found.payload {
        // A directory: read with the pieces that files are best read with.
        GetResultPayload::File(source, from) => {
            let (mut source, mut piece) = (ReadOnce::new(source), vec![0; PIECE]);
            loop {
                let read = source.file.read(&mut piece).map_err(file_error(&from))?;
                source.note(read);
                if read == 0 {
                    break;
                }
                saving.write(&piece[..read], syncer)?;
                each(read);
                pace.keep(read).await;
                hold.extend().await?;
            }
        }
        GetResultPayload::Stream(mut source) => {
            while let Some(piece) = source.try_next().await.map_err(StoreError::from)? {
                saving.write(&piece, syncer)?;
                each(piece.len());
                pace.keep(piece.len()).await;
                hold.extend().await?;
            }
        }
    }
    match saving.finish(blob.size, &blob.sha256, syncer)? {
        true => Ok(()),
        false => Err(damaged("is not what was written once: its size or SHA-256 is another").into()),
    }
}

/// Has a file of an earlier backup in this one too, when it is there and of the right size; what is in it is for `verify`.
fn share(earlier: &Path, path: &Path, size: u64) -> bool {
    let same = std::fs::metadata(earlier).is_ok_and(|found| found.is_file() && found.len() == size);
    same && std::fs::hard_link(earlier, path).is_ok()
}

/// The blobs that the saved rows name, each content once.
fn wanted_blobs(directory: &Path) -> Result<Vec<Wanted>, BackupError> {
    let path = rows_path(directory, "blobs");
    let (mut seen, mut wanted) = (HashSet::new(), Vec::new());
    for line in BufReader::new(File::open(&path).map_err(file_error(&path))?).lines() {
        let blob = blob_of(&line.map_err(file_error(&path))?)?;
        if seen.insert(blob.1.clone()) {
            wanted.push(Wanted { id: blob.0, sha256: blob.1, size: blob.2 });
        }
    }
    Ok(wanted)
}

/// Id, SHA-256 and size in a saved row of table `blobs`.
pub(super) fn blob_of(line: &str) -> Result<(String, String, u64), BackupError> {
    let damaged = || BackupError::Damaged("a row of table blobs does not describe a blob".to_owned());
    let row: Value = serde_json::from_str(line).map_err(|_| damaged())?;
    let text = |name: &str| row[name].as_str().map(str::to_owned).ok_or_else(damaged);
    let sha256 = text("sha256")?;
    // It becomes part of a path.
    if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(damaged());
    }
    Ok((text("id")?, sha256, row["size"].as_u64().ok_or_else(damaged)?))
}

/// A directory for a backup, with nothing in it.
fn prepare(directory: &Path) -> Result<(), BackupError> {
    make_directory(directory)?;
    let mut entries = std::fs::read_dir(directory).map_err(file_error(directory))?;
    if entries.next().is_some() {
        return Err(BackupError::NotEmpty { path: directory.to_owned() });
    }
    make_directory(&directory.join("rows"))?;
    make_directory(&directory.join("blobs"))
}

/// Backups have secrets and recordings in them: nobody but their owner reads them.
fn make_directory(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(file_error(path))
}

fn create(path: &Path) -> Result<File, BackupError> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(file_error(path))
}

/// Writes a file so that it is there whole, after a loss of power too, or not at all.
fn write_file(path: &Path, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<(), BackupError> {
    let new = PathBuf::from(format!("{}.new", path.display()));
    let mut file = create(&new)?;
    write(&mut file).and_then(|()| file.sync_all()).map_err(file_error(&new))?;
    std::fs::rename(&new, path).map_err(file_error(path))?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Makes sure that the names in a directory and those below it are on the disk.
fn sync_directory(directory: &Path) -> Result<(), BackupError> {
    for entry in std::fs::read_dir(directory).map_err(file_error(directory))? {
        let entry = entry.map_err(file_error(directory))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sync_directory(&entry.path())?;
        }
    }
    File::open(directory).and_then(|opened| opened.sync_all()).map_err(file_error(directory))
}
