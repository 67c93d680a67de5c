//! The SMTP engine: submission (RFC 6409), mail exchanger (RFC 5321) and LMTP (RFC 2033).
//!
//! `decode` and `data` turn bytes into lines and message content and know no I/O; `command` is the grammar;
//! `session` executes commands against the store; `driver` owns the stream. Nothing is ever sent onwards.

mod command;
mod data;
mod decode;
mod delivery;
mod driver;
mod path;
mod reply;
mod session;
mod trace;

pub use command::{Command, CommandError, Parameter, Path};
pub use data::{Unstuffer, stuff};
pub use decode::{Decoder, Line};
pub use driver::serve;

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

impl Role {
    /// The account that mail goes to before anybody has logged in.
    fn default_account(&self) -> Option<gadwall_storage::AccountId> {
        match self {
            Role::Submission { accept_anything } => *accept_anything,
            Role::Exchanger | Role::Lmtp => None,
        }
    }
}

#[cfg(test)]
mod tests;
