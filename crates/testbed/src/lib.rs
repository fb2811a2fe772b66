//! PostgreSQL and a service that speaks S3, private to tests: on free ports of the loopback address, in temporary directories,
//! stopped and started again as a test wishes, gone when the test program is gone.
//!
//! ```no_run
//! use dictum_testbed::{Postgres, S3};
//!
//! let Some(postgres) = Postgres::start("my_test") else { return }; // not installed: said by name
//! let database = postgres.new_database();
//! let s3 = S3::start();
//! let blobs = s3.new_bucket();
//! // ... connect to both URLs ...
//! postgres.stop();
//! // ... see what happens ...
//! postgres.start_again();
//! ```
//!
//! What goes wrong here panics: tests have no better use for it.
#![forbid(unsafe_code)]

mod places;
mod postgres;
mod s3;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

pub use places::{Kept, Places};
pub use postgres::Postgres;
pub use s3::S3;

/// The variable that names a PostgreSQL to be used by all test programs: a URL of a user who may make databases.
pub const POSTGRES_VARIABLE: &str = "DICTUM_TEST_POSTGRES";

/// A port that nobody listens on at the moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("the address of a socket").port()
}

/// A name that no other test uses: `PREFIX-PROCESS-NUMBER`.
fn new_name(prefix: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}
