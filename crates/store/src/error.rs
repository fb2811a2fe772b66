//! What can go wrong with the store.

use std::path::PathBuf;

use sqlx::migrate::MigrateError;

/// Why the store could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A URL that does not say where rows or blobs are.
    #[error("{url:?} cannot be used: {problem}; write {wanted}")]
    Address {
        /// The URL, without passwords.
        url: String,
        /// What is wrong with it.
        problem: String,
        /// What it could be.
        wanted: &'static str,
    },
    /// The database file, or the directory of blobs, cannot be created or opened.
    #[error("cannot open {path}: {reason}", path = path.display())]
    Open {
        /// The file or directory.
        path: PathBuf,
        /// Why, in the words of the system.
        reason: String,
    },
    /// The database was written by a later version of the program.
    #[error(
        "the database is of a newer version of Dictum (its migration {migration} is unknown here); use that version"
    )]
    Newer {
        /// The first migration that this version does not have.
        migration: i64,
    },
    /// The tables could not be brought up to date.
    #[error("the database cannot be brought up to date: {0}")]
    Migration(#[source] MigrateError),
    /// The database or the blob store does not answer, is out of space, or is too busy. Nothing is lost; trying again later helps.
    #[error("the {what} is not available: {reason}")]
    Unavailable {
        /// `database` or `blob store`.
        what: &'static str,
        /// Why, in its own words. For the operator: it may name hosts and files.
        reason: String,
    },
    /// The database refuses what was asked of it: a row that exists already, or one that another needs.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    /// A blob is larger than who reads it can take.
    #[error("a blob of {size} bytes is larger than {limit} bytes")]
    TooLarge {
        /// Its size, bytes.
        size: u64,
        /// The most that was wanted, bytes.
        limit: u64,
    },
    /// A row or a blob is missing, or holds what no version of the program writes. Trying again does not help.
    #[error("what is stored is damaged: {0}")]
    Damaged(String),
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, StoreError::Unavailable { .. })
    }

    /// The database is away.
    pub(crate) fn database_away(reason: impl ToString) -> StoreError {
        StoreError::Unavailable { what: "database", reason: reason.to_string() }
    }

    /// The blob store is away.
    pub(crate) fn blobs_away(reason: impl ToString) -> StoreError {
        StoreError::Unavailable { what: "blob store", reason: reason.to_string() }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        use sqlx::Error;
        match &error {
            Error::ColumnDecode { .. } | Error::ColumnNotFound(_) | Error::Decode(_) | Error::RowNotFound => {
                StoreError::Damaged(error.to_string())
            }
            Error::PoolTimedOut => StoreError::database_away("no connection was free or could be made in time"),
            Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::PoolClosed | Error::WorkerCrashed => {
                StoreError::database_away(error)
            }
            Error::Database(refusal) if refusal.code().is_some_and(|code| passes(&code)) => {
                StoreError::database_away(error)
            }
            _ => StoreError::Database(error),
        }
    }
}

/// Whether what a code of SQLite (a number) or PostgreSQL (five letters and digits) stands for passes by itself.
fn passes(code: &str) -> bool {
    /// Busy, locked, input or output failed, file full, cannot open: what another process, a disk or its owner can set right.
    const SQLITE: [u32; 5] = [5, 6, 10, 13, 14];
    /// Classes: connection, resources (a full disk among them), serialization and deadlocks, intervention of an operator, system.
    const POSTGRES: [&str; 5] = ["08", "53", "40", "57", "58"];
    match code.len() {
        5 => POSTGRES.iter().any(|class| code.starts_with(class)),
        // The higher bits say what is special about it.
        _ => code.parse::<u32>().is_ok_and(|code| SQLITE.contains(&(code & 0xff))),
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> StoreError {
        match error {
            MigrateError::VersionMissing(migration) => StoreError::Newer { migration },
            MigrateError::Execute(cause) => match StoreError::from(cause) {
                StoreError::Database(cause) => StoreError::Migration(MigrateError::Execute(cause)),
                other => other,
            },
            error => StoreError::Migration(error),
        }
    }
}

impl From<object_store::Error> for StoreError {
    fn from(error: object_store::Error) -> StoreError {
        match error {
            object_store::Error::NotFound { .. } => StoreError::Damaged("a blob is missing".to_owned()),
            error => StoreError::blobs_away(with_causes(&error)),
        }
    }
}

/// An error and what caused it, where the one does not repeat the other.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes() {
        // SQLITE_BUSY, SQLITE_BUSY_SNAPSHOT, SQLITE_FULL, SQLITE_IOERR_WRITE; admin_shutdown, disk_full, deadlock_detected.
        for code in ["5", "517", "13", "778", "57P01", "53100", "40P01", "08006"] {
            assert!(passes(code), "{code}");
        }
        // SQLITE_CONSTRAINT_UNIQUE, SQLITE_CORRUPT; unique_violation, undefined_table, invalid_password.
        for code in ["2067", "11", "23505", "42P01", "28P01"] {
            assert!(!passes(code), "{code}");
        }
    }
}
