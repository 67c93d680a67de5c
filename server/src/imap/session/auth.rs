//! LOGIN and AUTHENTICATE (RFC 3501 §6.2).

use super::{Outcome, Session};
use crate::auth::{AuthError, Exchange, Private, Step};
use crate::imap::encode::{Code, Status};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gadwall_storage::Account;

/// What AUTHENTICATE goes on with.
pub enum AuthNext {
    /// Send `+ text` and hand the next line to [`Session::auth_line`].
    Challenge(String),
    Done(Status),
}

impl Session {
    pub(super) async fn login(&mut self, user: &[u8], password: &[u8]) -> Outcome {
        if self.account.is_some() {
            return Err(Status::bad("Logged in already").into());
        }
        if self.private == Private::No {
            // RFC 3501 §6.2.3 LOGINDISABLED.
            let status =
                Status::no("A password in clear crosses no open network: use STARTTLS or SCRAM-SHA-256");
            return Err(status.code(Code::PrivacyRequired).into());
        }
        let (Ok(user), Ok(password)) = (std::str::from_utf8(user), std::str::from_utf8(password)) else {
            return Err(refused(&AuthError::Invalid).into());
        };
        match self.services.auth.login(self.peer.ip(), user, password).await {
            Ok(account) => Ok(self.welcome(&account)),
            Err(e) => Err(refused(&e).into()),
        }
    }

    /// Begins AUTHENTICATE.
    pub async fn authenticate(&mut self, mechanism: &str, initial: Option<&[u8]>) -> AuthNext {
        if self.account.is_some() {
            return AuthNext::Done(Status::bad("Logged in already"));
        }
        let auth = self.services.auth.clone();
        match Exchange::begin(auth, self.peer.ip(), self.private, mechanism) {
            Ok(exchange) => self.exchange = Some(exchange),
            Err(e) => return AuthNext::Done(refused(&e)),
        }
        self.auth_step(initial).await
    }

    /// The client's answer to a challenge.
    pub async fn auth_line(&mut self, line: &[u8]) -> AuthNext {
        let proven = self.proven.take();
        if line == b"*" {
            self.exchange = None;
            return AuthNext::Done(Status::bad("Authentication cancelled"));
        }
        match (STANDARD.decode(line.trim_ascii()), proven) {
            (Ok(bytes), Some(account)) if bytes.is_empty() => AuthNext::Done(self.welcome(&account)),
            (Ok(bytes), None) => self.auth_step(Some(&bytes)).await,
            _ => {
                self.exchange = None;
                AuthNext::Done(Status::bad("That is not what the mechanism wants"))
            }
        }
    }

    async fn auth_step(&mut self, message: Option<&[u8]>) -> AuthNext {
        let Some(exchange) = &mut self.exchange else {
            return AuthNext::Done(Status::bad("No authentication is in progress"));
        };
        match exchange.step(message).await {
            Step::Challenge(data) => AuthNext::Challenge(STANDARD.encode(data)),
            Step::Done { account, last_data } => {
                self.exchange = None;
                match last_data {
                    None => AuthNext::Done(self.welcome(&account)),
                    // IMAP's profile has no room for data with success (RFC 4422 §3.6).
                    Some(data) => {
                        self.proven = Some(account);
                        AuthNext::Challenge(STANDARD.encode(data))
                    }
                }
            }
            Step::Failed(e) => {
                self.exchange = None;
                AuthNext::Done(refused(&e))
            }
        }
    }

    fn welcome(&mut self, account: &Account) -> Status {
        self.account = Some(account.id);
        tracing::info!(login = %account.address, "authenticated");
        Status::ok("Logged in").code(Code::Capability(self.capabilities()))
    }
}

fn refused(error: &AuthError) -> Status {
    match error {
        AuthError::Invalid => Status::no("Wrong login or password").code(Code::AuthenticationFailed),
        AuthError::TooMany { .. } => Status::no(error.to_string()).code(Code::Unavailable),
        // What exactly fails is the operator's business.
        AuthError::Store(e) => {
            tracing::warn!(error = %e, "a login could not be checked");
            Status::no("Logins can't be checked right now, try again soon").code(Code::Unavailable)
        }
        AuthError::Mechanism => Status::no("That mechanism is not offered here").code(Code::Cannot),
        AuthError::Malformed => Status::bad("That is not what the mechanism wants"),
        AuthError::Cancelled => Status::bad("Authentication cancelled"),
    }
}
