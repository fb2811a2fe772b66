//! Whether a backup is what was once written.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::write::blob_of;
use super::{BackupError, Manifest, Progress, Step, Tell, blob_path, file_error, hash_of, read_manifest, rows_path};
use crate::migrations;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// What is wrong with it; nothing, when it is good.
    pub problems: Vec<String>,
}

/// Reads a backup as a whole and compares it with its hashes. It reads in the calling thread.
pub fn verify(directory: &Path, tell: Tell<'_>) -> Result<Verified, BackupError> {
    let manifest = read_manifest(directory)?;
    let mut problems = Vec::new();
    let mut done = 0;
    for table in &manifest.tables {
        if !migrations::tables().contains(&table.name.as_str()) {
            problems.push(format!("table {:?} is unknown to this version of Dictum", table.name));
            continue;
        }
        match rows_of(directory, &table.name) {
            Ok((sha256, rows)) if sha256 == table.sha256 && rows == table.rows => {}
            Ok(_) => problems.push(format!("the rows of table {} are not those that were saved", table.name)),
            Err(error) => problems.push(error.to_string()),
        }
        done += table.rows;
        tell(Progress { step: Step::Rows, done, total: None });
    }
    if let Err(error) = verify_blobs(directory, &manifest, &mut problems, tell) {
        problems.push(error.to_string());
    }
    Ok(Verified { manifest, problems })
}

/// SHA-256 of the file of a table, and its number of rows.
fn rows_of(directory: &Path, table: &str) -> Result<(String, u64), BackupError> {
    let path = rows_path(directory, table);
    let (sha256, _) = hash_of(&path, |_| {})?;
    let mut rows = 0;
    for line in BufReader::new(File::open(&path).map_err(file_error(&path))?).split(b'\n') {
        line.map_err(file_error(&path))?;
        rows += 1;
    }
    Ok((sha256, rows))
}

fn verify_blobs(
    directory: &Path,
    manifest: &Manifest,
    problems: &mut Vec<String>,
    tell: Tell<'_>,
) -> Result<(), BackupError> {
    let path = rows_path(directory, "blobs");
    let mut seen = std::collections::HashSet::new();
    let mut done = 0;
    for line in BufReader::new(File::open(&path).map_err(file_error(&path))?).lines() {
        let (id, sha256, size) = blob_of(&line.map_err(file_error(&path))?)?;
        if !seen.insert(sha256.clone()) {
            continue;
        }
        let each = |bytes: usize| {
            done += bytes as u64;
            tell(Progress { step: Step::Blobs, done, total: Some(manifest.blob_bytes) });
        };
        match hash_of(&blob_path(directory, &sha256), each) {
            Ok(found) if found == (sha256, size) => {}
            Ok(_) => problems.push(format!("the bytes of blob {id} are not those that were saved")),
            Err(error) => problems.push(format!("blob {id}: {error}")),
        }
    }
    Ok(())
}
