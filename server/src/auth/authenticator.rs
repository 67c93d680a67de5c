//! Checks logins against the store, and slows down those who guess.

use crate::Env;
use gadwall_storage::{Account, MailStore, StoreError};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Why a login was refused. The wording for each protocol is the engine's.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// Unknown login or wrong password: never told apart.
    #[error("wrong login or password")]
    Invalid,
    /// Too many failures from this address or for this account.
    #[error("too many failed logins, try again in {} seconds", retry_after.as_secs())]
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

/// Checks passwords. One per process.
pub struct Authenticator {
    pub(super) store: Arc<dyn MailStore>,
    pub(super) env: Env,
}

impl Authenticator {
    pub fn new(store: Arc<dyn MailStore>, env: Env) -> Self {
        Self { store, env }
    }

    /// The account of `login` if `password` is its. Takes the same time for an unknown login as for a wrong
    /// password.
    pub async fn login(&self, _peer: IpAddr, _login: &str, _password: &str) -> Result<Account, AuthError> {
        let _ = (&self.store, &self.env);
        unimplemented!()
    }
}
