//! Logging in: USER and PASS (RFC 1939 §7), AUTH (RFC 5034).

use super::{Next, START, Session, State};
use crate::auth::{AuthError, Exchange, Private, Step, mechanisms};
use crate::pop3::command::SaslStart;
use crate::pop3::maildrop::Maildrop;
use crate::pop3::reply::{Code, Reply};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gadwall_storage::{Account, StoreError};

impl Session {
    /// Says nothing about whether there is such a login.
    pub(super) fn user(&mut self, login: String) -> Reply {
        if self.private == Private::No {
            return self.needs_encryption();
        }
        self.state = State::Authorization { login: Some(login) };
        Reply::ok("now the password, with PASS")
    }

    pub(super) async fn pass(&mut self, password: &str) -> Reply {
        if self.private == Private::No {
            return self.needs_encryption();
        }
        // RFC 1939 §7: PASS comes right after USER, each time.
        let State::Authorization { login: Some(login) } = std::mem::replace(&mut self.state, START) else {
            return Reply::bad("USER comes before PASS");
        };
        match self.services.auth.login(self.peer, &login, password).await {
            Ok(account) => self.open(Box::new(account)).await,
            Err(e) => refusal(&e),
        }
    }

    fn needs_encryption(&self) -> Reply {
        Reply::bad(if self.services.tls.is_some() {
            "a password needs encryption: say STLS first, or use AUTH SCRAM-SHA-256"
        } else {
            "a password needs encryption, and this server has no certificate: use AUTH SCRAM-SHA-256"
        })
    }

    /// `AUTH` alone: what clients asked before there was CAPA.
    pub(super) fn mechanism_list(&self) -> Reply {
        let names = mechanisms(self.private);
        Reply::Lines("mechanisms follow".into(), names.iter().map(|name| format!("{name}\r\n")).collect())
    }

    pub(super) async fn auth(&mut self, start: SaslStart) -> (Reply, Next) {
        let auth = self.services.auth.clone();
        self.state = match Exchange::begin(auth, self.peer, self.private, &start.mechanism) {
            Ok(exchange) => State::Sasl(Box::new(exchange)),
            Err(_) if self.private == Private::No && is_for_private(&start.mechanism) => {
                return (self.needs_encryption(), Next::Command);
            }
            Err(e) => return (refusal(&e), Next::Command),
        };
        match start.initial_response.as_deref().map(decode) {
            None => self.step(None).await,
            Some(Ok(message)) => self.step(Some(&message)).await,
            Some(Err(e)) => self.give_up(&e),
        }
    }

    pub(super) async fn sasl_line(&mut self, line: &[u8]) -> (Reply, Next) {
        // RFC 5034 §4: `*` alone cancels.
        if line == b"*" {
            return self.give_up(&AuthError::Cancelled);
        }
        let message = match STANDARD.decode(line) {
            Ok(message) => message,
            Err(_) => return self.give_up(&AuthError::Malformed),
        };
        match std::mem::replace(&mut self.state, START) {
            State::Proven(account) if message.is_empty() => (self.open(account).await, Next::Command),
            State::Sasl(exchange) => {
                self.state = State::Sasl(exchange);
                self.step(Some(&message)).await
            }
            _ => self.give_up(&AuthError::Malformed),
        }
    }

    async fn step(&mut self, message: Option<&[u8]>) -> (Reply, Next) {
        let State::Sasl(exchange) = &mut self.state else { return self.give_up(&AuthError::Malformed) };
        match exchange.step(message).await {
            Step::Challenge(data) => (Reply::Challenge(data), Next::SaslResponse),
            Step::Done { account, last_data: None } => (self.open(account).await, Next::Command),
            Step::Done { account, last_data: Some(data) } => {
                // RFC 5034 §4: data that come with success are one more challenge, with an empty response.
                self.state = State::Proven(account);
                (Reply::Challenge(data), Next::SaslResponse)
            }
            Step::Failed(e) => self.give_up(&e),
        }
    }

    fn give_up(&mut self, error: &AuthError) -> (Reply, Next) {
        self.state = START;
        (refusal(error), Next::Command)
    }

    /// Takes the maildrop of an account that has proven who it is.
    async fn open(&mut self, account: Box<Account>) -> Reply {
        self.state = START;
        let lock = match self.services.maildrops.lock(account.id).await {
            Ok(Some(lock)) => lock,
            Ok(None) => {
                let why = "another POP3 session has this maildrop, try again when it has ended";
                return Reply::Err(Some(Code::InUse), why.into());
            }
            Err(e) => return Reply::store(&e),
        };
        match Maildrop::open(&*self.services.store, lock).await {
            Ok(maildrop) => {
                let (count, octets) = maildrop.total();
                tracing::info!(login = %account.address, "authenticated");
                self.state = State::Transaction { maildrop: Box::new(maildrop), account };
                Reply::ok(format!("maildrop has {count} messages ({octets} octets)"))
            }
            // The account went between the two.
            Err(StoreError::NotFound(_)) => refusal(&AuthError::Invalid),
            Err(e) => Reply::store(&e),
        }
    }
}

/// RFC 5034 §4: a single equals sign is an empty initial response.
fn decode(text: &str) -> Result<Vec<u8>, AuthError> {
    if text == "=" {
        return Ok(Vec::new());
    }
    STANDARD.decode(text).map_err(|_| AuthError::Malformed)
}

fn is_for_private(mechanism: &str) -> bool {
    mechanisms(Private::Yes).iter().any(|name| name.eq_ignore_ascii_case(mechanism))
}

fn refusal(error: &AuthError) -> Reply {
    match error {
        // RFC 3206 §4: AUTH is said when the credentials are at fault, and only then.
        AuthError::Invalid => Reply::Bad(Some(Code::Auth), error.to_string()),
        AuthError::TooMany { .. } => Reply::Bad(Some(Code::LoginDelay), error.to_string()),
        AuthError::Mechanism => Reply::bad("that mechanism is not offered, CAPA tells which are"),
        AuthError::Malformed => Reply::bad("that is not what the mechanism wants"),
        AuthError::Cancelled => Reply::bad("authentication cancelled"),
        AuthError::Store(e) => Reply::store(e),
    }
}
