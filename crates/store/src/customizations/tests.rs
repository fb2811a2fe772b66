use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{Blob, Queue, Removed, Ticket};

struct Fixture {
    store: Store,
    instance: String,
    _directory: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).await.unwrap();
        let instance = store.ensure_instance("default").await.unwrap().id;
        Fixture { store, instance, _directory: directory }
    }

    async fn model(&self) -> String {
        let new = NewCustomization {
            instance: self.instance.clone(),
            name: "Example".to_owned(),
            description: None,
            base_model: "en-US_BroadbandModel".to_owned(),
            language: "en-US".to_owned(),
            dialect: "en-US".to_owned(),
            version: "en-US_BroadbandModel.v2020-01-16".to_owned(),
        };
        self.store.create_customization(&new, 3).await.unwrap().unwrap()
    }

    async fn get(&self, id: &str) -> Customization {
        self.store.customization(&self.instance, id).await.unwrap().unwrap()
    }

    async fn blob(&self, text: &'static str) -> Blob {
        let mut writer = self.store.blobs().writer();
        writer.write(Bytes::from_static(text.as_bytes())).await.unwrap();
        writer.finish().await.unwrap()
    }

    async fn add(&self, id: &str, name: &str, kind: ResourceKind, replace: bool) -> Change<Option<ResourceKind>> {
        let text = self.blob("text").await;
        let customer = name.starts_with("of mary").then(|| "mary".to_owned());
        let new = NewResource { name: name.to_owned(), kind, media: None, text, customer };
        self.store.put_resource(&self.instance, id, &new, replace).await.unwrap()
    }

    async fn claim(&self) -> Ticket {
        let lease = Duration::from_secs(60);
        self.store.claim(&[Queue::LanguageTraining], "w", lease).await.unwrap().unwrap()
    }

    async fn found(&self) -> Analysis {
        let blob = self.blob("counts").await;
        Analysis { blob, total_words: 5, new_word_count: 1, new_words: "[]".to_owned() }
    }

    async fn blob_count(&self) -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM blobs").fetch_one(&self.store.pool).await.unwrap()
    }
}

/// language-models.md sections 5 and 6, from creation to training and on
#[tokio::test]
async fn a_model_is_filled_trained_changed_and_emptied() {
    let it = Fixture::new().await;
    let id = it.model().await;
    let model = it.get(&id).await;
    assert_eq!((model.status, model.changed, model.created), (CustomizationStatus::Pending, false, model.updated));

    assert_eq!(it.add(&id, "one", ResourceKind::Corpus, false).await, Change::Done(None));
    let model = it.get(&id).await;
    let task = Task::Analysis { resource: "one".to_owned() };
    assert_eq!((model.status, model.busy), (CustomizationStatus::Pending, Some(task)));
    assert_eq!(it.add(&id, "two", ResourceKind::Corpus, false).await, Change::Busy);
    assert_eq!(it.store.put_words(&it.instance, &id, &[], None, 9).await.unwrap(), Change::Busy);
    assert_eq!(it.store.delete_customization(&it.instance, &id).await.unwrap(), Change::Busy);
    assert_eq!(it.store.reset_customization(&it.instance, &id).await.unwrap(), Change::Busy);

    let ticket = it.claim().await;
    assert!(it.store.begin_customizing(&ticket).await.unwrap().is_some());
    let found = it.found().await;
    assert!(it.store.end_analysis(&ticket, "one", &Ok(found.clone()), None).await.unwrap());
    assert!(!it.store.end_analysis(&ticket, "one", &Err("late".to_owned()), None).await.unwrap());
    let model = it.get(&id).await;
    assert_eq!((model.status, model.changed, model.busy), (CustomizationStatus::Ready, true, None));
    let resources = it.store.resources(&id, None, true).await.unwrap();
    assert_eq!(resources.len(), 1);
    assert_eq!((resources[0].status, resources[0].total_words), (ResourceStatus::Analyzed, 5));
    assert_eq!(resources[0].analysis.as_deref(), Some(found.blob.id.as_str()));

    let task = Task::Training { user_words_only: true };
    assert_eq!(it.store.begin_task(&it.instance, &id, &task, Some(0.4)).await.unwrap(), Change::Done(()));
    let model = it.get(&id).await;
    assert_eq!((model.status, model.busy, model.weight), (CustomizationStatus::Training, Some(task), Some(0.4)));
    let ticket = it.claim().await;
    let (snapshot, words) = (it.blob("snapshot").await, it.blob("words").await);
    assert!(it.store.end_training(&ticket, &snapshot, &words, "v1").await.unwrap());
    let model = it.get(&id).await;
    assert_eq!((model.status, model.changed), (CustomizationStatus::Available, false));
    assert_eq!(model.trained.unwrap().snapshot, snapshot.id);
    assert_eq!(it.blob_count().await, 4);

    let word = ("Dictum".to_owned(), Some("{}".to_owned()));
    assert_eq!(it.store.put_words(&it.instance, &id, &[word], None, 9).await.unwrap(), Change::Done(None));
    let model = it.get(&id).await;
    assert_eq!((model.status, model.changed), (CustomizationStatus::Ready, true));
    assert!(model.trained.is_some(), "what was trained stays in use");

    assert_eq!(it.store.reset_customization(&it.instance, &id).await.unwrap(), Change::Done(()));
    let model = it.get(&id).await;
    assert_eq!((model.status, model.trained, model.weight), (CustomizationStatus::Pending, None, None));
    assert_eq!((it.blob_count().await, it.store.words(&id).await.unwrap().len()), (0, 0));
    assert_eq!(it.store.delete_customization(&it.instance, &id).await.unwrap(), Change::Done(()));
    assert_eq!(it.store.delete_customization(&it.instance, &id).await.unwrap(), Change::Unknown);
}

/// corpora-words-grammars.md sections 1, 2.1 and 4 (CRP-2, CRP-3, GRM-3)
#[tokio::test]
async fn names_are_unique_among_corpora_and_grammars() {
    let it = Fixture::new().await;
    let id = it.model().await;
    it.add(&id, "one", ResourceKind::Corpus, false).await;
    let error = Err("Analysis failed".to_owned());
    assert!(it.store.end_analysis(&it.claim().await, "one", &error, Some("broken")).await.unwrap());
    let model = it.get(&id).await;
    assert_eq!((model.status, model.error.as_deref()), (CustomizationStatus::Pending, Some("broken")));
    let there = Change::Done(Some(ResourceKind::Corpus));
    assert_eq!(it.add(&id, "one", ResourceKind::Corpus, false).await, there);
    assert_eq!(it.add(&id, "one", ResourceKind::Grammar, true).await, there);
    assert_eq!(it.get(&id).await.busy, None);
    assert_eq!(it.add(&id, "one", ResourceKind::Corpus, true).await, Change::Done(None));
    assert_eq!(it.blob_count().await, 1, "the former text is gone");
    let ticket = it.claim().await;
    assert!(it.store.end_analysis(&ticket, "one", &Ok(it.found().await), None).await.unwrap());
    let delete = |kind| it.store.delete_resource(&it.instance, &id, kind, "one");
    assert_eq!(delete(ResourceKind::Grammar).await.unwrap(), Change::Done(false));
    assert_eq!(delete(ResourceKind::Corpus).await.unwrap(), Change::Done(true));
    assert_eq!((it.blob_count().await, it.get(&id).await.status), (0, CustomizationStatus::Pending));
}

#[tokio::test]
async fn limits_and_owners_are_kept() {
    let it = Fixture::new().await;
    let id = it.model().await;
    it.model().await;
    it.model().await;
    let all = it.store.customizations(&it.instance, Some("en-US")).await.unwrap();
    assert_eq!((all.len(), all[0].id.as_str()), (3, id.as_str()));
    assert_eq!(it.store.customizations(&it.instance, Some("ja-JP")).await.unwrap(), []);
    let new = NewCustomization {
        instance: it.instance.clone(),
        name: "one too many".to_owned(),
        description: None,
        base_model: String::new(),
        language: String::new(),
        dialect: String::new(),
        version: String::new(),
    };
    assert_eq!(it.store.create_customization(&new, 3).await.unwrap(), Err(3));
    let other = it.store.ensure_instance("other").await.unwrap().id;
    assert_eq!(it.store.customization(&other, &id).await.unwrap(), None);
    assert_eq!(it.store.reset_customization(&other, &id).await.unwrap(), Change::Unknown);

    let words: Vec<_> = (0..1201).map(|i| (format!("word{i}"), Some("{}".to_owned()))).collect();
    assert_eq!(it.store.put_words(&it.instance, &id, &words, None, 1200).await.unwrap(), Change::Done(Some(1201)));
    assert_eq!(it.store.words(&id).await.unwrap(), []);
    assert_eq!(it.store.put_words(&it.instance, &id, &words, None, 1201).await.unwrap(), Change::Done(None));
    let deleted = [("word7".to_owned(), None)];
    assert_eq!(it.store.put_words(&it.instance, &id, &deleted, None, 1201).await.unwrap(), Change::Done(None));
    assert_eq!(it.store.words(&id).await.unwrap().len(), 1201);
    assert_eq!(it.store.word(&id, "word7").await.unwrap().unwrap().definition, None);
    assert_eq!(it.store.word(&id, "word8").await.unwrap().unwrap().definition.as_deref(), Some("{}"));
}

/// language-models.md section 8: what was trained is trained anew, and a task that failed says so.
#[tokio::test]
async fn upgrades_and_failures_end_what_was_begun() {
    let it = Fixture::new().await;
    let id = it.model().await;
    it.add(&id, "one", ResourceKind::Corpus, false).await;
    it.store.end_analysis(&it.claim().await, "one", &Ok(it.found().await), None).await.unwrap();
    let training = Task::Training { user_words_only: false };
    assert_eq!(it.store.begin_task(&it.instance, &id, &training, None).await.unwrap(), Change::Done(()));
    assert!(it.store.fail_task(&it.claim().await, "no disk").await.unwrap());
    let model = it.get(&id).await;
    assert_eq!((model.status, model.error.as_deref()), (CustomizationStatus::Failed, Some("no disk")));

    assert_eq!(it.store.begin_task(&it.instance, &id, &Task::Upgrade, None).await.unwrap(), Change::Done(()));
    assert_eq!(it.get(&id).await.status, CustomizationStatus::Upgrading);
    let ticket = it.claim().await;
    let resources = [("one".to_owned(), Ok(it.found().await))];
    let (snapshot, words) = (it.blob("snapshot").await, it.blob("words").await);
    assert!(it.store.end_upgrade(&ticket, &resources, Some((&snapshot, &words)), "v2").await.unwrap());
    let model = it.get(&id).await;
    assert_eq!(model.versions, ["en-US_BroadbandModel.v2020-01-16", "v2"]);
    assert_eq!((model.status, model.trained.unwrap().version.as_str()), (CustomizationStatus::Ready, "v2"));
    assert_eq!(it.blob_count().await, 4, "text, counts, snapshot, words");
    assert_eq!(it.store.mark_failed(&it.instance, &id).await.unwrap(), Change::Done(()));
    assert_eq!(it.get(&id).await.status, CustomizationStatus::Failed);
}

/// user-data.md: what is labelled goes at once, also what is being worked on; the model and everything else stay.
#[tokio::test]
async fn resources_and_words_of_a_customer_are_removed() {
    let it = Fixture::new().await;
    let id = it.model().await;
    it.add(&id, "one", ResourceKind::Corpus, false).await;
    let ticket = it.claim().await;
    assert!(it.store.end_analysis(&ticket, "one", &Ok(it.found().await), None).await.unwrap());
    let word = |word: &str| [(word.to_owned(), Some("{}".to_owned()))];
    for (text, customer) in [("his", "john"), ("hers", "mary")] {
        let put = it.store.put_words(&it.instance, &id, &word(text), Some(customer), 9).await;
        assert_eq!(put.unwrap(), Change::Done(None));
    }
    it.add(&id, "of mary", ResourceKind::Corpus, false).await;
    let ticket = it.claim().await;

    assert_eq!(it.store.delete_customer("another instance", "mary").await.unwrap(), Removed::default());
    let removed = it.store.delete_customer(&it.instance, "mary").await.unwrap();
    assert_eq!(removed, Removed { resources: 1, words: 1, ..Removed::default() });
    let names = |resources: Vec<Resource>| resources.into_iter().map(|resource| resource.name).collect::<Vec<_>>();
    assert_eq!(names(it.store.resources(&id, None, false).await.unwrap()), ["one"]);
    let words = it.store.words(&id).await.unwrap();
    assert_eq!(words.iter().map(|word| word.word.as_str()).collect::<Vec<_>>(), ["his"]);
    // Its analysis ends without it.
    assert!(it.store.end_analysis(&ticket, "of mary", &Ok(it.found().await), None).await.unwrap());
    let model = it.get(&id).await;
    assert_eq!((model.busy, model.status, model.changed), (None, CustomizationStatus::Ready, true));
}
