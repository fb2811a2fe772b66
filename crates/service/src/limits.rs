//! What instances may keep and have in hand, and how much of it is left.

use std::time::Duration;

use dictum_store::{Exceeded, Quota, Store, StoreError, Usage};

/// The limits of all instances: what is usual, and what is set for single ones in the store.
#[derive(Debug, Clone)]
pub struct Limits {
    store: Store,
    usual: Quota,
}

/// What an instance may have and had when a request was admitted: how much more its body may bring.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    quota: Quota,
    usage: Usage,
}

impl Limits {
    /// The limits of the instances in a store; `usual` is for those that have none of their own.
    pub fn new(store: Store, usual: Quota) -> Limits {
        Limits { store, usual }
    }

    /// What an instance may have.
    pub async fn of(&self, instance: &str) -> Result<Quota, StoreError> {
        Ok(self.store.own_quota(instance).await?.over(&self.usual))
    }

    /// How much room an instance has.
    pub async fn room(&self, instance: &str) -> Result<Room, StoreError> {
        let quota = self.of(instance).await?;
        let usage = match quota.is_unlimited() {
            true => Usage::default(),
            false => self.store.usage(instance).await?,
        };
        Ok(Room { quota, usage })
    }
}

impl Room {
    /// Whether there is room for so many bytes.
    pub fn admits_bytes(&self, more: u64) -> Result<(), Exceeded> {
        self.quota.admits_bytes(&self.usage, more)
    }

    /// Whether there is room for another job.
    pub fn admits_job(&self) -> Result<(), Exceeded> {
        self.quota.admits_job(&self.usage)
    }

    /// How long results are kept that were asked to be kept this long.
    pub fn kept(&self, wanted: Duration) -> Duration {
        self.quota.kept(wanted)
    }
}
