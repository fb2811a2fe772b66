//! What Dictum keeps, as rows: service instances, their API keys, and the secrets of the server itself.
//!
//! A [`Store`] is a database behind typed, asynchronous methods; no SQL leaves this crate. The embedded database is one
//! SQLite file, `dictum.db`, in write-ahead mode, which several processes may have open at once:
//!
//! ```no_run
//! use dictum_store::{NewKey, Store};
//!
//! # async fn example() -> Result<(), dictum_store::StoreError> {
//! let store = Store::open("/var/lib/dictum".as_ref()).await?;
//! let instance = store.ensure_instance("default").await?;
//! let key = NewKey { id: "k1".into(), instance: instance.id, name: "laptop".into(), hash: [0; 32] };
//! store.insert_key(&key).await?;
//! assert_eq!(store.key("k1").await?.map(|key| key.name), Some("laptop".into()));
//! # Ok(())
//! # }
//! ```
//!
//! # One code path for two databases
//!
//! Queries and migrations are written once, for SQLite and PostgreSQL alike, and run through `sqlx`'s runtime-chosen driver.
//! That holds as long as they keep to what both understand: columns are `TEXT`, `BIGINT` (times, in milliseconds) and `DOUBLE
//! PRECISION`; parameters are written `$1`, `$2`; conflicts are settled by `ON CONFLICT`; bytes are text in hexadecimal. What
//! differs (how a writing transaction begins, how a connection is set up) is in `backend.rs`.
#![forbid(unsafe_code)]

mod accounts;
mod backend;
mod error;
mod migrations;
mod secrets;
mod values;

use std::path::Path;

use sqlx::AnyPool;

pub use accounts::{Instance, KeyRecord, NewKey, Revocation};
pub use error::StoreError;

/// Name of the database file in the data directory.
pub const DATABASE_FILE: &str = "dictum.db";

/// The store of one server, or of several that share it. Clones use the same connections.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
}

impl Store {
    /// Opens the embedded database of a data directory, which must exist; makes it when there is none, and brings it up to
    /// date. The file is readable by its owner only.
    pub async fn open(directory: &Path) -> Result<Store, StoreError> {
        let pool = backend::open_embedded(&directory.join(DATABASE_FILE)).await?;
        migrations::run(&pool).await?;
        Ok(Store { pool })
    }

    /// Whether a data directory has a database.
    pub fn exists(directory: &Path) -> bool {
        directory.join(DATABASE_FILE).exists()
    }

    /// Waits for queries under way and closes all connections; of SQLite's files only the database itself is left.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
