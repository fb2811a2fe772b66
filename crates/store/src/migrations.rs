//! The versions of the tables. A migration that was released is never changed; what changes is a further one.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyPool, SqlSafeStr};

use crate::StoreError;
use crate::backend::{Backend, begin_write};

/// All migrations in order: description and statements, numbered from 1.
const MIGRATIONS: [(&str, &str); 6] = [
    ("accounts", include_str!("migrations/0001_accounts.sql")),
    ("queue", include_str!("migrations/0002_queue.sql")),
    ("recognitions", include_str!("migrations/0003_recognitions.sql")),
    ("holds", include_str!("migrations/0004_holds.sql")),
    ("customizations", include_str!("migrations/0005_customizations.sql")),
    ("limits", include_str!("migrations/0006_limits.sql")),
];

/// Number of the last migration.
pub(crate) fn latest() -> i64 {
    MIGRATIONS.len() as i64
}

/// Names of all tables, each after those it refers to: as the migrations make them.
pub(crate) fn tables() -> Vec<&'static str> {
    let statements = MIGRATIONS.iter().flat_map(|(_, sql)| sql.lines());
    statements.filter_map(|line| line.strip_prefix("CREATE TABLE ")?.split([' ', '(']).next()).collect()
}

/// Brings the tables up to date. Processes that start together wait for each other: whoever comes second finds it done.
///
/// SQLite has no lock but that of a transaction, so one is around all of it. PostgreSQL's driver takes an advisory lock of its
/// own, which only works without a transaction around: what it protects must be committed before it is given back.
pub(crate) async fn run(pool: &AnyPool, backend: Backend) -> Result<(), StoreError> {
    run_to(pool, backend, None).await
}

/// The same, up to a migration: to fill the tables with rows from when it was the last.
pub(crate) async fn run_to(pool: &AnyPool, backend: Backend, last: Option<i64>) -> Result<(), StoreError> {
    let migrations = (1..).zip(MIGRATIONS).map(|(version, (description, sql))| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    // `run_direct` is what `run` calls; by way of `run` the compiler cannot see that the future may move between threads.
    match backend {
        Backend::Sqlite => {
            let mut transaction = begin_write(pool, backend).await?;
            migrator.run_direct(last, &mut *transaction, false).await?;
            transaction.commit().await?;
        }
        Backend::Postgres => {
            let mut connection = pool.acquire().await?;
            migrator.run_direct(last, &mut *connection, false).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dictum_testbed::on_both;

    use super::*;
    use crate::{Store, StoreConfig};

    on_both! {
        /// What `tables` reads from the migrations is what is in the database: nothing is left out of a backup.
        async fn all_tables_are_known(places) {
            let config = StoreConfig { database: places.database.clone(), blobs: places.blobs.clone() };
            let store = Store::connect(&config).await.unwrap();
            let sql = match store.backend {
                Backend::Sqlite => {
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
                }
                Backend::Postgres => {
                    "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'public'"
                }
            };
            let mut there: Vec<String> = sqlx::query_scalar(sql).fetch_all(&store.pool).await.unwrap();
            there.retain(|name| name != "_sqlx_migrations");
            there.sort();
            let mut known = tables();
            known.sort_unstable();
            assert_eq!(there, known);
            let last: i64 =
                sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(&store.pool).await.unwrap();
            assert_eq!(last, latest());
        }
    }
}
