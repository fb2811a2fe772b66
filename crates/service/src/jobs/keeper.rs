//! What has to be tidied up from time to time.

use std::time::{Duration, SystemTime};

use dictum_store::{Store, StoreError};
use tokio::time::{Instant, sleep};

/// How often jobs whose time is over are removed, and the bytes of blobs that nothing refers to any more. (Nobody sees an expired
/// job in the meantime.)
const EVERY: Duration = Duration::from_secs(15);
/// How often every blob is looked at for one that a crash has left.
const LOOK_AT_ALL: Duration = Duration::from_secs(60 * 60);

/// Keeps a store tidy for ever. Every process may do so.
pub async fn keep_house(store: Store) {
    let mut thorough = Instant::now();
    loop {
        if let Err(error) = tidy(&store, &mut thorough).await {
            tracing::warn!(%error, "the store cannot be tidied up at the moment");
        }
        sleep(EVERY).await;
    }
}

async fn tidy(store: &Store, thorough: &mut Instant) -> Result<(), StoreError> {
    let expired = store.expire_recognitions(SystemTime::now()).await?;
    if expired > 0 {
        tracing::info!(expired, "jobs removed at the end of their time");
    }
    store.sweep_dropped().await?;
    if *thorough <= Instant::now() {
        *thorough = Instant::now() + LOOK_AT_ALL;
        let swept = store.sweep().await?;
        tracing::debug!(dropped = swept.dropped, orphans = swept.orphans, "blobs swept");
    }
    Ok(())
}
