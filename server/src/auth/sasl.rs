//! SASL mechanisms (RFC 4422): PLAIN, LOGIN, SCRAM-SHA-256; XOAUTH2 and OAUTHBEARER refused properly.

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
    _authenticator: Arc<Authenticator>,
    _peer: IpAddr,
}

impl Exchange {
    /// Begins an exchange. The first [`Exchange::step`] takes the initial response, if there was one.
    pub fn begin(
        authenticator: Arc<Authenticator>,
        peer: IpAddr,
        _private: Private,
        _mechanism: &str,
    ) -> Result<Self, AuthError> {
        Ok(Self { _authenticator: authenticator, _peer: peer })
    }

    /// Takes the client's message (`None`: no initial response) and answers.
    pub async fn step(&mut self, _message: Option<&[u8]>) -> Step {
        unimplemented!()
    }
}
