//! What can go wrong with the store.

use std::path::PathBuf;

use sqlx::migrate::MigrateError;

/// Why the store could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database file cannot be created or opened.
    #[error("cannot open the database {path}: {reason}", path = path.display())]
    Open {
        /// The file.
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
    /// The database does not answer, or refuses; trying again later may help.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    /// A row holds what no version of the program writes.
    #[error("the database is damaged: {0}")]
    Damaged(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
                StoreError::Damaged(error.to_string())
            }
            error => StoreError::Database(error),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> StoreError {
        match error {
            MigrateError::VersionMissing(migration) => StoreError::Newer { migration },
            error => StoreError::Migration(error),
        }
    }
}
