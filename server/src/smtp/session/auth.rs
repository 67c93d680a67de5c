//! AUTH (RFC 4954).

use super::{Next, Session};
use crate::auth::{AuthError, Exchange, Private, Step};
use crate::smtp::Role;
use crate::smtp::reply::Reply;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gadwall_storage::Account;

impl Session {
    pub(super) async fn auth(&mut self, mechanism: &str, initial: Option<&str>) -> (Reply, Next) {
        let refuse = |reply| (reply, Next::Command);
        if !matches!(self.role, Role::Submission { .. }) {
            return refuse(Reply::new(502, "5.5.1", "AUTH is not offered here"));
        }
        if self.helo.as_ref().is_none_or(|h| !h.extended) {
            return refuse(Reply::new(503, "5.5.1", "Say EHLO first"));
        }
        // RFC 4954 §4: once, and not within a transaction.
        if self.login.is_some() || self.transaction.is_some() {
            return refuse(Reply::new(503, "5.5.1", "AUTH is not permitted now"));
        }
        let begun = Exchange::begin(self.services.auth.clone(), self.peer.ip(), self.private, mechanism);
        let exchange = match begun {
            Ok(exchange) if self.role.default_account().is_some() => exchange.lenient(),
            Ok(exchange) => exchange,
            Err(_) if self.private == Private::No && self.services.tls.is_some() => {
                // RFC 4954 §6.
                return refuse(Reply::new(538, "5.7.11", "Encryption needed: say STARTTLS first"));
            }
            Err(_) if self.private == Private::No => {
                let text = "Only SCRAM-SHA-256: there is no certificate to encrypt a password with";
                return refuse(Reply::new(504, "5.5.4", text));
            }
            Err(_) => return refuse(Reply::new(504, "5.5.4", "That mechanism is not offered")),
        };
        self.exchange = Some(exchange);
        let message = match initial {
            None => None,
            // RFC 4954 §4: a single equals sign is an empty initial response.
            Some("=") => Some(Vec::new()),
            Some(text) => match STANDARD.decode(text) {
                Ok(bytes) => Some(bytes),
                Err(_) => return self.auth_failed(&AuthError::Malformed),
            },
        };
        self.auth_step(message.as_deref()).await
    }

    /// The client's answer to a challenge: one line of base64.
    pub async fn auth_response(&mut self, line: &[u8]) -> (Reply, Next) {
        let proven = self.proven.take();
        let (reply, next) = if line == b"*" {
            self.auth_failed(&AuthError::Cancelled)
        } else {
            match STANDARD.decode(line.trim_ascii()) {
                Ok(bytes) => match proven {
                    Some(account) if bytes.is_empty() => self.authenticated(&account),
                    Some(_) => self.auth_failed(&AuthError::Malformed),
                    None => self.auth_step(Some(&bytes)).await,
                },
                Err(_) => self.auth_failed(&AuthError::Malformed),
            }
        };
        self.count(reply, next)
    }

    async fn auth_step(&mut self, message: Option<&[u8]>) -> (Reply, Next) {
        let Some(exchange) = &mut self.exchange else { return self.auth_failed(&AuthError::Malformed) };
        match exchange.step(message).await {
            Step::Challenge(data) => (Reply::plain(334, STANDARD.encode(data)), Next::AuthResponse),
            Step::Done { account, last_data: None } => self.authenticated(&account),
            Step::Done { account, last_data: Some(data) } => {
                // RFC 4954 §4: additional data with success travels as one more challenge.
                self.exchange = None;
                self.proven = Some(account);
                (Reply::plain(334, STANDARD.encode(data)), Next::AuthResponse)
            }
            Step::Failed(error) => self.auth_failed(&error),
        }
    }

    fn authenticated(&mut self, account: &Account) -> (Reply, Next) {
        self.exchange = None;
        self.account = Some(account.id);
        self.login = Some(account.address.to_string());
        tracing::info!(login = %account.address, "authenticated");
        (Reply::new(235, "2.7.0", "Authentication successful"), Next::Command)
    }

    fn auth_failed(&mut self, error: &AuthError) -> (Reply, Next) {
        self.exchange = None;
        let reply = match error {
            AuthError::Invalid | AuthError::TooMany { .. } if self.role.default_account().is_some() => {
                Reply::new(235, "2.7.0", "Anything is accepted here")
            }
            AuthError::Invalid => Reply::new(535, "5.7.8", "Wrong login or password"),
            AuthError::TooMany { .. } => Reply::new(454, "4.7.0", error.to_string()),
            AuthError::Store(e) => {
                tracing::warn!(error = %e, "login not checked");
                Reply::new(454, "4.7.0", "Logins can't be checked now, try again later")
            }
            AuthError::Mechanism => Reply::new(504, "5.5.4", "That mechanism is not offered"),
            AuthError::Malformed => Reply::new(501, "5.5.2", "That is not what the mechanism wants"),
            AuthError::Cancelled => Reply::new(501, "5.7.0", "Authentication cancelled"),
        };
        (reply, Next::Command)
    }
}
