//! Why a command did not succeed, and the one mapping from the store's errors to responses.

use crate::imap::encode::{Code, Status};
use gadwall_storage::{StoreError, Subject};
use std::io;

/// What a command answers.
pub type Outcome = Result<Status, Fail>;

#[derive(Debug)]
pub enum Fail {
    /// A tagged NO or BAD; the session goes on.
    Status(Status),
    /// The session is over: say BYE.
    Bye(Status),
    /// The connection is broken, or an answer can't be finished any more.
    Io(io::Error),
}

impl From<Status> for Fail {
    fn from(status: Status) -> Self {
        Fail::Status(status)
    }
}

impl From<io::Error> for Fail {
    fn from(e: io::Error) -> Self {
        Fail::Io(e)
    }
}

impl From<StoreError> for Fail {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        Fail::Status(match error {
            StoreError::NotFound(Subject::Account | Subject::Address) => {
                return Fail::Bye(Status::bye("The account has expired or was deleted").code(Code::Expired));
            }
            StoreError::NotFound(Subject::Mailbox) => {
                Status::no("There is no such mailbox").code(Code::NonExistent)
            }
            StoreError::NotFound(Subject::Message) => {
                Status::no("The message is gone").code(Code::ExpungeIssued)
            }
            StoreError::AlreadyExists(_) => {
                Status::no("There is a mailbox of that name already").code(Code::AlreadyExists)
            }
            StoreError::OverQuota { used_bytes, limit_bytes } => {
                let text = format!(
                    "Over quota: {used_bytes} of {limit_bytes} bytes are used; delete and expunge messages"
                );
                Status::no(text).code(Code::OverQuota)
            }
            StoreError::LimitReached(_) => Status::no(text).code(Code::Limit),
            StoreError::NotPermitted(_) => Status::no(text).code(Code::Cannot),
            StoreError::TooLarge { limit_bytes } => {
                Status::no(format!("A message can have {limit_bytes} bytes at most")).code(Code::TooBig)
            }
            StoreError::StorageFull(_) => {
                tracing::error!(error = %text, "refused");
                Status::no("The server's disk is full, try again later").code(Code::Unavailable)
            }
            StoreError::Unavailable { .. } => {
                tracing::warn!(error = %text, "refused");
                Status::no("The store is unavailable, try again later").code(Code::Unavailable)
            }
            StoreError::OperationMismatch | StoreError::Corrupt(_) => {
                tracing::error!(error = %text, "refused");
                Status::no("Something is wrong on the server; its log says what").code(Code::ServerBug)
            }
        })
    }
}
