//! Mailboxes and their names.

use crate::{Keyword, MailboxId, ModSeq, Uid, UidValidity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A mailbox name: Unicode (NFC), levels separated by `/`, `INBOX` in capitals at the first level.
/// Never empty, no empty level, no control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MailboxName(String);

/// Why a text is not a mailbox name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a mailbox name: {0}")]
pub struct BadMailboxName(pub &'static str);

impl MailboxName {
    /// The hierarchy delimiter.
    pub const DELIMITER: char = '/';
    /// Longest name, in bytes of UTF-8.
    pub const MAX_LEN: usize = 512;
    /// Deepest level.
    pub const MAX_LEVELS: usize = 32;

    pub fn inbox() -> Self {
        MailboxName("INBOX".into())
    }

    /// Parses and normalises. One trailing delimiter is taken off (RFC 3501 §6.3.3).
    pub fn parse(text: &str) -> Result<Self, BadMailboxName> {
        use unicode_normalization::UnicodeNormalization;
        let text: String = text.strip_suffix(Self::DELIMITER).unwrap_or(text).nfc().collect();
        if text.is_empty() {
            return Err(BadMailboxName("empty"));
        }
        if text.len() > Self::MAX_LEN {
            return Err(BadMailboxName("too long"));
        }
        // RFC 9051 §5.1: no controls, no line or paragraph separators.
        if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            return Err(BadMailboxName("a control character"));
        }
        let levels = text.split(Self::DELIMITER);
        if levels.clone().any(str::is_empty) {
            return Err(BadMailboxName("an empty level"));
        }
        if levels.count() > Self::MAX_LEVELS {
            return Err(BadMailboxName("too many levels"));
        }
        Ok(MailboxName(Self::with_inbox_in_capitals(text)))
    }

    fn with_inbox_in_capitals(text: String) -> String {
        // RFC 3501 §5.1: INBOX is case-insensitive, also as the parent of others.
        match text.split_once(Self::DELIMITER) {
            None if text.eq_ignore_ascii_case("inbox") => "INBOX".into(),
            Some((first, rest)) if first.eq_ignore_ascii_case("inbox") => format!("INBOX/{rest}"),
            _ => text,
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }

    /// The name one level up.
    pub fn parent(&self) -> Option<MailboxName> {
        self.0.rsplit_once(Self::DELIMITER).map(|(p, _)| MailboxName(p.into()))
    }

    /// The last level.
    pub fn leaf(&self) -> &str {
        self.0.rsplit_once(Self::DELIMITER).map_or(&self.0, |p| p.1)
    }

    /// Whether `self` lies below `ancestor`, at any depth.
    pub fn is_below(&self, ancestor: &MailboxName) -> bool {
        self.0.strip_prefix(&ancestor.0).is_some_and(|rest| rest.starts_with(Self::DELIMITER))
    }

    /// `self`, which is `from` or below it, as it is called once `from` is called `to`.
    pub fn rebased(&self, from: &MailboxName, to: &MailboxName) -> Option<MailboxName> {
        let rest = self.0.strip_prefix(&from.0)?;
        (rest.is_empty() || rest.starts_with(Self::DELIMITER)).then(|| MailboxName(format!("{}{rest}", to.0)))
    }
}

impl std::fmt::Display for MailboxName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// RFC 6154 §2, without `\All` and `\Flagged`, which are virtual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SpecialUse {
    Archive,
    Drafts,
    Junk,
    Sent,
    Trash,
}

/// A mailbox as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    pub id: MailboxId,
    pub name: MailboxName,
    pub special_use: Option<SpecialUse>,
    pub subscribed: bool,
    pub uidvalidity: UidValidity,
    /// The UID the next message gets; `None` when all are used up.
    pub uidnext: Option<Uid>,
    /// The highest modseq taken in this mailbox.
    pub modseq: ModSeq,
    pub messages: u64,
    /// Messages without `\Seen`.
    pub unseen: u64,
    /// Messages with `\Deleted`.
    pub deleted: u64,
    /// Sum of message sizes as received.
    pub bytes: u64,
    /// How many messages no session has been told of yet (RFC 3501's RECENT, see
    /// [`crate::Mailboxes::claim_recent`]).
    pub recent: u64,
    /// Keywords in use in this mailbox, now or before.
    pub keywords: BTreeSet<Keyword>,
}
