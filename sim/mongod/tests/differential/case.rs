//! Cases: a script, and what of its outcomes is known to differ.

use crate::outcome::Outcome;
use crate::script::Step;
use crate::server::Kind;
use bson::{Bson, Document, doc};
use std::fmt;

#[derive(Clone)]
pub struct Case {
    pub name: &'static str,
    pub steps: Vec<Step>,
    waivers: Vec<Waiver>,
}

/// Where another server is known to deviate from MongoDB: there the simulated one is held to what is documented.
#[derive(Clone)]
struct Waiver {
    /// Of the script; its length stands for the documents that are left at the end.
    step: usize,
    of: &'static [Kind],
    documented: Outcome,
}

/// A case that is not answered as it should be.
pub struct Finding {
    pub case: &'static str,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.text)
    }
}

pub fn case(name: &'static str, steps: impl Into<Vec<Step>>) -> Case {
    Case { name, steps: steps.into(), waivers: Vec::new() }
}

impl Case {
    /// These servers don't answer the step as MongoDB does, for this reason; MongoDB's answer is `documented`.
    pub fn waive(mut self, step: usize, of: &'static [Kind], _why: &str, documented: Outcome) -> Self {
        self.waivers.push(Waiver { step, of, documented });
        self
    }

    /// Compares what came of the script on the simulated server with what came of it elsewhere.
    pub fn judge(&self, ours: &[Outcome], theirs: &[Outcome], them: Kind) -> Vec<Finding> {
        let finding = |text: String| Finding { case: self.name, text };
        let of_step = |(step, (ours, theirs)): (usize, (&Outcome, &Outcome))| {
            let at =
                self.steps.get(step).map_or("documents at the end".to_owned(), |step| format!("{step:?}"));
            let at = format!("step {step}, {at}");
            let waiver = self.waivers.iter().find(|waiver| waiver.step == step);
            match waiver.map(|waiver| (&waiver.documented, waiver.of.contains(&them))) {
                Some((documented, _)) if documented != ours => {
                    Some(finding(format!("{at}\n    simulated:  {ours}\n    documented: {documented}")))
                }
                Some((documented, true)) if documented == theirs => {
                    Some(finding(format!("{at}: {them:?} answers as documented: take out the waiver")))
                }
                Some((_, true)) => None,
                _ if ours == theirs => None,
                _ => Some(finding(format!("{at}\n    simulated:  {ours}\n    {them:?}: {theirs}"))),
            }
        };
        ours.iter().zip(theirs).enumerate().filter_map(of_step).collect()
    }
}

pub fn run(command: Document) -> Step {
    Step::Run(command)
}

pub fn insert(documents: impl IntoIterator<Item = Document>) -> Document {
    doc! { "insert": "c", "documents": documents.into_iter().map(Bson::Document).collect::<Vec<_>>() }
}

/// Of one document.
pub fn update(filter: Document, change: Document) -> Document {
    doc! { "update": "c", "updates": [{ "q": filter, "u": change }] }
}

pub fn upsert(filter: Document, change: Document) -> Document {
    doc! { "update": "c", "updates": [{ "q": filter, "u": change, "upsert": true }] }
}

pub fn delete(filter: Document) -> Document {
    doc! { "delete": "c", "deletes": [{ "q": filter, "limit": 0 }] }
}

pub fn find(filter: Document) -> Document {
    doc! { "find": "c", "filter": filter, "sort": { "_id": 1 } }
}

/// A command with more fields.
pub fn with(mut command: Document, fields: Document) -> Document {
    command.extend(fields);
    command
}

/// A retryable write, made by hand.
pub fn numbered(command: Document, number: i64) -> Document {
    with(command, doc! { "txnNumber": number })
}

/// The first statement of a transaction, made by hand.
pub fn first(command: Document, number: i64) -> Document {
    with(next(command, number), doc! { "startTransaction": true, "readConcern": { "level": "snapshot" } })
}

/// A further statement, or the end.
pub fn next(command: Document, number: i64) -> Document {
    with(command, doc! { "txnNumber": number, "autocommit": false })
}

pub fn commit(number: i64) -> Document {
    next(doc! { "commitTransaction": 1, "writeConcern": { "w": "majority" } }, number)
}

pub fn abort(number: i64) -> Document {
    next(doc! { "abortTransaction": 1 }, number)
}

/// An entry of `writeErrors`.
pub fn duplicate(index: i32, id: i32) -> Document {
    let (pattern, value) = (doc! { "_id": 1 }, doc! { "_id": id });
    doc! { "index": index, "code": 11000, "keyPattern": pattern, "keyValue": value }
}

/// Where MongoDB says what numbers of sessions are worth.
pub const PARTICIPANT: &str = "mongo/db/transaction/transaction_participant.cpp";
pub const SESSION_INFO: &str = "mongo/db/initialize_operation_session_info.cpp";

/// Where MongoDB says that a command that is not for transactions fails, but does not abort the one it is sent in.
pub const COMMANDS_NOT_ALLOWED: &str = "jstests/core/txns/commands_not_allowed_in_txn.js";

pub fn too_old() -> Outcome {
    Outcome::error(225, "TransactionTooOld", &[])
}

pub fn unknown() -> Outcome {
    Outcome::error(251, "NoSuchTransaction", &["TransientTransactionError"])
}

pub fn invalid() -> Outcome {
    Outcome::error(72, "InvalidOptions", &[])
}
