//! The SMTP engine.

use crate::Services;
use crate::net::Conn;
use std::sync::Arc;

/// Which door this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Submission (RFC 6409): AUTH, then one copy into the INBOX of the authenticated account.
    Submission {
        /// The account that mail without (valid) credentials goes to; `None`: credentials are needed.
        accept_anything: Option<gadwall_storage::AccountId>,
    },
    /// Mail exchanger: accepts for existing addresses only.
    Exchanger,
    /// RFC 2033: as the exchanger, with one reply per recipient.
    Lmtp,
}

/// Serves one connection until it ends.
pub async fn serve(_conn: Conn, _services: Arc<Services>, _role: Role) {
    unimplemented!()
}
