//! URLs that may be called when something happens to a job: the allow-list of async.md sections 2 and 3.

use std::fmt;
use std::time::SystemTime;

use sqlx::{Any, Row, Transaction};

use crate::values::milliseconds;
use crate::{Store, StoreError};

/// A URL that its owner has shown to expect callbacks.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// As it was registered, character by character.
    pub url: String,
    /// What notifications to it are signed with.
    pub secret: Option<String>,
}

impl fmt::Debug for Callback {
    /// Without the secret: what is printed may be a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("signed", &self.secret.is_some()).finish_non_exhaustive()
    }
}

/// A URL to be registered.
pub struct NewCallback<'a> {
    /// GUID of the instance.
    pub instance: &'a str,
    /// The URL.
    pub url: &'a str,
    /// What notifications to it will be signed with. It is stored as it is: signing takes the secret itself.
    pub secret: Option<&'a str>,
    /// The customer it is labelled with (user-data.md).
    pub customer: Option<&'a str>,
}

/// What came of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// It is registered now.
    Created,
    /// It was before, and stays as it was (ASY-R1).
    Already,
    /// The instance has registered as many as it may in this span of time (ASY-R7).
    TooMany,
}

impl Store {
    /// The registration of a URL by an instance.
    pub async fn callback(&self, instance: &str, url: &str) -> Result<Option<Callback>, StoreError> {
        let sql = "SELECT url, secret FROM callbacks WHERE instance_id = $1 AND url = $2";
        let row = sqlx::query(sql).bind(instance).bind(url).fetch_optional(&self.pool).await?;
        row.map(|row| Ok(Callback { url: row.try_get("url")?, secret: row.try_get("secret")? })).transpose()
    }

    /// How many URLs an instance has registered since a time, those counted that are gone again.
    pub async fn registrations_since(&self, instance: &str, since: SystemTime) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) AS n FROM callback_registrations WHERE instance_id = $1 AND created_at > $2";
        let row = sqlx::query(sql).bind(instance).bind(milliseconds(since)).fetch_one(&self.pool).await?;
        Ok(row.try_get::<i64, _>("n")?.unsigned_abs())
    }

    /// Registers a URL, unless its instance has registered `most` since a time.
    pub async fn register_callback(
        &self,
        new: &NewCallback<'_>,
        most: u64,
        since: SystemTime,
    ) -> Result<Registration, StoreError> {
        let now = milliseconds(SystemTime::now());
        let mut transaction = self.begin_write().await?;
        let inserted = sqlx::query(
            "INSERT INTO callbacks (instance_id, url, secret, customer_id, created_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (instance_id, url) DO NOTHING",
        )
        .bind(new.instance)
        .bind(new.url)
        .bind(new.secret)
        .bind(new.customer)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        if inserted.rows_affected() == 0 {
            return Ok(Registration::Already);
        }
        sqlx::query("DELETE FROM callback_registrations WHERE instance_id = $1 AND created_at <= $2")
            .bind(new.instance)
            .bind(milliseconds(since))
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO callback_registrations (id, instance_id, created_at) VALUES ($1, $2, $3)")
            .bind(uuid::Uuid::new_v4().to_string())
            .bind(new.instance)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        let row = sqlx::query("SELECT COUNT(*) AS n FROM callback_registrations WHERE instance_id = $1")
            .bind(new.instance)
            .fetch_one(&mut *transaction)
            .await?;
        if row.try_get::<i64, _>("n")?.unsigned_abs() > most {
            return Ok(Registration::TooMany); // what was inserted is rolled back
        }
        transaction.commit().await?;
        Ok(Registration::Created)
    }

    /// Takes a URL off the list. Returns whether it was on it.
    pub async fn unregister_callback(&self, instance: &str, url: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM callbacks WHERE instance_id = $1 AND url = $2";
        let deleted = sqlx::query(sql).bind(instance).bind(url).execute(&self.pool).await?;
        Ok(deleted.rows_affected() > 0)
    }
}

/// Removes the URLs that are labelled with a customer. Returns how many there were.
pub(crate) async fn delete_of_customer(
    transaction: &mut Transaction<'static, Any>,
    instance: &str,
    customer: &str,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM callbacks WHERE instance_id = $1 AND customer_id = $2";
    let deleted = sqlx::query(sql).bind(instance).bind(customer).execute(&mut **transaction).await?;
    Ok(deleted.rows_affected())
}
