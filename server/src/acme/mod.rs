//! Certificates by ACME (RFC 8555): one node orders at a time, any node answers the authority's challenges, all nodes
//! take up what was issued.
//!
//! Everything that outlives a step stands in [`Documents`](gadwall_storage::Documents), which all nodes share: the
//! account, the answers to challenges, the certificate, and what failed when. It knows no backend and no engine.

mod challenge;
mod keeper;
mod order;
mod shelf;

pub use challenge::{AlpnAnswers, PROTOCOL};
pub use keeper::Keeper;
pub use order::{AcmeError, order};
pub use shelf::{Answer, Attempts, Issued, Lease, Shelf};

use std::path::PathBuf;
use std::time::Duration;

/// Let's Encrypt, production.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// What is ordered, and from whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeConfig {
    /// The names in the certificate; the first is the one that nodes show.
    pub domains: Vec<String>,
    /// Whom the authority may write to.
    pub email: Option<String>,
    /// The authority's directory.
    pub directory: String,
    /// Whom to trust when asking it, instead of the system's authorities.
    pub ca_root: Option<PathBuf>,
    pub challenge: Challenge,
    /// How long to wait after a failure; twice as long after each further one, a day at most.
    pub retry: Duration,
}

/// How the authority sees that the names are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
pub enum Challenge {
    /// RFC 8555 §8.3: it asks on port 80.
    #[serde(rename = "http-01")]
    #[value(name = "http-01")]
    Http01,
    /// RFC 8737: it connects to port 443.
    #[serde(rename = "tls-alpn-01")]
    #[value(name = "tls-alpn-01")]
    TlsAlpn01,
}
