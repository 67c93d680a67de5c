//! Signed tokens: account, expiry and an HMAC over both and over the account's password hash, so that a changed
//! password ends them all. Nothing is kept on the server.

use gadwall_storage::{Account, AccountId};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a token is good for; one kind is never taken for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The cookie of a browser.
    Session,
    /// `POST /authenticate`.
    Api,
}

/// A token taken apart, not yet believed.
pub struct Claim {
    pub account: AccountId,
    expires: i64,
    signature: Vec<u8>,
}

/// Makes a token; `expires` in seconds since the epoch.
pub fn issue(secret: &[u8; 32], purpose: Purpose, account: &Account, expires: i64) -> String {
    let signature = mac(secret, purpose, account, expires).finalize().into_bytes();
    let hex: String = signature.iter().map(|b| format!("{b:02x}")).collect();
    format!("{}.{expires}.{hex}", account.id)
}

impl Claim {
    pub fn parse(text: &str) -> Option<Claim> {
        let mut parts = text.splitn(3, '.');
        let account = parts.next()?.parse().ok()?;
        let expires = parts.next()?.parse().ok()?;
        let hex = parts.next()?.as_bytes();
        if hex.len() != 64 {
            return None;
        }
        let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
        let signature = hex
            .chunks_exact(2)
            .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
            .collect::<Option<Vec<u8>>>()?;
        Some(Claim { account, expires, signature })
    }

    /// Whether this secret made it for `account`, for this purpose, and it has not expired.
    pub fn verify(&self, secret: &[u8; 32], purpose: Purpose, account: &Account, now_secs: i64) -> bool {
        let right = mac(secret, purpose, account, self.expires).verify_slice(&self.signature).is_ok();
        right && self.account == account.id && now_secs < self.expires
    }
}

fn mac(secret: &[u8; 32], purpose: Purpose, account: &Account, expires: i64) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(match purpose {
        Purpose::Session => b"session v1\0",
        Purpose::Api => b"apitoken v1\0",
    });
    mac.update(&account.id.0);
    mac.update(&expires.to_be_bytes());
    mac.update(account.credentials.password_hash.as_bytes());
    mac
}
