//! The queue's promises, on one database.

use std::time::{Duration, SystemTime};

use super::*;

const LEASE: Duration = Duration::from_secs(60);

fn ticket(instance: &str, subject: &str) -> NewTicket {
    NewTicket {
        queue: Queue::Recognition,
        instance: instance.to_owned(),
        subject: subject.to_owned(),
        priority: 0,
        not_before: SystemTime::UNIX_EPOCH,
        max_attempts: 2,
    }
}

async fn put(store: &Store, new: &NewTicket) {
    let mut transaction = store.begin_write().await.unwrap();
    enqueue(&mut transaction, store.backend, new).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn done(store: &Store, ticket: &Ticket) -> bool {
    let mut transaction = store.begin_write().await.unwrap();
    let held = finish(&mut transaction, ticket).await.unwrap();
    match held {
        true => transaction.commit().await.unwrap(),
        false => transaction.rollback().await.unwrap(),
    }
    held
}

#[tokio::test]
async fn a_ticket_lives_and_ends() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let instance = store.ensure_instance("default").await.unwrap().id;
    assert_eq!(store.claim(&Queue::ALL, "w", LEASE).await.unwrap(), None);
    put(&store, &ticket(&instance, "job")).await;
    let first = store.claim(&Queue::ALL, "w", Duration::ZERO).await.unwrap().unwrap();
    assert_eq!((first.subject.as_str(), first.attempt, first.last_attempt, first.spent), ("job", 1, false, false));
    let second = store.claim(&[Queue::Recognition], "w", LEASE).await.unwrap().unwrap();
    assert_eq!((second.attempt, second.last_attempt, second.spent), (2, true, false));
    assert!(!store.extend(&first, LEASE).await.unwrap());
    assert!(store.extend(&second, LEASE).await.unwrap());
    assert_eq!(store.claim(&Queue::ALL, "w", LEASE).await.unwrap(), None);
    assert!(!done(&store, &first).await);
    assert!(done(&store, &second).await);
    assert!(!done(&store, &second).await);
}
