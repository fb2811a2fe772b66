//! Secrets of the server itself.

use std::time::SystemTime;

use sqlx::Row;

use crate::values::{bytes32, milliseconds};
use crate::{Store, StoreError};

impl Store {
    /// The secret of a name. When there is none, `candidate` becomes it; of several processes that come with candidates at
    /// the same time all get the same one.
    pub async fn ensure_secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError> {
        sqlx::query("INSERT INTO secrets (name, value, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING")
            .bind(name)
            .bind(hex::encode(candidate))
            .bind(milliseconds(SystemTime::now()))
            .execute(&self.pool)
            .await?;
        let row = sqlx::query("SELECT value FROM secrets WHERE name = $1").bind(name).fetch_one(&self.pool).await?;
        bytes32(row.try_get("value")?, "a secret")
    }
}
