//! Writing a blob piece by piece.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::{Blob, Blobs};
use crate::StoreError;

/// Bytes of a part of an upload: all are of this size but for the last, and S3 wants no less.
const PART: usize = 5 << 20;
/// Parts that are on their way at the same time. With the one being filled that is what a writer holds in memory at most.
const UNDER_WAY: usize = 2;

/// A blob being written. Dropped before [`finish`](Self::finish), nothing of it stays.
#[derive(Debug)]
pub struct BlobWriter {
    blobs: Blobs,
    id: String,
    /// What does not fill a part yet.
    waiting: Vec<Bytes>,
    waiting_size: usize,
    size: u64,
    hash: Sha256,
    /// Begun with the first full part: most blobs are smaller and go in one request.
    upload: Option<Upload>,
}

#[derive(Debug)]
struct Upload {
    parts: Box<dyn MultipartUpload>,
    under_way: JoinSet<object_store::Result<()>>,
}

impl BlobWriter {
    pub(super) fn new(blobs: Blobs, id: String) -> BlobWriter {
        BlobWriter { blobs, id, waiting: Vec::new(), waiting_size: 0, size: 0, hash: Sha256::new(), upload: None }
    }

    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes what comes next. Waits while parts are on their way. After an error the writer is of no use any more.
    pub async fn write(&mut self, mut piece: Bytes) -> Result<(), StoreError> {
        self.hash.update(&piece);
        self.size += piece.len() as u64;
        while !piece.is_empty() {
            let next = piece.split_to(piece.len().min(PART - self.waiting_size));
            self.waiting_size += next.len();
            self.waiting.push(next);
            if self.waiting_size == PART {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    /// The blob, once all of it is durable.
    pub async fn finish(mut self) -> Result<Blob, StoreError> {
        let path = self.path()?;
        match self.upload {
            None => {
                let payload = PutPayload::from_iter(std::mem::take(&mut self.waiting));
                self.blobs.place.objects.put(&path, payload).await?;
            }
            Some(_) => {
                if self.waiting_size > 0 {
                    self.send_part().await?;
                }
                if let Some(upload) = &mut self.upload {
                    upload.wait(0).await?;
                    upload.parts.complete().await?;
                }
                // Complete, so dropping the writer must not take it back.
                self.upload = None;
            }
        }
        let hash = std::mem::take(&mut self.hash);
        Ok(Blob { id: std::mem::take(&mut self.id), size: self.size, sha256: hash.finalize().into() })
    }

    async fn send_part(&mut self) -> Result<(), StoreError> {
        let payload = PutPayload::from_iter(std::mem::take(&mut self.waiting));
        self.waiting_size = 0;
        if self.upload.is_none() {
            let parts = self.blobs.place.objects.put_multipart(&self.path()?).await?;
            self.upload = Some(Upload { parts, under_way: JoinSet::new() });
        }
        if let Some(upload) = &mut self.upload {
            upload.wait(UNDER_WAY - 1).await?;
            let part = upload.parts.put_part(payload);
            upload.under_way.spawn(part);
        }
        Ok(())
    }

    fn path(&self) -> Result<Path, StoreError> {
        self.blobs.path(&self.id)
    }
}

impl Upload {
    /// Waits until no more than `most` parts are on their way.
    async fn wait(&mut self, most: usize) -> Result<(), StoreError> {
        while self.under_way.len() > most {
            match self.under_way.join_next().await {
                Some(Ok(result)) => result?,
                Some(Err(error)) => return Err(StoreError::blobs_away(error)),
                None => break,
            }
        }
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        // A directory forgets by itself; a service has to be told. Outside a runtime there is nobody who could.
        if let (Some(mut upload), Ok(runtime)) = (self.upload.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                upload.under_way.shutdown().await;
                if let Err(error) = upload.parts.abort().await {
                    tracing::debug!(%error, "an upload that was given up could not be taken back");
                }
            });
        }
    }
}
