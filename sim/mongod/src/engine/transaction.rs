//! Transactions: their start, commit and abort.
//!
//! Snapshot, and also local and majority, read on the primary what it has applied, whether or not a majority has it: it
//! is the commit with `w: majority` that makes sure of what was read. "If the transaction is not part of a causally
//! consistent session, upon transaction commit with write concern "majority", the transaction operations are
//! guaranteed to have read from a snapshot of majority-committed data."
//! <https://www.mongodb.com/docs/manual/reference/read-concern-snapshot/#read-concern-and-transactions>

use super::Engine;
use super::command::{Call, Outcome, ok};
use super::concern::ReadLevel;
use super::failure::{Failure, Stop};
use super::fields;
use super::session::{Ended, Numbered, Transaction};
use super::writer::ops_of;
use crate::log::Log;
use crate::oplog::{Body, SessionRecord};
use bson::Document;

impl Engine {
    /// Begins the transaction if the command says so.
    pub fn begin_if_said(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Result<(), Stop> {
        let Numbered::Transaction { session, number, starts } = &call.numbered else { return Ok(()) };
        if !starts {
            if call.command.contains_key("readConcern") {
                let text = "Only the first command in a transaction may specify a readConcern";
                return Err(Failure::new(72, "InvalidOptions", text).into());
            }
            return Ok(());
        }
        if call.command.contains_key("writeConcern") {
            let text = "writeConcern is not allowed within a multi-statement transaction";
            return Err(Failure::new(72, "InvalidOptions", text).into());
        }
        if call.read.level == ReadLevel::Linearizable {
            let text = "The readConcern level must be either 'local' (default), 'majority' or 'snapshot' in a transaction";
            return Err(Failure::new(72, "InvalidOptions", text).into());
        }
        self.await_time(call, log)?;
        let at = log.last().index;
        let transaction =
            Transaction { number: *number, at, began_ms: call.now_ms, ..Transaction::default() };
        self.sessions.start(session, transaction)?;
        Ok(())
    }

    pub fn abort_if_open(&mut self, session: &[u8], number: i64) {
        if self.faulty.errors_end_nothing {
            return;
        }
        if self.sessions.take(session, number).is_ok() {
            // Taking it has marked it as aborted.
            self.sessions.release(session);
        }
        self.cursors.close_of_transaction(session, number);
    }

    pub fn commit(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Outcome {
        fields::only(call.command, &["recoveryToken"])?;
        let (session, number) = ending(call)?;
        let transaction = match self.sessions.end(session, number)? {
            Ended::Open(transaction) => transaction,
            // As MongoDB does, on the last entry there is: that is not before the transaction's.
            Ended::Committed => return Ok((ok(Document::new()), Some(call.write.of(log.last())))),
        };
        self.cursors.close_of_transaction(session, number);
        let wrote = !transaction.own.is_empty();
        let body = if wrote {
            let record =
                SessionRecord { session: session.to_vec(), number, is_transaction: true, done: Vec::new() };
            Some(Body::Write { ops: ops_of(&transaction.own), session: Some(record) })
        } else {
            // What was read is older than this entry: if a majority gets it, nothing of it can be rolled back.
            // `needsNoopWrite` in mongo/db/transaction/transaction_participant.cpp: with a write concern only.
            call.command.contains_key("writeConcern").then_some(Body::Noop)
        };
        let appended = body.map(|body| self.append(log, body, call.now_ms)).transpose();
        match appended {
            Ok(_) => self.sessions.committed(session, number, wrote),
            Err(failure) => {
                self.sessions.release(session);
                return Err(failure.into());
            }
        }
        Ok((ok(Document::new()), Some(call.write.of(log.last()))))
    }

    pub fn abort(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Outcome {
        fields::only(call.command, &["recoveryToken"])?;
        let (session, number) = ending(call)?;
        match self.sessions.end(session, number)? {
            Ended::Open(_) => self.sessions.release(session),
            Ended::Committed => {
                let text = format!("Transaction {number} has been committed.");
                return Err(Failure::new(256, "TransactionCommitted", text).into());
            }
        }
        self.cursors.close_of_transaction(session, number);
        Ok((ok(Document::new()), Some(call.write.of(log.last()))))
    }
}

fn ending<'a>(call: &'a Call<'_>) -> Result<(&'a [u8], i64), Failure> {
    if call.database != "admin" {
        return Err(Failure::new(
            13,
            "Unauthorized",
            format!("{} may only be run against the admin database.", call.name),
        ));
    }
    match &call.numbered {
        Numbered::Transaction { session, number, starts: false } => Ok((session, *number)),
        _ => {
            Err(Failure::new(125, "CommandFailed", format!("{} must be run within a transaction", call.name)))
        }
    }
}
