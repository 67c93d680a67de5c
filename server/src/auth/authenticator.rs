//! Checks logins against the store, and slows down those who guess.

use super::password::{NOBODY, hmac, verify};
use super::throttle::Throttle;
use crate::Env;
use gadwall_storage::{Account, AccountId, Address, Counters, MailStore, StoreError};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Why a login was refused. The wording for each protocol is the engine's.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// Unknown login or wrong password: never told apart.
    #[error("wrong login or password")]
    Invalid,
    /// Too many failures from this address or for this account.
    #[error("too many failed logins, try again in {} seconds", retry_after.as_secs().max(1))]
    TooMany { retry_after: Duration },
    /// A mechanism that is not offered, or not on this connection.
    #[error("mechanism not available")]
    Mechanism,
    /// The client's message is not what the mechanism wants.
    #[error("malformed authentication exchange")]
    Malformed,
    /// The client gave up (`*`).
    #[error("authentication cancelled")]
    Cancelled,
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Longest password looked at, in bytes: hashing more would only serve those who want to keep us busy.
const PASSWORD_LIMIT: usize = 1024;
/// Hashes computed at a time, 19 MiB each.
const HASHING: usize = 4;
/// How long a password that was right is known without hashing it again.
const REMEMBER: Duration = Duration::from_secs(10 * 60);
/// How many such passwords are known.
const REMEMBERED: usize = 10_000;

/// Checks passwords. One per process.
pub struct Authenticator {
    pub(super) store: Arc<dyn MailStore>,
    pub(super) env: Env,
    pub(super) throttle: Throttle,
    /// Keys the digests in `remembered` and the salts of logins that don't exist. Never leaves the process.
    pub(super) key: [u8; 32],
    hashing: Semaphore,
    remembered: Mutex<BTreeMap<AccountId, ([u8; 32], Instant)>>,
}

impl Authenticator {
    pub fn new(store: Arc<dyn MailStore>, counters: Arc<dyn Counters>, env: Env) -> Self {
        let key = env.entropy.bytes();
        Self {
            store,
            env,
            throttle: Throttle::new(counters),
            key,
            hashing: Semaphore::new(HASHING),
            remembered: Mutex::default(),
        }
    }

    /// The account of `login` if `password` is its. Takes the same time for an unknown login as for a wrong
    /// password.
    pub async fn login(&self, peer: IpAddr, login: &str, password: &str) -> Result<Account, AuthError> {
        let account = self.find(login).await?;
        if let Some(account) = &account
            && self.remembers(account, password)
        {
            return Ok(account.clone());
        }
        self.admit(peer, login).await?;
        let permit = self.hashing.acquire().await;
        // Others may have failed meanwhile: guesses sent side by side are guesses like any other.
        self.admit(peer, login).await?;
        let hash = account.as_ref().map_or(NOBODY, |a| &a.credentials.password_hash).to_owned();
        let right = password.len() <= PASSWORD_LIMIT && self.check(password.to_owned(), hash).await?;
        drop(permit);
        match account {
            Some(account) if right => {
                self.throttle.succeeded(login).await;
                self.remember(&account, password);
                Ok(account)
            }
            _ => {
                self.throttle.failed(peer, login).await;
                Err(AuthError::Invalid)
            }
        }
    }

    /// The account of a login name, which is its address.
    pub(super) async fn find(&self, login: &str) -> Result<Option<Account>, StoreError> {
        let Ok(address) = Address::parse(login) else { return Ok(None) };
        match self.store.account_by_address(&address).await {
            Ok(account) => Ok(Some(account)),
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether there may be another try now.
    pub(super) async fn admit(&self, peer: IpAddr, login: &str) -> Result<(), AuthError> {
        let wait = self.throttle.wait(peer, login).await;
        wait.map_or(Ok(()), |retry_after| Err(AuthError::TooMany { retry_after }))
    }

    async fn check(&self, password: String, hash: String) -> Result<bool, StoreError> {
        self.env.heavy(move || verify(&password, &hash)).await
    }

    fn digest(&self, account: &Account, password: &str) -> [u8; 32] {
        // The hash goes in as well: a changed password makes a new one.
        let mut message = account.credentials.password_hash.clone().into_bytes();
        message.push(0);
        message.extend_from_slice(password.as_bytes());
        hmac(&self.key, &message)
    }

    fn remembers(&self, account: &Account, password: &str) -> bool {
        let known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(&account.id).copied();
        known.is_some_and(|(digest, until)| {
            until > Instant::now() && bool::from(digest.ct_eq(&self.digest(account, password)))
        })
    }

    fn remember(&self, account: &Account, password: &str) {
        let now = Instant::now();
        let mut known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, (_, until)| *until > now);
        }
        if known.len() < REMEMBERED {
            known.insert(account.id, (self.digest(account, password), now + REMEMBER));
        }
    }
}
