//! What APPEND and REPLACE are made of.

use super::{By, MailboxArg, Section, SeqNum};
use gadwall_storage::{Flags, Timestamp, Uid};

/// A piece of an APPEND (RFC 3501 §6.3.11, RFC 3502, RFC 4469) or a REPLACE (RFC 8508), apart from literals of messages.
#[derive(Debug, Clone, PartialEq)]
pub enum AppendPiece {
    /// Where to; comes first, and once.
    To {
        mailbox: MailboxArg,
        /// What goes when the message has come (RFC 8508 §3.2).
        replaces: Option<(By, SeqNum)>,
    },
    /// A message begins; what follows is what it holds.
    Message { flags: Flags, date: Option<Timestamp> },
    /// The octets that this URL names (RFC 4469 §3), as sent.
    Url(Vec<u8>),
}

/// A relative IMAP URL of a message or a part of one (RFC 5092 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageUrl {
    /// `None`: the selected one.
    pub mailbox: Option<MailboxArg>,
    pub uidvalidity: Option<u32>,
    pub uid: Uid,
    pub section: Section,
    /// Where it begins and how many octets it has (RFC 5550 §3.1); without a count, all that follow.
    pub partial: Option<(u64, Option<u64>)>,
}
