//! Limits to what one instance may keep and have in hand. None apply unless the operator sets them: for all instances, in the
//! configuration, or for one, in the store.

use std::time::Duration;

use sqlx::Row;

use crate::queue::Queue;
use crate::{Store, StoreError};

/// In a column: no limit.
const UNLIMITED: i64 = -1;

/// What an instance may have at most; `None`: as much as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Bytes of blobs: recordings that wait, corpora, audio resources, trained models.
    pub storage: Option<u64>,
    /// Jobs of asynchronous recognition that have not ended.
    pub jobs: Option<u64>,
    /// How long results are kept, whatever a request asks for.
    pub results: Option<Duration>,
}

/// One limit of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OwnLimit<T> {
    /// The one that is usual.
    #[default]
    Usual,
    /// None, whatever is usual.
    Unlimited,
    /// This one, whatever is usual.
    At(T),
}

impl<T> OwnLimit<T> {
    fn or(self, usual: Option<T>) -> Option<T> {
        match self {
            OwnLimit::Usual => usual,
            OwnLimit::Unlimited => None,
            OwnLimit::At(limit) => Some(limit),
        }
    }

    fn column(self, number: impl FnOnce(T) -> u64) -> Option<i64> {
        match self {
            OwnLimit::Usual => None,
            OwnLimit::Unlimited => Some(UNLIMITED),
            OwnLimit::At(limit) => Some(i64::try_from(number(limit)).unwrap_or(i64::MAX)),
        }
    }

    fn of_column(column: Option<i64>, limit: impl FnOnce(u64) -> T) -> OwnLimit<T> {
        match column.map(u64::try_from) {
            None => OwnLimit::Usual,
            Some(Err(_)) => OwnLimit::Unlimited,
            Some(Ok(number)) => OwnLimit::At(limit(number)),
        }
    }
}

/// What is set for one instance: see [`Quota`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnQuota {
    /// Bytes of blobs.
    pub storage: OwnLimit<u64>,
    /// Jobs that have not ended.
    pub jobs: OwnLimit<u64>,
    /// How long results are kept; to the millisecond.
    pub results: OwnLimit<Duration>,
}

impl OwnQuota {
    /// What the instance may have, where `usual` is what others may.
    pub fn over(self, usual: &Quota) -> Quota {
        Quota {
            storage: self.storage.or(usual.storage),
            jobs: self.jobs.or(usual.jobs),
            results: self.results.or(usual.results),
        }
    }
}

/// What an instance has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of blobs.
    pub storage: u64,
    /// Jobs of asynchronous recognition that have not ended.
    pub jobs: u64,
}

/// Which limit is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    /// Too many bytes.
    #[error(
        "the service instance keeps {used} bytes, and may keep {limit} with what this request brings; delete what is no longer needed"
    )]
    Storage {
        /// Bytes there are.
        used: u64,
        /// Bytes there may be.
        limit: u64,
    },
    /// Too many jobs.
    #[error(
        "the service instance has {used} recognition jobs that have not ended, and may have {limit}; wait for some to end"
    )]
    Jobs {
        /// Jobs there are.
        used: u64,
        /// Jobs there may be.
        limit: u64,
    },
}

impl Quota {
    /// Whether an instance may keep that many bytes more.
    pub fn admits_bytes(&self, usage: &Usage, more: u64) -> Result<(), Exceeded> {
        match self.storage {
            Some(limit) if usage.storage.saturating_add(more) > limit => {
                Err(Exceeded::Storage { used: usage.storage, limit })
            }
            _ => Ok(()),
        }
    }

    /// Whether an instance may have another job.
    pub fn admits_job(&self, usage: &Usage) -> Result<(), Exceeded> {
        match self.jobs {
            Some(limit) if usage.jobs >= limit => Err(Exceeded::Jobs { used: usage.jobs, limit }),
            _ => Ok(()),
        }
    }

    /// How long results are kept that were asked to be kept this long.
    pub fn kept(&self, wanted: Duration) -> Duration {
        self.results.map_or(wanted, |most| wanted.min(most))
    }

    /// Whether anything has to be looked up.
    pub fn is_unlimited(&self) -> bool {
        self.storage.is_none() && self.jobs.is_none()
    }
}

impl Store {
    /// What an instance has at the moment. Requests that come at the same time see the same, so a limit may be passed by as many
    /// as there are at once.
    pub async fn usage(&self, instance: &str) -> Result<Usage, StoreError> {
        let sql = "SELECT (SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM blobs WHERE instance_id = $1) AS storage, \
                   (SELECT COUNT(*) FROM tickets WHERE instance_id = $1 AND queue = $2) AS jobs";
        let row = sqlx::query(sql).bind(instance).bind(Queue::Recognition.name()).fetch_one(&self.pool).await?;
        let number = |name| row.try_get::<i64, _>(name).map(|number| u64::try_from(number).unwrap_or(0));
        Ok(Usage { storage: number("storage")?, jobs: number("jobs")? })
    }

    /// What is set for an instance; nothing, if it never was.
    pub async fn own_quota(&self, instance: &str) -> Result<OwnQuota, StoreError> {
        let row = sqlx::query("SELECT storage, jobs, results FROM instance_limits WHERE instance_id = $1")
            .bind(instance)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(OwnQuota::default()) };
        Ok(OwnQuota {
            storage: OwnLimit::of_column(row.try_get("storage")?, |bytes| bytes),
            jobs: OwnLimit::of_column(row.try_get("jobs")?, |jobs| jobs),
            results: OwnLimit::of_column(row.try_get("results")?, Duration::from_millis),
        })
    }

    /// Sets the limits of an instance that there is, for requests from now on.
    pub async fn set_own_quota(&self, instance: &str, own: &OwnQuota) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO instance_limits (instance_id, storage, jobs, results) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (instance_id) DO UPDATE SET storage = $2, jobs = $3, results = $4",
        )
        .bind(instance)
        .bind(own.storage.column(|bytes| bytes))
        .bind(own.jobs.column(|jobs| jobs))
        .bind(own.results.column(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use dictum_testbed::on_both;

    use super::*;
    use crate::blobs::rows::{drop_blob, keep_blob};
    use crate::queue::{self, NewTicket};
    use crate::{Blob, StoreConfig};

    #[test]
    fn limits() {
        let usage = Usage { storage: 90, jobs: 2 };
        let none = Quota::default();
        assert!(none.is_unlimited());
        assert_eq!(none.admits_bytes(&usage, u64::MAX).and(none.admits_job(&usage)), Ok(()));
        assert_eq!(none.kept(Duration::MAX), Duration::MAX);
        let some = Quota { storage: Some(100), jobs: Some(2), results: Some(Duration::from_secs(60)) };
        assert_eq!(some.admits_bytes(&usage, 10), Ok(()));
        assert_eq!(some.admits_bytes(&usage, 11), Err(Exceeded::Storage { used: 90, limit: 100 }));
        assert_eq!(some.admits_job(&usage), Err(Exceeded::Jobs { used: 2, limit: 2 }));
        assert_eq!(some.admits_job(&Usage { jobs: 1, ..usage }), Ok(()));
        assert_eq!(some.kept(Duration::from_secs(61)), Duration::from_secs(60));
        assert_eq!(some.kept(Duration::from_secs(59)), Duration::from_secs(59));
    }

    #[test]
    fn an_instance_may_have_limits_of_its_own() {
        let usual = Quota { storage: Some(100), jobs: Some(2), results: None };
        assert_eq!(OwnQuota::default().over(&usual), usual);
        let own = OwnQuota {
            storage: OwnLimit::Unlimited,
            jobs: OwnLimit::At(7),
            results: OwnLimit::At(Duration::from_secs(60)),
        };
        let expected = Quota { storage: None, jobs: Some(7), results: Some(Duration::from_secs(60)) };
        assert_eq!(own.over(&usual), expected);
    }

    on_both! {
        async fn own_limits_are_kept(places) {
            let config = StoreConfig { database: places.database.clone(), blobs: places.blobs.clone() };
            let store = Store::connect(&config).await.unwrap();
            let [first, second] = [store.ensure_instance("a").await.unwrap().id, store.ensure_instance("b").await.unwrap().id];
            let own = OwnQuota {
                storage: OwnLimit::At(1 << 40),
                jobs: OwnLimit::Unlimited,
                results: OwnLimit::At(Duration::from_millis(90_001)),
            };
            store.set_own_quota(&first, &OwnQuota::default()).await.unwrap();
            store.set_own_quota(&first, &own).await.unwrap();
            assert_eq!(store.own_quota(&first).await.unwrap(), own);
            assert_eq!(store.own_quota(&second).await.unwrap(), OwnQuota::default());
            let none = OwnQuota { storage: OwnLimit::At(0), ..OwnQuota::default() };
            store.set_own_quota(&first, &none).await.unwrap();
            assert_eq!(store.own_quota(&first).await.unwrap(), none);
            assert!(store.set_own_quota("nobody", &own).await.is_err(), "of an instance that there is");
            let names: Vec<String> = store.instances().await.unwrap().into_iter().map(|instance| instance.name).collect();
            assert_eq!(names, ["a", "b"]);
        }

        async fn each_instance_has_its_own(places) {
            let config = StoreConfig { database: places.database.clone(), blobs: places.blobs.clone() };
            let store = Store::connect(&config).await.unwrap();
            let [first, second] = [store.ensure_instance("a").await.unwrap().id, store.ensure_instance("b").await.unwrap().id];
            assert_eq!(store.usage(&first).await.unwrap(), Usage::default());
            let mut transaction = store.begin_write().await.unwrap();
            for (id, size) in [("x", 5), ("y", 1 << 40)] {
                let blob = Blob { id: id.to_owned(), size, sha256: [0; 32] };
                keep_blob(&mut transaction, &first, &blob).await.unwrap();
            }
            for (queue, subject) in [(Queue::Recognition, "1"), (Queue::Recognition, "2"), (Queue::Callback, "1")] {
                let new = NewTicket {
                    queue,
                    instance: first.clone(),
                    subject: subject.to_owned(),
                    priority: 0,
                    not_before: SystemTime::UNIX_EPOCH,
                    max_attempts: 1,
                };
                queue::enqueue(&mut transaction, store.backend, &new).await.unwrap();
            }
            transaction.commit().await.unwrap();
            assert_eq!(store.usage(&first).await.unwrap(), Usage { storage: (1 << 40) + 5, jobs: 2 });
            assert_eq!(store.usage(&second).await.unwrap(), Usage::default());
            let mut transaction = store.begin_write().await.unwrap();
            drop_blob(&mut transaction, "y").await.unwrap();
            transaction.commit().await.unwrap();
            assert_eq!(store.usage(&first).await.unwrap().storage, 5);
        }
    }
}
