//! LIST patterns and STATUS items.

/// A LIST or LSUB pattern, decoded to Unicode like a mailbox name; `%` and `*` keep their meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPattern(pub String);

/// RFC 3501 §6.3.10, RFC 7162 §3.1.7, RFC 7889, RFC 8438, RFC 8474.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    /// RFC 9051 §6.3.11: how many are marked as deleted.
    Deleted,
    /// RFC 9208 §4.1.4: what an expunge would free, in bytes.
    DeletedStorage,
    HighestModSeq,
    /// RFC 8438: the sum of RFC822.SIZE.
    Size,
    MailboxId,
    /// RFC 7889 §3.1.
    AppendLimit,
}
