use std::net::{IpAddr, Ipv4Addr};

use tempfile::TempDir;

use super::*;

/// Accounts in a directory of their own, with keys remembered for `remembered`.
async fn accounts_in(directory: &TempDir, remembered: Duration) -> Arc<Accounts> {
    let store = Store::open(directory.path()).await.unwrap();
    Accounts::open(store, AccountsConfig { remembered, ..AccountsConfig::default() }).await.unwrap()
}

async fn fresh() -> (TempDir, Arc<Accounts>) {
    let directory = tempfile::tempdir().unwrap();
    let accounts = accounts_in(&directory, Duration::from_secs(2)).await;
    (directory, accounts)
}

async fn key(accounts: &Accounts) -> String {
    accounts.create_key(DEFAULT_INSTANCE, "a key").await.unwrap().0.text().to_owned()
}

async fn enters(access: &Access, credential: Credential<'_>) -> bool {
    match access.authenticate(Some(credential), None).await {
        Ok(_) => true,
        Err(AccessError::Refused) => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_key_opens_the_door_by_itself_and_by_token() {
    let (_directory, accounts) = fresh().await;
    let (key, instance) = accounts.create_key("team", "a key").await.unwrap();
    let access = Access::required(Arc::clone(&accounts));
    let expected = Principal { instance: instance.id, key: Some(key.id().to_owned()) };
    let token = access.issue_token(key.text(), None).await.unwrap();
    for credential in [
        Credential::Key(key.text()),
        Credential::Either(key.text()),
        Credential::Either(&token.text),
        Credential::Token(&token.text),
    ] {
        assert_eq!(access.authenticate(Some(credential), None).await.unwrap(), expected);
    }
    // AUTH-10: an API key is no token; and a token is no API key.
    assert!(!enters(&access, Credential::Token(key.text())).await);
    assert!(!enters(&access, Credential::Key(&token.text)).await);
    assert!(access.issue_token(&token.text, None).await.is_err(), "tokens do not beget tokens");
}

#[tokio::test]
async fn everything_else_is_refused() {
    let (_directory, accounts) = fresh().await;
    let good = key(&accounts).await;
    let (_other_directory, others) = fresh().await;
    let foreign = key(&others).await;
    let foreign_token = Access::required(others).issue_token(&foreign, None).await.unwrap();
    let last = if good.ends_with('0') { "1" } else { "0" };
    let altered = format!("{}{last}", &good[..good.len() - 1]);
    let other_id = format!("dictum-{}{}", "0".repeat(16), &good[23..]);
    for text in ["", "apikey", &altered, &other_id, &good[..87], &good.to_uppercase(), &foreign, &foreign_token.text] {
        let access = Access::required(Arc::clone(&accounts)); // one that has seen no failures
        for credential in [Credential::Key(text), Credential::Token(text), Credential::Either(text)] {
            assert!(!enters(&access, credential).await, "{text}");
        }
    }
    let access = Access::required(accounts);
    assert!(!enters(&access, Credential::Unreadable).await);
    assert!(matches!(access.authenticate(None, None).await, Err(AccessError::Refused)));
    assert!(enters(&access, Credential::Key(&good)).await);
}

#[tokio::test]
async fn revoked_keys_and_their_tokens_are_refused_at_once() {
    let (_directory, accounts) = fresh().await;
    let (text, kept) = (key(&accounts).await, key(&accounts).await);
    let access = Access::required(Arc::clone(&accounts));
    let token = access.issue_token(&text, None).await.unwrap().text;
    let id = key::id_of(&text).unwrap();
    assert!(accounts.revoke_key(id).await.unwrap());
    assert!(!accounts.revoke_key(id).await.unwrap());
    assert!(!enters(&access, Credential::Key(&text)).await);
    assert!(!enters(&access, Credential::Token(&token)).await);
    assert!(enters(&access, Credential::Key(&kept)).await);
    assert!(matches!(accounts.revoke_key("nobody").await, Err(AccountsError::UnknownKey(_))));
}

/// `dictum keys revoke` is another process: the server hears of it when what it remembers grows old.
#[tokio::test]
async fn revocation_elsewhere_takes_effect_shortly() {
    let (directory, _) = fresh().await;
    let here = accounts_in(&directory, Duration::from_millis(200)).await;
    let elsewhere = accounts_in(&directory, Duration::from_secs(60)).await;
    let text = key(&elsewhere).await;
    let access = Access::required(here);
    let token = access.issue_token(&text, None).await.unwrap().text;
    elsewhere.revoke_key(key::id_of(&text).unwrap()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(!enters(&access, Credential::Key(&text)).await);
    assert!(!enters(&access, Credential::Token(&token)).await);
}

#[tokio::test]
async fn tokens_outlive_the_process() {
    let (directory, accounts) = fresh().await;
    let text = key(&accounts).await;
    let token = Access::required(accounts).issue_token(&text, None).await.unwrap().text;
    let access = Access::required(accounts_in(&directory, Duration::from_secs(2)).await);
    assert!(enters(&access, Credential::Token(&token)).await);
}

#[tokio::test]
async fn urls_may_not_name_the_instance_of_somebody_else() {
    let (_directory, accounts) = fresh().await;
    let (key, mine) = accounts.create_key("mine", "a key").await.unwrap();
    let (_, theirs) = accounts.create_key("theirs", "a key").await.unwrap();
    let access = Access::required(accounts);
    let principal = access.authenticate(Some(Credential::Key(key.text())), None).await.unwrap();
    let allowed = [mine.id.as_str(), "1", "", "27f03d3c-0000-4000-8000-3b1e7d7c1f6c", "../..", "theirs"];
    for named in allowed {
        assert!(access.check_instance(&principal, named).await.is_ok(), "{named}");
    }
    for named in [theirs.id.clone(), theirs.id.to_uppercase()] {
        assert!(matches!(access.check_instance(&principal, &named).await, Err(AccessError::Refused)));
    }
}

#[tokio::test]
async fn an_open_door_asks_nothing_and_its_tokens_are_worth_nothing_elsewhere() {
    let (_directory, accounts) = fresh().await;
    let instance = accounts.ensure_instance(DEFAULT_INSTANCE).await.unwrap();
    let open = Access::open(&instance.id, Duration::from_secs(60)).unwrap();
    let expected = Principal { instance: instance.id, key: None };
    assert_eq!(open.authenticate(None, None).await.unwrap(), expected);
    assert_eq!(open.authenticate(Some(Credential::Unreadable), None).await.unwrap(), expected);
    let token = open.issue_token("whatever", None).await.unwrap().text;
    assert!(!enters(&Access::required(accounts), Credential::Token(&token)).await);
}

#[tokio::test]
async fn repeated_failures_are_answered_slowly_and_good_credentials_never() {
    let (_directory, accounts) = fresh().await;
    let text = key(&accounts).await;
    let access = Access::required(accounts);
    let from = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    // The store works on threads that a paused clock does not wait for; what is unreadable does not ask it.
    tokio::time::pause();
    let fail = || access.authenticate(Some(Credential::Unreadable), from);
    let began = tokio::time::Instant::now();
    for _ in 0..10 {
        assert!(fail().await.is_err());
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    for expected in [250, 500, 1000, 2000, 2000] {
        let began = tokio::time::Instant::now();
        assert!(fail().await.is_err());
        let slow = began.elapsed().as_millis();
        assert!((expected..expected + 50).contains(&slow), "{slow} instead of {expected}");
    }
    tokio::time::resume();
    let began = Instant::now();
    assert!(access.authenticate(Some(Credential::Key(&text)), from).await.is_ok());
    assert!(began.elapsed() < Duration::from_millis(200));
}

#[tokio::test]
async fn use_is_noted() {
    let (_directory, accounts) = fresh().await;
    let text = key(&accounts).await;
    let access = Access::required(Arc::clone(&accounts));
    assert_eq!(accounts.keys().await.unwrap()[0].last_used, None);
    assert!(enters(&access, Credential::Key(&text)).await);
    for _ in 0..100 {
        if accounts.keys().await.unwrap()[0].last_used.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the use was not noted");
}

#[tokio::test]
async fn names_are_checked() {
    let (_directory, accounts) = fresh().await;
    for bad in ["", " a", "a\n", "a\u{1b}[2J", &"x".repeat(129)] {
        assert!(matches!(accounts.create_key(DEFAULT_INSTANCE, bad).await, Err(AccountsError::Name(_))), "{bad:?}");
        assert!(matches!(accounts.create_key(bad, "a key").await, Err(AccountsError::Name(_))), "{bad:?}");
    }
    assert!(accounts.create_key("équipe 1", "Jürgens Laptop").await.is_ok());
    assert!(accounts.has_usable_key().await.unwrap());
}
