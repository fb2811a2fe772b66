//! Backups: all rows and blobs of a store as they were at one moment, in a directory, independent of the kind of store.
//!
//! # The format, version 1
//!
//! | file | what |
//! |---|---|
//! | `manifest.json` | [`Manifest`]: version of the format, number of the last migration, and for every table its number of rows and the SHA-256 of its file. Written last: a directory without it is no backup |
//! | `rows/TABLE.jsonl` | one JSON object a row, by the names of the columns: strings, whole numbers, other numbers, null |
//! | `blobs/AB/ABCD...` | the bytes of a blob, named by their SHA-256 in hexadecimal; the rows of table `blobs` say which blob has which |
//!
//! Every backup is complete by itself. One made *since* an earlier one shares the files of blobs that both have, as hard links where
//! the file system can do that; either can be removed without the other.
//!
//! # What makes it consistent
//!
//! All rows are read in one transaction that sees one state of the database, while others go on writing. Blobs are never changed, and
//! for as long as a backup is being made the sweeper removes none (a *hold*, which runs out by itself when the process dies).
//!
//! # Beside a server
//!
//! Blobs are put on the disk by a thread of their own while the next ones are copied, and what was read and written does not stay in
//! the system's cache, where it would push out what a server on the same machine reads all the time.

mod disk;
mod hold;
mod restore;
mod rows;
#[cfg(test)]
mod tests;
mod verify;
mod write;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::StoreError;
pub use restore::Restored;
pub use verify::{Verified, verify};
pub use write::{BackupOptions, Written};

/// Version of the format that this program writes; the only one it reads.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
/// Tables that are about a running store and mean nothing in another.
const NOT_KEPT: [&str; 2] = ["dropped_blobs", "holds"];
/// Bytes of a file read at a time.
const PIECE: usize = 1 << 20;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format.
    pub format: u32,
    /// Number of the last migration of the database it was made of.
    pub schema: i64,
    /// When it was begun, milliseconds since 1970.
    pub created: i64,
    /// Every table.
    pub tables: Vec<TableOfBackup>,
    /// Number of different blobs.
    pub blobs: u64,
    /// Bytes of all of them.
    pub blob_bytes: u64,
}

/// What a manifest says of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableOfBackup {
    /// Its name.
    pub name: String,
    /// Number of rows.
    pub rows: u64,
    /// SHA-256 of the file of its rows, in hexadecimal.
    pub sha256: String,
}

/// How far something has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub step: Step,
    /// Rows, or bytes of blobs, done.
    pub done: u64,
    /// And in all; of rows that are being saved it is not known.
    pub total: Option<u64>,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Rows; counted in rows.
    Rows,
    /// Blobs; counted in bytes.
    Blobs,
}

/// Whom to tell about progress.
pub type Tell<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// Why a backup could not be made, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the backup could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A backup goes into a directory of its own.
    #[error("{path} is not empty; a backup needs a directory of its own", path = path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// It is no backup, or an unfinished one.
    #[error("{path} is no backup, or one that was not finished: {problem}", path = path.display())]
    NoBackup {
        /// The directory.
        path: PathBuf,
        /// What is missing or wrong.
        problem: String,
    },
    /// The backup is not what was once written.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// Something is in the store already.
    #[error("the store is not empty ({0}); restore into a new database, or a new --data directory")]
    Occupied(String),
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> BackupError + '_ {
    |source| BackupError::File { path: path.to_owned(), source }
}

/// The manifest of a backup.
pub fn read_manifest(directory: &Path) -> Result<Manifest, BackupError> {
    let wrong = |problem: String| BackupError::NoBackup { path: directory.to_owned(), problem };
    let text =
        std::fs::read_to_string(directory.join(MANIFEST)).map_err(|error| wrong(format!("{MANIFEST}: {error}")))?;
    // Of another version nothing else may be as it is here.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let parsed = |error: serde_json::Error| wrong(format!("{MANIFEST}: {error}"));
    let version: Version = serde_json::from_str(&text).map_err(parsed)?;
    if version.format != FORMAT {
        return Err(wrong(format!("its format is {}, and this version of Dictum reads {FORMAT} only", version.format)));
    }
    serde_json::from_str(&text).map_err(parsed)
}

/// Where the rows of a table are.
fn rows_path(directory: &Path, table: &str) -> PathBuf {
    directory.join("rows").join(format!("{table}.jsonl"))
}

/// Where the bytes of this hash are.
fn blob_path(directory: &Path, sha256: &str) -> PathBuf {
    directory.join("blobs").join(sha256.get(..2).unwrap_or("xx")).join(sha256)
}

/// SHA-256 of a file, in hexadecimal, and its size; `each` is told of every piece.
fn hash_of(path: &Path, mut each: impl FnMut(usize)) -> Result<(String, u64), BackupError> {
    let mut file = BufReader::with_capacity(PIECE, File::open(path).map_err(file_error(path))?);
    let (mut hash, mut size, mut piece) = (Sha256::new(), 0, vec![0; PIECE]);
    loop {
        let read = file.read(&mut piece).map_err(file_error(path))?;
        if read == 0 {
            return Ok((hex::encode(hash.finalize()), size));
        }
        hash.update(&piece[..read]);
        size += read as u64;
        each(read);
    }
}
