//! Semantic errors of the store: each variant is one a caller can act on.

use std::time::Duration;

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store refused. Engines map each variant to one reply per protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The account, address, mailbox or message does not exist (or is another account's).
    #[error("{0} does not exist")]
    NotFound(Subject),
    /// The name or address is taken.
    #[error("{0} already exists")]
    AlreadyExists(Subject),
    /// The change would take the account over its quota. Nothing was changed.
    #[error("over quota: {used_bytes} of {limit_bytes} bytes are used")]
    OverQuota { used_bytes: u64, limit_bytes: u64 },
    /// A limit of the store was reached (mailboxes per account, keywords per mailbox, ...).
    #[error("limit reached: {0}")]
    LimitReached(&'static str),
    /// The operation makes no sense on this object (deleting INBOX, renaming into itself, ...).
    #[error("not permitted: {0}")]
    NotPermitted(&'static str),
    /// The message is larger than the store takes.
    #[error("message of more than {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    /// An operation id was used again for something else.
    #[error("operation id reused for a different operation")]
    OperationMismatch,
    /// Nothing was acknowledged; the same operation id may be tried again. When `outcome_unknown`
    /// is set the change may or may not have happened, and only a retry with the same id will tell.
    #[error("storage is temporarily unavailable: {reason}")]
    Unavailable { reason: String, retry_after: Option<Duration>, outcome_unknown: bool },
    /// The disk is full. Nothing was changed; deleting mail or adding space helps.
    #[error("storage is full: {0}")]
    StorageFull(String),
    /// What was read is damaged. Never returned for anything a peer sent.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// A temporary failure that left no trace.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        StoreError::Unavailable { reason: reason.into(), retry_after: None, outcome_unknown: false }
    }

    /// What an I/O error of the backend means.
    pub fn io(doing: &str, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                StoreError::StorageFull(format!("{doing}: {error}"))
            }
            _ => StoreError::unavailable(format!("{doing}: {error}")),
        }
    }

    /// Whether trying again later may succeed.
    pub fn is_temporary(&self) -> bool {
        matches!(self, StoreError::Unavailable { .. } | StoreError::StorageFull(_))
    }
}

/// What a [`StoreError`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Account,
    Address,
    Mailbox,
    Message,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Subject::Account => "account",
            Subject::Address => "address",
            Subject::Mailbox => "mailbox",
            Subject::Message => "message",
        })
    }
}
