//! Databases and blob stores that go away and come back, and disks that are full: errors say that trying again helps, nothing is
//! lost, and service returns by itself.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dictum_store::{BlobWriter, Store, StoreConfig, StoreError};
use dictum_testbed::Places;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Longest that somebody waits to hear that a server is away.
const PATIENCE: Duration = Duration::from_secs(15);

async fn connect(places: &Places) -> Store {
    let config = StoreConfig { database: places.database.clone(), blobs: places.blobs.clone() };
    Store::connect(&config).await.unwrap()
}

async fn fill(mut writer: BlobWriter, bytes: usize) -> Result<String, StoreError> {
    for _ in 0..bytes / 65536 {
        writer.write(Bytes::from(vec![7; 65536])).await?;
    }
    Ok(writer.finish().await?.id)
}

/// Tries until it succeeds; what fails meanwhile must be worth trying again.
async fn comes_back<T>(mut what: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    let began = Instant::now();
    loop {
        match what().await {
            Ok(value) => return value,
            Err(error) => {
                assert!(error.is_temporary(), "{error}");
                assert!(began.elapsed() < Duration::from_secs(60), "{error}");
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away() {
    let Some(places) = Places::private_servers("a_database_that_goes_away") else { return };
    let store = connect(&places).await;
    let instance = store.ensure_instance("before").await.unwrap();
    places.postgres().unwrap().stop();
    for _ in 0..2 {
        let began = Instant::now();
        let error = store.ensure_instance("meanwhile").await.unwrap_err();
        assert!(error.is_temporary() && began.elapsed() < PATIENCE, "{error} after {:?}", began.elapsed());
        assert!(!error.to_string().contains("ss/word"), "{error}");
    }
    let refused = Store::connect(&StoreConfig { database: places.database.clone(), blobs: places.blobs.clone() }).await;
    assert!(refused.is_err_and(|error| error.is_temporary()));
    places.postgres().unwrap().start_again();
    assert_eq!(comes_back(async || store.ensure_instance("before").await).await.id, instance.id);
}

/// Rows are written all the time while the server is killed: what was said to be written is there afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_dies_under_load() {
    let Some(places) = Places::private_servers("a_database_that_dies_under_load") else { return };
    let store = connect(&places).await;
    let places = Arc::new(places);
    let kills = tokio::task::spawn_blocking({
        let places = Arc::clone(&places);
        move || {
            for _ in 0..2 {
                std::thread::sleep(Duration::from_millis(300));
                places.postgres().unwrap().stop();
                places.postgres().unwrap().start_again();
            }
        }
    });
    let writers = (0..4).map(async |writer| {
        let mut names = Vec::new();
        for number in 0..150 {
            let name = format!("{writer} {number}");
            comes_back(async || store.ensure_instance(&name).await).await;
            names.push(name);
        }
        names
    });
    let names = futures::future::join_all(writers).await.concat();
    kills.await.unwrap();
    assert_eq!(names.len(), 600);
    let count = places.postgres().unwrap().query_in(&places.database, "SELECT COUNT(*) FROM instances");
    assert_eq!(count, "600");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_store_that_goes_away() {
    let Some(places) = Places::servers("a_blob_store_that_goes_away") else { return };
    let store = connect(&places).await;
    let before = fill(store.blobs().writer(), 65536).await.unwrap();
    let mut interrupted = store.blobs().writer();
    interrupted.write(Bytes::from(vec![1; 6 << 20])).await.unwrap();

    places.s3().unwrap().stop();
    let began = Instant::now();
    let error = fill(interrupted, 12 << 20).await.unwrap_err();
    assert!(error.is_temporary() && began.elapsed() < 2 * PATIENCE, "{error} after {:?}", began.elapsed());
    let error = store.blobs().bytes(&before, 65536).await.unwrap_err();
    assert!(error.is_temporary() && !error.to_string().contains("secret"), "{error}");
    assert!(fill(store.blobs().writer(), 65536).await.is_err_and(|error| error.is_temporary()));

    places.s3().unwrap().start_again();
    assert_eq!(comes_back(async || store.blobs().bytes(&before, 65536).await).await, vec![7; 65536]);
    comes_back(async || fill(store.blobs().writer(), 12 << 20).await).await;
}

/// This test program starts itself with a limit on the size of files, which fails where a full disk would.
#[tokio::test]
async fn a_full_disk() {
    const VARIABLE: &str = "STORE_TEST_FULL_DISK";
    const LIMIT: u64 = 2 << 20;
    if std::env::var_os(VARIABLE).is_none() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("/bin/sh");
        // The signal that goes with the limit would end the process.
        command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "a_full_disk", "--nocapture"]).env(VARIABLE, directory.path());
        let done = command.stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        return;
    }
    let directory = std::env::var(VARIABLE).unwrap();
    let store = Store::open(directory.as_ref()).await.unwrap();
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, LIMIT, most).unwrap();
    let small = fill(store.blobs().writer(), 65536).await.unwrap();
    for size in [3 << 20, 12 << 20] {
        let error = fill(store.blobs().writer(), size).await.unwrap_err();
        assert!(error.is_temporary(), "{error}");
    }
    let mut written = 0;
    let error = loop {
        match store.ensure_instance(&format!("{written} {}", "x".repeat(100_000))).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1000, "the limit does not work");
    };
    assert!(error.is_temporary() && written > 3, "{error} after {written}");
    assert!(store.has_instance("reading goes on").await.is_ok());

    setrlimit(Resource::RLIMIT_FSIZE, most, most).unwrap();
    fill(store.blobs().writer(), 12 << 20).await.unwrap();
    store.ensure_instance("afterwards").await.unwrap();
    assert_eq!(store.blobs().bytes(&small, 65536).await.unwrap().len(), 65536);
    // What was said to be written is there.
    for number in 0..written {
        let name = format!("{number} {}", "x".repeat(100_000));
        let id = store.ensure_instance(&name).await.unwrap().id;
        assert!(store.has_instance(&id).await.unwrap());
    }
}
