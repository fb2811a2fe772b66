//! The versions of the tables. A migration that was released is never changed; what changes is a further one.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyPool, SqlSafeStr};

use crate::StoreError;
use crate::backend::{Backend, begin_write};

/// All migrations in order: description and statements, numbered from 1.
const MIGRATIONS: [(&str, &str); 3] = [
    ("accounts", include_str!("migrations/0001_accounts.sql")),
    ("queue", include_str!("migrations/0002_queue.sql")),
    ("recognitions", include_str!("migrations/0003_recognitions.sql")),
];

/// Brings the tables up to date. Processes that start together wait for each other: whoever comes second finds it done.
///
/// SQLite has no lock but that of a transaction, so one is around all of it. PostgreSQL's driver takes an advisory lock of its
/// own, which only works without a transaction around: what it protects must be committed before it is given back.
pub(crate) async fn run(pool: &AnyPool, backend: Backend) -> Result<(), StoreError> {
    let migrations = (1..).zip(MIGRATIONS).map(|(version, (description, sql))| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    // `run_direct` is what `run` calls; by way of `run` the compiler cannot see that the future may move between threads.
    match backend {
        Backend::Sqlite => {
            let mut transaction = begin_write(pool, backend).await?;
            migrator.run_direct(None, &mut *transaction, false).await?;
            transaction.commit().await?;
        }
        Backend::Postgres => {
            let mut connection = pool.acquire().await?;
            migrator.run_direct(None, &mut *connection, false).await?;
        }
    }
    Ok(())
}
