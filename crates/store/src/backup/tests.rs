//! From every kind of store to every kind, while it is written to, and with damage.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dictum_testbed::{Places, on_both};
use tempfile::TempDir;

use super::*;
use crate::blobs::rows::{drop_blob, keep_blob};
use crate::queue::{self, NewTicket, Queue};
use crate::{Blob, Event, NewKey, NewRecognition, Status, Store, StoreConfig, Wanted};

fn config(places: &Places) -> StoreConfig {
    StoreConfig { database: places.database.clone(), blobs: places.blobs.clone() }
}

fn silent(_: Progress) {}

fn since(earlier: &Path) -> BackupOptions {
    BackupOptions { since: Some(earlier.to_owned()), ..BackupOptions::default() }
}

/// A blob with its row.
async fn blob(store: &Store, instance: &str, bytes: &[u8]) -> Blob {
    let mut writer = store.blobs().writer();
    writer.write(Bytes::copy_from_slice(bytes)).await.unwrap();
    let blob = writer.finish().await.unwrap();
    let mut transaction = store.begin_write().await.unwrap();
    keep_blob(&mut transaction, instance, &blob).await.unwrap();
    transaction.commit().await.unwrap();
    blob
}

async fn ticket(store: &Store, instance: &str, subject: &str) {
    let mut transaction = store.begin_write().await.unwrap();
    let new = NewTicket {
        queue: Queue::Recognition,
        instance: instance.to_owned(),
        subject: subject.to_owned(),
        priority: -3,
        not_before: SystemTime::UNIX_EPOCH,
        max_attempts: 4,
    };
    queue::enqueue(&mut transaction, store.backend, &new).await.unwrap();
    transaction.commit().await.unwrap();
}

/// A store with something of everything; its blobs and their bytes.
async fn filled(places: &Places) -> (Store, BTreeMap<String, Vec<u8>>) {
    let store = Store::connect(&config(places)).await.unwrap();
    let instance = store.ensure_instance("a \"name\" with 'quotes', ünïcode,\nlines, \\ and {json}").await.unwrap().id;
    for id in ["k1", "k2"] {
        let key = NewKey { id: id.into(), instance: instance.clone(), name: String::new(), hash: [3; 32] };
        store.insert_key(&key).await.unwrap();
    }
    store.revoke_key("k2").await.unwrap();
    store.ensure_secret("tokens", [9; 32]).await.unwrap();
    let mut blobs = BTreeMap::new();
    for bytes in [vec![], b"twice the same".to_vec(), b"twice the same".to_vec(), vec![5; 6 << 20]] {
        blobs.insert(blob(&store, &instance, &bytes).await.id, bytes);
    }
    ticket(&store, &instance, "waits").await;
    ticket(&store, &instance, "is worked on").await;
    store.claim(&Queue::ALL, "worker", Duration::from_secs(3600)).await.unwrap().unwrap();
    (store, blobs)
}

/// The rows of a backup, in an order that does not depend on the database.
fn rows_in(directory: &Path, table: &str) -> Vec<String> {
    let text = std::fs::read_to_string(rows_path(directory, table)).unwrap();
    let mut rows: Vec<String> =
        text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap().to_string()).collect();
    rows.sort();
    rows
}

/// Restores into a store, and compares what is there with what was saved.
async fn restored_equals(backup: &Path, places: &Places, blobs: &BTreeMap<String, Vec<u8>>) {
    let (store, restored) = Store::restore(&config(places), backup, &mut silent).await.unwrap();
    assert_eq!((restored.blobs, restored.begun_again), (4, 1));
    for (id, bytes) in blobs {
        assert!(store.blobs().bytes(id, 1 << 30).await.unwrap() == *bytes);
    }
    let again = tempfile::tempdir().unwrap();
    store.backup(again.path(), &BackupOptions::default(), &mut silent).await.unwrap();
    for table in restored.manifest.tables.iter().filter(|table| table.name != "tickets") {
        assert_eq!(rows_in(again.path(), &table.name), rows_in(backup, &table.name), "{}", table.name);
    }
    // What was being worked on is to be done again, as if it had not been begun.
    for _ in 0..2 {
        let ticket = store.claim(&Queue::ALL, "w", Duration::from_secs(60)).await.unwrap().unwrap();
        assert_eq!(ticket.attempt, 1, "{}", ticket.subject);
    }
    let refused = Store::restore(&config(places), backup, &mut silent).await.err().unwrap();
    assert!(matches!(refused, BackupError::Occupied(_)), "{refused}");
}

/// Changes one byte of a file, or takes it away.
fn damage(path: &Path, remove: bool) {
    if remove {
        return std::fs::remove_file(path).unwrap();
    }
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

fn largest_blob(directory: &Path) -> PathBuf {
    let files = std::fs::read_dir(directory.join("blobs")).unwrap().flatten();
    let files = files.flat_map(|entry| std::fs::read_dir(entry.path()).unwrap().flatten());
    files.max_by_key(|entry| entry.metadata().unwrap().len()).unwrap().path()
}

on_both! {
    async fn a_store_comes_back_in_either_kind(places) {
        let (store, blobs) = filled(places).await;
        let backup = tempfile::tempdir().unwrap();
        let mut told = Vec::new();
        let written = store.backup(backup.path(), &BackupOptions::default(), &mut |progress| told.push(progress)).await.unwrap();
        assert_eq!((written.manifest.blobs, written.shared), (3, 0));
        assert_eq!(told.last().unwrap(), &Progress {
            step: Step::Blobs,
            done: written.manifest.blob_bytes,
            total: Some(written.manifest.blob_bytes),
        });
        let verified = verify(backup.path(), &mut silent).unwrap();
        assert_eq!((verified.manifest, verified.problems), (written.manifest, vec![]));
        restored_equals(backup.path(), &Places::embedded(), &blobs).await;
        if let Some(servers) = Places::servers("a_store_comes_back_in_either_kind") {
            restored_equals(backup.path(), &servers, &blobs).await;
        }
    }

    async fn a_later_backup_shares_what_has_not_changed(places) {
        use std::os::unix::fs::MetadataExt;
        let (store, _) = filled(places).await;
        let parent = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| parent.path().join(name));
        let one = store.backup(&first, &BackupOptions::default(), &mut silent).await.unwrap();
        let instance = store.ensure_instance("new").await.unwrap().id;
        blob(&store, &instance, b"new").await;
        let two = store.backup(&second, &since(&first), &mut silent).await.unwrap();
        assert_eq!((two.manifest.blobs, two.shared), (4, one.manifest.blob_bytes));
        let large = largest_blob(&second);
        assert_eq!(large.metadata().unwrap().nlink(), 2);
        std::fs::remove_dir_all(&first).unwrap();
        assert_eq!(verify(&second, &mut silent).unwrap().problems, Vec::<String>::new());
        let refused = store.backup(&second, &BackupOptions::default(), &mut silent).await.unwrap_err();
        assert!(matches!(refused, BackupError::NotEmpty { .. }), "{refused}");
        let refused = store.backup(&parent.path().join("third"), &since(&first), &mut silent).await.unwrap_err();
        assert!(matches!(refused, BackupError::NoBackup { .. }), "{refused}");
    }

    /// Rows that refer to each other and blobs come and go all the time.
    async fn a_backup_is_of_one_moment(places) {
        let (store, _) = filled(places).await;
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..2).map(|writer| {
            let (store, stop) = (store.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let instance = store.ensure_instance(&format!("{writer} {number}")).await.unwrap().id;
                    let kept = blob(&store, &instance, format!("{writer} {number}").as_bytes()).await;
                    ticket(&store, &instance, &kept.id).await;
                    let mut transaction = store.begin_write().await.unwrap();
                    drop_blob(&mut transaction, &kept.id).await.unwrap();
                    transaction.commit().await.unwrap();
                    blob(&store, &instance, format!("{writer} {number} stays").as_bytes()).await;
                    store.sweep_dropped().await.unwrap();
                }
                number
            })
        }).collect();
        let parent = tempfile::tempdir().unwrap();
        for number in 0..3 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let backup = parent.path().join(number.to_string());
            store.backup(&backup, &BackupOptions::default(), &mut silent).await.unwrap();
            assert_eq!(verify(&backup, &mut silent).unwrap().problems, Vec::<String>::new());
            Store::restore(&config(&Places::embedded()), &backup, &mut silent).await.unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            assert!(writer.await.unwrap() > 3);
        }
        assert!(!store.is_held().await.unwrap());
    }
}

/// A job that a worker was at is done again in the copy, by whoever claims it there; one that had ended keeps its results.
#[tokio::test]
async fn jobs_go_on_in_the_copy() {
    let (places, copy) = (Places::embedded(), Places::embedded());
    let store = Store::connect(&config(&places)).await.unwrap();
    let instance = store.ensure_instance("default").await.unwrap().id;
    let url = "http://127.0.0.1/results".to_owned();
    let events = vec![Event::Started, Event::CompletedWithResults];
    let new = NewRecognition {
        instance: instance.clone(),
        request: "{}".to_owned(),
        callback: Some(Wanted { url, events, user_token: Some("mine".to_owned()) }),
        ttl: Duration::from_secs(3600),
        customer: Some("customer".to_owned()),
    };
    let mut jobs = Vec::new();
    for number in 0..3 {
        let mut writer = store.blobs().writer();
        writer.write(Bytes::from(format!("audio {number}"))).await.unwrap();
        let audio = writer.finish().await.unwrap();
        jobs.push(store.create_recognition(&new, &audio).await.unwrap().id);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let queues = [Queue::Recognition];
    let ended = store.claim(&queues, "w", Duration::from_secs(3600)).await.unwrap().unwrap();
    store.begin_recognition(&ended).await.unwrap().unwrap();
    assert!(store.complete_recognition(&ended, "{\"results\": []}").await.unwrap());
    let begun = store.claim(&queues, "w", Duration::from_secs(3600)).await.unwrap().unwrap();
    store.begin_recognition(&begun).await.unwrap().unwrap();
    assert_eq!((&ended.subject, &begun.subject), (&jobs[0], &jobs[1]));

    let backup = tempfile::tempdir().unwrap();
    store.backup(backup.path(), &BackupOptions::default(), &mut silent).await.unwrap();
    let (store, restored) = Store::restore(&config(&copy), backup.path(), &mut silent).await.unwrap();
    assert_eq!((restored.blobs, restored.begun_again), (2, 1));
    let found = |id: String| {
        let (store, instance) = (store.clone(), instance.clone());
        async move { store.recognition(&instance, &id).await.unwrap().unwrap() }
    };
    let (first, results) = found(jobs[0].clone()).await;
    assert_eq!((first.status, results.as_deref()), (Status::Completed, Some("{\"results\": []}")));
    for number in [1, 2] {
        assert_eq!(found(jobs[number].clone()).await.0.status, Status::Waiting);
        let ticket = store.claim(&queues, "other", Duration::from_secs(60)).await.unwrap().unwrap();
        assert_eq!(ticket.subject, jobs[number]);
        let work = store.begin_recognition(&ticket).await.unwrap().unwrap();
        assert_eq!(store.blobs().bytes(&work.blob, 99).await.unwrap(), format!("audio {number}").into_bytes());
        assert!(store.complete_recognition(&ticket, "{}").await.unwrap());
    }
    let counts = store.queue_counts().await.unwrap();
    assert!(counts.iter().any(|count| count.queue == Queue::Callback && count.waiting == 3), "{counts:?}");
}

async fn small_backup() -> TempDir {
    let backup = tempfile::tempdir().unwrap();
    let places = Places::embedded();
    let (store, _) = filled(&places).await;
    store.backup(backup.path(), &BackupOptions::default(), &mut silent).await.unwrap();
    backup
}

#[tokio::test]
async fn damage_is_found_and_not_restored() {
    let backup = small_backup().await;
    let rows = rows_path(backup.path(), "api_keys");
    for (path, remove, named) in [
        (largest_blob(backup.path()), false, "the bytes of blob"),
        (rows.clone(), false, "api_keys"),
        (rows, true, "api_keys"),
        (largest_blob(backup.path()), true, "No such file"),
    ] {
        let whole = std::fs::read(&path).unwrap();
        damage(&path, remove);
        let problems = verify(backup.path(), &mut silent).unwrap().problems;
        assert!(problems.len() == 1 && problems[0].contains(named), "{problems:?}");
        let places = Places::embedded();
        let refused = Store::restore(&config(&places), backup.path(), &mut silent).await;
        assert!(refused.is_err_and(|error| error.to_string().contains(named)));
        // Nothing is in the way of trying again.
        std::fs::write(&path, whole).unwrap();
        assert_eq!(verify(backup.path(), &mut silent).unwrap().problems, Vec::<String>::new());
        Store::restore(&config(&places), backup.path(), &mut silent).await.unwrap();
    }
    std::fs::remove_file(backup.path().join(MANIFEST)).unwrap();
    assert!(matches!(verify(backup.path(), &mut silent), Err(BackupError::NoBackup { .. })));
}

#[tokio::test]
async fn manifests_that_others_wrote() {
    let backup = small_backup().await;
    let path = backup.path().join(MANIFEST);
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to, said) in [
        ("\"format\": 1", "\"format\": 2", "its format is 2"),
        ("\"schema\": ", "\"schema\": 9", "newer version"),
        ("\"api_keys\"", "\"sqlite_master; --\"", "unknown"),
        ("\"tables\"", "\"tables", "manifest.json"),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let refused = Store::restore(&config(&Places::embedded()), backup.path(), &mut silent).await;
        let error = refused.err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
    }
}

/// Nothing is removed while a backup is being made, and everything afterwards.
#[tokio::test]
async fn the_sweeper_waits() {
    let places = Places::embedded();
    let (store, blobs) = filled(&places).await;
    let id = blobs.keys().next().unwrap();
    let hold = hold::Hold::begin(&store).await.unwrap();
    let mut transaction = store.begin_write().await.unwrap();
    drop_blob(&mut transaction, id).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(store.sweep_dropped().await.unwrap(), 0);
    assert_eq!(store.sweep_orphans(Duration::ZERO).await.unwrap(), 0);
    assert!(store.blobs().bytes(id, 1 << 30).await.is_ok());
    hold.end().await.unwrap();
    assert_eq!(store.sweep_dropped().await.unwrap(), 1);
    assert!(store.blobs().bytes(id, 1 << 30).await.is_err());
}

#[cfg(unix)]
#[tokio::test]
async fn others_may_not_read_a_backup() {
    use std::os::unix::fs::PermissionsExt;
    let backup = small_backup().await;
    for name in ["rows", "blobs", MANIFEST, "rows/secrets.jsonl"] {
        let mode = std::fs::metadata(backup.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}
