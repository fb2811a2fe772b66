//! Words that users have defined, or deleted.

use std::time::SystemTime;

use sqlx::{AssertSqlSafe, Row};

use super::{Change, lock, note_change};
use crate::values::{milliseconds, time};
use crate::{Store, StoreError};

/// Rows of one INSERT: databases take some tens of thousands of parameters, SQLite 32 766.
const BATCH: usize = 500;

/// A word of a custom model's user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordRow {
    /// The word.
    pub word: String,
    /// What was said of it, in whatever form its writer will understand again; none: it was deleted.
    pub definition: Option<String>,
    /// When.
    pub updated: SystemTime,
}

impl Store {
    /// Defines words, or deletes those without a definition, all or none; labelled with a customer if there is one. `Some` of a count: so many words would be defined, more
    /// than `most`, and nothing was changed.
    pub async fn put_words(
        &self,
        instance: &str,
        id: &str,
        words: &[(String, Option<String>)],
        customer: Option<&str>,
        most: u64,
    ) -> Result<Change<Option<u64>>, StoreError> {
        let mut transaction = self.begin_write().await?;
        match lock(&mut transaction, instance, id).await? {
            Change::Done(()) => {}
            Change::Busy => return Ok(Change::Busy),
            Change::Unknown => return Ok(Change::Unknown),
        }
        let now = milliseconds(SystemTime::now());
        for batch in words.chunks(BATCH) {
            let values: Vec<String> =
                (0..batch.len()).map(|at| format!("($1, ${}, ${}, $2, $3)", 2 * at + 4, 2 * at + 5)).collect();
            let sql = format!(
                "INSERT INTO customization_words (customization_id, word, definition, updated_at, customer_id) VALUES {} \
                 ON CONFLICT (customization_id, word) \
                 DO UPDATE SET definition = excluded.definition, updated_at = excluded.updated_at, \
                 customer_id = excluded.customer_id",
                values.join(", ")
            );
            let mut query = sqlx::query(AssertSqlSafe(sql)).bind(id).bind(now).bind(customer);
            for (word, definition) in batch {
                query = query.bind(word.as_str()).bind(definition.as_deref());
            }
            query.execute(&mut *transaction).await?;
        }
        let sql = "SELECT COUNT(*) FROM customization_words WHERE customization_id = $1 AND definition IS NOT NULL";
        let count: i64 = sqlx::query_scalar(sql).bind(id).fetch_one(&mut *transaction).await?;
        let count = u64::try_from(count).unwrap_or(0);
        if count > most {
            return Ok(Change::Done(Some(count)));
        }
        note_change(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(Change::Done(None))
    }

    /// What users have said of words of a model, by word.
    pub async fn words(&self, id: &str) -> Result<Vec<WordRow>, StoreError> {
        self.words_where(id, None).await
    }

    /// What its user has said of one word of a model.
    pub async fn word(&self, id: &str, word: &str) -> Result<Option<WordRow>, StoreError> {
        Ok(self.words_where(id, Some(word)).await?.pop())
    }

    async fn words_where(&self, id: &str, word: Option<&str>) -> Result<Vec<WordRow>, StoreError> {
        let one = if word.is_some() { "AND word = $2" } else { "" };
        let sql = format!(
            "SELECT word, definition, updated_at FROM customization_words WHERE customization_id = $1 {one} ORDER BY word"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(id);
        if let Some(word) = word {
            query = query.bind(word);
        }
        let rows = query.fetch_all(&self.pool).await?;
        let of = |row: &sqlx::any::AnyRow| {
            Ok(WordRow {
                word: row.try_get("word")?,
                definition: row.try_get("definition")?,
                updated: time(row.try_get("updated_at")?),
            })
        };
        rows.iter().map(of).collect()
    }
}
