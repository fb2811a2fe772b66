//! The store as its users see it: kept over restarts, shared between processes, private, and honest about damage.

use std::process::Command;
use std::time::{Duration, SystemTime};

use dictum_store::{DATABASE_FILE, NewKey, Revocation, Store, StoreConfig, StoreError};
use dictum_testbed::{Places, on_both};

async fn open(places: &Places) -> Store {
    let config = StoreConfig { database: places.database.clone(), blobs: places.blobs.clone() };
    Store::connect(&config).await.unwrap()
}

async fn with_key(store: &Store, id: &str) -> NewKey {
    let instance = store.ensure_instance("default").await.unwrap();
    let key = NewKey { id: id.into(), instance: instance.id, name: "a name".into(), hash: [7; 32] };
    store.insert_key(&key).await.unwrap();
    key
}

on_both! {
    async fn what_was_written_is_there_after_a_restart(places) {
        let store = open(places).await;
        let key = with_key(&store, "k1").await;
        let secret = store.ensure_secret("tokens", [1; 32]).await.unwrap();
        store.close().await;

        let store = open(places).await;
        let found = store.key("k1").await.unwrap().unwrap();
        assert_eq!((found.instance, found.name, found.hash), (key.instance.clone(), key.name, [7; 32]));
        assert_eq!((found.instance_name.as_str(), found.revoked, found.last_used), ("default", None, None));
        assert!(found.created.elapsed().unwrap() < Duration::from_secs(60));
        assert_eq!(store.ensure_instance("default").await.unwrap().id, key.instance);
        assert_eq!(store.ensure_secret("tokens", [2; 32]).await.unwrap(), secret, "a secret that exists stays");
        assert_eq!(secret, [1; 32]);
    }

    async fn keys_are_revoked_once_and_stay_listed(places) {
        let store = open(places).await;
        assert!(!store.has_usable_key().await.unwrap());
        with_key(&store, "a").await;
        with_key(&store, "b").await;
        assert_eq!(store.revoke_key("a").await.unwrap(), Revocation::Done);
        let revoked = store.key("a").await.unwrap().unwrap().revoked;
        assert!(revoked.is_some());
        assert_eq!(store.revoke_key("a").await.unwrap(), Revocation::Already);
        assert_eq!(store.key("a").await.unwrap().unwrap().revoked, revoked, "the first time counts");
        assert_eq!(store.revoke_key("c").await.unwrap(), Revocation::Unknown);
        let ids: Vec<String> = store.keys().await.unwrap().into_iter().map(|key| key.id).collect();
        assert_eq!(ids, ["a", "b"]);
        assert!(store.has_usable_key().await.unwrap());
        store.revoke_key("b").await.unwrap();
        assert!(!store.has_usable_key().await.unwrap());
    }

    async fn use_is_noted_forwards_only(places) {
        let store = open(places).await;
        with_key(&store, "a").await;
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        store.touch_key("a", at).await.unwrap();
        store.touch_key("a", at - Duration::from_secs(9)).await.unwrap();
        assert_eq!(store.key("a").await.unwrap().unwrap().last_used, Some(at));
    }

    async fn a_key_needs_an_instance_and_an_id_of_its_own(places) {
        let store = open(places).await;
        let stray = NewKey { id: "x".into(), instance: "nobody".into(), name: String::new(), hash: [0; 32] };
        assert!(matches!(store.insert_key(&stray).await, Err(StoreError::Database(_))));
        let key = with_key(&store, "a").await;
        assert!(matches!(store.insert_key(&key).await, Err(StoreError::Database(_))));
        assert!(store.has_instance(&key.instance).await.unwrap());
        assert!(!store.has_instance("nobody").await.unwrap());
        assert!(!store.has_instance("' OR '1'='1").await.unwrap());
    }

    /// Every one opens the same new store, makes the tables or finds them made, and writes.
    async fn many_open_a_new_store_at_once(places) {
        let config = StoreConfig { database: places.database.clone(), blobs: places.blobs.clone() };
        let tasks: Vec<_> = (0..8)
            .map(|number: u8| {
                let config = config.clone();
                tokio::spawn(async move {
                    let store = Store::connect(&config).await.unwrap();
                    let secret = store.ensure_secret("tokens", [number; 32]).await.unwrap();
                    with_key(&store, &format!("key-{number}")).await;
                    (secret, store.ensure_instance("default").await.unwrap().id)
                })
            })
            .collect();
        let mut seen = Vec::new();
        for task in tasks {
            seen.push(task.await.unwrap());
        }
        seen.dedup();
        assert_eq!(seen.len(), 1, "one secret and one instance for all: {seen:?}");
        assert_eq!(open(places).await.keys().await.unwrap().len(), 8);
    }
}

/// The same from separate processes: this test program starts itself. What one writes, the others see.
#[tokio::test]
async fn processes_share_a_store() {
    const VARIABLE: &str = "STORE_TEST_DIRECTORY";
    if let Some(path) = std::env::var_os(VARIABLE) {
        let store = Store::open(path.as_ref()).await.unwrap();
        with_key(&store, &format!("process-{}", std::process::id())).await;
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let children: Vec<_> = (0..3)
        .map(|_| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "processes_share_a_store"]).env(VARIABLE, directory.path());
            command.stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    let mut ids: Vec<String> = children
        .into_iter()
        .map(|mut child| {
            assert!(child.wait().unwrap().success());
            format!("process-{}", child.id())
        })
        .collect();
    ids.sort();
    let mut found: Vec<String> = store.keys().await.unwrap().into_iter().map(|key| key.id).collect();
    found.sort();
    assert_eq!(found, ids);
}

#[cfg(unix)]
#[tokio::test]
async fn others_may_not_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    with_key(&store, "a").await;
    let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap()).collect();
    assert!(files.len() > 1, "the write-ahead log is beside the database");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.file_name());
    }
}

#[tokio::test]
async fn what_is_not_a_database_is_refused_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(DATABASE_FILE);
    std::fs::write(&file, "this was never a database, but it is long enough to be mistaken for one".repeat(20))
        .unwrap();
    let message = Store::open(directory.path()).await.unwrap_err().to_string();
    assert!(message.contains(DATABASE_FILE), "{message}");
    let missing = Store::open(&directory.path().join("nowhere")).await.unwrap_err();
    assert!(matches!(missing, StoreError::Open { .. }), "{missing}");
}

/// A database of a later version is not touched.
#[tokio::test]
async fn newer_databases_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    Store::open(directory.path()).await.unwrap().close().await;
    let url = format!("sqlite://{}", directory.path().join(DATABASE_FILE).display());
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (999, 'later', 1, x'00', 0)";
    sqlx::query(later).execute(&pool).await.unwrap();
    pool.close().await;
    let refused = Store::open(directory.path()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Newer { migration: 999 }), "{refused}");
}
