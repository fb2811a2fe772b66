//! The servers start, stop, keep what they have, and end with who started them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dictum_testbed::{Postgres, S3};

#[test]
fn postgres_keeps_what_it_has() {
    let Some(postgres) = Postgres::start_private("postgres_keeps_what_it_has") else { return };
    let url = postgres.new_database();
    postgres.query_in(&url, "CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (7)");
    postgres.stop();
    postgres.start_again();
    assert_eq!(postgres.query_in(&url, "SELECT n FROM t"), "7");
}

/// Closing the input of the program ends its server.
#[test]
fn the_program_serves_others_while_it_is_wanted() {
    if Postgres::start_private("the_program_serves_others_while_it_is_wanted").is_none() {
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_dictum-testbed"));
    let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let (_, host) = url.trim().rsplit_once('@').unwrap();
    let (address, database) = host.split_once('/').unwrap();
    assert_eq!(database, "postgres");
    assert!(TcpStream::connect(address).is_ok());
    drop(program.stdin.take());
    assert!(program.wait().unwrap().success());
    let began = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn s3_comes_and_goes() {
    let s3 = S3::start();
    let url = s3.new_bucket();
    assert_ne!(url, s3.new_bucket());
    let (_, endpoint) = url.split_once("endpoint=http://").unwrap();
    let (address, _) = endpoint.split_once('&').unwrap();
    let ask = || TcpStream::connect(address).and_then(|mut stream| stream.write_all(b"GET / HTTP/1.0\r\n\r\n"));
    assert!(ask().is_ok());
    s3.stop();
    assert!(ask().is_err());
    s3.start_again();
    assert!(ask().is_ok());
}
