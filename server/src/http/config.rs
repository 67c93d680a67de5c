//! What the engine is told about its surroundings.

use crate::accounts::AccountDefaults;

/// What the web and the API tell their users about the other doors.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    pub defaults: AccountDefaults,
    pub smtp: Endpoint,
    pub imap: Endpoint,
    pub pop3: Endpoint,
    /// Base of every URL shown, without a final slash: `http://localhost:8025`.
    pub web: String,
    /// Whether an MX listener takes mail from the Internet.
    pub mx_enabled: bool,
    /// When set, `POST /user` and the account API want it as a bearer token.
    pub api_key: Option<String>,
    /// A bearer token that opens every route to whoever runs the server: its command line reads it from a file that
    /// only its user can read.
    pub admin_token: String,
    /// How many accounts one address may make in an hour.
    pub accounts_per_hour: u32,
    /// Whether a proxy on this machine is believed when it says for whom it asks. Not every proxy writes
    /// `X-Forwarded-For` itself: one that hands on what its client wrote would let clients choose their address.
    pub trust_forwarded_for: bool,
}

/// A door as a client is told to use it. `secure`: TLS from the first byte.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    pub secure: bool,
}
