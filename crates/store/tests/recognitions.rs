//! Jobs, callbacks and the labels of customers as rows: what changes together, and what whoever lost a claim cannot change.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dictum_store::{
    Blob, Deletion, Event, NewCallback, NewRecognition, Queue, Registration, Removed, Retry, Status, Store,
    StoreConfig, Ticket, Wanted,
};
use dictum_testbed::{Places, on_both};

const LEASE: Duration = Duration::from_secs(60);
const URL: &str = "http://hook.example/";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Setting {
    store: Store,
    instance: String,
}

async fn setting(places: &Places) -> Setting {
    let config = StoreConfig { database: places.database.clone(), blobs: places.blobs.clone() };
    let store = Store::connect(&config).await.unwrap();
    let instance = store.ensure_instance("default").await.unwrap().id;
    Setting { store, instance }
}

impl Setting {
    async fn audio(&self) -> Blob {
        let mut writer = self.store.blobs().writer();
        writer.write(Bytes::from_static(b"some audio")).await.unwrap();
        writer.finish().await.unwrap()
    }

    async fn create(&self, events: &[Event], customer: Option<&str>) -> String {
        let callback = Wanted { url: URL.to_owned(), events: events.to_vec(), user_token: Some("job25".to_owned()) };
        let new = NewRecognition {
            instance: self.instance.clone(),
            request: "{}".to_owned(),
            callback: (!events.is_empty()).then_some(callback),
            ttl: DAY,
            customer: customer.map(str::to_owned),
        };
        self.store.create_recognition(&new, &self.audio().await).await.unwrap().id
    }

    async fn claim(&self, queue: Queue) -> Option<Ticket> {
        self.store.claim(&[queue], "a worker", LEASE).await.unwrap()
    }

    async fn status(&self, id: &str) -> Option<Status> {
        self.store.recognition(&self.instance, id).await.unwrap().map(|(job, _)| job.status)
    }

    async fn register(&self, url: &str, customer: Option<&str>) -> Registration {
        let new = NewCallback { instance: &self.instance, url, secret: Some("s"), customer };
        self.store.register_callback(&new, 20, SystemTime::now() - DAY).await.unwrap()
    }

    /// The event of the next notification, which is then finished.
    async fn tell(&self) -> Option<Event> {
        let ticket = self.claim(Queue::Callback).await?;
        let notification = self.store.notification(&ticket).await.unwrap();
        assert!(self.store.finish_notification(&ticket).await.unwrap());
        notification.map(|notification| notification.event)
    }

    async fn nothing_is_left_to_do(&self) {
        for count in self.store.queue_counts().await.unwrap() {
            assert_eq!((count.waiting, count.running), (0, 0), "{:?}", count.queue);
        }
    }
}

on_both! {
    /// ASY-J1, ASY-G1, ASY-N3
    async fn a_job_from_creation_to_results(places) {
        let all = setting(places).await;
        all.register(URL, None).await;
        let id = all.create(&[Event::Started, Event::CompletedWithResults, Event::Failed], None).await;
        assert_eq!(all.status(&id).await, Some(Status::Waiting));
        assert_eq!(all.claim(Queue::Callback).await, None, "nothing has happened yet");
        let ticket = all.claim(Queue::Recognition).await.unwrap();
        let work = all.store.begin_recognition(&ticket).await.unwrap().unwrap();
        assert_eq!((&work.id, work.request.as_str()), (&id, "{}"));
        assert_eq!(all.store.blobs().bytes(&work.blob, 100).await.unwrap(), b"some audio");
        assert_eq!(all.status(&id).await, Some(Status::Processing));
        assert!(all.store.complete_recognition(&ticket, "[1]").await.unwrap());
        let (job, results) = all.store.recognition(&all.instance, &id).await.unwrap().unwrap();
        assert_eq!((job.status, results.as_deref()), (Status::Completed, Some("[1]")));
        assert!(job.updated >= job.created);
        // The audio is not kept.
        assert_eq!(all.store.sweep_dropped().await.unwrap(), 1);
        assert!(all.store.blobs().bytes(&work.blob, 100).await.is_err());
        let told = all.claim(Queue::Callback).await.unwrap();
        let notification = all.store.notification(&told).await.unwrap().unwrap();
        assert_eq!((notification.event, notification.url.as_str()), (Event::Started, URL));
        assert_eq!((notification.secret.as_deref(), notification.user_token.as_deref()), (Some("s"), Some("job25")));
        assert_eq!(notification.results, None);
        let shown = format!("{notification:?}");
        assert!(!shown.contains("job25") && !shown.contains("hook") && !shown.contains("\"s\""), "{shown}");
        assert_eq!(all.claim(Queue::Callback).await, None, "ASY-N4: the second waits for the first");
        assert!(all.store.finish_notification(&told).await.unwrap());
        let told = all.claim(Queue::Callback).await.unwrap();
        let notification = all.store.notification(&told).await.unwrap().unwrap();
        assert_eq!((notification.event, notification.results.as_deref()), (Event::CompletedWithResults, Some("[1]")));
        assert!(all.store.finish_notification(&told).await.unwrap());
        all.nothing_is_left_to_do().await;
    }

    /// ASY-N3: only what was subscribed to is told.
    async fn a_job_that_fails(places) {
        let all = setting(places).await;
        all.register(URL, None).await;
        for (events, told) in [(vec![Event::Failed], Some(Event::Failed)), (vec![Event::Started], Some(Event::Started))] {
            let id = all.create(&events, None).await;
            let ticket = all.claim(Queue::Recognition).await.unwrap();
            all.store.begin_recognition(&ticket).await.unwrap().unwrap();
            assert!(all.store.fail_recognition(&ticket, "no speech").await.unwrap());
            let (job, results) = all.store.recognition(&all.instance, &id).await.unwrap().unwrap();
            assert_eq!((job.status, job.error.as_deref(), results), (Status::Failed, Some("no speech"), None));
            assert_eq!(all.tell().await, told);
            assert_eq!(all.tell().await, None);
        }
        all.nothing_is_left_to_do().await;
    }

    /// A worker that is lost and comes back changes nothing; the job starts once as far as its owner is told, and ends once.
    async fn a_claim_that_was_lost_ends_nothing(places) {
        let all = setting(places).await;
        all.register(URL, None).await;
        let id = all.create(&[Event::Started, Event::Completed], None).await;
        let lost = all.store.claim(&[Queue::Recognition], "lost", Duration::ZERO).await.unwrap().unwrap();
        all.store.begin_recognition(&lost).await.unwrap().unwrap();
        let held = all.claim(Queue::Recognition).await.unwrap();
        assert_eq!((held.attempt, &held.subject), (2, &id));
        all.store.begin_recognition(&held).await.unwrap().unwrap();
        assert!(!all.store.complete_recognition(&lost, "[\"lost\"]").await.unwrap());
        assert!(!all.store.fail_recognition(&lost, "lost").await.unwrap());
        assert_eq!(all.status(&id).await, Some(Status::Processing));
        assert!(all.store.complete_recognition(&held, "[\"held\"]").await.unwrap());
        assert!(!all.store.complete_recognition(&held, "[\"twice\"]").await.unwrap());
        let (_, results) = all.store.recognition(&all.instance, &id).await.unwrap().unwrap();
        assert_eq!(results.as_deref(), Some("[\"held\"]"));
        assert_eq!(
            [all.tell().await, all.tell().await, all.tell().await],
            [Some(Event::Started), Some(Event::Completed), None]
        );
        all.nothing_is_left_to_do().await;
    }

    async fn what_is_given_back_is_begun_again_without_counting(places) {
        let all = setting(places).await;
        all.create(&[], None).await;
        for _ in 0..9 {
            let ticket = all.claim(Queue::Recognition).await.unwrap();
            assert_eq!(ticket.attempt, 1);
            all.store.begin_recognition(&ticket).await.unwrap().unwrap();
            all.store.give_back(&ticket).await.unwrap();
        }
        let mut attempts = 0;
        while let Some(ticket) = all.claim(Queue::Recognition).await {
            attempts += 1;
            match all.store.retry(&ticket, Duration::ZERO, "a test").await.unwrap() {
                Retry::Later => {}
                _ => assert!(all.store.fail_recognition(&ticket, "given up").await.unwrap()),
            }
        }
        assert_eq!(attempts, 20);
        all.nothing_is_left_to_do().await;
    }

    /// async.md section 7
    async fn deleting_jobs(places) {
        let all = setting(places).await;
        all.register(URL, None).await;
        let id = all.create(&[Event::Started, Event::Completed], None).await;
        let delete = |id: String| async { all.store.delete_recognition(&all.instance, &{ id }).await.unwrap() };
        let other = all.store.ensure_instance("other").await.unwrap().id;
        assert_eq!(all.store.delete_recognition(&other, &id).await.unwrap(), Deletion::Unknown);
        let ticket = all.claim(Queue::Recognition).await.unwrap();
        assert_eq!(delete(id.clone()).await, Deletion::Processing, "claimed");
        all.store.begin_recognition(&ticket).await.unwrap().unwrap();
        assert_eq!(delete(id.clone()).await, Deletion::Processing);
        assert!(all.store.complete_recognition(&ticket, "[]").await.unwrap());
        assert_eq!(delete(id.clone()).await, Deletion::Done);
        assert_eq!(delete(id).await, Deletion::Unknown);
        assert_eq!(all.tell().await, None, "nothing is told of what is gone");
        let waiting = all.create(&[], None).await;
        assert_eq!(delete(waiting).await, Deletion::Done);
        all.nothing_is_left_to_do().await;
        assert_eq!(all.store.sweep_dropped().await.unwrap(), 2, "their audio goes too");
    }

    /// ASY-G2, ASY-J6, async.md section 6
    async fn lists_are_the_latest_of_an_instance(places) {
        let all = setting(places).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(all.create(&[Event::Failed], None).await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        ids.reverse();
        let jobs = all.store.recognitions(&all.instance, 3).await.unwrap();
        assert_eq!(jobs.iter().map(|job| &job.id).collect::<Vec<_>>(), ids.iter().take(3).collect::<Vec<_>>());
        assert_eq!(jobs[0].user_token.as_deref(), Some("job25"));
        let other = all.store.ensure_instance("other").await.unwrap().id;
        assert_eq!(all.store.recognitions(&other, 100).await.unwrap(), []);
        assert_eq!(all.store.recognition(&other, &ids[0]).await.unwrap(), None);
    }

    /// ASY-J6
    async fn jobs_go_when_their_time_is_over(places) {
        let all = setting(places).await;
        all.register(URL, None).await;
        let ended = all.create(&[Event::Completed], None).await;
        // Ages of tickets are told apart to the millisecond.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let waiting = all.create(&[], None).await;
        let ticket = all.claim(Queue::Recognition).await.unwrap();
        assert_eq!(ticket.subject, ended, "the oldest first");
        all.store.begin_recognition(&ticket).await.unwrap().unwrap();
        assert_eq!(all.store.expire_recognitions(SystemTime::now() + 99 * DAY).await.unwrap(), 0, "its time has not begun");
        assert!(all.store.complete_recognition(&ticket, "[]").await.unwrap());
        assert_eq!(all.store.expire_recognitions(SystemTime::now()).await.unwrap(), 0);
        assert_eq!(all.store.expire_recognitions(SystemTime::now() + DAY).await.unwrap(), 1);
        assert_eq!((all.status(&ended).await, all.status(&waiting).await), (None, Some(Status::Waiting)));
        assert_eq!(all.tell().await, None);
        // Over, but not removed yet: nobody sees it.
        let new = NewRecognition {
            instance: all.instance.clone(),
            request: String::new(),
            callback: None,
            ttl: Duration::ZERO,
            customer: None,
        };
        all.store.delete_recognition(&all.instance, &waiting).await.unwrap();
        let id = all.store.create_recognition(&new, &all.audio().await).await.unwrap().id;
        let ticket = all.claim(Queue::Recognition).await.unwrap();
        assert!(all.store.complete_recognition(&ticket, "[]").await.unwrap());
        assert_eq!(all.status(&id).await, None);
        assert_eq!(all.store.recognitions(&all.instance, 100).await.unwrap(), []);
        assert_eq!(all.store.delete_recognition(&all.instance, &id).await.unwrap(), Deletion::Unknown);
    }

    /// ASY-R1, ASY-R7
    async fn registrations(places) {
        let all = setting(places).await;
        assert_eq!(all.register(URL, None).await, Registration::Created);
        assert_eq!(all.register(URL, None).await, Registration::Already);
        assert!(all.store.unregister_callback(&all.instance, URL).await.unwrap());
        assert!(!all.store.unregister_callback(&all.instance, URL).await.unwrap());
        assert_eq!(all.store.callback(&all.instance, URL).await.unwrap(), None);
        for number in 1..20 {
            assert_eq!(all.register(&format!("{URL}{number}"), None).await, Registration::Created);
        }
        assert_eq!(all.register(URL, None).await, Registration::TooMany, "what was taken off the list counts");
        assert_eq!(all.store.callback(&all.instance, URL).await.unwrap(), None);
        let since = SystemTime::now() - DAY;
        assert_eq!(all.store.registrations_since(&all.instance, since).await.unwrap(), 20);
        let other = all.store.ensure_instance("other").await.unwrap().id;
        assert_eq!(all.store.registrations_since(&other, since).await.unwrap(), 0);
        assert_eq!(all.store.callback(&other, &format!("{URL}1")).await.unwrap(), None);
        let new = NewCallback { instance: &all.instance, url: URL, secret: None, customer: None };
        let later = SystemTime::now() + Duration::from_secs(1);
        assert_eq!(all.store.register_callback(&new, 20, later).await.unwrap(), Registration::Created, "the span is over");
        let found = all.store.callback(&all.instance, &format!("{URL}1")).await.unwrap().unwrap();
        assert_eq!(found.secret.as_deref(), Some("s"));
        assert!(!format!("{found:?}").contains("\"s\""), "{found:?}");
    }

    /// async.md section 3: who unregisters is told nothing more.
    async fn nothing_is_told_to_a_url_that_is_no_longer_registered(places) {
        let all = setting(places).await;
        all.register(URL, None).await;
        all.create(&[Event::Started, Event::Completed], None).await;
        let ticket = all.claim(Queue::Recognition).await.unwrap();
        all.store.begin_recognition(&ticket).await.unwrap().unwrap();
        assert!(all.store.complete_recognition(&ticket, "[]").await.unwrap());
        all.store.unregister_callback(&all.instance, URL).await.unwrap();
        assert_eq!([all.tell().await, all.tell().await], [None, None]);
        all.nothing_is_left_to_do().await;
    }

    /// user-data.md
    async fn the_data_of_a_customer_go_whatever_their_state(places) {
        let all = setting(places).await;
        let other = all.store.ensure_instance("other").await.unwrap().id;
        all.register(URL, Some("A")).await;
        all.register("http://hook.example/b", Some("B")).await;
        let processing = all.create(&[Event::Started], Some("A")).await;
        let ticket = all.claim(Queue::Recognition).await.unwrap();
        let work = all.store.begin_recognition(&ticket).await.unwrap().unwrap();
        let waiting = all.create(&[], Some("A")).await;
        let kept = all.create(&[], Some("B")).await;
        let unlabelled = all.create(&[], None).await;
        assert_eq!(all.store.delete_customer(&other, "A").await.unwrap(), Removed::default());
        assert_eq!(all.store.delete_customer(&all.instance, "nobody").await.unwrap(), Removed::default());
        let removed = all.store.delete_customer(&all.instance, "A").await.unwrap();
        assert_eq!(removed, Removed { recognitions: 2, callbacks: 1, resources: 0, words: 0 });
        assert_eq!([all.status(&processing).await, all.status(&waiting).await], [None, None]);
        assert_eq!([all.status(&kept).await, all.status(&unlabelled).await], [Some(Status::Waiting); 2]);
        assert!(all.store.callback(&all.instance, URL).await.unwrap().is_none());
        assert!(all.store.callback(&all.instance, "http://hook.example/b").await.unwrap().is_some());
        assert_eq!(all.tell().await, None);
        // Who was at it finds out.
        assert!(!all.store.extend(&ticket, LEASE).await.unwrap());
        assert!(!all.store.complete_recognition(&ticket, "[\"words\"]").await.unwrap());
        assert_eq!(all.store.sweep_dropped().await.unwrap(), 2);
        assert!(all.store.blobs().bytes(&work.blob, 100).await.is_err());
    }
}
