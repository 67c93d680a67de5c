//! What all handlers share.

use super::HttpConfig;
use super::error::ApiError;
use super::limiter::Limiter;
use super::token::{self, Purpose};
use crate::Services;
use gadwall_storage::{Account, AccountId, OpId, StoreError};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::sync::Arc;
use tokio::sync::{OnceCell, Semaphore, watch};

/// Sanitising takes the processor; what is shown can wait its turn.
const RENDERING: usize = 2;

/// The engine's state, one per router.
pub struct App {
    pub services: Arc<Services>,
    pub config: HttpConfig,
    /// True while every listener serves.
    pub serving: watch::Receiver<bool>,
    pub accounts_made: Limiter,
    /// How many HTML mails are sanitised at a time.
    pub rendering: Semaphore,
    /// Signs session cookies and tokens; the same on every node, since the store keeps it.
    secret: OnceCell<[u8; 32]>,
}

pub type Shared = Arc<App>;

impl App {
    pub fn new(services: Arc<Services>, config: HttpConfig, serving: watch::Receiver<bool>) -> Shared {
        let accounts_made = Limiter::new(config.accounts_per_hour, services.counters.clone());
        let rendering = Semaphore::new(RENDERING);
        Arc::new(App { services, config, serving, accounts_made, rendering, secret: OnceCell::new() })
    }

    async fn secret(&self) -> Result<&[u8; 32], StoreError> {
        let candidate = self.services.env.entropy.bytes();
        self.secret.get_or_try_init(|| self.services.store.secret("web session", candidate)).await
    }

    /// A token that opens `account` for `lifetime_secs`.
    pub async fn issue_token(
        &self,
        purpose: Purpose,
        account: &Account,
        lifetime_secs: i64,
    ) -> Result<String, StoreError> {
        let expires = self.services.env.clock.now().secs().saturating_add(lifetime_secs);
        Ok(token::issue(self.secret().await?, purpose, account, expires))
    }

    /// The account that a token opens; `None` unless it is ours, of that purpose, not expired, and the account's
    /// password is the one it was made under.
    pub async fn open_token(&self, purpose: Purpose, text: &str) -> Result<Option<Account>, StoreError> {
        let Some(claim) = token::Claim::parse(text) else { return Ok(None) };
        let account = match self.services.store.account(claim.account).await {
            Ok(account) => account,
            Err(StoreError::NotFound(_)) => return Ok(None),
            Err(e) => return Err(e),
        };
        let now = self.services.env.clock.now().secs();
        Ok(claim.verify(self.secret().await?, purpose, &account, now).then_some(account))
    }

    /// The operation id of an `Idempotency-Key`: the same for the same account, request line and key, on any node.
    pub async fn op_of_key(
        &self,
        account: AccountId,
        request_line: &str,
        key: &[u8],
    ) -> Result<OpId, ApiError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret().await?).expect("HMAC takes any key");
        mac.update(b"idempotency v1\0");
        mac.update(&account.0);
        mac.update(&(request_line.len() as u64).to_be_bytes());
        mac.update(request_line.as_bytes());
        mac.update(key);
        let digest = mac.finalize().into_bytes();
        let mut op = [0; 16];
        op.copy_from_slice(&digest[..16]);
        Ok(OpId(op))
    }

    /// Whether cookies may be marked `Secure`.
    pub fn is_https(&self) -> bool {
        self.config.web.starts_with("https://")
    }
}
