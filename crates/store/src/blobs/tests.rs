//! Blobs in a directory and in S3.

use std::path::PathBuf;

use dictum_testbed::{Kept, Places, on_both};
use futures::TryStreamExt;
use sha2::Digest;

use super::rows::{drop_blob, keep_blob};
use super::*;
use crate::{Store, StoreConfig};

/// More than two parts and a bit.
const LARGE: usize = 11 << 20;

async fn open(places: &Places) -> Store {
    let config = StoreConfig { database: places.database.clone(), blobs: places.blobs.clone() };
    Store::connect(&config).await.unwrap()
}

/// Bytes that are nowhere the same for long.
fn bytes(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(at) >> 7) as u8 ^ at as u8).collect()
}

async fn written(blobs: &Blobs, bytes: &[u8], piece: usize) -> Blob {
    let mut writer = blobs.writer();
    for piece in bytes.chunks(piece.max(1)) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    assert_eq!(writer.size(), bytes.len() as u64);
    writer.finish().await.unwrap()
}

/// The files behind a place, with what is only being written.
fn files(places: &Places) -> Vec<PathBuf> {
    fn under(directory: PathBuf, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.metadata().map(|metadata| metadata.is_dir()) {
                Ok(true) => under(entry.path(), found),
                _ => found.push(entry.path()),
            }
        }
    }
    let mut found = Vec::new();
    under(
        match &places.kept {
            Kept::Embedded(directory) => directory.path().join("blobs"),
            Kept::Servers(_, s3) => s3.directory().to_owned(),
        },
        &mut found,
    );
    // The service's own notes about objects.
    found.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".json")));
    found
}

on_both! {
    async fn what_is_written_is_read(places) {
        let store = open(places).await;
        let blobs = store.blobs();
        for (length, piece) in [(0, 1), (1, 1), (100_000, 777), (LARGE, 64 << 10), (2 * 5 * 1024 * 1024, 5 << 20)] {
            let bytes = bytes(length);
            let blob = written(blobs, &bytes, piece).await;
            assert_eq!(blob.size, length as u64);
            let hash: [u8; 32] = sha2::Sha256::digest(&bytes).into();
            assert_eq!(blob.sha256, hash);
            assert!(blobs.bytes(&blob.id, length as u64).await.unwrap() == bytes, "{length}");
            let pieces: Vec<Bytes> = blobs.read(&blob.id).await.unwrap().try_collect().await.unwrap();
            assert!(pieces.concat() == bytes, "{length}");
            if length > 0 {
                let refused = blobs.bytes(&blob.id, length as u64 - 1).await;
                assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
            }
            blobs.delete(&blob.id).await.unwrap();
            blobs.delete(&blob.id).await.unwrap();
            let gone = blobs.bytes(&blob.id, 1).await;
            assert!(matches!(gone, Err(StoreError::Damaged(_))), "{gone:?}");
        }
        for id in ["", "../../etc/passwd", "00", "g0000000000000000000000000000000"] {
            assert!(matches!(blobs.bytes(id, 9).await, Err(StoreError::Damaged(_))), "{id}");
        }
    }

    async fn what_is_not_finished_leaves_nothing(places) {
        let store = open(places).await;
        let mut writer = store.blobs().writer();
        writer.write(Bytes::from(bytes(LARGE))).await.unwrap();
        drop(writer);
        for _ in 0..100 {
            if files(places).is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("left: {:?}", files(places));
    }

    async fn the_sweeper_removes_what_has_no_row_and_nothing_else(places) {
        let store = open(places).await;
        let instance = store.ensure_instance("default").await.unwrap().id;
        let kept = written(store.blobs(), b"kept", 4).await;
        let dropped = written(store.blobs(), b"dropped", 4).await;
        let orphan = written(store.blobs(), b"orphan", 4).await;
        let mut transaction = store.begin_write().await.unwrap();
        keep_blob(&mut transaction, &instance, &kept).await.unwrap();
        keep_blob(&mut transaction, &instance, &dropped).await.unwrap();
        transaction.commit().await.unwrap();

        let mut transaction = store.begin_write().await.unwrap();
        drop_blob(&mut transaction, &dropped.id).await.unwrap();
        transaction.rollback().await.unwrap();
        assert_eq!(store.sweep().await.unwrap(), Swept::default(), "all are kept or too young");

        let mut transaction = store.begin_write().await.unwrap();
        drop_blob(&mut transaction, &dropped.id).await.unwrap();
        drop_blob(&mut transaction, "there is none").await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(store.sweep().await.unwrap(), Swept { dropped: 1, orphans: 0 });
        assert_eq!(store.blobs().bytes(&orphan.id, 9).await.unwrap(), b"orphan");
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        assert_eq!(store.sweep_orphans(std::time::Duration::from_millis(1000)).await.unwrap(), 1);
        assert_eq!(store.blobs().bytes(&kept.id, 9).await.unwrap(), b"kept");
        for gone in [dropped, orphan] {
            assert!(store.blobs().bytes(&gone.id, 9).await.is_err());
        }
    }
}
