//! A custom language model's life on both kinds of store. What each step may and may not do is tested beside the code.

use std::time::Duration;

use bytes::Bytes;
use dictum_store::{
    Analysis, Blob, Change, CustomizationStatus, NewCustomization, NewResource, Queue, ResourceKind, Store,
    StoreConfig, Task, Ticket,
};
use dictum_testbed::{Places, on_both};

async fn open(places: &Places) -> Store {
    let config = StoreConfig { database: places.database.clone(), blobs: places.blobs.clone() };
    Store::connect(&config).await.unwrap()
}

async fn blob(store: &Store, text: &'static str) -> Blob {
    let mut writer = store.blobs().writer();
    writer.write(Bytes::from_static(text.as_bytes())).await.unwrap();
    writer.finish().await.unwrap()
}

async fn claim(store: &Store) -> Ticket {
    store.claim(&[Queue::LanguageTraining], "w", Duration::from_secs(60)).await.unwrap().unwrap()
}

on_both! {
    async fn a_custom_model_is_filled_trained_upgraded_and_deleted(places) {
        let store = open(places).await;
        let instance = store.ensure_instance("default").await.unwrap().id;
        let new = NewCustomization {
            instance: instance.clone(),
            name: "Beispiel ü".to_owned(),
            description: None,
            base_model: "en-US_BroadbandModel".to_owned(),
            language: "en-US".to_owned(),
            dialect: "en-US".to_owned(),
            version: "v1".to_owned(),
        };
        let id = store.create_customization(&new, 1).await.unwrap().unwrap();
        assert_eq!(store.create_customization(&new, 1).await.unwrap(), Err(1));
        let words: Vec<_> = (0..1001).map(|at| (format!("word{at}"), (at > 0).then(|| "{}".to_owned()))).collect();
        assert_eq!(store.put_words(&instance, &id, &words, None, 1000).await.unwrap(), Change::Done(None));
        assert_eq!(store.put_words(&instance, &id, &words, None, 999).await.unwrap(), Change::Done(Some(1000)));
        assert_eq!(store.words(&id).await.unwrap().len(), 1001);
        assert_eq!(store.word(&id, "word0").await.unwrap().unwrap().definition, None);

        let corpus = |text| NewResource { name: "one".to_owned(), kind: ResourceKind::Corpus, media: None, text, customer: None };
        let text = blob(&store, "text").await;
        assert_eq!(store.put_resource(&instance, &id, &corpus(text), false).await.unwrap(), Change::Done(None));
        assert_eq!(store.delete_customization(&instance, &id).await.unwrap(), Change::Busy);
        let found = async || Analysis {
            blob: blob(&store, "counts").await,
            total_words: 5,
            new_word_count: 1,
            new_words: "[[\"a\",1]]".to_owned(),
        };
        let ticket = claim(&store).await;
        assert!(store.end_analysis(&ticket, "one", &Ok(found().await), Some("an error")).await.unwrap());
        let model = store.customization(&instance, &id).await.unwrap().unwrap();
        assert_eq!((model.status, model.error.as_deref()), (CustomizationStatus::Ready, Some("an error")));
        let resources = store.resources(&id, Some(ResourceKind::Corpus), true).await.unwrap();
        assert_eq!((resources[0].total_words, resources[0].new_words.as_deref()), (5, Some("[[\"a\",1]]")));
        assert_eq!(store.resources(&id, None, false).await.unwrap()[0].new_words, None);

        let task = Task::Training { user_words_only: false };
        assert_eq!(store.begin_task(&instance, &id, &task, Some(0.25)).await.unwrap(), Change::Done(()));
        let ticket = claim(&store).await;
        let (snapshot, words) = (blob(&store, "snapshot").await, blob(&store, "words").await);
        assert!(store.end_training(&ticket, &snapshot, &words, "v1").await.unwrap());
        assert_eq!(store.begin_task(&instance, &id, &Task::Upgrade, None).await.unwrap(), Change::Done(()));
        let ticket = claim(&store).await;
        let resources = [("one".to_owned(), Ok(found().await))];
        let (newer, words) = (blob(&store, "newer").await, blob(&store, "words").await);
        assert!(store.end_upgrade(&ticket, &resources, Some((&newer, &words)), "v2").await.unwrap());
        let model = store.customization(&instance, &id).await.unwrap().unwrap();
        assert_eq!((model.status, model.weight), (CustomizationStatus::Available, Some(0.25)));
        assert_eq!(model.versions, ["v1", "v2"]);
        store.sweep_dropped().await.unwrap();
        assert!(store.blobs().bytes(&snapshot.id, 99).await.is_err(), "what was trained before is gone");
        assert_eq!(store.blobs().bytes(&newer.id, 99).await.unwrap(), b"newer");
        assert_eq!(store.delete_resource(&instance, &id, ResourceKind::Corpus, "one").await.unwrap(), Change::Done(true));
        assert_eq!(store.reset_customization(&instance, &id).await.unwrap(), Change::Done(()));
        assert_eq!(store.delete_customization(&instance, &id).await.unwrap(), Change::Done(()));
        assert_eq!(store.customizations(&instance, Some("en-US")).await.unwrap(), []);
        store.sweep_dropped().await.unwrap();
        assert!(store.blobs().bytes(&newer.id, 99).await.is_err());
    }
}
