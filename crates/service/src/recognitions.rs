//! Asynchronous recognition and callbacks as a wire format asks for them (async.md), without the wire format.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dictum_callbacks::{ChallengeError, Client, Refused};
use dictum_store::{
    Blob, Callback, Deletion, Exceeded, NewCallback, NewRecognition, QueueCount, Quota, Recognition, Registration,
    Removed, Store, StoreError,
};
use futures::{Stream, StreamExt};
use tokio::time::timeout;

use crate::clock::SessionClock;
use crate::limits::{Limits, Room};
use crate::session::MINIMUM_BYTES;
use crate::upload::UploadError;

/// URLs that an instance may register in [`REGISTRATION_SPAN`] (ASY-R7).
pub const MOST_REGISTRATIONS: u64 = 20;
/// The span of time in which it may.
pub const REGISTRATION_SPAN: Duration = Duration::from_secs(60 * 60);
/// Jobs of a list (async.md section 6).
const MOST_LISTED: u32 = 100;

/// Why a URL was not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// It cannot be called.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The server behind it did not say that it expects callbacks.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
    /// Enough were registered for now.
    #[error("{MOST_REGISTRATIONS} callback URLs were registered within an hour, and no more may be; try again later")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the audio of a job was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError<E> {
    /// It did not come, or there was too much of it.
    #[error(transparent)]
    Upload(UploadError<E>),
    /// There was too little of it (REC-L1).
    #[error("Stream was {0} bytes but needs to be at least {MINIMUM_BYTES} bytes.")]
    TooShort(u64),
    /// The instance may not keep that much.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an instance may have no further job.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// It has reached a limit.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The jobs and callback URLs of all instances.
#[derive(Debug, Clone)]
pub struct Recognitions {
    store: Store,
    client: Client,
    limits: Limits,
}

impl Recognitions {
    /// Those in a store; callbacks are verified by `client`.
    pub fn new(store: Store, client: Client) -> Recognitions {
        Recognitions { limits: Limits::new(store.clone(), Quota::default()), store, client }
    }

    /// The same with limits for every instance that has none of its own.
    pub fn with_quota(self, quota: Quota) -> Recognitions {
        Recognitions { limits: Limits::new(self.store.clone(), quota), ..self }
    }

    /// The limits of instances.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether an instance may have another job, and how much audio it may bring.
    pub async fn admit(&self, instance: &str) -> Result<Room, AdmissionError> {
        let room = self.limits.room(instance).await?;
        room.admits_job()?;
        room.admits_bytes(1)?;
        Ok(room)
    }

    /// Where they are kept.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Registers a callback URL after its server has answered a challenge (ASY-R1 to ASY-R7). Returns false when it had been
    /// registered before.
    pub async fn register(&self, new: &NewCallback<'_>) -> Result<bool, RegistrationError> {
        if self.store.callback(new.instance, new.url).await?.is_some() {
            return Ok(false);
        }
        self.client.check(new.url)?;
        let since = SystemTime::now() - REGISTRATION_SPAN;
        if self.store.registrations_since(new.instance, since).await? >= MOST_REGISTRATIONS {
            return Err(RegistrationError::TooMany);
        }
        self.client.challenge(new.url, new.secret).await?;
        match self.store.register_callback(new, MOST_REGISTRATIONS, since).await? {
            Registration::Created => Ok(true),
            Registration::Already => Ok(false),
            Registration::TooMany => Err(RegistrationError::TooMany),
        }
    }

    /// Takes a callback URL off the list. Returns whether it was on it.
    pub async fn unregister(&self, instance: &str, url: &str) -> Result<bool, StoreError> {
        self.store.unregister_callback(instance, url).await
    }

    /// The registration of a callback URL.
    pub async fn callback(&self, instance: &str, url: &str) -> Result<Option<Callback>, StoreError> {
        self.store.callback(instance, url).await
    }

    /// Takes in audio, at most `most` bytes of it and no more than there is room for, piece by piece into the store. Who sends nothing
    /// for 30 s is given up.
    pub async fn receive<S, E>(&self, body: &mut S, most: u64, room: Room) -> Result<Blob, ReceiveError<E>>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let mut writer = self.store.blobs().writer();
        loop {
            let piece = timeout(SessionClock::WINDOW, body.next()).await;
            let Some(piece) = piece.map_err(|_| ReceiveError::Upload(UploadError::TimedOut))? else { break };
            let piece = piece.map_err(|error| ReceiveError::Upload(UploadError::Body(error)))?;
            if writer.size() + piece.len() as u64 > most {
                return Err(ReceiveError::Upload(UploadError::TooLarge { limit: most }));
            }
            room.admits_bytes(writer.size() + piece.len() as u64)?;
            writer.write(piece).await?;
        }
        match writer.size() {
            size if size < MINIMUM_BYTES => Err(ReceiveError::TooShort(size)),
            _ => Ok(writer.finish().await?),
        }
    }

    /// Creates a job of audio that was received. Its results are kept no longer than the limit allows.
    pub async fn create(&self, new: NewRecognition, audio: &Blob, room: Room) -> Result<Recognition, StoreError> {
        let new = NewRecognition { ttl: room.kept(new.ttl), ..new };
        self.store.create_recognition(&new, audio).await
    }

    /// The latest 100 jobs of an instance, newest first.
    pub async fn list(&self, instance: &str) -> Result<Vec<Recognition>, StoreError> {
        self.store.recognitions(instance, MOST_LISTED).await
    }

    /// A job of an instance, with its results when it has any.
    pub async fn get(&self, instance: &str, id: &str) -> Result<Option<(Recognition, Option<String>)>, StoreError> {
        self.store.recognition(instance, id).await
    }

    /// Deletes a job of an instance unless it is being worked on.
    pub async fn delete(&self, instance: &str, id: &str) -> Result<Deletion, StoreError> {
        self.store.delete_recognition(instance, id).await
    }

    /// Removes everything that an instance has labelled with a customer (user-data.md), the bytes of audio included.
    pub async fn delete_customer(&self, instance: &str, customer: &str) -> Result<Removed, StoreError> {
        let removed = self.store.delete_customer(instance, customer).await?;
        // What cannot be removed now is by whoever tidies up next.
        if let Err(error) = self.store.sweep_dropped().await {
            tracing::warn!(%error, "audio of a customer is removed later");
        }
        Ok(removed)
    }

    /// How much work there is in every queue.
    pub async fn queue_counts(&self) -> Result<Vec<QueueCount>, StoreError> {
        self.store.queue_counts().await
    }

    /// Whether the store answers.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }
}
