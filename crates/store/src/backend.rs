//! What differs between databases: how a connection is made and set up, how a transaction that writes begins, and what little
//! of SQL they do not share.

use std::path::Path;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyPool, ConnectOptions, Connection, Executor, Transaction};
use url::Url;

use crate::address::DatabaseAddress;
use crate::{Store, StoreError};

/// Connections of a process to a file. SQLite has one writer at a time anyway.
const SQLITE_CONNECTIONS: u32 = 4;
/// Connections of a process to a server, which has a hundred for all unless told otherwise.
const POSTGRES_CONNECTIONS: u32 = 10;
/// Longest wait for a free connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for a connection to a server: who asks meanwhile is told to come back, and it may be gone for long.
const POSTGRES_PATIENCE: Duration = Duration::from_secs(4);
/// Attempts to switch a new database to write-ahead mode, which does not wait for other processes by itself.
const ATTEMPTS: u32 = 50;

/// The kind of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    /// An expression: the database's own clock, in milliseconds since 1970. Machines that share a database need not agree on
    /// the time.
    pub(crate) fn now(self) -> &'static str {
        match self {
            Backend::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            Backend::Postgres => "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS BIGINT)",
        }
    }

    /// What a SELECT ends with that takes a row for itself and passes over those that others have taken. SQLite needs none of
    /// it: only one transaction at a time writes.
    pub(crate) fn skip_locked(self) -> &'static str {
        match self {
            Backend::Sqlite => "",
            Backend::Postgres => "FOR UPDATE SKIP LOCKED",
        }
    }
}

impl Store {
    /// Begins a transaction that will write. In SQLite it takes the write lock at once, waiting for other writers: a
    /// transaction that begins by reading and finds another writer at its first write would fail instead.
    pub(crate) async fn begin_write(&self) -> Result<Transaction<'static, Any>, StoreError> {
        begin_write(&self.pool, self.backend).await
    }

    /// Begins a transaction that reads, and sees one state of the database however long it takes.
    pub(crate) async fn begin_snapshot(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(match self.backend {
            Backend::Sqlite => self.pool.begin_with("BEGIN DEFERRED").await?,
            Backend::Postgres => self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?,
        })
    }
}

/// See [`Store::begin_write`].
pub(crate) async fn begin_write(pool: &AnyPool, backend: Backend) -> Result<Transaction<'static, Any>, StoreError> {
    Ok(match backend {
        Backend::Sqlite => pool.begin_with("BEGIN IMMEDIATE").await?,
        Backend::Postgres => pool.begin().await?,
    })
}

/// Opens a database; an SQLite file is made when there is none.
pub(crate) async fn open(address: &DatabaseAddress) -> Result<(AnyPool, Backend), StoreError> {
    sqlx::any::install_default_drivers();
    match address {
        DatabaseAddress::Sqlite(path) => Ok((open_embedded(path).await?, Backend::Sqlite)),
        DatabaseAddress::Postgres(url) => Ok((open_server(url).await?, Backend::Postgres)),
    }
}

/// What is the same for all databases.
fn pool_options() -> AnyPoolOptions {
    // SQLite ends a transaction by itself when the disk is full, and the driver, whose own end of it then fails, believes for ever
    // that the connection is in one. Such a connection is closed instead of used again.
    AnyPoolOptions::new().before_acquire(|connection, _| {
        let usable = !connection.is_in_transaction();
        Box::pin(async move { Ok(usable) })
    })
}

async fn open_server(url: &Url) -> Result<AnyPool, StoreError> {
    let options = AnyConnectOptions::from_url(url)?.disable_statement_logging();
    let pool = pool_options()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(POSTGRES_PATIENCE)
        .connect_with(options)
        .await?;
    Ok(pool)
}

/// Opens an SQLite file; makes an empty one when there is none.
async fn open_embedded(path: &Path) -> Result<AnyPool, StoreError> {
    let refused = |reason: String| StoreError::Open { path: path.to_owned(), reason };
    create_private(path).map_err(|error| refused(error.to_string()))?;
    let path_text = std::path::absolute(path).ok().and_then(|path| path.to_str().map(str::to_owned));
    let path_text = path_text.ok_or_else(|| refused("its path is not UTF-8".to_owned()))?;
    let mut url = Url::parse("sqlite:///").map_err(|error| refused(error.to_string()))?;
    url.set_path(&escaped(&path_text));
    let options = AnyConnectOptions::from_url(&url)?.disable_statement_logging();
    let pool = pool_options()
        .max_connections(SQLITE_CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute("PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON").await?;
                Ok(())
            })
        })
        .connect_with(options)
        .await
        .map_err(|error| refused(error.to_string()))?;
    write_ahead(&pool).await.map_err(|error| refused(error.to_string()))?;
    Ok(pool)
}
/// Path segments with what a URL would misread escaped; the driver decodes it.
fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => text.push(char::from(byte)),
            other => text += &format!("%{other:02X}"),
        }
    }
    text
}

/// The database and what SQLite puts beside it take their permissions from this file.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Write-ahead mode is a property of the file: readers and the writer do not wait for each other, in this process and others.
async fn write_ahead(pool: &AnyPool) -> Result<(), sqlx::Error> {
    for attempt in 1.. {
        match pool.execute("PRAGMA journal_mode = WAL").await {
            Ok(_) => break,
            Err(error) if attempt == ATTEMPTS || !is_busy(&error) => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    Ok(())
}

/// Whether another process was in the way: SQLITE_BUSY, whatever it was busy with.
fn is_busy(error: &sqlx::Error) -> bool {
    const BUSY: u32 = 5;
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == BUSY)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn open_embedded(path: &Path) -> Result<AnyPool, StoreError> {
        Ok(open(&DatabaseAddress::Sqlite(path.to_owned())).await?.0)
    }

    #[tokio::test]
    async fn paths_with_odd_characters() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["with space.db", "100%25 ?#&.db", "ünï.db", "a:b.db"] {
            let path = directory.path().join(name);
            let pool = open_embedded(&path).await.unwrap();
            pool.execute("CREATE TABLE t (a TEXT)").await.unwrap();
            pool.close().await;
            assert!(std::fs::metadata(&path).unwrap().len() > 0, "{name}");
        }
        let names = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(names, 4, "no file under another name");
    }

    #[tokio::test]
    async fn connections_are_set_up() {
        let directory = tempfile::tempdir().unwrap();
        let pool = open_embedded(&directory.path().join("x.db")).await.unwrap();
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&pool).await.unwrap();
        let keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&pool).await.unwrap();
        let wait: i64 = sqlx::query_scalar("PRAGMA busy_timeout").fetch_one(&pool).await.unwrap();
        assert_eq!((mode.as_str(), keys, wait), ("wal", 1, 5000));
    }
}
