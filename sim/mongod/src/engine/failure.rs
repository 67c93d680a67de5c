//! What goes wrong, and how a reply says it.

use crate::log::Refusal;
use bson::{Bson, Document, doc};

/// A command or statement that is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub code: i32,
    pub name: String,
    pub text: String,
    /// More that the reply says: of a duplicate key, which.
    pub details: Vec<(&'static str, Bson)>,
}

/// Why a command doesn't go on.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    Failed(Failure),
    /// It meets what an open transaction has written, or waits for the log to come so far. Nothing has been done;
    /// it is run again when something has changed.
    Blocked,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::new(refusal.code, refusal.name, refusal.text)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Failed(refusal.into())
    }
}

// Codes: <https://github.com/mongodb/mongo/blob/v7.0/src/mongo/base/error_codes.yml>
pub const INTERRUPTED_CODES: [i32; 12] = [6, 7, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435];
pub const NOT_PRIMARY_OR_SECONDARY: i32 = 13436;
/// LockTimeout, SnapshotTooOld, SnapshotUnavailable, StaleChunkHistory, PreparedTransactionInProgress.
const TRANSIENT_CODES: [i32; 5] = [24, 239, 246, 250, 267];
pub const WRITE_CONFLICT: i32 = 112;
pub const NO_SUCH_TRANSACTION: i32 = 251;

impl Failure {
    pub fn new(code: i32, name: &str, text: impl Into<String>) -> Self {
        Failure { code, name: name.to_owned(), text: text.into(), details: Vec::new() }
    }

    pub fn bad_value(text: impl Into<String>) -> Self {
        Failure::new(2, "BadValue", text)
    }

    pub fn unparsable(text: impl Into<String>) -> Self {
        Failure::new(9, "FailedToParse", text)
    }

    pub fn missing(path: &str) -> Self {
        let text = format!("BSON field '{path}' is missing but a required field");
        Failure::new(40414, "IDLFailedToParse", text)
    }

    pub fn mistyped(text: impl Into<String>) -> Self {
        Failure::new(14, "TypeMismatch", text)
    }

    pub fn not_primary_no_secondary_ok() -> Self {
        Failure::new(13435, "NotPrimaryNoSecondaryOk", "not primary and secondaryOk=false")
    }

    pub fn write_conflict() -> Self {
        let text = "Caused by :: Write conflict during plan execution and yielding is disabled. :: \
                    Please retry your operation or multi-document transaction.";
        Failure::new(WRITE_CONFLICT, "WriteConflict", text)
    }

    pub fn no_such_transaction(text: impl Into<String>) -> Self {
        Failure::new(NO_SUCH_TRANSACTION, "NoSuchTransaction", text)
    }

    pub fn duplicate(ns: &str, id: &Bson) -> Self {
        let text =
            format!("E11000 duplicate key error collection: {ns} index: _id_ dup key: {{ _id: {id} }}");
        let value = doc! { "_id": id.clone() };
        let details = vec![("keyPattern", doc! { "_id": 1 }.into()), ("keyValue", value.into())];
        Failure { details, ..Failure::new(11000, "DuplicateKey", text) }
    }

    /// MongoDB's category RetriableError: it goes away with the next primary, or by itself.
    pub fn is_retriable(&self) -> bool {
        is_retriable(self.code)
    }

    /// The whole command's reply.
    pub fn reply(&self) -> Document {
        let mut reply = doc! { "ok": 0.0, "errmsg": &self.text, "code": self.code, "codeName": &self.name };
        self.tell(&mut reply);
        reply
    }

    fn tell(&self, document: &mut Document) {
        document.extend(self.details.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }

    /// An entry of `writeErrors`.
    pub fn write_error(&self, index: usize) -> Document {
        let mut error = doc! { "index": index as i32, "code": self.code, "errmsg": &self.text };
        self.tell(&mut error);
        error
    }

    /// The field `writeConcernError`.
    pub fn write_concern_error(&self) -> Document {
        let mut error = doc! { "code": self.code, "codeName": &self.name, "errmsg": &self.text };
        self.tell(&mut error);
        error
    }
}

pub fn is_retriable(code: i32) -> bool {
    INTERRUPTED_CODES.contains(&code) || code == NOT_PRIMARY_OR_SECONDARY
}

/// What the labels of a reply depend on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Labelled {
    /// `autocommit: false`.
    pub in_transaction: bool,
    pub is_commit_or_abort: bool,
    /// Bears a `txnNumber`.
    pub is_numbered: bool,
}

impl Labelled {
    pub fn of(command: &Document) -> Self {
        let name = command.keys().next().map(String::as_str);
        Labelled {
            in_transaction: command.get_bool("autocommit").is_ok_and(|auto| !auto),
            is_commit_or_abort: matches!(name, Some("commitTransaction" | "abortTransaction")),
            is_numbered: command.contains_key("txnNumber"),
        }
    }
}

/// The labels that a server adds to an error. `UnknownTransactionCommitResult` is not among them: drivers add that.
///
/// <https://github.com/mongodb/mongo/blob/v7.0/src/mongo/db/error_labels.cpp>
pub fn labels(of: Labelled, code: Option<i32>, write_concern_code: Option<i32>) -> Vec<&'static str> {
    let mut labels = Vec::new();
    let Labelled { in_transaction, is_commit_or_abort, is_numbered } = of;
    let transient = |code: i32| match code {
        WRITE_CONFLICT => true,
        code if TRANSIENT_CODES.contains(&code) => true,
        // Only what can't come back by a rollback may be tried anew.
        NO_SUCH_TRANSACTION => !is_commit_or_abort || write_concern_code.is_none(),
        code => !is_commit_or_abort && is_retriable(code),
    };
    if in_transaction && code.is_some_and(transient) {
        labels.push("TransientTransactionError");
    }
    let retryable = is_numbered && (!in_transaction || is_commit_or_abort);
    if retryable && (code.is_some_and(is_retriable) || write_concern_code.is_some_and(is_retriable)) {
        labels.push("RetryableWriteError");
    }
    labels
}
