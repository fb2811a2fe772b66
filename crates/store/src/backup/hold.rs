//! Keeping the sweeper from removing blobs while they are being copied.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use crate::{Store, StoreError};

/// So long after the process has died blobs are removed again.
const LENGTH: Duration = Duration::from_secs(10 * 60);
/// A hold is extended when this has passed.
const EXTENDED: Duration = Duration::from_secs(60);

/// No blob is removed while there is one.
pub(super) struct Hold {
    store: Store,
    id: String,
    extended: Instant,
}

impl Hold {
    pub(super) async fn begin(store: &Store) -> Result<Hold, StoreError> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let now = store.backend.now();
        let sql = format!("DELETE FROM holds WHERE until <= {now}");
        sqlx::query(AssertSqlSafe(sql)).execute(&store.pool).await?;
        let sql = format!("INSERT INTO holds (id, until) VALUES ($1, {now} + $2)");
        sqlx::query(AssertSqlSafe(sql)).bind(&id).bind(length()).execute(&store.pool).await?;
        Ok(Hold { store: store.clone(), id, extended: Instant::now() })
    }

    /// To be called often; most of the time it does nothing.
    pub(super) async fn extend(&mut self) -> Result<(), StoreError> {
        if self.extended.elapsed() > EXTENDED {
            let sql = format!("UPDATE holds SET until = {} + $2 WHERE id = $1", self.store.backend.now());
            sqlx::query(AssertSqlSafe(sql)).bind(&self.id).bind(length()).execute(&self.store.pool).await?;
            self.extended = Instant::now();
        }
        Ok(())
    }

    pub(super) async fn end(self) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM holds WHERE id = $1").bind(&self.id).execute(&self.store.pool).await?;
        Ok(())
    }
}

fn length() -> i64 {
    i64::try_from(LENGTH.as_millis()).unwrap_or(i64::MAX)
}

impl Store {
    /// Whether a backup is being made, so that no blob may be removed.
    pub(crate) async fn is_held(&self) -> Result<bool, StoreError> {
        let sql = format!("SELECT id FROM holds WHERE until > {} LIMIT 1", self.backend.now());
        Ok(sqlx::query(AssertSqlSafe(sql)).fetch_optional(&self.pool).await?.is_some())
    }
}
