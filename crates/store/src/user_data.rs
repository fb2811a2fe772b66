//! Everything that is labelled with a customer, removed at once (user-data.md).

use crate::{Store, StoreError, callbacks, customizations, recognitions};

/// How much of a customer's was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Jobs, with their audio and results.
    pub recognitions: u64,
    /// URLs that were registered for callbacks.
    pub callbacks: u64,
    /// Corpora and grammars of custom models. The models stay, and what they were trained with has its effect until they are
    /// trained again.
    pub resources: u64,
    /// Words of custom models.
    pub words: u64,
}

impl Store {
    /// Removes all that an instance has stored under the label of a customer. What another instance labelled alike stays.
    pub async fn delete_customer(&self, instance: &str, customer: &str) -> Result<Removed, StoreError> {
        let mut transaction = self.begin_write().await?;
        let (resources, words) = customizations::delete_of_customer(&mut transaction, instance, customer).await?;
        let removed = Removed {
            recognitions: recognitions::delete_of_customer(&mut transaction, instance, customer).await?,
            callbacks: callbacks::delete_of_customer(&mut transaction, instance, customer).await?,
            resources,
            words,
        };
        transaction.commit().await?;
        Ok(removed)
    }
}
