//! What Dictum keeps. Rows: service instances, their API keys, callback URLs and jobs, the secrets of the server itself, work to be done. [`Blobs`]: bytes
//! too many for a row.
//!
//! A [`Store`] is a database and a place for blobs behind typed, asynchronous methods; no SQL leaves this crate. Embedded, the
//! database is one SQLite file, `dictum.db`, in write-ahead mode, and blobs are files in a directory; several processes may have
//! them open at once. For several machines they are PostgreSQL and a service that speaks S3 ([`StoreConfig`]).
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
//! PRECISION`; parameters are written `$1`, `$2`; conflicts are settled by `ON CONFLICT`; bytes are text in hexadecimal; sums are
//! `CAST` to `BIGINT`. What differs (how a writing transaction begins, how a connection is set up, what time it is) is in
//! `backend.rs`.
#![forbid(unsafe_code)]

mod accounts;
mod address;
mod backend;
pub mod backup;
mod blobs;
mod callbacks;
mod customizations;
mod error;
mod migrations;
mod queue;
mod quota;
mod recognitions;
mod secrets;
mod user_data;
mod values;

use std::path::Path;

use sqlx::AnyPool;

pub use accounts::{Instance, KeyRecord, NewKey, Revocation};
pub use address::{BLOBS_DIRECTORY, StoreConfig, without_password};
use address::{BlobAddress, DatabaseAddress};
use backend::Backend;
pub use blobs::{Blob, BlobWriter, Blobs, Swept};
pub use callbacks::{Callback, NewCallback, Registration};
pub use customizations::{
    Analysis, Change, Customization, CustomizationStatus, NewCustomization, NewResource, Resource, ResourceKind,
    ResourceStatus, Task, TrainedModel, WordRow,
};
pub use error::StoreError;
pub use queue::{Cancel, NewTicket, Queue, QueueCount, Retry, Ticket};
pub use quota::{Exceeded, OwnLimit, OwnQuota, Quota, Usage};
pub use recognitions::{Deletion, Event, NewRecognition, Notification, Recognition, RecognitionWork, Status, Wanted};
pub use user_data::Removed;

/// Name of the database file in the data directory.
pub const DATABASE_FILE: &str = "dictum.db";

/// The store of one server, or of several that share it. Clones use the same connections.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    backend: Backend,
    blobs: Blobs,
    notice: queue::Notice,
}

impl Store {
    /// Opens the embedded database of a data directory, which must exist; makes it when there is none, and brings it up to
    /// date. What is made is readable by its owner only.
    pub async fn open(directory: &Path) -> Result<Store, StoreError> {
        Store::connect(&StoreConfig::embedded(directory)).await
    }

    /// Opens the database and the place for blobs that `config` names, and brings the tables up to date. An SQLite file and a
    /// directory of blobs are made when there are none, readable by their owner only; a PostgreSQL database and an S3 bucket must
    /// exist. Whether the bucket can be used shows with the first blob.
    pub async fn connect(config: &StoreConfig) -> Result<Store, StoreError> {
        let store = Store::unmigrated(config).await?;
        migrations::run(&store.pool, store.backend).await?;
        Ok(store)
    }

    /// The same with tables as they are, if there are any.
    async fn unmigrated(config: &StoreConfig) -> Result<Store, StoreError> {
        let database = DatabaseAddress::parse(&config.database)?;
        let blobs = BlobAddress::parse(&config.blobs)?;
        let (pool, backend) = backend::open(&database).await?;
        let blobs = Blobs::new(blobs::Place::open(&blobs)?);
        Ok(Store { pool, backend, blobs, notice: queue::Notice::of(&database) })
    }

    /// Whether a data directory has a database.
    pub fn exists(directory: &Path) -> bool {
        directory.join(DATABASE_FILE).exists()
    }

    /// The blobs.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Whether the database answers and blobs can be written.
    pub async fn check(&self) -> Result<(), StoreError> {
        let database = async { Ok(sqlx::query("SELECT 1").execute(&self.pool).await.map(drop)?) };
        futures::try_join!(database, self.blobs.check()).map(drop)
    }

    /// Waits for queries under way and closes all connections; of SQLite's files only the database itself is left.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
