//! SASL mechanisms (RFC 4422): PLAIN, LOGIN, SCRAM-SHA-256; XOAUTH2 and OAUTHBEARER refused properly.

use super::scram::{Challenge, ClientFirst, nobody};
use super::{AuthError, Authenticator};
use gadwall_storage::Account;
use std::net::IpAddr;
use std::sync::Arc;

/// Names of the mechanisms to announce. `private`: whether a password may cross the connection in clear.
pub fn mechanisms(private: Private) -> &'static [&'static str] {
    match private {
        Private::Yes => &["SCRAM-SHA-256", "PLAIN", "LOGIN"],
        Private::No => &["SCRAM-SHA-256"],
    }
}

/// Whether the connection is encrypted or local.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Private {
    Yes,
    No,
}

/// What the server says next. Data are the decoded bytes; base64 is the engine's business.
#[derive(Debug)]
pub enum Step {
    /// Send this and feed the answer to [`Exchange::step`].
    Challenge(Vec<u8>),
    /// Success. `last_data` is additional data with success (SCRAM's server-final): an engine whose
    /// profile cannot carry it sends it as one more challenge and expects an empty answer.
    Done {
        account: Box<Account>,
        last_data: Option<Vec<u8>>,
    },
    Failed(AuthError),
}

/// One authentication exchange.
pub struct Exchange {
    authenticator: Arc<Authenticator>,
    peer: IpAddr,
    state: State,
    /// The login name the client gave, once it has.
    login: String,
    /// Whether unknown logins fail at once, unhashed and uncounted.
    lenient: bool,
}

enum State {
    Plain,
    LoginStart,
    LoginName,
    LoginPassword,
    ScramStart,
    ScramFinal(Box<Challenge>, Option<Box<Account>>),
    /// XOAUTH2 or OAUTHBEARER: the token is looked at, never believed.
    Token(&'static [u8]),
    TokenRefused,
    Over,
}

/// RFC 7628 §3.2.2: what a client is told of its token before it answers with one byte and is refused.
const BEARER_ERROR: &[u8] = br#"{"status":"invalid_token"}"#;
/// The same as XOAUTH2 clients know it.
const XOAUTH2_ERROR: &[u8] = br#"{"status":"401","schemes":"bearer","scope":"mail"}"#;

impl Exchange {
    /// Begins an exchange. The first [`Exchange::step`] takes the initial response, if there was one.
    pub fn begin(
        authenticator: Arc<Authenticator>,
        peer: IpAddr,
        private: Private,
        mechanism: &str,
    ) -> Result<Self, AuthError> {
        let state = match (mechanism.to_ascii_uppercase().as_str(), private) {
            ("PLAIN", Private::Yes) => State::Plain,
            ("LOGIN", Private::Yes) => State::LoginStart,
            ("SCRAM-SHA-256", _) => State::ScramStart,
            ("XOAUTH2", Private::Yes) => State::Token(XOAUTH2_ERROR),
            ("OAUTHBEARER", Private::Yes) => State::Token(BEARER_ERROR),
            _ => return Err(AuthError::Mechanism),
        };
        Ok(Self { authenticator, peer, state, login: String::new(), lenient: false })
    }

    /// For listeners that take any credentials: there it is no secret which logins exist, so one that doesn't fails
    /// at once instead of costing a hash.
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Takes the client's message (`None`: no initial response) and answers. After `Done` or `Failed` the exchange is
    /// over.
    pub async fn step(&mut self, message: Option<&[u8]>) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => match message {
                None => self.ask(State::Plain, b""),
                Some(message) => self.plain(message).await,
            },
            // The usual texts of this mechanism, which has no RFC.
            State::LoginStart => match message {
                None => self.ask(State::LoginName, b"Username:"),
                Some(name) => self.login_name(name),
            },
            State::LoginName => match message {
                None => Step::Failed(AuthError::Malformed),
                Some(name) => self.login_name(name),
            },
            State::LoginPassword => match message.map(std::str::from_utf8) {
                Some(Ok(password)) => self.password(password).await,
                _ => Step::Failed(AuthError::Malformed),
            },
            State::ScramStart => match message {
                None => self.ask(State::ScramStart, b""),
                Some(message) => self.scram_first(message).await,
            },
            State::ScramFinal(challenge, account) => {
                self.scram_final(&challenge, account, message.unwrap_or_default()).await
            }
            State::Token(error) => match message {
                None => self.ask(State::Token(error), b""),
                Some(message) if message.split(|b| *b == 1).any(is_token) => {
                    self.ask(State::TokenRefused, error)
                }
                Some(_) => Step::Failed(AuthError::Malformed),
            },
            State::TokenRefused => Step::Failed(AuthError::Invalid),
            State::Over => Step::Failed(AuthError::Malformed),
        }
    }

    fn ask(&mut self, next: State, challenge: &[u8]) -> Step {
        self.state = next;
        Step::Challenge(challenge.to_vec())
    }

    /// RFC 4616 §2: `[authzid] NUL authcid NUL passwd`.
    async fn plain(&mut self, message: &[u8]) -> Step {
        let parts: Vec<&[u8]> = message.split(|b| *b == 0).collect();
        let [authzid, login, password] = parts[..] else { return Step::Failed(AuthError::Malformed) };
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let (Some(authzid), Some(login), Some(password)) = (text(authzid), text(login), text(password))
        else {
            return Step::Failed(AuthError::Malformed);
        };
        // Acting as somebody else is not offered.
        if !authzid.is_empty() && !authzid.eq_ignore_ascii_case(login) {
            return Step::Failed(AuthError::Invalid);
        }
        self.login = login.to_owned();
        self.password(password).await
    }

    fn login_name(&mut self, name: &[u8]) -> Step {
        match std::str::from_utf8(name) {
            Ok(name) => {
                self.login = name.to_owned();
                self.ask(State::LoginPassword, b"Password:")
            }
            Err(_) => Step::Failed(AuthError::Malformed),
        }
    }

    async fn password(&mut self, password: &str) -> Step {
        if self.lenient {
            match self.authenticator.find(&self.login).await {
                Ok(Some(_)) => {}
                Ok(None) => return Step::Failed(AuthError::Invalid),
                Err(e) => return Step::Failed(e.into()),
            }
        }
        match self.authenticator.login(self.peer, &self.login, password).await {
            Ok(account) => Step::Done { account: Box::new(account), last_data: None },
            Err(e) => Step::Failed(e),
        }
    }

    async fn scram_first(&mut self, message: &[u8]) -> Step {
        let first = match ClientFirst::parse(message) {
            Ok(first) => first,
            Err(e) => return Step::Failed(e),
        };
        self.login = first.login.clone();
        if let Err(e) = self.authenticator.admit(self.peer, &self.login).await {
            return Step::Failed(e);
        }
        let account = match self.authenticator.find(&self.login).await {
            Ok(account) => account.map(Box::new),
            Err(e) => return Step::Failed(e.into()),
        };
        let verifier = match &account {
            Some(account) => account.credentials.scram_sha_256.clone(),
            None => nobody(&self.authenticator.key, &self.login.to_lowercase()),
        };
        let nonce = self.authenticator.env.entropy.bytes();
        let (challenge, message) = first.challenge(verifier, nonce);
        self.ask(State::ScramFinal(Box::new(challenge), account), &message)
    }

    async fn scram_final(
        &mut self,
        challenge: &Challenge,
        account: Option<Box<Account>>,
        message: &[u8],
    ) -> Step {
        // Others may have failed since the challenge: exchanges begun side by side are guesses like any other.
        if let Err(e) = self.authenticator.admit(self.peer, &self.login).await {
            return Step::Failed(e);
        }
        let throttle = &self.authenticator.throttle;
        match (challenge.verify(message), account) {
            (Ok(last), Some(account)) => {
                throttle.succeeded(&self.login).await;
                Step::Done { account, last_data: Some(last) }
            }
            (Err(AuthError::Malformed), _) => Step::Failed(AuthError::Malformed),
            _ => {
                throttle.failed(self.peer, &self.login).await;
                Step::Failed(AuthError::Invalid)
            }
        }
    }
}

/// `auth=Bearer …`, the one field a token message must have (RFC 7628 §3.1).
fn is_token(field: &[u8]) -> bool {
    field.get(..12).is_some_and(|start| start.eq_ignore_ascii_case(b"auth=bearer "))
}
