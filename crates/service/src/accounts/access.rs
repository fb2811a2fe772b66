//! The door: credentials in, principals out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use dictum_store::StoreError;
use tokio::sync::Semaphore;

use super::throttle::Throttle;
use super::token::{Token, TokenSigner};
use super::{Accounts, AccountsError, Principal, random_secret};

/// Refusals that are held back at the same time; further ones are given at once.
const MOST_HELD_BACK: usize = 256;

/// Characters of a GUID.
const GUID_LENGTH: usize = 36;

/// What a client shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// An API key.
    Key(&'a str),
    /// A token.
    Token(&'a str),
    /// A token, or an API key where clients send either (`Authorization: Bearer`).
    Either(&'a str),
    /// Something that cannot be read as a credential.
    Unreadable,
}

/// Why a client is not served.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Credentials are missing, wrong, expired, revoked or another instance's. Which it is, is nobody's business.
    #[error("Unauthorized")]
    Refused,
    /// They cannot be checked at the moment.
    #[error("credentials cannot be checked at the moment")]
    Store(#[from] StoreError),
}

/// Whom to let in.
pub struct Access {
    policy: Policy,
    throttle: Throttle,
    held_back: Semaphore,
}

enum Policy {
    Required(Arc<Accounts>),
    Open { principal: Principal, signer: TokenSigner },
}

impl Access {
    /// Clients with good credentials.
    pub fn required(accounts: Arc<Accounts>) -> Arc<Access> {
        Access::new(Policy::Required(accounts))
    }

    /// Everybody, with whatever credentials or none; all work in the instance of this GUID. Tokens are handed out to those who
    /// ask for them, signed with a secret of the moment, so that they are worth nothing where accounts are required.
    pub fn open(instance: &str, token_lifetime: Duration) -> Result<Arc<Access>, AccountsError> {
        let principal = Principal { instance: instance.to_owned(), key: None };
        Ok(Access::new(Policy::Open { principal, signer: TokenSigner::new(&random_secret()?, token_lifetime) }))
    }

    fn new(policy: Policy) -> Arc<Access> {
        Arc::new(Access { policy, throttle: Throttle::default(), held_back: Semaphore::new(MOST_HELD_BACK) })
    }

    /// The client behind a credential. A refusal takes longer when there were many from the same address.
    pub async fn authenticate(
        &self,
        credential: Option<Credential<'_>>,
        from: Option<IpAddr>,
    ) -> Result<Principal, AccessError> {
        let accounts = match &self.policy {
            Policy::Open { principal, .. } => return Ok(principal.clone()),
            Policy::Required(accounts) => accounts,
        };
        let principal = match credential {
            // Asking without credentials is no guess at any.
            None => return Err(AccessError::Refused),
            Some(Credential::Unreadable) => None,
            Some(Credential::Key(key)) => accounts.verify_key(key).await?,
            Some(Credential::Token(token)) => accounts.verify_token(token).await?,
            Some(Credential::Either(text)) if super::key::id_of(text).is_some() => accounts.verify_key(text).await?,
            Some(Credential::Either(text)) => accounts.verify_token(text).await?,
        };
        match principal {
            Some(principal) => Ok(principal),
            None => Err(self.refuse(from).await),
        }
    }

    /// Checks that a client may work in the instance its URL names. A GUID of an instance that is not its own is refused;
    /// anything else in that place is decoration, such as the GUID its service had elsewhere.
    pub async fn check_instance(&self, principal: &Principal, named: &str) -> Result<(), AccessError> {
        let Policy::Required(accounts) = &self.policy else { return Ok(()) };
        let named = named.to_ascii_lowercase();
        let foreign =
            named.len() == GUID_LENGTH && named != principal.instance && accounts.has_instance(&named).await?;
        if foreign { Err(AccessError::Refused) } else { Ok(()) }
    }

    /// A token for whoever has this API key.
    pub async fn issue_token(&self, key: &str, from: Option<IpAddr>) -> Result<Token, AccessError> {
        let principal = self.authenticate(Some(Credential::Key(key)), from).await?;
        Ok(match &self.policy {
            Policy::Required(accounts) => accounts.issue_token(&principal),
            Policy::Open { signer, .. } => signer.issue(&principal, SystemTime::now()),
        })
    }

    async fn refuse(&self, from: Option<IpAddr>) -> AccessError {
        let delay = self.throttle.failed(from, Instant::now());
        if !delay.is_zero()
            && let Ok(_place) = self.held_back.try_acquire()
        {
            tokio::time::sleep(delay).await;
        }
        AccessError::Refused
    }
}
