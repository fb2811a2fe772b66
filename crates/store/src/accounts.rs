//! Service instances and API keys.

use std::time::SystemTime;

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::values::{bytes32, milliseconds, time};
use crate::{Store, StoreError};

/// A service instance: the owner of models, jobs and callbacks (AUTH-13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its GUID, as it appears in URLs.
    pub id: String,
    /// Its name among operators; unique.
    pub name: String,
    /// When it was made.
    pub created: SystemTime,
}

/// A key to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What the key is known by.
    pub id: String,
    /// GUID of the instance it belongs to.
    pub instance: String,
    /// What its owner calls it.
    pub name: String,
    /// SHA-256 of the key. The key itself is never stored.
    pub hash: [u8; 32],
}

/// A stored key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// What the key is known by.
    pub id: String,
    /// GUID of the instance it belongs to.
    pub instance: String,
    /// Name of that instance.
    pub instance_name: String,
    /// What its owner calls it.
    pub name: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// When it was made.
    pub created: SystemTime,
    /// When it was revoked, if it was.
    pub revoked: Option<SystemTime>,
    /// When it was last used, if ever; a minute or so behind.
    pub last_used: Option<SystemTime>,
}

/// What came of revoking a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It is revoked now.
    Done,
    /// It had been revoked before.
    Already,
    /// There is no such key.
    Unknown,
}

/// The query for keys, with what is to be said after it.
macro_rules! select_keys {
    ($rest:literal) => {
        concat!(
            "SELECT k.id, k.instance_id, i.name AS instance_name, k.name, k.hash, k.created_at, k.revoked_at, ",
            "k.last_used_at FROM api_keys k JOIN instances i ON i.id = k.instance_id ",
            $rest
        )
    };
}

fn key_of(row: &AnyRow) -> Result<KeyRecord, StoreError> {
    Ok(KeyRecord {
        id: row.try_get("id")?,
        instance: row.try_get("instance_id")?,
        instance_name: row.try_get("instance_name")?,
        name: row.try_get("name")?,
        hash: bytes32(row.try_get("hash")?, "the hash of an API key")?,
        created: time(row.try_get("created_at")?),
        revoked: row.try_get::<Option<i64>, _>("revoked_at")?.map(time),
        last_used: row.try_get::<Option<i64>, _>("last_used_at")?.map(time),
    })
}

fn instance_of(row: &AnyRow) -> Result<Instance, StoreError> {
    Ok(Instance { id: row.try_get("id")?, name: row.try_get("name")?, created: time(row.try_get("created_at")?) })
}

impl Store {
    /// The instance of a name, made when there is none.
    pub async fn ensure_instance(&self, name: &str) -> Result<Instance, StoreError> {
        let mut transaction = self.begin_write().await?;
        let new = uuid::Uuid::new_v4().to_string();
        sqlx::query("INSERT INTO instances (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING")
            .bind(new)
            .bind(name)
            .bind(milliseconds(SystemTime::now()))
            .execute(&mut *transaction)
            .await?;
        let row = sqlx::query("SELECT id, name, created_at FROM instances WHERE name = $1")
            .bind(name)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        instance_of(&row)
    }

    /// All instances, by name.
    pub async fn instances(&self) -> Result<Vec<Instance>, StoreError> {
        let rows =
            sqlx::query("SELECT id, name, created_at FROM instances ORDER BY name").fetch_all(&self.pool).await?;
        rows.iter().map(instance_of).collect()
    }

    /// Whether a GUID is that of an instance.
    pub async fn has_instance(&self, id: &str) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT id FROM instances WHERE id = $1").bind(id).fetch_optional(&self.pool).await?;
        Ok(row.is_some())
    }

    /// Stores a key of an existing instance.
    pub async fn insert_key(&self, key: &NewKey) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO api_keys (id, instance_id, name, hash, created_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(&key.id)
            .bind(&key.instance)
            .bind(&key.name)
            .bind(hex::encode(key.hash))
            .bind(milliseconds(SystemTime::now()))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The key of an id.
    pub async fn key(&self, id: &str) -> Result<Option<KeyRecord>, StoreError> {
        let query = sqlx::query(select_keys!("WHERE k.id = $1")).bind(id);
        query.fetch_optional(&self.pool).await?.as_ref().map(key_of).transpose()
    }

    /// All keys, revoked ones too, oldest first.
    pub async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        let rows = sqlx::query(select_keys!("ORDER BY k.created_at, k.id")).fetch_all(&self.pool).await?;
        rows.iter().map(key_of).collect()
    }

    /// Whether there is a key that is not revoked.
    pub async fn has_usable_key(&self) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT id FROM api_keys WHERE revoked_at IS NULL LIMIT 1").fetch_optional(&self.pool);
        Ok(row.await?.is_some())
    }

    /// Marks a key as revoked. Its row stays, so that its id keeps its meaning in logs.
    pub async fn revoke_key(&self, id: &str) -> Result<Revocation, StoreError> {
        let update = sqlx::query("UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL")
            .bind(id)
            .bind(milliseconds(SystemTime::now()))
            .execute(&self.pool)
            .await?;
        match (update.rows_affected(), self.key(id).await?) {
            (0, None) => Ok(Revocation::Unknown),
            (0, Some(_)) => Ok(Revocation::Already),
            _ => Ok(Revocation::Done),
        }
    }

    /// Notes that a key was used at a time; an earlier time than the one noted changes nothing.
    pub async fn touch_key(&self, id: &str, used: SystemTime) -> Result<(), StoreError> {
        let sql = "UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
        sqlx::query(sql).bind(id).bind(milliseconds(used)).execute(&self.pool).await?;
        Ok(())
    }
}
