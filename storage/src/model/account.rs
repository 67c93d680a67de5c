//! Accounts, their addresses and their credentials.

use crate::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};

/// A mail address, normalised once: the local part in lower case (NFC), the domain as lower-case
/// A-labels. `+detail` is kept; [`Address::without_detail`] takes it off.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a mail address: {0}")]
pub struct BadAddress(pub &'static str);

impl Address {
    /// Longest address taken, in octets (RFC 5321 §4.5.3.1).
    pub const MAX_LEN: usize = 254;

    /// Parses and normalises `local@domain`. A quoted local part keeps its quotes only if it needs them.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        use unicode_normalization::UnicodeNormalization;
        let (local, domain) = text.trim().rsplit_once('@').ok_or(BadAddress("no @"))?;
        if local.is_empty() || domain.is_empty() {
            return Err(BadAddress("an empty part"));
        }
        if text.chars().any(|c| c.is_control()) {
            return Err(BadAddress("a control character"));
        }
        let local: String = local.nfc().flat_map(char::to_lowercase).collect();
        let domain = if domain.starts_with('[') && domain.ends_with(']') {
            domain.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(domain).map_err(|_| BadAddress("a domain that is none"))?
        };
        if domain.is_empty() || domain.contains(' ') {
            return Err(BadAddress("a domain that is none"));
        }
        let address = format!("{local}@{domain}");
        if address.len() > Self::MAX_LEN {
            return Err(BadAddress("too long"));
        }
        Ok(Self(address))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |p| p.0)
    }

    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |p| p.1)
    }

    /// `user+detail@domain` as `user@domain`; `None` when there is no detail.
    pub fn without_detail(&self) -> Option<Address> {
        let (base, _) = self.local().split_once('+')?;
        (!base.is_empty()).then(|| Self(format!("{base}@{}", self.domain())))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a password is checked against. Made and checked by the server's `auth`; opaque here.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// An Argon2id hash as a PHC string.
    pub password_hash: String,
    /// SCRAM-SHA-256 verifier (RFC 5802 §3).
    pub scram_sha_256: ScramVerifier,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// RFC 5802 §3: what a server keeps instead of the password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScramVerifier {
    pub salt: Vec<u8>,
    pub iterations: u32,
    pub stored_key: [u8; 32],
    pub server_key: [u8; 32],
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    /// The primary address, also the login name.
    pub address: Address,
    /// Display name, may be empty.
    pub name: String,
    pub credentials: Credentials,
    /// Largest sum of message sizes as received, in bytes.
    pub quota_bytes: u64,
    /// Sum of the sizes of all messages, each copy counted.
    pub used_bytes: u64,
    pub created_at: Timestamp,
    /// When the account and all in it go; `None` never.
    pub expires_at: Option<Timestamp>,
    /// How long messages stay, in seconds; `None` for as long as the account does.
    pub retention_secs: Option<u64>,
}

/// An account to be made, together with its default mailboxes.
#[derive(Debug, Clone)]
pub struct NewAccount {
    pub id: AccountId,
    pub address: Address,
    pub name: String,
    pub credentials: Credentials,
    pub quota_bytes: u64,
    pub expires_at: Option<Timestamp>,
    pub retention_secs: Option<u64>,
    /// Created (and subscribed) in the same step; INBOX is always among them.
    pub mailboxes: Vec<(crate::MailboxName, Option<crate::SpecialUse>)>,
}

/// A change of an account; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct AccountUpdate {
    pub name: Option<String>,
    pub credentials: Option<Credentials>,
    pub quota_bytes: Option<u64>,
    pub expires_at: Option<Option<Timestamp>>,
    pub retention_secs: Option<Option<u64>>,
}

/// Totals for the front page and for monitoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoreStats {
    pub accounts: u64,
    pub messages: u64,
    /// Sum of message sizes as received.
    pub bytes: u64,
    /// Messages ever appended (deliveries and APPENDs, not copies).
    pub appended_total: u64,
}

/// Accounts made and messages taken on one UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DayStats {
    /// Days since 1970-01-01.
    pub day: u32,
    pub accounts: u64,
    pub messages: u64,
}
