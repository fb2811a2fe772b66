//! Blobs: bytes too many for a row, such as recordings, corpora and trained models, in a directory or a service that speaks S3.
//!
//! A blob is written once under a random name and never changed. It goes first; the row that refers to it, and its own in the
//! table `blobs`, come after it in one transaction ([`keep_blob`](rows::keep_blob)). So a row never names a blob that is not there,
//! and what a crash leaves between the two is an object without a row, which [`Store::sweep`](crate::Store::sweep) removes.

mod place;
pub(crate) mod rows;
#[cfg(test)]
mod tests;
mod writer;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
pub(crate) use place::Place;

pub use rows::Swept;
pub use writer::BlobWriter;

use crate::StoreError;

/// A blob that is complete and durable, though no row refers to it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// What it is read by.
    pub id: String,
    /// Its size, bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

/// The blobs of a store. Clones use the same connections.
#[derive(Debug, Clone)]
pub struct Blobs {
    pub(crate) place: Place,
}

impl Blobs {
    pub(crate) fn new(place: Place) -> Blobs {
        Blobs { place }
    }

    /// Whether blobs can be written: asks the service, or tries the directory. It leaves nothing.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.place.check().await
    }

    /// Begins a blob.
    pub fn writer(&self) -> BlobWriter {
        BlobWriter::new(self.clone(), uuid::Uuid::new_v4().simple().to_string())
    }

    /// Begins the blob of an id, which another store had.
    pub(crate) fn writer_of(&self, id: &str) -> Result<BlobWriter, StoreError> {
        self.path(id)?;
        Ok(BlobWriter::new(self.clone(), id.to_owned()))
    }

    /// The bytes of a blob, in pieces as they come.
    pub async fn read(
        &self,
        id: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, StoreError>> + Send + Unpin + use<>, StoreError> {
        let found = self.place.objects.get(&self.path(id)?).await?;
        Ok(found.into_stream().map_err(StoreError::from).boxed())
    }

    /// All bytes of a blob, when they are not more than `limit`.
    pub async fn bytes(&self, id: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        let found = self.place.objects.get(&self.path(id)?).await?;
        let size = found.meta.size;
        if size > limit {
            return Err(StoreError::TooLarge { size, limit });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        let mut pieces = found.into_stream();
        while let Some(piece) = pieces.try_next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Removes the bytes of a blob. That it is not there is no error.
    pub async fn delete(&self, id: &str) -> Result<(), StoreError> {
        match self.place.objects.delete(&self.path(id)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Where a blob is. Directories with very many files are slow on some systems, so there are 256 of them.
    pub(crate) fn path(&self, id: &str) -> Result<Path, StoreError> {
        if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(StoreError::Damaged("the id of a blob is not 32 hexadecimal digits".to_owned()));
        }
        Ok(self.place.root.clone().join(&id[..2]).join(id))
    }

    /// The id of the blob at a path; none for what is no blob of ours.
    fn id_at(path: &Path) -> Option<&str> {
        let id = path.filename()?;
        (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
    }
}
