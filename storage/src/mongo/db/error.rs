//! What became of a command.

use mongodb::error::{
    Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

/// A command that failed. The text never holds credentials.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub struct DbError {
    pub kind: Kind,
    text: String,
    /// Whether the server itself says that the transaction is over.
    pub(super) is_over: bool,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The transaction is over without effect; another may succeed at once (a write conflict, an election).
    Transient,
    /// The command may or may not have had its effect: its reply is lost or late.
    Unknown,
    /// A document of that `_id` exists.
    Duplicate,
    /// The disk is full.
    Full,
    /// The command is refused, and would be again.
    Refused,
}

/// Server codes that go away by themselves: elections, shutdowns, conflicts, lost sessions, interrupted waits.
const PASSING: [i32; 25] = [
    6, 7, 24, 50, 63, 64, 89, 91, 112, 187, 189, 225, 239, 246, 251, 262, 290, 9001, 10058, 10107, 11600,
    11602, 13388, 13435, 13436,
];
const DUPLICATE_KEY: i32 = 11000;
/// `OutOfDiskSpace` in MongoDB's list of error codes. A disk that is full to the last byte ends the server instead, which
/// looks like any member that dies.
const OUT_OF_DISK_SPACE: i32 = 14031;

impl DbError {
    pub fn late(doing: &str) -> Self {
        DbError { is_over: false, kind: Kind::Unknown, text: format!("{doing}: no answer in time") }
    }

    pub fn lost(doing: &str) -> Self {
        DbError {
            is_over: false,
            kind: Kind::Transient,
            text: format!("{doing}: the transaction was given up"),
        }
    }

    pub(super) fn of_kind(self, kind: Kind) -> Self {
        DbError { kind, ..self }
    }

    pub fn refused(text: impl Into<String>) -> Self {
        DbError { is_over: false, kind: Kind::Refused, text: text.into() }
    }

    /// An error in the list `writeErrors` or the field `writeConcernError` of a reply that is otherwise fine.
    pub fn of_reply(code: i32, text: &str) -> Self {
        DbError { is_over: false, kind: kind_of_code(code), text: format!("{text} ({code})") }
    }

    pub fn of_driver(doing: &str, error: &Error) -> Self {
        let kind = if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) {
            Kind::Unknown
        } else if error.contains_label(TRANSIENT_TRANSACTION_ERROR) {
            Kind::Transient
        } else {
            kind_of(error)
        };
        DbError {
            is_over: error.contains_label(TRANSIENT_TRANSACTION_ERROR),
            kind,
            text: format!("{doing}: {}", described(error)),
        }
    }
}

fn kind_of_code(code: i32) -> Kind {
    match code {
        DUPLICATE_KEY => Kind::Duplicate,
        OUT_OF_DISK_SPACE => Kind::Full,
        code if PASSING.contains(&code) => Kind::Unknown,
        _ => Kind::Refused,
    }
}

fn kind_of(error: &Error) -> Kind {
    match &*error.kind {
        ErrorKind::Command(e) => kind_of_code(e.code),
        ErrorKind::Write(WriteFailure::WriteError(e)) => kind_of_code(e.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(e)) => kind_of_code(e.code),
        // No server was found, so nothing was sent.
        ErrorKind::ServerSelection { .. } | ErrorKind::ConnectionPoolCleared { .. } => Kind::Transient,
        ErrorKind::InvalidArgument { .. }
        | ErrorKind::Authentication { .. }
        | ErrorKind::BsonDeserialization(_)
        | ErrorKind::BsonSerialization(_)
        | ErrorKind::IncompatibleServer { .. }
        | ErrorKind::SessionsNotSupported
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::Transaction { .. }
        | ErrorKind::Shutdown => Kind::Refused,
        _ => Kind::Unknown,
    }
}

/// The driver's words, without what it says of the topology's internals.
fn described(error: &Error) -> String {
    let text = match &*error.kind {
        ErrorKind::Command(e) => format!("{} ({}, {})", e.message, e.code_name, e.code),
        kind => kind.to_string(),
    };
    text.chars().take(500).collect()
}
