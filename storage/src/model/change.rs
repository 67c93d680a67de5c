//! What mutations answer, and what the journal tells.

use crate::{AccountId, Flags, MailboxId, Message, ModSeq, Timestamp, Uid, UidSet, UidValidity};
use serde::{Deserialize, Serialize};

/// Outcome of an append: one UID per message, in order, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    pub uidvalidity: UidValidity,
    pub uids: Vec<Uid>,
    pub modseq: ModSeq,
}

/// Outcome of a copy or a move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Of the target.
    pub uidvalidity: UidValidity,
    /// Source and target UID, ascending in both. Source UIDs that did not exist are left out.
    pub pairs: Vec<(Uid, Uid)>,
    /// Of the target.
    pub modseq: ModSeq,
    /// Of the source, when this was a move.
    pub source_modseq: Option<ModSeq>,
}

/// Outcome of a change of flags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagsStored {
    /// Every message the change applies to, with its flags now. A message whose flags were already so
    /// is listed with its old modseq.
    pub messages: Vec<FlagsNow>,
    /// Messages left alone because their modseq is above `unchanged_since` (RFC 7162 §3.1.3).
    pub modified: UidSet,
    /// The mailbox's modseq afterwards; unchanged when nothing changed.
    pub modseq: ModSeq,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagsNow {
    pub uid: Uid,
    pub modseq: ModSeq,
    pub flags: Flags,
    /// Whether this very change altered them.
    pub changed: bool,
}

/// Outcome of a replacement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    pub appended: Appended,
    /// Of the mailbox that the message was in.
    pub expunged: Expunged,
}

/// Outcome of an expunge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expunged {
    pub uids: UidSet,
    /// The mailbox's modseq afterwards; unchanged when nothing was expunged.
    pub modseq: ModSeq,
}

/// Answer of [`crate::Feed::changes_since`].
#[derive(Debug, Clone, PartialEq)]
pub enum Changes {
    /// Everything that happened after the given modseq, up to and including `through`.
    Delta(Delta),
    /// The journal no longer reaches back that far: read the mailbox anew.
    Resync,
    /// The mailbox is gone.
    Deleted,
}

/// The net effect of a stretch of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    pub through: ModSeq,
    /// Messages appended or changed since, and still there: without details, ascending by UID.
    pub changed: Vec<Message>,
    /// UIDs expunged since. May hold UIDs the caller never saw.
    pub vanished: UidSet,
}

/// A hint that something changed. May be lost, doubled or late: the truth is `changes_since`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hint {
    /// This mailbox has reached this modseq.
    Mailbox { account: AccountId, mailbox: MailboxId, modseq: ModSeq },
    /// The account's list of mailboxes changed, or the account did.
    Account { account: AccountId },
    /// Hints may have been lost: look at everything.
    Resync,
}

/// Outcome of one round of [`crate::Maintenance::sweep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    pub messages_expired: u64,
    pub accounts_expired: u64,
    /// Journal rows, operation records and unreferenced content dropped.
    pub records_dropped: u64,
    /// More is due now: call again soon.
    pub more: bool,
    /// When the next message or account is due, if known.
    pub next_due: Option<Timestamp>,
}
