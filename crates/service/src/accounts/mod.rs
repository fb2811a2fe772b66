//! Who may use the service: API keys, tokens, and the instances they belong to (auth.md).
//!
//! [`Accounts`] keeps keys in a [`Store`] and knows them again; [`Access`] is what a wire format asks: either accounts are
//! required, or the door is open. Both give a [`Principal`], and the refusal of one is always the same, whatever was wrong:
//!
//! ```no_run
//! use dictum_service::accounts::{Access, Accounts, AccountsConfig, Credential};
//! use dictum_store::Store;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open("/var/lib/dictum".as_ref()).await?;
//! let accounts = Accounts::open(store, AccountsConfig::default()).await?;
//! let (key, _) = accounts.create_key("default", "laptop").await?;
//! let access = Access::required(accounts);
//! let principal = access.authenticate(Some(Credential::Key(key.text())), None).await?;
//! let token = access.issue_token(key.text(), None).await?;
//! assert_eq!(access.authenticate(Some(Credential::Token(&token.text)), None).await?, principal);
//! # Ok(())
//! # }
//! ```

mod access;
mod key;
mod recent;
mod throttle;
mod token;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use dictum_store::{Instance, KeyRecord, NewKey, Revocation, Store, StoreError};
use parking_lot::Mutex;
use subtle::ConstantTimeEq;

pub use access::{Access, AccessError, Credential};
pub use key::ApiKey;
use recent::Recent;
pub use token::Token;
use token::TokenSigner;

/// Name of the instance that keys belong to unless another is named.
pub const DEFAULT_INSTANCE: &str = "default";
/// Longest name of a key or an instance, characters.
pub const LONGEST_NAME: usize = 128;

/// Name of the secret that tokens are signed with.
const TOKEN_SECRET: &str = "token-signing";
/// How far apart the times are at which the use of a key is noted.
const USE_INTERVAL: Duration = Duration::from_secs(60);
/// Keys and instances remembered at most.
const MOST_REMEMBERED: usize = 10_000;

/// An authenticated client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// GUID of the service instance it works in (AUTH-13).
    pub instance: String,
    /// Id of the API key it showed, itself or by a token; `None` where none is asked for.
    pub key: Option<String>,
}

/// What an operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountsConfig {
    /// How long a token is good.
    pub token_lifetime: Duration,
    /// For how long a key that was found in the store is believed to be as it was: so soon does a revocation by another
    /// process take effect.
    pub remembered: Duration,
}

impl Default for AccountsConfig {
    fn default() -> Self {
        AccountsConfig { token_lifetime: Duration::from_secs(3600), remembered: Duration::from_secs(2) }
    }
}

/// Why an operator's wish could not be granted.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system has no randomness to give.
    #[error("the system's random number generator failed: {0}")]
    Random(getrandom::Error),
    /// A name that cannot be one.
    #[error(
        "{0:?} cannot be a name: use 1 to {LONGEST_NAME} characters that can be printed, without spaces at the ends"
    )]
    Name(String),
    /// There is no such key.
    #[error("there is no API key {0:?}; \"dictum keys list\" shows the ids")]
    UnknownKey(String),
}

/// The accounts of a server.
pub struct Accounts {
    store: Store,
    signer: TokenSigner,
    keys: Recent<Arc<Known>>,
    instances: Recent<bool>,
}

/// A key as it is remembered.
struct Known {
    record: KeyRecord,
    /// When its use was last noted.
    noted: Mutex<Option<SystemTime>>,
}

impl Accounts {
    /// The accounts in a store. Tokens are signed with a secret that is made the first time and kept there, so they outlive
    /// this process.
    pub async fn open(store: Store, config: AccountsConfig) -> Result<Arc<Accounts>, AccountsError> {
        let secret = store.ensure_secret(TOKEN_SECRET, random_secret()?).await?;
        Ok(Arc::new(Accounts {
            store,
            signer: TokenSigner::new(&secret, config.token_lifetime),
            keys: Recent::new(config.remembered, MOST_REMEMBERED),
            instances: Recent::new(config.remembered, MOST_REMEMBERED),
        }))
    }

    /// The instance of a name, made when there is none.
    pub async fn ensure_instance(&self, name: &str) -> Result<Instance, AccountsError> {
        check_name(name)?;
        Ok(self.store.ensure_instance(name).await?)
    }

    /// Makes a key called `name` for the instance of a name, which is made when there is none. The key is never seen again.
    pub async fn create_key(&self, instance: &str, name: &str) -> Result<(ApiKey, Instance), AccountsError> {
        check_name(name)?;
        let instance = self.ensure_instance(instance).await?;
        let key = ApiKey::generate().map_err(AccountsError::Random)?;
        let new =
            NewKey { id: key.id().to_owned(), instance: instance.id.clone(), name: name.to_owned(), hash: key.hash() };
        self.store.insert_key(&new).await?;
        Ok((key, instance))
    }

    /// All keys, revoked ones too, oldest first.
    pub async fn keys(&self) -> Result<Vec<KeyRecord>, AccountsError> {
        Ok(self.store.keys().await?)
    }

    /// Whether there is a key that works.
    pub async fn has_usable_key(&self) -> Result<bool, AccountsError> {
        Ok(self.store.has_usable_key().await?)
    }

    /// Revokes a key: it and the tokens it was given stop working, here at once and in other processes within seconds.
    /// Returns false when it had been revoked before.
    pub async fn revoke_key(&self, id: &str) -> Result<bool, AccountsError> {
        let revocation = self.store.revoke_key(id).await?;
        self.keys.remove(id);
        match revocation {
            Revocation::Done => Ok(true),
            Revocation::Already => Ok(false),
            Revocation::Unknown => Err(AccountsError::UnknownKey(id.to_owned())),
        }
    }

    /// Whose API key a text is, or `None`.
    async fn verify_key(&self, text: &str) -> Result<Option<Principal>, StoreError> {
        let found = match key::id_of(text) {
            Some(id) => self.key(id).await?,
            None => None,
        };
        // A key that is not there is compared too, so that the time taken says nothing about the secret.
        let stored = found.as_ref().map_or([0; 32], |known| known.record.hash);
        let same = bool::from(key::hash(text).ct_eq(&stored));
        Ok(found.filter(|_| same).and_then(|known| self.admit(&known)))
    }

    /// Whose token a text is, or `None`.
    async fn verify_token(&self, text: &str) -> Result<Option<Principal>, StoreError> {
        let Some(Principal { instance, key: Some(id) }) = self.signer.verify(text, SystemTime::now()) else {
            return Ok(None);
        };
        let known = self.key(&id).await?.filter(|known| known.record.instance == instance);
        Ok(known.and_then(|known| self.admit(&known)))
    }

    fn issue_token(&self, principal: &Principal) -> Token {
        self.signer.issue(principal, SystemTime::now())
    }

    /// Whether a GUID is that of an instance.
    async fn has_instance(&self, id: &str) -> Result<bool, StoreError> {
        let now = Instant::now();
        if let Some(known) = self.instances.get(id, now) {
            return Ok(known);
        }
        let known = self.store.has_instance(id).await?;
        self.instances.put(id, known, now);
        Ok(known)
    }

    /// A key, as it is in the store or was moments ago.
    async fn key(&self, id: &str) -> Result<Option<Arc<Known>>, StoreError> {
        let now = Instant::now();
        if let Some(known) = self.keys.get(id, now) {
            return Ok(Some(known));
        }
        // Ids that do not exist are not remembered: whoever makes them up could make up any number.
        let Some(record) = self.store.key(id).await? else { return Ok(None) };
        let known = Arc::new(Known { noted: Mutex::new(record.last_used), record });
        self.keys.put(id, Arc::clone(&known), now);
        Ok(Some(known))
    }

    /// The client behind a key that was proved, unless it is revoked.
    fn admit(&self, known: &Known) -> Option<Principal> {
        if known.record.revoked.is_some() {
            return None;
        }
        self.note_use(known);
        Some(Principal { instance: known.record.instance.clone(), key: Some(known.record.id.clone()) })
    }

    /// Notes in the store, now and then and without making the client wait, that a key is in use.
    fn note_use(&self, known: &Known) {
        let now = SystemTime::now();
        {
            let mut noted = known.noted.lock();
            if noted.is_some_and(|noted| now.duration_since(noted).is_ok_and(|since| since < USE_INTERVAL)) {
                return;
            }
            *noted = Some(now);
        }
        let (store, id) = (self.store.clone(), known.record.id.clone());
        tokio::spawn(async move {
            if let Err(error) = store.touch_key(&id, now).await {
                tracing::warn!(%error, key = id, "the use of an API key could not be noted");
            }
        });
    }
}

fn random_secret() -> Result<[u8; 32], AccountsError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(AccountsError::Random)?;
    Ok(secret)
}

fn check_name(name: &str) -> Result<(), AccountsError> {
    let length = name.chars().count();
    let good = (1..=LONGEST_NAME).contains(&length) && name.trim() == name && !name.chars().any(char::is_control);
    match good {
        true => Ok(()),
        false => Err(AccountsError::Name(name.to_owned())),
    }
}

#[cfg(test)]
mod tests;
