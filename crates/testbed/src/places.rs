//! Both kinds of places a store can be in.

use tempfile::TempDir;

use crate::{Postgres, S3};

/// Where a new, empty store can be made, and what has to stay for as long as it is used.
pub struct Places {
    /// URL of a database.
    pub database: String,
    /// URL of a place for blobs.
    pub blobs: String,
    /// What runs or lies there.
    pub kept: Kept,
}

/// What is behind the URLs.
pub enum Kept {
    /// A directory with a file and a directory.
    Embedded(TempDir),
    /// A PostgreSQL and a service that speaks S3.
    Servers(Box<Postgres>, Box<S3>),
}

impl Places {
    /// SQLite and a directory.
    pub fn embedded() -> Places {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().display();
        Places {
            database: format!("sqlite:{path}/dictum.db"),
            blobs: format!("file:{path}/blobs"),
            kept: Kept::Embedded(directory),
        }
    }

    /// PostgreSQL and S3; none, and it is said, when PostgreSQL is not installed.
    pub fn servers(test: &str) -> Option<Places> {
        Postgres::start(test).map(Places::of)
    }

    /// The same with servers that can be stopped.
    pub fn private_servers(test: &str) -> Option<Places> {
        Postgres::start_private(test).map(Places::of)
    }

    fn of(postgres: Postgres) -> Places {
        let s3 = S3::start();
        Places {
            database: postgres.new_database(),
            blobs: s3.new_bucket(),
            kept: Kept::Servers(Box::new(postgres), Box::new(s3)),
        }
    }

    /// PostgreSQL, when it is one.
    pub fn postgres(&self) -> Option<&Postgres> {
        match &self.kept {
            Kept::Servers(postgres, _) => Some(postgres),
            Kept::Embedded(_) => None,
        }
    }

    /// S3, when it is it.
    pub fn s3(&self) -> Option<&S3> {
        match &self.kept {
            Kept::Servers(_, s3) => Some(s3),
            Kept::Embedded(_) => None,
        }
    }
}

/// Makes two tests of each function: `NAME::embedded`, on SQLite and a directory, and `NAME::servers`, on PostgreSQL and S3.
#[macro_export]
macro_rules! on_both {
    ($( $(#[$attribute:meta])* async fn $name:ident($places:ident) $body:block )*) => {$(
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn check($places: &$crate::Places) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                check(&$crate::Places::embedded()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn servers() {
                if let Some(places) = $crate::Places::servers(stringify!($name)) {
                    check(&places).await;
                }
            }
        }
    )*};
}
