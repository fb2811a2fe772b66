//! Starts a PostgreSQL, prints its URL, and ends it when standard input is closed.

use std::io::Read;

fn main() {
    let Some(postgres) = dictum_testbed::Postgres::start_private("dictum-testbed") else {
        return;
    };
    println!("{}", postgres.url("postgres"));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
