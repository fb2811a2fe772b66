//! Where blobs are: what `object_store` needs to know of a directory and of S3.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig};

use crate::StoreError;
use crate::address::{BlobAddress, S3Address};

/// What a place is asked for when it is asked whether it is there: the name of no blob.
const PROBE: &str = "probe";

/// A place for objects, and the path in it under which all of ours are.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(super) root: object_store::path::Path,
    /// The directory, when it is one.
    directory: Option<PathBuf>,
}

impl Place {
    /// Makes ready to use a place; a directory is made when there is none, a service is not asked yet.
    pub(crate) fn open(address: &BlobAddress) -> Result<Place, StoreError> {
        match address {
            BlobAddress::Directory(path) => directory(path),
            BlobAddress::S3(address) => s3(address),
        }
    }

    /// Whether objects can be written: a directory by a file without bytes, since one that is not mounted or may only be read
    /// answers all questions; a service by a question, since what it answers tells.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        if let Some(directory) = self.directory.clone() {
            let work = tokio::task::spawn_blocking(move || try_directory(&directory));
            return work.await.map_err(StoreError::blobs_away)?.map_err(StoreError::blobs_away);
        }
        match self.objects.head(&self.root.clone().join(PROBE)).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            // Who may not list a bucket is not told that something is missing. That one may write shows by writing.
            Err(object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }) => {
                let path = self.root.clone().join(PROBE);
                self.objects.put(&path, PutPayload::new()).await.map_err(StoreError::from)?;
                self.objects.delete(&path).await.map_err(StoreError::from)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what was being written into a directory when its process died, if that is `age` ago. (Services that speak S3 have
    /// a rule for that, `AbortIncompleteMultipartUpload`, which their operator sets.)
    pub(super) async fn remove_remains(&self, age: Duration) -> Result<(), StoreError> {
        let Some(directory) = self.directory.clone() else {
            return Ok(());
        };
        let work = tokio::task::spawn_blocking(move || remove_remains(&directory, age));
        work.await.map_err(StoreError::blobs_away)?.map_err(StoreError::blobs_away)
    }
}

fn directory(path: &Path) -> Result<Place, StoreError> {
    let refused = |reason: String| StoreError::Open { path: path.to_owned(), reason };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| refused(error.to_string()))?;
    let objects = LocalFileSystem::new_with_prefix(path).map_err(|error| refused(error.to_string()))?;
    Ok(Place {
        objects: Arc::new(objects.with_fsync(true)),
        root: object_store::path::Path::default(),
        directory: Some(path.to_owned()),
    })
}

fn s3(address: &S3Address) -> Result<Place, StoreError> {
    // Nobody waits longer than this for a service that is away; who asked is told to come back.
    let retry = RetryConfig {
        backoff: BackoffConfig { init_backoff: Duration::from_millis(100), ..BackoffConfig::default() },
        max_retries: 3,
        retry_timeout: Duration::from_secs(10),
    };
    // No limit for a whole request: a large blob takes its time.
    let client = ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(Duration::from_secs(5))
        .with_read_timeout(Duration::from_secs(30));
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&address.bucket)
        .with_virtual_hosted_style_request(!address.path_style)
        .with_retry(retry)
        .with_client_options(client);
    if let Some(endpoint) = &address.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    if let Some(region) = &address.region {
        builder = builder.with_region(region);
    }
    if let Some((id, secret)) = &address.credentials {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret);
    }
    // The client takes the cryptography that is set for the process. That somebody has set it already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let objects = builder.build().map_err(|error| StoreError::Address {
        url: format!("s3://{}", address.bucket),
        problem: error.to_string(),
        wanted: "s3://BUCKET/PREFIX?endpoint=URL&region=NAME",
    })?;
    Ok(Place {
        objects: Arc::new(objects),
        root: object_store::path::Path::from(address.prefix.as_str()),
        directory: None,
    })
}

/// Makes a file and removes it. Left behind by a crash, it is one of the remains.
fn try_directory(directory: &Path) -> std::io::Result<()> {
    let path = directory.join(format!("{PROBE}#{}", uuid::Uuid::new_v4().simple()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    std::fs::remove_file(path)
}

/// `object_store` writes beside the file to be, under its name with `#` and a number, which no listing of its own shows.
fn remove_remains(directory: &Path, age: Duration) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            remove_remains(&entry.path(), age)?;
            continue;
        }
        let old = metadata.modified()?.checked_add(age).is_some_and(|when| when < SystemTime::now());
        if old && entry.file_name().to_string_lossy().contains('#') {
            match std::fs::remove_file(entry.path()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
