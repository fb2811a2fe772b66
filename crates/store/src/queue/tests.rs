//! The queue's promises, on both databases.

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime};

use dictum_testbed::{Places, on_both};

use super::*;
use crate::StoreConfig;

const LEASE: Duration = Duration::from_secs(60);

async fn open(places: &Places) -> Store {
    let config = StoreConfig { database: places.database.clone(), blobs: places.blobs.clone() };
    Store::connect(&config).await.unwrap()
}

/// A store and the id of an instance in it.
async fn opened(places: &Places) -> (Store, String) {
    let store = open(places).await;
    let instance = store.ensure_instance("default").await.unwrap().id;
    (store, instance)
}

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

async fn claim(store: &Store) -> Option<Ticket> {
    store.claim(&Queue::ALL, "w", LEASE).await.unwrap()
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

async fn cancelled(store: &Store, subject: &str) -> Cancel {
    let mut transaction = store.begin_write().await.unwrap();
    let outcome = cancel(&mut transaction, store.backend, Queue::Recognition, subject).await.unwrap();
    transaction.commit().await.unwrap();
    outcome
}

async fn counts(store: &Store) -> (u64, u64) {
    let counts = store.queue_counts().await.unwrap();
    assert_eq!(counts.iter().map(|count| count.queue).collect::<Vec<_>>(), Queue::ALL);
    assert!(counts[1..].iter().all(|count| (count.waiting, count.running) == (0, 0)));
    (counts[0].waiting, counts[0].running)
}

on_both! {
    async fn a_claim_that_ran_out_is_somebody_elses(places) {
        let (store, instance) = opened(places).await;
        assert_eq!(claim(&store).await, None);
        put(&store, &ticket(&instance, "job")).await;
        assert_eq!(counts(&store).await, (1, 0));
        let first = store.claim(&Queue::ALL, "w", Duration::from_millis(50)).await.unwrap().unwrap();
        assert_eq!((first.subject.as_str(), first.attempt, first.last_attempt, first.spent), ("job", 1, false, false));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(store.extend(&first, Duration::ZERO).await.unwrap(), "nobody has come in between");

        let second = claim(&store).await.unwrap();
        assert_eq!((second.attempt, second.last_attempt, second.spent), (2, true, false));
        assert_eq!(counts(&store).await, (0, 1));
        assert!(!store.extend(&first, LEASE).await.unwrap());
        assert_eq!(store.retry(&first, Duration::ZERO, "too late").await.unwrap(), Retry::Lost);
        assert!(store.extend(&second, Duration::ZERO).await.unwrap());

        let third = claim(&store).await.unwrap();
        assert_eq!((third.attempt, third.last_attempt, third.spent), (3, true, true), "told, to be marked as failed");
        assert!(!done(&store, &second).await);
        assert!(done(&store, &third).await);
        assert!(!done(&store, &third).await);
        assert_eq!(counts(&store).await, (0, 0));
    }

    async fn a_subject_has_one_ticket_in_a_queue(places) {
        let (store, instance) = opened(places).await;
        put(&store, &ticket(&instance, "job")).await;
        put(&store, &NewTicket { queue: Queue::Callback, ..ticket(&instance, "job") }).await;
        let mut transaction = store.begin_write().await.unwrap();
        let again = enqueue(&mut transaction, store.backend, &ticket(&instance, "job")).await;
        assert!(matches!(again, Err(StoreError::Database(_))), "{again:?}");
        drop(transaction);
        // Queues that were not asked for are not served.
        assert_eq!(store.claim(&[Queue::LanguageTraining], "w", LEASE).await.unwrap(), None);
        assert_eq!(store.claim(&[Queue::Callback], "w", LEASE).await.unwrap().unwrap().queue, Queue::Callback);
    }

    /// What was not committed is not there.
    async fn tickets_belong_to_their_transaction(places) {
        let (store, instance) = opened(places).await;
        let mut transaction = store.begin_write().await.unwrap();
        enqueue(&mut transaction, store.backend, &ticket(&instance, "job")).await.unwrap();
        transaction.rollback().await.unwrap();
        assert_eq!(claim(&store).await, None);
        put(&store, &ticket(&instance, "job")).await;
        let held = claim(&store).await.unwrap();
        let mut transaction = store.begin_write().await.unwrap();
        assert!(finish(&mut transaction, &held).await.unwrap());
        transaction.rollback().await.unwrap();
        assert!(done(&store, &held).await, "it was not finished");
    }

    /// Two stores, as of two processes, each with several workers.
    async fn every_ticket_is_claimed_once(places) {
        const TICKETS: usize = 120;
        let (store, first) = opened(places).await;
        let second = store.ensure_instance("other").await.unwrap().id;
        for number in 0..TICKETS {
            let instance = if number % 3 == 0 { &second } else { &first };
            put(&store, &ticket(instance, &number.to_string())).await;
        }
        let stores = [store.clone(), open(places).await];
        let workers = (0..8).map(|number| {
            let store = stores[number % 2].clone();
            tokio::spawn(async move {
                let mut subjects = Vec::new();
                let mut empty = 0;
                while empty < 3 {
                    match store.claim(&Queue::ALL, &format!("w{number}"), LEASE).await.unwrap() {
                        Some(ticket) => {
                            assert_eq!(ticket.attempt, 1);
                            subjects.push(ticket.subject.clone());
                            assert!(done(&store, &ticket).await);
                        }
                        None => empty += 1,
                    }
                }
                subjects
            })
        });
        let mut all = Vec::new();
        for worker in workers.collect::<Vec<_>>() {
            all.extend(worker.await.unwrap());
        }
        assert_eq!(all.len(), TICKETS);
        assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), TICKETS);
        assert_eq!(counts(&store).await, (0, 0));
    }

    async fn priority_then_fairness_then_age(places) {
        let (store, busy) = opened(places).await;
        let quiet = store.ensure_instance("quiet").await.unwrap().id;
        for number in 1..=4 {
            put(&store, &ticket(&busy, &format!("busy {number}"))).await;
            // Ages are told apart to the millisecond.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for number in 1..=2 {
            put(&store, &ticket(&quiet, &format!("quiet {number}"))).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        put(&store, &NewTicket { priority: 1, ..ticket(&busy, "urgent") }).await;
        put(&store, &NewTicket { priority: -1, ..ticket(&quiet, "when there is time") }).await;
        let mut order = Vec::new();
        let mut held = Vec::new();
        for _ in 0..8 {
            let ticket = claim(&store).await.unwrap();
            order.push(ticket.subject.clone());
            held.push(ticket);
        }
        // After the urgent one, the busy instance has one at work.
        let expected =
            ["urgent", "quiet 1", "busy 1", "quiet 2", "busy 2", "busy 3", "busy 4", "when there is time"];
        assert_eq!(order, expected);
        assert_eq!(claim(&store).await, None);
        assert_eq!(counts(&store).await, (0, 8));
    }

    async fn what_is_given_back_comes_again_later(places) {
        let (store, instance) = opened(places).await;
        put(&store, &ticket(&instance, "job")).await;
        let first = claim(&store).await.unwrap();
        let pause = Duration::from_millis(400);
        assert_eq!(store.retry(&first, pause, "no answer").await.unwrap(), Retry::Later);
        let began = Instant::now();
        assert_eq!(claim(&store).await, None);
        assert_eq!(counts(&store).await, (1, 0));
        assert!(!done(&store, &first).await, "the claim was given back");
        let second = loop {
            match claim(&store).await {
                Some(ticket) => break ticket,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        assert!(began.elapsed() >= pause - Duration::from_millis(50), "{:?}", began.elapsed());
        assert_eq!((second.attempt, second.last_attempt), (2, true));
        assert_eq!(store.retry(&second, pause, "no answer").await.unwrap(), Retry::GaveUp);
        assert!(done(&store, &second).await, "the claim still holds");
    }

    async fn delayed_tickets_wait(places) {
        let (store, instance) = opened(places).await;
        let later = SystemTime::now() + Duration::from_millis(500);
        put(&store, &NewTicket { not_before: later, ..ticket(&instance, "later") }).await;
        assert_eq!(claim(&store).await, None);
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(claim(&store).await.is_some());
    }

    async fn what_is_cancelled_is_not_done(places) {
        let (store, instance) = opened(places).await;
        assert_eq!(cancelled(&store, "job").await, Cancel::None);
        put(&store, &ticket(&instance, "job")).await;
        assert_eq!(cancelled(&store, "job").await, Cancel::Removed);
        assert_eq!(claim(&store).await, None);

        put(&store, &ticket(&instance, "job")).await;
        let held = claim(&store).await.unwrap();
        assert_eq!(cancelled(&store, "job").await, Cancel::Running);
        assert!(store.extend(&held, LEASE).await.unwrap());
        let mut transaction = store.begin_write().await.unwrap();
        assert!(withdraw(&mut transaction, Queue::Recognition, "job").await.unwrap());
        assert!(!withdraw(&mut transaction, Queue::Recognition, "job").await.unwrap());
        transaction.commit().await.unwrap();
        assert!(!store.extend(&held, LEASE).await.unwrap());
        assert!(!done(&store, &held).await);

        put(&store, &ticket(&instance, "job")).await;
        store.claim(&Queue::ALL, "w", Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(cancelled(&store, "job").await, Cancel::Removed, "who was at it is gone");
    }

    async fn workers_are_woken(places) {
        let (store, instance) = opened(places).await;
        let waiting = store.clone();
        let worker = tokio::spawn(async move {
            let began = Instant::now();
            loop {
                if let Some(ticket) = claim(&waiting).await {
                    break (ticket.subject, began.elapsed());
                }
                waiting.wait_for_work(Duration::from_secs(30)).await;
            }
        });
        tokio::time::sleep(Duration::from_millis(800)).await;
        // On PostgreSQL another process may write the ticket.
        match store.backend {
            Backend::Postgres => put(&open(places).await, &ticket(&instance, "job")).await,
            Backend::Sqlite => {
                put(&store, &ticket(&instance, "job")).await;
                store.wake_workers();
            }
        }
        let (subject, waited) = worker.await.unwrap();
        assert_eq!(subject, "job");
        assert!(waited < Duration::from_secs(10), "{waited:?}");
    }
}
